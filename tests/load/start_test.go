package load

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/tests/server"
)

// Limits of the issue ("The ground floor, whole") with many resources in the store.
const (
	manyResources    = 100_000
	startLimit       = 200 * time.Millisecond
	manyMemoryLimit  = 120 << 20
	startsPerMeasure = 7
)

// resource is a call that makes the i-th resource.
type resource func(endpoint string, i int) signedCall

func queryCall(endpoint, service, version, action string, params ...string) signedCall {
	form := url.Values{"Action": {action}, "Version": {version}}
	for i := 0; i < len(params); i += 2 {
		form.Set(params[i], params[i+1])
	}
	return signedCall{http.MethodPost, endpoint + "/", service,
		http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, []byte(form.Encode())}
}

// mix is what the resources are, in a hundred of them.
var mix = []struct {
	share int
	make  resource
}{
	{70, func(endpoint string, i int) signedCall {
		return signedCall{http.MethodPost, endpoint + "/", "ssm",
			http.Header{"Content-Type": {"application/x-amz-json-1.1"}, "X-Amz-Target": {"AmazonSSM.PutParameter"}},
			fmt.Appendf(nil, `{"Name":"/app/%d/setting-%d","Type":"String","Value":"%s"}`, i%100, i, strings.Repeat("v", 100))}
	}},
	{20, func(endpoint string, i int) signedCall {
		return signedCall{http.MethodPut, fmt.Sprintf("%s/many/folder-%d/object-%d", endpoint, i%100, i), "s3", nil, []byte(strings.Repeat("o", 1024))}
	}},
	{5, func(endpoint string, i int) signedCall {
		return queryCall(endpoint, "sqs", "2012-11-05", "CreateQueue", "QueueName", fmt.Sprintf("queue-%d", i))
	}},
	{5, func(endpoint string, i int) signedCall {
		return queryCall(endpoint, "iam", "2010-05-08", "CreateRole", "RoleName", fmt.Sprintf("role-%d", i),
			"AssumeRolePolicyDocument", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}`)
	}},
}

// accounts share the resources: AWS's own limit is 10,000 parameters in each.
const accounts = 20

// owner is an account's key, as open mode takes one. Objects have one owner, who
// has the bucket.
func owner(service string, i int) auth.Credentials {
	keys := credentials
	if service != "s3" {
		keys.AccessKeyID = fmt.Sprintf("%012d", i/100%accounts)
	}
	return keys
}

// fill makes the resources, many at a time.
func fill(b *testing.B, s *server.Server, count int) {
	b.Helper()
	const clients = 64
	c := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	defer c.CloseIdleConnections()
	do := func(call signedCall, i int) error {
		r, err := http.NewRequest(call.method, call.url, bytes.NewReader(call.body))
		if err != nil {
			return err
		}
		for name, values := range call.header {
			r.Header[name] = values
		}
		auth.Sign(r, call.body, owner(call.service, i), call.service, "us-east-1", time.Now())
		resp, err := c.Do(r)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		answer, err := io.ReadAll(resp.Body)
		if err == nil && resp.StatusCode != http.StatusOK {
			err = fmt.Errorf("status %d: %s", resp.StatusCode, answer)
		}
		return err
	}
	if err := do(signedCall{http.MethodPut, s.Endpoint + "/many", "s3", nil, nil}, 0); err != nil {
		b.Fatal(err)
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range clients {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := int(next.Add(1)); i <= count && !b.Failed(); i = int(next.Add(1)) {
				kind, at := 0, i%100
				for at >= mix[kind].share {
					at -= mix[kind].share
					kind++
				}
				if err := do(mix[kind].make(s.Endpoint, i), i); err != nil {
					b.Error(err)
				}
			}
		}()
	}
	wg.Wait()
	if b.Failed() {
		b.FailNow()
	}
}

// BenchmarkStartWithResources measures from fork to the first answer, and the
// resident memory then and after a while of calls, with many resources in the
// store.
func BenchmarkStartWithResources(b *testing.B) {
	dir := b.TempDir()
	s := start(b, dir)
	fill(b, s, manyResources)
	if err := s.Stop(); err != nil {
		b.Fatal(err)
	}
	none := b.TempDir()
	start(b, none).Kill() // the first start makes the folder
	var took, empty []time.Duration
	var most int64
	for b.Loop() {
		for range startsPerMeasure {
			// In turns: what else goes on on the machine hits both alike.
			first, _ := startOnce(b, none)
			empty = append(empty, first)
			first, resident := startOnce(b, dir)
			took, most = append(took, first), max(most, resident)
		}
	}
	b.ReportMetric(float64(most)/(1<<20), "MiB-resident")
	without := median(b, "first-answer-empty", empty)
	if m := median(b, "first-answer", took); m > startLimit {
		b.Errorf("with %d resources, first answer after %s (median), limit %s; with none after %s", manyResources, m, startLimit, without)
	}
	if most > manyMemoryLimit {
		b.Errorf("with %d resources, the server takes %d MiB, limit %d MiB", manyResources, most>>20, manyMemoryLimit>>20)
	}
}

// startOnce starts Slipway, waits for its first answer, and reads its memory once
// the loops of the start have looked at everything.
func startOnce(b *testing.B, dir string) (first time.Duration, resident int64) {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	cmd := exec.Command(binary, "up", "--data", dir, "--listen", addr, "--log", "error")
	began := time.Now()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	ask := func() bool {
		_, status, err := post(http.DefaultClient, "http://"+addr, "sts", "application/x-www-form-urlencoded", "",
			[]byte("Action=GetCallerIdentity&Version=2011-06-15"))
		return err == nil && status == http.StatusOK
	}
	for !ask() {
		if time.Since(began) > time.Minute {
			b.Fatal("no answer within a minute")
		}
	}
	first = time.Since(began)
	for end := time.Now().Add(time.Second); time.Now().Before(end); {
		if !ask() {
			b.Fatal("no answer after the first")
		}
	}
	return first, residentOf(b, cmd.Process.Pid)
}
