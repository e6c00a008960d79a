package iam

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	api "github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// passwordPolicy is what an account asks of its users' passwords. The members
// are those of UpdateAccountPasswordPolicy, with its defaults.
type passwordPolicy struct {
	MinimumLength   int32
	Symbols         bool  `json:",omitempty"`
	Numbers         bool  `json:",omitempty"`
	Uppercase       bool  `json:",omitempty"`
	Lowercase       bool  `json:",omitempty"`
	UsersMayChange  bool  `json:",omitempty"`
	MaxAge          int32 `json:",omitempty"` // days
	ReusePrevention int32 `json:",omitempty"` // passwords
	HardExpiry      bool  `json:",omitempty"`
}

var passwordPolicies = store.NewCollection[passwordPolicy]("iam/passwordpolicy")

const symbols = "!@#$%^&*()_+-=[]{}|'"

// passwordPolicyOf is an account's policy, nil where it has none of its own.
func passwordPolicyOf(tx store.Tx, account string) (*passwordPolicy, error) {
	p, err := passwordPolicies.Get(tx, account)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return p, err
}

// allows says whether a password is good enough. Without a policy AWS asks for 8
// characters of three kinds, and for something else than the account's name.
func (p *passwordPolicy) allows(password, account string) error {
	var upper, lower, digit, symbol bool
	for _, c := range password {
		switch {
		case 'A' <= c && c <= 'Z':
			upper = true
		case 'a' <= c && c <= 'z':
			lower = true
		case '0' <= c && c <= '9':
			digit = true
		case strings.ContainsRune(symbols, c):
			symbol = true
		case c > unicode.MaxASCII && unicode.IsControl(c):
			return fault.New(fault.PasswordPolicyViolation, "Password must not contain control characters")
		}
	}
	length := int32(min(utf8.RuneCountInString(password), 1<<20)) //nolint:gosec // bounded in the line
	if p == nil {
		kinds := 0
		for _, has := range []bool{upper, lower, digit, symbol} {
			if has {
				kinds++
			}
		}
		if length < 8 || kinds < 3 || password == account {
			return fault.New(fault.PasswordPolicyViolation, "Password must be at least 8 characters long, and contain at least three of these: "+
				"uppercase, lowercase, numbers, symbols")
		}
		return nil
	}
	for _, rule := range []struct {
		broken bool
		text   string
	}{
		{p.Uppercase && !upper, "Password should have at least one uppercase letter"},
		{p.Lowercase && !lower, "Password should have at least one lowercase letter"},
		{p.Numbers && !digit, "Password should have at least one number"},
		{p.Symbols && !symbol, "Password should have at least one symbol"},
	} {
		if rule.broken {
			return fault.New(fault.PasswordPolicyViolation, "%s", rule.text)
		}
	}
	if length < p.MinimumLength {
		return fault.New(fault.PasswordPolicyViolation, "Password should have a minimum length of %d", p.MinimumLength)
	}
	return nil
}

// expires is when a password must be changed; ok is false where it need not be.
func (p *passwordPolicy) expires(set time.Time) (at time.Time, ok bool) {
	if p == nil || p.MaxAge == 0 {
		return time.Time{}, false
	}
	return set.AddDate(0, 0, int(p.MaxAge)), true
}

func truth(b *bool) bool { return b != nil && *b }

// UpdateAccountPasswordPolicy sets the account's policy; what is not given goes
// back to its default.
func (s *Service) UpdateAccountPasswordPolicy(ctx context.Context, in *api.UpdateAccountPasswordPolicyInput) (*api.UpdateAccountPasswordPolicyOutput, error) {
	p := &passwordPolicy{
		MinimumLength: 6, Symbols: truth(in.RequireSymbols), Numbers: truth(in.RequireNumbers), Uppercase: truth(in.RequireUppercaseCharacters),
		Lowercase: truth(in.RequireLowercaseCharacters), UsersMayChange: truth(in.AllowUsersToChangePassword), HardExpiry: truth(in.HardExpiry),
	}
	if in.MinimumPasswordLength != nil {
		p.MinimumLength = *in.MinimumPasswordLength
	}
	if in.MaxPasswordAge != nil {
		p.MaxAge = *in.MaxPasswordAge
	}
	if in.PasswordReusePrevention != nil {
		p.ReusePrevention = *in.PasswordReusePrevention
	}
	return &api.UpdateAccountPasswordPolicyOutput{}, s.store.Update(ctx, func(tx store.Tx) error {
		return passwordPolicies.Put(tx, auth.From(ctx).Scope.Account, p)
	})
}

// GetAccountPasswordPolicy tells the account's policy.
func (s *Service) GetAccountPasswordPolicy(ctx context.Context, _ *api.GetAccountPasswordPolicyInput) (*api.GetAccountPasswordPolicyOutput, error) {
	account := auth.From(ctx).Scope.Account
	var p *passwordPolicy
	err := s.store.View(ctx, func(tx store.Tx) (err error) {
		p, err = passwordPolicyOf(tx, account)
		return err
	})
	if err != nil {
		return nil, err
	}
	if p == nil {
		return nil, fault.New(fault.NoSuchEntity, "The Password Policy with domain name %s cannot be found.", account)
	}
	out := &api.PasswordPolicy{
		MinimumPasswordLength: &p.MinimumLength, RequireSymbols: &p.Symbols, RequireNumbers: &p.Numbers,
		RequireUppercaseCharacters: &p.Uppercase, RequireLowercaseCharacters: &p.Lowercase,
		AllowUsersToChangePassword: &p.UsersMayChange, ExpirePasswords: new(p.MaxAge > 0), HardExpiry: &p.HardExpiry,
	}
	if p.MaxAge > 0 {
		out.MaxPasswordAge = &p.MaxAge
	}
	if p.ReusePrevention > 0 {
		out.PasswordReusePrevention = &p.ReusePrevention
	}
	return &api.GetAccountPasswordPolicyOutput{PasswordPolicy: out}, nil
}

// DeleteAccountPasswordPolicy goes back to AWS's own rules.
func (s *Service) DeleteAccountPasswordPolicy(ctx context.Context, _ *api.DeleteAccountPasswordPolicyInput) (*api.DeleteAccountPasswordPolicyOutput, error) {
	account := auth.From(ctx).Scope.Account
	return &api.DeleteAccountPasswordPolicyOutput{}, s.store.Update(ctx, func(tx store.Tx) error {
		p, err := passwordPolicyOf(tx, account)
		if err != nil {
			return err
		}
		if p == nil {
			return fault.New(fault.NoSuchEntity, "The account policy with name PasswordPolicy cannot be found.")
		}
		return passwordPolicies.Delete(tx, account)
	})
}
