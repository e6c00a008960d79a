package cloudformation

import (
	"context"
	"errors"
	"strings"
	"time"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/api/lambda"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/cfn/apply"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/workflow"
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
		if v.Deprecated {
			return nil
		}
		v.Deprecated = true
		if v.Function == "" { // of a module
			return extensionVersions.Put(l.Tx, e.key()+"/"+v.Version, v)
		}
		p := unmaking{apply.Caller{Principal: c.Principal, Endpoint: c.Endpoint, RequestID: c.RequestID}, c.Scope, v.Function}
		return errors.Join(extensionVersions.Put(l.Tx, e.key()+"/"+v.Version, v),
			s.cfg.Workflows.Begin(l.Tx, unmakingWorkflow, unmakingWorkflow+"/"+e.key()+"/"+v.Version+"/"+v.Created.UTC().Format(time.RFC3339Nano), p))
	})
	return &api.DeregisterTypeOutput{}, err
}

// unmakingWorkflow is the workflow that deletes the function of a version that is not
// used any more.
const unmakingWorkflow = "cloudformation/unmaking"

type unmaking struct {
	Caller   apply.Caller
	Scope    arn.Scope
	Function string // ARN
}

func (s *Service) runUnmaking(f *workflow.Flow, p unmaking) error {
	return s.unmake(f, p.Caller, p.Scope, p.Function)
}

// unmake deletes a handler's function as who has deregistered it. One that may not be
// deleted stays, and the log says so.
func (s *Service) unmake(f *workflow.Flow, caller apply.Caller, scope arn.Scope, function string) error {
	_, err := workflow.Step(f, "unmake", func(ctx context.Context, token string) (bool, error) {
		if key, ok := strings.CutPrefix(function, localPrefix); ok {
			return true, s.unmakeLocal(ctx, key)
		}
		_, err := s.cfg.Lambda.DeleteFunction(contextOf(ctx, s, caller, scope, "DeregisterType", token), &lambda.DeleteFunctionInput{FunctionName: function})
		if fault.Is(err, fault.ResourceNotFoundException) {
			return false, nil
		}
		return true, err
	}, workflow.Attempts(5))
	if _, final := fault.As(err); final {
		f.Log().Warn("a handler's function stays", "function", function, "error", err)
		return nil
	}
	return err
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
