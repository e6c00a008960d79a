package organizations

import (
	"context"
	"slices"
	"strings"

	api "github.com/slipway/slipway/api/organizations"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// EnablePolicyType puts service control policies into force.
func (s *Service) EnablePolicyType(ctx context.Context, in *api.EnablePolicyTypeInput) (*api.EnablePolicyTypeOutput, error) {
	if err := onlySCP(in.PolicyType); err != nil {
		return nil, err
	}
	out := &api.EnablePolicyTypeOutput{}
	err := s.update(ctx, managed, func(tx store.Tx, o *organization) error {
		switch {
		case in.RootId != o.Root:
			return fault.New(fault.RootNotFound, "You specified a root that doesn't exist.")
		case !o.allFeatures():
			return fault.New(fault.PolicyTypeNotAvailable, "You can't use the specified policy type with the feature set currently enabled for this organization.")
		case o.enabled(in.PolicyType):
			return fault.New(fault.PolicyTypeAlreadyEnabled, "The specified policy type is already enabled.")
		}
		o.Types = append(o.Types, in.PolicyType)
		targets, err := targetsOf(tx, o)
		if err != nil {
			return err
		}
		for _, t := range targets {
			if err := attachDefault(tx, o, t); err != nil {
				return err
			}
		}
		out.Root = o.root()
		return organizationsByID.Put(tx, o.ID, o)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// DisablePolicyType takes them out of force, and off everything.
func (s *Service) DisablePolicyType(ctx context.Context, in *api.DisablePolicyTypeInput) (*api.DisablePolicyTypeOutput, error) {
	if err := onlySCP(in.PolicyType); err != nil {
		return nil, err
	}
	out := &api.DisablePolicyTypeOutput{}
	err := s.update(ctx, managed, func(tx store.Tx, o *organization) error {
		switch {
		case in.RootId != o.Root:
			return fault.New(fault.RootNotFound, "You specified a root that doesn't exist.")
		case !o.enabled(in.PolicyType):
			return notEnabled()
		}
		o.Types = slices.DeleteFunc(o.Types, func(t string) bool { return t == in.PolicyType })
		if err := deleteAll(tx, attachments.Prefix()+o.ID+"/"); err != nil {
			return err
		}
		out.Root = o.root()
		return organizationsByID.Put(tx, o.ID, o)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func notEnabled() error {
	return fault.New(fault.PolicyTypeNotEnabled, "The specified policy type isn't currently enabled in this root.")
}

// targetsOf are what policies can be attached to: the root, the units, the accounts.
func targetsOf(tx store.Tx, o *organization) ([]string, error) {
	out := []string{o.Root}
	for e, err := range units.Scan(tx, o.ID+"/") {
		if err != nil {
			return nil, err
		}
		out = append(out, e.Value.ID)
	}
	for e, err := range accounts.Scan(tx, o.ID+"/") {
		if err != nil {
			return nil, err
		}
		out = append(out, e.Value.ID)
	}
	return out, nil
}

// attachDefault gives what is new in the organization the policy that allows all.
func attachDefault(tx store.Tx, o *organization, target string) error {
	if !o.enabled(api.PolicyTypeServiceControlPolicy) {
		return nil
	}
	return attachments.Put(tx, o.ID+"/"+target+"/"+fullAccess.ID, &attachment{Target: target, Policy: fullAccess.ID})
}

func detachAll(tx store.Tx, o *organization, target string) error {
	return deleteAll(tx, attachments.Prefix()+o.ID+"/"+target+"/")
}

// attached are the ids of the policies of a target, in order.
func attached(tx store.Tx, o *organization, target string) ([]string, error) {
	var out []string
	for e, err := range attachments.Scan(tx, o.ID+"/"+target+"/") {
		if err != nil {
			return nil, err
		}
		out = append(out, e.Value.Policy)
	}
	return out, nil
}

// targetOf names a root, unit or account of the organization.
func targetOf(tx store.Tx, o *organization, id string) (*api.PolicyTargetSummary, error) {
	out := &api.PolicyTargetSummary{TargetId: id}
	switch {
	case id == o.Root:
		out.Name, out.Type, out.Arn = "Root", api.TargetTypeRoot, o.arnOf("root", id)
	case strings.HasPrefix(id, "ou-"):
		u, err := units.Get(tx, o.ID+"/"+id)
		if err != nil {
			return nil, missing(err, fault.TargetNotFound, "You specified a target that doesn't exist.")
		}
		out.Name, out.Type, out.Arn = u.Name, api.TargetTypeOrganizationalUnit, o.arnOf("ou", id)
	default:
		a, err := accounts.Get(tx, o.ID+"/"+id)
		if err != nil {
			return nil, missing(err, fault.TargetNotFound, "You specified a target that doesn't exist.")
		}
		out.Name, out.Type, out.Arn = a.Name, api.TargetTypeAccount, o.arnOf("account", id)
	}
	return out, nil
}

// AttachPolicy attaches a policy, which is in force at once.
func (s *Service) AttachPolicy(ctx context.Context, in *api.AttachPolicyInput) (*api.AttachPolicyOutput, error) {
	err := s.update(ctx, managed, func(tx store.Tx, o *organization) error {
		if _, err := policyOf(tx, o, in.PolicyId); err != nil {
			return err
		}
		if _, err := targetOf(tx, o, in.TargetId); err != nil {
			return err
		}
		if !o.enabled(api.PolicyTypeServiceControlPolicy) {
			return notEnabled()
		}
		have, err := attached(tx, o, in.TargetId)
		switch {
		case err != nil:
			return err
		case slices.Contains(have, in.PolicyId):
			return fault.New(fault.DuplicatePolicyAttachment, "The selected policy is already attached to the specified target.")
		case len(have) >= maxAttachments:
			return breaks("MAX_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED", "You have exceeded the number of policies of this type that can be attached to an entity: %d.", maxAttachments)
		}
		return attachments.Put(tx, o.ID+"/"+in.TargetId+"/"+in.PolicyId, &attachment{Target: in.TargetId, Policy: in.PolicyId})
	})
	if err != nil {
		return nil, err
	}
	return &api.AttachPolicyOutput{}, nil
}

// DetachPolicy detaches a policy, unless it is the last one.
func (s *Service) DetachPolicy(ctx context.Context, in *api.DetachPolicyInput) (*api.DetachPolicyOutput, error) {
	err := s.update(ctx, managed, func(tx store.Tx, o *organization) error {
		if _, err := policyOf(tx, o, in.PolicyId); err != nil {
			return err
		}
		if _, err := targetOf(tx, o, in.TargetId); err != nil {
			return err
		}
		have, err := attached(tx, o, in.TargetId)
		switch {
		case err != nil:
			return err
		case !slices.Contains(have, in.PolicyId):
			return fault.New(fault.OrganizationsPolicyNotAttached, "The policy isn't attached to the specified target in the specified root.")
		case len(have) == 1:
			return breaks("MIN_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED", "You cannot remove the last policy attached to the specified target. You should have at least one.")
		}
		return attachments.Delete(tx, o.ID+"/"+in.TargetId+"/"+in.PolicyId)
	})
	if err != nil {
		return nil, err
	}
	return &api.DetachPolicyOutput{}, nil
}

// ListPoliciesForTarget lists what is attached to a target.
func (s *Service) ListPoliciesForTarget(ctx context.Context, in *api.ListPoliciesForTargetInput) (*api.ListPoliciesForTargetOutput, error) {
	if err := onlySCP(in.Filter); err != nil {
		return nil, err
	}
	out := &api.ListPoliciesForTargetOutput{Policies: []api.PolicySummary{}}
	err := s.view(ctx, readable, func(tx store.Tx, o *organization) error {
		if _, err := targetOf(tx, o, in.TargetId); err != nil {
			return err
		}
		page, next, err := pageOf(tx, attachments, o.ID+"/"+in.TargetId+"/", in.NextToken, in.MaxResults, nil)
		if err != nil {
			return err
		}
		for _, a := range page {
			p, err := policyOf(tx, o, a.Policy)
			if err != nil {
				return err
			}
			out.Policies = append(out.Policies, *p.summary(o))
		}
		out.NextToken = next
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// ListTargetsForPolicy lists what a policy is attached to.
func (s *Service) ListTargetsForPolicy(ctx context.Context, in *api.ListTargetsForPolicyInput) (*api.ListTargetsForPolicyOutput, error) {
	out := &api.ListTargetsForPolicyOutput{Targets: []api.PolicyTargetSummary{}}
	err := s.view(ctx, readable, func(tx store.Tx, o *organization) error {
		if _, err := policyOf(tx, o, in.PolicyId); err != nil {
			return err
		}
		page, next, err := pageOf(tx, attachments, o.ID+"/", in.NextToken, in.MaxResults, func(a *attachment) bool { return a.Policy == in.PolicyId })
		if err != nil {
			return err
		}
		for _, a := range page {
			t, err := targetOf(tx, o, a.Target)
			if err != nil {
				return err
			}
			out.Targets = append(out.Targets, *t)
		}
		out.NextToken = next
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
