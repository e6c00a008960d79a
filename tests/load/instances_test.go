package load

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// The limit of the issue "The ground floor, whole".
const (
	many             = 40
	manyRunningLimit = 5 * time.Second
)

// BenchmarkFortyInstances measures from one RunInstances of forty to the last of
// them "running".
func BenchmarkFortyInstances(b *testing.B) {
	const version = "2016-11-15"
	s := start(b, b.TempDir())
	c := http.DefaultClient
	call := func(action string, params ...string) string {
		return query(b, c, s.Endpoint, "ec2", version, action, params...)
	}
	image := imageID.FindStringSubmatch(call("DescribeImages", "Owner.1", "amazon"))
	if image == nil {
		b.Fatal("DescribeImages shows no image")
	}
	var took, work []time.Duration
	for b.Loop() {
		began, before := time.Now(), familyTime(b, s.PID)
		answer := call("RunInstances", "ImageId", image[1], "InstanceType", "t3.micro", "MinCount", "40", "MaxCount", "40")
		ids := []string{}
		for _, m := range instanceID.FindAllStringSubmatch(answer, -1) {
			ids = append(ids, m[1])
		}
		if len(ids) != many {
			b.Fatalf("RunInstances made %d instances", len(ids))
		}
		for {
			answer := call("DescribeInstances", "Filter.1.Name", "instance-state-name", "Filter.1.Value.1", "running")
			if strings.Count(answer, "<name>running</name>") == many {
				break
			}
			if time.Since(began) > time.Minute {
				b.Fatal("not all run after a minute")
			}
			time.Sleep(10 * time.Millisecond) // the client shares the two cores
		}
		took = append(took, time.Since(began))
		work = append(work, (familyTime(b, s.PID)-before)/many)
		params := []string{}
		for i, id := range ids {
			params = append(params, fmt.Sprintf("InstanceId.%d", i+1), id)
		}
		call("TerminateInstances", params...)
		for strings.Contains(call("DescribeInstances", "Filter.1.Name", "instance-state-name", "Filter.1.Value.1", "shutting-down"), "<instanceId>") {
			time.Sleep(10 * time.Millisecond)
		}
	}
	m := median(b, "40-running", took)
	b.ReportMetric(m.Seconds()/manyRunningLimit.Seconds(), "of-limit")
	median(b, "processor-per-launch", work)
	if m > manyRunningLimit {
		b.Errorf("%d instances ran after %s (median), limit %s", many, m, manyRunningLimit)
	}
}
