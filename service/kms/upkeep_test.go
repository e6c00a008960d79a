package kms

import (
	"context"
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
		if err := b.keepUp(ctx); err != nil {
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

// TestStartedServiceDestroys: the loop does its work without being asked, and
// Stop may be called twice.
func TestStartedServiceDestroys(t *testing.T) {
	b, ctx := newBench(t)
	id := b.key(t, ctx)
	days := int32(7)
	if _, err := b.ScheduleKeyDeletion(ctx, &api.ScheduleKeyDeletionInput{KeyId: id, PendingWindowInDays: &days}); err != nil {
		t.Fatal(err)
	}
	b.now = b.now.AddDate(0, 0, 7)
	wait, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	changed := b.cfg.Store.Watch(wait, b.keys.Prefix())
	b.Start(ctx)
	if _, ok := <-changed; !ok {
		t.Error("a started service left an expired key for a minute")
	}
	b.Stop()
	b.Stop()
	err := b.cfg.Store.View(ctx, func(tx store.Tx) error {
		for e, err := range b.keys.Scan(tx, "") {
			t.Errorf("key %s is still kept (error %v)", e.Key, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
