package computetest

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/slipway/slipway/compute"
)

// firsts is implemented by drivers that run processes of this host.
type firsts interface{ FirstProcess(id string) int }

func (w *World) firstProcess(h compute.Handle) int {
	w.T.Helper()
	pid := w.Driver.(firsts).FirstProcess(h.ID)
	if pid == 0 {
		w.T.Fatalf("%s has no first process", h.ID)
	}
	return pid
}

func testFilesStay(t *testing.T, w *World) {
	spec := w.Spec("#!/bin/sh\necho kept > \"$HOME/file\"\necho written\n")
	h := w.Launch(spec)
	w.Console(h, "written\n")
	w.Do(w.Driver.Stop(t.Context(), h, false))
	var err error
	h, err = w.Driver.Start(t.Context(), spec, h)
	w.Do(err)
	pid := w.firstProcess(h)
	// The file is there for the instance as it runs now.
	home := "/root/file"
	if w.Driver.Name() == "process" {
		home = w.Dir + "/instances/" + h.ID + "/root/home/file"
	} else {
		home = fmt.Sprintf("/proc/%d/root%s", pid, home)
	}
	if b, err := os.ReadFile(home); err != nil || string(b) != "kept\n" {
		t.Errorf("file: %q, %v", b, err)
	}
}

func testUserDataOnce(t *testing.T, w *World) {
	spec := w.Spec("#!/bin/sh\necho once\n")
	h := w.Launch(spec)
	w.Console(h, "user data finished")
	h, err := w.Driver.Reboot(t.Context(), spec, h)
	w.Do(err)
	got := w.Console(h, "has run before")
	if n := strings.Count(got, "once\n"); n != 1 {
		t.Errorf("it ran %d times", n)
	}
}

func testUserDataForms(t *testing.T, w *World) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = io.WriteString(z, "#!/bin/sh\necho it works\n")
	_ = z.Close()
	for _, tt := range []struct{ name, data, want string }{
		{"script", "#!/bin/sh\necho it works\n", "it works\n"},
		{"gzip", packed.String(), "it works\n"},
		{"base64", base64.StdEncoding.EncodeToString([]byte("#!/bin/sh\necho it works\n")), "it works\n"},
		{"environment", "#!/bin/sh\necho $AWS_REGION at $SLIPWAY_INSTANCE_IP\n", "eu-central-1 at "},
		{"cloud-config", "#cloud-config\nwrite_files:\n- path: /var/lib/it\n  content: works\n  permissions: '0600'\nruncmd:\n- [sh, -c, 'echo it $0', works]\n- echo two words\n", "it works\ntwo words\n"},
		{"failing script", "#!/bin/sh\necho about to fail\nexit 3\n", "part-001: exit status 3"},
		{"cfn-signal", "#!/bin/sh\ncfn-signal -e 0\n", "or the URL of a wait condition handle"},
		{"cfn-init", "#!/bin/sh\ncfn-init || echo it gave $?\n", "it gave 1\n"},
		{"no user data", "", "no user data"},
		{"neither", "hello", "neither a script"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := w.Launch(w.Spec(tt.data))
			w.Console(h, tt.want)
		})
	}
}

func testPoliteStop(t *testing.T, w *World) {
	spec := w.Spec("#!/bin/sh\n(trap 'echo asked to end; exit 0' TERM; echo trap is set; while :; do sleep 0.05; done) &\n")
	h := w.Launch(spec)
	w.Console(h, "trap is set\n")
	w.Do(w.Driver.Stop(t.Context(), h, false))
	w.Console(h, "asked to end\n")
	w.Console(h, "instance stopped")
}

// server is user data whose program answers each connection with a word, and
// goes on after the script has ended.
func server(word string) string {
	return `#!/bin/sh
perl -MIO::Socket::INET -e '
	my $s = IO::Socket::INET->new(LocalAddr => $ENV{SLIPWAY_INSTANCE_IP}, LocalPort => 8080, Listen => 9, ReuseAddr => 1) or die "listen: $!";
	print STDERR "listening\n";
	while (my $c = $s->accept) { print $c "` + word + `\n"; close $c }' &
`
}

func ask(ip netip.Addr) (string, error) {
	c, err := net.DialTimeout("tcp", netip.AddrPortFrom(ip, 8080).String(), 2*time.Second)
	if err != nil {
		return "", err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	b, err := io.ReadAll(c)
	return string(b), err
}

func testAnswers(t *testing.T, w *World) {
	spec := w.Spec(server("hello"))
	h := w.Launch(spec)
	w.Console(h, "listening\n")
	if got, err := ask(spec.Address); err != nil || got != "hello\n" {
		t.Errorf("answer %q, %v", got, err)
	}
	w.Do(w.Driver.Stop(t.Context(), h, true))
	if got, err := ask(spec.Address); err == nil {
		t.Errorf("it answers %q when stopped", got)
	}
}

func testElastic(t *testing.T, w *World) {
	// The servers listen on their private addresses alone: on EC2, too, what
	// comes to the elastic address arrives there.
	one, two := w.Launch(w.Spec(server("one"))), w.Launch(w.Spec(server("two")))
	w.Console(one, "listening\n")
	w.Console(two, "listening\n")
	ip := w.elastic(1)
	if got, err := ask(ip); err == nil {
		t.Fatalf("%s answers %q before it is assigned", ip, got)
	}
	answers := func(want string) {
		t.Helper()
		if got, err := ask(ip); err != nil || got != want {
			t.Fatalf("%s answers %q, %v; want %q", ip, got, err, want)
		}
	}
	w.Do(w.Driver.AssignAddress(t.Context(), one, ip, netip.Addr{}))
	answers("one\n")
	w.Do(w.Driver.AssignAddress(t.Context(), one, ip, netip.Addr{}))
	w.Do(w.Driver.AssignAddress(t.Context(), two, ip, netip.Addr{}))
	answers("two\n")
	w.Do(w.Driver.UnassignAddress(t.Context(), one, ip)) // it has it no more
	answers("two\n")
	w.Do(w.Driver.AssignAddress(t.Context(), one, ip, netip.Addr{}))
	answers("one\n")
	w.Close()
	w.Open()
	answers("one\n")
	w.Do(w.Driver.UnassignAddress(t.Context(), one, ip))
	if got, err := ask(ip); err == nil {
		t.Errorf("%s answers %q after it was taken away", ip, got)
	}
	if err := w.Driver.AssignAddress(t.Context(), one, netip.MustParseAddr("192.0.2.77"), netip.Addr{}); err == nil {
		t.Error("an address outside the range was assigned")
	}
}

func testRestart(t *testing.T, w *World) {
	spec := w.Spec(server("still here"))
	h := w.Launch(spec)
	w.Console(h, "listening\n")
	before := w.firstProcess(h)
	w.Close()
	if got, err := ask(spec.Address); err != nil || got != "still here\n" {
		t.Errorf("without a driver it answers %q, %v", got, err)
	}
	w.Open()
	w.Want(h, compute.Running)
	if after := w.firstProcess(h); after != before {
		t.Errorf("first process %d, was %d", after, before)
	}
	if again := w.Launch(spec); w.firstProcess(again) != before {
		t.Error("launching it again started another")
	}
	w.Do(w.Driver.Stop(t.Context(), h, false))
	w.Want(h, compute.Stopped)
}

func testExit(t *testing.T, w *World) {
	for _, refound := range []bool{false, true} {
		t.Run(fmt.Sprintf("refound=%v", refound), func(t *testing.T) {
			spec := w.Spec("#!/bin/sh\nsleep 1000 &\necho started\n")
			h := w.Launch(spec)
			w.Console(h, "started\n")
			if refound {
				w.Close()
				w.Open()
			}
			p, err := os.FindProcess(w.firstProcess(h))
			w.Do(err)
			w.Do(p.Kill())
			select {
			case e := <-w.Driver.Events():
				if e.ID != h.ID {
					t.Errorf("event of %s", e.ID)
				}
			case <-time.After(30 * time.Second):
				t.Fatal("no event")
			}
			st, err := w.Driver.Describe(t.Context(), h)
			if err != nil || st.State != compute.Stopped || st.Reason == "" {
				t.Errorf("describe: %+v, %v", st, err)
			}
			_, err = w.Driver.Start(t.Context(), spec, h)
			w.Do(err)
			w.Want(h, compute.Running)
			w.Do(w.Driver.Terminate(t.Context(), h))
		})
	}
}

// crashSpec is the instance that launchAndWait launches.
func crashSpec(d compute.Driver) compute.Spec {
	b := d.Network().Instances.Masked().Addr().As4()
	b[3] = 57
	return compute.Spec{
		ID: "i-crash", Hostname: "crash", Address: netip.AddrFrom4(b), Gateway: d.Network().Gateway,
		Limits: compute.Limits{MilliCPU: 1000, Memory: 512 << 20, Processes: 100},
	}
}

// launchAndWait runs in a process of its own: it tells when it is about to
// launch, and waits to be killed.
func launchAndWait(h Harness, dir string) int {
	binary, err := os.Executable()
	if err != nil {
		return 1
	}
	d, err := h.Open(dir, binary, slog.New(slog.DiscardHandler))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println("launching")
	if _, err := d.Launch(context.Background(), crashSpec(d)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println("launched")
	select {}
}

// testCrash kills a Slipway at moments of a launch; another one then finishes
// it, and it is one instance that can be removed whole.
func testCrash(t *testing.T, w *World) {
	binary, err := os.Executable()
	w.Do(err)
	for _, after := range []time.Duration{0, 2, 5, 8, 12, 16, 20, 25, 30, 40, 60} {
		w.Close()
		cmd := exec.Command(binary, crashArgument, w.Dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		w.Do(err)
		w.Do(cmd.Start())
		line := make([]byte, len("launching\n"))
		if _, err := io.ReadFull(out, line); err != nil {
			t.Fatalf("the other Slipway: %v", err)
		}
		time.Sleep(after * time.Millisecond) // not to wait for anything: to hit another moment
		w.Do(cmd.Process.Kill())
		_ = cmd.Wait()
		w.Open()
		h := w.Launch(crashSpec(w.Driver))
		w.Want(h, compute.Running)
		hs, err := w.Driver.List(t.Context())
		if err != nil || len(hs) != 1 {
			t.Errorf("after %v ms: list %v, %v", int(after), hs, err)
		}
		w.Do(w.Driver.Terminate(t.Context(), h))
		w.Until("no first process left", func() bool { return len(firstProcesses(w.Dir)) == 0 })
	}
}

// firstProcesses finds first processes by the console that they hold open in dir.
func firstProcesses(dir string) (pids []string) {
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		if link, err := os.Readlink("/proc/" + e.Name() + "/fd/4"); err == nil && strings.HasPrefix(link, dir+"/") {
			pids = append(pids, e.Name())
		}
	}
	return pids
}
