package sandbox

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/compute/disk"
)

// Probe tells what this host can and cannot do, by trying: mounts in a mount
// namespace and networking in a network namespace that end with the trial.
func Probe() []Finding {
	var found []Finding
	try := func(check string, required bool, remedy string, do func() error) bool {
		f := Finding{Check: check, OK: true, Required: required, Detail: "works"}
		if err := do(); err != nil {
			f.OK, f.Detail, f.Remedy = false, err.Error(), remedy
		}
		found = append(found, f)
		return f.OK
	}
	root := try("root", true, "run Slipway as root (sudo slipway up), or with --compute process", func() error {
		if os.Geteuid() != 0 {
			return fmt.Errorf("this process runs as user %d", os.Geteuid())
		}
		return nil
	})
	if !root {
		return found // every other trial needs it
	}
	try("user namespaces", true, "set the sysctl user.max_user_namespaces above 0; in a container, run it privileged", tryUserNamespace)
	try("idmapped overlay of /usr", true, "use Linux 5.19 or later with ext4, XFS or btrfs below /usr; in a container, run it privileged", tryOverlay)
	try("cgroup limits", true, "mount the cpu, memory and pids controllers of cgroup v2 at /sys/fs/cgroup; in a container, run it privileged with --cgroupns=host", tryCgroups)
	try("volumes", false, "load the kernel module loop (in a container: run it privileged) and install e2fsprogs; without them no instance's disk is limited, and there are no volumes, snapshots and own images", tryVolume)
	try("growing volumes in use", false, "run Slipway with the capability CAP_SYS_RESOURCE; without it a volume grows only while its instance is stopped", disk.CanGrowMounted)
	try("bridges", true, "load the kernel modules bridge and veth", func() error { return elsewhere(tryBridge) })
	try("metadata route", true, "use a kernel with CONFIG_IP_MULTIPLE_TABLES", func() error { return elsewhere(tryRule) })
	try("address translation", false, "load the kernel modules nf_tables, nf_conntrack and nft_masq; without them no security group is enforced, there is the default VPC only, and instances reach the host and each other only", func() error { return elsewhere(tryNAT) })
	try("bridge filter", false, "load the kernel module nf_tables with support for bridges; without it an instance can pose as another that sends without waiting for answers", func() error { return elsewhere(tryGuard) })
	found = append(found, probeForward())
	try("way out", false, "give the host a default route; without one instances reach the host and each other only", func() error {
		if len(outbound()) == 0 {
			return fmt.Errorf("this host has no default route")
		}
		return nil
	})
	return found
}

func tryUserNamespace() error {
	fd, err := idmapFD(firstUID)
	if err == nil {
		_ = unix.Close(fd)
	}
	return err
}

// tryOverlay mounts what an instance gets at /usr.
func tryOverlay() error {
	dir, err := os.MkdirTemp("", "slipway-probe-")
	if err != nil {
		return err
	}
	defer os.Remove(dir)
	idmap, err := idmapFD(firstUID)
	if err != nil {
		return err
	}
	defer unix.Close(idmap)
	return onOwnThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_FS); err != nil {
			return fmt.Errorf("new mount namespace: %w", err)
		}
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			return err
		}
		if err := unix.Mount("slipway", dir, "tmpfs", 0, "size=64k"); err != nil {
			return fmt.Errorf("tmpfs: %w", err)
		}
		if err := unix.Chdir(dir); err != nil {
			return err
		}
		for _, sub := range []string{"lower", "upper", "work", "merged"} {
			if err := unix.Mkdir(sub, 0o755); err != nil {
				return err
			}
		}
		if err := idmapped(idmap, "/usr", "lower"); err != nil {
			return err
		}
		if err := unix.Mount("overlay", "merged", "overlay", 0, "lowerdir=lower,upperdir=upper,workdir=work"); err != nil {
			return fmt.Errorf("overlay: %w", err)
		}
		var st unix.Stat_t
		if err := unix.Stat("merged/bin", &st); err != nil {
			return err
		}
		if st.Uid != firstUID {
			return fmt.Errorf("the overlay shows owner %d instead of %d: ids are not mapped", st.Uid, firstUID)
		}
		return nil
	})
}

// tryVolume makes a small volume and mounts it.
func tryVolume() error {
	if err := disk.Supported(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "slipway-probe-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "volume")
	if err := disk.Format(context.Background(), path, 16<<20); err != nil {
		return err
	}
	m, err := disk.Open(path, "slipway-probe", false)
	if err != nil {
		return err
	}
	return m.Close()
}

func tryCgroups() error {
	c, err := openCgroups("slipway-probe")
	if err != nil {
		return err
	}
	var dirs []string
	for _, dir := range c.parents {
		dirs = append(dirs, dir)
	}
	if !c.v2 && c.unified != "" {
		dirs = append(dirs, c.unified)
	}
	return removeGroups(dirs)
}

// elsewhere runs a trial in a network namespace that ends with it.
func elsewhere(do func() error) error {
	return onOwnThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("new network namespace: %w", err)
		}
		return do()
	})
}

func tryBridge() error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "slw-probe"
	bridge := &netlink.Bridge{LinkAttrs: attrs}
	if err := netlink.LinkAdd(bridge); err != nil {
		return fmt.Errorf("bridge: %w", err)
	}
	attrs = netlink.NewLinkAttrs()
	attrs.Name, attrs.MasterIndex = "slv-probe", bridge.Attrs().Index
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "eth0"}); err != nil {
		return fmt.Errorf("veth: %w", err)
	}
	return nil
}

func tryRule() error {
	n := &network{bridge: "slw-probe"}
	if err := netlink.RuleAdd(n.metadataRule()); err != nil {
		return fmt.Errorf("routing rule: %w", err)
	}
	return nil
}

func tryNAT() error {
	n := &network{bridge: "slw-probe"}
	instances, elastic := candidates()
	n.saved.Instances, n.saved.Elastic = instances[0], elastic[0]
	// The library opens its socket in the calling thread's namespace.
	if err := n.replaceTable(&compute.Policy{}); err != nil {
		return err
	}
	c, err := nftables.New()
	if err != nil {
		return err
	}
	tables, err := c.ListTables()
	if err == nil && len(tables) != 1 {
		err = fmt.Errorf("the table is not there (%d tables)", len(tables))
	}
	return err
}

func tryGuard() error {
	n := &network{bridge: "slw-probe", guards: true}
	if err := n.openGuard(); err != nil {
		return err
	}
	return n.guard("slv-probe", candidateGateway())
}

func candidateGateway() netip.Addr {
	instances, _ := candidates()
	return instances[0].Addr().Next()
}

// probeForward tells of firewalls that drop what the host forwards.
func probeForward() Finding {
	f := Finding{Check: "firewalls", OK: true, Detail: "none drops forwarded packets by default"}
	c, err := nftables.New()
	if err != nil {
		return f
	}
	chains, err := forwardDrops(c)
	if err != nil || len(chains) == 0 {
		return f
	}
	f.Detail = fmt.Sprintf("%s of table %s drops forwarded packets by default; Slipway adds rules to it that let its instances' through", chains[0].Name, chains[0].Table.Name)
	return f
}
