package sqlite

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/slipway/slipway/store"
)

// few bytes, so that most of what a test writes moves to SQLite.
const few = 6 << 10

func openHeld(t *testing.T, dir string, held int) *Store {
	t.Helper()
	s, err := Open(t.Context(), dir, Options{NoSync: true, Held: held})
	if err != nil {
		t.Fatal(err)
	}
	return s.(*Store)
}

// writer changes documents below its own prefixes and knows what is to be there.
type writer struct {
	t    *testing.T
	rng  *rand.Rand
	name string
	has  map[string]string
	n    int
}

var errUndo = errors.New("undo")

func (w *writer) key() string {
	prefix := store.BriefPrefix
	if w.rng.IntN(8) == 0 {
		prefix = "doc/"
	}
	return fmt.Sprintf("%s%s/%02d", prefix, w.name, w.rng.IntN(60))
}

// update makes some changes in one transaction, and takes some of them back.
func (w *writer) update(s *Store) {
	ops, undo := 1+w.rng.IntN(8), w.rng.IntN(8) == 0
	seed := w.rng.Uint64()
	var has map[string]string
	err := s.Update(w.t.Context(), func(tx store.Tx) error {
		has = maps.Clone(w.has)
		w.rng = rand.New(rand.NewPCG(seed, 1)) // the function may run again
		for range ops {
			key := w.key()
			w.n++
			value := fmt.Sprint(w.n)
			put := tx.Put
			if _, ok := w.has[key]; !ok && w.rng.IntN(2) == 0 {
				put = tx.PutNew
			}
			var err error
			if w.rng.IntN(3) == 0 {
				delete(has, key)
				err = tx.Delete(key)
			} else {
				has[key] = value
				err = put(key, []byte(value))
			}
			if err != nil {
				return err
			}
		}
		w.compare(tx, has)
		if undo {
			return errUndo
		}
		return nil
	})
	switch {
	case undo && errors.Is(err, errUndo):
	case err != nil:
		w.t.Error(err)
	default:
		w.has = has
	}
}

// compare reads in each way that there is.
func (w *writer) compare(tx store.Tx, has map[string]string) {
	w.t.Helper()
	key := w.key()
	doc, err := tx.Get(key)
	if want, ok := has[key]; ok && (err != nil || string(doc.Value) != want) || !ok && !errors.Is(err, store.ErrNotFound) {
		w.t.Errorf("%s: %q, %v; want %q, %v", key, doc.Value, err, want, ok)
	}
	from := store.BriefPrefix + w.name + "/"
	to := store.PrefixEnd(from)
	if w.rng.IntN(2) == 0 {
		from = fmt.Sprintf("%s%02d", from, w.rng.IntN(60))
	}
	var want, got, back []string
	for k, v := range has {
		if k >= from && k < to {
			want = append(want, k+"="+v)
		}
	}
	slices.Sort(want)
	for d, err := range tx.Scan(from, to) {
		got = append(got, d.Key+"="+string(d.Value))
		if err != nil {
			w.t.Error(err)
		}
	}
	for d, err := range tx.ScanReverse(from, to) {
		back = append(back, d.Key+"="+string(d.Value))
		if err != nil {
			w.t.Error(err)
		}
	}
	slices.Reverse(back)
	if !slices.Equal(got, want) || !slices.Equal(back, want) {
		w.t.Errorf("scan from %s\n got %v\nback %v\nwant %v", from, got, back, want)
	}
}

func (w *writer) view(s *Store) {
	err := s.View(w.t.Context(), func(tx store.Tx) error {
		if w.rng.IntN(2) == 0 {
			_, _ = tx.Get("doc/" + w.name + "/01") // a view that begins with another document
		}
		w.compare(tx, w.has)
		return nil
	})
	if err != nil {
		w.t.Error(err)
	}
}

// TestJournalKeepsWhatWasWritten compares the store with a map: through updates
// that fail, commits that fail, documents that move to SQLite, and restarts.
func TestJournalKeepsWhatWasWritten(t *testing.T) {
	for _, held := range []int{1, few, 40 * traceShare} {
		t.Run(fmt.Sprint(held), func(t *testing.T) { testJournal(t, held) })
	}
}

func testJournal(t *testing.T, held int) {
	dir := filepath.Join(t.TempDir(), "data")
	s := openHeld(t, dir, held)
	var writers []*writer
	for i := range 4 {
		writers = append(writers, &writer{t: t, rng: rand.New(rand.NewPCG(uint64(i), uint64(held))), name: fmt.Sprint("w", i), has: map[string]string{}})
	}
	for round := range 6 {
		var wg sync.WaitGroup
		for _, w := range writers {
			wg.Go(func() {
				for i := 0; i < 25 && !t.Failed(); i++ {
					w.update(s)
					w.view(s)
				}
			})
		}
		wg.Wait()
		if round%3 == 1 {
			failCommit(t, s)
		}
		total := 0
		for _, w := range writers {
			w.view(s)
			total += len(w.has)
		}
		if n, err := s.count(); err != nil || n != int64(total) {
			t.Fatalf("%d documents, %v; want %d", n, err, total)
		}
		if held < traceShare && s.journal.held.bytes > 4*few+16*nodeOverhead {
			t.Errorf("%d bytes are held", s.journal.held.bytes)
		}
		if t.Failed() {
			return
		}
		if round%2 == 0 {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = openHeld(t, dir, held)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// failCommit has SQLite find no room for an update: nothing of it stays.
func failCommit(t *testing.T, s *Store) {
	t.Helper()
	pages, err := s.writer.int("PRAGMA page_count")
	if err != nil {
		t.Fatal(err)
	}
	limit := func(n int64) {
		if err := s.writer.run(fmt.Sprint("PRAGMA max_page_count=", n)); err != nil {
			t.Fatal(err)
		}
	}
	limit(pages)
	big := make([]byte, 2<<20)
	err = s.Update(t.Context(), func(tx store.Tx) error {
		for i := range 60 {
			if err := tx.Delete(fmt.Sprintf("%sw0/%02d", store.BriefPrefix, i)); err != nil {
				return err
			}
		}
		return tx.PutNew(store.BriefPrefix+"w1/big", big)
	})
	if !errors.Is(err, store.ErrNoSpace) {
		t.Fatalf("an update without room: %v", err)
	}
	limit(1 << 30)
}

// TestTheJournalIsShortened writes and deletes for long: what is over leaves
// nothing, neither in memory nor in the file.
func TestTheJournalIsShortened(t *testing.T) {
	s := openHeld(t, filepath.Join(t.TempDir(), "data"), 0)
	defer func() { _ = s.Close() }()
	key := func(i int) string { return fmt.Sprintf("%s%06d", store.BriefPrefix, i) }
	for i := range 2000 {
		err := s.Update(t.Context(), func(tx store.Tx) error {
			if i > 0 {
				if err := tx.Delete(key(i - 1)); err != nil {
					return err
				}
			}
			return tx.PutNew(key(i), []byte("\x00binary \xff"))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	rows, err := s.writer.int("SELECT count(*) FROM journal")
	if err != nil || rows > 2*forgetRows || len(s.journal.rows) != int(rows) {
		t.Errorf("%d rows, %d known, %v", rows, len(s.journal.rows), err)
	}
	if len(s.journal.order) > forgetRows || len(s.journal.traces) > 0 || s.journal.held.sunk {
		t.Errorf("%d writes and %d traces are held", len(s.journal.order), len(s.journal.traces))
	}
}

// TestSnapshotHasTheJournal copies a store that is open.
func TestSnapshotHasTheJournal(t *testing.T) {
	dir, copied := filepath.Join(t.TempDir(), "data"), t.TempDir()
	s := openHeld(t, dir, 0)
	defer func() { _ = s.Close() }()
	for _, key := range []string{"doc/1", store.BriefPrefix + "1", store.BriefPrefix + "2"} {
		if err := s.Update(t.Context(), func(tx store.Tx) error { return tx.Put(key, []byte("1")) }); err != nil {
			t.Fatal(err)
		}
	}
	if err := Snapshot(t.Context(), dir, filepath.Join(copied, FileName)); err != nil {
		t.Fatal(err)
	}
	if n, err := Check(t.Context(), copied); err != nil || n != 3 {
		t.Errorf("the copy has %d documents, %v", n, err)
	}
}

// TestAFailedSyncEndsTheUpdates lets the disk fail under a commit: it is not
// acknowledged, nor is any after it, and a start goes on from what is there.
func TestAFailedSyncEndsTheUpdates(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	st, err := Open(t.Context(), dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := st.(*Store)
	put := func(s *Store, key string) error {
		return s.Update(t.Context(), func(tx store.Tx) error { return tx.Put(key, []byte("1")) })
	}
	if err := put(s, "a"); err != nil {
		t.Fatal(err)
	}
	if err := s.log.close(); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"b", store.BriefPrefix + "c"} {
		if err := put(s, key); err == nil {
			t.Errorf("%s was acknowledged", key)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openHeld(t, dir, 0)
	defer func() { _ = s.Close() }()
	err = s.View(t.Context(), func(tx store.Tx) error {
		_, err := tx.Get("a")
		return err
	})
	if err := errors.Join(err, put(s, "b")); err != nil {
		t.Error(err)
	}
}

// TestNobodyLearnsWhatIsNotDurable holds the syncs up: an update that was
// committed is not answered, and neither is a view that reads what it wrote, or
// that it deleted, nor an update that reads it; a view of another document is.
func TestNobodyLearnsWhatIsNotDurable(t *testing.T) {
	st, err := Open(t.Context(), filepath.Join(t.TempDir(), "data"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := st.(*Store)
	put := func(key string) error {
		return s.Update(t.Context(), func(tx store.Tx) error { return tx.Put(key, []byte("1")) })
	}
	get := func(key string) func() error {
		return func() error {
			return s.View(t.Context(), func(tx store.Tx) error { _, err := tx.Get(key); return err })
		}
	}
	brief := store.BriefPrefix + "1"
	if err := errors.Join(put("old"), put("gone"), get("old")()); err != nil {
		t.Fatal(err)
	}
	// As if the sync of this commit were under way.
	s.log.acquire(false)
	held := s.log.acquire(false)
	answers := make(chan error, 1)
	s.turns.enqueue(&request{}) // the turn is the test's
	b := &batch{}
	r := &request{ctx: t.Context(), done: make(chan struct{}), fn: func(tx store.Tx) error {
		return errors.Join(tx.Put("new", []byte("1")), tx.Delete("gone"), tx.PutNew(brief, []byte("1")))
	}}
	s.join(b, r)
	revision := s.commit(b)
	s.turns.release()
	waits := []func() error{
		get("new"), get("gone"), get(brief),
		func() error {
			return s.View(t.Context(), func(tx store.Tx) error {
				for range tx.Scan("", "") {
					break
				}
				return nil
			})
		},
		func() error {
			return s.Update(t.Context(), func(tx store.Tx) error { _, err := tx.Get("new"); return err })
		},
		func() error { <-r.done; return r.err },
	}
	for _, fn := range waits {
		go func() { answers <- fn() }()
	}
	if err := get("old")(); err != nil {
		t.Error(err)
	}
	select {
	case err := <-answers:
		t.Errorf("somebody was answered: %v", err)
	case <-time.After(50 * time.Millisecond): // long enough for one who does not wait
	}
	s.sync(held, revision)
	notFound := 0
	for range waits {
		if err := <-answers; errors.Is(err, store.ErrNotFound) {
			notFound++
		} else if err != nil {
			t.Error(err)
		}
	}
	if notFound != 1 {
		t.Errorf("%d found nothing, want 1", notFound)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
