package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// settle is how long nobody may claim a leftover before it is removed: a Slipway
// that is restarted in place, or whose folder is just being made, is back by then.
const settle = 2 * time.Second

// RemoveLost removes what of a list is lost, and still is after a while: the
// processes of its instances, their control groups, and what the host's network has
// of it. What is anybody else's is left alone.
func RemoveLost(ctx context.Context, list []Leftover) (removed []string, err error) {
	var lost []Leftover
	for _, l := range list {
		if l.State == Lost {
			lost = append(lost, l)
		}
	}
	if len(lost) == 0 {
		return nil, nil
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(settle):
	}
	live := liveTags()
	var errs []error
	for _, l := range lost {
		if l.judge(live) != Lost {
			continue
		}
		what, err := l.remove(ctx)
		removed = append(removed, what...)
		errs = append(errs, err)
	}
	return removed, errors.Join(errs...)
}

func (l *Leftover) remove(ctx context.Context) (removed []string, err error) {
	var errs []error
	if err := l.endProcesses(ctx, &removed); err != nil {
		return removed, fmt.Errorf("%s: %w", l.Tag, err) // what it uses stays
	}
	parents, err := parentGroupsOf(l.Tag)
	errs = append(errs, err)
	for _, parent := range parents {
		groups, _ := filepath.Glob(filepath.Join(parent, "*", "*", "cgroup.procs")) // of enclosures' programs
		more, _ := filepath.Glob(filepath.Join(parent, "*", "cgroup.procs"))
		groups = append(groups, more...)
		for i := range groups {
			groups[i] = filepath.Dir(groups[i])
		}
		if err := emptyGroups(ctx, append(groups, parent)); err != nil {
			errs = append(errs, err)
			continue
		}
		removed = append(removed, "cgroup "+parent)
	}
	n := &network{bridge: bridgePrefix + l.Tag, log: slog.New(slog.DiscardHandler)}
	if link, err := netlink.LinkByName(n.bridge); err == nil {
		_, n.saved = readAlias(link.Attrs().Alias)
		errs = append(errs, removePorts(link))
	}
	more, err := n.takeAway()
	errs = append(errs, err)
	for _, what := range l.Found {
		if device, file, ok := strings.Cut(strings.TrimPrefix(what, "loop device "), " over "); ok && strings.HasPrefix(what, "loop device ") {
			if done, err := l.dropLoop(device, file); done || err != nil {
				removed, errs = append(removed, what), append(errs, err)
			}
		}
	}
	return append(removed, more...), errors.Join(errs...)
}

// endProcesses kills what runs in the tag's groups, and waits for its end. Each
// pid is looked at once more, while a pidfd holds it.
func (l *Leftover) endProcesses(ctx context.Context, removed *[]string) error {
	for deadline := time.Now().Add(10 * time.Second); ; {
		pids := l.processes()
		if len(pids) == 0 {
			return nil
		}
		for _, pid := range pids {
			fd, err := unix.PidfdOpen(pid, 0)
			if err != nil {
				continue // it has ended
			}
			if inGroupOf(pid, groupPrefix+l.Tag) && unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) == nil {
				*removed = append(*removed, "process "+strconv.Itoa(pid))
			}
			_ = unix.Close(fd)
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d processes do not end", len(pids))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// removePorts removes what hangs on a bridge: the host's ends of instances' links.
func removePorts(bridge netlink.Link) error {
	links, err := netlink.LinkList()
	if err != nil {
		return err
	}
	var errs []error
	for _, link := range links {
		if link.Attrs().MasterIndex == bridge.Attrs().Index && link.Type() == "veth" {
			if err := netlink.LinkDel(link); err != nil && !errors.Is(err, unix.ENODEV) && !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// dropLoop lets go of a loop device that still is what it was listed as. One that
// is in use ends with its last user.
func (l *Leftover) dropLoop(device, file string) (bool, error) {
	name := filepath.Base(device)
	label, now := looped("/sys/block/" + name + "/loop/backing_file")
	if now != file || !strings.HasPrefix(label, groupPrefix+l.Tag+"/") {
		return true, nil // it went with the processes
	}
	fd, err := unix.Open(device, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false, err
	}
	defer unix.Close(fd)
	err = unix.IoctlSetInt(fd, unix.LOOP_CLR_FD, 0)
	if errors.Is(err, unix.ENXIO) {
		err = nil
	}
	return err == nil, err
}

// inGroupOf says whether a process is in a group below the one with that name.
func inGroupOf(pid int, name string) bool {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cgroup")
	return err == nil && strings.Contains(string(b), "/"+name+"/")
}
