package iam

import (
	"bytes"
	"strings"
	"testing"
	"time"

	api "github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

func TestPasswordPolicy(t *testing.T) {
	s := newService(t)
	s.rounds = 10
	run(t, []step{
		{"none", did(s.GetAccountPasswordPolicy, &api.GetAccountPasswordPolicyInput{}), "NoSuchEntity: The Password Policy with domain name 123456789012 cannot be found."},
		{"delete none", did(s.DeleteAccountPasswordPolicy, &api.DeleteAccountPasswordPolicyInput{}), "NoSuchEntity: The account policy with name PasswordPolicy cannot be found."},
	})
	if _, err := s.UpdateAccountPasswordPolicy(as(t, ""), &api.UpdateAccountPasswordPolicyInput{MinimumPasswordLength: new(int32(10)), RequireSymbols: new(true),
		RequireNumbers: new(true), RequireUppercaseCharacters: new(true), RequireLowercaseCharacters: new(true), MaxPasswordAge: new(int32(90))}); err != nil {
		t.Fatal(err)
	}
	out, err := s.GetAccountPasswordPolicy(as(t, ""), &api.GetAccountPasswordPolicyInput{})
	if p := out.PasswordPolicy; err != nil || *p.MinimumPasswordLength != 10 || !*p.ExpirePasswords || *p.MaxPasswordAge != 90 || p.PasswordReusePrevention != nil || *p.HardExpiry {
		t.Errorf("%+v, %v", out, err)
	}
	with := func(password string) func(p *passwordPolicy) error {
		return func(p *passwordPolicy) error { return p.allows(password, account) }
	}
	strict := &passwordPolicy{MinimumLength: 10, Symbols: true, Numbers: true, Uppercase: true, Lowercase: true}
	for _, tt := range []struct {
		name   string
		policy *passwordPolicy
		check  func(*passwordPolicy) error
		want   string
	}{
		{"no policy", nil, with("Abcdefg1"), ""},
		{"no policy, short", nil, with("Abcdef1"), "at least 8 characters"},
		{"no policy, two kinds", nil, with("abcdefg1"), "at least three"},
		{"strict", strict, with("Abcdefgh1!"), ""},
		{"strict, short", strict, with("Abcdefg1!"), "minimum length of 10"},
		{"strict, no symbol", strict, with("Abcdefghi1"), "one symbol"},
		{"strict, no number", strict, with("Abcdefghi!"), "one number"},
		{"strict, no uppercase", strict, with("abcdefgh1!"), "one uppercase"},
		{"strict, no lowercase", strict, with("ABCDEFGH1!"), "one lowercase"},
	} {
		err := tt.check(tt.policy)
		if tt.want == "" && err != nil || tt.want != "" && (!fault.Is(err, fault.PasswordPolicyViolation) || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestPasswords(t *testing.T) {
	s := newService(t)
	s.rounds = 10
	create := func(password string) func(*api.CreateLoginProfileInput) *api.CreateLoginProfileInput {
		return func(in *api.CreateLoginProfileInput) *api.CreateLoginProfileInput { in.Password = password; return in }
	}
	run(t, []step{
		{"user", did(s.CreateUser, &api.CreateUserInput{UserName: "ann"}), ""},
		{"none", did(s.GetLoginProfile, &api.GetLoginProfileInput{UserName: "ann"}), "NoSuchEntity: Login Profile for User ann cannot be found."},
		{"weak", did(s.CreateLoginProfile, create("weak")(&api.CreateLoginProfileInput{UserName: "ann"})), "PasswordPolicyViolation"},
		{"create", did(s.CreateLoginProfile, create("First-Pass-1")(&api.CreateLoginProfileInput{UserName: "ann", PasswordResetRequired: new(true)})), ""},
		{"again", did(s.CreateLoginProfile, create("First-Pass-1")(&api.CreateLoginProfileInput{UserName: "ann"})), "EntityAlreadyExists: Login Profile for user ann already exists."},
		{"user in use", did(s.DeleteUser, &api.DeleteUserInput{UserName: "ann"}), "DeleteConflict: Cannot delete entity, must delete login profile first."},
		{"root may not", did(s.ChangePassword, &api.ChangePasswordInput{OldPassword: "First-Pass-1", NewPassword: "x"}), "InvalidUserType"},
		{"remember two", did(s.UpdateAccountPasswordPolicy, &api.UpdateAccountPasswordPolicyInput{PasswordReusePrevention: new(int32(2)), AllowUsersToChangePassword: new(true)}), ""},
	})
	u, err := s.GetUser(as(t, ""), &api.GetUserInput{UserName: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	ann := auth.Principal{Kind: auth.User, Account: account, ARN: u.User.Arn, UserID: u.User.UserId, Name: "ann"}
	ctx := auth.With(t.Context(), auth.Call{Principal: ann, Scope: arn.Scope{Account: account, Region: "us-east-1"}})
	for _, tt := range []struct{ from, to, want string }{
		{"wrong", "Second-Pass-2", "AccessDenied: The old password was incorrect."},
		{"First-Pass-1", "First-Pass-1", "PasswordPolicyViolation: Policy constraint violation with password reuse prevention"},
		{"First-Pass-1", "Second-Pass-2", ""},
		{"Second-Pass-2", "First-Pass-1", "PasswordPolicyViolation"},
		{"Second-Pass-2", "Third-Pass-3", ""},
		{"Third-Pass-3", "First-Pass-1", ""}, // two passwords later
	} {
		_, err := s.ChangePassword(ctx, &api.ChangePasswordInput{OldPassword: tt.from, NewPassword: tt.to})
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.want)) {
			t.Errorf("%s to %s: %v, want %q", tt.from, tt.to, err, tt.want)
		}
	}
	p, err := s.GetLoginProfile(as(t, ""), &api.GetLoginProfileInput{UserName: "ann"})
	if err != nil || *p.LoginProfile.PasswordResetRequired {
		t.Errorf("a changed password must still be reset: %+v, %v", p, err)
	}
	// The account's policy lets users change their own password, and no other's.
	identity, _, err := s.PoliciesOf(ctx, ann)
	if err != nil || len(identity) != 1 {
		t.Errorf("%d policies, %v", len(identity), err)
	}
	// No password stands in the store.
	err = s.store.View(ctx, func(tx store.Tx) error {
		for doc, err := range tx.Scan("iam/", "iam0") {
			if err != nil {
				return err
			}
			for _, secret := range []string{"First-Pass", "Second-Pass", "Third-Pass"} {
				if bytes.Contains(doc.Value, []byte(secret)) {
					t.Errorf("%s has a password", doc.Key)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	run(t, []step{
		{"delete", did(s.DeleteLoginProfile, &api.DeleteLoginProfileInput{UserName: "ann"}), ""},
		{"again", did(s.DeleteLoginProfile, &api.DeleteLoginProfileInput{UserName: "ann"}), "NoSuchEntity"},
		{"user", did(s.DeleteUser, &api.DeleteUserInput{UserName: "ann"}), ""},
	})
}

// A password that was read before another request changed it does not win.
func TestPasswordChangesDoNotCross(t *testing.T) {
	s := newService(t)
	s.rounds = 10
	run(t, []step{
		{"user", did(s.CreateUser, &api.CreateUserInput{UserName: "ann"}), ""},
		{"create", did(s.CreateLoginProfile, &api.CreateLoginProfileInput{UserName: "ann", Password: "First-Pass-1"}), ""},
	})
	was, err := s.login(as(t, ""), "ann")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.UpdateLoginProfile(as(t, ""), &api.UpdateLoginProfileInput{UserName: "ann", Password: "Second-Pass-2"}); err != nil {
		t.Fatal(err)
	}
	set, err := s.renewal("Third-Pass-3")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.setPassword(as(t, ""), "ann", was, set); !fault.Is(err, fault.ConcurrentModification) {
		t.Errorf("the late change won: %v", err)
	}
	if now, err := s.login(as(t, ""), "ann"); err != nil || !now.Hash.is("Second-Pass-2") || now.Changed.After(time.Now()) {
		t.Errorf("%+v, %v", now, err)
	}
}
