package iam

import (
	"bytes"
	"encoding/base32"
	"image/png"
	"strings"
	"testing"
	"time"

	api "github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/auth"
)

// authenticator is a user's own half of a device.
type authenticator struct {
	serial string
	seed   []byte
}

func newAuthenticator(t *testing.T, s *Service, name string) authenticator {
	t.Helper()
	out, err := s.CreateVirtualMFADevice(as(t, ""), &api.CreateVirtualMFADeviceInput{VirtualMFADeviceName: name, Path: "/staff/"})
	if err != nil {
		t.Fatal(err)
	}
	d := out.VirtualMFADevice
	seed, err := base32.StdEncoding.DecodeString(string(d.Base32StringSeed))
	if err != nil || len(d.Base32StringSeed) != 64 {
		t.Fatalf("seed of %d characters: %v", len(d.Base32StringSeed), err)
	}
	if pic, err := png.Decode(bytes.NewReader(d.QRCodePNG)); err != nil || pic.Bounds().Dx() < 100 {
		t.Fatalf("no picture: %v", err)
	}
	return authenticator{d.SerialNumber, seed}
}

func (a authenticator) code(at time.Time) string { return totp(a.seed, stepAt(at)) }

func (a authenticator) enable(user string, at time.Time) *api.EnableMFADeviceInput {
	return &api.EnableMFADeviceInput{UserName: user, SerialNumber: a.serial, AuthenticationCode1: a.code(at), AuthenticationCode2: a.code(at.Add(totpStep * time.Second))}
}

func TestDevices(t *testing.T) {
	s := newService(t)
	ctx := as(t, "")
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	s.now = func() time.Time { return now }
	for _, name := range []string{"ann", "bob"} {
		if _, err := s.CreateUser(ctx, &api.CreateUserInput{UserName: name}); err != nil {
			t.Fatal(err)
		}
	}
	phone := newAuthenticator(t, s, "phone")
	serial := "arn:aws:iam::123456789012:mfa/staff/phone"
	if phone.serial != serial {
		t.Fatalf("serial %s", phone.serial)
	}
	back := phone.enable("ann", now)
	back.AuthenticationCode1, back.AuthenticationCode2 = back.AuthenticationCode2, back.AuthenticationCode1
	run(t, []step{
		{"again", did(s.CreateVirtualMFADevice, &api.CreateVirtualMFADeviceInput{VirtualMFADeviceName: "phone"}), "EntityAlreadyExists: MFADevice entity at the same path and name already exists."},
		{"no such device", did(s.EnableMFADevice, authenticator{serial + "x", phone.seed}.enable("ann", now)), "NoSuchEntity: VirtualMFADevice with serial number " + serial + "x does not exist."},
		{"no such user", did(s.EnableMFADevice, phone.enable("eve", now)), "NoSuchEntity: The user with name eve cannot be found."},
		{"another seed", did(s.EnableMFADevice, authenticator{serial, []byte("x")}.enable("ann", now)), "InvalidAuthenticationCode: Authentication code for device is not valid."},
		{"in the wrong order", did(s.EnableMFADevice, back), "InvalidAuthenticationCode"},
		{"long ago", did(s.EnableMFADevice, phone.enable("ann", now.Add(-time.Hour))), "InvalidAuthenticationCode"},
		{"enable, with a clock that is late", did(s.EnableMFADevice, phone.enable("ann", now.Add(-2*time.Minute))), ""},
		{"twice", did(s.EnableMFADevice, phone.enable("bob", now)), "EntityAlreadyExists"},
		{"delete in use", did(s.DeleteVirtualMFADevice, &api.DeleteVirtualMFADeviceInput{SerialNumber: serial}), "DeleteConflict: MFA VirtualDevice in use. Must deactivate first."},
		{"delete the user", did(s.DeleteUser, &api.DeleteUserInput{UserName: "ann"}), "DeleteConflict: Cannot delete entity, must delete MFA device first."},
		{"resync by used codes", did(s.ResyncMFADevice, (*api.ResyncMFADeviceInput)(phone.enable("ann", now.Add(-2*time.Minute)))), "InvalidAuthenticationCode"},
		{"resync", did(s.ResyncMFADevice, (*api.ResyncMFADeviceInput)(phone.enable("ann", now))), ""},
		{"resync another's", did(s.ResyncMFADevice, (*api.ResyncMFADeviceInput)(phone.enable("bob", now))), "NoSuchEntity"},
		{"tag", did(s.TagMFADevice, &api.TagMFADeviceInput{SerialNumber: serial, Tags: []api.Tag{{Key: "a", Value: "b"}}}), ""},
	})
	got, err := s.GetMFADevice(ctx, &api.GetMFADeviceInput{SerialNumber: serial, UserName: "ann"})
	if err != nil || !got.EnableDate.Equal(now) {
		t.Errorf("%+v, %v", got, err)
	}
	have, err := s.ListMFADevices(ctx, &api.ListMFADevicesInput{UserName: "ann"})
	if err != nil || len(have.MFADevices) != 1 || have.MFADevices[0].SerialNumber != serial {
		t.Errorf("%+v, %v", have, err)
	}
	newAuthenticator(t, s, "spare")
	for status, want := range map[string]int{"": 2, "Any": 2, "Assigned": 1, "Unassigned": 1} {
		all, err := s.ListVirtualMFADevices(ctx, &api.ListVirtualMFADevicesInput{AssignmentStatus: status})
		if err != nil || len(all.VirtualMFADevices) != want {
			t.Errorf("%s: %+v, %v", status, all, err)
		}
		for _, d := range all.VirtualMFADevices {
			if d.Base32StringSeed != nil || d.QRCodePNG != nil || d.SerialNumber == serial != (d.User != nil && d.User.UserName == "ann") {
				t.Errorf("%s: %+v", status, d)
			}
		}
	}
	sum, err := s.GetAccountSummary(ctx, &api.GetAccountSummaryInput{})
	if err != nil || sum.SummaryMap["MFADevices"] != 2 || sum.SummaryMap["MFADevicesInUse"] != 1 {
		t.Errorf("%v, %v", sum, err)
	}
	if tags, err := s.ResourceTags(ctx, serial); err != nil || tags["a"] != "b" {
		t.Errorf("tags %v, %v", tags, err)
	}
	if full, err := s.FullARN(ctx, "arn:aws:iam::123456789012:mfa/phone"); err != nil || full != serial {
		t.Errorf("%s, %v", full, err)
	}
	kept, err := read(ctx, s, mfaDevices, "phone")
	if err != nil || bytes.Contains(kept.Seed, phone.seed) {
		t.Errorf("the seed is not sealed: %v", err)
	}
	run(t, []step{
		{"deactivate another's", did(s.DeactivateMFADevice, &api.DeactivateMFADeviceInput{UserName: "bob", SerialNumber: serial}), "NoSuchEntity"},
		{"deactivate", did(s.DeactivateMFADevice, &api.DeactivateMFADeviceInput{UserName: "ann", SerialNumber: serial}), ""},
		{"enable by used codes", did(s.EnableMFADevice, phone.enable("ann", now)), "InvalidAuthenticationCode"},
		{"delete", did(s.DeleteVirtualMFADevice, &api.DeleteVirtualMFADeviceInput{SerialNumber: serial}), ""},
		{"gone", did(s.DeleteVirtualMFADevice, &api.DeleteVirtualMFADeviceInput{SerialNumber: serial}), "NoSuchEntity"},
		{"the user may go", did(s.DeleteUser, &api.DeleteUserInput{UserName: "ann"}), ""},
	})
}

// TestCodesAreGoodOnce takes codes as STS does.
func TestCodesAreGoodOnce(t *testing.T) {
	s := newService(t)
	ctx := as(t, "")
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	s.now = func() time.Time { return now }
	made, err := s.CreateUser(ctx, &api.CreateUserInput{UserName: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	phone := newAuthenticator(t, s, "phone")
	ann := auth.Principal{Kind: auth.User, Account: "123456789012", Name: "ann", UserID: made.User.UserId}
	take := func(p auth.Principal, serial, code string, want auth.CodeVerdict) {
		t.Helper()
		if got, err := s.TakeCode(ctx, p, serial, code); got != want || err != nil {
			t.Errorf("%s: %v, %v; want %v", code, got, err, want)
		}
	}
	take(ann, phone.serial, phone.code(now), auth.NoDevice) // not hers yet
	if _, err := s.EnableMFADevice(ctx, phone.enable("ann", now.Add(-totpStep*time.Second))); err != nil {
		t.Fatal(err)
	}
	take(ann, phone.serial, phone.code(now), auth.WrongCode) // enabled by it
	now = now.Add(totpStep * time.Second)
	take(ann, phone.serial, phone.code(now), auth.GoodCode)
	take(ann, phone.serial, phone.code(now), auth.WrongCode)
	take(ann, phone.serial, phone.code(now.Add(-totpStep*time.Second)), auth.WrongCode)
	now = now.Add(totpStep * time.Second)
	take(ann, phone.serial, phone.code(now.Add(totpStep*time.Second)), auth.GoodCode) // a clock that is early
	take(ann, phone.serial, phone.code(now), auth.WrongCode)
	take(ann, strings.Replace(phone.serial, "phone", "other", 1), phone.code(now), auth.NoDevice)
	again := ann
	again.UserID = "AIDAOTHER"
	now = now.Add(10 * totpStep * time.Second)
	early := now.Add(totpStep * time.Second) // as the device is
	take(again, phone.serial, phone.code(early), auth.NoDevice)
	take(auth.RootOf(ann.Account), phone.serial, phone.code(early), auth.NoDevice)
	// Whoever guesses gets no further, and the user waits for the next code.
	for range maxGuesses {
		take(ann, phone.serial, "x00000", auth.WrongCode)
	}
	take(ann, phone.serial, phone.code(early), auth.WrongCode)
	now, early = early, early.Add(totpStep*time.Second)
	take(ann, phone.serial, phone.code(early), auth.GoodCode)
}
