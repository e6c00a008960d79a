package lambda

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	sqs "github.com/slipway/slipway/api/sqs"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/compute/function"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// A poller takes a queue's messages and gives them to a function. There is one for
// each mapping that is enabled; the loop that starts and stops them owns them.

// pollers are those that run, by the keys of their mappings.
type pollers struct {
	running map[string]*poller // the loop's own
}

// poller serves one mapping, as it was when it was started.
type poller struct {
	s       *Service
	scope   arn.Scope
	m       mapping
	filters filters
	source  arn.ARN
	room    chan struct{} // for concurrent invocations

	cancel   context.CancelFunc
	working  sync.WaitGroup
	finished chan struct{} // closed when nothing of it is under way
}

// Bounds of a poller.
const (
	defaultConcurrency = 5
	longPoll           = 20 // seconds
	receiveAtOnce      = 10
	pollPause          = time.Second // after a failure
	shortPoll          = 100 * time.Millisecond
	maxBatchPayload    = maxPayload - 64<<10
)

// keepMappings starts and stops pollers until what is wanted is what is, and writes
// that down.
func (s *Service) keepMappings(ctx context.Context) error {
	want := map[string]*mapping{}
	err := s.store.View(ctx, func(tx store.Tx) error {
		clear(want)
		for e, err := range mappings.Scan(tx, "") {
			if err != nil {
				return err
			}
			want[e.Key] = e.Value
		}
		return nil
	})
	if err != nil {
		return err
	}
	for key, p := range s.pollers.running {
		if m := want[key]; m == nil || !m.Enabled || m.Revision != p.m.Revision {
			if !p.stopped() {
				continue // the loop is woken when it has
			}
			delete(s.pollers.running, key)
		}
	}
	var errs []error
	for key, m := range want {
		errs = append(errs, s.keepMapping(ctx, key, m))
	}
	return errors.Join(errs...)
}

func (s *Service) keepMapping(ctx context.Context, key string, m *mapping) error {
	old := s.pollers.running[key]
	if old != nil && old.m.Revision != m.Revision {
		return nil // it is ending
	}
	if m.Enabled && old == nil {
		p, err := s.newPoller(placeOf(key).Scope, m)
		if err != nil {
			return err
		}
		s.pollers.running[key] = p
	}
	is := mappingDisabled
	if m.Enabled {
		is = mappingEnabled
	}
	if m.State == is && !m.Removed {
		return nil
	}
	return s.store.Update(ctx, func(tx store.Tx) error {
		now, err := mappings.Get(tx, key)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil || now.Revision != m.Revision {
			return err // the change has woken the loop
		}
		if now.Removed {
			return mappings.Delete(tx, key)
		}
		now.State = is
		return mappings.Put(tx, key, now)
	})
}

// stopPollers ends all of them. The service's own end has cut short what they were
// at: its messages come again when their visibility timeout is over.
func (s *Service) stopPollers() {
	for _, p := range s.pollers.running {
		p.cancel()
		<-p.finished
	}
	clear(s.pollers.running)
}

func (s *Service) newPoller(scope arn.Scope, m *mapping) (*poller, error) {
	f, err := parseFilters(m.Filter)
	if err != nil {
		return nil, err
	}
	source, err := arn.Parse(m.Source)
	if err != nil {
		return nil, err
	}
	p := &poller{s: s, scope: scope, m: *m, filters: f, source: source, room: make(chan struct{}, or(m.Most, defaultConcurrency))}
	var ctx context.Context
	ctx, p.cancel = context.WithCancel(s.ended)
	p.finished = make(chan struct{})
	go func() {
		defer s.mapLoop.Wake()
		defer close(p.finished)
		p.run(ctx)
		p.working.Wait()
	}()
	return p, nil
}

// stopped has the poller take no more messages, and reports whether it is done with
// those that it had.
func (p *poller) stopped() bool {
	p.cancel()
	select {
	case <-p.finished:
		return true
	default:
		return false
	}
}

// run polls until it is stopped.
func (p *poller) run(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case p.room <- struct{}{}:
		case <-ctx.Done():
			return
		}
		began := time.Now()
		batch, err := p.gather(ctx)
		if err == nil && len(batch) > 0 {
			p.working.Go(func() {
				defer func() { <-p.room }()
				if err := p.give(p.s.ended, batch); err != nil && ctx.Err() == nil {
					p.s.log.Debug("lambda mapping", "mapping", p.m.ID, "function", p.m.Name, "error", err)
				}
			})
			continue
		}
		<-p.room
		if err != nil && ctx.Err() == nil {
			p.s.log.Debug("lambda mapping", "mapping", p.m.ID, "source", p.m.Source, "error", err)
			p.s.queue.later(ctx, pollPause)
		} else if time.Since(began) < shortPoll {
			p.s.queue.later(ctx, shortPoll) // SQS lets nobody wait while it is stopping
		}
	}
}

// target is the version that a mapping's function runs now.
func (p *poller) target(ctx context.Context) (*target, error) {
	t := &target{looked: looked{place: p.m.function(p.scope), qualifier: p.m.Qualifier}}
	err := p.s.store.View(ctx, func(tx store.Tx) error { return p.s.aimIn(tx, t) })
	t.invoked = t.arn(p.m.Qualifier)
	return t, err
}

// asReader is the context in which a function's role reads the queue.
func (p *poller) asReader(ctx context.Context, t *target) (context.Context, error) {
	return p.s.asRole(ctx, t.place, t.version.serving().Role, t.version.Enforced, "sqs")
}

// gather takes messages: as many as a batch holds, for as long as its window is.
func (p *poller) gather(ctx context.Context) ([]sqs.Message, error) {
	t, err := p.target(ctx)
	if err != nil {
		return nil, err
	}
	if err := t.runnable(); err != nil {
		return nil, err
	}
	as, err := p.asReader(ctx, t)
	if err != nil {
		return nil, err
	}
	var batch []sqs.Message
	size, end := 0, time.Time{}
	for len(batch) < int(p.m.Batch) {
		wait := int32(longPoll)
		if !end.IsZero() {
			left := time.Until(end)
			if left <= 0 {
				break
			}
			wait = min(wait, int32(left/time.Second))
		}
		out, err := p.s.cfg.SQS.ReceiveMessage(as, &sqs.ReceiveMessageInput{
			QueueUrl: queueURL(p.source), MaxNumberOfMessages: new(min(receiveAtOnce, p.m.Batch-int32(len(batch)))), WaitTimeSeconds: &wait,
			MessageSystemAttributeNames: []string{"All"}, MessageAttributeNames: []string{"All"},
		})
		if err != nil {
			if len(batch) > 0 {
				break
			}
			return nil, err
		}
		for i := range out.Messages {
			size += len(out.Messages[i].Body)
		}
		batch = append(batch, out.Messages...)
		if len(out.Messages) == 0 && (end.IsZero() || wait > 0) || p.m.Window == 0 || size > maxBatchPayload/2 {
			break
		}
		if end.IsZero() {
			end = time.Now().Add(p.s.cfg.scaled(time.Duration(p.m.Window) * time.Second))
		}
		if len(out.Messages) == 0 { // less than a second is left, which no poll waits
			p.s.queue.later(ctx, time.Until(end))
			end = time.Now()
		}
	}
	return batch, nil
}

// sqsRecord is a message as functions get it ("Using Lambda with Amazon SQS", AWS
// Lambda Developer Guide).
type sqsRecord struct {
	MessageID         string                  `json:"messageId"`
	ReceiptHandle     string                  `json:"receiptHandle"`
	Body              string                  `json:"body"`
	Attributes        map[string]string       `json:"attributes"`
	MessageAttributes map[string]sqsAttribute `json:"messageAttributes"`
	MD5OfAttributes   *string                 `json:"md5OfMessageAttributes,omitempty"`
	MD5OfBody         string                  `json:"md5OfBody"`
	EventSource       string                  `json:"eventSource"`
	EventSourceARN    string                  `json:"eventSourceARN"`
	Region            string                  `json:"awsRegion"`
}

type sqsAttribute struct {
	StringValue      string   `json:"stringValue,omitempty"`
	BinaryValue      string   `json:"binaryValue,omitempty"`
	StringListValues []string `json:"stringListValues"`
	BinaryListValues []string `json:"binaryListValues"`
	DataType         string   `json:"dataType"`
}

func (p *poller) record(m *sqs.Message) sqsRecord {
	out := sqsRecord{
		MessageID: m.MessageId, ReceiptHandle: m.ReceiptHandle, Body: m.Body, Attributes: m.Attributes, MessageAttributes: map[string]sqsAttribute{},
		MD5OfBody: m.MD5OfBody, EventSource: "aws:sqs", EventSourceARN: p.m.Source, Region: p.source.Region,
	}
	if m.MD5OfMessageAttributes != "" {
		out.MD5OfAttributes = &m.MD5OfMessageAttributes
	}
	for name, a := range m.MessageAttributes {
		v := sqsAttribute{StringValue: a.StringValue, DataType: a.DataType, StringListValues: []string{}, BinaryListValues: []string{}}
		if a.BinaryValue != nil {
			v.BinaryValue = base64.StdEncoding.EncodeToString(a.BinaryValue)
		}
		out.MessageAttributes[name] = v
	}
	return out
}

// wanted reports whether the filters let a record through. A body that is JSON is
// looked into; any other is a text.
func (p *poller) wanted(r *sqsRecord) bool {
	if len(p.filters) == 0 {
		return true
	}
	text, err := json.Marshal(r)
	if err != nil {
		return false
	}
	v, _ := readJSON(text)
	all, _ := v.(map[string]any)
	if body, ok := readJSON([]byte(r.Body)); ok && strings.HasPrefix(strings.TrimSpace(r.Body), "{") {
		all["body"] = body
	}
	return p.filters.match(all)
}

// give filters a batch, has the function handle it, and deletes what is done with.
func (p *poller) give(ctx context.Context, batch []sqs.Message) error {
	t, err := p.target(ctx)
	if err != nil {
		return err
	}
	as, err := p.asReader(ctx, t)
	if err != nil {
		return err
	}
	records, dropped := []sqsRecord{}, []string{}
	for i := range batch {
		if r := p.record(&batch[i]); p.wanted(&r) {
			records = append(records, r)
		} else {
			dropped = append(dropped, r.ReceiptHandle)
		}
	}
	if err := p.delete(as, dropped); err != nil || len(records) == 0 {
		return err
	}
	payload, err := json.Marshal(map[string]any{"Records": records})
	if err != nil {
		return err
	}
	res, err := p.s.run(ctx, t.place, t.function, t.version, function.Invocation{RequestID: arn.NewUUID(), InvokedARN: t.invoked, Payload: payload})
	if err != nil {
		return err
	}
	return p.delete(as, p.done(records, &res))
}

// done are the receipts of the records that a function has handled ("Reporting batch
// item failures", AWS Lambda Developer Guide).
func (p *poller) done(records []sqsRecord, res *function.Result) []string {
	if res.FunctionError != "" {
		return nil
	}
	failed, all := map[string]bool{}, false
	if p.m.Report {
		failed, all = failures(res.Payload, records)
	}
	var receipts []string
	for _, r := range records {
		if !all && !failed[r.MessageID] {
			receipts = append(receipts, r.ReceiptHandle)
		}
	}
	return receipts
}

// failures reads what a function reports: the ids of what it could not handle. A
// report that is no good is that all has failed.
func failures(payload []byte, records []sqsRecord) (failed map[string]bool, all bool) {
	v, ok := readJSON(payload)
	if !ok {
		return nil, strings.TrimSpace(string(payload)) != ""
	}
	report, isObject := v.(map[string]any)
	if !isObject {
		return nil, false
	}
	list, isList := report["batchItemFailures"].([]any)
	if !isList {
		return nil, report["batchItemFailures"] != nil
	}
	failed = map[string]bool{}
	for _, item := range list {
		o, _ := item.(map[string]any)
		id, isText := o["itemIdentifier"].(string)
		known := slices.ContainsFunc(records, func(r sqsRecord) bool { return r.MessageID == id })
		if !isText || !known {
			return nil, true
		}
		failed[id] = true
	}
	return failed, false
}

// delete deletes messages, as many at once as SQS allows.
func (p *poller) delete(ctx context.Context, receipts []string) error {
	var errs []error
	for chunk := range slices.Chunk(receipts, receiveAtOnce) {
		in := &sqs.DeleteMessageBatchInput{QueueUrl: queueURL(p.source)}
		for i, r := range chunk {
			in.Entries = append(in.Entries, sqs.DeleteMessageBatchRequestEntry{Id: string(rune('a' + i)), ReceiptHandle: r})
		}
		out, err := p.s.cfg.SQS.DeleteMessageBatch(ctx, in)
		if err != nil {
			return err
		}
		for _, f := range out.Failed { // the others are done with all the same
			errs = append(errs, fault.New(f.Code, "%s", f.Message))
		}
	}
	return errors.Join(errs...)
}
