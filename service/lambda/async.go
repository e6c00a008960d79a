package lambda

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/compute/function"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// An event is an invocation that its caller does not wait for. It stays in the store
// until the function has handled it, or never will and its destination knows. After
// a crash it is handled again: at least once, as on AWS.

// event is one of them.
type event struct {
	Account, Region string
	Function        string
	ID              string // of the function's record: another one of the name is not meant
	Qualifier       string `json:",omitempty"`
	Request         string // its id, the same in each attempt
	Payload         []byte
	Client          string `json:",omitempty"` // context
	Queued          time.Time
	Attempts        int      `json:",omitempty"` // that reached the function
	Throttled       int      `json:",omitempty"` // that did not
	Step            string   `json:",omitempty"` // of which durable step it is, and what is asked there
	Outcome         *outcome `json:",omitempty"` // what is left is to tell it
}

// outcome is how an event ended, and who is to learn it.
type outcome struct {
	Role     string
	Enforced bool     `json:",omitempty"`
	Letters  []letter // that are still to be sent
	Tries    int      `json:",omitempty"`
}

// letter is what a destination or a dead letter queue gets.
type letter struct {
	To         string
	Body       string
	Attributes map[string]string `json:",omitempty"` // of a dead letter
}

// events holds them by the time at which they are due.
var events = store.NewCollection(store.BulkPrefix+"lambda/event", store.Index[event]{Name: "step", Keys: func(_ string, e *event) []string {
	if e.Step == "" {
		return nil
	}
	return []string{e.Step}
}})

func eventKey(due time.Time) string { return fmt.Sprintf("%020d/%s", due.UnixNano(), arn.NewUUID()) }

func eventPrefix(until time.Time) string { return fmt.Sprintf("%020d", until.UnixNano()) }

// Waits between attempts ("Error handling and retries for asynchronous invocation",
// AWS Lambda Developer Guide). All are scaled.
const (
	firstRetry    = time.Minute
	secondRetry   = 2 * time.Minute
	firstThrottle = time.Second
	mostThrottle  = 5 * time.Minute
	letterRetry   = time.Second
	mostLetter    = 5 // tries of a letter that nobody has refused

	defaultRetries = 2
	defaultAge     = 6 * time.Hour
)

// parallelEvents bounds how many events are handled at once.
const parallelEvents = 64

// queue is the events that are being handled.
type queue struct {
	mu      sync.Mutex
	busy    map[string]bool // keys
	working sync.WaitGroup
	timer   *time.Timer
}

// enqueue keeps an event for later. A durable step that is repeated while its event
// stands there adds none.
func (s *Service) enqueue(ctx context.Context, t *target, payload []byte, client string) error {
	now := s.now().UTC()
	e := &event{
		Account: t.Account, Region: t.Region, Function: t.name, ID: t.function.ID, Qualifier: t.qualifier, Request: arn.NewUUID(),
		Payload: payloadOf(payload), Client: client, Queued: now,
	}
	if token := auth.From(ctx).Token; token != "" {
		e.Step = arn.Hash(strings.Join([]string{token, t.invoked, string(e.Payload)}, "\n"))
	}
	err := s.store.Update(ctx, func(tx store.Tx) error {
		if e.Step != "" {
			for _, err := range events.ByIndex(tx, "step", e.Step) {
				return err
			}
		}
		return events.Put(tx, eventKey(now), e)
	})
	if err == nil {
		s.queueLoop.Wake()
	}
	return err
}

// handleEvents begins to handle what is due, as far as there is room. Retry rule:
// each event by itself.
func (s *Service) handleEvents(ctx context.Context) error {
	free := s.queue.free()
	if free == 0 {
		return nil // the first that is through wakes the loop
	}
	now := s.now()
	var due []string
	next := time.Time{}
	err := s.store.View(ctx, func(tx store.Tx) error {
		due, next = nil, time.Time{}
		for e, err := range events.Scan(tx, "") {
			if err != nil {
				return err
			}
			if e.Key >= eventPrefix(now)+"0" {
				var nano int64
				if _, err := fmt.Sscanf(e.Key, "%d", &nano); err == nil {
					next = time.Unix(0, nano)
				}
				return nil
			}
			if s.queue.isBusy(e.Key) {
				continue
			}
			if due = append(due, e.Key); len(due) == free {
				return nil
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, key := range due {
		if !s.queue.take(key) {
			break
		}
		s.queue.working.Go(func() {
			defer s.queueLoop.Wake()
			defer s.queue.leave(key)
			if err := s.handle(s.ended, key); err != nil && s.ended.Err() == nil {
				s.log.Error("lambda event", "error", err)
				s.queue.later(s.ended, s.cfg.scaled(firstThrottle))
			}
		})
	}
	if !next.IsZero() {
		s.queue.alarm(next.Sub(now), s.queueLoop.Wake)
	}
	return nil
}

// free is how many more events can be handled now.
func (q *queue) free() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return parallelEvents - len(q.busy)
}

func (q *queue) isBusy(key string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.busy[key]
}

func (q *queue) take(key string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.busy) >= parallelEvents || q.busy[key] {
		return false
	}
	if q.busy == nil {
		q.busy = map[string]bool{}
	}
	q.busy[key] = true
	return true
}

func (q *queue) leave(key string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.busy, key)
}

// later waits before an event that met an internal error is looked at again.
func (q *queue) later(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// alarm wakes the loop when the next event is due.
func (q *queue) alarm(in time.Duration, wake func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.timer != nil {
		q.timer.Stop()
	}
	q.timer = time.AfterFunc(max(in, time.Millisecond), wake)
}

// stop waits for the events that are being handled.
func (q *queue) stop() {
	q.working.Wait()
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.timer != nil {
		q.timer.Stop()
	}
}

// handle brings one event a step further: an attempt, or a letter.
func (s *Service) handle(ctx context.Context, key string) error {
	var e *event
	// What the loop has seen may be over by now.
	err := s.store.View(ctx, func(tx store.Tx) (err error) {
		e, err = events.Get(tx, key)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if e.Outcome != nil {
		return s.post(ctx, key, e)
	}
	if over, err := s.answered(ctx, e); err != nil {
		return err
	} else if over {
		return s.forget(ctx, key)
	}
	t := target{looked: looked{place: e.place(), qualifier: e.Qualifier}}
	how := &invokeConfig{}
	err = s.store.View(ctx, func(tx store.Tx) (err error) {
		if err := s.aimIn(tx, &t); err != nil {
			return err
		}
		how, err = getInvokeConfig(tx, t.place, e.Qualifier)
		return err
	})
	if fault.Is(err, fault.ResourceNotFoundException) || err == nil && t.function.ID != e.ID {
		return s.forget(ctx, key) // nobody is left to handle it, or to tell
	}
	if err != nil {
		return err
	}
	t.invoked = t.arn(e.Qualifier)
	if s.now().Sub(e.Queued) > s.cfg.scaled(how.age()) {
		return s.conclude(ctx, key, e, &t, how, "EventAgeExceeded", nil)
	}
	res, err := s.run(ctx, t.place, t.function, t.version, function.Invocation{
		RequestID: e.Request, InvokedARN: t.invoked, Payload: e.Payload, ClientContext: e.Client,
	})
	if ctx.Err() != nil || errors.Is(err, function.ErrStopped) || fault.Is(err, fault.ServiceUnavailable) {
		return errors.Join(ctx.Err(), err) // it is handled again after the restart
	}
	if err != nil {
		// The function was not reached: that is tried again for as long as the event is
		// not too old.
		e.Throttled++
		wait := min(firstThrottle<<min(e.Throttled-1, 20), mostThrottle)
		return s.again(ctx, key, e, wait)
	}
	e.Attempts++
	return s.judge(ctx, key, e, &t, how, &res)
}

// answered reports whether nobody waits for what an event asks any more: its function
// has answered, and Slipway was killed before it knew that it was through. Asked again
// it might make anew what has been deleted since.
func (s *Service) answered(ctx context.Context, e *event) (bool, error) {
	if e.Step == "" || e.Attempts > 0 || s.cfg.Answered == nil {
		return false, nil
	}
	return s.cfg.Answered(ctx, e.Payload)
}

// judge decides what becomes of an event that a function has been given.
func (s *Service) judge(ctx context.Context, key string, e *event, t *target, how *invokeConfig, res *function.Result) error {
	switch {
	case res.FunctionError == "":
		return s.conclude(ctx, key, e, t, how, "Success", res)
	case e.Attempts > how.retries():
		return s.conclude(ctx, key, e, t, how, "RetriesExhausted", res)
	}
	wait := firstRetry
	if e.Attempts > 1 {
		wait = secondRetry
	}
	if s.now().Add(s.cfg.scaled(wait)).Sub(e.Queued) >= s.cfg.scaled(how.age()) {
		return s.conclude(ctx, key, e, t, how, "EventAgeExceeded", res)
	}
	return s.again(ctx, key, e, wait)
}

func (e *event) place() place {
	p := place{name: e.Function}
	p.Account, p.Region = e.Account, e.Region
	return p
}

func (s *Service) forget(ctx context.Context, key string) error {
	return s.store.Update(ctx, func(tx store.Tx) error { return events.Delete(tx, key) })
}

// again puts an event off.
func (s *Service) again(ctx context.Context, key string, e *event, wait time.Duration) error {
	return s.store.Update(ctx, func(tx store.Tx) error {
		if err := events.Delete(tx, key); err != nil {
			return err
		}
		return events.Put(tx, eventKey(s.now().Add(s.cfg.scaled(wait))), e)
	})
}

// conclude ends an event: what is to be told of it is kept first.
func (s *Service) conclude(ctx context.Context, key string, e *event, t *target, how *invokeConfig, condition string, res *function.Result) error {
	out := &outcome{Role: t.version.serving().Role, Enforced: t.version.Enforced}
	to := how.OnFailure
	if condition == "Success" {
		to = how.OnSuccess
	}
	if to != "" {
		body, err := report(e, t, condition, res, s.now())
		if err != nil {
			return err
		}
		out.Letters = append(out.Letters, letter{To: to, Body: body})
	}
	if dead := t.version.serving().DeadLetter; dead != nil && condition != "Success" {
		out.Letters = append(out.Letters, letter{To: *dead, Body: string(e.Payload), Attributes: deadAttributes(e, res)})
	}
	if len(out.Letters) == 0 {
		return s.forget(ctx, key)
	}
	e.Outcome = out
	if err := s.store.Update(ctx, func(tx store.Tx) error { return events.Put(tx, key, e) }); err != nil {
		return err
	}
	return s.post(ctx, key, e)
}

// maxErrorMessage bounds what a dead letter tells of an error, in bytes.
const maxErrorMessage = 1024

// deadAttributes are those of a dead letter ("Adding a dead-letter queue", AWS Lambda
// Developer Guide).
func deadAttributes(e *event, res *function.Result) map[string]string {
	out := map[string]string{"RequestID": e.Request, "ErrorCode": "200", "ErrorMessage": "The event could not be handled in time."}
	if res != nil {
		var said struct {
			Message string `json:"errorMessage"`
		}
		if json.Unmarshal(res.Payload, &said) == nil && said.Message != "" {
			out["ErrorMessage"] = strings.ToValidUTF8(said.Message[:min(len(said.Message), maxErrorMessage)], "")
		}
	} else {
		out["ErrorCode"] = "429"
	}
	return out
}

// report is what a destination learns of an invocation ("Invocation record", AWS
// Lambda Developer Guide).
func report(e *event, t *target, condition string, res *function.Result, now time.Time) (string, error) {
	type requestContext struct {
		RequestID   string `json:"requestId"`
		FunctionARN string `json:"functionArn"`
		Condition   string `json:"condition"`
		Count       int    `json:"approximateInvokeCount"`
	}
	type responseContext struct {
		StatusCode      int    `json:"statusCode"`
		ExecutedVersion string `json:"executedVersion"`
		FunctionError   string `json:"functionError,omitempty"`
	}
	record := struct {
		Version         string           `json:"version"`
		Timestamp       string           `json:"timestamp"`
		RequestContext  requestContext   `json:"requestContext"`
		RequestPayload  json.RawMessage  `json:"requestPayload"`
		ResponseContext *responseContext `json:"responseContext,omitempty"`
		ResponsePayload json.RawMessage  `json:"responsePayload,omitempty"`
	}{
		Version: "1.0", Timestamp: now.UTC().Format("2006-01-02T15:04:05.000Z"), RequestPayload: e.Payload,
		RequestContext: requestContext{e.Request, t.arn(qualified(e.Qualifier)), condition, e.Attempts},
	}
	if res != nil {
		record.ResponseContext = &responseContext{200, t.version.Version, res.FunctionError}
		record.ResponsePayload = res.Payload
		if !json.Valid(res.Payload) {
			text, err := json.Marshal(string(res.Payload))
			if err != nil {
				return "", err
			}
			record.ResponsePayload = text
		}
	}
	b, err := json.Marshal(record)
	return string(b), err
}

// retries and age are what an event invoke config says, or does not.
func (c *invokeConfig) retries() int { return int(or(c.Retries, defaultRetries)) }

func (c *invokeConfig) age() time.Duration {
	if c.Age != nil {
		return time.Duration(*c.Age) * time.Second
	}
	return defaultAge
}
