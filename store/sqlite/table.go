package sqlite

import (
	"database/sql/driver"
	"strings"

	"github.com/slipway/slipway/store"
)

// table is one of the two tables of documents. Bulk data has its own, so that
// its churn does not spread the other documents over the file.
type table struct {
	get, put, del string
	// first is get with a row of NULLs behind, so that the statement stays open
	// whether or not there is a document.
	first string
	// scan[reverse][open end]
	scan [2][2]string
}

var docs, bulk = newTable("doc"), newTable("bulk")

func newTable(name string) *table {
	sel := "SELECT key, value, revision FROM " + name + " WHERE key >= ?"
	return &table{
		get:   "SELECT value, revision FROM " + name + " WHERE key = ?",
		first: "SELECT value, revision FROM " + name + " WHERE key = ? UNION ALL SELECT NULL, NULL",
		put: "INSERT INTO " + name + "(key, value, revision) VALUES(?, ?, ?)" +
			" ON CONFLICT(key) DO UPDATE SET value=excluded.value, revision=excluded.revision",
		del: "DELETE FROM " + name + " WHERE key = ?",
		scan: [2][2]string{
			{sel + " AND key < ? ORDER BY key", sel + " ORDER BY key"},
			{sel + " AND key < ? ORDER BY key DESC", sel + " ORDER BY key DESC"},
		},
	}
}

func tableOf(key string) *table {
	if strings.HasPrefix(key, store.BulkPrefix) {
		return bulk
	}
	return docs
}

// span is the part of a range that lies in one table. to "" is open.
type span struct {
	t        *table
	from, to string
}

var bulkEnd = store.PrefixEnd(store.BulkPrefix)

// spans cuts a range at the edges of the bulk keys, in key order.
func spans(from, to string) []span {
	parts := []span{{docs, "", store.BulkPrefix}, {bulk, store.BulkPrefix, bulkEnd}, {docs, bulkEnd, ""}}
	var out []span
	for _, p := range parts {
		p.from = max(p.from, from)
		if to != "" && (p.to == "" || to < p.to) {
			p.to = to
		}
		if p.to == "" || p.from < p.to {
			out = append(out, p)
		}
	}
	return out
}

func blob(s string) driver.Value { return []byte(s) }

func (c *conn) get(key string) (store.Doc, bool, error) {
	doc, found := store.Doc{Key: key}, false
	err := c.query(tableOf(key).get, 2, []driver.Value{blob(key)}, func(v []driver.Value) bool {
		doc.Value, _ = v[0].([]byte)
		doc.Revision, _ = v[1].(int64)
		found = true
		return false
	})
	return doc, found, err
}

// A chunk of a scan is bounded by both, so that a caller who stops early and
// one who reads all are both served well, and memory is bounded.
const (
	firstChunk = 4
	maxChunk   = 1024
	chunkBytes = 1 << 20
)

// chunk reads up to limit documents of the span; more says that it stopped
// before the end.
func (c *conn) chunk(sp span, reverse bool, limit int) (out []store.Doc, more bool, err error) {
	args := []driver.Value{blob(sp.from)}
	open, rev := 1, 0
	if sp.to != "" {
		args, open = append(args, blob(sp.to)), 0
	}
	if reverse {
		rev = 1
	}
	size := 0
	err = c.query(sp.t.scan[rev][open], 3, args, func(v []driver.Value) bool {
		if len(out) == limit || size > chunkBytes {
			more = true
			return false
		}
		key, _ := v[0].([]byte)
		value, _ := v[1].([]byte)
		revision, _ := v[2].(int64)
		out = append(out, store.Doc{Key: string(key), Value: value, Revision: revision})
		size += len(key) + len(value)
		return true
	})
	return out, more, err
}
