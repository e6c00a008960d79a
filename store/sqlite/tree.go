package sqlite

import (
	"math/rand/v2"

	"github.com/slipway/slipway/store"
)

// tree is a sorted map of documents of which any number of states can be kept: a
// change copies the nodes on its way, once per epoch, and leaves the states of
// earlier epochs as they are. It is a treap; the zero value is empty. A copy of
// the struct is the state.
type tree struct {
	root     *node
	epoch    int64
	bytes    int
	revision int64 // of the newest document ever set
	sunk     bool  // SQLite has, or had, documents of short life, too
}

// node is a document of the tree, or the trace of one that was deleted.
type node struct {
	key string
	written
	row         int64 // of the journal, that says so
	epoch       int64 // only its own may change the node
	priority    uint32
	left, right *node
}

// nodeOverhead is about what a node takes beside its key and value, in bytes.
const nodeOverhead = 160

// look is the document.
func (n *node) look() store.Doc {
	return store.Doc{Key: n.key, Value: n.value, Revision: n.revision}
}

// doc is the document, with a value of the caller's own.
func (n *node) doc() store.Doc {
	doc, _ := owned(n.look(), nil)
	return doc
}

func (n *node) size() int { return len(n.key) + len(n.value) + nodeOverhead }

// get finds a document or its trace; nil where there is neither.
func (t *tree) get(key string) *node {
	n := t.root
	for n != nil && n.key != key {
		if key < n.key {
			n = n.left
		} else {
			n = n.right
		}
	}
	return n
}

func (t *tree) set(key string, w written, row int64) {
	if old := t.get(key); old != nil {
		t.bytes -= old.size()
	}
	t.bytes += len(key) + len(w.value) + nodeOverhead
	t.revision = max(t.revision, w.revision)
	t.root = t.insert(t.root, &node{key: key, written: w, row: row, epoch: t.epoch, priority: rand.Uint32()})
}

// insert returns a tree of this epoch's with the node in it.
func (t *tree) insert(n, add *node) *node {
	if n == nil {
		return add
	}
	n = t.own(n)
	switch {
	case add.key == n.key:
		n.written, n.row = add.written, add.row
	case add.key < n.key:
		n.left = t.insert(n.left, add)
		if up := n.left; up.priority > n.priority {
			n.left, up.right = up.right, n
			return up
		}
	default:
		n.right = t.insert(n.right, add)
		if up := n.right; up.priority > n.priority {
			n.right, up.left = up.left, n
			return up
		}
	}
	return n
}

func (t *tree) own(n *node) *node {
	if n.epoch == t.epoch {
		return n
	}
	c := *n
	c.epoch = t.epoch
	return &c
}

// remove takes a document and its trace away.
func (t *tree) remove(key string) {
	old := t.get(key)
	if old == nil {
		return
	}
	t.bytes -= old.size()
	t.root = t.without(t.root, key)
}

func (t *tree) without(n *node, key string) *node {
	if key == n.key {
		return t.merge(n.left, n.right)
	}
	n = t.own(n)
	if key < n.key {
		n.left = t.without(n.left, key)
	} else {
		n.right = t.without(n.right, key)
	}
	return n
}

// merge joins two trees of which all of a stands before all of b.
func (t *tree) merge(a, b *node) *node {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	case a.priority > b.priority:
		a = t.own(a)
		a.right = t.merge(a.right, b)
		return a
	}
	b = t.own(b)
	b.left = t.merge(a, b.left)
	return b
}

// some gives up to limit documents of the span, in order or in reverse; more says
// that there are others.
func (t *tree) some(sp span, reverse bool, limit int) (out []*node, more bool) {
	t.root.walk(sp, reverse, func(n *node) bool {
		if more = len(out) == limit; more {
			return false
		}
		out = append(out, n)
		return true
	})
	return out, more
}

// walk gives the span's documents until one is answered with false.
func (n *node) walk(sp span, reverse bool, fn func(*node) bool) bool {
	if n == nil {
		return true
	}
	low, high := n.key < sp.from, sp.to != "" && n.key >= sp.to
	first, second := n.left, n.right
	skipFirst, skipSecond := low, high
	if reverse {
		first, second = second, first
		skipFirst, skipSecond = high, low
	}
	if !skipFirst && !first.walk(sp, reverse, fn) {
		return false
	}
	if !low && !high && !fn(n) {
		return false
	}
	return skipSecond || second.walk(sp, reverse, fn)
}
