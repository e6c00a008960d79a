//go:build linux

package sandbox

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/compute/computetest"
)

// enclose runs a shell script in an enclosure, and returns what it printed and how
// it ended.
func enclose(t *testing.T, w *computetest.World, script string, limits compute.Limits, folders ...compute.Folder) (string, compute.Ended) {
	t.Helper()
	e, err := w.Driver.(*Driver).Enclose(t.Context(), compute.EnclosureSpec{ID: "fn-" + fmt.Sprint(time.Now().UnixNano()), Temporary: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := e.Show(t.Context(), folders); err != nil {
		t.Fatal(err)
	}
	err = e.Run(t.Context(), compute.Program{
		Args: []string{"/bin/bash", "-c", script}, Dir: "/var/task", Environment: []string{"PATH=/usr/bin:/bin"}, Limits: limits,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Output().SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	select {
	case <-e.Done():
	case <-time.After(time.Minute):
		t.Fatal("the program does not end")
	}
	end := e.Ended()
	out := make(chan string)
	go func() {
		b, _ := io.ReadAll(e.Output())
		out <- string(b)
	}()
	if err := e.Close(); err != nil { // the end of the output comes with that of all processes
		t.Error(err)
	}
	return <-out, end
}

// TestEnclosureIsolates: a function has less than an instance: it is nobody, and
// nothing but /tmp is its own to write.
func TestEnclosureIsolates(t *testing.T) {
	requireHost(t)
	w := computetest.New(t, harness)
	code, layer, over := readable(t, "code"), readable(t, "layer one"), readable(t, "layer two")
	if err := os.Remove(filepath.Join(over, "file")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(over, "file"), []byte("over"), 0o644); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp4", netip.AddrPortFrom(w.Driver.Network().Gateway, 0).String())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := netip.MustParseAddrPort(l.Addr().String()).Port()
	instance := w.Launch(w.Spec("#!/bin/sh\n"))
	status, err := w.Driver.Describe(t.Context(), instance)
	if err != nil {
		t.Fatal(err)
	}
	w.Do(w.Driver.(compute.Fabric).ApplyPolicy(t.Context(), compute.Policy{Tables: []compute.Table{
		{ID: "t", Routes: []compute.Route{{To: netip.MustParsePrefix("10.0.0.0/8"), Via: compute.ViaNothing}}},
	}}))
	attempts := []attempt{
		{"be root", `test $(id -u) -eq 0`, false},
		{"read its code", `test "$(cat /var/task/file)" = code`, true},
		{"see the later layer on top", `test "$(cat /opt/file)" = over && test "$(cat "/opt/layer one")" = yes`, true},
		{"write its code", `echo x > /var/task/file`, false},
		{"write /usr", `echo x > /usr/bin/x`, false},
		{"write /etc", `echo x > /etc/x`, false},
		{"write /tmp", `echo x > /tmp/x`, true},
		{"fill more than /tmp", `head -c 80000000 /dev/zero > /tmp/full`, false},
		{"see the host's files", `ls /root /home/* ` + w.Dir, false},
		{"read shadow", `cat /etc/shadow`, false},
		{"see other processes", `test $(ls -d /proc/[0-9]* | wc -l) -gt 8`, false},
		{"end the first process", `kill -9 1`, false},
		{"mount", `mount -t tmpfs x /tmp`, false},
		{"reach the Runtime API's port", `exec 3<>/dev/tcp/127.0.0.1/9001`, true},
		{"reach the host's ports", fmt.Sprintf(`exec 3<>/dev/tcp/%s/%d`, w.Driver.Network().Gateway, port), false},
		{"reach an instance", fmt.Sprintf(`timeout 3 bash -c 'exec 3<>/dev/tcp/%s/22'; test $? -eq 1`, status.Address), false},
		{"know a name server", `test -s /etc/resolv.conf`, true},
		{"have more than 1024 files open", `ulimit -n 2000`, false},
	}
	var script strings.Builder
	for i, a := range attempts {
		fmt.Fprintf(&script, "if out=$(timeout 20 bash -c %s 2>&1); then echo attempt %d succeeded: $out; else echo attempt %d failed: $out; fi\n",
			"'"+strings.ReplaceAll(a.command, "'", `'\''`)+"'", i, i)
	}
	out, end := enclose(t, w, script.String(), compute.Limits{MilliCPU: 1000, Memory: 256 << 20, Processes: 64},
		compute.Folder{At: "/var/task", From: []string{code}}, compute.Folder{At: "/opt", From: []string{layer, over}})
	if end != (compute.Ended{}) {
		t.Errorf("ended as %+v", end)
	}
	for i, a := range attempts {
		_, after, ok := strings.Cut(out, fmt.Sprintf("attempt %d ", i))
		line, _, _ := strings.Cut(after, "\n")
		if !ok || strings.HasPrefix(line, "succeeded") != a.want {
			t.Errorf("%s: %s, want success %v", a.name, line, a.want)
		}
	}
}

// readable is a folder that everybody may read, with a file of its name.
func readable(t *testing.T, name string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string]string{"file": name, name: "yes"} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestEnclosureReachesWhatIsPublic: functions are in no VPC, so instances are theirs
// to reach by public addresses only, as groups let them.
func TestEnclosureReachesWhatIsPublic(t *testing.T) {
	requireHost(t)
	w := computetest.New(t, harness)
	b := newBox(t, w, "", "")
	public := w.Driver.Network().Elastic.Addr().Next()
	w.Do(w.Driver.AssignAddress(t.Context(), b.h, public, netip.Addr{}))
	apply(t, w, compute.Policy{
		Endpoints: []compute.Endpoint{{Address: b.addr, Public: public, Network: "vpc", Table: "t", Groups: []string{"g"}}},
		Groups:    []compute.Group{{ID: "g", In: []compute.PolicyRule{{Protocol: protocolTCP, From: 80, To: 80, Prefixes: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}}}}},
		Tables:    []compute.Table{{ID: "t", Routes: []compute.Route{{To: netip.MustParsePrefix("0.0.0.0/0"), Via: compute.ViaInternet}}}},
	})
	made, err := w.Driver.(*Driver).Enclose(t.Context(), compute.EnclosureSpec{ID: "fn-1"})
	if err != nil {
		t.Fatal(err)
	}
	e := made.(*enclosure)
	defer func() { w.Do(e.Close()) }()
	from := &box{t: t, pid: e.PID()}
	w.Until("an answer at the public address", func() bool { return from.call(public, 80) == e.address.String() })
	for _, to := range []netip.AddrPort{netip.AddrPortFrom(public, 81), netip.AddrPortFrom(b.addr, 80)} {
		if got := from.call(to.Addr(), to.Port()); got != "" {
			t.Errorf("%s answers %q", to, got)
		}
	}
}

// TestEnclosureLimits: the kernel holds the program to its limits, and how it ended
// is told.
func TestEnclosureLimits(t *testing.T) {
	requireHost(t)
	w := computetest.New(t, harness)
	for _, tt := range []struct {
		name, script string
		want         compute.Ended
		output       string
	}{
		{"status", "echo out; echo err >&2; exit 7", compute.Ended{Code: 7}, "out\nerr\n"},
		{"signal", "kill -TERM $$; sleep 60", compute.Ended{Code: -1, Signal: 15}, ""},
		{"memory", "x=$(head -c 300000000 /dev/zero | tr '\\0' x); echo ${#x}", compute.Ended{Code: -1, Signal: 9, Memory: true}, ""},
		{"processes", "for i in $(seq 100); do sleep 20 & done 2>&1 | grep -q 'Resource temporarily unavailable' && echo bounded; exit 0", compute.Ended{}, "bounded\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, end := enclose(t, w, tt.script, compute.Limits{MilliCPU: 1000, Memory: 64 << 20, Processes: 32}, compute.Folder{At: "/var/task", From: []string{readable(t, "code")}})
			if end != tt.want || !strings.HasPrefix(out, tt.output) {
				t.Errorf("ended as %+v, printed %q; want %+v, %q", end, out, tt.want, tt.output)
			}
		})
	}
	if removed, err := w.Driver.(*Driver).endEnclosed(context.Background()); err != nil || len(removed) > 0 {
		t.Errorf("left are %v (%v)", removed, err)
	}
}

// BenchmarkEnclose makes and removes an enclosure with a /tmp of 512 MiB.
func BenchmarkEnclose(b *testing.B) {
	exe, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	d, err := New(Config{Dir: b.TempDir(), Slipway: exe})
	if err != nil {
		b.Skip(err)
	}
	defer d.Close()
	defer d.Clean(b.Context())
	least, n := time.Hour, 0
	for b.Loop() {
		began := time.Now()
		n++
		e, err := d.(*Driver).Enclose(b.Context(), compute.EnclosureSpec{ID: fmt.Sprint("fn-", n), Temporary: 512 << 20})
		if err != nil {
			b.Fatal(err)
		}
		least = min(least, time.Since(began))
		b.StopTimer()
		if err := e.Close(); err != nil {
			b.Error(err)
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(least.Microseconds()), "least-us")
}
