//go:build linux || darwin

package proc

import (
	"os"
	"testing"
)

// told is a queue that tells what a test says.
type told struct {
	keys    chan []int
	dropped chan int
	gone    map[int]bool
}

func (q *told) add(id Identity) (int, error) {
	if q.gone[id.PID] {
		return -1, os.ErrProcessDone
	}
	return id.PID, nil
}
func (q *told) next() ([]int, bool)   { keys, open := <-q.keys; return keys, open }
func (q *told) drop(key int)          { q.dropped <- key }
func (q *told) stop()                 { close(q.keys) }
func (q *told) close()                { close(q.dropped) }
func (q *told) reap(id Identity) Exit { return Exit{Known: id.PID == 7} }

// An end that is told twice, as a kqueue may, or of one that nobody watches, is
// one call, or none.
func TestWatcherCallsOnce(t *testing.T) {
	q := &told{keys: make(chan []int), dropped: make(chan int, 9), gone: map[int]bool{9: true}}
	w := watchOn(q)
	ends := make(chan Exit, 9)
	for range 2 {
		if err := w.Watch(Identity{PID: 7}, func(e Exit) { ends <- e }); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Watch(Identity{PID: 8}, func(e Exit) { ends <- e }); err != nil {
		t.Fatal(err)
	}
	if err := w.Watch(Identity{PID: 9}, func(e Exit) { ends <- e }); err != os.ErrProcessDone {
		t.Errorf("watch of one that is gone: %v", err)
	}
	q.keys <- []int{7, 7, 5}
	q.keys <- []int{7}
	w.Close()
	w.Close()
	close(ends)
	n := 0
	for e := range ends {
		if n++; !e.Known {
			t.Error("a child's end is not known")
		}
	}
	if n != 2 {
		t.Errorf("%d calls for two watches", n)
	}
	var dropped []int
	for key := range q.dropped {
		dropped = append(dropped, key)
	}
	if len(dropped) != 2 || dropped[0] != 7 || dropped[1] != 8 {
		t.Errorf("dropped %v, want 7 at its end and 8 at the close", dropped)
	}
}
