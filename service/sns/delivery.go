package sns

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// delivery is a message that waits to be brought to its targets.
type delivery struct {
	ID      string // of the message
	Topic   string // key
	Sealed  []byte
	Key     []byte     `json:",omitempty"` // the data key that seals it, under the topic's KMS key
	By      *auth.Call `json:",omitempty"` // the publisher, as whom KMS opens that
	Targets []string   // keys of subscriptions
	Attempt int        `json:",omitempty"` // tries that failed
	Due     time.Time  `json:",omitzero"`  // of a FIFO topic's, whose key does not tell
	Dead    bool       `json:",omitempty"` // it goes to the dead-letter queue
}

// courierKind names the couriers.
type courierKind int

const (
	kindQueue courierKind = iota // queues and functions of standard topics
	kindFIFO                     // queues of FIFO topics
	kindWeb                      // HTTP endpoints
)

// The deliveries of each courier: of queues and functions by time, of web endpoints by time and
// subscription, of FIFO topics by subscription, group and sequence number.
var works = map[courierKind]*store.Collection[delivery]{
	kindQueue: store.NewCollection[delivery]("bulk/sns/queue"),
	kindFIFO:  store.NewCollection[delivery]("bulk/sns/fifo"),
	kindWeb:   store.NewCollection[delivery]("bulk/sns/web"),
}

func timeKey(t time.Time) string { return fmt.Sprintf("%020d", t.UnixNano()) }

// deliveryKey names the first target, too: of one message, protocols may get bodies of their own.
func deliveryKey(due time.Time, id, target string) string {
	return timeKey(due) + "/" + id + "-" + idOf(target)
}

// idOf is the id at the end of a subscription's key.
func idOf(target string) string { return target[strings.LastIndexByte(target, '/')+1:] }

func webKey(due time.Time, target, id string) string {
	return timeKey(due) + "/" + idOf(target) + "/" + id
}

func fifoKey(target, group, sequence string) string {
	return idOf(target) + "/" + contentHash(group)[:32] + "/" + sequence
}

// placeOfKey is where the topic of a key is.
func placeOfKey(key string) (place, error) {
	parts := strings.SplitN(key, "/", 3)
	if len(parts) != 3 {
		return place{}, fmt.Errorf("%q is no topic's key", key)
	}
	return place{arn.Scope{Account: parts[0], Region: parts[1]}, parts[2]}, nil
}

// filed is a delivery with its place.
type filed struct {
	kind courierKind
	key  string
	d    *delivery
}

func file(tx store.Tx, list []filed) error {
	for _, f := range list {
		if err := works[f.kind].Put(tx, f.key, f.d); err != nil {
			return err
		}
	}
	return nil
}

// wake has couriers look for what is due.
func (s *Service) wake(kinds ...courierKind) {
	for _, k := range kinds {
		s.couriers[k].loop.Wake()
	}
}

// recipients are the subscriptions that a delivery is for, as they are now, and their
// topic. Those that ended since are not among them.
func (s *Service) recipients(ctx context.Context, d *delivery) (t *topic, subs map[string]*subscription, err error) {
	err = s.store.View(ctx, func(tx store.Tx) (err error) {
		subs = map[string]*subscription{}
		t, err = topics.Get(tx, d.Topic)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, key := range d.Targets {
			sub, err := subscriptions.Get(tx, key)
			switch {
			case err == nil:
				subs[key] = sub
			case !errors.Is(err, store.ErrNotFound):
				return err
			}
		}
		return nil
	})
	return t, subs, err
}

// verdict is what became of a try.
type verdict int

const (
	delivered verdict = iota
	failed            // to be tried again
	refused           // not worth another try
)

// judge tells what an error of one of AWS's services means: most are the owner's to
// mend, and SNS does not try those again ("Amazon SNS message delivery retries").
func judge(err error) verdict {
	if err == nil {
		return delivered
	}
	f, ok := fault.As(err)
	if !ok {
		return failed
	}
	switch f.Code {
	case fault.RequestThrottled, fault.KmsThrottled, fault.TopicKMSThrottling, fault.Throttling, fault.ThrottlingException, fault.RequestLimitExceeded,
		fault.ServiceUnavailable, fault.InternalFailure, fault.TooManyRequestsException, fault.LambdaServiceException,
		fault.ResourceConflictException: // a function that is not active yet
		return failed
	}
	return refused
}

// bring brings a delivery to one of its targets.
func (s *Service) bring(ctx context.Context, t *topic, sub *subscription, d *delivery, m *message) (verdict, error) {
	if m.Kind == kindNotification && (sub.Pending || sub.Ended) {
		return delivered, nil // nobody wants it any more
	}
	if d.Dead {
		err := s.bury(ctx, sub, m)
		return judge(err), err
	}
	if sub.isWeb() {
		return s.post(ctx, t, sub, m)
	}
	if sub.Protocol == protoLambda {
		err := s.invoke(ctx, sub, m)
		return judge(err), err
	}
	err := s.send(ctx, sub, m)
	return judge(err), err
}

// again is what is left to do for a target after a try: nil is nothing. The wait is at
// the configured scale.
func (s *Service) again(t *topic, sub *subscription, d *delivery, v verdict, why error) (*delivery, time.Duration) {
	if v == delivered {
		return nil, 0
	}
	next := *d
	next.Attempt++
	next.Targets = []string{subscriptionKey(sub, d)}
	if v == failed {
		wait, ok := insideDelay(next.Attempt)
		if sub.isWeb() && !d.Dead {
			policy := sub.Attributes.Delivery.over(t.Attributes.Delivery).Healthy.resolved()
			if ok = next.Attempt <= *policy.Retries; ok {
				wait = policy.delay(next.Attempt)
			}
		}
		if ok {
			return &next, s.wait(wait)
		}
	}
	if !d.Dead && sub.Attributes.DeadLetter != "" {
		next.Dead, next.Attempt = true, 0
		return &next, 0
	}
	s.log.Warn("gave up a notification", "subscription", sub.arn(), "message", d.ID, "tries", next.Attempt, "error", why)
	return nil, 0
}

// subscriptionKey is the key by which a delivery names a subscription.
func subscriptionKey(sub *subscription, d *delivery) string { return d.Topic + "/" + sub.ID }
