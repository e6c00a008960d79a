package sandbox

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/slipway/slipway/compute/boot"
	"github.com/slipway/slipway/compute/disk"
)

// stage is where an instance's mounts are made: the mount namespace of one
// thread, which nobody else sees and which ends with the thread. Its root is a
// small tmpfs:
//
//	/new   the instance's root file system
//	/proc  the host's, so that the first process may mount its own
//	/sys   likewise
//
// The instance's first process is forked from here. Its mount namespace is a
// copy, owned by its own user namespace, so it can undo none of these mounts;
// it makes /new its root and lets go of the rest (package agent).
type stage struct {
	driver *Driver
	id     string
	base   uint32
	lower  string    // folder below the driver's with the skeleton
	idmap  int       // user namespace with the instance's range of ids
	files  []uintptr // standard streams, control socket, console
	env    []string
	volume *disk.Mount // what the overlays write to; nil: the instance's folder
	image  *disk.Mount // an imported root file system; nil: the built-in image
	pid    int

	command string      // "init", or "enclosure"
	tmp     *disk.Mount // of an enclosure, where the host has volumes
	room    int64       // of its /tmp, bytes
}

// onOwnThread runs fn on a thread that nobody uses afterwards. The main thread
// is spared: /proc/self shows its namespaces.
func onOwnThread(fn func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if unix.Gettid() == unix.Getpid() {
			done <- onOwnThread(fn)
			runtime.UnlockOSThread()
			return
		}
		done <- fn()
	}()
	return <-done
}

// run builds the mounts and forks the instance's first process.
func (s *stage) run() error {
	return onOwnThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_FS); err != nil {
			return fmt.Errorf("new mount namespace: %w", err)
		}
		unix.Umask(0)
		if err := leaveKeyring(); err != nil {
			return err
		}
		if err := s.driver.cgroups.joinThread(s.id); err != nil {
			return fmt.Errorf("join cgroups: %w", err)
		}
		for _, step := range []struct {
			name string
			do   func() error
		}{
			{"stage", s.enter}, {"root file system", s.root}, {"/dev", s.devices},
			{"slipway binary", s.binary}, {"leave the host's root", s.leave}, {"confinement", confine}, {"first process", s.fork},
		} {
			if err := step.do(); err != nil {
				return fmt.Errorf("%s: %w", step.name, err)
			}
		}
		return nil
	})
}

// leaveKeyring gives the thread, and what it forks, a session keyring of its
// own: keyrings know no namespaces, and whoever has the one of Slipway's session
// may use the keys in it.
func leaveKeyring() error {
	_, _, errno := unix.Syscall(unix.SYS_KEYCTL, unix.KEYCTL_JOIN_SESSION_KEYRING, 0, 0)
	switch errno {
	case 0, unix.ENOSYS, unix.EPERM: // without keyrings, or with a filter that instances have, too
		return nil
	}
	return fmt.Errorf("new session keyring: %w", errno)
}

// enter mounts the stage over the driver's folder "stage" and goes there. The
// data folder is at "d" and the lower layers at "l", by relative paths: they may
// stand in an overlay's options whatever the data folder is called.
func (s *stage) enter() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	dir := s.driver.Path("stage")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	data, err := unix.OpenTree(unix.AT_FDCWD, s.driver.dir, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return fmt.Errorf("clone %s: %w", s.driver.dir, err)
	}
	defer unix.Close(data)
	if err := unix.Mount("slipway", dir, "tmpfs", unix.MS_NODEV|unix.MS_NOSUID, "mode=0755,size=64k"); err != nil {
		return err
	}
	if err := unix.Chdir(dir); err != nil {
		return err
	}
	for _, sub := range []string{"d", "l", "l/root", "l/extra", "l/usr", "l/dpkg", "l/image", "r", "new", "proc", "sys"} {
		if err := unix.Mkdir(sub, 0o755); err != nil {
			return err
		}
	}
	// A binary that is not static finds its loader and libraries in the instance.
	for _, name := range []string{"etc", "lib", "lib32", "lib64", "libx32", "usr"} {
		if err := unix.Symlink("new/"+name, name); err != nil {
			return err
		}
	}
	if err := unix.MoveMount(data, "", unix.AT_FDCWD, "d", unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("attach data folder: %w", err)
	}
	if err := unix.Mount("proc", "proc", "proc", unix.MS_NODEV|unix.MS_NOSUID|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount proc: %w", err)
	}
	return unix.Mount("sysfs", "sys", "sysfs", unix.MS_NODEV|unix.MS_NOSUID|unix.MS_NOEXEC, "")
}

// layer attaches a read-only view of a host folder in which the instance's ids
// own what the host's ids own.
func (s *stage) layer(host, at string) error {
	return idmapped(s.idmap, host, at)
}

func idmapped(userns int, host, at string) error {
	fd, err := unix.OpenTree(unix.AT_FDCWD, host, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return fmt.Errorf("clone %s: %w", host, err)
	}
	defer unix.Close(fd)
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP | unix.MOUNT_ATTR_RDONLY, Userns_fd: uint64(userns)}
	if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, &attr); err != nil {
		return fmt.Errorf("idmap %s: %w", host, err)
	}
	if err := unix.MoveMount(fd, "", unix.AT_FDCWD, at, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("attach %s: %w", host, err)
	}
	return nil
}

// root mounts the instance's file systems at "new".
func (s *stage) root() error {
	if s.command == "enclosure" {
		return s.enclosedRoot()
	}
	if s.volume != nil {
		if err := s.volume.Map(s.idmap); err != nil {
			return err
		}
		if err := s.volume.Attach("r"); err != nil {
			return err
		}
	}
	base := "d/" + s.lower
	if s.image != nil {
		return s.importedRoot(base)
	}
	if err := s.layer(base+"/root", "l/root"); err != nil {
		return err
	}
	if err := s.layer(base+"/usr", "l/extra"); err != nil {
		return err
	}
	if err := s.layer("/usr", "l/usr"); err != nil {
		return err
	}
	if err := s.overlay("root", "l/root", "new"); err != nil {
		return err
	}
	if err := s.overlay("usr", "l/extra:l/usr", "new/usr"); err != nil {
		return err
	}
	if err := s.layer("/var/lib/dpkg", "l/dpkg"); err == nil {
		return s.overlay("dpkg", "l/dpkg", "new/var/lib/dpkg")
	}
	return nil // not a Debian
}

// importedRoot is an image of somebody else's below the mount points that every
// instance has. These stand on top: no link in the image leads a mount astray.
func (s *stage) importedRoot(base string) error {
	if err := s.layer(base+"/points", "l/extra"); err != nil {
		return err
	}
	if err := s.layer(s.image.Path()+"/image", "l/image"); err != nil {
		return err
	}
	return s.overlay("root", "l/extra:l/image", "new")
}

// overlay mounts a writable view; the instance's changes are in its volume or in
// its folder.
func (s *stage) overlay(name, lower, at string) error {
	dir := "r/" + name
	if s.volume == nil {
		dir = "d/instances/" + s.id + "/" + name
	}
	opts := "lowerdir=" + lower + ",upperdir=" + dir + ",workdir=" + dir + ".work,redirect_dir=on,index=off,metacopy=off,xino=off"
	err := s.asOwner(func() error { return unix.Mount("overlay", at, "overlay", 0, opts) })
	if err != nil {
		return fmt.Errorf("overlay for %s (%s): %w", at, opts, err)
	}
	return nil
}

// asOwner acts as the instance's root towards file systems, with all of this
// thread's capabilities. An overlay writes as who mounted it, and the volume
// knows no ids but the instance's.
func (s *stage) asOwner(do func() error) error {
	if s.volume == nil {
		return do()
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var caps [2]unix.CapUserData
	if err := unix.Capget(&header, &caps[0]); err != nil {
		return err
	}
	as := func(id uint32) error {
		if err := errors.Join(unix.Setfsgid(int(id)), unix.Setfsuid(int(id))); err != nil {
			return err
		}
		return unix.Capset(&header, &caps[0]) // the change took some of them out of effect
	}
	if err := as(s.base); err != nil {
		return fmt.Errorf("act as user %d: %w", s.base, err)
	}
	return errors.Join(do(), as(0))
}

// devices mounts a /dev with the harmless devices only. The instance cannot
// make others: that needs privileges on the host.
func (s *stage) devices() error {
	opts := fmt.Sprintf("mode=0755,size=1m,nr_inodes=1k,uid=%d,gid=%d", s.base, s.base)
	if err := unix.Mount("dev", "new/dev", "tmpfs", unix.MS_NOSUID|unix.MS_NOEXEC, opts); err != nil {
		return err
	}
	for name, minor := range map[string]uint32{"null": 3, "zero": 5, "full": 7, "random": 8, "urandom": 9} {
		if err := s.device(name, unix.Mkdev(1, minor)); err != nil {
			return err
		}
	}
	if err := s.device("tty", unix.Mkdev(5, 0)); err != nil {
		return err
	}
	for _, dir := range []string{"pts", "shm", "mqueue"} {
		if err := unix.Mkdir("new/dev/"+dir, 0o755); err != nil {
			return err
		}
	}
	for name, target := range map[string]string{
		"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1",
		"stderr": "/proc/self/fd/2", "ptmx": "pts/ptmx",
	} {
		if err := unix.Symlink(target, "new/dev/"+name); err != nil {
			return err
		}
		if err := unix.Lchown("new/dev/"+name, int(s.base), int(s.base)); err != nil {
			return err
		}
	}
	return nil
}

func (s *stage) device(name string, dev uint64) error {
	path := "new/dev/" + name
	if err := unix.Mknod(path, unix.S_IFCHR|0o666, int(dev)); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return unix.Chown(path, int(s.base), int(s.base))
}

// binary shows the slipway binary, read-only, at its place in the instance.
func (s *stage) binary() error {
	at := "new" + boot.Binary
	if err := unix.Mount(s.driver.slipway, at, "", unix.MS_BIND, ""); err != nil {
		return err
	}
	return unix.Mount("", at, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY|unix.MS_NODEV|unix.MS_NOSUID, "")
}

// leave makes the stage the thread's root, and nothing of the host is mounted
// below it any more. The overlays keep their layers by themselves.
func (s *stage) leave() error {
	for _, at := range []string{"l/root", "l/extra", "l/usr", "l/dpkg", "l/image", "r", "d"} {
		err := unix.Unmount(at, unix.MNT_DETACH)
		if err != nil && !errors.Is(err, unix.EINVAL) { // not every instance has all
			return fmt.Errorf("unmount %s: %w", at, err)
		}
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot_root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return err
	}
	return unix.Chdir("/")
}

// fork starts the first process in namespaces of its own.
func (s *stage) fork() error {
	ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: int(s.base), Size: idCount}}
	sys := &syscall.SysProcAttr{
		Setsid: true,
		Cloneflags: unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET |
			unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWCGROUP,
		UidMappings: ids, GidMappings: ids, GidMappingsEnableSetgroups: true,
		Credential: &syscall.Credential{},
	}
	if fd, ok := s.driver.cgroups.fd(s.id); ok {
		defer unix.Close(fd)
		sys.UseCgroupFD, sys.CgroupFD = true, fd
	}
	pid, err := syscall.ForkExec("/new"+boot.Binary, []string{"slipway", "agent", s.command}, &syscall.ProcAttr{
		Dir: "/", Env: s.env, Files: s.files, Sys: sys,
	})
	s.pid = pid
	return err
}
