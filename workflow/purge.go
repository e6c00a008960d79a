package workflow

import (
	"errors"
	"strings"

	"github.com/slipway/slipway/store"
)

// purgeBatch bounds the work of one transaction.
const purgeBatch = 500

// purge removes the records of runs that ended longer ago than Retention. That
// of a child stays while its parent runs.
func (e *Engine) purge() error {
	limit := endedKey(e.cfg.Now().Add(-e.cfg.Retention), "")
	due := false
	err := e.store.View(e.ctx, func(tx store.Tx) error {
		for _, err := range tx.Scan(endedPrefix, limit) {
			due = err == nil
			return err
		}
		return nil
	})
	if err != nil || !due {
		return err
	}
	return e.store.Update(e.ctx, func(tx store.Tx) error {
		n := 0
		for doc, err := range tx.Scan(endedPrefix, limit) {
			if err != nil {
				return err
			}
			if n++; n > purgeBatch {
				return nil
			}
			if err := purgeOne(tx, doc.Key); err != nil {
				return err
			}
		}
		return nil
	})
}

func purgeOne(tx store.Tx, key string) error {
	id := key[strings.LastIndex(key, "/")+1:]
	rec, err := runs.Get(tx, id)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if err == nil && rec.Parent != "" {
		switch _, err := leases.Get(tx, esc(rec.Parent)); {
		case err == nil:
			return nil
		case !errors.Is(err, store.ErrNotFound):
			return err
		}
	}
	if err := runs.Delete(tx, id); err != nil {
		return err
	}
	return tx.Delete(key)
}
