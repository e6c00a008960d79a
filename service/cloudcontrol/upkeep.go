package cloudcontrol

import (
	"context"

	"github.com/slipway/slipway/store"
)

// forgotten bounds the records that one transaction removes.
const forgotten = 500

// keepUp forgets the requests that are old enough, and client tokens.
func (s *Service) keepUp(ctx context.Context) error {
	for {
		n := 0
		err := s.cfg.Store.Update(ctx, func(tx store.Tx) (err error) {
			n, err = s.forget(tx)
			return err
		})
		if err != nil || n < forgotten {
			return err
		}
	}
}

func (s *Service) forget(tx store.Tx) (n int, err error) {
	now := s.cfg.Now()
	for e, err := range requests.Scan(tx, "") {
		if err != nil {
			return n, err
		}
		if r := e.Value; !r.ended() || now.Sub(r.Ended) < kept {
			continue
		}
		if err := requests.Delete(tx, e.Key); err != nil {
			return n, err
		}
		if n++; n == forgotten {
			return n, nil
		}
	}
	for e, err := range clientTokens.Scan(tx, "") {
		if err != nil {
			return n, err
		}
		if now.Before(e.Value.Until) {
			continue
		}
		if err := clientTokens.Delete(tx, e.Key); err != nil {
			return n, err
		}
		if n++; n == forgotten {
			return n, nil
		}
	}
	return n, nil
}
