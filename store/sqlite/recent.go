package sqlite

import (
	"strings"
	"sync"

	"github.com/slipway/slipway/store"
)

// recent keeps documents that views have read lately, so that a view of one or
// two of them asks SQLite nothing. Such a view has no snapshot of SQLite's; it
// is listed here instead, and whoever commits first takes the snapshot for it.
// So every view still sees one state, and none waits for a commit or holds one up.
type recent struct {
	mu         sync.Mutex
	docs       map[string]store.Doc
	bytes      int
	views      map[*readTx]struct{} // that were served from docs and have no snapshot
	committing bool                 // docs may be behind SQLite: nothing is served
	epoch      int64                // grows with every commit
}

// Bounds of what is kept, in bytes. A full cache starts afresh.
const (
	maxRecent    = 4 << 20
	maxRecentDoc = 32 << 10
	docOverhead  = 128
)

// get serves a view that has no snapshot, and lists it.
func (r *recent) get(t *readTx, key string) (store.Doc, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.committing {
		return store.Doc{}, false
	}
	// A commit takes views off the list when it has given them their snapshots.
	// One that was served before and is not on it any more has its own by now.
	if _, listed := r.views[t]; t.served && !listed {
		return store.Doc{}, false
	}
	doc, ok := r.docs[key]
	if !ok {
		return store.Doc{}, false
	}
	if r.views == nil {
		r.views = map[*readTx]struct{}{}
	}
	r.views[t] = struct{}{}
	doc.Value = append([]byte(nil), doc.Value...) // the caller's own, as from SQLite
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
	if size > maxRecentDoc || strings.HasPrefix(doc.Key, store.BulkPrefix) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.committing || r.epoch != epoch {
		return
	}
	if _, ok := r.docs[doc.Key]; ok {
		return
	}
	if r.docs == nil || r.bytes+size > maxRecent {
		r.docs, r.bytes = map[string]store.Doc{}, 0
	}
	doc.Value = append([]byte(nil), doc.Value...)
	r.docs[doc.Key] = doc
	r.bytes += size
}

// drop takes a view off the list.
func (r *recent) drop(t *readTx) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.views, t)
}

// begin is called before a commit: every view on the list gets its snapshot of
// the state that it was served from.
func (r *recent) begin() {
	r.mu.Lock()
	r.committing = true
	r.epoch++
	views := r.views
	r.views = nil
	r.mu.Unlock()
	for t := range views {
		t.secure()
	}
}

// end is called after a commit, or after one that failed.
func (r *recent) end(keys []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.committing = false
	for _, key := range keys {
		if doc, ok := r.docs[key]; ok {
			r.bytes -= len(doc.Key) + len(doc.Value) + docOverhead
			delete(r.docs, key)
		}
	}
}
