package ec2

import (
	"context"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

func (in *instance) profileAssociation(state string) *api.IamInstanceProfileAssociation {
	return &api.IamInstanceProfileAssociation{
		AssociationId: in.Profile.Association, InstanceId: in.ID, State: state, Timestamp: ptr(in.Profile.Since),
		IamInstanceProfile: &api.IamInstanceProfile{Arn: in.Profile.ARN, Id: in.Profile.ID},
	}
}

// AssociateIamInstanceProfile gives an instance a profile that has none.
func (s *Service) AssociateIamInstanceProfile(ctx context.Context, in *api.AssociateIamInstanceProfileInput) (*api.AssociateIamInstanceProfileOutput, error) {
	call := auth.From(ctx)
	p, err := s.specified(ctx, call, in.IamInstanceProfile)
	if err != nil {
		return nil, err
	}
	out := &api.AssociateIamInstanceProfileOutput{}
	err = s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		i, err := loadInstance(tx, call.Scope, in.InstanceId)
		if err != nil {
			return err
		}
		if i.State.ending() {
			return fault.New(fault.IncorrectInstanceState, "The instance '%s' is not in the 'running' or 'stopped' state.", i.ID)
		}
		same := i.Profile != nil && i.Profile.ARN == p.ARN && call.Token != ""
		if i.Profile != nil && !same {
			return fault.New(fault.IncorrectState, "There is an existing association for instance %s", i.ID)
		}
		if !same {
			p.Association = newID(call, prefixProfile, i.ID+p.ID)
			i.Profile = p
		}
		out.IamInstanceProfileAssociation = i.profileAssociation("associating")
		return i.save(tx)
	})
	return out, err
}

// specified finds the profile that a request must name.
func (s *Service) specified(ctx context.Context, call auth.Call, spec *api.IamInstanceProfileSpecification) (*profile, error) {
	if spec == nil || spec.Name == "" && spec.Arn == "" {
		return nil, fault.New(fault.MissingParameter, "The request must contain the parameter IamInstanceProfile")
	}
	if spec.Name != "" && spec.Arn != "" {
		return nil, fault.New(fault.InvalidParameterCombination, "The parameter 'iamInstanceProfile.name' may not be used in combination with 'iamInstanceProfile.arn'")
	}
	return s.passProfile(ctx, call, spec.Name, spec.Arn)
}

// DisassociateIamInstanceProfile takes the profile from an instance.
func (s *Service) DisassociateIamInstanceProfile(ctx context.Context, in *api.DisassociateIamInstanceProfileInput) (*api.DisassociateIamInstanceProfileOutput, error) {
	scope := auth.From(ctx).Scope
	out := &api.DisassociateIamInstanceProfileOutput{}
	err := s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		i, err := profiled(tx, scope, in.AssociationId)
		if err != nil {
			return err
		}
		out.IamInstanceProfileAssociation = i.profileAssociation("disassociating")
		i.Profile = nil
		return i.save(tx)
	})
	return out, err
}

// ReplaceIamInstanceProfileAssociation changes an instance's profile.
func (s *Service) ReplaceIamInstanceProfileAssociation(ctx context.Context, in *api.ReplaceIamInstanceProfileAssociationInput) (*api.ReplaceIamInstanceProfileAssociationOutput, error) {
	call := auth.From(ctx)
	p, err := s.specified(ctx, call, in.IamInstanceProfile)
	if err != nil {
		return nil, err
	}
	out := &api.ReplaceIamInstanceProfileAssociationOutput{}
	err = s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		i, err := profiled(tx, call.Scope, in.AssociationId)
		if err != nil {
			return err
		}
		p.Association = newID(call, prefixProfile, i.ID+p.ID)
		i.Profile = p
		out.IamInstanceProfileAssociation = i.profileAssociation("associating")
		return i.save(tx)
	})
	return out, err
}

// profiled finds the instance of a profile association.
func profiled(tx store.Tx, scope arn.Scope, association string) (*instance, error) {
	list, err := allInstances(tx, scope)
	if err != nil {
		return nil, err
	}
	for _, in := range list {
		if in.Profile != nil && in.Profile.Association == association && in.State != terminated {
			return in, nil
		}
	}
	return nil, fault.New(fault.InvalidAssociationIDNotFound, "An invalid association-id of '%s' was given", clip(association, 64))
}

func profileFields(v instanceView, name string) ([]string, bool) {
	switch name {
	case "instance-id":
		return instanceFields(v, name)
	case "state":
		return one("associated")
	}
	return nil, false
}

// DescribeIamInstanceProfileAssociations lists which instance has which profile.
func (s *Service) DescribeIamInstanceProfileAssociations(ctx context.Context, in *api.DescribeIamInstanceProfileAssociationsInput) (*api.DescribeIamInstanceProfileAssociationsOutput, error) {
	scope := auth.From(ctx).Scope
	m, err := newMatcher(in.Filters, profileFields)
	if err != nil {
		return nil, err
	}
	all, err := s.selectInstances(ctx, scope, nil, m)
	if err != nil {
		return nil, err
	}
	var found []instanceView
	known := map[string]bool{}
	for _, v := range all {
		if v.Profile == nil || v.State == terminated {
			continue
		}
		known[v.Profile.Association] = true
		if len(in.AssociationIds) == 0 || contains(in.AssociationIds, v.Profile.Association) {
			found = append(found, v)
		}
	}
	if lost := missing(in.AssociationIds, func(id string) bool { return known[id] }); len(lost) > 0 {
		return nil, fault.New(fault.InvalidAssociationIDNotFound, "An invalid association-id of '%s' was given", clip(lost[0], 64))
	}
	page, next, err := paginate(found, func(v instanceView) string { return v.Profile.Association }, in.NextToken, in.MaxResults, pagesOf1000)
	if err != nil {
		return nil, err
	}
	out := &api.DescribeIamInstanceProfileAssociationsOutput{NextToken: next}
	for _, v := range page {
		out.IamInstanceProfileAssociations = append(out.IamInstanceProfileAssociations, *v.profileAssociation("associated"))
	}
	return out, nil
}
