package platform

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/slipway/slipway/agent"
	"github.com/slipway/slipway/compute/disk"
	"github.com/slipway/slipway/compute/sandbox"
)

// The test binary is also the slipway binary that instances run.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "agent" {
		os.Exit(agent.Main(os.Args[2:]))
	}
	if status, ok := agent.Tool(os.Args); ok {
		os.Exit(status)
	}
	os.Exit(m.Run())
}

func askEC2(t *testing.T, p *Platform, action string, params ...string) string {
	t.Helper()
	form := url.Values{"Action": {action}, "Version": {"2016-11-15"}}
	for i := 0; i < len(params); i += 2 {
		form.Set(params[i], params[i+1])
	}
	return ask(t, p, http.MethodPost, "/?"+form.Encode(), "ec2", "")
}

// found is the first match of a group in an answer.
func found(t *testing.T, pattern, answer string) string {
	t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(answer)
	if m == nil {
		t.Fatalf("no %s in %s", pattern, answer)
	}
	return m[1]
}

// eventually asks until the answer has what is wanted.
func eventually(t *testing.T, want string, ask func() string) string {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		answer := ask()
		if strings.Contains(answer, want) {
			return answer
		}
		if time.Now().After(deadline) {
			t.Fatalf("no %s in %s", want, answer)
		}
		select {
		case <-t.Context().Done():
			return ""
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// onDisk is what a file of a volume or snapshot holds, "" where there is none.
func onDisk(t *testing.T, dir, kind, id, name string) string {
	t.Helper()
	m, err := disk.Open(filepath.Join(dir, "instances/sandbox", kind, id), "slipway-test/"+id, false)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(m.Path(), name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

// written keeps an instance busy: a file that stays, one that changes, and on the
// volume two that are written one after the other, each on disk before the next.
const written = `#!/bin/sh
echo stays > /root/stays
chown ec2-user /root/stays
while :; do
	n=$((n+1)); echo $n > /root/count
	if mountpoint -q /dev/sdf; then
		echo $n > /dev/sdf/first; sync /dev/sdf/first; echo $n > /dev/sdf/second; sync /dev/sdf/second
	fi
done &
`

// TestBackupOfDisks: an instance and its volume are written to while they are
// backed up. What was restored shows their files: the instance is stopped, says
// why, and goes on with its files when it is started; volumes and snapshots serve.
func TestBackupOfDisks(t *testing.T) {
	if os.Geteuid() != 0 || lacks(sandbox.Probe()) != nil || disk.Supported() != nil {
		t.Skip("this host has no sandboxes with volumes")
	}
	inSandbox := func(c *Config) { c.Compute = "sandbox" }
	p := start(t, inSandbox)
	t.Cleanup(func() { clean(t, p) })
	image := found(t, `<imageId>(ami-[^<]*)`, askEC2(t, p, "DescribeImages", "Owner.1", "amazon"))
	id := found(t, `<instanceId>(i-[^<]*)`, askEC2(t, p, "RunInstances", "ImageId", image, "InstanceType", "t3.micro", "MinCount", "1", "MaxCount", "1",
		"UserData", base64.StdEncoding.EncodeToString([]byte(written))))
	described := func(p *Platform) func() string {
		return func() string { return askEC2(t, p, "DescribeInstances", "InstanceId.1", id) }
	}
	answer := eventually(t, "<name>running</name>", described(p))
	zone := found(t, `<availabilityZone>([^<]*)`, answer)
	address := found(t, `<privateIpAddress>([^<]*)`, answer)
	volume := found(t, `<volumeId>([^<]*)`, askEC2(t, p, "CreateVolume", "Size", "1", "AvailabilityZone", zone))
	volumeOf := func(p *Platform, id string) func() string {
		return func() string { return askEC2(t, p, "DescribeVolumes", "VolumeId.1", id) }
	}
	eventually(t, "<status>available</status>", volumeOf(p, volume))
	askEC2(t, p, "AttachVolume", "VolumeId", volume, "InstanceId", id, "Device", "/dev/sdf")
	eventually(t, "<status>attached</status>", volumeOf(p, volume))
	eventually(t, "1", func() string { return onDisk(t, p.Dir(), "volumes", volume, "second") })
	snapshot := found(t, `<snapshotId>([^<]*)`, askEC2(t, p, "CreateSnapshot", "VolumeId", volume))
	eventually(t, "<status>completed</status>", func() string { return askEC2(t, p, "DescribeSnapshots", "SnapshotId.1", snapshot) })
	inSnapshot := onDisk(t, p.Dir(), "snapshots", snapshot, "first")

	dir := t.TempDir()
	file := filepath.Join(dir, "backup")
	before := number(t, onDisk(t, p.Dir(), "volumes", volume, "second"))
	head, err := Backup(t.Context(), Config{Dir: p.Dir(), Version: "test"}, file, BackupWith{Disks: true, Keys: true})
	if err != nil {
		t.Fatal(err)
	}
	after := number(t, onDisk(t, p.Dir(), "volumes", volume, "first"))
	if head.Held["volumes"] != 2 || head.Held["snapshots"] != 1 || head.Held["instances"] != 1 || len(head.Disks) != 0 {
		t.Errorf("the backup holds %v, and not %v", head.Held, head.Disks)
	}
	if info, err := os.Stat(file); err != nil || info.Size() > 64<<20 {
		t.Errorf("the backup of 10 GiB that are nearly empty: %v, %v", info.Size(), err)
	}
	clean(t, p)

	to := Config{Dir: filepath.Join(dir, "restored"), Version: "test"}
	if _, err := Restore(t.Context(), to, file, ""); err != nil {
		t.Fatal(err)
	}
	again := start(t, func(c *Config) { inSandbox(c); c.Dir = to.Dir })
	t.Cleanup(func() { clean(t, again) })
	answer = eventually(t, "<name>stopped</name>", described(again))
	if !strings.Contains(answer, "restored from a backup of ") || !strings.Contains(answer, address) {
		t.Errorf("the restored instance: %s", answer)
	}
	first, second := number(t, onDisk(t, to.Dir, "volumes", volume, "first")), number(t, onDisk(t, to.Dir, "volumes", volume, "second"))
	if first < before || second > after || first < second || first > second+1 {
		t.Errorf("the restored volume has %d and %d, of %d to %d", first, second, before, after)
	}
	askEC2(t, again, "StartInstances", "InstanceId.1", id)
	answer = eventually(t, "<name>running</name>", described(again))
	root := found(t, `<deviceName>/dev/xvda</deviceName><ebs>.*?<volumeId>(vol-[^<]*)`, answer)
	if got := onDisk(t, to.Dir, "volumes", root, "root/root/stays"); got != "stays" {
		t.Errorf("the instance's own file holds %q", got)
	}
	if attached, err := disk.Attached(filepath.Join(to.Dir, "instances/sandbox/volumes", volume)); err != nil || !attached {
		t.Errorf("the started instance has its volume: %v, %v", attached, err)
	}
	made := found(t, `<volumeId>([^<]*)`, askEC2(t, again, "CreateVolume", "SnapshotId", snapshot, "AvailabilityZone", zone))
	eventually(t, "<status>available</status>", volumeOf(again, made))
	if got := onDisk(t, to.Dir, "volumes", made, "first"); got != inSnapshot || got == "" {
		t.Errorf("a volume of the restored snapshot has %q, want %q", got, inSnapshot)
	}
}

func number(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// clean stops a platform and removes what it made on the host.
func clean(t *testing.T, p *Platform) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, err := p.StopAndClean(ctx); err != nil {
		t.Error(err)
	}
}
