package sns

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	api "github.com/slipway/slipway/api/sns"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// topic is a stored topic.
type topic struct {
	Name       string
	Data       string // names what is kept of its messages: another one of the name has another
	Attributes attributes
	Tags       []api.Tag `json:",omitempty"`
	Created    time.Time
	Deleted    int64  `json:",omitempty"` // subscriptions that were deleted
	Token      string `json:",omitempty"`
}

var topics = store.NewCollection[topic]("sns/topic")

// place is where a topic is: what its ARN says.
type place struct {
	arn.Scope
	name string
}

func (p place) key() string { return p.Key() + "/" + p.name }

func (p place) arn() string { return p.ARN("sns", p.name).String() }

var nameForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-zA-Z0-9_-]{1,256}$`) })

const (
	fifoSuffix = ".fifo"
	maxName    = 256
)

func invalid(format string, args ...any) error {
	return fault.New(fault.InvalidParameter, "Invalid parameter: "+format, args...)
}

// notBuilt refuses by name what AWS has and Slipway has not.
func notBuilt(what string) error {
	return fault.New(fault.NotImplemented, "sns: %s is not built in Slipway yet", what)
}

func noTopic() error { return fault.New(fault.SNSNotFound, "Topic does not exist") }

// checkARN counts the elements of an ARN, as SNS does before anything else.
func checkARN(member, text string) (arn.ARN, error) {
	if text == "" {
		return arn.ARN{}, invalid("%s Reason: no value for required parameter", member)
	}
	if n := strings.Count(text, ":") + 1; n < 6 {
		return arn.ARN{}, invalid("%s Reason: An ARN must have at least 6 elements, not %d", member, n)
	}
	a, err := arn.Parse(text)
	if err != nil || a.Service != "sns" || !arn.IsAccount(a.Account) {
		return arn.ARN{}, invalid("%s", member)
	}
	return a, nil
}

// placeOf reads a topic's ARN. A topic is asked for in its own region.
func placeOf(ctx context.Context, member, topicARN string) (place, error) {
	a, err := checkARN(member, topicARN)
	if err != nil {
		return place{}, err
	}
	if strings.Contains(a.Resource, ":") || a.Region != auth.From(ctx).Scope.Region {
		return place{}, invalid("%s", member)
	}
	return place{arn.Scope{Account: a.Account, Region: a.Region}, a.Resource}, nil
}

func find(tx store.Tx, p place) (*topic, error) {
	t, err := topics.Get(tx, p.key())
	if errors.Is(err, store.ErrNotFound) {
		return nil, noTopic()
	}
	return t, err
}

// view reads a topic that the caller may use for its operation.
func (s *Service) view(ctx context.Context, topicARN string, fn func(tx store.Tx, p place, t *topic) error) error {
	p, err := placeOf(ctx, "TopicArn", topicARN)
	if err != nil {
		return err
	}
	return s.store.View(ctx, func(tx store.Tx) error {
		t, err := find(tx, p)
		if err != nil {
			return err
		}
		if err := s.permit(auth.From(ctx), p, t); err != nil {
			return err
		}
		return fn(tx, p, t)
	})
}

// update changes a topic that the caller may use for its operation.
func (s *Service) update(ctx context.Context, member, topicARN string, fn func(tx store.Tx, p place, t *topic) error) error {
	p, err := placeOf(ctx, member, topicARN)
	if err != nil {
		return err
	}
	return s.store.Update(ctx, func(tx store.Tx) error {
		t, err := find(tx, p)
		if err != nil {
			return err
		}
		if err := s.permit(auth.From(ctx), p, t); err != nil {
			return err
		}
		if err := fn(tx, p, t); err != nil {
			return err
		}
		return topics.Put(tx, p.key(), t)
	})
}

// checkName refuses names that a topic of the type cannot have.
func checkName(name string, fifo bool) error {
	base, ends := strings.CutSuffix(name, fifoSuffix)
	if len(name) > maxName || ends != fifo || !nameForm().MatchString(base) {
		return invalid("Topic Name")
	}
	return nil
}

// CreateTopic makes a topic, or finds the one that is there with the same attributes
// and tags.
func (s *Service) CreateTopic(ctx context.Context, in *api.CreateTopicInput) (*api.CreateTopicOutput, error) {
	call := auth.From(ctx)
	p := place{call.Scope, in.Name}
	fresh := &topic{Name: in.Name, Created: s.now().UTC(), Token: call.Token, Data: arn.NewID("")}
	if err := fresh.Attributes.setType(in.Attributes); err != nil {
		return nil, err
	}
	if err := checkName(in.Name, fresh.Attributes.Fifo); err != nil {
		return nil, err
	}
	if in.DataProtectionPolicy != "" {
		return nil, notBuilt("the parameter DataProtectionPolicy")
	}
	err := s.store.Update(ctx, func(tx store.Tx) error {
		old, err := topics.Get(tx, p.key())
		switch {
		case err == nil:
			return old.same(call, in)
		case !errors.Is(err, store.ErrNotFound):
			return err
		}
		t := *fresh
		if err := t.Attributes.setAll(in.Attributes); err != nil {
			return err
		}
		if t.Tags, err = mergeTags(ctx, nil, in.Tags); err != nil {
			return err
		}
		return topics.Insert(tx, p.key(), &t)
	})
	if err != nil {
		return nil, err
	}
	return &api.CreateTopicOutput{TopicArn: p.arn()}, nil
}

// same says whether a topic of the name will do. A durable step takes no topic that
// another one made.
func (t *topic) same(call auth.Call, in *api.CreateTopicInput) error {
	if call.Token != "" && t.Token == call.Token {
		return nil
	}
	if call.Token != "" {
		return invalid("Topic already exists with the name %s", t.Name)
	}
	want := t.Attributes
	if err := want.setAll(in.Attributes); err != nil {
		return err
	}
	if !want.equal(&t.Attributes) {
		return invalid("Attributes Reason: Topic already exists with different attributes")
	}
	// Fewer tags than the topic has, none above all, are no difference.
	for _, tag := range in.Tags {
		if !slices.Contains(t.Tags, tag) {
			return invalid("Tags Reason: Topic already exists with different tags")
		}
	}
	return nil
}

// DeleteTopic removes a topic and its subscriptions; removing none is no error. What
// waits to be delivered is dropped when its turn comes.
func (s *Service) DeleteTopic(ctx context.Context, in *api.DeleteTopicInput) (*api.DeleteTopicOutput, error) {
	p, err := placeOf(ctx, "TopicArn", in.TopicArn)
	if err != nil {
		return nil, err
	}
	return &api.DeleteTopicOutput{}, s.store.Update(ctx, func(tx store.Tx) error {
		t, err := find(tx, p)
		if fault.Is(err, fault.SNSNotFound) && p.Account == auth.From(ctx).Scope.Account {
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.permit(auth.From(ctx), p, t); err != nil {
			return err
		}
		for e, err := range subscriptions.Scan(tx, p.key()+"/") {
			if err != nil {
				return err
			}
			if err := errors.Join(subscriptions.Delete(tx, e.Key), dropToken(tx, e.Value)); err != nil {
				return err
			}
		}
		return topics.Delete(tx, p.key())
	})
}

// maxListed is a page of every listing ("ListTopics", Amazon SNS API Reference).
const maxListed = 100

func badToken() error { return invalid("NextToken") }

// ListTopics lists the topics of the account and region.
func (s *Service) ListTopics(ctx context.Context, in *api.ListTopicsInput) (*api.ListTopicsOutput, error) {
	scope := auth.From(ctx).Scope
	out := &api.ListTopicsOutput{}
	err := s.store.View(ctx, func(tx store.Tx) error {
		entries, next, err := topics.Page(tx, scope.Key()+"/", in.NextToken, maxListed, nil)
		if errors.Is(err, store.ErrBadToken) {
			return badToken()
		}
		out.Topics, out.NextToken = []api.Topic{}, next
		for _, e := range entries {
			out.Topics = append(out.Topics, api.Topic{TopicArn: place{scope, e.Value.Name}.arn()})
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
