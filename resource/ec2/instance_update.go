package ec2

import (
	"context"
	"encoding/base64"
	"strings"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource"
)

// update changes an instance in place. For type, user data and EbsOptimized it
// is stopped and started, as CloudFormation does with instances on EBS volumes.
func (h instanceHandler) update(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p, prior instanceProperties
	if err := resource.Decode(instanceName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	if err := resource.Decode(instanceName, r.Prior, &prior); err != nil {
		return cfn.Result{}, err
	}
	if err := refuseUpdate(prior, p); err != nil {
		return cfn.Result{}, err
	}
	i, err := h.living(ctx, r.PhysicalID)
	if err != nil {
		return cfn.Result{}, err
	}
	if err := h.updateRunning(ctx, i, prior, p); err != nil {
		return cfn.Result{}, err
	}
	if err := h.updateStopped(ctx, r, prior, p); err != nil {
		return cfn.Result{}, err
	}
	if err := retag(ctx, h.svc, i.InstanceId, i.Tags, resource.Tags(r, p.Tags)); err != nil {
		return cfn.Result{}, err
	}
	return h.result(ctx, r.PhysicalID)
}

// living is an instance that is not terminated.
func (h instanceHandler) living(ctx context.Context, id string) (*api.Instance, error) {
	i, err := h.find(ctx, id)
	if err != nil {
		return nil, resource.Found(err, instanceName, id, fault.InvalidInstanceIDNotFound, fault.InvalidInstanceIDMalformed)
	}
	if i.State.Name == "terminated" || i.State.Name == "shutting-down" {
		return nil, resource.Missing(instanceName, id)
	}
	return i, nil
}

// refuseUpdate names changes that cannot be made in place here.
func refuseUpdate(prior, p instanceProperties) error {
	for name, yes := range map[string]bool{
		"CreditSpecification": changed(prior.CreditSpecification, p.CreditSpecification),
		"Monitoring":          value(p.Monitoring),
	} {
		if yes {
			return fault.New(fault.NotImplemented, "%s: a change of the property %s is not built in Slipway yet", instanceName, name)
		}
	}
	return nil
}

// updateRunning changes what can change while the instance runs.
func (h instanceHandler) updateRunning(ctx context.Context, i *api.Instance, prior, p instanceProperties) error {
	id := i.InstanceId
	var list []*api.ModifyInstanceAttributeInput
	if value(prior.DisableApiTermination) != value(p.DisableApiTermination) {
		list = append(list, &api.ModifyInstanceAttributeInput{InstanceId: id, DisableApiTermination: flag(p.DisableApiTermination)})
	}
	if changed(prior.SourceDestCheck, p.SourceDestCheck) {
		on := p.SourceDestCheck == nil || *p.SourceDestCheck
		list = append(list, &api.ModifyInstanceAttributeInput{InstanceId: id, SourceDestCheck: flag(&on)})
	}
	if prior.InstanceInitiatedShutdownBehavior != p.InstanceInitiatedShutdownBehavior {
		b := p.InstanceInitiatedShutdownBehavior
		if b == "" {
			b = "stop"
		}
		list = append(list, &api.ModifyInstanceAttributeInput{InstanceId: id, InstanceInitiatedShutdownBehavior: &api.AttributeValue{Value: b}})
	}
	if changed(prior.SecurityGroupIds, p.SecurityGroupIds) {
		groups, err := h.groupIDs(ctx, p.SecurityGroupIds)
		if err != nil {
			return err
		}
		list = append(list, &api.ModifyInstanceAttributeInput{InstanceId: id, Groups: groups})
	}
	for _, in := range list {
		if err := h.modify(ctx, in); err != nil {
			return err
		}
	}
	if changed(prior.MetadataOptions, p.MetadataOptions) {
		if err := h.updateMetadata(ctx, id, p.MetadataOptions); err != nil {
			return err
		}
	}
	if prior.IamInstanceProfile != p.IamInstanceProfile {
		return h.updateProfile(ctx, id, p.IamInstanceProfile)
	}
	return nil
}

// groupIDs turns names of security groups into ids; none is the default group.
func (h instanceHandler) groupIDs(ctx context.Context, list []string) ([]string, error) {
	ids, names := splitGroups(list)
	if len(list) == 0 {
		names = []string{"default"}
	}
	if len(names) == 0 {
		return ids, nil
	}
	out, err := h.svc.DescribeSecurityGroups(ctx, &api.DescribeSecurityGroupsInput{GroupNames: names})
	if err != nil {
		return nil, err
	}
	for _, g := range out.SecurityGroups {
		ids = append(ids, g.GroupId)
	}
	return ids, nil
}

// updateMetadata sets the options; what the template leaves out goes back to its default.
func (h instanceHandler) updateMetadata(ctx context.Context, id string, o *metadataOptions) error {
	in := &api.ModifyInstanceMetadataOptionsInput{
		InstanceId: id, HttpEndpoint: "enabled", HttpTokens: "required", InstanceMetadataTags: "disabled", HttpPutResponseHopLimit: ptr(int32(2)),
	}
	if o != nil {
		for field, v := range map[*string]string{
			&in.HttpEndpoint: o.HttpEndpoint, &in.HttpTokens: o.HttpTokens,
			&in.InstanceMetadataTags: o.InstanceMetadataTags, &in.HttpProtocolIpv6: o.HttpProtocolIpv6,
		} {
			if v != "" {
				*field = v
			}
		}
		if o.HttpPutResponseHopLimit != nil {
			in.HttpPutResponseHopLimit = o.HttpPutResponseHopLimit
		}
	}
	_, err := h.svc.ModifyInstanceMetadataOptions(ctx, in)
	return err
}

// updateProfile gives the instance the profile, or none for "".
func (h instanceHandler) updateProfile(ctx context.Context, id, name string) error {
	out, err := h.svc.DescribeIamInstanceProfileAssociations(ctx, &api.DescribeIamInstanceProfileAssociationsInput{
		Filters: []api.Filter{{Name: "instance-id", Values: []string{id}}},
	})
	if err != nil {
		return err
	}
	spec := &api.IamInstanceProfileSpecification{Name: name}
	switch has := out.IamInstanceProfileAssociations; {
	case len(has) == 0 && name == "":
	case len(has) == 0:
		_, err = h.svc.AssociateIamInstanceProfile(ctx, &api.AssociateIamInstanceProfileInput{InstanceId: id, IamInstanceProfile: spec})
	case name == "":
		_, err = h.svc.DisassociateIamInstanceProfile(ctx, &api.DisassociateIamInstanceProfileInput{AssociationId: has[0].AssociationId})
	case profileName(has[0].IamInstanceProfile) != name:
		_, err = h.svc.ReplaceIamInstanceProfileAssociation(ctx, &api.ReplaceIamInstanceProfileAssociationInput{AssociationId: has[0].AssociationId, IamInstanceProfile: spec})
	}
	return err
}

func profileName(p *api.IamInstanceProfile) string {
	if p == nil {
		return ""
	}
	return p.Arn[strings.LastIndexByte(p.Arn, '/')+1:]
}

// updateStopped changes what needs the instance stopped, and has it run again.
// It looks at what was asked before and now, not at the instance: repeated after
// a crash it goes on wherever it was.
func (h instanceHandler) updateStopped(ctx context.Context, r cfn.Request, prior, p instanceProperties) error {
	id := r.PhysicalID
	var list []*api.ModifyInstanceAttributeInput
	if prior.InstanceType != p.InstanceType {
		t := p.InstanceType
		if t == "" {
			t = "m1.small"
		}
		list = append(list, &api.ModifyInstanceAttributeInput{InstanceId: id, InstanceType: &api.AttributeValue{Value: t}})
	}
	if prior.UserData != p.UserData {
		data, err := base64.StdEncoding.DecodeString(p.UserData)
		if err != nil {
			return fault.New(fault.InvalidUserDataMalformed, "Invalid BASE64 encoding of user data.")
		}
		list = append(list, &api.ModifyInstanceAttributeInput{InstanceId: id, UserData: &api.BlobAttributeValue{Value: data}})
	}
	if value(prior.EbsOptimized) != value(p.EbsOptimized) {
		list = append(list, &api.ModifyInstanceAttributeInput{InstanceId: id, EbsOptimized: flag(p.EbsOptimized)})
	}
	if len(list) == 0 {
		return nil
	}
	if r.Progress != nil {
		r.Progress("Stopping and starting " + id + " to change it")
	}
	if err := h.stop(ctx, id); err != nil {
		return err
	}
	for _, in := range list {
		if err := h.modify(ctx, in); err != nil {
			return err
		}
	}
	if _, err := h.svc.StartInstances(ctx, &api.StartInstancesInput{InstanceIds: []string{id}}); err != nil {
		return err
	}
	_, err := h.await(ctx, id, "running")
	return err
}

// stop stops an instance, whatever passing state it is in.
func (h instanceHandler) stop(ctx context.Context, id string) error {
	err := poll(ctx, func() (bool, error) {
		i, err := h.find(ctx, id)
		return err != nil || i.State.Name != "pending", err
	})
	if err != nil {
		return err
	}
	if _, err := h.svc.StopInstances(ctx, &api.StopInstancesInput{InstanceIds: []string{id}}); err != nil {
		return err
	}
	_, err = h.await(ctx, id, "stopped")
	return err
}
