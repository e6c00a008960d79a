package store_test

import (
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/store/storetest"
)

type thing struct {
	Name string
	Tags []string
}

func newThings(prefix string) *store.Collection[thing] {
	return store.NewCollection(prefix,
		store.Index[thing]{Name: "name", Keys: func(_ string, v *thing) []string { return []string{v.Name} }},
		store.Index[thing]{Name: "tag", Keys: func(_ string, v *thing) []string { return v.Tags }})
}

// model is what a collection must be like: a map.
type model struct {
	c    *store.Collection[thing]
	docs map[string]thing
}

func (m *model) sorted(keyPrefix string, keep func(thing) bool) []string {
	out := []string{}
	for k, v := range m.docs {
		if strings.HasPrefix(k, keyPrefix) && keep(v) {
			out = append(out, k)
		}
	}
	sort.Strings(out)
	return out
}

var (
	someKey = rapid.Custom(func(t *rapid.T) string {
		return rapid.StringOfN(rapid.SampledFrom([]rune("ab/\x00\x01é")), 1, 4, -1).Draw(t, "key")
	})
	someValue = rapid.StringOfN(rapid.SampledFrom([]rune("xy\x00\x01/")), 0, 2, -1)
	someThing = rapid.Custom(func(t *rapid.T) thing {
		return thing{Name: someValue.Draw(t, "name"), Tags: rapid.SliceOfN(someValue, 0, 3).Draw(t, "tags")}
	})
)

// TestCollectionIsAMap runs random operations on a collection and a map, some
// in transactions that are undone.
func TestCollectionIsAMap(t *testing.T) {
	s := storetest.New(t)
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		prefix := rapid.SampledFrom([]string{"t/thing", "bulk/t/thing"}).Draw(rt, "prefix")
		m := &model{c: newThings(fmt.Sprint(prefix, n)), docs: map[string]thing{}}
		rt.Repeat(map[string]func(*rapid.T){
			"write": func(rt *rapid.T) { m.write(t, rt, s) },
			"":      func(rt *rapid.T) { m.check(t, rt, s) },
		})
	})
}

var errUndo = errors.New("undo")

func (m *model) write(t *testing.T, rt *rapid.T, s store.Store) {
	undo := rapid.Bool().Draw(rt, "undo")
	next := map[string]thing{}
	err := s.Update(t.Context(), func(tx store.Tx) error {
		clear(next)
		for k, v := range m.docs {
			next[k] = v
		}
		for range rapid.IntRange(1, 4).Draw(rt, "operations") {
			if err := m.operate(rt, tx, next); err != nil {
				return err
			}
		}
		if undo {
			return errUndo
		}
		return nil
	})
	if undo != errors.Is(err, errUndo) || !undo && err != nil {
		rt.Fatal(err)
	}
	if !undo {
		m.docs = next
	}
}

func (m *model) operate(rt *rapid.T, tx store.Tx, docs map[string]thing) error {
	key, v := "k"+someKey.Draw(rt, "key"), someThing.Draw(rt, "thing")
	_, there := docs[key]
	switch rapid.SampledFrom([]string{"put", "insert", "delete", "putat", "conflict"}).Draw(rt, "operation") {
	case "put":
		docs[key] = v
		return m.c.Put(tx, key, &v)
	case "insert":
		err := m.c.Insert(tx, key, &v)
		if there != errors.Is(err, store.ErrExists) {
			return fmt.Errorf("insert over %v: %w", there, err)
		}
		if there {
			return nil
		}
		docs[key] = v
		return err
	case "delete":
		delete(docs, key)
		return m.c.Delete(tx, key)
	case "putat":
		e, err := m.c.Entry(tx, key)
		if there != (err == nil) {
			return fmt.Errorf("entry: %w", err)
		}
		docs[key] = v
		return m.c.PutAt(tx, key, &v, e.Revision)
	default:
		if err := m.c.PutAt(tx, key, &v, 1<<40); !errors.Is(err, store.ErrConflict) {
			return fmt.Errorf("put at a wrong revision: %w", err)
		}
		return nil
	}
}

func (m *model) check(t *testing.T, rt *rapid.T, s store.Store) {
	err := s.View(t.Context(), func(tx store.Tx) error {
		got := map[string]thing{}
		for e, err := range m.c.Scan(tx, "k") {
			if err != nil {
				return err
			}
			got[e.Key] = *e.Value
		}
		if d := cmp.Diff(m.docs, got, cmp.Comparer(sameThing)); d != "" {
			return fmt.Errorf("documents:\n%s", d)
		}
		for range 3 {
			x := someValue.Draw(rt, "indexed")
			byName := m.sorted("", func(v thing) bool { return v.Name == x })
			byTag := m.sorted("", func(v thing) bool { return slices.Contains(v.Tags, x) })
			if err := errors.Join(m.index(tx, "name", x, byName), m.index(tx, "tag", x, byTag)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		rt.Fatal(err)
	}
}

func sameThing(a, b thing) bool { return a.Name == b.Name && slices.Equal(a.Tags, b.Tags) }

func (m *model) index(tx store.Tx, index, value string, want []string) error {
	got := []string{}
	for e, err := range m.c.ByIndex(tx, index, value) {
		if err != nil {
			return err
		}
		got = append(got, e.Key)
	}
	if !slices.Equal(got, want) {
		return fmt.Errorf("index %s of %q: got %q, want %q", index, value, got, want)
	}
	return nil
}

// TestPagesUnderChange pages through a collection while documents come and go:
// what is there all the time comes exactly once, nothing comes twice.
func TestPagesUnderChange(t *testing.T) {
	s := storetest.New(t)
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		c := newThings(fmt.Sprint("t/page", n))
		stay := map[string]bool{}
		write := func(fn func(tx store.Tx) error) {
			if err := s.Update(t.Context(), fn); err != nil {
				rt.Fatal(err)
			}
		}
		write(func(tx store.Tx) error {
			for _, k := range rapid.SliceOfN(someKey, 0, 12).Draw(rt, "stay") {
				stay["p/"+k] = true
				if err := errors.Join(c.Put(tx, "p/"+k, &thing{Name: "stay"}), c.Put(tx, "q/"+k, &thing{}), c.Put(tx, "p/"+k+"drop", &thing{Name: "drop"})); err != nil {
					return err
				}
			}
			return nil
		})
		limit := rapid.IntRange(1, 4).Draw(rt, "limit")
		seen, last, token := map[string]bool{}, "", ""
		for {
			var items []store.Entry[thing]
			err := s.View(t.Context(), func(tx store.Tx) (err error) {
				items, token, err = c.Page(tx, "p/", token, limit, func(v *thing) bool { return v.Name != "drop" })
				return err
			})
			if err != nil || len(items) > limit || token != "" && len(items) < limit {
				rt.Fatalf("%d items of %d, token %q: %v", len(items), limit, token, err)
			}
			for _, e := range items {
				if seen[e.Key] || e.Key <= last || !strings.HasPrefix(e.Key, "p/") {
					rt.Fatalf("%q came after %q", e.Key, last)
				}
				seen[e.Key], last = true, e.Key
			}
			if token == "" {
				break
			}
			k := "p/" + someKey.Draw(rt, "change")
			write(func(tx store.Tx) error {
				if stay[k] {
					return c.Put(tx, k, &thing{Name: "changed"})
				}
				return errors.Join(c.Put(tx, k, &thing{Name: "new"}), c.Delete(tx, k+"drop"))
			})
		}
		for k := range stay {
			if !seen[k] {
				rt.Fatalf("%q was missed", k)
			}
		}
	})
}

func TestBadTokens(t *testing.T) {
	s, c, other := storetest.New(t), newThings("t/thing"), newThings("t/other")
	err := s.Update(t.Context(), func(tx store.Tx) error {
		for _, k := range []string{"a/1", "a/2", "b/1", "b/2"} {
			if err := errors.Join(c.Put(tx, k, &thing{}), other.Put(tx, k, &thing{})); err != nil {
				return err
			}
		}
		_, good, err := c.Page(tx, "a/", "", 1, nil)
		if err != nil || good == "" {
			return fmt.Errorf("token %q: %w", good, err)
		}
		if _, _, err := c.Page(tx, "a/", good, 1, nil); err != nil {
			return err
		}
		tests := map[string]struct {
			c             *store.Collection[thing]
			prefix, token string
		}{
			"of another prefix":     {c, "b/", good},
			"of another collection": {other, "a/", good},
			"of a wider prefix":     {c, "", good},
			"changed":               {c, "a/", good[:len(good)-1] + "A"},
			"no base64":             {c, "a/", "!!!"},
			"too short":             {c, "a/", "AAAA"},
			"too long":              {c, "a/", strings.Repeat("A", 9000)},
		}
		for name, tt := range tests {
			if _, _, err := tt.c.Page(tx, tt.prefix, tt.token, 1, nil); !errors.Is(err, store.ErrBadToken) {
				t.Errorf("%s: %v", name, err)
			}
		}
		items, next, err := c.Page(tx, "a/", "", 0, nil)
		if len(items) != 2 || next != "" {
			t.Errorf("without limit: %v, %q", items, next)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestReindex(t *testing.T) {
	s := storetest.New(t)
	plain := store.NewCollection[thing]("t/thing")
	old := store.NewCollection("t/thing", store.Index[thing]{Name: "name", Keys: func(string, *thing) []string { return []string{"stale"} }})
	c := newThings("t/thing")
	find := func(tx store.Tx, value string) (n int) {
		for _, err := range c.ByIndex(tx, "name", value) {
			if err != nil {
				t.Error(err)
			}
			n++
		}
		return n
	}
	err := s.Update(t.Context(), func(tx store.Tx) error {
		if err := errors.Join(plain.Put(tx, "a", &thing{Name: "x"}), old.Put(tx, "b", &thing{Name: "x"})); err != nil {
			return err
		}
		if n := find(tx, "stale"); n != 0 {
			t.Errorf("%d found under a value that they no longer have", n)
		}
		if err := c.Reindex(tx); err != nil {
			return err
		}
		if n := find(tx, "x"); n != 2 {
			t.Errorf("%d found, want 2", n)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestPrefixEnd(t *testing.T) {
	for in, want := range map[string]string{"": "", "a": "b", "a/": "a0", "a\xff": "b", "\xff\xff": ""} {
		if got := store.PrefixEnd(in); got != want {
			t.Errorf("PrefixEnd(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestBadCollections(t *testing.T) {
	keys := func(string, *thing) []string { return nil }
	tests := map[string]func(){
		"empty prefix": func() { store.NewCollection[thing]("") },
		"slash":        func() { store.NewCollection[thing]("a/") },
		"tilde":        func() { store.NewCollection[thing]("~index/a") },
		"unnamed":      func() { store.NewCollection("a", store.Index[thing]{Keys: keys}) },
		"twice": func() {
			store.NewCollection("a", store.Index[thing]{Name: "x", Keys: keys}, store.Index[thing]{Name: "x", Keys: keys})
		},
	}
	for name, fn := range tests {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			fn()
		}()
	}
}

// pair has a binary form.
type pair struct{ A, B string }

func (p *pair) AppendDoc(to []byte) []byte { return append(to, p.A+"\x00"+p.B...) }

func (p *pair) DecodeDoc(doc []byte) error {
	var ok bool
	if p.A, p.B, ok = strings.Cut(string(doc), "\x00"); !ok {
		return errors.New("no pair")
	}
	return nil
}

// Documents of a type that got its binary form later are read in either.
func TestBinaryDocuments(t *testing.T) {
	s := storetest.New(t)
	c := store.NewCollection("t/pair", store.Index[pair]{Name: "b", Keys: func(_ string, p *pair) []string { return []string{p.B} }})
	err := s.Update(t.Context(), func(tx store.Tx) error {
		return errors.Join(
			tx.Put("t/pair/json", []byte(`{"A":"1","B":"2"}`)),
			c.Put(tx, "json", &pair{"3", "4"}),
			tx.Put("t/pair/older", []byte(`{"A":"5","B":"6"}`)),
			tx.Put("t/pair/broken", []byte{store.Binary, 'x'}))
	})
	if err != nil {
		t.Fatal(err)
	}
	err = s.View(t.Context(), func(tx store.Tx) error {
		for key, want := range map[string]pair{"json": {"3", "4"}, "older": {"5", "6"}} {
			if got, err := c.Get(tx, key); err != nil || *got != want {
				t.Errorf("%s: %v, %v; want %v", key, got, err, want)
			}
		}
		if _, err := c.Get(tx, "broken"); err == nil {
			t.Error("a broken document was decoded")
		}
		doc, err := tx.Get("t/pair/json")
		if string(doc.Value) != "\x003\x004" {
			t.Errorf("written as %q", doc.Value)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
