package ec2

import (
	"context"
	"errors"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// settings are an account's own defaults for launches in a region. Empty members
// are no preference.
type settings struct {
	Metadata metadataOptions   `json:"metadata"`
	Enforced string            `json:"enforced,omitempty"` // "enabled": no launch without IMDSv2
	Credits  map[string]string `json:"credits,omitempty"`  // by instance family
}

var accountSettings = store.NewCollection[settings]("ec2/settings")

func settingsOf(tx store.Tx, scope arn.Scope) (*settings, error) {
	v, err := accountSettings.Get(tx, scope.Key())
	if errors.Is(err, store.ErrNotFound) {
		return &settings{}, nil
	}
	return v, err
}

func (s *Service) readSettings(ctx context.Context) (*settings, error) {
	var v *settings
	err := s.cfg.Store.View(ctx, func(tx store.Tx) (err error) {
		v, err = settingsOf(tx, auth.From(ctx).Scope)
		return err
	})
	return v, err
}

func (s *Service) changeSettings(ctx context.Context, dry *bool, change func(*settings)) error {
	scope := auth.From(ctx).Scope
	return s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		v, err := settingsOf(tx, scope)
		if err != nil {
			return err
		}
		change(v)
		return firstError(accountSettings.Put(tx, scope.Key(), v), dryRun(dry))
	})
}

// metadataOfLaunch are the options that a launch begins with: the account's, and
// AWS's for images of today.
func (v *settings) metadataOfLaunch() metadataOptions {
	m := metadataOptions{Tokens: "required", Endpoint: "enabled", Tags: "disabled", HopLimit: 2}
	own := v.Metadata
	overlay(&m, &own)
	return m
}

// permits refuses options by which an instance would answer IMDSv1 where the
// account enforces IMDSv2.
func (v *settings) permits(m metadataOptions) error {
	if v.Enforced == "enabled" && m.Tokens != "required" {
		return fault.New(fault.UnsupportedOperation, "The account enforces IMDSv2 in this Region (HttpTokensEnforced): HttpTokens must be required.")
	}
	return nil
}

const (
	noPreference    = "no-preference"
	noHopPreference = -1
)

// ModifyInstanceMetadataDefaults sets the account's defaults for the metadata
// service; instances launched from then on have them.
func (s *Service) ModifyInstanceMetadataDefaults(ctx context.Context, in *api.ModifyInstanceMetadataDefaultsInput) (*api.ModifyInstanceMetadataDefaultsOutput, error) {
	invalid := func(v, parameter, expect string) error {
		return fault.New(fault.InvalidParameterValue, "Value (%s) for parameter %s is invalid. Expecting %s.", clip(v, 64), parameter, expect)
	}
	for _, c := range []struct {
		name, v string
		choices []string
		expect  string
	}{
		{"HttpTokens", in.HttpTokens, []string{"", "optional", "required", noPreference}, "optional, required or no-preference"},
		{"HttpEndpoint", in.HttpEndpoint, []string{"", "enabled", "disabled", noPreference}, "enabled, disabled or no-preference"},
		{"InstanceMetadataTags", in.InstanceMetadataTags, []string{"", "enabled", "disabled", noPreference}, "enabled, disabled or no-preference"},
		{"HttpTokensEnforced", in.HttpTokensEnforced, []string{"", "enabled", "disabled", noPreference}, "enabled, disabled or no-preference"},
	} {
		if !contains(c.choices, c.v) {
			return nil, invalid(c.v, c.name, c.expect)
		}
	}
	if h := in.HttpPutResponseHopLimit; h != nil && *h != noHopPreference && (*h < 1 || *h > 64) {
		return nil, invalid(itoa(int(*h)), "HttpPutResponseHopLimit", "a value between 1 and 64, or -1")
	}
	err := s.changeSettings(ctx, in.DryRun, func(v *settings) {
		set := func(field *string, asked string) {
			switch asked {
			case "":
			case noPreference:
				*field = ""
			default:
				*field = asked
			}
		}
		set(&v.Metadata.Tokens, in.HttpTokens)
		set(&v.Metadata.Endpoint, in.HttpEndpoint)
		set(&v.Metadata.Tags, in.InstanceMetadataTags)
		set(&v.Enforced, in.HttpTokensEnforced)
		if h := in.HttpPutResponseHopLimit; h != nil {
			v.Metadata.HopLimit = max(0, *h) // 0 is no preference
		}
	})
	if err != nil {
		return nil, err
	}
	return &api.ModifyInstanceMetadataDefaultsOutput{Return: ptr(true)}, nil
}

// GetInstanceMetadataDefaults tells the account's defaults.
func (s *Service) GetInstanceMetadataDefaults(ctx context.Context, in *api.GetInstanceMetadataDefaultsInput) (*api.GetInstanceMetadataDefaultsOutput, error) {
	if err := dryRun(in.DryRun); err != nil {
		return nil, err
	}
	v, err := s.readSettings(ctx)
	if err != nil {
		return nil, err
	}
	out := &api.InstanceMetadataDefaultsResponse{
		HttpTokens: v.Metadata.Tokens, HttpEndpoint: v.Metadata.Endpoint, InstanceMetadataTags: v.Metadata.Tags,
		HttpTokensEnforced: v.Enforced, ManagedBy: "account",
	}
	if v.Metadata.HopLimit > 0 {
		out.HttpPutResponseHopLimit = ptr(v.Metadata.HopLimit)
	}
	return &api.GetInstanceMetadataDefaultsOutput{AccountLevel: out}, nil
}

// GetSerialConsoleAccessStatus says that nobody has access: there is no serial
// console to have it to.
func (s *Service) GetSerialConsoleAccessStatus(_ context.Context, in *api.GetSerialConsoleAccessStatusInput) (*api.GetSerialConsoleAccessStatusOutput, error) {
	if err := dryRun(in.DryRun); err != nil {
		return nil, err
	}
	return &api.GetSerialConsoleAccessStatusOutput{SerialConsoleAccessEnabled: ptr(false), ManagedBy: "account"}, nil
}

// DisableSerialConsoleAccess leaves it as it is. Enabling it is not built.
func (s *Service) DisableSerialConsoleAccess(_ context.Context, in *api.DisableSerialConsoleAccessInput) (*api.DisableSerialConsoleAccessOutput, error) {
	if err := dryRun(in.DryRun); err != nil {
		return nil, err
	}
	return &api.DisableSerialConsoleAccessOutput{SerialConsoleAccessEnabled: ptr(false)}, nil
}
