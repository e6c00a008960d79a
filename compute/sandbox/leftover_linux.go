package sandbox

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// A Leftover is what a sandbox driver made on this host for one data folder.
type Leftover struct {
	Tag   string   // of the folder
	Dir   string   // the driver's folder; "" where nothing tells
	Found []string // "bridge slw-0a1b2c"
	State LeftoverState
}

// LeftoverState says whose it is.
type LeftoverState string

// Only what is lost can be removed without its folder.
const (
	InUse   LeftoverState = "in use"  // a Slipway runs on the folder
	Idle    LeftoverState = "idle"    // none does, and instances may run on: the folder is there
	Unknown LeftoverState = "unknown" // nothing tells where the folder is, or was
	Lost    LeftoverState = "lost"    // the folder is gone, and no Slipway runs on it
)

// tagLength is that of a data folder's tag.
const tagLength = 6

// Leftovers lists what drivers on this host have set up, of every data folder:
// bridges, tables, rules, control groups, and loop devices whose file is gone.
func Leftovers() ([]Leftover, error) {
	all := map[string]*Leftover{}
	add := func(name, prefix, what string) *Leftover {
		tag, ok := strings.CutPrefix(name, prefix)
		if !ok || len(tag) != tagLength || strings.Trim(tag, "0123456789abcdef") != "" {
			return nil
		}
		if all[tag] == nil {
			all[tag] = &Leftover{Tag: tag}
		}
		all[tag].Found = append(all[tag].Found, what)
		return all[tag]
	}
	if err := errors.Join(leftNetworks(add), leftGroups(add), leftLoops(add)); err != nil {
		return nil, err
	}
	live := liveTags()
	out := make([]Leftover, 0, len(all))
	for _, tag := range slices.Sorted(maps.Keys(all)) {
		l := all[tag]
		slices.Sort(l.Found)
		l.State = l.judge(live)
		out = append(out, *l)
	}
	return out, nil
}

func leftNetworks(add func(name, prefix, what string) *Leftover) error {
	links, err := netlink.LinkList()
	if err != nil {
		return err
	}
	for _, link := range links {
		name := link.Attrs().Name
		if link.Type() != "bridge" {
			continue
		}
		if l := add(name, bridgePrefix, "bridge "+name); l != nil {
			l.Dir, _ = readAlias(link.Attrs().Alias)
		}
	}
	rules, err := netlink.RuleList(netlink.FAMILY_V4)
	if err != nil {
		return err
	}
	for _, r := range rules {
		if r.Table == metadataTable {
			add(r.IifName, bridgePrefix, "rule for the metadata address on "+r.IifName)
		}
	}
	c, err := nftables.New()
	if err != nil {
		return nil //nolint:nilerr // a host without nftables has no tables
	}
	tables, err := c.ListTables()
	if err != nil {
		return nil //nolint:nilerr // likewise
	}
	for _, t := range tables {
		if t.Family == nftables.TableFamilyIPv4 || t.Family == nftables.TableFamilyBridge {
			add(t.Name, bridgePrefix, fmt.Sprintf("nftables table %s of family %d", t.Name, t.Family))
		}
	}
	return nil
}

func leftGroups(add func(name, prefix, what string) *Leftover) error {
	groups, err := parentGroupsOf("*")
	for _, dir := range groups {
		add(filepath.Base(dir), groupPrefix, "cgroup "+dir)
	}
	return err
}

// parentGroupsOf are the groups on this host that hold the instances of a tag. With
// cgroup v1 they stand below the group that its Slipway ran in.
func parentGroupsOf(tag string) ([]string, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	c, err := locateCgroups(string(mounts), "", "")
	if err != nil {
		return nil, err
	}
	var out []string
	for _, at := range append(slices.Collect(maps.Values(c.parents)), c.unified) {
		if at == "" {
			continue
		}
		for range groupDepth {
			groups, err := filepath.Glob(filepath.Join(at, groupPrefix+tag))
			if err != nil {
				return nil, err
			}
			out, at = append(out, groups...), filepath.Join(at, "*")
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// groupDepth is how far below the top a Slipway's own group is looked for.
const groupDepth = 5

func leftLoops(add func(name, prefix, what string) *Leftover) error {
	devices, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	for _, path := range devices {
		name, file := looped(path)
		if label, _, ok := strings.Cut(name, "/"); ok && strings.HasSuffix(file, deletedSuffix) {
			device := strings.Split(path, "/")[3]
			add(label, groupPrefix, "loop device /dev/"+device+" over "+file)
		}
	}
	return err
}

const (
	bridgePrefix  = "slw-"
	groupPrefix   = "slipway-"
	deletedSuffix = " (deleted)"
)

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
