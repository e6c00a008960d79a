package compute

import "testing"

func TestEventsCoalesceAndKeepOrder(t *testing.T) {
	q := NewEvents()
	// The pump may already hold the first event, so it may come once more.
	for range 100 {
		q.Post("a")
	}
	q.Post("b")
	var got []string
	for e := range q.Chan() {
		got = append(got, e.ID)
		if e.ID == "b" {
			break
		}
	}
	if len(got) < 2 || len(got) > 3 || got[0] != "a" {
		t.Errorf("read %v, want a once or twice and then b", got)
	}
	q.Close()
	q.Close()
	if _, ok := <-q.Chan(); ok {
		t.Error("the channel gives events after Close")
	}
}
