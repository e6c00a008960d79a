//go:build linux || darwin

package keeper

import (
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/slipway/slipway/compute"
)

func open(t *testing.T, dir string) *Keeper {
	t.Helper()
	k, err := Open("test", dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = k.Close() })
	if err := k.Adopt(); err != nil {
		t.Fatal(err)
	}
	return k
}

// born makes an instance whose first process is a sleep.
func born(t *testing.T, k *Keeper, id string) (*Instance, *exec.Cmd) {
	t.Helper()
	in := k.Instance(id)
	if err := os.MkdirAll(in.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := k.Born(in, cmd.Process.Pid); err != nil {
		t.Fatal(err)
	}
	return in, cmd
}

func TestATornRecordIsAStoppedInstance(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(dir+"/instances/i-torn", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/instances/i-torn/record.json", []byte(`{"process":{"pid":1`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir+"/trash/i-old-1/instance", 0o700); err != nil {
		t.Fatal(err)
	}
	k := open(t, dir)
	hs, err := k.List(t.Context())
	if err != nil || len(hs) != 1 || hs[0].ID != "i-torn" {
		t.Fatalf("list %v, %v", hs, err)
	}
	if st, err := k.Describe(t.Context(), hs[0]); err != nil || st.State != compute.Stopped {
		t.Errorf("describe %+v, %v", st, err)
	}
	if _, err := os.Stat(dir + "/trash"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the trash is still there: %v", err)
	}
}

func TestALaunchThatFailsIsNoEvent(t *testing.T) {
	k := open(t, t.TempDir())
	in, _ := born(t, k, "i-1")
	in.Abandon()
	if err := in.Ready(); err == nil {
		t.Error("it is ready after its end")
	}
	in, cmd := born(t, k, "i-2")
	if err := in.Ready(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if e := <-k.Events(); e.ID != "i-2" {
		t.Errorf("event of %s, want only i-2's", e.ID)
	}
	if rec := in.Record(); rec.Exit != 137 {
		t.Errorf("record %+v", rec)
	}
}

// A first process that has not ended all others, or that ends in another way than it
// was told to, leaves them to whoever stops it.
func TestStopOfAnEnclosureIsClean(t *testing.T) {
	k := open(t, t.TempDir())
	const told = "until cat <&3; do sleep 0.01; done; " // the socket may be one that nobody waits at
	for _, tt := range []struct {
		script string
		clean  bool
	}{
		{told, true},
		{told + "exit 1", false},
		{told + "kill -ABRT $$", false},
		{"kill -KILL $$", false},
		{told + "exec sleep 1000", false},
	} {
		e, err := OpenEnclosed()
		if err != nil {
			t.Fatal(err)
		}
		pid, err := syscall.ForkExec("/bin/sh", []string{"sh", "-c", tt.script}, &syscall.ProcAttr{Files: e.Files()})
		if err != nil {
			t.Fatal(err)
		}
		if err := k.Enclosed(e, pid); err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(tt.script, "kill") {
			<-e.Done()
		}
		grace := time.Minute
		if strings.HasSuffix(tt.script, "1000") {
			grace = time.Millisecond
		}
		if clean := e.Stop(grace); clean != tt.clean {
			t.Errorf("%q: clean %v", tt.script, clean)
		}
		_ = e.Output().Close()
	}
}

func TestHandles(t *testing.T) {
	k := open(t, t.TempDir())
	for _, tt := range []struct {
		h  compute.Handle
		ok bool
	}{
		{k.Handle("i-1"), true},
		{compute.Handle{Driver: "other", Version: 1, ID: "i-1"}, false},
		{compute.Handle{Driver: "test", Version: 2, ID: "i-1"}, false},
		{k.Handle("../../etc"), false},
		{k.Handle("a,b"), false},
		{k.Handle(""), false},
	} {
		if err := k.Check(tt.h); (err == nil) != tt.ok {
			t.Errorf("%+v: %v", tt.h, err)
		}
	}
}

func TestElsewhere(t *testing.T) {
	k := open(t, t.TempDir())
	ip := netip.MustParseAddr("198.18.0.1")
	one, two := k.Instance("i-1"), k.Instance("i-2")
	if err := two.Change(func(r *Record) { r.Elastic = []netip.Addr{ip} }); err != nil {
		t.Fatal(err)
	}
	if !k.Elsewhere(one, ip) || k.Elsewhere(two, ip) {
		t.Errorf("elsewhere: %v for the one without, %v for the one with it", k.Elsewhere(one, ip), k.Elsewhere(two, ip))
	}
}

// Whoever waits for an instance while it is removed gets a new object, and none
// stays behind.
func TestForgottenInstances(t *testing.T) {
	k := open(t, t.TempDir())
	gone, release, err := k.Hold(t.Context(), "i-1")
	if err != nil {
		t.Fatal(err)
	}
	waiter := make(chan *Instance)
	go func() {
		in, release, err := k.Hold(t.Context(), "i-1")
		if err == nil {
			release()
		}
		waiter <- in
	}()
	k.Forget(gone)
	release()
	if next := <-waiter; next == nil || next == gone {
		t.Errorf("the waiter has %p, the object that is gone is %p", next, gone)
	}
	k.Forget(k.Instance("i-1"))
	if _, _, err := k.Take(t.Context(), k.Handle("i-2")); !errors.Is(err, compute.ErrGone) {
		t.Errorf("take: %v", err)
	}
	if _, err := k.Describe(t.Context(), k.Handle("i-3")); err != nil {
		t.Errorf("describe: %v", err)
	}
	if all := k.All(); len(all) > 0 {
		t.Errorf("%d objects of instances that are not there", len(all))
	}
}
