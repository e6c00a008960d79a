package sns

import (
	"context"
	"errors"

	"github.com/slipway/slipway/store"
)

// upkeepBatch bounds what one commit removes.
const upkeepBatch = 500

// keepUp removes what time has overtaken: subscriptions that nobody confirmed, tokens,
// and the memory of what was published.
func (s *Service) keepUp(ctx context.Context) error {
	now := s.now()
	return errors.Join(
		sweep(ctx, s.store, tokens, func(t *pendingToken) bool { return !now.Before(t.Until) }),
		sweep(ctx, s.store, duplicates, func(d *seen) bool { return !now.Before(d.Until) }),
		sweep(ctx, s.store, subscriptions, func(sub *subscription) bool {
			return (sub.Pending || sub.Ended) && now.After(sub.Asked.Add(confirmable))
		}),
	)
}

// sweep removes the documents of a collection that are over, some in each commit.
func sweep[T any](ctx context.Context, st store.Store, from *store.Collection[T], over func(*T) bool) error {
	for {
		var keys []string
		err := st.View(ctx, func(tx store.Tx) error {
			keys = nil
			for e, err := range from.Scan(tx, "") {
				if err != nil {
					return err
				}
				if over(e.Value) {
					if keys = append(keys, e.Key); len(keys) == upkeepBatch {
						return nil
					}
				}
			}
			return nil
		})
		if err != nil || len(keys) == 0 {
			return err
		}
		err = st.Update(ctx, func(tx store.Tx) error {
			for _, key := range keys {
				v, err := from.Get(tx, key)
				if errors.Is(err, store.ErrNotFound) {
					continue
				}
				if err != nil {
					return err
				}
				if !over(v) {
					continue // it was used since
				}
				if err := from.Delete(tx, key); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
}
