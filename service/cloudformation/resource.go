package cloudformation

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/cfn/apply"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// resources are a stack's resources by logical id, as the API shows them: what
// has never been made is not there.
func resources(tx store.Tx, st *apply.Stack) ([]*apply.Resource, error) {
	all, err := apply.ResourcesOf(tx, st)
	if err != nil {
		return nil, err
	}
	out := make([]*apply.Resource, 0, len(all))
	for _, r := range all {
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b *apply.Resource) int { return strings.Compare(a.LogicalID, b.LogicalID) })
	return out, nil
}

// physicalID is that of the resource or, while it is being made, of what will be.
func physicalID(r *apply.Resource) string {
	if r.PhysicalID == "" {
		return r.Pending
	}
	return r.PhysicalID
}

// DescribeStackResource describes one resource.
func (s *Service) DescribeStackResource(ctx context.Context, in *cloudformation.DescribeStackResourceInput) (*cloudformation.DescribeStackResourceOutput, error) {
	c := auth.From(ctx)
	var st *apply.Stack
	var r *apply.Resource
	var drift *cloudformation.StackResourceDriftInformation
	err := s.view(ctx, func(tx store.Tx) (err error) {
		if st, err = find(tx, c.Scope, in.StackName); err != nil {
			return err
		}
		if st == nil {
			return fault.New(fault.ValidationError, "Stack '%s' does not exist", in.StackName)
		}
		all, err := apply.ResourcesOf(tx, st)
		if err != nil {
			return err
		}
		r = all[in.LogicalResourceId]
		drift, err = resourceDrift(tx, st, in.LogicalResourceId)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := s.ofInstance(ctx, st); err != nil {
		return nil, err
	}
	if r == nil {
		return nil, fault.New(fault.ValidationError, "Resource %s does not exist for stack %s", in.LogicalResourceId, in.StackName)
	}
	metadata := "{}"
	if m := r.ShownMetadata(); m != nil {
		b, err := json.Marshal(m)
		if err != nil {
			return nil, err
		}
		metadata = string(b)
	}
	return &cloudformation.DescribeStackResourceOutput{StackResourceDetail: &cloudformation.StackResourceDetail{
		StackName: st.Name, StackId: st.ID, LogicalResourceId: r.LogicalID, PhysicalResourceId: physicalID(r),
		ResourceType: r.Type, LastUpdatedTimestamp: &r.Time, ResourceStatus: r.Status, ResourceStatusReason: r.Reason,
		Metadata: metadata, DriftInformation: drift, ModuleInfo: moduleInfo(r.LogicalID, &st.Version, st.Before),
	}}, nil
}

// DescribeStackResources describes up to 100 resources of a stack, or those of
// the stack that a physical resource belongs to.
func (s *Service) DescribeStackResources(ctx context.Context, in *cloudformation.DescribeStackResourcesInput) (*cloudformation.DescribeStackResourcesOutput, error) {
	c, err := s.call(ctx)
	if err != nil {
		return nil, err
	}
	if (in.StackName == "") == (in.PhysicalResourceId == "") {
		return nil, fault.New(fault.ValidationError, "Either StackName or PhysicalResourceId must be specified, but not both.")
	}
	out := &cloudformation.DescribeStackResourcesOutput{StackResources: []cloudformation.StackResource{}}
	err = s.view(ctx, func(tx store.Tx) error {
		name := in.StackName
		if name == "" {
			for e, err := range apply.Resources.ByIndex(tx, "physical", in.PhysicalResourceId) {
				if err != nil {
					return err
				}
				if strings.HasPrefix(e.Key, c.Scope.Key()+"/") {
					name = e.Value.StackID
				}
			}
			if name == "" {
				return fault.New(fault.ValidationError, "Stack for %s does not exist", in.PhysicalResourceId)
			}
		}
		st, err := must(tx, c.Scope, name, noStackWithID)
		if err != nil {
			return err
		}
		all, err := resources(tx, st)
		if err != nil {
			return err
		}
		for _, r := range all {
			if in.LogicalResourceId != "" && r.LogicalID != in.LogicalResourceId || len(out.StackResources) == pageSize {
				continue
			}
			drift, err := resourceDrift(tx, st, r.LogicalID)
			if err != nil {
				return err
			}
			out.StackResources = append(out.StackResources, cloudformation.StackResource{
				StackName: st.Name, StackId: st.ID, LogicalResourceId: r.LogicalID, PhysicalResourceId: physicalID(r),
				ResourceType: r.Type, Timestamp: &r.Time, ResourceStatus: r.Status, ResourceStatusReason: r.Reason,
				DriftInformation: drift, ModuleInfo: moduleInfo(r.LogicalID, &st.Version, st.Before),
			})
		}
		if in.LogicalResourceId != "" && len(out.StackResources) == 0 {
			return fault.New(fault.ValidationError, "Resource %s does not exist for stack %s", in.LogicalResourceId, st.Name)
		}
		return nil
	})
	return out, err
}

// ListStackResources lists a stack's resources.
func (s *Service) ListStackResources(ctx context.Context, in *cloudformation.ListStackResourcesInput) (*cloudformation.ListStackResourcesOutput, error) {
	c, err := s.call(ctx)
	if err != nil {
		return nil, err
	}
	out := &cloudformation.ListStackResourcesOutput{StackResourceSummaries: []cloudformation.StackResourceSummary{}}
	err = s.view(ctx, func(tx store.Tx) error {
		st, err := must(tx, c.Scope, in.StackName, noStackWithID)
		if err != nil {
			return err
		}
		all, err := resources(tx, st)
		if err != nil {
			return err
		}
		part, next, err := page(all, st.ID, in.NextToken, func(r *apply.Resource) string { return r.LogicalID })
		if err != nil {
			return err
		}
		for _, r := range part {
			drift, err := resourceDrift(tx, st, r.LogicalID)
			if err != nil {
				return err
			}
			out.StackResourceSummaries = append(out.StackResourceSummaries, cloudformation.StackResourceSummary{
				LogicalResourceId: r.LogicalID, PhysicalResourceId: physicalID(r), ResourceType: r.Type,
				LastUpdatedTimestamp: &r.Time, ResourceStatus: r.Status, ResourceStatusReason: r.Reason,
				DriftInformation: (*cloudformation.StackResourceDriftInformationSummary)(drift),
				ModuleInfo:       moduleInfo(r.LogicalID, &st.Version, st.Before),
			})
		}
		out.NextToken = next
		return err
	})
	return out, err
}
