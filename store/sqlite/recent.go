package sqlite

import (
	"hash/maphash"
	"strings"
	"sync"

	"github.com/slipway/slipway/store"
)

// recent keeps documents that views have read lately, so that a view of one or
// two of them asks SQLite nothing. Such a view has no snapshot of SQLite's; it
// is listed here instead, and whoever commits first takes the snapshot for it.
// So every view still sees one state, and none waits for a commit or holds one up.
// A commit takes what it changes out of docs before it begins. What is left is
// the same in the state before and in the state after, so that a view which it
// serves meanwhile may take its snapshot of either.
type recent struct {
	mu         sync.Mutex
	docs, bulk kept
	views      map[*readTx]struct{} // that were served from docs and have no snapshot
	committing bool                 // nothing is kept
	epoch      int64                // grows with every commit
	// read marks bulk documents that were read once, by a hash of their keys. Most
	// are never read again, and would push out those that are.
	read [1 << 12]uint32
	seed maphash.Seed
}

// kept is documents and their size in bytes. Full, it starts afresh.
type kept struct {
	docs  map[string]store.Doc
	bytes int
}

// Bounds of what is kept of either kind, in bytes.
const (
	maxRecent    = 4 << 20
	maxRecentDoc = 32 << 10
	docOverhead  = 128
)

func (r *recent) of(key string) *kept {
	if strings.HasPrefix(key, store.BulkPrefix) {
		return &r.bulk
	}
	return &r.docs
}

func (k *kept) put(doc store.Doc, size int) {
	if _, ok := k.docs[doc.Key]; ok {
		return
	}
	if k.docs == nil || k.bytes+size > maxRecent {
		k.docs, k.bytes = map[string]store.Doc{}, 0
	}
	k.docs[doc.Key] = doc
	k.bytes += size
}

func (k *kept) drop(key string) {
	if doc, ok := k.docs[key]; ok {
		k.bytes -= len(doc.Key) + len(doc.Value) + docOverhead
		delete(k.docs, key)
	}
}

// get serves a view that has no snapshot, and lists it. The document's value is not
// the caller's alone.
func (r *recent) get(t *readTx, key string) (store.Doc, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	// A commit takes views off the list when it has given them their snapshots.
	// One that was served before and is not on it any more has its own by now.
	if _, listed := r.views[t]; t.served && !listed {
		return store.Doc{}, false
	}
	doc, ok := r.of(key).docs[key]
	if !ok {
		return store.Doc{}, false
	}
	if r.views == nil {
		r.views = map[*readTx]struct{}{}
	}
	r.views[t] = struct{}{}
	return doc, true
}

// now is the epoch that a snapshot belongs to which is taken after; -1 while a
// commit is under way.
func (r *recent) now() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.committing {
		return -1
	}
	return r.epoch
}

// put keeps a document of a snapshot, unless a commit has begun since.
func (r *recent) put(epoch int64, doc store.Doc) {
	size := len(doc.Key) + len(doc.Value) + docOverhead
	if size > maxRecentDoc || isBrief(doc.Key) { // a commit of these tells nobody
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.committing || r.epoch != epoch {
		return
	}
	to := r.of(doc.Key)
	if to == &r.bulk && r.first(doc.Key) {
		return
	}
	to.put(doc, size)
}

// first reports whether a document was not read lately, and remembers that it was.
func (r *recent) first(key string) bool {
	if r.seed == (maphash.Seed{}) {
		r.seed = maphash.MakeSeed()
	}
	h := maphash.String(r.seed, key)
	mark := &r.read[h%uint64(len(r.read))]
	if *mark == uint32(h>>32) {
		return false
	}
	*mark = uint32(h >> 32)
	return true
}

// drop takes a view off the list.
func (r *recent) drop(t *readTx) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.views, t)
}

// begin is called before a commit that changes the keys: every view on the list
// gets its snapshot of the state that it was served from.
func (r *recent) begin(keys []string) {
	r.mu.Lock()
	r.committing = true
	r.epoch++
	for _, key := range keys { // also of a commit that fails: they are read anew
		r.of(key).drop(key)
	}
	views := r.views
	r.views = nil
	r.mu.Unlock()
	for t := range views {
		t.secure()
	}
}

// end is called after a commit, or after one that failed.
func (r *recent) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.committing = false
}
