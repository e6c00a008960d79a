package sns

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	api "github.com/slipway/slipway/api/sns"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// subscription is a stored subscription.
type subscription struct {
	ID       string
	Topic    string // ARN
	Protocol string
	Endpoint string
	Owner    string // account
	Region   string
	By       string // the ARN of the principal that subscribed
	Base     string `json:",omitempty"` // URL by which its owner reached Slipway
	Bound    bool   `json:",omitempty"` // the owner is bound by policies: the host's own addresses are not its to reach

	Pending       bool      `json:",omitempty"` // confirmation
	Ended         bool      `json:",omitempty"` // by its URL: it can be confirmed again for a while
	Authenticated bool      `json:",omitempty"` // its confirmation was
	Unsubscribing bool      `json:",omitempty"` // takes a signature (AuthenticateOnUnsubscribe)
	Asked         time.Time `json:",omitzero"`  // when its confirmation was asked for
	TokenHash     string    `json:",omitempty"` // names its token
	Created       time.Time

	Attributes subscriptionAttributes
}

// subscriptions are by topic: account/region/topic/id.
var subscriptions = store.NewCollection("sns/subscription", store.Index[subscription]{
	Name: "owner", Keys: func(_ string, s *subscription) []string { return []string{s.Owner + "/" + s.Region} },
})

func (s *subscription) arn() string { return s.Topic + ":" + s.ID }

// confirmable is how long a subscription waits for its confirmation.
const confirmable = 3 * 24 * time.Hour

// Protocols.
const (
	protoSQS    = "sqs"
	protoLambda = "lambda"
	protoHTTP   = "http"
	protoHTTPS  = "https"
)

// unbuilt are the protocols that Slipway has not.
var unbuilt = []string{"email", "email-json", "sms", "application", "firehose"}

func (s *subscription) isWeb() bool { return s.Protocol == protoHTTP || s.Protocol == protoHTTPS }

// checkEndpoint refuses endpoints that are none of their protocol, and those that a
// topic of the type cannot have.
func (s *Service) checkEndpoint(protocol, endpoint string, fifo bool) error {
	switch {
	case slices.Contains(unbuilt, protocol), protocol == protoLambda && s.lambda == nil:
		return notBuilt("the subscription protocol " + protocol)
	case protocol == protoSQS:
		a, err := arn.Parse(endpoint)
		if err != nil || a.Service != "sqs" || a.Region == "" || !arn.IsAccount(a.Account) {
			return invalid("SQS endpoint ARN")
		}
		if strings.HasSuffix(a.Resource, fifoSuffix) && !fifo {
			return invalid("Invalid parameter: Endpoint Reason: FIFO SQS Queues can not be subscribed to standard SNS topics")
		}
		return nil
	case protocol == protoLambda && !fifo:
		a, err := arn.Parse(endpoint)
		if err != nil || a.Service != "lambda" || a.Region == "" || !arn.IsAccount(a.Account) || !strings.HasPrefix(a.Resource, "function:") {
			return invalid("Lambda endpoint ARN")
		}
		return nil
	case protocol != protoHTTP && protocol != protoHTTPS && protocol != protoLambda:
		return invalid("Amazon SNS does not support this protocol string: %s", protocol)
	case fifo:
		return invalid("Invalid parameter: Endpoint Reason: Please use FIFO SQS queue")
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || len(endpoint) > 2048 || !strings.HasPrefix(endpoint, protocol+"://") {
		return invalid("Endpoint must match the specified protocol")
	}
	return nil
}

// pendingARN is what an answer has in place of the ARN of a subscription that is not
// confirmed yet.
const pendingARN = "pending confirmation"

// Subscribe makes a subscription, or finds the one of the same endpoint. An HTTP
// endpoint is sent a token, with which it confirms.
func (s *Service) Subscribe(ctx context.Context, in *api.SubscribeInput) (*api.SubscribeOutput, error) {
	if in.Protocol == "" || in.Endpoint == "" && !slices.Contains(unbuilt, in.Protocol) {
		return nil, invalid("Endpoint")
	}
	p, err := placeOf(ctx, "TopicArn", in.TopicArn)
	if err != nil {
		return nil, err
	}
	var made *subscription
	err = s.store.Update(ctx, func(tx store.Tx) (err error) {
		made, err = s.subscribe(ctx, tx, p, in)
		return err
	})
	if err != nil {
		return nil, err
	}
	s.wake(kindWeb)
	out := &api.SubscribeOutput{SubscriptionArn: made.arn()}
	if made.Pending && !yes(in.ReturnSubscriptionArn) {
		out.SubscriptionArn = pendingARN
	}
	return out, nil
}

func yes(b *bool) bool { return b != nil && *b }

func (s *Service) subscribe(ctx context.Context, tx store.Tx, p place, in *api.SubscribeInput) (*subscription, error) {
	call := auth.From(ctx)
	t, err := find(tx, p)
	if err != nil {
		return nil, err
	}
	if err := s.permit(call, p, t); err != nil {
		return nil, err
	}
	if err := s.checkEndpoint(in.Protocol, in.Endpoint, t.Attributes.Fifo); err != nil {
		return nil, err
	}
	sub := &subscription{
		ID: arn.NewUUID(), Topic: p.arn(), Protocol: in.Protocol, Endpoint: in.Endpoint, Owner: call.Scope.Account, Region: p.Region,
		By: call.Principal.ARN, Base: call.Endpoint, Bound: call.Principal.Enforced, Created: s.now().UTC(),
		Authenticated: true,
	}
	names := sortedKeys(in.Attributes)
	slices.SortStableFunc(names, func(a, b string) int { // a filter is read by its scope
		return cmp.Compare(order(a), order(b))
	})
	for _, name := range names {
		if err := s.setSubscription(tx, p, t, sub, name, in.Attributes[name], "Attributes Reason: "); err != nil {
			return nil, err
		}
	}
	if err := s.countFilters(tx, p, sub); err != nil {
		return nil, err
	}
	old, err := s.sameEndpoint(tx, p, sub)
	if err != nil {
		return nil, err
	}
	if old != nil {
		if len(in.Attributes) > 0 && !old.Attributes.covers(&sub.Attributes, in.Attributes) {
			return nil, invalid("Attributes Reason: Subscription already exists with different attributes")
		}
		if !old.Pending {
			return old, nil
		}
		sub = old // which is asked again
	}
	if sub.isWeb() {
		sub.Pending, sub.Authenticated = true, false
		if err := s.askToConfirm(ctx, tx, p, t, sub, kindSubscribe); err != nil {
			return nil, err
		}
	}
	return sub, subscriptions.Put(tx, p.key()+"/"+sub.ID, sub)
}

// order is that in which attributes are set.
func order(name string) int {
	if name == attrFilterScope {
		return 0
	}
	return 1
}

// sameEndpoint finds the topic's subscription of an endpoint.
func (s *Service) sameEndpoint(tx store.Tx, p place, sub *subscription) (*subscription, error) {
	for e, err := range subscriptions.Scan(tx, p.key()+"/") {
		if err != nil {
			return nil, err
		}
		if o := e.Value; o.Protocol == sub.Protocol && o.Endpoint == sub.Endpoint && o.Owner == sub.Owner && !o.Ended {
			return o, nil
		}
	}
	return nil, nil
}

// subscriptionPlace reads a subscription's ARN: that of its topic, and its id.
func subscriptionPlace(ctx context.Context, subARN string) (p place, id string, err error) {
	a, err := checkARN("SubscriptionArn", subARN)
	if err != nil {
		return place{}, "", err
	}
	name, id, ok := strings.Cut(a.Resource, ":")
	if !ok || !isID(id) {
		return place{}, "", invalid("SubscriptionId")
	}
	call := auth.From(ctx)
	if a.Region != call.Scope.Region && call.Principal.Kind != auth.Anonymous {
		return place{}, "", invalid("SubscriptionArn")
	}
	return place{arn.Scope{Account: a.Account, Region: a.Region}, name}, id, nil
}

func noSubscription() error { return fault.New(fault.SNSNotFound, "Subscription does not exist") }

// lookupSubscription finds a subscription of the caller's account, or of a topic of it.
func lookupSubscription(ctx context.Context, tx store.Tx, p place, id string) (*subscription, error) {
	sub, err := subscriptions.Get(tx, p.key()+"/"+id)
	if errors.Is(err, store.ErrNotFound) || err == nil && sub.Ended {
		return nil, noSubscription()
	}
	if err != nil {
		return nil, err
	}
	call := auth.From(ctx)
	if account := call.Scope.Account; call.Principal.Kind != auth.Anonymous && account != sub.Owner && account != p.Account {
		return nil, fault.New(fault.AuthorizationError, "User: %s is not authorized to perform: SNS:%s on resource: %s", call.Principal.ARN, call.Operation, sub.arn())
	}
	return sub, nil
}

// Unsubscribe ends a subscription; ending none is no error. Whoever has the URL of a
// message ends it without a signature, unless its confirmation asked for one; its
// endpoint is then told how to take that back.
func (s *Service) Unsubscribe(ctx context.Context, in *api.UnsubscribeInput) (*api.UnsubscribeOutput, error) {
	p, id, err := subscriptionPlace(ctx, in.SubscriptionArn)
	if err != nil {
		return nil, err
	}
	anonymous := auth.From(ctx).Principal.Kind == auth.Anonymous
	err = s.store.Update(ctx, func(tx store.Tx) error {
		sub, err := lookupSubscription(ctx, tx, p, id)
		if fault.Is(err, fault.SNSNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if anonymous && (sub.Authenticated || sub.Unsubscribing) {
			return fault.New(fault.AuthorizationError, "This subscription can only be ended by its owner: the request must be signed.")
		}
		t, err := find(tx, p)
		if err != nil {
			return err
		}
		if !sub.Pending {
			t.Deleted++
		}
		if err := errors.Join(topics.Put(tx, p.key(), t), dropToken(tx, sub)); err != nil {
			return err
		}
		if !anonymous || !sub.isWeb() || sub.Pending {
			return subscriptions.Delete(tx, p.key()+"/"+id)
		}
		sub.Ended = true
		if err := s.askToConfirm(ctx, tx, p, t, sub, kindUnsubscribe); err != nil {
			return err
		}
		return subscriptions.Put(tx, p.key()+"/"+id, sub)
	})
	s.wake(kindWeb)
	return &api.UnsubscribeOutput{}, err
}

// shown is a subscription as listings show it.
func (s *subscription) shown() api.Subscription {
	out := api.Subscription{SubscriptionArn: s.arn(), Owner: s.Owner, Protocol: s.Protocol, Endpoint: s.Endpoint, TopicArn: s.Topic}
	if s.Pending {
		out.SubscriptionArn = "PendingConfirmation"
	}
	return out
}

// ListSubscriptions lists those of the account and region, whosever the topics are.
func (s *Service) ListSubscriptions(ctx context.Context, in *api.ListSubscriptionsInput) (*api.ListSubscriptionsOutput, error) {
	scope := auth.From(ctx).Scope
	after, err := base64.RawURLEncoding.DecodeString(in.NextToken) // the last key of the page before
	if err != nil || len(after) > store.MaxKey || strings.Count(string(after), "/") != 3 && len(after) > 0 {
		return nil, badToken()
	}
	out := &api.ListSubscriptionsOutput{}
	err = s.store.View(ctx, func(tx store.Tx) error {
		out.Subscriptions, out.NextToken = []api.Subscription{}, ""
		last := ""
		for e, err := range subscriptions.ByIndex(tx, "owner", scope.Key()) {
			if err != nil {
				return err
			}
			if e.Key <= string(after) || e.Value.Ended {
				continue
			}
			if len(out.Subscriptions) == maxListed {
				out.NextToken = base64.RawURLEncoding.EncodeToString([]byte(last))
				return nil
			}
			out.Subscriptions, last = append(out.Subscriptions, e.Value.shown()), e.Key
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// ListSubscriptionsByTopic lists those of a topic, whosever they are.
func (s *Service) ListSubscriptionsByTopic(ctx context.Context, in *api.ListSubscriptionsByTopicInput) (*api.ListSubscriptionsByTopicOutput, error) {
	out := &api.ListSubscriptionsByTopicOutput{}
	err := s.view(ctx, in.TopicArn, func(tx store.Tx, p place, _ *topic) error {
		entries, next, err := subscriptions.Page(tx, p.key()+"/", in.NextToken, maxListed, func(s *subscription) bool { return !s.Ended })
		if errors.Is(err, store.ErrBadToken) {
			return badToken()
		}
		out.Subscriptions, out.NextToken = []api.Subscription{}, next
		for _, e := range entries {
			out.Subscriptions = append(out.Subscriptions, e.Value.shown())
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
