package sns

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	api "github.com/slipway/slipway/api/sns"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// pendingToken is a token that confirms a subscription. Its key is the token's hash:
// what is kept is no token.
type pendingToken struct {
	Subscription string // key
	Until        time.Time
}

var tokens = store.NewCollection[pendingToken]("sns/token")

// A token is hexadecimal: the region, padded, and what nobody can guess.
const (
	tokenRegion = 24 // bytes
	tokenRandom = 48
)

func newToken(region string) string {
	b := make([]byte, tokenRegion+tokenRandom)
	copy(b, fmt.Sprintf("%-*s", tokenRegion, region))
	_, _ = rand.Read(b[tokenRegion:]) // crypto/rand.Read never fails (Go 1.24)
	return hex.EncodeToString(b)
}

func hashToken(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// readToken tells the region that a token is of.
func readToken(token string) (region string, err error) {
	b, err := hex.DecodeString(token)
	if err != nil {
		return "", fault.New(fault.InvalidParameter, "Invalid token")
	}
	if len(b) != tokenRegion+tokenRandom {
		return "", invalid("Token")
	}
	return strings.TrimRight(string(b[:tokenRegion]), " "), nil
}

func dropToken(tx store.Tx, sub *subscription) error {
	if sub.TokenHash == "" {
		return nil
	}
	return tokens.Delete(tx, sub.TokenHash)
}

// askToConfirm gives a subscription a new token and files the message that has it.
func (s *Service) askToConfirm(ctx context.Context, tx store.Tx, p place, t *topic, sub *subscription, k kind) error {
	if err := dropToken(tx, sub); err != nil {
		return err
	}
	now := s.now().UTC()
	m := &message{ID: arn.NewUUID(), Kind: k, Topic: sub.Topic, Time: now, Version: t.signatureVersion(), Token: newToken(sub.Region)}
	m.Body = "You have chosen to subscribe to the topic " + sub.Topic + ".\nTo confirm the subscription, visit the SubscribeURL included in this message."
	if k == kindUnsubscribe {
		m.Body = "You have chosen to deactivate subscription " + sub.arn() + ".\nTo cancel this operation and restore the subscription, visit the SubscribeURL included in this message."
	}
	sub.TokenHash, sub.Asked = hashToken(m.Token), now
	target := p.key() + "/" + sub.ID
	if err := tokens.Put(tx, sub.TokenHash, &pendingToken{target, now.Add(confirmable)}); err != nil {
		return err
	}
	seal, err := s.sealing(ctx, &addressed{place: p, topic: &topic{}}) // the endpoint's token is no message of the topic's
	if err != nil {
		return err
	}
	d, err := seal(m)
	if err != nil {
		return err
	}
	d.Targets = []string{target}
	return file(tx, []filed{{kindWeb, webKey(now, target, m.ID), d}})
}

// ConfirmSubscription takes the token that an endpoint was sent. It needs no signature:
// who has the token has the endpoint.
func (s *Service) ConfirmSubscription(ctx context.Context, in *api.ConfirmSubscriptionInput) (*api.ConfirmSubscriptionOutput, error) {
	a, err := checkARN("Topic", in.TopicArn)
	if err != nil {
		return nil, invalid("Topic")
	}
	region, err := readToken(in.Token)
	if err != nil {
		return nil, err
	}
	if region != a.Region {
		return nil, invalid("Topic")
	}
	signed := auth.From(ctx).Principal.Kind != auth.Anonymous
	out := &api.ConfirmSubscriptionOutput{}
	err = s.store.Update(ctx, func(tx store.Tx) error {
		tok, err := tokens.Get(tx, hashToken(in.Token))
		if errors.Is(err, store.ErrNotFound) || err == nil && !s.now().Before(tok.Until) {
			return invalid("Token")
		}
		if err != nil {
			return err
		}
		sub, err := subscriptions.Get(tx, tok.Subscription)
		if errors.Is(err, store.ErrNotFound) {
			return invalid("Token")
		}
		if err != nil {
			return err
		}
		if sub.Topic != in.TopicArn {
			return invalid("Token")
		}
		out.SubscriptionArn = sub.arn()
		if !sub.Pending && !sub.Ended {
			return nil
		}
		sub.Pending, sub.Ended, sub.Authenticated = false, false, signed
		sub.Unsubscribing = signed && strings.EqualFold(in.AuthenticateOnUnsubscribe, "true")
		return subscriptions.Put(tx, tok.Subscription, sub)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
