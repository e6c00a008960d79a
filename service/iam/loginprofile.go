package iam

import (
	"bytes"
	"context"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"time"

	api "github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// loginProfile is a user's password, kept as a hash, under the user's id.
type loginProfile struct {
	Created time.Time
	Changed time.Time
	Reset   bool `json:",omitempty"` // it must be changed
	Hash    hash
	Before  []hash `json:",omitempty"` // the latest first; at most maxReuse
	Token   string `json:",omitempty"`
}

// hash is a password through PBKDF2 with SHA-256.
type hash struct {
	Salt   []byte
	Rounds int
	Sum    []byte
}

var loginProfiles = store.NewCollection[loginProfile]("iam/loginprofile")

const (
	// passwordRounds is what OWASP's "Password Storage Cheat Sheet" asks for.
	passwordRounds = 600_000
	maxReuse       = 24
)

func (s *Service) hashPassword(password string) (hash, error) {
	h := hash{Salt: make([]byte, 16), Rounds: s.rounds}
	_, _ = rand.Read(h.Salt) // never fails
	var err error
	h.Sum, err = pbkdf2.Key(sha256.New, password, h.Salt, h.Rounds, sha256.Size)
	return h, err
}

func (h hash) is(password string) bool {
	sum, err := pbkdf2.Key(sha256.New, password, h.Salt, h.Rounds, sha256.Size)
	return err == nil && subtle.ConstantTimeCompare(sum, h.Sum) == 1
}

func userKey(account string, u *user) string { return account + "/" + u.ID }

func loginOf(tx store.Tx, account string, u *user) (*loginProfile, error) {
	p, err := loginProfiles.Get(tx, userKey(account, u))
	if errors.Is(err, store.ErrNotFound) {
		return nil, fault.New(fault.NoSuchEntity, "Login Profile for User %s cannot be found.", u.Name)
	}
	return p, err
}

func (p *loginProfile) api(name string) *api.LoginProfile {
	return &api.LoginProfile{UserName: name, CreateDate: &p.Created, PasswordResetRequired: &p.Reset}
}

// checkPassword holds a password against the account's policy.
func (s *Service) checkPassword(ctx context.Context, account, password string) error {
	return s.store.View(ctx, func(tx store.Tx) error {
		p, err := passwordPolicyOf(tx, account)
		if err != nil {
			return err
		}
		return p.allows(password, account)
	})
}

// CreateLoginProfile gives a user a password.
func (s *Service) CreateLoginProfile(ctx context.Context, in *api.CreateLoginProfileInput) (*api.CreateLoginProfileOutput, error) {
	name, err := userName(ctx, "CreateLoginProfile", in.UserName)
	if err != nil {
		return nil, err
	}
	if in.Password == "" {
		return nil, fault.New(fault.ValidationError, "1 validation error detected: Value null at 'password' failed to satisfy constraint: Member must not be null")
	}
	call := auth.From(ctx)
	account := call.Scope.Account
	if err := s.checkPassword(ctx, account, in.Password); err != nil {
		return nil, err
	}
	h, err := s.hashPassword(in.Password)
	if err != nil {
		return nil, err
	}
	now := s.now().UTC().Truncate(time.Second)
	p := &loginProfile{Created: now, Changed: now, Reset: truth(in.PasswordResetRequired), Hash: h, Token: call.Token}
	made := p
	err = s.store.Update(ctx, func(tx store.Tx) error {
		made = p
		u, err := users.find(tx, account, name)
		if err != nil {
			return err
		}
		have, err := loginOf(tx, account, u)
		switch {
		case err == nil && call.Token != "" && have.Token == call.Token:
			made = have
			return nil
		case err == nil:
			return fault.New(fault.EntityAlreadyExists, "Login Profile for user %s already exists.", name)
		case !fault.Is(err, fault.NoSuchEntity):
			return err
		}
		return loginProfiles.Put(tx, userKey(account, u), p)
	})
	if err != nil {
		return nil, err
	}
	return &api.CreateLoginProfileOutput{LoginProfile: made.api(name)}, nil
}

// GetLoginProfile says that a user has a password, and since when.
func (s *Service) GetLoginProfile(ctx context.Context, in *api.GetLoginProfileInput) (*api.GetLoginProfileOutput, error) {
	name, err := userName(ctx, "GetLoginProfile", in.UserName)
	if err != nil {
		return nil, err
	}
	p, err := s.login(ctx, name)
	if err != nil {
		return nil, err
	}
	return &api.GetLoginProfileOutput{LoginProfile: p.api(name)}, nil
}

func (s *Service) login(ctx context.Context, name string) (p *loginProfile, err error) {
	account := auth.From(ctx).Scope.Account
	err = s.store.View(ctx, func(tx store.Tx) error {
		u, err := users.find(tx, account, name)
		if err != nil {
			return err
		}
		p, err = loginOf(tx, account, u)
		return err
	})
	return p, err
}

// setPassword replaces the password of a login profile that is still the one
// that was read: hashing takes too long for a transaction.
func (s *Service) setPassword(ctx context.Context, name string, was *loginProfile, change func(p *loginProfile)) error {
	account := auth.From(ctx).Scope.Account
	return s.store.Update(ctx, func(tx store.Tx) error {
		u, err := users.find(tx, account, name)
		if err != nil {
			return err
		}
		p, err := loginOf(tx, account, u)
		if err != nil {
			return err
		}
		if !bytes.Equal(p.Hash.Sum, was.Hash.Sum) {
			return fault.New(fault.ConcurrentModification, "The password of %s is being changed by another request.", name)
		}
		change(p)
		return loginProfiles.Put(tx, userKey(account, u), p)
	})
}

// renewal hashes a new password and returns what puts it into a profile.
func (s *Service) renewal(password string) (func(p *loginProfile), error) {
	h, err := s.hashPassword(password)
	if err != nil {
		return nil, err
	}
	return func(p *loginProfile) {
		p.Before = append([]hash{p.Hash}, p.Before...)
		p.Before = p.Before[:min(len(p.Before), maxReuse)]
		p.Hash, p.Changed, p.Reset = h, s.now().UTC().Truncate(time.Second), false
	}, nil
}

// UpdateLoginProfile sets a user's password, and whether it must be changed.
func (s *Service) UpdateLoginProfile(ctx context.Context, in *api.UpdateLoginProfileInput) (*api.UpdateLoginProfileOutput, error) {
	was, err := s.login(ctx, in.UserName)
	if err != nil {
		return nil, err
	}
	set := func(*loginProfile) {}
	if in.Password != "" {
		if err := s.checkPassword(ctx, auth.From(ctx).Scope.Account, in.Password); err != nil {
			return nil, err
		}
		if set, err = s.renewal(in.Password); err != nil {
			return nil, err
		}
	}
	return &api.UpdateLoginProfileOutput{}, s.setPassword(ctx, in.UserName, was, func(p *loginProfile) {
		set(p)
		if in.PasswordResetRequired != nil {
			p.Reset = *in.PasswordResetRequired
		}
	})
}

// ChangePassword lets a user change the own password.
func (s *Service) ChangePassword(ctx context.Context, in *api.ChangePasswordInput) (*api.ChangePasswordOutput, error) {
	caller := auth.From(ctx).Principal
	if caller.Kind != auth.User {
		return nil, fault.New(fault.InvalidUserType, "Only IAM Users can change their own password")
	}
	was, err := s.login(ctx, caller.Name)
	if err != nil {
		return nil, err
	}
	if !was.Hash.is(in.OldPassword) {
		return nil, fault.New(fault.AccessDenied, "The old password was incorrect.")
	}
	if err := s.checkPassword(ctx, caller.Account, in.NewPassword); err != nil {
		return nil, err
	}
	if err := s.checkReuse(ctx, caller.Account, was, in.NewPassword); err != nil {
		return nil, err
	}
	set, err := s.renewal(in.NewPassword)
	if err != nil {
		return nil, err
	}
	return &api.ChangePasswordOutput{}, s.setPassword(ctx, caller.Name, was, set)
}

// checkReuse refuses one of the latest passwords, as many as the policy says.
func (s *Service) checkReuse(ctx context.Context, account string, was *loginProfile, password string) error {
	var p *passwordPolicy
	err := s.store.View(ctx, func(tx store.Tx) (err error) {
		p, err = passwordPolicyOf(tx, account)
		return err
	})
	if err != nil || p == nil || p.ReusePrevention == 0 {
		return err
	}
	latest := append([]hash{was.Hash}, was.Before...)
	for _, h := range latest[:min(len(latest), int(p.ReusePrevention))] {
		if h.is(password) {
			return fault.New(fault.PasswordPolicyViolation, "Policy constraint violation with password reuse prevention during password change.")
		}
	}
	return nil
}

// DeleteLoginProfile takes a user's password away.
func (s *Service) DeleteLoginProfile(ctx context.Context, in *api.DeleteLoginProfileInput) (*api.DeleteLoginProfileOutput, error) {
	name, err := userName(ctx, "DeleteLoginProfile", in.UserName)
	if err != nil {
		return nil, err
	}
	account := auth.From(ctx).Scope.Account
	return &api.DeleteLoginProfileOutput{}, s.store.Update(ctx, func(tx store.Tx) error {
		u, err := users.find(tx, account, name)
		if err != nil {
			return err
		}
		if _, err := loginOf(tx, account, u); err != nil {
			return err
		}
		return loginProfiles.Delete(tx, userKey(account, u))
	})
}
