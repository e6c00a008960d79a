package stackset

import (
	"context"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/store"
)

// UpdateStackSet changes a stack set, and its instances with it.
func (s *Service) UpdateStackSet(ctx context.Context, in *api.UpdateStackSetInput) (*api.UpdateStackSetOutput, error) {
	scope, c, err := s.scope(ctx, in.CallAs)
	if err != nil {
		return nil, err
	}
	v, text, err := s.load(ctx, scope, in.StackSetName, in.CallAs)
	if err != nil {
		return nil, err
	}
	if err := checkUpdate(v, in); err != nil {
		return nil, err
	}
	o, err := s.newOperation(c, v, updating, in.OperationId, in.OperationPreferences, in)
	if err != nil {
		return nil, err
	}
	if in.Accounts == nil && in.DeploymentTargets == nil {
		o.All = true
	} else if err := s.aim(ctx, o, v, in.Accounts, in.DeploymentTargets, in.Regions); err != nil {
		return nil, err
	}
	given, url := in.TemplateBody, in.TemplateURL
	if yes(in.UsePreviousTemplate) {
		ctx, url = withTemplate(ctx, text), InternalURL
	}
	tmpl, err := s.cfg.Template(ctx, given, url, in.Capabilities)
	if err != nil {
		return nil, err
	}
	err = s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		v, err := activeSet(tx, scope, v.wholeID(), "")
		if err != nil {
			return err
		}
		if again, err := repeated(tx, o); again || err != nil {
			return err
		}
		if err := s.admit(tx, v, o); err != nil {
			return err
		}
		if err := s.change(v, in, tmpl); err != nil {
			return err
		}
		if err := dependable(tx, v); err != nil {
			return err
		}
		if err := outdate(tx, v); err != nil {
			return err
		}
		if err := bodies.Put(tx, v.key(), &body{tmpl.Body}); err != nil {
			return err
		}
		o.AdminRole, o.ExecRole = v.AdminRole, v.ExecRole
		return s.begin(tx, v, o)
	})
	if err != nil {
		return nil, err
	}
	return &api.UpdateStackSetOutput{OperationId: o.ID}, nil
}

// change is what an update makes of the set itself.
func (s *Service) change(v *set, in *api.UpdateStackSetInput, tmpl Template) (err error) {
	if err := s.declare(v, tmpl, in.Parameters); err != nil {
		return err
	}
	if in.Description != "" {
		v.Description = in.Description
	}
	v.Capabilities = in.Capabilities
	if in.Tags != nil {
		if v.Tags, err = tagsOf(in.Tags); err != nil {
			return err
		}
	}
	if v.Model != api.PermissionModelsSelfManaged && (in.AdministrationRoleARN != "" || in.ExecutionRoleName != "") {
		return invalid("AdministrationRoleARN and ExecutionRoleName cannot be specified for a SERVICE_MANAGED stack set.")
	}
	if in.AdministrationRoleARN != "" {
		v.AdminRole = in.AdministrationRoleARN
		if err := v.checkRole(); err != nil {
			return err
		}
	}
	if in.ExecutionRoleName != "" {
		v.ExecRole = in.ExecutionRoleName
	}
	if in.AutoDeployment != nil {
		if v.Model != api.PermissionModelsServiceManaged {
			return invalid("AutoDeployment can only be specified for SERVICE_MANAGED stack sets.")
		}
		if v.Auto, err = automaticOf(v, in.AutoDeployment); err != nil {
			return err
		}
	}
	if in.ManagedExecution != nil {
		v.Managed = yes(in.ManagedExecution.Active)
	}
	v.Revision++
	return nil
}

// outdate marks the instances of a set that has changed.
func outdate(tx store.Tx, v *set) error {
	have, err := allOf(tx, instances, v.key()+"/")
	if err != nil {
		return err
	}
	for _, i := range have {
		if i.Status != api.StackInstanceStatusCurrent {
			continue
		}
		i.Status = api.StackInstanceStatusOutdated
		if err := instances.Put(tx, instanceKey(v.key(), i.Account, i.Region), i); err != nil {
			return err
		}
	}
	return nil
}

// checkUpdate checks what members of a request go together.
func checkUpdate(v *set, in *api.UpdateStackSetInput) error {
	switch {
	case in.PermissionModel != "" && in.PermissionModel != v.Model:
		return invalid("The permission model of a stack set with instances cannot be changed.")
	case yes(in.UsePreviousTemplate) && (in.TemplateBody != "" || in.TemplateURL != ""):
		return invalid("You cannot specify both UsePreviousTemplate and a template.")
	case !yes(in.UsePreviousTemplate) && in.TemplateBody == "" && in.TemplateURL == "":
		return invalid("Either Template URL or Template Body must be specified.")
	case (in.Accounts == nil) != (in.Regions == nil) && in.DeploymentTargets == nil:
		return invalid("Accounts and Regions must be specified together.")
	}
	return nil
}
