// Package logs holds the resource types of Amazon CloudWatch Logs. It calls api/logs
// alone.
package logs

import (
	"context"

	api "github.com/slipway/slipway/api/logs"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource"
)

// Types are the resource types of CloudWatch Logs.
func Types(svc api.Service) []cfn.Type {
	return []cfn.Type{groupType(svc), streamType(svc), metricFilterType(svc), policyType(svc), subscriptionType(svc)}
}

const (
	groupName    = "AWS::Logs::LogGroup"
	maxGroupName = 512
)

type groupProperties struct {
	LogGroupName              string         `json:"LogGroupName,omitempty"`
	LogGroupClass             string         `json:"LogGroupClass,omitempty"`
	RetentionInDays           *int32         `json:"RetentionInDays,omitempty"`
	KmsKeyID                  string         `json:"KmsKeyId,omitempty"`
	DeletionProtectionEnabled *bool          `json:"DeletionProtectionEnabled,omitempty"`
	Tags                      []resource.Tag `json:"Tags,omitempty"`
	Arn                       string         `json:"Arn,omitempty"`
}

type groupHandler struct{ svc api.Service }

func groupType(svc api.Service) cfn.Type {
	h := groupHandler{svc}
	return cfn.Type{Name: groupName, Create: h.create, Read: h.read, Update: h.update, Delete: h.delete, List: h.list}
}

func (h groupHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p groupProperties
	if err := resource.Decode(groupName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	name := resource.Name(r, p.LogGroupName, maxGroupName)
	_, err := h.svc.CreateLogGroup(ctx, &api.CreateLogGroupInput{
		LogGroupName: name, LogGroupClass: p.LogGroupClass, KmsKeyId: p.KmsKeyID, Tags: resource.Tags(r, p.Tags),
		DeletionProtectionEnabled: p.DeletionProtectionEnabled,
	})
	if err != nil {
		return cfn.Result{}, err
	}
	res := cfn.Result{PhysicalID: name}
	if p.RetentionInDays != nil {
		if _, err := h.svc.PutRetentionPolicy(ctx, &api.PutRetentionPolicyInput{LogGroupName: name, RetentionInDays: p.RetentionInDays}); err != nil {
			return res, err
		}
	}
	g, err := h.describe(ctx, name)
	if err != nil {
		return res, err
	}
	res.Attributes = cfn.Properties{"Arn": g.Arn}
	return res, nil
}

func (h groupHandler) describe(ctx context.Context, name string) (*api.LogGroup, error) {
	out, err := h.svc.DescribeLogGroups(ctx, &api.DescribeLogGroupsInput{LogGroupIdentifiers: []string{name}})
	if err != nil {
		return nil, err
	}
	if len(out.LogGroups) == 0 {
		return nil, resource.Missing(groupName, name)
	}
	return &out.LogGroups[0], nil
}

func (h groupHandler) tags(ctx context.Context, g *api.LogGroup) (map[string]string, error) {
	out, err := h.svc.ListTagsForResource(ctx, &api.ListTagsForResourceInput{ResourceArn: g.LogGroupArn})
	if err != nil {
		return nil, resource.Found(err, groupName, g.LogGroupName, fault.ResourceNotFoundException)
	}
	return out.Tags, nil
}

func (h groupHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	g, err := h.describe(ctx, r.PhysicalID)
	if err != nil {
		return nil, err
	}
	tags, err := h.tags(ctx, g)
	if err != nil {
		return nil, err
	}
	return resource.Encode(groupProperties{
		LogGroupName: g.LogGroupName, LogGroupClass: g.LogGroupClass, RetentionInDays: g.RetentionInDays, KmsKeyID: g.KmsKeyId,
		DeletionProtectionEnabled: g.DeletionProtectionEnabled, Tags: resource.OwnTags(tags), Arn: g.Arn,
	})
}

func (h groupHandler) update(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p groupProperties
	if err := resource.Decode(groupName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	g, err := h.describe(ctx, r.PhysicalID)
	if err != nil {
		return cfn.Result{}, err
	}
	class := p.LogGroupClass
	if class == "" {
		class = api.LogGroupClassStandard
	}
	if class != g.LogGroupClass {
		return cfn.Result{}, fault.New(fault.ValidationError, "%s: the LogGroupClass of a log group cannot be changed", groupName)
	}
	for _, change := range []func(context.Context, *groupProperties, *api.LogGroup) error{h.retain, h.seal, h.protect} {
		if err := change(ctx, &p, g); err != nil {
			return cfn.Result{}, err
		}
	}
	has, err := h.tags(ctx, g)
	if err != nil {
		return cfn.Result{}, err
	}
	set, remove := resource.Retag(has, resource.Tags(r, p.Tags))
	if len(set) > 0 {
		if _, err := h.svc.TagResource(ctx, &api.TagResourceInput{ResourceArn: g.LogGroupArn, Tags: set}); err != nil {
			return cfn.Result{}, err
		}
	}
	if len(remove) > 0 {
		if _, err := h.svc.UntagResource(ctx, &api.UntagResourceInput{ResourceArn: g.LogGroupArn, TagKeys: remove}); err != nil {
			return cfn.Result{}, err
		}
	}
	return cfn.Result{PhysicalID: r.PhysicalID, Attributes: cfn.Properties{"Arn": g.Arn}}, nil
}

func (h groupHandler) retain(ctx context.Context, p *groupProperties, g *api.LogGroup) (err error) {
	switch {
	case p.RetentionInDays != nil:
		_, err = h.svc.PutRetentionPolicy(ctx, &api.PutRetentionPolicyInput{LogGroupName: g.LogGroupName, RetentionInDays: p.RetentionInDays})
	case g.RetentionInDays != nil:
		_, err = h.svc.DeleteRetentionPolicy(ctx, &api.DeleteRetentionPolicyInput{LogGroupName: g.LogGroupName})
	}
	return err
}

func (h groupHandler) seal(ctx context.Context, p *groupProperties, g *api.LogGroup) (err error) {
	switch {
	case p.KmsKeyID == g.KmsKeyId:
	case p.KmsKeyID == "":
		_, err = h.svc.DisassociateKmsKey(ctx, &api.DisassociateKmsKeyInput{LogGroupName: g.LogGroupName})
	default:
		_, err = h.svc.AssociateKmsKey(ctx, &api.AssociateKmsKeyInput{LogGroupName: g.LogGroupName, KmsKeyId: p.KmsKeyID})
	}
	return err
}

func (h groupHandler) protect(ctx context.Context, p *groupProperties, g *api.LogGroup) error {
	want := p.DeletionProtectionEnabled != nil && *p.DeletionProtectionEnabled
	if want == *g.DeletionProtectionEnabled {
		return nil
	}
	_, err := h.svc.PutLogGroupDeletionProtection(ctx, &api.PutLogGroupDeletionProtectionInput{LogGroupIdentifier: g.LogGroupName, DeletionProtectionEnabled: &want})
	return err
}

func (h groupHandler) delete(ctx context.Context, r cfn.Request) error {
	_, err := h.svc.DeleteLogGroup(ctx, &api.DeleteLogGroupInput{LogGroupName: r.PhysicalID})
	return resource.Gone(err, fault.ResourceNotFoundException)
}

func (h groupHandler) list(ctx context.Context) ([]string, error) {
	in := &api.DescribeLogGroupsInput{}
	var names []string
	for {
		out, err := h.svc.DescribeLogGroups(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, g := range out.LogGroups {
			names = append(names, g.LogGroupName)
		}
		if in.NextToken = out.NextToken; in.NextToken == "" {
			return names, nil
		}
	}
}
