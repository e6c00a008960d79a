package iam

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"net/url"
	"slices"
	"strings"
	"time"

	"rsc.io/qr"

	api "github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

const (
	maxDevicesPerUser = 8
	seedSize          = 40 // bytes; 64 characters
	// maxGuesses bounds the wrong codes that a device takes within one step. Who has
	// a user's keys cannot try them all.
	maxGuesses = 5
)

// mfaDevice is a virtual device: a seed that an authenticator has, too.
type mfaDevice struct {
	Name    string
	Path    string
	ID      string
	Seed    []byte // sealed
	Created time.Time
	Tags    []api.Tag `json:",omitempty"`
	Token   string    `json:",omitempty"`

	User    string    `json:",omitempty"` // id of the user who has it
	Enabled time.Time `json:",omitzero"`
	Drift   int64     `json:",omitempty"` // steps that its clock is ahead
	Last    int64     `json:",omitempty"` // the last step whose code was taken: none counts twice
	Guessed int64     `json:",omitempty"` // the step of the last wrong code
	Guesses int       `json:",omitempty"` // wrong codes in that step
}

var mfaDevices = noun[mfaDevice]{
	store.NewCollection("iam/mfa", store.Index[mfaDevice]{Name: "user", Keys: func(key string, d *mfaDevice) []string {
		if d.User == "" {
			return nil
		}
		account, _, _ := strings.Cut(key, "/")
		return []string{account + "/" + d.User}
	}}),
	"MFADevice", "VirtualMFADevice with serial number %s does not exist.", "virtualMFADeviceName", 226,
	func(d *mfaDevice) string { return d.Name }, "VirtualMFADevicesPerAccount", 5000,
}

func (d *mfaDevice) arn(account string) string { return globalARN(account, "mfa"+d.Path+d.Name) }

func (d *mfaDevice) purpose(account string) string { return "iam/mfa/" + account + "/" + d.ID }

func mfaTags(d *mfaDevice) *[]api.Tag { return &d.Tags }

func noDevice(serial string) error { return fault.New(fault.NoSuchEntity, mfaDevices.missing, serial) }

// deviceOf finds a device by its serial number, which is its ARN.
func deviceOf(tx store.Tx, account, serial string) (*mfaDevice, error) {
	a, err := arn.Parse(serial)
	if err != nil || a.Service != "iam" || a.Account != account || !strings.HasPrefix(a.Resource, "mfa/") {
		return nil, noDevice(serial)
	}
	d, err := mfaDevices.find(tx, account, serial[strings.LastIndexByte(serial, '/')+1:])
	if fault.Is(err, fault.NoSuchEntity) || err == nil && d.arn(account) != serial {
		return nil, noDevice(serial)
	}
	return d, err
}

// devicesOf are those that a user has.
func devicesOf(tx store.Tx, account string, u *user) ([]*mfaDevice, error) {
	var out []*mfaDevice
	for e, err := range mfaDevices.ByIndex(tx, "user", account+"/"+u.ID) {
		if err != nil {
			return nil, err
		}
		out = append(out, e.Value)
	}
	return out, nil
}

// keepsDevices refuses to delete a user who has some.
func keepsDevices(tx store.Tx, account string, u *user) error {
	have, err := devicesOf(tx, account, u)
	if err == nil && len(have) > 0 {
		err = fault.New(fault.DeleteConflict, "Cannot delete entity, must delete MFA device first.")
	}
	return err
}

// CreateVirtualMFADevice makes a device and shows its seed, once.
func (s *Service) CreateVirtualMFADevice(ctx context.Context, in *api.CreateVirtualMFADeviceInput) (*api.CreateVirtualMFADeviceOutput, error) {
	path, err := checkPath(in.Path)
	if err != nil {
		return nil, err
	}
	tags, err := merge(ctx, nil, in.Tags)
	if err != nil {
		return nil, err
	}
	call := auth.From(ctx)
	account := call.Scope.Account
	seed := make([]byte, seedSize)
	_, _ = rand.Read(seed) // never fails
	d := &mfaDevice{
		Name: in.VirtualMFADeviceName, Path: path, ID: auth.UniqueID("", 20), Created: s.now().UTC().Truncate(time.Second), Tags: tags, Token: call.Token,
	}
	if d.Seed, err = s.ring.Seal(d.purpose(account), seed); err != nil {
		return nil, err
	}
	d, err = create(ctx, s, mfaDevices, d.Name, d, func(d *mfaDevice) string { return d.Token })
	if fault.Is(err, fault.EntityAlreadyExists) {
		err = fault.New(fault.EntityAlreadyExists, "MFADevice entity at the same path and name already exists.")
	}
	if err != nil {
		return nil, err
	}
	if seed, err = s.ring.Open(d.purpose(account), d.Seed); err != nil {
		return nil, err
	}
	owner := account
	if err := s.store.View(ctx, func(tx store.Tx) error {
		names, err := aliasesOf(tx, account)
		if len(names) > 0 {
			owner = names[0]
		}
		return err
	}); err != nil {
		return nil, err
	}
	text := base32.StdEncoding.EncodeToString(seed)
	code, err := qr.Encode("otpauth://totp/"+url.PathEscape(d.Name+"@"+owner)+"?secret="+text, qr.M)
	if err != nil {
		return nil, err
	}
	return &api.CreateVirtualMFADeviceOutput{VirtualMFADevice: &api.VirtualMFADevice{
		SerialNumber: d.arn(account), Base32StringSeed: []byte(text), QRCodePNG: code.PNG(), Tags: d.Tags,
	}}, nil
}

// changeDevice changes a device. fn may change it and refuse all the same: wrong
// codes are counted.
func (s *Service) changeDevice(ctx context.Context, account, serial string, fn func(tx store.Tx, d *mfaDevice) (refusal, err error)) error {
	var refusal error
	err := s.store.Update(ctx, func(tx store.Tx) error {
		d, err := deviceOf(tx, account, serial)
		if err != nil {
			return err
		}
		if refusal, err = fn(tx, d); err != nil {
			return err
		}
		return mfaDevices.Put(tx, nounKey(account, d.Name), d)
	})
	if err != nil {
		return err
	}
	return refusal
}

var errCode = fault.New(fault.InvalidAuthenticationCode, "Authentication code for device is not valid.")

// guess counts a wrong code.
func (d *mfaDevice) guess(step int64) {
	if d.Guessed != step {
		d.Guessed, d.Guesses = step, 0
	}
	d.Guesses++
}

// open is the seed, nil where too many wrong codes came within this step.
func (s *Service) openDevice(account string, d *mfaDevice, step int64) ([]byte, error) {
	if d.Guessed == step && d.Guesses >= maxGuesses {
		return nil, nil
	}
	return s.ring.Open(d.purpose(account), d.Seed)
}

// pair takes two codes in a row, and learns the device's clock by them.
func (s *Service) pair(account string, d *mfaDevice, first, second string) (ok bool, err error) {
	now := stepAt(s.now())
	seed, err := s.openDevice(account, d, now)
	if err != nil || seed == nil {
		return false, err
	}
	step, ok := pairOf(seed, first, second, max(now-pairReach, d.Last+2), now+pairReach)
	if !ok {
		d.guess(now)
		return false, nil
	}
	d.Last, d.Drift = step, step-now
	return true, nil
}

// EnableMFADevice gives a device to a user who shows two codes of it in a row.
func (s *Service) EnableMFADevice(ctx context.Context, in *api.EnableMFADeviceInput) (*api.EnableMFADeviceOutput, error) {
	account := auth.From(ctx).Scope.Account
	return &api.EnableMFADeviceOutput{}, s.changeDevice(ctx, account, in.SerialNumber, func(tx store.Tx, d *mfaDevice) (refusal, err error) {
		u, err := users.find(tx, account, in.UserName)
		if err != nil {
			return nil, err
		}
		if d.User != "" {
			return nil, fault.New(fault.EntityAlreadyExists, "MFADevice with serial number %s is already in use.", in.SerialNumber)
		}
		have, err := devicesOf(tx, account, u)
		if err != nil {
			return nil, err
		}
		if len(have) >= maxDevicesPerUser {
			return nil, overQuota("MFADevicesPerUser", maxDevicesPerUser)
		}
		ok, err := s.pair(account, d, in.AuthenticationCode1, in.AuthenticationCode2)
		if err != nil || !ok {
			return errCode, err
		}
		d.User, d.Enabled = u.ID, s.now().UTC().Truncate(time.Second)
		return nil, nil
	})
}

// ResyncMFADevice learns the clock of a user's device anew.
func (s *Service) ResyncMFADevice(ctx context.Context, in *api.ResyncMFADeviceInput) (*api.ResyncMFADeviceOutput, error) {
	account := auth.From(ctx).Scope.Account
	return &api.ResyncMFADeviceOutput{}, s.changeDevice(ctx, account, in.SerialNumber, func(tx store.Tx, d *mfaDevice) (refusal, err error) {
		if err := d.mustBeOf(tx, account, in.UserName, in.SerialNumber); err != nil {
			return nil, err
		}
		ok, err := s.pair(account, d, in.AuthenticationCode1, in.AuthenticationCode2)
		if err != nil || !ok {
			return errCode, err
		}
		return nil, nil
	})
}

// mustBeOf refuses another user's device.
func (d *mfaDevice) mustBeOf(tx store.Tx, account, name, serial string) error {
	u, err := users.find(tx, account, name)
	if err == nil && d.User != u.ID {
		err = fault.New(fault.NoSuchEntity, "MFA Device %s is not associated with user %s.", serial, name)
	}
	return err
}

// DeactivateMFADevice takes a device from its user.
func (s *Service) DeactivateMFADevice(ctx context.Context, in *api.DeactivateMFADeviceInput) (*api.DeactivateMFADeviceOutput, error) {
	name, err := userName(ctx, "DeactivateMFADevice", in.UserName)
	if err != nil {
		return nil, err
	}
	account := auth.From(ctx).Scope.Account
	return &api.DeactivateMFADeviceOutput{}, s.changeDevice(ctx, account, in.SerialNumber, func(tx store.Tx, d *mfaDevice) (refusal, err error) {
		if err := d.mustBeOf(tx, account, name, in.SerialNumber); err != nil {
			return nil, err
		}
		d.User, d.Enabled = "", time.Time{} // the codes that were taken stay taken
		return nil, nil
	})
}

// DeleteVirtualMFADevice removes a device that no user has.
func (s *Service) DeleteVirtualMFADevice(ctx context.Context, in *api.DeleteVirtualMFADeviceInput) (*api.DeleteVirtualMFADeviceOutput, error) {
	account := auth.From(ctx).Scope.Account
	return &api.DeleteVirtualMFADeviceOutput{}, s.store.Update(ctx, func(tx store.Tx) error {
		d, err := deviceOf(tx, account, in.SerialNumber)
		if err != nil {
			return err
		}
		if d.User != "" {
			return fault.New(fault.DeleteConflict, "MFA VirtualDevice in use. Must deactivate first.")
		}
		return mfaDevices.drop(tx, account, d.Name)
	})
}

// ListVirtualMFADevices lists the account's devices, without their seeds.
func (s *Service) ListVirtualMFADevices(ctx context.Context, in *api.ListVirtualMFADevicesInput) (*api.ListVirtualMFADevicesOutput, error) {
	account := auth.From(ctx).Scope.Account
	items, next, err := list(ctx, s, mfaDevices, in.Marker, in.MaxItems, func(d *mfaDevice) bool {
		switch in.AssignmentStatus {
		case api.AssignmentStatusTypeAssigned:
			return d.User != ""
		case api.AssignmentStatusTypeUnassigned:
			return d.User == ""
		}
		return true
	})
	if err != nil {
		return nil, err
	}
	out := &api.ListVirtualMFADevicesOutput{VirtualMFADevices: []api.VirtualMFADevice{}, Marker: next, IsTruncated: new(next != "")}
	byID := map[string]*user{}
	err = s.store.View(ctx, func(tx store.Tx) error {
		clear(byID)
		if !slices.ContainsFunc(items, func(d *mfaDevice) bool { return d.User != "" }) {
			return nil
		}
		for e, err := range users.Scan(tx, account+"/") {
			if err != nil {
				return err
			}
			byID[e.Value.ID] = e.Value
		}
		return nil
	})
	for _, d := range items {
		o := api.VirtualMFADevice{SerialNumber: d.arn(account)}
		if u := byID[d.User]; u != nil {
			o.User, o.EnableDate = u.api(account), &d.Enabled
			o.User.Tags, o.User.PermissionsBoundary = nil, nil
		}
		out.VirtualMFADevices = append(out.VirtualMFADevices, o)
	}
	return out, err
}

// ListMFADevices lists a user's devices, by default the caller's. The root user of
// an account has none here.
func (s *Service) ListMFADevices(ctx context.Context, in *api.ListMFADevicesInput) (*api.ListMFADevicesOutput, error) {
	call := auth.From(ctx)
	if in.UserName == "" && call.Principal.Kind == auth.Root {
		return &api.ListMFADevicesOutput{MFADevices: []api.MFADevice{}, IsTruncated: new(false)}, nil
	}
	name, err := userName(ctx, "ListMFADevices", in.UserName)
	if err != nil {
		return nil, err
	}
	bySerial := map[string]*mfaDevice{}
	err = s.store.View(ctx, func(tx store.Tx) error {
		clear(bySerial)
		u, err := users.find(tx, call.Scope.Account, name)
		if err != nil {
			return err
		}
		have, err := devicesOf(tx, call.Scope.Account, u)
		for _, d := range have {
			bySerial[d.arn(call.Scope.Account)] = d
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	page, next := pageOf(sortedNames(bySerial), in.Marker, in.MaxItems)
	out := &api.ListMFADevicesOutput{MFADevices: []api.MFADevice{}, Marker: next, IsTruncated: new(next != "")}
	for _, serial := range page {
		out.MFADevices = append(out.MFADevices, api.MFADevice{UserName: name, SerialNumber: serial, EnableDate: &bySerial[serial].Enabled})
	}
	return out, nil
}

// GetMFADevice tells of a user's device, by default the caller's.
func (s *Service) GetMFADevice(ctx context.Context, in *api.GetMFADeviceInput) (*api.GetMFADeviceOutput, error) {
	name, err := userName(ctx, "GetMFADevice", in.UserName)
	if err != nil {
		return nil, err
	}
	account := auth.From(ctx).Scope.Account
	var d *mfaDevice
	err = s.store.View(ctx, func(tx store.Tx) (err error) {
		if d, err = deviceOf(tx, account, in.SerialNumber); err != nil {
			return err
		}
		return d.mustBeOf(tx, account, name, in.SerialNumber)
	})
	if err != nil {
		return nil, err
	}
	return &api.GetMFADeviceOutput{UserName: name, SerialNumber: in.SerialNumber, EnableDate: &d.Enabled}, nil
}
