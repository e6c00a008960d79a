package corpus

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/slipway/slipway/compute/sandbox"
	"github.com/slipway/slipway/tests/server"
)

// inside is set, to the binary's path, in the run that has its own network.
const inside = "SLIPWAY_CORPUS_BINARY"

func TestMain(m *testing.M) {
	if os.Getenv(inside) != "" {
		os.Exit(m.Run())
	}
	code, err := outside()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// outside builds the binary and runs the tests again in a network of their own,
// out of which nothing leads: real user data loads from everywhere. Whoever is
// not root stays in the host's network, and runs no user data.
func outside() (code int, err error) {
	dir, err := os.MkdirTemp("", "slipway-corpus-")
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	binary, err := server.Build(dir)
	if err != nil {
		return 1, err
	}
	self, err := os.Executable()
	if err != nil {
		return 1, err
	}
	cmd := exec.Command(self, os.Args[1:]...)
	cmd.Env = append(os.Environ(), inside+"="+binary)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if sandboxes() {
		cmd.SysProcAttr = ownNetwork
	}
	var failed *exec.ExitError
	if err := cmd.Run(); errors.As(err, &failed) {
		return 1, nil
	} else if err != nil {
		return 1, err
	}
	return 0, nil
}

// sandboxes reports whether instances can run apart from the host.
func sandboxes() bool {
	if os.Geteuid() != 0 {
		return false
	}
	for _, f := range sandbox.Probe() {
		if f.Required && !f.OK {
			return false
		}
	}
	return true
}

// start runs Slipway and returns its address.
func start(t *testing.T) string {
	t.Helper()
	driver := "process"
	if sandboxes() {
		driver = "sandbox"
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			t.Fatal(err)
		}
		if err := netlink.LinkSetUp(lo); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.MkdirTemp("", "slipway-corpus-")
	if err != nil {
		t.Fatal(err)
	}
	binary := os.Getenv(inside)
	srv, err := server.Start(binary, nil, "--data", data, "--listen", "127.0.0.1:0", "--compute", driver, "--wait-scale", "0.01", "--log", "warn")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := srv.Stop(); err != nil {
			t.Errorf("stop Slipway: %v", err)
		}
		if t.Failed() {
			t.Log(srv.Log())
		}
		if out, err := exec.Command(binary, "doctor", "--clean", "--data", data).CombinedOutput(); err != nil {
			t.Errorf("doctor --clean: %v\n%s", err, out)
		}
		if err := os.RemoveAll(data); err != nil {
			t.Error(err)
		}
	})
	return srv.Endpoint
}
