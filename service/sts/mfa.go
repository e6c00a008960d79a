package sts

import (
	"context"
	"time"

	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
)

// secondFactor takes the code that a request shows, if it shows any, and tells when
// ("Configuring MFA-protected API access", IAM User Guide).
func (s *Service) secondFactor(ctx context.Context, p auth.Principal, serial, code string) (at time.Time, err error) {
	if serial == "" && code == "" {
		return time.Time{}, nil
	}
	if serial == "" || code == "" {
		return time.Time{}, fault.New(fault.AccessDenied, "MultiFactorAuthentication failed, must provide both MFA serial number and one time pass code.")
	}
	verdict := auth.NoDevice
	if s.cfg.Devices != nil {
		if verdict, err = s.cfg.Devices.TakeCode(ctx, p, serial, code); err != nil {
			return time.Time{}, err
		}
	}
	switch verdict {
	case auth.GoodCode:
		return s.cfg.Now(), nil
	case auth.WrongCode:
		return time.Time{}, fault.New(fault.AccessDenied, "MultiFactorAuthentication failed with invalid MFA one time pass code. ")
	}
	return time.Time{}, fault.New(fault.AccessDenied,
		"MultiFactorAuthentication failed, unable to validate MFA code.  Please verify your MFA serial number is valid and associated with this user.")
}

// shown is a call with the second factor that this request showed. What it begins
// does not have it: a role's session tells nothing of one.
func shown(call auth.Call, at time.Time) auth.Call {
	if at.IsZero() {
		return call
	}
	session := auth.Session{}
	if call.Principal.Session != nil {
		session = *call.Principal.Session
	}
	session.MFA = at
	call.Principal.Session = &session
	return call
}
