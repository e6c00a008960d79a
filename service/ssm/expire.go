package ssm

import (
	"context"
	"errors"
	"strings"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/store"
)

// Start begins to remove the parameters whose Expiration policies say so, and
// returns at once.
func (s *Service) Start(ctx context.Context) { s.expiry.Start(ctx) }

// Stop ends that. It is safe to call twice.
func (s *Service) Stop() { s.expiry.Stop() }

// expires is the value by which the index finds parameters that expire some day.
const expires = "yes"

// removeExpired removes what nobody finds any more.
func (s *Service) removeExpired(ctx context.Context) error {
	var over []string
	err := s.store.View(ctx, func(tx store.Tx) error {
		over = nil
		for e, err := range parameters.ByIndex(tx, "expires", expires) {
			if err != nil {
				return err
			}
			if e.Value.Latest.expired(s.now()) {
				over = append(over, e.Key)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, key := range over {
		err := s.store.Update(ctx, func(tx store.Tx) error {
			p, err := parameters.Get(tx, key)
			if errors.Is(err, store.ErrNotFound) || err == nil && !p.Latest.expired(s.now()) {
				return nil
			}
			if err != nil {
				return err
			}
			account, rest, _ := strings.Cut(key, "/")
			region, _, _ := strings.Cut(rest, "/")
			return p.remove(tx, arn.Scope{Account: account, Region: region})
		})
		if err != nil {
			return err
		}
	}
	return nil
}
