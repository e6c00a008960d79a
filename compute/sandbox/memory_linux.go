package sandbox

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// memory is what the processes of a group have of their own now. What the kernel
// keeps of files for them does not count, as it does in the peak that it tells.
func (c cgroups) memory(id string) (now int64) {
	keys := []string{"rss", "shmem"}
	if c.v2 {
		keys[0] = "anon"
	}
	stat := c.numbers(id, "memory.stat")
	for _, key := range keys {
		now += stat[key]
	}
	return now
}

// oomKills is how many processes of the group the kernel has killed for want of
// memory.
func (c cgroups) oomKills(id string) int64 {
	if c.v2 {
		return c.numbers(id, "memory.events")["oom_kill"]
	}
	return c.numbers(id, "memory.oom_control")["oom_kill"]
}

// numbers reads a file of the memory controller with lines of a name and a number.
func (c cgroups) numbers(id, file string) map[string]int64 {
	parent := c.parents["memory"]
	if c.v2 {
		parent = c.parents[""]
	}
	b, err := os.ReadFile(filepath.Join(parent, id, file))
	if err != nil {
		return nil
	}
	out := map[string]int64{}
	for line := range strings.Lines(string(b)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		out[name], _ = strconv.ParseInt(value, 10, 64)
	}
	return out
}
