package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/slipway/slipway/store"
)

// The benchmarks compare the store with SQLite itself, through the same driver
// with the same durability and in the same run: "ratio" is the store's commits
// per second as a part of SQLite's, with as many documents in a transaction as
// there are writers.

var benchValue = []byte(`{"Name":"web","State":"running","Tags":{"Owner":"bench","Stage":"test"},"Attributes":[1,2,3,4,5,6,7,8],"Text":"0123456789012345678901234567890123456789012345678901234567890123456789"}`)

func benchKey(w, i int) string {
	return fmt.Sprintf("ec2/instance/000000000000/us-east-1/i-%04d%010d", w, i)
}

// Limit of the issue ("The ground floor, whole") for many writers, as a part of
// SQLite's own rate. A run shorter than ratioSeconds says nothing about it.
const (
	manyWriters  = 64
	ratioLimit   = 0.75
	ratioSeconds = 0.25
)

func BenchmarkUpdate(b *testing.B) {
	for _, writers := range []int{1, manyWriters} {
		for _, sync := range []bool{true, false} {
			b.Run(fmt.Sprintf("writers=%d/sync=%v", writers, sync), func(b *testing.B) { benchUpdate(b, writers, !sync) })
		}
	}
}

func benchUpdate(b *testing.B, writers int, noSync bool) {
	dir := b.TempDir()
	s, err := Open(b.Context(), filepath.Join(dir, "store"), Options{NoSync: noSync})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	pragmas := writerPragmas(Options{NoSync: noSync})
	if !noSync {
		pragmas = append(pragmas, "synchronous=FULL") // SQLite's own way
	}
	raw, err := openConn(filepath.Join(dir, "raw.db"), pragmas)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = raw.close() }()
	if err := raw.run(migrations[0]); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	// In turns, so that what else goes on on the machine hits both alike.
	var took, took2 float64
	for done := 0; done < b.N; {
		n := min(b.N-done, max(b.N/20, 10*writers))
		ours := stopwatch(b)
		storeWrites(b, s, writers, done, n)
		took += ours()
		theirs := stopwatch(b)
		rawWrites(b, raw, writers, done, n)
		took2 += theirs()
		done += n
	}
	b.ReportMetric(float64(b.N)/took, "commits/s")
	b.ReportMetric(float64(b.N)/took2, "raw/s")
	ratio := took2 / took
	b.ReportMetric(ratio, "ratio")
	if writers == manyWriters && !noSync && took >= ratioSeconds && ratio < ratioLimit {
		b.Errorf("%d writers commit at %.2f of SQLite's own rate, limit %.2f", writers, ratio, ratioLimit)
	}
}

func stopwatch(b *testing.B) func() float64 {
	start := b.Elapsed()
	return func() float64 { return (b.Elapsed() - start).Seconds() }
}

func storeWrites(b *testing.B, s store.Store, writers, from, n int) {
	var wg sync.WaitGroup
	var next atomic.Int64
	for w := range writers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for {
				i := next.Add(1)
				if i > int64(n) {
					return
				}
				key := benchKey(w, from+int(i))
				if err := s.Update(context.Background(), func(tx store.Tx) error { return tx.Put(key, benchValue) }); err != nil {
					b.Error(err)
					return
				}
			}
		}()
	}
	wg.Wait()
}

func rawWrites(b *testing.B, c *conn, batch, from, n int) {
	put := docs.put
	for i := 0; i < n; {
		if err := c.exec(sqlBeginNow); err != nil {
			b.Fatal(err)
		}
		for w := 0; w < batch && i < n; w++ {
			i++
			if err := c.exec(put, blob(benchKey(w, from+i)), driver.Value(benchValue), int64(i)); err != nil {
				b.Fatal(err)
			}
		}
		if err := c.exec(sqlCommit); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkView(b *testing.B) {
	s, err := Open(b.Context(), b.TempDir(), Options{NoSync: true})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	storeWrites(b, s, 1, 0, 1000)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for i := 1; pb.Next(); i = i%1000 + 1 {
			if err := s.View(context.Background(), func(tx store.Tx) error {
				_, err := tx.Get(benchKey(0, i))
				return err
			}); err != nil {
				b.Error(err)
			}
		}
	})
}
