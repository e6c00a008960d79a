package kms

import (
	"testing"
	"time"

	api "github.com/slipway/slipway/api/kms"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// TestKeysAreDestroyed: once the waiting period is over nothing is left that
// could open what a key encrypted.
func TestKeysAreDestroyed(t *testing.T) {
	b, ctx := newBench(t)
	doomed, kept := b.key(t, ctx), b.key(t, ctx)
	for name, id := range map[string]string{"alias/doomed": doomed, "alias/kept": kept} {
		if _, err := b.CreateAlias(ctx, &api.CreateAliasInput{AliasName: name, TargetKeyId: id}); err != nil {
			t.Fatal(err)
		}
	}
	days := int32(7)
	if _, err := b.ScheduleKeyDeletion(ctx, &api.ScheduleKeyDeletionInput{KeyId: doomed, PendingWindowInDays: &days}); err != nil {
		t.Fatal(err)
	}
	left := func() (keys, aliases int) {
		t.Helper()
		err := b.cfg.Store.View(ctx, func(tx store.Tx) error {
			for _, err := range b.keys.Scan(tx, "") {
				if err != nil {
					return err
				}
				keys++
			}
			for _, err := range b.aliases.Scan(tx, "") {
				if err != nil {
					return err
				}
				aliases++
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return keys, aliases
	}
	for _, c := range []struct {
		after time.Duration
		want  int
	}{{7*24*time.Hour - time.Second, 2}, {time.Second, 1}} {
		b.now = b.now.Add(c.after)
		if err := b.destroyExpired(ctx); err != nil {
			t.Fatal(err)
		}
		if keys, aliases := left(); keys != c.want || aliases != c.want {
			t.Errorf("after %v: %d keys and %d aliases, want %d of each", c.after, keys, aliases, c.want)
		}
	}
	if _, err := b.DescribeKey(ctx, &api.DescribeKeyInput{KeyId: "alias/kept"}); err != nil {
		t.Error(err)
	}
	_, err := b.DescribeKey(ctx, &api.DescribeKeyInput{KeyId: doomed})
	wantCode(t, err, fault.NotFoundException)
}

func TestStartAndStop(t *testing.T) {
	b, ctx := newBench(t)
	b.Start(ctx)
	b.Stop()
	b.Stop()
}
