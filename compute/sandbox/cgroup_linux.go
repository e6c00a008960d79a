package sandbox

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/slipway/slipway/compute"
)

// cgroups bound what instances use of the host. The files are written directly:
// it is four numbers an instance, and a thread has to join before it forks.
type cgroups struct {
	v2      bool
	parents map[string]string // controller -> folder that holds the instances' groups; "" in v2
	unified string            // folder in the hierarchy of v2, which hosts with v1 may have, too; "" for none
}

// controllers are the ones that an instance's limits need.
var controllers = []string{"cpu", "memory", "pids"}

// findCgroups finds the hierarchies, and where the parent group called name
// stands in them.
func findCgroups(name string) (cgroups, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return cgroups{}, err
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return cgroups{}, err
	}
	return locateCgroups(string(mounts), string(own), name)
}

// openCgroups makes the parent group called name.
func openCgroups(name string) (cgroups, error) {
	c, err := findCgroups(name)
	if err != nil {
		return c, err
	}
	if !c.v2 && c.unified != "" && os.MkdirAll(c.unified, 0o755) != nil {
		c.unified = "" // it is there to be seen only
	}
	return c, c.makeParents()
}

func (c cgroups) makeParents() error {
	for _, dir := range c.parents {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("make %s: %w", dir, err)
		}
	}
	if c.v2 {
		return c.delegate()
	}
	return nil
}

// locateCgroups reads mountinfo(5) and /proc/self/cgroup. With cgroup v1 the
// groups stand below Slipway's own, so that what bounds Slipway bounds them; v2
// allows no processes in a group that has children, so there they stand at the top.
func locateCgroups(mountinfo, own, name string) (cgroups, error) {
	v1, v2 := map[string]string{}, ""
	for s := bufio.NewScanner(strings.NewReader(mountinfo)); s.Scan(); {
		before, after, ok := strings.Cut(s.Text(), " - ")
		pre, post := strings.Fields(before), strings.Fields(after)
		if !ok || len(pre) < 5 || len(post) < 3 {
			continue
		}
		switch post[0] {
		case "cgroup2":
			v2 = pre[4]
		case "cgroup":
			for opt := range strings.SplitSeq(post[2], ",") {
				v1[opt] = pre[4]
			}
		}
	}
	c := cgroups{parents: map[string]string{}}
	paths := ownGroups(own)
	for _, ctl := range controllers {
		if mount, ok := v1[ctl]; ok {
			c.parents[ctl] = filepath.Join(mount, paths[ctl], name)
		}
	}
	if v2 != "" {
		c.unified = filepath.Join(v2, name)
	}
	switch {
	case len(c.parents) == len(controllers):
		return c, nil
	case len(c.parents) == 0 && v2 != "":
		return cgroups{v2: true, parents: map[string]string{"": c.unified}, unified: c.unified}, nil
	}
	return cgroups{}, fmt.Errorf("the cpu, memory and pids controllers are not all mounted (found v1 %v, v2 %q)", c.parents, v2)
}

// ownGroups reads "4:memory:/path" lines.
func ownGroups(text string) map[string]string {
	paths := map[string]string{}
	for line := range strings.Lines(text) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) != 3 {
			continue
		}
		for ctl := range strings.SplitSeq(f[1], ",") {
			paths[ctl] = f[2]
		}
	}
	return paths
}

// delegate switches the controllers on for the groups below (cgroup v2).
func (c cgroups) delegate() error {
	on := "+" + strings.Join(controllers, " +")
	parent := c.parents[""]
	for _, dir := range []string{filepath.Dir(parent), parent} {
		if err := write(filepath.Join(dir, "cgroup.subtree_control"), on); err != nil {
			return fmt.Errorf("switch on the cpu, memory and pids controllers: %w", err)
		}
	}
	return nil
}

func write(path, value string) error {
	return os.WriteFile(path, []byte(value), 0o644)
}

// folders are the instance's groups.
func (c cgroups) folders(id string) []string {
	var dirs []string
	for _, parent := range c.parents {
		dirs = append(dirs, filepath.Join(parent, id))
	}
	return dirs
}

// create makes the instance's groups with its limits.
func (c cgroups) create(id string, l compute.Limits) error {
	for _, dir := range c.folders(id) {
		err := os.Mkdir(dir, 0o755)
		if errors.Is(err, fs.ErrNotExist) {
			// Nothing was in the parent, and somebody removed it: another Slipway's
			// doctor, in a network namespace where it cannot see that we run.
			if err = c.makeParents(); err == nil {
				err = os.Mkdir(dir, 0o755)
			}
		}
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	for _, s := range c.settings(l) {
		path := filepath.Join(c.parents[s.controller], id, s.file)
		if err := write(path, s.value); err != nil && !(s.optional && errors.Is(err, fs.ErrNotExist)) {
			return fmt.Errorf("limit %s=%s: %w", s.file, s.value, err)
		}
	}
	return nil
}

type setting struct {
	controller, file, value string
	optional                bool // not every kernel has the file
}

// settings are the limits as files; a limit of 0 is none.
func (c cgroups) settings(l compute.Limits) []setting {
	num := func(n int64) string { return strconv.FormatInt(n, 10) }
	const period = 100_000 // microseconds
	var s []setting
	if c.v2 {
		if l.Memory > 0 {
			s = append(s, setting{"", "memory.max", num(l.Memory), false}, setting{"", "memory.swap.max", "0", true},
				setting{"", "memory.oom.group", "0", true})
		}
		if l.Processes > 0 {
			s = append(s, setting{"", "pids.max", num(l.Processes), false})
		}
		if l.MilliCPU > 0 {
			s = append(s, setting{"", "cpu.max", num(l.MilliCPU*period/1000) + " " + num(period), false},
				setting{"", "cpu.weight", num(min(10000, max(1, l.MilliCPU/10))), false})
		}
		return s
	}
	if l.Memory > 0 {
		s = append(s, setting{"memory", "memory.limit_in_bytes", num(l.Memory), false},
			setting{"memory", "memory.memsw.limit_in_bytes", num(l.Memory), true})
	}
	if l.Processes > 0 {
		s = append(s, setting{"pids", "pids.max", num(l.Processes), false})
	}
	if l.MilliCPU > 0 {
		s = append(s, setting{"cpu", "cpu.cfs_period_us", num(period), true},
			setting{"cpu", "cpu.cfs_quota_us", num(l.MilliCPU * period / 1000), true},
			setting{"cpu", "cpu.shares", num(max(2, l.MilliCPU*1024/1000)), false})
	}
	return s
}

// joinThread moves the calling thread into the instance's groups (cgroup v1), so
// that what it forks is born there. In v2 the fork itself does it: see fd.
func (c cgroups) joinThread(id string) error {
	if c.v2 {
		return nil
	}
	for _, dir := range c.folders(id) {
		if err := write(filepath.Join(dir, "tasks"), strconv.Itoa(unix.Gettid())); err != nil {
			return err
		}
	}
	return nil
}

// fd opens the instance's group for clone3 (cgroup v2).
func (c cgroups) fd(id string) (int, bool) {
	if !c.v2 {
		return -1, false
	}
	fd, err := unix.Open(filepath.Join(c.parents[""], id), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	return fd, err == nil
}

// remove removes groups whose processes have ended. The kernel may need a
// moment to let go of the last one, so a busy group is told as an error.
func removeGroups(dirs []string) error {
	var errs []error
	for _, dir := range dirs {
		if err := unix.Rmdir(dir); err != nil && !errors.Is(err, unix.ENOENT) {
			errs = append(errs, fmt.Errorf("remove %s: %w", dir, err))
		}
	}
	return errors.Join(errs...)
}
