package sandbox

import (
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/slipway/slipway/agent"
	"github.com/slipway/slipway/compute"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "agent" {
		os.Exit(agent.Main(os.Args[2:]))
	}
	os.Exit(m.Run())
}

func TestSmoke(t *testing.T) {
	exe, _ := os.Executable()
	dd, err := New(Config{Dir: t.TempDir(), Slipway: exe, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	if err != nil {
		t.Fatal(err)
	}
	d := dd.(*Driver)
	defer func() { r, err := d.Clean(t.Context()); t.Log(r, err); d.Close() }()
	t.Log(d.Network())
	spec := compute.Spec{ID: "i-1", Hostname: "ip-172-31-0-5.ec2.internal", Address: d.Network().Gateway.Next(), Limits: compute.Limits{MilliCPU: 2000, Memory: 1 << 30, Processes: 1000}}
	for range 10 {
		start := time.Now()
		h, err := d.Launch(t.Context(), spec)
		t.Log("launch", time.Since(start), h, err)
		if err != nil {
			b, _ := os.ReadFile(d.Path("instances/i-1/init.log"))
			t.Fatal(string(b))
		}
		if os.Getenv("PAUSE") != "" {
			st, _ := d.Describe(t.Context(), h)
			pid := d.Instance("i-1").Record().Process.PID
			fmt.Println("PID", pid, st)
			b, _ := d.Console(t.Context(), h)
			fmt.Println(string(b))
			b, _ = os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
			fmt.Println(string(b))
			time.Sleep(20 * time.Second)
			return
		}
		start = time.Now()
		if err := d.Terminate(t.Context(), h); err != nil {
			t.Fatal(err)
		}
		t.Log("terminate", time.Since(start))
	}
}
