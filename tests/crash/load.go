package crash

import (
	"context"
	"time"
)

// load is plain use of a service beside the stacks: what was acknowledged of it
// must be there whatever happens.
type load interface {
	// owned adds the load's own resources.
	owned(i inventory)
	// flow works until the server does not answer. An answer that says no is an
	// error: nothing of this is wrong.
	flow(ctx context.Context, c *client) error
	// check tells what is not as it was acknowledged, and tidies up, so that the
	// next round begins small.
	check(ctx context.Context, c *client) (wrong []string, err error)
}

// stacked is a load that has stacks, whose resources are its own.
type stacked interface{ stacks() []string }

// repeat does steps, one after the other, until the server does not answer or
// each was done at most times.
func repeat(ctx context.Context, c *client, most int, steps ...func(context.Context, *client) error) error {
	for i := 0; i < most && ctx.Err() == nil; i++ {
		for _, step := range steps {
			if err := step(ctx, c); refused(err) || failed(err) {
				return err
			} else if err != nil {
				return nil // the server is gone
			}
		}
	}
	return nil
}

// loads are all that the harness does beside its stacks.
func loads(ctx context.Context, c *client) ([]load, error) {
	plain, err := newTraffic(ctx, c)
	if err != nil {
		return nil, err
	}
	multipart, err := newUploads(ctx, c)
	if err != nil {
		return nil, err
	}
	fifo, err := newOrder(ctx, c)
	if err != nil {
		return nil, err
	}
	moved, err := newMove(ctx, c)
	if err != nil {
		return nil, err
	}
	told, err := newTopic(ctx, c, false)
	if err != nil {
		return nil, err
	}
	ordered, err := newTopic(ctx, c, true)
	if err != nil {
		return nil, err
	}
	ec2, err := newMachines(ctx, c)
	if err != nil {
		return nil, err
	}
	templates, err := newTree(ctx, c)
	if err != nil {
		return nil, err
	}
	later, err := newEvents(ctx, c)
	if err != nil {
		return nil, err
	}
	return []load{plain, multipart, fifo, moved, told, ordered, ec2, templates, later}, nil
}

// poll asks again and again until it is done, and counts what is not at once.
func poll(ctx context.Context, c *client, done func() (bool, error)) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for first := true; ; first = false {
		if ok, err := done(); ok || err != nil {
			return err
		}
		if first {
			c.waited.Add(1)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
