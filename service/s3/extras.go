package s3

import (
	"time"

	"github.com/slipway/slipway/auth"
)

// extras are what a write says about an object beside its bytes and its
// metadata: who may see it, and how long it is kept.
type extras struct {
	acl  aclRequest
	lock lockRequest
}

// check refuses what no bucket takes.
func (e extras) check(now time.Time) error {
	if err := e.acl.check(); err != nil {
		return err
	}
	return e.lock.check(now)
}

// allowed refuses what the bucket does not take.
func (e extras) allowed(b *bucket) error {
	if e.lock.given() && !b.ObjectLock {
		return missingLock()
	}
	return e.acl.allowed(b)
}

// apply puts the extras, and the bucket's defaults where none are given, on a
// new object.
func (e extras) apply(call auth.Call, b *bucket, o *object, now time.Time) error {
	if err := e.allowed(b); err != nil {
		return err
	}
	e.acl.own(call, b, o)
	o.Lock = e.lock.lock(b, now)
	return nil
}
