package secretsmanager

import (
	"context"
	"errors"
	"time"

	api "github.com/slipway/slipway/api/secretsmanager"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// Days of a recovery window ("DeleteSecret", AWS Secrets Manager API Reference).
const (
	minWindow     = 7
	maxWindow     = 30
	defaultWindow = 30
)

// DeleteSecret has a secret deleted at the end of a recovery window or, if it is
// forced, deletes it at once.
func (s *Service) DeleteSecret(ctx context.Context, in *api.DeleteSecretInput) (*api.DeleteSecretOutput, error) {
	force, days := yes(in.ForceDeleteWithoutRecovery), int64(defaultWindow)
	switch {
	case force && in.RecoveryWindowInDays != nil:
		return nil, invalid("You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.")
	case in.RecoveryWindowInDays != nil:
		if days = *in.RecoveryWindowInDays; days < minWindow || days > maxWindow {
			return nil, invalid("The RecoveryWindowInDays value must be between %d and %d days (inclusive).", minWindow, maxWindow)
		}
	}
	now := s.now().UTC().Truncate(time.Millisecond)
	if force {
		return s.deleteNow(ctx, in, now)
	}
	when := now.AddDate(0, 0, int(days))
	full, name, err := s.change(ctx, in.SecretId, in, func(_ place, sec *secret) error {
		sec.Deletion = when
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &api.DeleteSecretOutput{ARN: full, Name: name, DeletionDate: &when}, nil
}

// deleteNow deletes a secret, also one that is to be deleted later. That there is
// none is no error; its ARN is then the one that leads to no certain secret.
func (s *Service) deleteNow(ctx context.Context, in *api.DeleteSecretInput, now time.Time) (*api.DeleteSecretOutput, error) {
	out := &api.DeleteSecretOutput{DeletionDate: &now}
	err := s.store.Update(ctx, func(tx store.Tx) error {
		p, sec, err := s.find(ctx, tx, in.SecretId, in)
		if fault.Is(err, fault.ResourceNotFoundException) {
			scope, name, err := parseID(auth.From(ctx).Scope, in.SecretId)
			out.Name, out.ARN = name, scope.ARN("secretsmanager", "secret:"+name).String()
			return err
		}
		if err != nil {
			return err
		}
		out.ARN, out.Name = p.arn(sec.Suffix), sec.Name
		return remove(tx, p, sec)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// remove takes a secret and all its values away.
func remove(tx store.Tx, p place, sec *secret) error {
	for _, v := range sec.Versions {
		if err := values.Delete(tx, p.valueKey(v.ID)); err != nil {
			return err
		}
	}
	return secrets.Delete(tx, p.key())
}

// RestoreSecret keeps a secret that was to be deleted.
func (s *Service) RestoreSecret(ctx context.Context, in *api.RestoreSecretInput) (*api.RestoreSecretOutput, error) {
	out := &api.RestoreSecretOutput{}
	err := s.store.Update(ctx, func(tx store.Tx) error {
		p, sec, err := s.find(ctx, tx, in.SecretId, in)
		if err != nil {
			return err
		}
		out.ARN, out.Name = p.arn(sec.Suffix), sec.Name
		sec.Deletion = time.Time{}
		return secrets.Put(tx, p.key(), sec)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// keepUp deletes the secrets whose recovery windows are over, and the versions
// that are too many and old enough by now, and begins the rotations that are due.
func (s *Service) keepUp(ctx context.Context) error {
	var due []string
	err := s.store.View(ctx, func(tx store.Tx) error {
		due = nil
		for e, err := range secrets.ByIndex(tx, "upkeep", needsUpkeep) {
			if err != nil {
				return err
			}
			if e.Value.over(s.now()) || e.Value.due(s.now()) || len(e.Value.Versions) > keptVersions {
				due = append(due, e.Key)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, key := range due {
		if err := s.store.Update(ctx, func(tx store.Tx) error { return s.tidy(tx, key) }); err != nil {
			return err
		}
	}
	return nil
}

// over reports whether the recovery window is.
func (sec *secret) over(now time.Time) bool {
	return !sec.Deletion.IsZero() && !now.Before(sec.Deletion)
}

func (s *Service) tidy(tx store.Tx, key string) error {
	sec, err := secrets.Get(tx, key)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	p := placeOf(key)
	if sec.over(s.now()) {
		return remove(tx, p, sec)
	}
	due := sec.due(s.now()) && s.workflows != nil
	if due {
		if err := s.begin(tx, p, sec, arn.NewUUID(), false); err != nil {
			return err
		}
	}
	gone := sec.prune(s.now())
	if len(gone) == 0 && !due {
		return nil
	}
	for _, id := range gone {
		if err := values.Delete(tx, p.valueKey(id)); err != nil {
			return err
		}
	}
	return secrets.Put(tx, key, sec)
}
