//go:build linux

package sandbox

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/compute/computetest"
)

// A server of its own that forks and writes for each request, as one of its
// neighbours would keep it from doing.
const goodNeighbour = "#!/bin/bash\n" +
	`exec perl -MIO::Socket::INET -e '
my $s = IO::Socket::INET->new(LocalPort => 80, Listen => 64, ReuseAddr => 1) or die;
print "serving\n"; $| = 1;
while (my $c = $s->accept) {
  while (<$c>) { last if /^\r?$/ }
  my $f;
  my $well = system("/bin/true") == 0 && open($f, ">", "/mark") && (print {$f} "x" x 100000) && close($f);
  print $c "HTTP/1.0 200 OK\r\n\r\n", $well ? "well" : "hurt: $!";
  close $c;
}'
`

// TestBadNeighbours: while one instance forks without end, one takes all memory
// that it gets, one does so in many small processes and one has filled its disk,
// another serves each request, the host can fork and write, and a new instance
// starts. None of the bad ones stops: their first processes have the threads that
// they need, and are not what the kernel kills.
func TestBadNeighbours(t *testing.T) {
	requireVolumes(t)
	w := computetest.New(t, harness)
	good := w.Spec(goodNeighbour)
	server := w.Launch(good)
	url := "http://" + net.JoinHostPort(good.Address.String(), "80")
	w.Until("the good neighbour serves", func() bool { got, err := ask(t.Context(), url); return err == nil && got == "well" })

	limits := compute.Limits{MilliCPU: 300, Memory: 128 << 20, Processes: 60, Disk: 64 << 20}
	var bad []compute.Handle
	launch := func(script string) compute.Handle {
		spec := w.Spec("#!/bin/bash\n" + script)
		spec.Limits = limits
		h := w.Launch(spec)
		bad = append(bad, h)
		return h
	}
	// The shell's own limit is the host's second safety, should the first not hold.
	bomb := launch("ulimit -u 400; bomb() { bomb | bomb & }; bomb 2>/dev/null; sleep 1000\n")
	hog := launch("while :; do perl -e 'my $x = \"x\" x (1 << 30)'; echo hog ended with $?; done\n")
	full := launch("dd if=/dev/zero of=/big bs=1M; echo x > /small; echo disk is full; while :; do echo again >> /big; sleep 0.1; done 2>/dev/null\n")
	small := "my $x = \"x\" x (4 << 20); print \"small one\\n\"; sleep 1000"
	swarm := launch("while :; do perl -e '" + small + "' & done\n")
	w.Until("the limit of processes", func() bool { return pidsOf(w, bomb) == "60" })
	if got := w.Console(hog, "hog ended with"); !strings.Contains(got, "hog ended with 137") {
		t.Errorf("console of the hog:\n%s", got)
	}
	if got := w.Console(full, "disk is full"); !strings.Contains(got, "No space left") {
		t.Errorf("console of the full one:\n%s", got)
	}
	w.Until("the swarm's memory is used up", func() bool { return w.Driver.(*Driver).cgroups.oomKills(swarm.ID) > 3 })
	for i := range 30 {
		if got, err := ask(t.Context(), url); err != nil || got != "well" {
			t.Fatalf("request %d to the good neighbour: %q, %v", i, got, err)
		}
	}
	if out, err := exec.Command("/bin/true").CombinedOutput(); err != nil {
		t.Errorf("the host cannot fork: %v: %s", err, out)
	}
	if err := os.WriteFile(filepath.Join(w.Dir, "mark"), make([]byte, 1<<20), 0o600); err != nil {
		t.Errorf("the host cannot write: %v", err)
	}
	late := w.Launch(w.Spec("#!/bin/sh\necho late one runs\n"))
	w.Console(late, "late one runs\n")
	w.Want(server, compute.Running)
	for _, h := range bad {
		w.Want(h, compute.Running)
		w.Do(w.Driver.Terminate(t.Context(), h)) // every process and group of it is gone
	}
	if got, err := ask(t.Context(), url); err != nil || got != "well" {
		t.Errorf("afterwards: %q, %v", got, err)
	}
}

// ask gets one answer, within the time that a client has patience for.
func ask(ctx context.Context, url string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

// pidsOf is how many processes the instance's group counts.
func pidsOf(w *computetest.World, h compute.Handle) string {
	for _, dir := range w.Driver.(*Driver).cgroups.folders(h.ID) {
		if b, err := os.ReadFile(filepath.Join(dir, "pids.current")); err == nil {
			return strings.TrimSpace(string(b))
		}
	}
	return ""
}
