package sandbox

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"sync"
	"time"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/slipway/slipway/compute"
)

// A firewall of the host that starts again removes all tables of nftables, ours
// too, and with them what keeps instances apart. The kernel tells of each change;
// a mender hears of those that concern us, and makes the tables again at once.

// mender owns one goroutine, which stop ends.
type mender struct {
	events  *os.File
	closing chan struct{}
	done    chan struct{}
	once    sync.Once
}

// startMending listens. Where the kernel does not tell, the reconcile loop is what
// mends.
func (d *Driver) startMending() error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_NETFILTER)
	if err != nil {
		return err
	}
	const room = 4 << 20 // a policy of some thousand rules is told rule by rule
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, room)
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1 << (unix.NFNLGRP_NFTABLES - 1)}); err != nil {
		return errors.Join(err, unix.Close(fd))
	}
	d.mender = &mender{events: os.NewFile(uintptr(fd), "events of nftables"), closing: make(chan struct{}), done: make(chan struct{})}
	go d.mendUntilStopped(d.mender)
	return nil
}

func (m *mender) stop() {
	if m == nil {
		return
	}
	m.once.Do(func() { close(m.closing); _ = m.events.Close() })
	<-m.done
}

// mendPause is between two repairs, so that a program that removes our tables as often as we
// make them does not take the processor.
const mendPause = 50 * time.Millisecond

func (d *Driver) mendUntilStopped(m *mender) {
	defer close(m.done)
	buf := make([]byte, 64<<10)
	for {
		n, err := m.events.Read(buf)
		if errors.Is(err, os.ErrClosed) {
			return
		}
		// Events that did not fit may have been of us.
		if err == nil && !d.net.concerns(buf[:n]) {
			continue
		}
		if err != nil && !errors.Is(err, unix.ENOBUFS) {
			d.Log().Error("cannot hear of changes to nftables", "error", err)
			return
		}
		if err := d.net.mend(d.guardAll); err != nil {
			d.Log().Error("cannot make the network policy again; the next look at the host tries", "error", err)
		}
		select {
		case <-m.closing:
		case <-time.After(mendPause):
		}
	}
}

// mend makes again what of the tables is gone.
func (n *network) mend(guardAll func() error) error {
	n.applying.Lock()
	defer n.applying.Unlock()
	if n.intact() {
		return n.passForward() // another firewall's chain is what changed
	}
	n.log.Warn("something removed the network policy from this host's kernel: make it again")
	policy := n.policy
	if policy == nil && n.saved.Enforced {
		policy = &compute.Policy{} // nothing passes until there is one
	}
	return errors.Join(n.passForward(), n.replaceTable(policy), guardAll())
}

// Of an event of nftables: the kinds, and the attributes that all or some have.
const (
	nftNewChain, nftDelTable, nftDelChain, nftDelRule = 3, 2, 5, 8

	attrTable    = 1 // the table's name, in all of them
	attrPolicy   = 5 // of a chain
	attrUserData = 7 // of a rule
	genHeader    = 4
)

// concerns says whether one of some events is that a part of our tables went
// without our doing, that a rule of ours in another firewall's chain did, or that
// there is a new chain that drops what it does not know.
func (n *network) concerns(events []byte) bool {
	for len(events) >= unix.SizeofNlMsghdr {
		length := int(binary.NativeEndian.Uint32(events))
		if length < unix.SizeofNlMsghdr || length > len(events) {
			return true // it cannot be read: look
		}
		kind, from := binary.NativeEndian.Uint16(events[4:]), binary.NativeEndian.Uint32(events[12:])
		if kind>>8 == unix.NFNL_SUBSYS_NFTABLES && length >= unix.SizeofNlMsghdr+genHeader {
			if n.concernsEvent(kind&0xff, from, events[unix.SizeofNlMsghdr+genHeader:length]) {
				return true
			}
		}
		next := (length + unix.NLMSG_ALIGNTO - 1) &^ (unix.NLMSG_ALIGNTO - 1)
		events = events[min(next, len(events)):]
	}
	return false
}

func (n *network) concernsEvent(kind uint16, from uint32, attrs []byte) bool {
	if kind != nftNewChain && kind != nftDelTable && kind != nftDelChain && kind != nftDelRule {
		return false
	}
	a, err := netlink.NewAttributeDecoder(attrs)
	if err != nil {
		return true
	}
	a.ByteOrder = binary.BigEndian
	own, drops, passes := false, false, false
	for a.Next() {
		switch {
		case a.Type() == attrTable:
			own = a.String() == n.bridge
		case a.Type() == attrPolicy && kind == nftNewChain:
			drops = a.Uint32() == uint32(nftables.ChainPolicyDrop)
		case a.Type() == attrUserData && kind == nftDelRule:
			passes = bytes.Equal(a.Bytes(), []byte(n.bridge))
		}
	}
	if kind == nftNewChain {
		return drops && !own
	}
	return (own || passes) && !n.own.has(from)
}

// ownPorts are netlink's numbers of the last sockets by which we changed tables
// ourselves.
type ownPorts struct {
	mu   sync.Mutex
	last [256]uint32
	next int
}

// note is an option of a connection.
func (o *ownPorts) note(c *netlink.Conn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	return errors.Join(raw.Control(func(fd uintptr) {
		name, nameErr := unix.Getsockname(int(fd))
		if address, ok := name.(*unix.SockaddrNetlink); ok && nameErr == nil {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.last[o.next%len(o.last)] = address.Pid
			o.next++
		}
		err = nameErr
	}), err)
}

func (o *ownPorts) has(port uint32) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, p := range o.last {
		if p == port && p != 0 {
			return true
		}
	}
	return false
}
