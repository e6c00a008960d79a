package iam

import (
	"context"

	api "github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

var _ auth.Devices = (*Service)(nil)

// TakeCode takes a code of a device that a user has. Each is good for once, and so
// is each before it.
func (s *Service) TakeCode(ctx context.Context, p auth.Principal, serial, code string) (auth.CodeVerdict, error) {
	if p.Kind != auth.User {
		return auth.NoDevice, nil
	}
	verdict := auth.NoDevice
	err := s.changeDevice(ctx, p.Account, serial, func(tx store.Tx, d *mfaDevice) (refusal, err error) {
		verdict = auth.NoDevice
		u, err := users.find(tx, p.Account, p.Name)
		if err != nil || u.ID != p.UserID || d.User != u.ID {
			return nil, err
		}
		verdict = auth.WrongCode
		now := stepAt(s.now())
		seed, err := s.openDevice(p.Account, d, now)
		if err != nil || seed == nil {
			return nil, err
		}
		middle := now + d.Drift
		step, ok := stepOf(seed, code, max(middle-totpReach, d.Last+1), middle+totpReach)
		if !ok {
			d.guess(now)
			return nil, nil
		}
		verdict = auth.GoodCode
		d.Last, d.Drift = step, step-now
		return nil, nil
	})
	if fault.Is(err, fault.NoSuchEntity) {
		return auth.NoDevice, nil
	}
	return verdict, err
}

// hasDevice reports whether a user has a device.
func hasDevice(tx store.Tx, account string, u *user) (bool, error) {
	have, err := devicesOf(tx, account, u)
	return len(have) > 0, err
}

// devicesInUse counts those that users have.
func devicesInUse(tx store.Tx, account string) (int, error) {
	n := 0
	for e, err := range mfaDevices.Scan(tx, account+"/") {
		if err != nil {
			return 0, err
		}
		if e.Value.User != "" {
			n++
		}
	}
	return n, nil
}

// TagMFADevice puts tags on a device.
func (s *Service) TagMFADevice(ctx context.Context, in *api.TagMFADeviceInput) (*api.TagMFADeviceOutput, error) {
	return &api.TagMFADeviceOutput{}, s.retagDevice(ctx, in.SerialNumber, in.Tags, nil)
}

// UntagMFADevice takes tags off a device.
func (s *Service) UntagMFADevice(ctx context.Context, in *api.UntagMFADeviceInput) (*api.UntagMFADeviceOutput, error) {
	return &api.UntagMFADeviceOutput{}, s.retagDevice(ctx, in.SerialNumber, nil, in.TagKeys)
}

func (s *Service) retagDevice(ctx context.Context, serial string, add []api.Tag, drop []string) error {
	return s.changeDevice(ctx, auth.From(ctx).Scope.Account, serial, func(_ store.Tx, d *mfaDevice) (refusal, err error) {
		d.Tags, err = merge(ctx, without(d.Tags, drop), add)
		return nil, err
	})
}

// ListMFADeviceTags lists a device's tags.
func (s *Service) ListMFADeviceTags(ctx context.Context, in *api.ListMFADeviceTagsInput) (*api.ListMFADeviceTagsOutput, error) {
	var d *mfaDevice
	err := s.store.View(ctx, func(tx store.Tx) (err error) {
		d, err = deviceOf(tx, auth.From(ctx).Scope.Account, in.SerialNumber)
		return err
	})
	if err != nil {
		return nil, err
	}
	page, next := pageTags(d.Tags, in.Marker, in.MaxItems)
	return &api.ListMFADeviceTagsOutput{Tags: page, Marker: next, IsTruncated: new(next != "")}, nil
}
