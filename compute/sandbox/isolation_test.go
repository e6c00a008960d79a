//go:build linux

package sandbox

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/compute/computetest"
)

// attempt is something that root in an instance tries; want says whether the
// shell command may succeed.
type attempt struct {
	name, command string
	want          bool
}

// try runs the attempts as user data and reports those that went otherwise.
func try(t *testing.T, w *computetest.World, attempts []attempt) compute.Handle {
	t.Helper()
	var script strings.Builder
	script.WriteString("#!/bin/bash\n")
	for i, a := range attempts {
		fmt.Fprintf(&script, "if out=$(timeout 20 bash -c %s 2>&1); then echo attempt %d succeeded: $out; else echo attempt %d failed: $out; fi\n",
			"'"+strings.ReplaceAll(a.command, "'", `'\''`)+"'", i, i)
	}
	script.WriteString("echo all tried\n")
	h := w.Launch(w.Spec(script.String()))
	console := w.Console(h, "all tried\n")
	for i, a := range attempts {
		_, after, ok := strings.Cut(console, fmt.Sprintf("attempt %d ", i))
		line, _, _ := strings.Cut(after, "\n")
		if !ok || strings.HasPrefix(line, "succeeded") != a.want {
			t.Errorf("%s: %s, want success %v", a.name, line, a.want)
		}
	}
	return h
}

func TestHostIsOutOfReach(t *testing.T) {
	requireHost(t)
	w := computetest.New(t, harness)
	secret := filepath.Join(w.Dir, "secret")
	if err := os.WriteFile(secret, []byte("the host's secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	sleeper := exec.Command("sleep", "1000")
	if err := sleeper.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sleeper.Process.Kill(); _ = sleeper.Wait() }()
	hostShadow, err := os.ReadFile("/etc/shadow")
	if err != nil {
		t.Fatal(err)
	}
	cwd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	pid := sleeper.Process.Pid
	keyring, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_SESSION_KEYRING, true)
	if err != nil && err != unix.ENOSYS {
		t.Fatal(err)
	}
	gateway := w.Driver.Network().Gateway
	h := try(t, w, []attempt{
		{"is root", "test $(id -u) = 0", true},
		{"is PID 1's child and sees few", "test $(ls /proc | grep -c '^[0-9]') -lt 12", true},
		{"own host name", "hostname | grep -q ^ip-", true},
		{"read the data folder", "cat " + secret, false},
		{"see the data folder", "ls " + w.Dir, false},
		{"see the source", "ls " + cwd, false},
		{"find the secret anywhere", "grep -rl 'host.s sec[r]et' /tmp /root /home /mnt /media /srv /opt /var /run", false},
		{"a password in /etc/shadow", `grep -v -E '^[^:]*:[*!]+:' /etc/shadow`, false},
		{"files in /root", "ls -A /root | grep -q .", false},
		{"another home than ec2-user's", "ls /home | grep -v ec2-user", false},
		{"signal a host process", fmt.Sprintf("kill -0 %d", pid), false},
		{"see a host process", fmt.Sprintf("test -e /proc/%d/exe", pid+100000), false},
		{"reach the host through PID 1", "ls /proc/1/root" + w.Dir, false},
		{"use the host's session keyring", fmt.Sprintf("perl -e 'exit(syscall(250, 0, -3, 0) == %d ? 0 : 1)'", keyring), false},
		{"know the gateway without asking", fmt.Sprintf("grep -qE '^%s .* 0x6 ' /proc/net/arp", gateway), true},
		{"make a disk device", "mknod /tmp/disk b 8 0", false},
		{"make a memory device", "mknod /tmp/mem c 1 1", false},
		{"see disks", "ls /dev | grep -E '^(sd|vd|nvme|loop|mem|kmsg|kvm)'", false},
		{"load a module", "perl -e 'my $none = \"\"; exit(syscall(313, 0, $none, 0) == 0 ? 0 : 1)' || modprobe dummy", false},
		{"mount a disk", "mount -t ext4 /dev/vda /mnt", false},
		{"mount the host's proc back", "umount /proc; ls /proc/" + fmt.Sprint(pid), false},
		{"uncover what is below", "umount -l /usr", false},
		{"write to sysfs", "echo 1 > /sys/kernel/mm/ksm/run", false},
		{"remount sysfs and write", "mount -o remount,rw /sys && echo 1 > /sys/kernel/mm/ksm/run", false},
		{"set a host sysctl", "echo 1 > /proc/sys/kernel/panic", false},
		{"sysrq", "echo h > /proc/sysrq-trigger && test -s /proc/sysrq-trigger", false},
		{"read the kernel's memory", "head -c 1 /proc/kcore | grep -q .", false},
		{"set the clock", "date -s 2001-01-01", false},
		{"change the binary of the agent", "echo x >> /usr/lib/slipway/slipway", false},
		{"join the host's namespaces", "nsenter -t 1 -n -m true && ls " + w.Dir, false},
		{"mount cgroups and lift limits", "mkdir -p /tmp/cg && mount -t cgroup -o memory none /tmp/cg && echo -1 > /tmp/cg/memory.limit_in_bytes", false},
		{"own /usr", "touch /usr/bin/mine && rm /usr/bin/mine", true},
		{"change a file of /usr", "echo >> /usr/bin/zgrep", true},
		{"bind a low port", "perl -MIO::Socket::INET -e 'IO::Socket::INET->new(LocalPort => 80, Listen => 1) or exit 1'", true},
		{"change the host name", "hostname other && test $(hostname) = other", true},
		{"use a tmpfs", "mount -t tmpfs none /mnt && echo x > /mnt/x && umount /mnt", true},
		{"use a pseudo terminal", "script -qc true /dev/null", true},
		{"write as a service's user", "chown nobody /tmp && su -s /bin/sh nobody -c 'echo x > /tmp/x'", true},
	})
	after, err := os.ReadFile("/etc/shadow")
	if err != nil || string(after) != string(hostShadow) {
		t.Errorf("the host's /etc/shadow has changed (%v)", err)
	}
	if err := sleeper.Process.Signal(unix.Signal(0)); err != nil {
		t.Errorf("the host's process: %v", err)
	}
	w.Want(h, compute.Running)
	var st unix.Stat_t
	if err := unix.Stat(fmt.Sprintf("/proc/%d/root/usr/bin/zgrep", w.Driver.(*Driver).FirstProcess(h.ID)), &st); err != nil {
		t.Fatal(err)
	}
	if st.Uid < firstUID || st.Gid < firstUID {
		t.Errorf("what root inside wrote belongs to %d:%d on the host", st.Uid, st.Gid)
	}
	if host, err := os.ReadFile("/usr/bin/zgrep"); err != nil || strings.HasSuffix(string(host), "\n\n") {
		t.Errorf("the host's own file has changed (%v)", err)
	}
}

// TestDataFolderIsNotInTheImage: instances see all of the host's /usr.
func TestDataFolderIsNotInTheImage(t *testing.T) {
	for dir, ok := range map[string]bool{t.TempDir(): true, "/usr/lib": false} {
		if err := outsideImage(dir); (err == nil) != ok {
			t.Errorf("%s: %v", dir, err)
		}
	}
}

func TestLimitsHold(t *testing.T) {
	requireHost(t)
	w := computetest.New(t, harness)
	spec := w.Spec("#!/bin/bash\n" +
		"n=0; while [ $n -lt 400 ]; do sleep 1000 & n=$((n+1)); done 2>/tmp/forks\n" +
		"echo there are $(jobs -r | wc -l) children\necho forked\n")
	spec.Limits = compute.Limits{MilliCPU: 1000, Memory: 256 << 20, Processes: 60}
	h := w.Launch(spec)
	// The shell gives up, or keeps trying: either way the limit holds.
	w.Until("the limit of processes", func() bool { return pidsOf(w, h) == "60" })
	w.Want(h, compute.Running)
	w.Do(w.Driver.Terminate(t.Context(), h))

	spec = w.Spec("#!/bin/bash\nperl -e 'my $x = \"x\" x (1 << 30); print \"got it\\n\"; sleep 1000'\necho hog ended with $?\n")
	spec.Limits = compute.Limits{MilliCPU: 1000, Memory: 128 << 20, Processes: 60}
	h = w.Launch(spec)
	if got := w.Console(h, "hog ended with"); !strings.Contains(got, "hog ended with 137") {
		t.Errorf("console:\n%s", got)
	}
	w.Want(h, compute.Running)
}

// TestIdleInstanceIsSmall: the first process, which is all of Slipway's binary,
// holds on to little of it.
func TestIdleInstanceIsSmall(t *testing.T) {
	requireHost(t)
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		t.Skip("the race detector takes memory of its own")
	}
	w := computetest.New(t, harness)
	h := w.Launch(w.Spec(""))
	w.Console(h, "no user data\n")
	status := fmt.Sprintf("/proc/%d/status", w.Driver.(*Driver).FirstProcess(h.ID))
	w.Until("less than 12 MB of memory", func() bool {
		b, err := os.ReadFile(status)
		_, after, ok := strings.Cut(string(b), "VmRSS:")
		var kB int
		_, scanErr := fmt.Sscan(after, &kB)
		return err == nil && ok && scanErr == nil && kB < 12<<10
	})
}

// TestRebootFromWithin: the system call that reboots a machine ends an instance
// only, and that is told as an exit.
func TestRebootFromWithin(t *testing.T) {
	requireHost(t)
	if runtime.GOARCH != "amd64" {
		t.Skip("the numbers of system calls are amd64's")
	}
	w := computetest.New(t, harness)
	spec := w.Spec("#!/bin/sh\nperl -e 'syscall(169, 0xfee1dead, 672274793, 0x01234567, 0)'\n")
	h := w.Launch(spec)
	if e := <-w.Driver.Events(); e.ID != h.ID {
		t.Errorf("event of %s", e.ID)
	}
	w.Want(h, compute.Stopped)
	_, err := w.Driver.Start(t.Context(), spec, h)
	w.Do(err)
	w.Want(h, compute.Running)
}

// TestTwoDriversShareAHost opens two at the same time: neither range nor
// metadata of the one is the other's.
func TestTwoDriversShareAHost(t *testing.T) {
	requireHost(t)
	one, two := computetest.New(t, harness), computetest.New(t, harness)
	a, b := one.Driver.Network(), two.Driver.Network()
	if a.Instances.Overlaps(b.Instances) || a.Elastic.Overlaps(b.Elastic) {
		t.Fatalf("%+v and %+v overlap", a, b)
	}
	for _, w := range []*computetest.World{one, two} {
		spec := w.Spec("#!/bin/sh\necho I am $SLIPWAY_INSTANCE_IP\n")
		h := w.Launch(spec)
		w.Console(h, "I am "+spec.Address.String()+"\n")
	}
}

func TestProbeFindsThisHostFit(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	for _, f := range Probe() {
		t.Logf("%s: %v (%s) %s", f.Check, f.OK, f.Detail, f.Remedy)
		if !f.OK && f.Remedy == "" {
			t.Errorf("%s fails without a remedy", f.Check)
		}
	}
	if link, err := os.ReadDir("/sys/class/net"); err == nil {
		for _, l := range link {
			if strings.Contains(l.Name(), "probe") {
				t.Errorf("the probe left %s", l.Name())
			}
		}
	}
}

// BenchmarkLaunch is what RunInstances waits for: with a limited disk, and as a
// peer without one.
func BenchmarkLaunch(b *testing.B) {
	exe, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	opened, err := New(Config{Dir: b.TempDir(), Slipway: exe})
	if err != nil {
		b.Skip(err)
	}
	d := opened.(*Driver)
	defer d.Close()
	defer d.Clean(b.Context())
	for _, how := range []struct {
		name        string
		unsupported error
	}{{"volume", d.volumes.unsupported}, {"folder", compute.ErrUnsupported}} {
		b.Run(how.name, func(b *testing.B) {
			d.volumes.unsupported = how.unsupported
			spec := compute.Spec{
				ID: "i-1", Hostname: "bench", Address: d.Network().Gateway.Next(),
				Limits: compute.Limits{MilliCPU: 2000, Memory: 1 << 30, Processes: 500},
			}
			for b.Loop() {
				h, err := d.Launch(b.Context(), spec)
				if err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				if err := d.Terminate(b.Context(), h); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
		})
	}
}
