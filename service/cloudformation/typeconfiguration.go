package cloudformation

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/cfn/apply"
	"github.com/slipway/slipway/cfn/hook"
	"github.com/slipway/slipway/cfn/schema"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// typeConfiguration is an extension's configuration. It is sealed: those of resource
// types hold the keys of third parties.
type typeConfiguration struct {
	Alias   string
	Sealed  string
	Version string
	Updated time.Time
}

// defaultAlias is the configuration that is used.
const defaultAlias = "default"

// typeConfigurations are keyed by their extension's key and their alias.
var typeConfigurations = store.NewCollection[typeConfiguration]("cloudformation/typeconfiguration")

func configurationARN(e *extension, alias string) string {
	return e.Scope.ARN("cloudformation", "type-configuration/"+strings.ToLower(e.Kind)+"/"+strings.ReplaceAll(e.Name, "::", "-")+"/"+alias).String()
}

// SetTypeConfiguration configures an extension in the account and region.
func (s *Service) SetTypeConfiguration(ctx context.Context, in *api.SetTypeConfigurationInput) (*api.SetTypeConfigurationOutput, error) {
	c, err := s.call(ctx)
	if err != nil {
		return nil, err
	}
	n, err := extensionNamed(c.Scope, named{Kind: in.Type, Name: in.TypeName, ARN: in.TypeArn})
	if err != nil {
		return nil, err
	}
	alias := cmp.Or(in.ConfigurationAlias, defaultAlias)
	switch {
	case alias != defaultAlias:
		return nil, fault.New(fault.NotImplemented, "configurations under aliases other than %q are not implemented", defaultAlias)
	case s.cfg.Ring == nil:
		return nil, fault.New(fault.NotImplemented, "SetTypeConfiguration is not implemented: this Slipway has no keys to seal configurations with")
	}
	sealed, err := s.seal()(in.Configuration)
	if err != nil {
		return nil, err
	}
	out := &api.SetTypeConfigurationOutput{}
	err = s.update(ctx, func(l *apply.Ledger) error {
		e, err := live(l.Tx, c.Scope, n)
		if err != nil {
			return err
		}
		v, err := e.getVersion(l.Tx, "")
		if err != nil {
			return err
		}
		if err := checkConfiguration(e, v, in.Configuration); err != nil {
			return err
		}
		out.ConfigurationArn = configurationARN(e, alias)
		now := s.cfg.Now()
		return typeConfigurations.Put(l.Tx, e.key()+"/"+alias, &typeConfiguration{
			Alias: alias, Sealed: sealed, Updated: now, Version: arn.Hash(in.Configuration + now.String())[:8],
		})
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// checkConfiguration holds a configuration against the extension's schema.
func checkConfiguration(e *extension, v *extensionVersion, text string) error {
	var own struct {
		TypeConfiguration json.RawMessage `json:"typeConfiguration"`
	}
	if err := json.Unmarshal([]byte(v.Schema), &own); err != nil {
		return err
	}
	properties := map[string]any{}
	raw := []byte(text)
	if e.Kind == hookKind {
		c, err := hook.Parse(text)
		if err != nil {
			return err
		}
		raw = c.Properties
	}
	if e.Original == guardHook && len(raw) > 0 {
		if _, err := parseGuardModel(raw); err != nil {
			return err
		}
	}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &properties); err != nil {
			return fault.New(fault.CFNRegistry, "Configuration validation failed: it is not a JSON object")
		}
	}
	if len(own.TypeConfiguration) == 0 {
		if len(properties) > 0 {
			return fault.New(fault.CFNRegistry, "Configuration validation failed: %s has no properties to configure", e.Name)
		}
		return nil
	}
	sch, err := schema.Parse(own.TypeConfiguration)
	if err != nil {
		return err
	}
	if _, issues := sch.Conform(properties); len(issues) > 0 {
		return fault.New(fault.CFNRegistry, "Configuration validation failed: %s", issues[0])
	}
	return nil
}

// configuration is an extension's configuration and its version; "" where it has
// none.
func (s *Service) configuration(tx store.Tx, e *extension) (text, version string, err error) {
	c, err := typeConfigurations.Get(tx, e.key()+"/"+defaultAlias)
	if errors.Is(err, store.ErrNotFound) {
		return "", "", nil
	}
	if err != nil {
		return "", "", err
	}
	text, ok := s.open(c.Sealed)
	if !ok {
		return "", "", errors.New("cloudformation: a type configuration does not open")
	}
	return text, c.Version, nil
}

// BatchDescribeTypeConfigurations tells the configurations of extensions.
func (s *Service) BatchDescribeTypeConfigurations(ctx context.Context, in *api.BatchDescribeTypeConfigurationsInput) (*api.BatchDescribeTypeConfigurationsOutput, error) {
	c, err := s.call(ctx)
	if err != nil {
		return nil, err
	}
	out := &api.BatchDescribeTypeConfigurationsOutput{
		Errors: []api.BatchDescribeTypeConfigurationsError{}, UnprocessedTypeConfigurations: []api.TypeConfigurationIdentifier{},
	}
	err = s.view(ctx, func(tx store.Tx) error {
		for _, id := range in.TypeConfigurationIdentifiers {
			d, err := s.describeConfiguration(tx, c.Scope, id)
			if f, ok := fault.As(err); ok {
				out.Errors = append(out.Errors, api.BatchDescribeTypeConfigurationsError{ErrorCode: f.Code, ErrorMessage: f.Message, TypeConfigurationIdentifier: &id})
				continue
			}
			if err != nil {
				return err
			}
			out.TypeConfigurations = append(out.TypeConfigurations, *d)
		}
		return nil
	})
	return out, err
}

func (s *Service) describeConfiguration(tx store.Tx, scope arn.Scope, id api.TypeConfigurationIdentifier) (*api.TypeConfigurationDetails, error) {
	n := named{Kind: id.Type, Name: id.TypeName, ARN: id.TypeArn}
	alias := cmp.Or(id.TypeConfigurationAlias, defaultAlias)
	if a, err := arn.Parse(id.TypeConfigurationArn); err == nil {
		parts := strings.Split(a.Resource, "/")
		if len(parts) != 4 || parts[0] != "type-configuration" {
			return nil, fault.New(fault.TypeConfigurationNotFound, "The type configuration %s cannot be found.", id.TypeConfigurationArn)
		}
		n = named{ARN: scope.ARN("cloudformation", "type/"+parts[1]+"/"+parts[2]).String()}
		alias = parts[3]
	}
	n, err := extensionNamed(scope, n)
	if err != nil {
		return nil, err
	}
	e, err := live(tx, scope, n)
	if err != nil {
		return nil, err
	}
	c, err := typeConfigurations.Get(tx, e.key()+"/"+alias)
	if errors.Is(err, store.ErrNotFound) {
		return nil, fault.New(fault.TypeConfigurationNotFound, "The type configuration %s cannot be found.", configurationARN(e, alias))
	}
	if err != nil {
		return nil, err
	}
	text, _, err := s.configuration(tx, e)
	if err != nil {
		return nil, err
	}
	return &api.TypeConfigurationDetails{
		Arn: configurationARN(e, alias), Alias: alias, Configuration: text, LastUpdated: &c.Updated, TypeArn: e.arn(""), TypeName: id.TypeName,
	}, nil
}
