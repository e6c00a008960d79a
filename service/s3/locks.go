package s3

import (
	"context"

	api "github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/fault"
)

// GetObjectLockConfiguration gives the bucket's object lock.
func (s *Service) GetObjectLockConfiguration(ctx context.Context, in *api.GetObjectLockConfigurationInput) (*api.GetObjectLockConfigurationOutput, error) {
	b, err := s.bucket(ctx, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	if !b.ObjectLock {
		return nil, fault.New(fault.ObjectLockConfigurationNotFound, "Object Lock configuration does not exist for this bucket").
			With("BucketName", b.Name)
	}
	out := &api.ObjectLockConfiguration{ObjectLockEnabled: enabled}
	if r := b.Retention; r != nil {
		d := &api.DefaultRetention{Mode: r.Mode}
		if r.Days > 0 {
			d.Days = &r.Days
		} else {
			d.Years = &r.Years
		}
		out.Rule = &api.ObjectLockRule{DefaultRetention: d}
	}
	return &api.GetObjectLockConfigurationOutput{ObjectLockConfiguration: out}, nil
}

// PutObjectLockConfiguration sets the default retention, and switches object
// lock on in a bucket with versioning. Nothing switches it off.
func (s *Service) PutObjectLockConfiguration(ctx context.Context, in *api.PutObjectLockConfigurationInput) (*api.PutObjectLockConfigurationOutput, error) {
	if in.Token != "" {
		return nil, notBuilt("x-amz-bucket-object-lock-token")
	}
	def, err := readDefault(in.ObjectLockConfiguration)
	if err != nil {
		return nil, err
	}
	err = s.change(ctx, in.Bucket, in.ExpectedBucketOwner, func(b *bucket) error {
		if b.Versioning != enabled {
			return fault.New(fault.InvalidBucketState, "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration")
		}
		b.ObjectLock, b.Retention = true, def
		return nil
	})
	return &api.PutObjectLockConfigurationOutput{}, err
}

// readDefault reads the default retention of a configuration, nil for none.
func readDefault(cfg *api.ObjectLockConfiguration) (*retention, error) {
	if cfg == nil || cfg.ObjectLockEnabled != enabled {
		return nil, malformedXML()
	}
	if cfg.Rule == nil {
		return nil, nil
	}
	d := cfg.Rule.DefaultRetention
	if d == nil || d.Mode != governance && d.Mode != compliance || (d.Days == nil) == (d.Years == nil) {
		return nil, malformedXML()
	}
	r := &retention{d.Mode, value(d.Days), value(d.Years)}
	switch {
	case r.Days+r.Years <= 0:
		return nil, fault.New(fault.InvalidArgument, "Default retention period must be a positive integer value.")
	case r.Days > maxRetentionDays || r.Years > maxRetentionYears:
		return nil, fault.New(fault.InvalidArgument, "Default retention period too large.")
	}
	return r, nil
}

// findToChange is find for operations that change what is kept of an object: a
// delete marker is not one, also where no version is named.
func findToChange(c *change, b *bucket, t target) (found, error) {
	if t.version == "" && checkKey(t.key) == nil {
		f, err := latest(c, b, t.key)
		if err != nil {
			return f, err
		}
		if f.object != nil && f.object.Marker {
			return f, isMarker(t.method)
		}
	}
	return find(c, b, t)
}

func isMarker(method string) *fault.Error {
	return fault.New(fault.MethodNotAllowed, "The specified method is not allowed against this resource.").
		With("Method", method).With("ResourceType", "DeleteMarker")
}

// relock changes the lock of a version of a bucket with object lock.
func (s *Service) relock(ctx context.Context, t target, fn func(l *lock) error) error {
	var b *bucket
	err := s.update(ctx, nil, func(c *change) (err error) {
		if b, err = lookupVersion(ctx, c, t); err != nil {
			return err
		}
		if _, err := findToChange(c, b, t); err != nil {
			return err
		}
		if !b.ObjectLock {
			return missingLock()
		}
		f, err := findToChange(c, b, t)
		if err != nil {
			return err
		}
		if f.object.Lock == nil {
			f.object.Lock = &lock{}
		}
		if err := fn(f.object.Lock); err != nil {
			return err
		}
		if *f.object.Lock == (lock{}) {
			f.object.Lock = nil
		}
		return f.put(c)
	})
	return s.conceal(ctx, b, err)
}

// locked finds a version, whose bucket must have object lock.
func (s *Service) locked(ctx context.Context, t target) (*lock, error) {
	b, o, err := s.object(ctx, t)
	if err != nil {
		return nil, err
	}
	if !b.ObjectLock {
		return nil, missingLock()
	}
	return o.Lock, nil
}

func noLock() error {
	return fault.New(fault.NoSuchObjectLock, "The specified object does not have a ObjectLock configuration")
}

// PutObjectRetention sets, extends or, by leave to pass by the mode GOVERNANCE,
// shortens a version's retention. One of mode COMPLIANCE can be extended only.
func (s *Service) PutObjectRetention(ctx context.Context, in *api.PutObjectRetentionInput) (*api.PutObjectRetentionOutput, error) {
	r := in.Retention
	if r == nil || (r.Mode == "") != (r.RetainUntilDate == nil) || r.Mode != "" && r.Mode != governance && r.Mode != compliance {
		return nil, malformedXML()
	}
	now := s.now()
	if r.RetainUntilDate != nil && !r.RetainUntilDate.After(now) {
		return nil, fault.New(fault.InvalidArgument, "The retain until date must be in the future!")
	}
	err := s.relock(ctx, target{in.Bucket, in.Key, in.VersionId, in.ExpectedBucketOwner, "PUT"}, func(l *lock) error {
		weaker := r.Mode == "" || r.RetainUntilDate.Before(l.Until) || l.Mode == compliance && r.Mode == governance
		if weaker && l.retained(now, value(in.BypassGovernanceRetention)) {
			return protected()
		}
		l.Mode, l.Until = r.Mode, value(r.RetainUntilDate).UTC()
		return nil
	})
	return &api.PutObjectRetentionOutput{}, err
}

// GetObjectRetention gives a version's retention.
func (s *Service) GetObjectRetention(ctx context.Context, in *api.GetObjectRetentionInput) (*api.GetObjectRetentionOutput, error) {
	l, err := s.locked(ctx, target{in.Bucket, in.Key, in.VersionId, in.ExpectedBucketOwner, "GET"})
	if err != nil {
		return nil, err
	}
	if l == nil || l.Mode == "" {
		return nil, noLock()
	}
	return &api.GetObjectRetentionOutput{Retention: &api.ObjectLockRetention{Mode: l.Mode, RetainUntilDate: &l.Until}}, nil
}

// PutObjectLegalHold sets or lifts a version's legal hold.
func (s *Service) PutObjectLegalHold(ctx context.Context, in *api.PutObjectLegalHoldInput) (*api.PutObjectLegalHoldOutput, error) {
	if h := in.LegalHold; h == nil || h.Status != holdOn && h.Status != holdOff {
		return nil, malformedXML()
	}
	err := s.relock(ctx, target{in.Bucket, in.Key, in.VersionId, in.ExpectedBucketOwner, "PUT"}, func(l *lock) error {
		l.Hold = in.LegalHold.Status == holdOn
		return nil
	})
	return &api.PutObjectLegalHoldOutput{}, err
}

// GetObjectLegalHold gives a version's legal hold.
func (s *Service) GetObjectLegalHold(ctx context.Context, in *api.GetObjectLegalHoldInput) (*api.GetObjectLegalHoldOutput, error) {
	l, err := s.locked(ctx, target{in.Bucket, in.Key, in.VersionId, in.ExpectedBucketOwner, "GET"})
	if err != nil {
		return nil, err
	}
	if l == nil {
		return nil, noLock()
	}
	status := holdOff
	if l.Hold {
		status = holdOn
	}
	return &api.GetObjectLegalHoldOutput{LegalHold: &api.ObjectLockLegalHold{Status: status}}, nil
}
