package logs

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	lambda "github.com/slipway/slipway/api/lambda"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/service/logs/pattern"
	"github.com/slipway/slipway/store"
)

// delivery is a put that a subscription is to send on. It is written with the put,
// and names its events, which stand in their blocks: they are sent at least once.
type delivery struct {
	Group  string `json:"g"` // key of its record
	ID     string `json:"i"` // of the group
	Stream string `json:"s"`
	In     string `json:"t"` // id of the stream
	Put    uint64 `json:"p"`
	First  int64  `json:"f"` // times of the events
	Last   int64  `json:"l"`
	At     int64  `json:"a"` // ms: when they came
	Filter string `json:"n"`
}

// deliveries are keyed by the put and the subscription's place.
var deliveries = store.NewCollection[delivery](store.BulkPrefix + "logs/delivery")

const (
	// deliveryTime is how long a delivery is tried ("Real-time processing of log data
	// with subscriptions", User Guide).
	deliveryTime = 24 * time.Hour
	// deliveryBatch is how many are looked at before those that came later.
	deliveryBatch = 100
	// maxPayload bounds the texts of one message to a function, in bytes: packed, it
	// then stays below what a function takes. A longer event goes alone.
	maxPayload = 180 << 10
)

// owe notes what a group's subscriptions are to send of a put.
func owe(tx store.Tx, p place, g *group, st *stream, b *batch) error {
	for i, f := range g.Subscriptions {
		d := &delivery{
			Group: p.key(), ID: g.ID, Stream: st.Name, In: st.ID, Put: st.Sequence, First: b.events[0].ms, Last: b.events[len(b.events)-1].ms, At: b.now, Filter: f.Name,
		}
		if err := deliveries.Put(tx, fmt.Sprintf("%016x-%d", st.Sequence, i), d); err != nil {
			return err
		}
	}
	return nil
}

// deliver sends what is owed, the oldest first. One that cannot be sent now is tried
// again; the others do not wait for it.
func (s *Service) deliver(ctx context.Context) error {
	after := ""
	var failed error
	for {
		var page []store.Entry[delivery]
		err := s.store.View(ctx, func(tx store.Tx) error {
			page = nil
			from := deliveries.Prefix() + after
			for doc, err := range tx.Scan(from+"\x00", store.PrefixEnd(deliveries.Prefix())) {
				if err != nil || len(page) == deliveryBatch {
					return err
				}
				d := &delivery{}
				if err := store.Decode(doc, d); err != nil {
					return err
				}
				page = append(page, store.Entry[delivery]{Key: doc.Key[len(deliveries.Prefix()):], Value: d})
			}
			return nil
		})
		if err != nil || len(page) == 0 {
			return errors.Join(err, failed)
		}
		for _, e := range page {
			after = e.Key
			if err := s.send(ctx, e.Value); err != nil {
				failed = err
				continue
			}
			err := s.store.Update(ctx, func(tx store.Tx) error { return deliveries.Delete(tx, e.Key) })
			if err != nil {
				return err
			}
		}
	}
}

// message is what a function gets, packed ("DATA_MESSAGE").
type message struct {
	MessageType         string    `json:"messageType"`
	Owner               string    `json:"owner"`
	LogGroup            string    `json:"logGroup"`
	LogStream           string    `json:"logStream"`
	SubscriptionFilters []string  `json:"subscriptionFilters"`
	LogEvents           []sending `json:"logEvents"`
}

type sending struct {
	ID        string            `json:"id"`
	Timestamp int64             `json:"timestamp"`
	Message   string            `json:"message"`
	Extracted map[string]string `json:"extractedFields,omitempty"`
}

// send sends one delivery. What is over is no error: the group, the stream or the
// subscription is gone, the function refuses, or the time has passed.
func (s *Service) send(ctx context.Context, d *delivery) error {
	p := placeOf(d.Group)
	var f *subscription
	var events []found
	err := s.view(ctx, p, func(tx store.Tx, g *group) (err error) {
		f, events = nil, nil
		for i := range g.Subscriptions {
			if g.ID == d.ID && g.Subscriptions[i].Name == d.Filter {
				f = &g.Subscriptions[i]
			}
		}
		if f != nil {
			events, err = s.owed(tx, g, d, f)
		}
		return err
	})
	switch {
	case fault.Is(err, fault.ResourceNotFoundException):
		return nil
	case err != nil:
		return s.unless(d, err)
	case f == nil:
		return nil
	}
	for len(events) > 0 {
		n, size := 0, 0
		for ; n < len(events) && (n == 0 || size+len(events[n].text) <= maxPayload); n++ {
			size += len(events[n].text)
		}
		if err := s.call(ctx, p, d, f, events[:n]); err != nil {
			return err
		}
		events = events[n:]
	}
	return nil
}

// owed are the events of a delivery that match.
func (s *Service) owed(tx store.Tx, g *group, d *delivery, f *subscription) ([]found, error) {
	pat, err := pattern.Parse(f.Pattern)
	if err != nil {
		return nil, err
	}
	var out []found
	root := eventsOf(g.ID, d.In)
	for doc, err := range tx.Scan(from(root, d.First), from(root, d.Last+1)) {
		if err != nil {
			return nil, err
		}
		b, err := readBlock(doc)
		if err != nil {
			return nil, err
		}
		if b.put != d.Put {
			continue
		}
		ring, err := s.ringOf(g, b.key)
		if err != nil {
			return nil, err
		}
		err = b.each(ring, g.ID, func(at position, text []byte) bool {
			if pat.Match(text) {
				out = append(out, found{position: at, text: string(text)})
			}
			return true
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// call has the function take some events, without waiting for what it does.
func (s *Service) call(ctx context.Context, p place, d *delivery, f *subscription, events []found) error {
	pat, err := pattern.Parse(f.Pattern)
	if err != nil {
		return err
	}
	m := message{MessageType: "DATA_MESSAGE", Owner: p.Account, LogGroup: p.name, LogStream: d.Stream, SubscriptionFilters: []string{f.Name}}
	for i := range events {
		e := sending{ID: events[i].id(), Timestamp: events[i].ms, Message: events[i].text}
		if extracted := pat.Extract([]byte(e.Message)); len(extracted) > 0 {
			e.Extracted = extracted
		}
		m.LogEvents = append(m.LogEvents, e)
	}
	payload, err := packed(m)
	if err != nil {
		return err
	}
	_, err = s.lambda().Invoke(s.forFunctions(ctx, p), &lambda.InvokeInput{FunctionName: f.Destination, InvocationType: lambda.InvocationTypeEvent, Payload: payload})
	if fl, known := fault.As(err); known {
		s.logger.Warn("a subscription cannot be delivered", "group", p.arn(), "filter", f.Name, "function", f.Destination, "error", fl)
		if fault.Is(err, fault.TooManyRequestsException, fault.LambdaServiceException) {
			return s.unless(d, err)
		}
		return nil
	}
	return s.unless(d, err)
}

// unless is the error, so that the delivery is tried again, unless it was for long
// enough.
func (s *Service) unless(d *delivery, err error) error {
	if s.now().Sub(time.UnixMilli(d.At)) > deliveryTime {
		return nil
	}
	return err
}

// packed is a message as functions get it: gzip, in base64, in JSON.
func packed(m message) ([]byte, error) {
	plain, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err = z.Write(plain)
	if err := errors.Join(err, z.Close()); err != nil {
		return nil, err
	}
	return json.Marshal(map[string]any{"awslogs": map[string]string{"data": base64.StdEncoding.EncodeToString(b.Bytes())}})
}
