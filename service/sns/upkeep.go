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
	for token := ""; ; {
		var found []store.Entry[T]
		var next string
		err := st.View(ctx, func(tx store.Tx) (err error) {
			found, next, err = from.Page(tx, "", token, upkeepBatch, over)
			return err
		})
		if err != nil || len(found) == 0 {
			return err
		}
		err = st.Update(ctx, func(tx store.Tx) error {
			for _, e := range found {
				v, err := from.Get(tx, e.Key)
				if errors.Is(err, store.ErrNotFound) || err == nil && !over(v) {
					continue // gone, or used since
				}
				if err != nil {
					return err
				}
				if err := from.Delete(tx, e.Key); err != nil {
					return err
				}
			}
			return nil
		})
		if token = next; err != nil || token == "" {
			return err
		}
	}
}
