package sandbox

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// A Leftover is something on this host that a sandbox driver made.
type Leftover struct {
	Tag  string // of the data folder that it was made for
	What string // "bridge slw-0a1b2c"
}

// tagLength is that of a data folder's tag.
const tagLength = 6

// Leftovers lists what drivers on this host have set up, of every data folder:
// bridges, control groups, and loop devices whose file is gone. Those of a folder
// that is still there belong to a Slipway that may run; those of any other can
// only be removed by hand, as Clean needs the folder's records.
func Leftovers() ([]Leftover, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return nil, err
	}
	var out []Leftover
	add := func(name, prefix, what string) {
		if tag, ok := strings.CutPrefix(name, prefix); ok && len(tag) == tagLength {
			out = append(out, Leftover{Tag: tag, What: what})
		}
	}
	for _, l := range links {
		if name := l.Attrs().Name; l.Type() == "bridge" {
			add(name, "slw-", "bridge "+name)
		}
	}
	c, err := findCgroups("")
	if err != nil {
		return nil, err
	}
	for _, parent := range c.parents {
		groups, err := filepath.Glob(filepath.Join(parent, "slipway-*"))
		if err != nil {
			return nil, err
		}
		for _, dir := range groups {
			add(filepath.Base(dir), "slipway-", "cgroup "+dir)
		}
	}
	devices, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		return nil, err
	}
	for _, path := range devices {
		name, file := looped(path)
		if label, _, ok := strings.Cut(name, "/"); ok && strings.HasSuffix(file, " (deleted)") {
			device := strings.Split(path, "/")[3]
			add(label, "slipway-", "loop device /dev/"+device+" over "+file)
		}
	}
	slices.SortFunc(out, func(a, b Leftover) int { return strings.Compare(a.Tag+a.What, b.Tag+b.What) })
	return out, nil
}

// looped is the label of a loop device and the file below it; "" where it was let
// go meanwhile.
func looped(path string) (label, file string) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", ""
	}
	n, err := strconv.Atoi(strings.TrimPrefix(strings.Split(path, "/")[3], "loop"))
	if err != nil {
		return "", ""
	}
	fd, err := unix.Open("/dev/loop"+strconv.Itoa(n), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", ""
	}
	defer unix.Close(fd)
	info, err := unix.IoctlLoopGetStatus64(fd)
	if err != nil {
		return "", ""
	}
	return unix.ByteSliceToString(info.File_name[:]), strings.TrimSpace(string(b))
}
