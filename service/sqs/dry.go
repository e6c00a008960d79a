package sqs

import "sync"

// dry remembers queues whose last receive found nothing. It saves work and
// decides nothing: a receive from such a queue looks before it writes, and one
// from another queue takes at once.
type dry struct {
	mu     sync.Mutex
	queues map[place]struct{}
}

// maxDry bounds what is remembered; a full one starts afresh.
const maxDry = 10000

func (d *dry) has(p place) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, ok := d.queues[p]
	return ok
}

func (d *dry) set(p place, is bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !is {
		delete(d.queues, p)
		return
	}
	if d.queues == nil || len(d.queues) >= maxDry {
		d.queues = map[place]struct{}{}
	}
	d.queues[p] = struct{}{}
}
