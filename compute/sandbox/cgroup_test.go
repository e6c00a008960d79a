//go:build linux

package sandbox

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/compute/keeper"
)

func TestLocateCgroups(t *testing.T) {
	const v1 = `31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory
39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
`
	const v2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
	for _, tt := range []struct {
		name, mounts, own string
		v2                bool
		want              map[string]string
		unified           string
	}{
		{"v1, below Slipway's own", v1, "8:pids:/\n4:memory:/user/a\n2:cpu,cpuacct:/\n0::/\n", false, map[string]string{
			"cpu": "/sys/fs/cgroup/cpu,cpuacct/s", "memory": "/sys/fs/cgroup/memory/user/a/s", "pids": "/sys/fs/cgroup/pids/s"}, "/sys/fs/cgroup/unified/s"},
		{"v2, at the top", v2, "0::/system.slice/slipway.service\n", true, map[string]string{"": "/sys/fs/cgroup/s"}, "/sys/fs/cgroup/s"},
		{"none", "22 27 0:21 / /proc rw - proc proc rw\n", "", false, nil, ""},
		{"v1 without pids", strings.ReplaceAll(v1, "rw,pids", "rw,freezer"), "", false, nil, ""},
	} {
		c, err := locateCgroups(tt.mounts, tt.own, "s")
		if (err != nil) != (tt.want == nil) {
			t.Errorf("%s: %v", tt.name, err)
		}
		if d := cmp.Diff(tt.want, c.parents); err == nil && (d != "" || c.v2 != tt.v2) {
			t.Errorf("%s: v2 %v, %s", tt.name, c.v2, d)
		}
		if c.unified != tt.unified {
			t.Errorf("%s: programs freeze at %q, want %q", tt.name, c.unified, tt.unified)
		}
	}
}

// TestLimitsOfV2 writes into plain files, as hosts with v2 have them: the kernel
// that reads them is not needed to see what is written.
func TestLimitsOfV2(t *testing.T) {
	top := t.TempDir()
	c := cgroups{v2: true, parents: map[string]string{"": filepath.Join(top, "s")}}
	if err := os.Mkdir(c.parents[""], 0o755); err != nil {
		t.Fatal(err)
	}
	if err := c.delegate(); err != nil {
		t.Fatal(err)
	}
	if err := c.create("i-1", compute.Limits{MilliCPU: 500, Memory: 1 << 20, Processes: 9}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"cgroup.subtree_control": "+cpu +memory +pids", "s/cgroup.subtree_control": "+cpu +memory +pids",
		"s/i-1/cpu.max": "50000 100000", "s/i-1/cpu.weight": "50", "s/i-1/memory.max": "1048576",
		"s/i-1/memory.swap.max": "0", "s/i-1/pids.max": "9",
	} {
		if b, err := os.ReadFile(filepath.Join(top, name)); err != nil || string(b) != want {
			t.Errorf("%s: %q, %v, want %q", name, b, err, want)
		}
	}
}

func TestLimitsOfV1(t *testing.T) {
	got := map[string]string{}
	for _, s := range (cgroups{}).settings(compute.Limits{MilliCPU: 2000, Memory: 1 << 30, Processes: 100}) {
		got[s.file] = s.value
	}
	want := map[string]string{
		"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "200000", "cpu.shares": "2048",
		"memory.limit_in_bytes": "1073741824", "memory.memsw.limit_in_bytes": "1073741824", "pids.max": "100",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if s := (cgroups{}).settings(compute.Limits{}); len(s) != 0 {
		t.Errorf("no limits give %v", s)
	}
}

// What instances were started in is found, wherever Slipway stood then.
func TestParentGroupsAreThoseOfAllInstances(t *testing.T) {
	k, err := keeper.Open(Name, t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = k.Close() }()
	d := &Driver{Keeper: k, cgroups: cgroups{parents: map[string]string{"cpu": "/now/cpu", "pids": "/now/cpu"}}}
	for id, groups := range map[string][]string{"i-1": {"/then/cpu/i-1", "/now/cpu/i-1"}, "i-2": {"/then/cpu/i-2"}, "i-3": nil} {
		if err := k.Instance(id).Change(func(r *keeper.Record) { r.Groups = groups }); err != nil {
			t.Fatal(err)
		}
	}
	if got := d.parentGroups(); !slices.Equal(got, []string{"/now/cpu", "/then/cpu"}) {
		t.Errorf("%v", got)
	}
}

// TestParentIsMadeAgain: a parent group that was removed while nothing was in it.
func TestParentIsMadeAgain(t *testing.T) {
	c := cgroups{parents: map[string]string{"pids": t.TempDir() + "/parent"}}
	for range 2 {
		if err := c.create("i-1", compute.Limits{}); err != nil {
			t.Fatal(err)
		}
		for _, dir := range append(c.folders("i-1"), c.parents["pids"]) {
			if err := os.Remove(dir); err != nil {
				t.Fatal(err)
			}
		}
	}
}
