package s3

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"time"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/store"
)

// The application of lifecycle rules: a loop over all buckets with rules, that
// reads a page at a time and changes what is due in small transactions.
const (
	expiryResync = 10 * time.Minute
	expiryPage   = 1000 // records that are read at once
	expiryBatch  = 100  // records that one transaction changes
)

// expire applies every bucket's rules. Retry rule: it runs again, whole.
func (s *Service) expire(ctx context.Context) error {
	var names []string
	err := s.store.View(ctx, func(tx store.Tx) error {
		names = nil
		for e, err := range lifecycles.Scan(tx, "") {
			if err != nil {
				return err
			}
			names = append(names, e.Key)
		}
		return nil
	})
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range names {
		errs = append(errs, s.expireBucket(ctx, name))
	}
	return errors.Join(errs...)
}

func (s *Service) expireBucket(ctx context.Context, name string) error {
	b, l, err := s.rulesOf(ctx, name)
	if err != nil || l == nil {
		return err
	}
	ctx = auth.With(ctx, auth.Call{
		Principal: auth.Principal{Kind: auth.Service, Name: servicePrincipal, ARN: servicePrincipal, UserID: servicePrincipal},
		Scope:     arn.Scope{Account: b.Account, Region: b.Region}, Service: "s3", Operation: "LifecycleExpiration",
		Time: s.now(), RequestID: arn.NewID("req-"), SourceIP: servicePrincipal, UserAgent: servicePrincipal,
	})
	if err := s.expireCurrent(ctx, b, l); err != nil {
		return err
	}
	if err := s.expireNoncurrent(ctx, b, l); err != nil {
		return err
	}
	return s.expireUploads(ctx, b, l)
}

// rulesOf reads a bucket and its rules, nil for none.
func (s *Service) rulesOf(ctx context.Context, name string) (b *bucket, l *lifecycle, err error) {
	err = s.store.View(ctx, func(tx store.Tx) error {
		if b, err = buckets.Get(tx, name); err != nil {
			return ignoreNotFound(err)
		}
		l, err = lifecycleOf(tx, name)
		return err
	})
	return b, l, err
}

// pages reads all records of a bucket, a page in a transaction, and changes
// those that due picks, a batch in a transaction.
func pages[T any](ctx context.Context, s *Service, from *store.Collection[T], name string,
	due func(key string, v *T) bool, act func(c *change, key string) error) error {
	token := ""
	for {
		var page []store.Entry[T]
		var next string
		err := s.store.View(ctx, func(tx store.Tx) (err error) {
			page, next, err = from.Page(tx, name+"/", token, expiryPage, nil)
			return err
		})
		if err != nil {
			return err
		}
		var keys []string
		for _, e := range page {
			if due(e.Key, e.Value) {
				keys = append(keys, e.Key)
			}
		}
		for len(keys) > 0 {
			n := min(len(keys), expiryBatch)
			batch := keys[:n]
			keys = keys[n:]
			err := s.update(ctx, nil, func(c *change) error {
				for _, key := range batch {
					if err := act(c, key); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		if token = next; token == "" {
			return nil
		}
	}
}

// expireCurrent ends current versions: with a delete marker where the bucket
// has versions.
func (s *Service) expireCurrent(ctx context.Context, b *bucket, l *lifecycle) error {
	now := s.now()
	over := func(l *lifecycle, o *object) bool {
		at, by := l.expiry(o)
		return by != nil && !at.After(now)
	}
	return pages(ctx, s, objects, b.Name,
		func(_ string, o *object) bool { return over(l, o) },
		func(c *change, key string) error {
			b, l, o, err := stillThere(c, b.Name, objects, key)
			if err != nil || o == nil || !over(l, o) {
				return err
			}
			if b.Versioning == "" {
				if err := c.discard(found{o, b.Name, true}); err != nil {
					return err
				}
				return c.emit(ctx, b, eventExpired, o)
			}
			marker := s.marker(o.Key)
			if err := c.putVersion(b, marker); err != nil {
				return err
			}
			return c.emit(ctx, b, eventMarkExpired, marker)
		})
}

// stillThere reads a record again, with its bucket and its rules, where all
// three are still there.
func stillThere[T any](c *change, name string, from *store.Collection[T], key string) (*bucket, *lifecycle, *T, error) {
	b, err := buckets.Get(c, name)
	if err != nil {
		return nil, nil, nil, ignoreNotFound(err)
	}
	l, err := lifecycleOf(c, name)
	if err != nil || l == nil {
		return nil, nil, nil, err
	}
	v, err := from.Get(c, key)
	if err != nil {
		return nil, nil, nil, ignoreNotFound(err)
	}
	return b, l, v, nil
}

// descent is the way down the versions of a key, newest first.
type descent struct {
	key   string    // the part of the records' keys that they share
	rank  int       // how many noncurrent versions were passed
	newer time.Time // when the version above was made; zero above the newest
}

// pass steps to a record, and tells when it became noncurrent, which is zero for
// the current version: a marker.
func (d *descent) pass(recordKey string, o *object, current time.Time) (since time.Time, rank int) {
	shared := recordKey[:strings.LastIndexByte(recordKey, '/')]
	if shared != d.key {
		*d = descent{key: shared, newer: current}
	}
	since, rank = d.newer, d.rank
	d.newer = o.Modified
	if !since.IsZero() {
		d.rank++
	}
	return since, rank
}

// expireNoncurrent removes noncurrent versions for good, and delete markers
// under which nothing is left. What is locked stays.
func (s *Service) expireNoncurrent(ctx context.Context, b *bucket, l *lifecycle) error {
	now := s.now()
	var way descent
	var failed error
	due := func(key string, o *object) bool {
		var above time.Time
		if shared := key[:strings.LastIndexByte(key, '/')]; shared != way.key {
			above, failed = s.currentSince(ctx, b.Name+"/"+o.Key)
			if failed != nil {
				return false
			}
		}
		since, rank := way.pass(key, o, above)
		if since.IsZero() {
			return o.Marker && l.endsMarker(o, now)
		}
		return !o.Lock.keeps(now, false) && l.endsNoncurrent(o, since, rank, now)
	}
	err := pages(ctx, s, versions, b.Name, due, func(c *change, key string) error {
		b, rules, o, err := stillThere(c, b.Name, versions, key)
		if err != nil || o == nil || o.Lock.keeps(now, false) || !reflect.DeepEqual(rules, l) {
			return err // other rules count from the next round
		}
		newest, err := latest(c, b, o.Key)
		if err != nil {
			return err
		}
		if newest.object.Seq == o.Seq {
			if alone, err := c.onlyVersion(b, o); err != nil || !alone {
				return err
			}
		}
		if err := c.discard(found{o, b.Name, false}); err != nil {
			return err
		}
		return c.emit(ctx, b, eventExpired, o)
	})
	return errors.Join(err, failed)
}

// currentSince tells when the current version of a key was made, zero for none.
func (s *Service) currentSince(ctx context.Context, key string) (at time.Time, err error) {
	err = s.store.View(ctx, func(tx store.Tx) error {
		o, err := objects.Get(tx, key)
		if err == nil {
			at = o.Modified
		}
		return ignoreNotFound(err)
	})
	return at, err
}

// onlyVersion reports whether a delete marker is all there is of its key.
func (c *change) onlyVersion(b *bucket, marker *object) (bool, error) {
	n := 0
	for _, err := range versions.Scan(c, versionsOf(b.Name, marker.Key)) {
		if err != nil {
			return false, err
		}
		if n++; n > 1 {
			return false, nil
		}
	}
	return true, nil
}

// endsMarker reports whether a rule ends a marker that is the current version.
// That nothing is left under it is seen to when it is removed.
func (l *lifecycle) endsMarker(o *object, now time.Time) bool {
	for i := range l.Rules {
		r := &l.Rules[i]
		if !r.Enabled || !r.Filter.selects(o) {
			continue
		}
		if value(r.Markers) || r.Days > 0 && !midnight(o.Modified, r.Days).After(now) {
			return true
		}
	}
	return false
}

// endsNoncurrent reports whether a rule ends a version that became noncurrent at
// a time, with rank noncurrent ones newer than it.
func (l *lifecycle) endsNoncurrent(o *object, since time.Time, rank int, now time.Time) bool {
	for i := range l.Rules {
		r := &l.Rules[i]
		if r.Enabled && r.NoncurrentDays > 0 && rank >= int(r.Newer) && r.Filter.selects(o) && !midnight(since, r.NoncurrentDays).After(now) {
			return true
		}
	}
	return false
}

// expireUploads ends uploads that were never completed.
func (s *Service) expireUploads(ctx context.Context, b *bucket, l *lifecycle) error {
	now := s.now()
	over := func(l *lifecycle, u *upload) bool {
		for i := range l.Rules {
			r := &l.Rules[i]
			if r.Enabled && r.AbortDays > 0 && strings.HasPrefix(u.Key, r.Filter.Prefix) && !midnight(u.Initiated, r.AbortDays).After(now) {
				return true
			}
		}
		return false
	}
	return pages(ctx, s, uploads, b.Name,
		func(_ string, u *upload) bool { return over(l, u) },
		func(c *change, key string) error {
			_, l, u, err := stillThere(c, b.Name, uploads, key)
			if err != nil || u == nil || !over(l, u) {
				return err
			}
			return c.dropUpload(key, u)
		})
}
