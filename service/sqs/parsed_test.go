package sqs

import (
	"errors"
	"testing"

	api "github.com/slipway/slipway/api/sqs"
	"github.com/slipway/slipway/store"
)

// TestDecodedQueuesFollow: a change that was undone leaves no trace, and what a
// caller does to its queue does not reach another's.
func TestDecodedQueuesFollow(t *testing.T) {
	b := newBench(t)
	url := b.create("q", map[string]string{"VisibilityTimeout": "10"})
	undo := errors.New("undo")
	set := func(visibility int, end error) {
		err := b.update(b.ctx, url, func(tx store.Tx, p place, q *queue) error {
			q.Attributes.Visibility = visibility
			q.Tags = map[string]string{"k": "v"}
			if err := queues.Put(tx, p.key(), q); err != nil {
				return err
			}
			if q, err := find(tx, p); err != nil || q.Attributes.Visibility != visibility {
				t.Errorf("in the transaction: %+v, %v", q, err)
			}
			return end
		})
		if !errors.Is(err, end) {
			t.Fatal(err)
		}
	}
	see := func(want string, tags int) {
		t.Helper()
		out, err := b.ListQueueTags(b.ctx, &api.ListQueueTagsInput{QueueUrl: url})
		if got := b.attributes(url, "VisibilityTimeout")["VisibilityTimeout"]; got != want || err != nil || len(out.Tags) != tags {
			t.Errorf("visibility %s, want %s; tags %v, %v", got, want, out.Tags, err)
		}
	}
	set(20, undo)
	see("10", 0)
	set(30, nil)
	see("30", 1)
	set(40, undo)
	see("30", 1)
}
