package sqs

import (
	"context"
	"encoding/base64"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	api "github.com/slipway/slipway/api/sqs"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// queue is a stored queue.
type queue struct {
	Name       string
	Data       string // where its messages are; a purge begins another one
	Attributes attributes
	Tags       map[string]string `json:",omitempty"`
	Created    time.Time
	Modified   time.Time
	Purged     time.Time `json:",omitzero"`
	Token      string    `json:",omitempty"`

	at place // where it was found
}

var queues = store.NewCollection("sqs/queue", store.Index[queue]{Name: "target", Keys: func(_ string, q *queue) []string {
	if q.Attributes.Redrive == nil {
		return nil
	}
	return []string{q.Attributes.Redrive.Target}
}})

// place is where a queue is: what its URL and its ARN say.
type place struct {
	arn.Scope
	name string
}

func (p place) key() string { return p.Key() + "/" + p.name }

func (p place) arn() string { return p.ARN("sqs", p.name).String() }

func (p place) url(endpoint string) string { return endpoint + "/" + p.Account + "/" + p.name }

// newData makes a place for messages.
func newData() string { return strings.TrimPrefix(arn.NewID("d-"), "d-") }

var (
	nameForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-zA-Z0-9_-]{1,80}$`) })
	fifoForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-zA-Z0-9_-]{1,75}\.fifo$`) })
)

// typeOf checks a name by the type of queue that is asked for.
func typeOf(name string, asked map[string]string) (fifo, error) {
	if asked[api.QueueAttributeNameFifoQueue] != "true" {
		if !nameForm().MatchString(name) {
			return fifo{}, fault.New(fault.InvalidParameterValue, "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length")
		}
		return fifo{}, nil
	}
	if !fifoForm().MatchString(name) {
		return fifo{}, fault.New(fault.InvalidParameterValue, "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must end with .fifo suffix and be 1 to 80 in length.")
	}
	return fifo{Fifo: true, Scope: "queue", Throughput: "perQueue"}, nil
}

func noQueue() error {
	return fault.New(fault.QueueDoesNotExist, "The specified queue does not exist.")
}

// placeOf reads a queue's URL. Only the path counts: a client may reach Slipway
// by other names than the one that made the URL.
func placeOf(ctx context.Context, queueURL string) (place, error) {
	path, _ := auth.QueuePath(queueURL)
	path = strings.Trim(path, "/")
	name := strings.LastIndexByte(path, '/') + 1
	account := strings.TrimSuffix(path[:name], "/")
	account = account[strings.LastIndexByte(account, '/')+1:]
	if !arn.IsAccount(account) {
		return place{}, fault.New(fault.InvalidAddress, "The address %s is not valid for this endpoint.", queueURL)
	}
	p := place{auth.From(ctx).Scope, path[name:]}
	p.Account = account
	return p, nil
}

func find(tx store.Tx, p place) (*queue, error) {
	q, err := decoded.get(tx, p)
	if errors.Is(err, store.ErrNotFound) {
		return nil, noQueue()
	}
	return q, err
}

// lookup finds a queue that the caller may use for its operation.
func lookup(ctx context.Context, tx store.Tx, p place) (*queue, error) {
	q, err := find(tx, p)
	if err != nil {
		return nil, err
	}
	return q, permit(auth.From(ctx), p, q)
}

// view reads a queue in a transaction of its own.
func (s *Service) view(ctx context.Context, queueURL string, fn func(tx store.Tx, p place, q *queue) error) error {
	p, err := placeOf(ctx, queueURL)
	if err != nil {
		return err
	}
	return s.store.View(ctx, func(tx store.Tx) error {
		q, err := lookup(ctx, tx, p)
		if err != nil {
			return err
		}
		return fn(tx, p, q)
	})
}

// update changes messages of a queue, or with put the queue itself.
func (s *Service) update(ctx context.Context, queueURL string, fn func(tx store.Tx, p place, q *queue) error) error {
	p, err := placeOf(ctx, queueURL)
	if err != nil {
		return err
	}
	return s.store.Update(ctx, func(tx store.Tx) error {
		q, err := lookup(ctx, tx, p)
		if err != nil {
			return err
		}
		return fn(tx, p, q)
	})
}

// updateSealing is update for functions that may need data keys.
func (s *Service) updateSealing(ctx context.Context, queueURL string, fn func(tx store.Tx, p place, q *queue) error) error {
	return s.withDataKeys(ctx, func() error { return s.update(ctx, queueURL, fn) })
}

// CreateQueue makes a queue, or finds the one that is there with the same
// attributes.
func (s *Service) CreateQueue(ctx context.Context, in *api.CreateQueueInput) (*api.CreateQueueOutput, error) {
	kind, err := typeOf(in.QueueName, in.Attributes)
	if err != nil {
		return nil, err
	}
	call := auth.From(ctx)
	p := place{call.Scope, in.QueueName}
	err = s.store.Update(ctx, func(tx store.Tx) error {
		old, err := queues.Get(tx, p.key())
		switch {
		case err == nil:
			return same(call, old, in.Attributes)
		case !errors.Is(err, store.ErrNotFound):
			return err
		}
		now := s.now().UTC()
		q := &queue{Name: in.QueueName, Data: newData(), Attributes: defaults, Created: now, Modified: now, Token: call.Token}
		q.Attributes.fifo = kind
		if err := q.set(tx, p, in.Attributes); err != nil {
			return err
		}
		if q.Tags, err = mergeTags(ctx, nil, in.Tags); err != nil {
			return err
		}
		return queues.Put(tx, p.key(), q)
	})
	if err != nil {
		return nil, err
	}
	return &api.CreateQueueOutput{QueueUrl: p.url(call.Endpoint)}, nil
}

// same says whether a queue of the name will do. A durable step takes no queue
// that another one made.
func same(call auth.Call, old *queue, asked map[string]string) error {
	if call.Token != "" {
		if old.Token == call.Token {
			return nil
		}
		return fault.New(fault.QueueNameExists, "A queue already exists with the same name: %s", old.Name)
	}
	has := old.Attributes.texts()
	for _, name := range sortedKeys(asked) {
		if err := old.Attributes.known(name); err != nil {
			return err
		}
		if !sameAttribute(name, has[name], asked[name]) {
			return fault.New(fault.QueueNameExists, "A queue already exists with the same name and a different value for attribute %s", name)
		}
	}
	return nil
}

// DeleteQueue removes a queue. Its messages are out of reach at once; the sweep
// removes them.
func (s *Service) DeleteQueue(ctx context.Context, in *api.DeleteQueueInput) (*api.DeleteQueueOutput, error) {
	err := s.update(ctx, in.QueueUrl, func(tx store.Tx, p place, q *queue) error {
		if err := errors.Join(discard(tx, q.Data), dropTasks(tx, p)); err != nil {
			return err
		}
		return queues.Delete(tx, p.key())
	})
	if err != nil {
		return nil, err
	}
	s.sweep.Wake()
	return &api.DeleteQueueOutput{}, nil
}

// purgeInterval is how often a queue can be purged.
const purgeInterval = time.Minute

// PurgeQueue empties a queue at once; the sweep removes the messages.
func (s *Service) PurgeQueue(ctx context.Context, in *api.PurgeQueueInput) (*api.PurgeQueueOutput, error) {
	err := s.update(ctx, in.QueueUrl, func(tx store.Tx, p place, q *queue) error {
		now := s.now().UTC()
		if now.Before(q.Purged.Add(purgeInterval)) {
			return fault.New(fault.PurgeQueueInProgress, "Only one PurgeQueue operation on %s is allowed every 60 seconds.", q.Name)
		}
		if err := discard(tx, q.Data); err != nil {
			return err
		}
		q.Data, q.Purged = newData(), now
		return queues.Put(tx, p.key(), q)
	})
	if err != nil {
		return nil, err
	}
	s.sweep.Wake()
	return &api.PurgeQueueOutput{}, nil
}

// GetQueueUrl finds a queue by its name.
func (s *Service) GetQueueUrl(ctx context.Context, in *api.GetQueueUrlInput) (*api.GetQueueUrlOutput, error) {
	call := auth.From(ctx)
	p := place{call.Scope, in.QueueName}
	if in.QueueOwnerAWSAccountId != "" {
		p.Account = in.QueueOwnerAWSAccountId
	}
	err := s.store.View(ctx, func(tx store.Tx) error {
		_, err := lookup(ctx, tx, p)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &api.GetQueueUrlOutput{QueueUrl: p.url(call.Endpoint)}, nil
}

const maxListed = 1000

func pageSize(n *int32) (int, error) {
	if n == nil {
		return maxListed, nil
	}
	if *n < 1 || *n > maxListed {
		return 0, invalidValue("Value %d for parameter MaxResults is invalid. Reason: MaxResults must be an integer between 1 and %d.", *n, maxListed)
	}
	return int(*n), nil
}

func badToken() error { return invalidValue("Invalid NextToken") }

// ListQueues lists the queues of the account and region. Only a caller that
// asks for pages gets a token.
func (s *Service) ListQueues(ctx context.Context, in *api.ListQueuesInput) (*api.ListQueuesOutput, error) {
	call := auth.From(ctx)
	limit, err := pageSize(in.MaxResults)
	if err != nil {
		return nil, err
	}
	out := &api.ListQueuesOutput{}
	err = s.store.View(ctx, func(tx store.Tx) error {
		entries, next, err := queues.Page(tx, call.Scope.Key()+"/"+in.QueueNamePrefix, in.NextToken, limit, nil)
		if errors.Is(err, store.ErrBadToken) {
			return badToken()
		}
		out.QueueUrls, out.NextToken = nil, ""
		if in.MaxResults != nil {
			out.NextToken = next
		}
		for _, e := range entries {
			out.QueueUrls = append(out.QueueUrls, place{call.Scope, e.Value.Name}.url(call.Endpoint))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// ListDeadLetterSourceQueues lists the queues whose failures go to this one.
func (s *Service) ListDeadLetterSourceQueues(ctx context.Context, in *api.ListDeadLetterSourceQueuesInput) (*api.ListDeadLetterSourceQueuesOutput, error) {
	limit, err := pageSize(in.MaxResults)
	if err != nil {
		return nil, err
	}
	// The token is the last name of the page before.
	after, err := base64.RawURLEncoding.DecodeString(in.NextToken)
	if err != nil || len(after) > 0 && !nameForm().Match(after) && !fifoForm().Match(after) {
		return nil, badToken()
	}
	var names []string
	var at place
	err = s.view(ctx, in.QueueUrl, func(tx store.Tx, p place, _ *queue) error {
		names, at = nil, p
		for e, err := range queues.ByIndex(tx, "target", p.arn()) {
			if err != nil {
				return err
			}
			if e.Value.Name > string(after) {
				names = append(names, e.Value.Name)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := &api.ListDeadLetterSourceQueuesOutput{QueueUrls: []string{}}
	slices.Sort(names)
	for _, name := range names[:min(len(names), limit)] {
		out.QueueUrls = append(out.QueueUrls, place{at.Scope, name}.url(auth.From(ctx).Endpoint))
	}
	if len(names) > limit && in.MaxResults != nil {
		out.NextToken = base64.RawURLEncoding.EncodeToString([]byte(names[limit-1]))
	}
	return out, nil
}

const maxTags = 50

func mergeTags(ctx context.Context, have, add map[string]string) (map[string]string, error) {
	out := maps.Clone(have)
	if out == nil {
		out = map[string]string{}
	}
	for k, v := range add {
		if k == "" || len(k) > 128 || len(v) > 256 {
			return nil, fault.New(fault.InvalidParameterValue, "A tag key has 1 to 128 characters, and a tag value at most 256.")
		}
		// The engine's own aws: tags come from a durable step.
		if strings.HasPrefix(strings.ToLower(k), "aws:") && auth.From(ctx).Token == "" {
			return nil, fault.New(fault.InvalidParameterValue, "The tag key %s is reserved: keys must not begin with aws:.", k)
		}
		out[k] = v
	}
	if len(out) > maxTags {
		return nil, fault.New(fault.InvalidParameterValue, "Too many tags added for queue: at most %d are kept.", maxTags)
	}
	return out, nil
}

// TagQueue puts tags on a queue.
func (s *Service) TagQueue(ctx context.Context, in *api.TagQueueInput) (*api.TagQueueOutput, error) {
	return &api.TagQueueOutput{}, s.update(ctx, in.QueueUrl, func(tx store.Tx, p place, q *queue) (err error) {
		if q.Tags, err = mergeTags(ctx, q.Tags, in.Tags); err != nil {
			return err
		}
		return queues.Put(tx, p.key(), q)
	})
}

// UntagQueue takes tags off a queue.
func (s *Service) UntagQueue(ctx context.Context, in *api.UntagQueueInput) (*api.UntagQueueOutput, error) {
	return &api.UntagQueueOutput{}, s.update(ctx, in.QueueUrl, func(tx store.Tx, p place, q *queue) error {
		for _, k := range in.TagKeys {
			delete(q.Tags, k)
		}
		return queues.Put(tx, p.key(), q)
	})
}

// ListQueueTags lists a queue's tags.
func (s *Service) ListQueueTags(ctx context.Context, in *api.ListQueueTagsInput) (*api.ListQueueTagsOutput, error) {
	out := &api.ListQueueTagsOutput{}
	err := s.view(ctx, in.QueueUrl, func(_ store.Tx, _ place, q *queue) error {
		out.Tags = q.Tags
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
