package kms

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/slipway/slipway/api/kms"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// "EnableKeyRotation" and "RotateKeyOnDemand", AWS KMS API Reference.
const (
	defaultRotationDays = 365
	minRotationDays     = 90
	maxRotationDays     = 2560
	maxOnDemand         = 25
)

// rotation is when a key gets new material by itself.
type rotation struct {
	Days int
	Next time.Time
}

func unsupported(format string, args ...any) error {
	return fault.New(fault.UnsupportedOperationException, format, args...)
}

// rotates refuses keys that cannot rotate.
func (k *key) rotates(automatic bool) error {
	switch {
	case !k.symmetric():
		return unsupported("%s is an asymmetric or HMAC key, which does not support rotation.", k.name())
	case !k.primary() && automatic:
		return k.mustBePrimary()
	case automatic && k.External:
		return unsupported("%s origin is EXTERNAL which is not valid for this operation.", k.name())
	}
	return nil
}

// EnableKeyRotation gives a key new material at regular times.
func (s *Service) EnableKeyRotation(ctx context.Context, in *kms.EnableKeyRotationInput) (*kms.EnableKeyRotationOutput, error) {
	days := defaultRotationDays
	if in.RotationPeriodInDays != nil {
		days = int(*in.RotationPeriodInDays)
	}
	if days < minRotationDays || days > maxRotationDays {
		return nil, fault.New(fault.ValidationException, "RotationPeriodInDays %d: want %d to %d", days, minRotationDays, maxRotationDays)
	}
	return either(&kms.EnableKeyRotationOutput{}, s.rotate(ctx, in.KeyId, request{operation: "EnableKeyRotation", in: in}, func(k *key) {
		if k.Rotation == nil || k.Rotation.Days != days {
			k.Rotation = &rotation{days, s.cfg.Now().UTC().AddDate(0, 0, days)}
		}
	}))
}

// DisableKeyRotation ends that; the materials stay.
func (s *Service) DisableKeyRotation(ctx context.Context, in *kms.DisableKeyRotationInput) (*kms.DisableKeyRotationOutput, error) {
	return either(&kms.DisableKeyRotationOutput{}, s.rotate(ctx, in.KeyId, request{operation: "DisableKeyRotation", in: in}, func(k *key) { k.Rotation = nil }))
}

// either is an output, or nothing with an error.
func either[T any](out *T, err error) (*T, error) {
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (s *Service) rotate(ctx context.Context, name string, r request, set func(*key)) error {
	_, err := s.change(ctx, name, r, func(_ store.Tx, k *key) error {
		if err := k.rotates(true); err != nil {
			return err
		}
		if err := k.usable(s.cfg.Now()); err != nil {
			return err
		}
		set(k)
		return nil
	})
	return err
}

// GetKeyRotationStatus tells whether and when a key rotates.
func (s *Service) GetKeyRotationStatus(ctx context.Context, in *kms.GetKeyRotationStatusInput) (*kms.GetKeyRotationStatusOutput, error) {
	k, err := s.read(ctx, in.KeyId, request{operation: "GetKeyRotationStatus", in: in})
	if err != nil {
		return nil, err
	}
	if err := k.rotates(false); err != nil {
		return nil, err
	}
	out := &kms.GetKeyRotationStatusOutput{KeyId: k.ID, KeyRotationEnabled: new(k.Rotation != nil && k.alive() == nil)}
	if *out.KeyRotationEnabled {
		out.RotationPeriodInDays, out.NextRotationDate = new(int32(k.Rotation.Days)), &k.Rotation.Next
	}
	return out, nil
}

// RotateKeyOnDemand gives a key new material now. It does not touch the times
// of automatic rotation.
func (s *Service) RotateKeyOnDemand(ctx context.Context, in *kms.RotateKeyOnDemandInput) (*kms.RotateKeyOnDemandOutput, error) {
	k, err := s.change(ctx, in.KeyId, request{operation: "RotateKeyOnDemand", in: in}, func(_ store.Tx, k *key) error {
		if err := k.rotates(false); err != nil {
			return err
		}
		if err := k.usable(s.cfg.Now()); err != nil {
			return err
		}
		if !k.primary() {
			return k.mustBePrimary()
		}
		if k.OnDemand >= maxOnDemand {
			return fault.New(fault.KMSLimitExceeded, "%s has reached the limit of %d on-demand rotations.", k.name(), maxOnDemand)
		}
		if k.External {
			return fault.New(fault.KMSInvalidState, "%s does not have key material pending rotation.", k.name())
		}
		k.OnDemand++
		return s.renew(k, kms.RotationTypeOnDemand)
	})
	if err != nil {
		return nil, err
	}
	return &kms.RotateKeyOnDemandOutput{KeyId: k.ID}, nil
}

// renew gives a key new material.
func (s *Service) renew(k *key, kind string) error {
	plain, err := generate(k.Spec)
	if err != nil {
		return err
	}
	return s.add(k, plain, material{Begun: s.cfg.Now().UTC(), Rotation: kind})
}

// rotateDue gives a key new material if it is time, also where Slipway slept
// through several periods.
func (s *Service) rotateDue(tx store.Tx, path string) error {
	k, err := s.load(tx, path)
	if err != nil {
		return ignoreMissing(err)
	}
	now := s.cfg.Now()
	if !k.due(now) {
		return nil
	}
	if err := s.renew(k, kms.RotationTypeAutomatic); err != nil {
		return err
	}
	k.Rotation.Next = now.UTC().AddDate(0, 0, k.Rotation.Days)
	return s.keep(tx, k)
}

// due says whether a key is to rotate. A disabled one waits until it is enabled.
func (k *key) due(now time.Time) bool {
	return k.Rotation != nil && k.primary() && !now.Before(k.Rotation.Next) && k.state(now) == kms.KeyStateEnabled
}

// ListKeyRotations lists the rotations of a key, or all its materials. The
// marker is the place of the next one.
func (s *Service) ListKeyRotations(ctx context.Context, in *kms.ListKeyRotationsInput) (*kms.ListKeyRotationsOutput, error) {
	k, err := s.read(ctx, in.KeyId, request{operation: "ListKeyRotations", in: in})
	if err != nil {
		return nil, err
	}
	if err := k.rotates(false); err != nil {
		return nil, err
	}
	var all []kms.RotationsListEntry
	for i, m := range k.Materials {
		if i == 0 && in.IncludeKeyMaterial != kms.IncludeKeyMaterialAllKeyMaterial {
			continue
		}
		e := kms.RotationsListEntry{
			KeyId: k.ID, KeyMaterialId: m.ID, KeyMaterialDescription: m.Description, RotationType: m.Rotation, ValidTo: m.ValidTo,
			KeyMaterialState: kms.KeyMaterialStateNonCurrent,
		}
		if i == k.current() {
			e.KeyMaterialState = kms.KeyMaterialStateCurrent
		}
		if i > 0 {
			e.RotationDate = &m.Begun
		}
		if k.External {
			k.imported(&m, &e, s.cfg.Now())
		}
		all = append(all, e)
	}
	limit, marker := page(in.Limit, in.Marker)
	from := 0
	if marker != "" {
		if from, err = strconv.Atoi(marker); err != nil || from < 0 || from > len(all) {
			return nil, pageError(store.ErrBadToken)
		}
	}
	to := min(from+limit, len(all))
	out := &kms.ListKeyRotationsOutput{Rotations: slices.Clone(all[from:to]), Truncated: new(to < len(all))}
	if out.Rotations == nil {
		out.Rotations = []kms.RotationsListEntry{}
	}
	if to < len(all) {
		out.NextMarker = strconv.Itoa(to)
	}
	return out, nil
}
