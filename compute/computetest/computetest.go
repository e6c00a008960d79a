// Package computetest is the suite that every compute driver passes. It may
// import compute, agent and dataplane/metadata, and owns what it starts until
// the test ends.
package computetest

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slipway/slipway/agent"
	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/dataplane/metadata"
)

// Harness says which driver is tested.
type Harness struct {
	// Open opens the driver on a folder. The binary is one that runs Main.
	Open func(dir, binary string, log *slog.Logger) (compute.Driver, error)
	// InMemory is set where no process runs: instances have no user data, and
	// end with the driver.
	InMemory bool
}

// crashArgument makes the test binary launch an instance, to be killed at it.
const crashArgument = "computetest-launch"

// Main is TestMain of a driver's tests: the test binary is also the slipway
// binary that drivers start as instances' first process.
func Main(m *testing.M, h Harness) {
	if len(os.Args) > 2 && os.Args[1] == "agent" {
		os.Exit(agent.Main(os.Args[2:]))
	}
	if status, ok := agent.Tool(os.Args); ok {
		os.Exit(status)
	}
	if len(os.Args) == 3 && os.Args[1] == crashArgument {
		os.Exit(launchAndWait(h, os.Args[2]))
	}
	os.Exit(m.Run())
}

// Run runs the suite.
func Run(t *testing.T, h Harness) {
	for _, tt := range []struct {
		name string
		run  func(*testing.T, *World)
		real bool
	}{
		{"a life", testLife, false},
		{"launching twice is one", testLaunchTwice, false},
		{"what is gone", testGone, false},
		{"an address is one instance's", testBusyAddress, false},
		{"list and clean", testListAndClean, false},
		{"ten at once", testTenAtOnce, false},
		{"console", testConsole, false},
		{"a launch that is given up", testGivenUp, false},
		{"files stay over stop and start", testFilesStay, true},
		{"user data runs once", testUserDataOnce, true},
		{"user data's ways", testUserDataForms, true},
		{"a stop is polite", testPoliteStop, true},
		{"the address answers", testAnswers, true},
		{"elastic addresses move", testElastic, true},
		{"a new driver finds instances", testRestart, true},
		{"an exit is noticed", testExit, true},
		{"a crash at launch", testCrash, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.real && h.InMemory {
				t.Skip("the driver runs no processes")
			}
			tt.run(t, New(t, h))
		})
	}
}

// World is one driver on a folder of its own, with a metadata service.
type World struct {
	T      *testing.T
	H      Harness
	Dir    string
	Driver compute.Driver

	metadata *metadata.Server
	mu       sync.Mutex
	known    map[netip.Addr]metadata.Instance
	next     int
}

// New opens the driver. Everything is removed when the test ends.
func New(t *testing.T, h Harness) *World {
	t.Helper()
	w := &World{T: t, H: h, Dir: t.TempDir(), known: map[netip.Addr]metadata.Instance{}}
	w.Open()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if t.Failed() {
			w.dump()
		}
		if _, err := w.Driver.Clean(ctx); err != nil {
			t.Errorf("clean: %v", err)
		}
		w.Close()
	})
	return w
}

// Open opens the driver, and serves metadata where it has a listener for it.
func (w *World) Open() {
	w.T.Helper()
	binary, err := os.Executable()
	if err != nil {
		w.T.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(w.T.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	if w.Driver, err = w.H.Open(w.Dir, binary, log); err != nil {
		w.T.Fatalf("open: %v", err)
	}
	m, ok := w.Driver.(compute.MetadataListener)
	if !ok {
		return
	}
	ln, err := m.ListenMetadata(w.T.Context())
	if err != nil {
		w.T.Fatalf("listen for metadata requests: %v", err)
	}
	w.metadata = metadata.Serve(ln, metadata.NewHandler(w, log, time.Now))
}

// Close closes the driver; its instances go on.
func (w *World) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if w.metadata != nil {
		_ = w.metadata.Stop(ctx)
		w.metadata = nil
	}
	if err := w.Driver.Close(); err != nil {
		w.T.Errorf("close: %v", err)
	}
}

// dump shows the consoles of instances when a test has failed.
func (w *World) dump() {
	hs, _ := w.Driver.List(context.Background())
	for _, h := range hs {
		b, _ := w.Driver.Console(context.Background(), h)
		w.T.Logf("console of %s:\n%s", h.ID, b)
	}
}

// Lookup finds an instance for the metadata service.
func (w *World) Lookup(_ context.Context, a netip.Addr) (metadata.Instance, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	in, ok := w.known[a]
	return in, ok, nil
}

// Tell changes what the metadata service says of the instance that has an address.
func (w *World) Tell(a netip.Addr, change func(*metadata.Instance)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	in := w.known[a]
	change(&in)
	w.known[a] = in
}

// RoleCredentials has none.
func (w *World) RoleCredentials(context.Context, string) (metadata.Credentials, error) {
	return metadata.Credentials{}, fmt.Errorf("no role")
}

// IdentityCredentials has some to sign with.
func (w *World) IdentityCredentials(_ context.Context, id string) (metadata.Credentials, error) {
	return metadata.Credentials{AccessKeyID: "ASIA" + id, SecretAccessKey: "secret", SessionToken: "session"}, nil
}

// Spec describes a new instance with the user data.
func (w *World) Spec(userData string) compute.Spec {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.next++
	n := w.Driver.Network()
	b := n.Instances.Masked().Addr().As4()
	b[3] = byte(9 + w.next)
	ip := netip.AddrFrom4(b)
	id := fmt.Sprintf("i-%017x", w.next)
	w.known[ip] = metadata.Instance{ID: id, PrivateIP: ip, UserData: []byte(userData), Enabled: true, TokensRequired: true}
	return compute.Spec{
		ID: id, Image: "builtin", Address: ip, Subnet: n.Instances, Gateway: n.Gateway,
		Hostname:    "ip-" + strings.ReplaceAll(ip.String(), ".", "-") + ".ec2.internal",
		Limits:      compute.Limits{MilliCPU: 2000, Memory: 1 << 30, Processes: 500},
		Environment: map[string]string{"AWS_REGION": "eu-central-1"},
	}
}

// Launch launches it.
func (w *World) Launch(spec compute.Spec) compute.Handle {
	w.T.Helper()
	h, err := w.Driver.Launch(w.T.Context(), spec)
	if err != nil {
		w.T.Fatalf("launch: %v", err)
	}
	return h
}

// State is what Describe finds.
func (w *World) State(h compute.Handle) compute.State {
	w.T.Helper()
	st, err := w.Driver.Describe(w.T.Context(), h)
	if err != nil {
		w.T.Fatalf("describe: %v", err)
	}
	return st.State
}

// Want checks the state.
func (w *World) Want(h compute.Handle, want compute.State) {
	w.T.Helper()
	if got := w.State(h); got != want {
		w.T.Fatalf("%s is %s, want %s", h.ID, got, want)
	}
}

// Do fails the test on an error.
func (w *World) Do(err error) {
	w.T.Helper()
	if err != nil {
		w.T.Fatal(err)
	}
}

// Console waits until the console has the text, and returns all of it.
func (w *World) Console(h compute.Handle, text string) string {
	w.T.Helper()
	var got []byte
	w.Until("console with "+text, func() bool {
		var err error
		got, err = w.Driver.Console(w.T.Context(), h)
		return err == nil && strings.Contains(string(got), text)
	})
	return string(got)
}

// Until polls, with a deadline far beyond what is needed.
func (w *World) Until(what string, ok func() bool) {
	w.T.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			w.T.Fatalf("waited in vain for %s", what)
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-w.T.Context().Done():
			w.T.Fatal(w.T.Context().Err())
		}
	}
}
