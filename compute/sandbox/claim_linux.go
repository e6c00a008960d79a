package sandbox

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vishvananda/netlink"
)

// What a driver sets up on a host says whose it is, so that it can be told from
// what nobody will ever take away: the bridge's alias names the driver's folder, and
// as long as the driver is open it holds a name among the abstract sockets, which
// the kernel gives back when its process ends, however it does.

func socketOf(tag string) string { return "@slipway/" + tag }

// hold takes the name. That another has it is no reason not to go on: the data
// folder's own lock is what keeps two Slipways apart.
func (d *Driver) hold() {
	l, err := net.Listen("unix", socketOf(d.tag))
	if err != nil {
		d.Log().Warn("'slipway doctor' may not see that this Slipway runs", "error", err)
		return
	}
	d.held = l
}

func (d *Driver) letGo() {
	if d.held != nil {
		_ = d.held.Close()
	}
}

// maxAlias is what the kernel takes as the alias of an interface.
const maxAlias = 255

// alias says what a bridge is for: the ranges that are claimed with it, and the
// driver's folder. A longer one is left out.
func (n *network) alias(dir string) string {
	claims := n.saved.Elastic.String()
	if n.saved.Enclosures.IsValid() {
		claims += "," + n.saved.Enclosures.String()
	}
	if text := "slipway " + claims + " " + dir; len(text) <= maxAlias {
		return text
	}
	return ""
}

// readAlias reads an alias, which may be of a time when there was one claim.
func readAlias(text string) (dir string, claims savedNetwork) {
	parts := strings.SplitN(text, " ", 3)
	if len(parts) != 3 || parts[0] != "slipway" || !filepath.IsAbs(parts[2]) {
		return "", claims
	}
	elastic, enclosures, _ := strings.Cut(parts[1], ",")
	claims.Elastic, _ = netip.ParsePrefix(elastic)
	claims.Enclosures, _ = netip.ParsePrefix(enclosures)
	return parts[2], claims
}

// note puts the alias on the bridge.
func (n *network) note(dir string) error {
	link, err := netlink.LinkByName(n.bridge)
	if err != nil {
		return err
	}
	return netlink.LinkSetAlias(link, n.alias(dir))
}

// lockSuffix is the file below a data folder that a running Slipway has open, and
// driverFolder is where the driver stands in one (package platform).
const (
	lockSuffix   = "/slipway.lock"
	driverFolder = "instances/" + Name
)

// liveTags are those of the data folders that some process has open: a Slipway, of
// whatever version and in whatever container, as far as this process sees it.
func liveTags() map[string]bool {
	live := map[string]bool{}
	eachOpenFile("/proc/[0-9]*", func(path string) {
		if dir, ok := strings.CutSuffix(path, lockSuffix); ok {
			live[tagOf(filepath.Join(dir, driverFolder))] = true
		}
	})
	return live
}

// eachOpenFile calls with the paths of all files that processes have open.
func eachOpenFile(processes string, call func(path string)) {
	fds, _ := filepath.Glob(processes + "/fd/*")
	for _, fd := range fds {
		if path, err := os.Readlink(fd); err == nil {
			call(path)
		}
	}
}

// held says whether a driver with that tag is open here.
func held(tag string) bool {
	c, err := net.DialTimeout("unix", socketOf(tag), time.Second)
	if err == nil {
		_ = c.Close()
	}
	return !errors.Is(err, unix.ECONNREFUSED)
}

// judge says whose a leftover is.
func (l *Leftover) judge(live map[string]bool) LeftoverState {
	if live[l.Tag] || held(l.Tag) {
		return InUse
	}
	processes := l.processes()
	if there(l.Dir) || l.stillThere(processes) {
		return Idle
	}
	if l.Dir == "" && len(processes) > 0 {
		return Unknown
	}
	if l.Dir == "" && l.hasBridge() {
		return Unknown
	}
	return Lost
}

func there(dir string) bool {
	if dir == "" {
		return false
	}
	_, err := os.Lstat(dir)
	return !errors.Is(err, os.ErrNotExist)
}

func (l *Leftover) hasBridge() bool {
	_, err := netlink.LinkByName(bridgePrefix + l.Tag)
	return err == nil
}

// processes are those in the tag's groups.
func (l *Leftover) processes() []int {
	parents, _ := parentGroupsOf(l.Tag)
	var pids []int
	for _, parent := range parents {
		lists, _ := filepath.Glob(filepath.Join(parent, "*", "cgroup.procs"))
		for _, list := range lists {
			b, _ := os.ReadFile(list)
			for line := range strings.Lines(string(b)) {
				if pid, err := strconv.Atoi(strings.TrimSpace(line)); err == nil && pid > 0 {
					pids = append(pids, pid)
				}
			}
		}
	}
	slices.Sort(pids)
	return slices.Compact(pids) // each hierarchy of cgroup v1 lists them
}

// streams are what an instance's first process has open of the instance's folder.
// One that was removed has another name.
var streams = regexp.MustCompile(`/instances/[^/]+/(console|init\.log)$`)

// stillThere says whether an instance has files of its own folder open that were
// not removed: the folder was moved, and a Slipway on its new place has it.
func (l *Leftover) stillThere(pids []int) bool {
	found := false
	for _, pid := range pids {
		eachOpenFile("/proc/"+strconv.Itoa(pid), func(path string) {
			found = found || streams.MatchString(path)
		})
	}
	return found
}
