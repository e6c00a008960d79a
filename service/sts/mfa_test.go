package sts

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // of RFC 6238
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	iamapi "github.com/slipway/slipway/api/iam"
	api "github.com/slipway/slipway/api/sts"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
)

// device gives a user a device and returns its codes, by the steps from now on.
func (b *bench) device(user string) (serial string, code func(step int64) string) {
	b.t.Helper()
	root := b.as(auth.RootOf(account))
	out, err := b.iam.CreateVirtualMFADevice(root, &iamapi.CreateVirtualMFADeviceInput{VirtualMFADeviceName: user})
	if err != nil {
		b.t.Fatal(err)
	}
	seed, err := base32.StdEncoding.DecodeString(string(out.VirtualMFADevice.Base32StringSeed))
	if err != nil {
		b.t.Fatal(err)
	}
	serial = out.VirtualMFADevice.SerialNumber
	code = func(step int64) string {
		mac := hmac.New(sha1.New, seed)
		_ = binary.Write(mac, binary.BigEndian, now.Unix()/30+step)
		sum := mac.Sum(nil)
		return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[sum[19]&15:])&0x7fffffff%1_000_000)
	}
	in := &iamapi.EnableMFADeviceInput{UserName: user, SerialNumber: serial, AuthenticationCode1: code(-2), AuthenticationCode2: code(-1)}
	if _, err := b.iam.EnableMFADevice(root, in); err != nil {
		b.t.Fatal(err)
	}
	return serial, code
}

const withFactor = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{` +
	`"Bool":{"aws:MultiFactorAuthPresent":"true"},"NumericLessThan":{"aws:MultiFactorAuthAge":"3600"}}}}`

// TestSecondFactor: a session that a code began has it in conditions, and may call
// IAM; the keys alone, and a session without a code, do not.
func TestSecondFactor(t *testing.T) {
	b := newBench(t, true)
	ann, bob := b.user("ann"), b.user("bob")
	b.userPolicy("ann", withFactor)
	serial, code := b.device("ann")
	for _, c := range []struct {
		name         string
		who          auth.Principal
		serial, code string
		want         string
	}{
		{"no code", ann, serial, "", "AccessDenied: MultiFactorAuthentication failed, must provide both"},
		{"another's device", bob, serial, code(-1), "AccessDenied: MultiFactorAuthentication failed, unable to validate MFA code."},
		{"the code that enabled it", ann, serial, code(-1), "AccessDenied: MultiFactorAuthentication failed with invalid MFA one time pass code."},
		{"the next", ann, serial, code(0), ""},
		{"the same", ann, serial, code(0), "AccessDenied: MultiFactorAuthentication failed with invalid MFA one time pass code."},
	} {
		out, err := b.GetSessionToken(b.as(c.who), &api.GetSessionTokenInput{SerialNumber: c.serial, TokenCode: c.code})
		if c.want != "" {
			if err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		for _, of := range [][2]string{{"sqs", "ListQueues"}, {"iam", "ListUsers"}} {
			if err := b.may(out.Credentials, of[0], of[1]); err != nil {
				t.Errorf("%s: %v", of, err)
			}
		}
		if err := b.may(out.Credentials, "sts", "GetFederationToken"); !fault.Is(err, fault.AccessDenied) {
			t.Errorf("a federation token: %v", err)
		}
	}
	plain, err := b.GetSessionToken(b.as(ann), &api.GetSessionTokenInput{})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.may(plain.Credentials, "sqs", "ListQueues"); !fault.Is(err, fault.AccessDenied) {
		t.Errorf("without a code: %v", err)
	}
}

// TestSecondFactorOpensRoles: the trust policy sees the code that the request shows,
// or that its session was begun with; the role's session tells nothing of it.
func TestSecondFactorOpensRoles(t *testing.T) {
	b := newBench(t, true)
	ann := b.user("ann")
	b.userPolicy("ann", allowAll)
	serial, code := b.device("ann")
	r := b.role("guarded", `{"Effect":"Allow","Principal":{"AWS":"`+account+`"},"Action":"sts:AssumeRole","Condition":{"Bool":{"aws:MultiFactorAuthPresent":"true"}}}`).Arn
	b.rolePolicy("guarded", withFactor)
	if _, err := b.assume(ann, api.AssumeRoleInput{RoleArn: r}); !fault.Is(err, fault.AccessDenied) {
		t.Errorf("without a code: %v", err)
	}
	out, err := b.assume(ann, api.AssumeRoleInput{RoleArn: r, SerialNumber: serial, TokenCode: code(0)})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.may(out.Credentials, "sqs", "ListQueues"); !fault.Is(err, fault.AccessDenied) {
		t.Errorf("the role's session has the factor: %v", err)
	}
	own, err := b.GetSessionToken(b.as(ann), &api.GetSessionTokenInput{SerialNumber: serial, TokenCode: code(1)})
	if err != nil {
		t.Fatal(err)
	}
	session := b.whoIs(own.Credentials)
	if _, err := b.assume(session, api.AssumeRoleInput{RoleArn: r}); err != nil {
		t.Errorf("by a session with the factor: %v", err)
	}
	session.Session.MFA = now.Add(-2 * time.Hour)
	call := auth.From(b.as(session))
	call.Service, call.Operation = "sqs", "ListQueues"
	b.userPolicy("ann", withFactor)
	if err := b.auth.Authorize(t.Context(), call.Requests(nil)[0]); !fault.Is(err, fault.AccessDenied) {
		t.Errorf("two hours later: %v", err)
	}
}
