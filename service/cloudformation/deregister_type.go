package cloudformation

import (
	"context"
	"errors"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/cfn/apply"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// forgetExtension removes an extension with its versions and configurations.
func forgetExtension(tx store.Tx, e *extension) error {
	for it, err := range extensionVersions.Scan(tx, e.key()+"/") {
		if err == nil {
			err = extensionVersions.Delete(tx, it.Key)
		}
		if err != nil {
			return err
		}
	}
	return errors.Join(extensions.Delete(tx, e.key()), forgetConfigurations(tx, e))
}

func forgetConfigurations(tx store.Tx, e *extension) error {
	for it, err := range typeConfigurations.Scan(tx, e.key()+"/") {
		if err == nil {
			err = typeConfigurations.Delete(tx, it.Key)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// DeregisterType ends the use of an extension, or of one of its versions. Its
// default version goes only with the extension; an extension with other active
// versions does not go.
func (s *Service) DeregisterType(ctx context.Context, in *api.DeregisterTypeInput) (*api.DeregisterTypeOutput, error) {
	c, err := s.call(ctx)
	if err != nil {
		return nil, err
	}
	n, err := extensionNamed(c.Scope, named{Kind: in.Type, Name: in.TypeName, ARN: in.Arn, Version: in.VersionId})
	if err != nil {
		return nil, err
	}
	err = s.update(ctx, func(l *apply.Ledger) error {
		e, err := live(l.Tx, c.Scope, n)
		if err != nil {
			return err
		}
		if e.Original != "" {
			return fault.New(fault.CFNRegistry, "Extension %s is activated, not registered: use DeactivateType", n.Name)
		}
		var active []*extensionVersion
		for it, err := range extensionVersions.Scan(l.Tx, e.key()+"/") {
			if err != nil {
				return err
			}
			if !it.Value.Deprecated {
				active = append(active, it.Value)
			}
		}
		version := n.Version
		switch {
		case version == "" && len(active) > 1:
			return fault.New(fault.CFNRegistry, "Extension %s has active versions other than the default version: deregister them first.", e.Name)
		case version == e.Default && len(active) > 1:
			return fault.New(fault.CFNRegistry, "Version '%s' is the default version and cannot be deregistered. Deregister the extension %s, or set another default version.", version, e.Name)
		case version == "" || version == e.Default:
			version, e.Deprecated, e.Updated = e.Default, true, s.cfg.Now()
			if err := errors.Join(extensions.Put(l.Tx, e.key(), e), forgetConfigurations(l.Tx, e)); err != nil {
				return err
			}
		}
		v, err := e.getVersion(l.Tx, version)
		if err != nil {
			return err
		}
		v.Deprecated = true
		return extensionVersions.Put(l.Tx, e.key()+"/"+v.Version, v)
	})
	return &api.DeregisterTypeOutput{}, err
}

// SetTypeDefaultVersion says which version of an extension operations use.
func (s *Service) SetTypeDefaultVersion(ctx context.Context, in *api.SetTypeDefaultVersionInput) (*api.SetTypeDefaultVersionOutput, error) {
	c, err := s.call(ctx)
	if err != nil {
		return nil, err
	}
	n, err := extensionNamed(c.Scope, named{Kind: in.Type, Name: in.TypeName, ARN: in.Arn, Version: in.VersionId})
	if err != nil {
		return nil, err
	}
	if n.Version == "" {
		return nil, fault.New(fault.CFNRegistry, "VersionId, or the ARN of a version, must be given.")
	}
	err = s.update(ctx, func(l *apply.Ledger) error {
		e, err := live(l.Tx, c.Scope, n)
		if err != nil {
			return err
		}
		v, err := e.getVersion(l.Tx, n.Version)
		if err == nil && (v.Deprecated || e.Original != "") {
			err = noType(e.arn(n.Version))
		}
		if err != nil {
			return err
		}
		e.Default, e.Updated = v.Version, s.cfg.Now()
		return extensions.Put(l.Tx, e.key(), e)
	})
	return &api.SetTypeDefaultVersionOutput{}, err
}
