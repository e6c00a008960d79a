package kms

import (
	"context"

	"github.com/slipway/slipway/api/kms"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// "ScheduleKeyDeletion", AWS KMS API Reference: days.
const (
	minDeletionWindow     = 7
	maxDeletionWindow     = 30
	defaultDeletionWindow = 30
)

// EnableKey lets a key encrypt and decrypt again.
func (s *Service) EnableKey(ctx context.Context, in *kms.EnableKeyInput) (*kms.EnableKeyOutput, error) {
	if err := s.enable(ctx, in.KeyId, request{operation: "EnableKey", in: in}, true); err != nil {
		return nil, err
	}
	return &kms.EnableKeyOutput{}, nil
}

// DisableKey keeps a key from encrypting and decrypting.
func (s *Service) DisableKey(ctx context.Context, in *kms.DisableKeyInput) (*kms.DisableKeyOutput, error) {
	if err := s.enable(ctx, in.KeyId, request{operation: "DisableKey", in: in}, false); err != nil {
		return nil, err
	}
	return &kms.DisableKeyOutput{}, nil
}

func (s *Service) enable(ctx context.Context, name string, r request, on bool) error {
	_, err := s.change(ctx, name, r, func(_ store.Tx, k *key) error {
		if err := k.alive(); err != nil {
			return err
		}
		if !k.hasMaterial(s.cfg.Now()) {
			return k.usable(s.cfg.Now())
		}
		k.Disabled = !on
		return nil
	})
	return err
}

// ScheduleKeyDeletion sets the day on which a key is gone; until then it can
// be saved, and does not encrypt or decrypt.
func (s *Service) ScheduleKeyDeletion(ctx context.Context, in *kms.ScheduleKeyDeletionInput) (*kms.ScheduleKeyDeletionOutput, error) {
	days := int32(defaultDeletionWindow)
	if in.PendingWindowInDays != nil {
		days = *in.PendingWindowInDays
	}
	if days < minDeletionWindow || days > maxDeletionWindow {
		return nil, fault.New(fault.ValidationException, "PendingWindowInDays %d: want %d to %d", days, minDeletionWindow, maxDeletionWindow)
	}
	at := s.cfg.Now().UTC().AddDate(0, 0, int(days))
	k, err := s.change(ctx, in.KeyId, request{operation: "ScheduleKeyDeletion", in: in}, func(_ store.Tx, k *key) error {
		if err := k.alive(); err != nil {
			return err
		}
		if k.primary() && k.Family != nil && len(k.Family.Replicas) > 0 {
			k.Window = int(days)
			return nil
		}
		k.Deletion = &at
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &kms.ScheduleKeyDeletionOutput{
		KeyId: k.name(), DeletionDate: k.Deletion, KeyState: k.state(s.cfg.Now()), PendingWindowInDays: &days,
	}, nil
}

// CancelKeyDeletion saves a key; it comes back disabled.
func (s *Service) CancelKeyDeletion(ctx context.Context, in *kms.CancelKeyDeletionInput) (*kms.CancelKeyDeletionOutput, error) {
	k, err := s.change(ctx, in.KeyId, request{operation: "CancelKeyDeletion", in: in}, func(_ store.Tx, k *key) error {
		if k.alive() == nil {
			return fault.New(fault.KMSInvalidState, "%s is not pending deletion.", k.name())
		}
		k.Deletion, k.Window, k.Disabled = nil, 0, true
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &kms.CancelKeyDeletionOutput{KeyId: k.name()}, nil
}
