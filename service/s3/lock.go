package s3

import (
	"time"

	"github.com/slipway/slipway/fault"
)

// Object lock keeps versions from being deleted ("Locking objects with Object
// Lock", S3 User Guide).

const (
	governance = "GOVERNANCE"
	compliance = "COMPLIANCE"
	holdOn     = "ON"
	holdOff    = "OFF"
)

// The longest default retention.
const (
	maxRetentionDays  = 36500
	maxRetentionYears = 100
)

// lock is what keeps a version: a retention, a legal hold, or both.
type lock struct {
	Mode  string    `json:",omitempty"` // "" without a retention
	Until time.Time `json:",omitzero"`
	Hold  bool      `json:",omitempty"`
}

// retention is the default retention of a bucket's new objects, in days or years.
type retention struct {
	Mode  string
	Days  int32 `json:",omitempty"`
	Years int32 `json:",omitempty"`
}

func (r *retention) until(from time.Time) time.Time {
	return from.AddDate(int(r.Years), 0, int(r.Days))
}

// retained reports whether the lock's retention binds at a time. bypass is leave
// to pass by one of mode GOVERNANCE.
func (l *lock) retained(now time.Time, bypass bool) bool {
	return l != nil && l.Mode != "" && l.Until.After(now) && (l.Mode == compliance || !bypass)
}

// keeps reports whether the version may not be deleted at a time.
func (l *lock) keeps(now time.Time, bypass bool) bool {
	return l != nil && l.Hold || l.retained(now, bypass)
}

func protected() error {
	return fault.New(fault.AccessDenied, "Access Denied because object protected by object lock.")
}

func missingLock() error { return invalidRequest("Bucket is missing Object Lock Configuration") }

// shown is the lock as the headers of an object tell it.
func (l *lock) shown() (mode string, until *time.Time, hold string) {
	if l == nil {
		return "", nil, ""
	}
	if l.Mode != "" {
		mode, until = l.Mode, &l.Until
	}
	if l.Hold {
		hold = holdOn
	}
	return mode, until, hold
}

// lockRequest is what a write's headers say about a lock.
type lockRequest struct {
	mode  string
	until *time.Time
	hold  string
}

func (r lockRequest) given() bool { return r.mode != "" || r.until != nil || r.hold != "" }

func (r lockRequest) check(now time.Time) error {
	both := func(missing string) error {
		return fault.New(fault.InvalidArgument, "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied").
			With("ArgumentName", missing)
	}
	switch {
	case r.mode != "" && r.until == nil:
		return both("x-amz-object-lock-retain-until-date")
	case r.mode == "" && r.until != nil:
		return both("x-amz-object-lock-mode")
	case r.mode != "" && r.mode != governance && r.mode != compliance:
		return invalidArgument("x-amz-object-lock-mode", r.mode, "Unknown wormMode directive.")
	case r.until != nil && !r.until.After(now):
		return invalidArgument("x-amz-object-lock-retain-until-date", r.until.UTC().Format(time.RFC3339), "The retain until date must be in the future!")
	case r.hold != "" && r.hold != holdOn && r.hold != holdOff:
		return invalidArgument("x-amz-object-lock-legal-hold", r.hold, "Legal Hold must be either of 'ON' or 'OFF'")
	}
	return nil
}

// lock is the lock of a new object of the bucket, nil for none.
func (r lockRequest) lock(b *bucket, now time.Time) *lock {
	l := &lock{Mode: r.mode, Hold: r.hold == holdOn}
	switch {
	case r.until != nil:
		l.Until = r.until.UTC()
	case b.Retention != nil:
		l.Mode, l.Until = b.Retention.Mode, b.Retention.until(now)
	}
	if *l == (lock{}) {
		return nil
	}
	return l
}
