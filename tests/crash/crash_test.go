package crash

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slipway/slipway/tests/server"
)

// Bounds of waiting. They only bound what a hang costs.
const (
	settleTimeout = 3 * time.Minute
	callTimeout   = time.Minute
)

// slots is how many stacks have one of everything.
const slots = 3

// enough kills are sure to come while something is under way.
const enough = 10

func setting(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s=%q is no number", name, text)
	}
	return n
}

// harness is one run: a data folder, and the servers that lived and died on it.
type harness struct {
	t        *testing.T
	rnd      *rand.Rand
	data     string
	binary   string
	compute  string
	listen   string
	server   *server.Server
	client   *client
	loads    []load
	slots    []*slot
	doing    []load    // in this round
	busy     []*slot   // likewise
	most     int       // of slots and loads in a round; 0: all of them
	turns    []int     // whose turn is next, where a round has not all
	provider *provider // of things outside Slipway, where there are some
	kills    int
	caught   int           // operations that were under way when a server was killed
	window   time.Duration // within which a kill comes: what the last operations took, and some more
}

// TestKills kills the server SLIPWAY_CRASH_KILLS times. SLIPWAY_CRASH_SEED
// repeats a run's choices, SLIPWAY_CRASH_COMPUTE names the driver, and
// SLIPWAY_CRASH_BINARY a binary that was built already.
func TestKills(t *testing.T) {
	wanted := int(setting(t, "SLIPWAY_CRASH_KILLS", 8))
	h := newHarness(t, 0)
	h.compute = cmp.Or(os.Getenv("SLIPWAY_CRASH_COMPUTE"), "auto")
	h.start()
	all, err := loads(t.Context(), h.client)
	h.must(err)
	h.loads = all
	for i := range slots {
		h.slots = append(h.slots, &slot{name: fmt.Sprintf("crash-%c", 'a'+i)})
	}
	h.run(wanted)
}

// newHarness is one that has not begun. Tests of one seed have choices of their own.
func newHarness(t *testing.T, test uint64) *harness {
	t.Helper()
	seed := setting(t, "SLIPWAY_CRASH_SEED", rand.Uint64()>>1)
	t.Logf("SLIPWAY_CRASH_SEED=%d", seed)
	binary, err := os.Getenv("SLIPWAY_CRASH_BINARY"), error(nil)
	if binary == "" {
		binary, err = server.Build(t.TempDir())
	}
	if err != nil {
		t.Fatal(err)
	}
	h := &harness{
		t: t, rnd: rand.New(rand.NewPCG(seed, test)), data: filepath.Join(t.TempDir(), "data"), binary: binary,
		compute: "process", listen: "127.0.0.1:0", window: time.Second,
	}
	t.Cleanup(h.end)
	return h
}

// run kills as often as wanted, and takes everything away in the end.
func (h *harness) run(wanted int) {
	for round := 0; h.kills < wanted; round++ {
		h.round(round)
	}
	h.emptyAll()
	h.t.Logf("%d kills caught %d operations under way", h.kills, h.caught)
	if wanted >= enough && h.caught == 0 {
		h.t.Errorf("none of %d kills came while an operation was under way: they prove little", h.kills)
	}
}

func (h *harness) start() {
	h.t.Helper()
	s, err := server.Start(h.binary, nil, "--data", h.data, "--listen", h.listen, "--compute", h.compute, "--wait-scale", "0.01", "--log", "warn")
	if err != nil {
		h.fail("the server does not start: %v", err)
	}
	// The first server takes a free port; the others come back to it, as
	// clients know queues by their URLs.
	h.listen = strings.TrimPrefix(s.Endpoint, "http://")
	h.server, h.client = s, newClient(s.Endpoint)
}

func (h *harness) kill() {
	h.server.Kill()
	h.client.close()
	h.kills++
}

func (h *harness) must(err error) {
	h.t.Helper()
	if err != nil {
		h.fail("%v", err)
	}
}

// fail ends the run: after a violation nothing that follows can be told apart.
func (h *harness) fail(format string, args ...any) {
	h.t.Helper()
	log := ""
	if h.server != nil {
		lines := strings.Split(strings.TrimSpace(h.server.Log()), "\n")
		log = strings.Join(lines[max(0, len(lines)-60):], "\n")
	}
	h.t.Fatalf("after %d kills: %s\nthe last server's log:\n%s", h.kills, fmt.Sprintf(format, args...), log)
}

// instant is a random one within the window, rather an early one where little is done
// in a round.
func (h *harness) instant() time.Duration {
	at := h.rnd.Float64()
	if h.most > 0 {
		at *= at
	}
	return time.Duration(at * float64(h.window))
}

// round begins an operation on each stack, kills the server at an instant, and
// maybe the next one while it recovers, and checks what comes of it.
func (h *harness) round(n int) {
	h.pick()
	for _, s := range h.busy {
		s.choose(h.rnd.IntN)
	}
	instant, again := h.instant(), h.rnd.IntN(3) == 0
	h.t.Logf("round %d: %s; kill after %s", n, h.plan(), instant.Round(time.Millisecond))
	h.prepare()
	h.operate(instant)
	h.start()
	h.countCaught()
	began := time.Now()
	if again {
		h.wait(h.instant())
		h.kill()
		h.start()
	}
	h.settle()
	h.window = min(10*time.Second, max(300*time.Millisecond, h.window/2+time.Since(began)/2+instant/2))
	h.check()
	if n%4 == 3 {
		h.checkHost()
	}
}

// pick says which stacks and loads this round is about: each has its turn before any
// has it again.
func (h *harness) pick() {
	h.busy, h.doing = h.slots, h.loads
	if h.most == 0 {
		return
	}
	h.busy, h.doing = nil, nil
	if len(h.turns) < h.most {
		h.turns = append(h.turns, h.rnd.Perm(len(h.slots)+len(h.loads))...)
	}
	turns := slices.Compact(slices.Sorted(slices.Values(h.turns[:h.most])))
	h.turns = h.turns[h.most:]
	for _, n := range turns {
		if n < len(h.slots) {
			h.busy = append(h.busy, h.slots[n])
		} else {
			h.doing = append(h.doing, h.loads[n-len(h.slots)])
		}
	}
}

func (h *harness) prepare() {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), callTimeout)
	defer cancel()
	for _, s := range h.busy {
		h.must(s.prepare(ctx, h.client))
	}
}

// countCaught counts the operations that go on after the restart.
func (h *harness) countCaught() {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), callTimeout)
	defer cancel()
	for _, s := range h.busy {
		at, _, err := s.look(ctx, h.client)
		h.must(err)
		if strings.HasSuffix(at.status, "_IN_PROGRESS") {
			h.caught++
		}
	}
}

func (h *harness) plan() string {
	var ops []string
	for _, s := range h.busy {
		ops = append(ops, s.op.kind+" "+s.name)
	}
	if h.most > 0 {
		for _, l := range h.doing {
			ops = append(ops, fmt.Sprintf("%T", l))
		}
	}
	return strings.Join(ops, ", ")
}

// wait passes the time until a random instant.
func (h *harness) wait(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-h.t.Context().Done():
	}
}

// operate asks for the operations and sends traffic until the kill.
func (h *harness) operate(instant time.Duration) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), callTimeout)
	defer cancel()
	var calls sync.WaitGroup
	errs := make([]error, len(h.busy)+len(h.doing))
	for i, s := range h.busy {
		calls.Go(func() { errs[i] = s.issue(ctx, h.client) })
	}
	for i, l := range h.doing {
		calls.Go(func() { errs[len(h.busy)+i] = l.flow(ctx, h.client) })
	}
	h.wait(instant)
	h.kill()
	calls.Wait()
	for _, err := range errs {
		h.must(err)
	}
}

// settle waits for every stack's end and compares it with where its operation
// leads.
func (h *harness) settle() {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), settleTimeout)
	defer cancel()
	for _, s := range h.busy {
		at, reason, err := s.settle(ctx, h.client)
		h.must(err)
		h.must(s.conclude(at, reason))
		h.must(s.giveUp(ctx, h.client))
	}
}

// inventories are what stacks and harness own, and what is there.
func (h *harness) inventories(ctx context.Context) (owned, there inventory) {
	h.t.Helper()
	owned = inventory{}
	for _, l := range h.loads {
		l.owned(owned)
		if has, ok := l.(stacked); ok {
			for _, name := range has.stacks() {
				h.must(owned.ownedBy(ctx, h.client, name))
			}
		}
	}
	if h.provider != nil {
		h.provider.owned(owned)
	}
	for _, s := range h.slots {
		if s.at.status != absent {
			h.must(owned.ownedBy(ctx, h.client, s.name))
		}
	}
	there, err := take(ctx, h.client)
	h.must(err)
	if h.provider != nil {
		h.must(h.provider.there(there))
	}
	return owned, there
}

func (h *harness) check() {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), callTimeout)
	defer cancel()
	var wrong []string
	var checks sync.WaitGroup
	lost, errs := make([][]string, len(h.doing)), make([]error, len(h.doing))
	for i, l := range h.doing {
		checks.Go(func() { lost[i], errs[i] = l.check(ctx, h.client) })
	}
	checks.Wait()
	for i := range h.doing {
		h.must(errs[i])
		wrong = append(wrong, lost[i]...)
	}
	h.caught += int(h.client.waited.Swap(0))
	if h.provider != nil {
		untold, err := h.provider.differences(h.slots)
		h.must(err)
		wrong = append(wrong, untold...)
	}
	owned, there := h.inventories(ctx)
	if wrong = append(wrong, differences(owned, there)...); len(wrong) > 0 {
		h.fail("%s", strings.Join(wrong, "\n"))
	}
}

// checkHost kills the server at rest and compares the host's instances with the
// API's.
func (h *harness) checkHost() {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), callTimeout)
	defer cancel()
	_, there := h.inventories(ctx)
	h.kill()
	wrong, err := host{h.data, h.binary}.differences(ctx, there["AWS::EC2::Instance"])
	h.must(err)
	if len(wrong) > 0 {
		h.fail("%s", strings.Join(wrong, "\n"))
	}
	h.start()
}

// emptyAll deletes every stack: nothing may be left, on the host either.
func (h *harness) emptyAll() {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), settleTimeout)
	defer cancel()
	h.busy, h.doing = h.slots, h.loads
	for _, s := range h.slots {
		s.op = &operation{kind: deletion}
		h.must(s.issue(ctx, h.client))
	}
	h.settle()
	h.check()
	h.checkHost()
	h.awaitNoFiles(ctx)
	if err := h.server.Stop(); err != nil {
		h.fail("the server does not stop well: %v", err)
	}
	h.client.close()
	left, err := host{h.data, h.binary}.processes()
	h.must(err)
	if len(left) > 0 {
		h.fail("processes are left:\n%s", strings.Join(left, "\n"))
	}
}

// awaitNoFiles waits until no file of an object is left: all objects are
// deleted, and what the kills left is removed in the background after a start.
func (h *harness) awaitNoFiles(ctx context.Context) {
	h.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		n, err := host{h.data, h.binary}.objectFiles()
		h.must(err)
		if n == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			h.fail("%d files of deleted objects are left", n)
		}
	}
}

// end leaves nothing on the host, however the run went.
func (h *harness) end() {
	if h.server != nil {
		h.server.Kill()
	}
	if _, err := os.Stat(filepath.Join(h.data, "instances", "driver")); err != nil {
		return
	}
	if _, err := (host{h.data, h.binary}).clean(context.Background()); err != nil {
		h.t.Errorf("clean the host: %v", err)
	}
}
