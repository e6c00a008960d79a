package sns

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/slipway/slipway/reconcile"
	"github.com/slipway/slipway/store"
)

// courier brings what is due to its targets, much of it at once. Its loop reads what
// is due from the store and gives it to workers, which commit what became of it and
// wake the loop. What was brought but not committed is brought again: at least once.
// Retry rule: each delivery by itself, by its policy.
type courier struct {
	s       *Service
	kind    courierKind
	loop    *reconcile.Loop
	slots   int // jobs at once
	perLane int // of them, of one lane

	mu      sync.Mutex
	flying  map[string]bool // keys of deliveries under way
	lanes   map[string]int  // jobs under way, by lane
	timer   *time.Timer     // wakes the loop when something will be due
	ctx     context.Context
	cancel  context.CancelFunc
	workers sync.WaitGroup
}

// Jobs at once. A web endpoint may take 15 seconds over each.
const (
	queueSlots   = 64
	fifoSlots    = 64
	fifoTogether = 10 // deliveries of a group that one worker takes
	webSlots     = 128
	webPerLane   = 16
	together     = 64   // targets of one delivery
	maxLooked    = 4096 // deliveries that a run looks at
)

func newCouriers(s *Service) []*courier {
	hire := func(kind courierKind, name string, slots, perLane int) *courier {
		c := &courier{s: s, kind: kind, slots: slots, perLane: perLane, flying: map[string]bool{}, lanes: map[string]int{}}
		c.loop = reconcile.New("sns "+name, c.run, reconcile.Options{Logger: s.log})
		return c
	}
	return []*courier{
		kindQueue: hire(kindQueue, "queues", queueSlots, queueSlots),
		kindFIFO:  hire(kindFIFO, "FIFO queues", fifoSlots, 1),
		kindWeb:   hire(kindWeb, "web", webSlots, webPerLane),
	}
}

func (c *courier) start(ctx context.Context) {
	c.ctx, c.cancel = context.WithCancel(context.WithoutCancel(ctx))
	c.timer = time.AfterFunc(0, c.loop.Wake)
	c.loop.Start(ctx)
}

// stop ends the loop and then the workers. What they were at stays due.
func (c *courier) stop() {
	c.loop.Stop()
	if c.cancel != nil {
		c.timer.Stop()
		c.cancel()
	}
	c.workers.Wait()
}

// job is what a worker takes: one delivery, or some of a group, in order.
type job struct {
	lane string
	keys []string
	list []*delivery
}

// run gives what is due to workers, as far as there is room.
func (c *courier) run(ctx context.Context) error {
	jobs, next, err := c.due(ctx)
	if err != nil {
		return err
	}
	if !next.IsZero() {
		c.timer.Reset(max(next.Sub(c.s.now()), 0))
	}
	for _, j := range jobs {
		c.begin(j)
		c.workers.Go(func() {
			defer c.loop.Wake()
			defer c.end(j)
			c.work(c.ctx, j)
		})
	}
	return nil
}

func (c *courier) begin(j job) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lanes[j.lane]++
	for _, key := range j.keys {
		c.flying[key] = true
	}
}

func (c *courier) end(j job) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lanes[j.lane]--; c.lanes[j.lane] == 0 {
		delete(c.lanes, j.lane)
	}
	for _, key := range j.keys {
		delete(c.flying, key)
	}
}

// room is how many jobs can begin.
func (c *courier) room() int {
	n := c.slots
	for _, busy := range c.lanes {
		n -= busy
	}
	return n
}

// due finds what is due and not under way, and when the next will be.
func (c *courier) due(ctx context.Context) (jobs []job, next time.Time, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.room() <= 0 {
		return nil, next, nil // the worker that ends wakes the loop
	}
	err = c.s.store.View(ctx, func(tx store.Tx) (err error) {
		if c.kind == kindFIFO {
			jobs, next, err = c.dueInOrder(tx)
		} else {
			jobs, next, err = c.dueByTime(tx)
		}
		return err
	})
	return jobs, next, err
}

// dueByTime finds deliveries whose keys begin with their times.
func (c *courier) dueByTime(tx store.Tx) (jobs []job, next time.Time, err error) {
	prefix := works[c.kind].Prefix()
	room, looked, more := c.room(), 0, map[string]int{}
	now := c.s.now()
	for doc, err := range tx.Scan(prefix, store.PrefixEnd(prefix)) {
		if err != nil {
			return nil, next, err
		}
		key := doc.Key[len(prefix):]
		if c.flying[key] {
			continue
		}
		stamp, rest, _ := strings.Cut(key, "/")
		n, err := strconv.ParseInt(stamp, 10, 64)
		if err != nil {
			return nil, next, err
		}
		if at := time.Unix(0, n); at.After(now) {
			return jobs, at, nil
		}
		if looked++; len(jobs) == room || looked > maxLooked {
			return jobs, now.Add(time.Second), nil
		}
		lane := ""
		if c.kind == kindWeb {
			lane, _, _ = strings.Cut(rest, "/")
		}
		if c.lanes[lane]+more[lane] >= c.perLane {
			continue // the end of one of the lane wakes the loop
		}
		d := &delivery{}
		if err := store.Decode(doc, d); err != nil {
			return nil, next, err
		}
		more[lane]++
		jobs = append(jobs, job{lane, []string{key}, []*delivery{d}})
	}
	return jobs, next, nil
}

// dueInOrder finds the first deliveries of each group of each subscription: those
// behind one that is not due wait for it.
func (c *courier) dueInOrder(tx store.Tx) (jobs []job, next time.Time, err error) {
	prefix := works[c.kind].Prefix()
	end, now, room := store.PrefixEnd(prefix), c.s.now(), c.room()
	for from := prefix; len(jobs) < room; {
		j, last, err := c.head(tx, from, end, now)
		if err != nil || last == "" {
			return jobs, next, err
		}
		from = store.PrefixEnd(prefix + last + "/")
		switch {
		case c.lanes[last] > 0:
		case len(j.list) > 0:
			jobs = append(jobs, j.job)
		case next.IsZero() || j.at.Before(next):
			next = j.at
		}
	}
	return jobs, now.Add(time.Second), nil
}

type headOf struct {
	job
	at time.Time // when the first will be due, where none is
}

// head reads the first deliveries of the lane that begins at or behind from. lane is ""
// where there is none.
func (c *courier) head(tx store.Tx, from, end string, now time.Time) (j headOf, lane string, err error) {
	prefix := works[c.kind].Prefix()
	for doc, err := range tx.Scan(from, end) {
		if err != nil {
			return j, "", err
		}
		key := doc.Key[len(prefix):]
		at := key[:strings.LastIndexByte(key, '/')]
		if lane == "" {
			lane = at
		}
		if at != lane || c.lanes[lane] > 0 || len(j.list) == fifoTogether {
			break
		}
		d := &delivery{}
		if err := store.Decode(doc, d); err != nil {
			return j, "", err
		}
		if d.Due.After(now) {
			j.at = d.Due
			break
		}
		j.keys, j.list = append(j.keys, key), append(j.list, d)
	}
	j.lane = lane
	return j, lane, nil
}

// work brings a job's deliveries to their targets and commits what became of them. Of
// a group, the first that is to be tried again ends the job.
func (c *courier) work(ctx context.Context, j job) {
	var outcomes []outcome
	for i, d := range j.list {
		o, err := c.deliver(ctx, j.keys[i], d)
		if err != nil {
			if ctx.Err() == nil {
				c.s.log.Error("deliver", "message", d.ID, "error", err)
				c.s.pause(ctx, deliverPause)
			}
			break
		}
		outcomes = append(outcomes, o)
		if c.kind == kindFIFO && len(o.left) > 0 {
			break
		}
	}
	if ctx.Err() != nil || len(outcomes) == 0 {
		return // what was brought is brought again
	}
	err := c.s.store.Update(ctx, func(tx store.Tx) error {
		for _, o := range outcomes {
			if err := c.settle(tx, o); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil && ctx.Err() == nil {
		c.s.log.Error("settle deliveries", "error", err)
		c.s.pause(ctx, deliverPause)
	}
}

// deliverPause keeps what fails within Slipway, such as on a full disk, from spinning.
const deliverPause = time.Second

// pause waits, or until the context ends.
func (s *Service) pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// outcome is what became of a delivery: what is left of it, if anything.
type outcome struct {
	key  string
	left []leftover
}

type leftover struct {
	d   *delivery
	due time.Time
}

// settle takes a delivery away and files what is left of it.
func (c *courier) settle(tx store.Tx, o outcome) error {
	work := works[c.kind]
	if c.kind == kindFIFO && len(o.left) == 1 { // it keeps its place in the group
		o.left[0].d.Due = o.left[0].due
		return work.Put(tx, o.key, o.left[0].d)
	}
	if err := work.Delete(tx, o.key); err != nil {
		return err
	}
	for _, l := range o.left {
		key := deliveryKey(l.due, l.d.ID, l.d.Targets[0])
		if c.kind == kindWeb {
			key = webKey(l.due, l.d.Targets[0], l.d.ID)
		}
		if err := work.Put(tx, key, l.d); err != nil {
			return err
		}
	}
	return nil
}

// deliver tries a delivery's targets, many side by side. An error is Slipway's own.
func (c *courier) deliver(ctx context.Context, key string, d *delivery) (outcome, error) {
	s := c.s
	o := outcome{key: key}
	t, subs, err := s.recipients(ctx, d)
	if err != nil || t == nil || len(subs) == 0 {
		return o, err
	}
	m, err := s.open(ctx, d)
	if v := judge(err); v == failed && d.By == nil {
		return o, err
	} else if v != delivered {
		for _, sub := range subs {
			if v == refused {
				s.log.Warn("gave up a notification that cannot be opened", "subscription", sub.arn(), "message", d.ID, "error", err)
				continue
			}
			if next, wait := s.again(t, sub, d, v, err); next != nil {
				o.left = append(o.left, leftover{next, s.now().UTC().Add(wait)})
			}
		}
		return o, nil
	}
	var mu sync.Mutex
	var trying sync.WaitGroup
	try := func(sub *subscription) {
		v, err := s.bring(ctx, t, sub, d, m)
		next, wait := s.again(t, sub, d, v, err)
		if next == nil {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		o.left = append(o.left, leftover{next, s.now().UTC().Add(wait)})
	}
	if len(subs) == 1 {
		for _, sub := range subs {
			try(sub)
		}
		return o, nil
	}
	room := make(chan struct{}, together)
	for _, sub := range subs {
		room <- struct{}{}
		trying.Go(func() {
			defer func() { <-room }()
			try(sub)
		})
	}
	trying.Wait()
	return o, nil
}
