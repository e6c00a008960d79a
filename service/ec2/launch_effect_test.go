package ec2

import (
	"context"
	"strings"
	"testing"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/policy"
	"github.com/slipway/slipway/fault"
)

// statements is everyone's policy.
type statements string

func (p statements) PoliciesOf(context.Context, auth.Principal) ([]*policy.Document, *policy.Document, error) {
	d, err := policy.Parse(`{"Version":"2012-10-17","Statement":[`+string(p)+`]}`, policy.Identity)
	return []*policy.Document{d}, nil, err
}

func (statements) ManagedPolicy(context.Context, string, string) (*policy.Document, error) {
	return nil, nil
}

func (statements) PrincipalTags(context.Context, auth.Principal) (map[string]string, error) {
	return nil, nil
}
func (statements) FullARN(_ context.Context, a string) (string, error) { return a, nil }

// TestALaunchIsAuthorizedAsWhatItBecomes: by what the launch template and the
// account's defaults add, resource by resource.
func TestALaunchIsAuthorizedAsWhatItBecomes(t *testing.T) {
	c := newCloud(t)
	s := c.site(t)
	template := must(c.CreateLaunchTemplate(c.ctx, &api.CreateLaunchTemplateInput{LaunchTemplateName: "web", LaunchTemplateData: &api.RequestLaunchTemplateData{
		ImageId: BuiltinImage(testScope), InstanceType: hostType(),
		NetworkInterfaces:   []api.LaunchTemplateInstanceNetworkInterfaceSpecificationRequest{{DeviceIndex: ptr(int32(0)), SubnetId: s.private}},
		BlockDeviceMappings: []api.LaunchTemplateBlockDeviceMappingRequest{{DeviceName: "/dev/sdf", Ebs: &api.LaunchTemplateEbsBlockDeviceRequest{VolumeSize: ptr(int32(20)), VolumeType: "gp3"}}},
		TagSpecifications:   []api.LaunchTemplateTagSpecificationRequest{{ResourceType: "instance", Tags: []api.Tag{{Key: "Team", Value: "red"}}}},
	}}))(t).LaunchTemplate.LaunchTemplateId
	ready := c.eni(t, s.private, "")
	must(c.CreateTags(c.ctx, &api.CreateTagsInput{Resources: []string{ready}, Tags: []api.Tag{{Key: "Team", Value: "red"}}}))(t)
	of := func(more func(*api.RunInstancesInput)) *api.RunInstancesInput {
		in := &api.RunInstancesInput{LaunchTemplate: &api.LaunchTemplateSpecification{LaunchTemplateName: "web"}, MinCount: ptr(int32(1)), MaxCount: ptr(int32(1))}
		if more != nil {
			more(in)
		}
		return in
	}
	const arns = "arn:aws:ec2:us-east-1:111111111111:"
	allow := func(action, resource, condition string) string {
		if condition != "" {
			condition = `,"Condition":{` + condition + `}`
		}
		return `{"Effect":"Allow","Action":"` + action + `","Resource":"` + resource + `"` + condition + `}`
	}
	deny := func(resource, condition string) string {
		return strings.Replace(allow("ec2:RunInstances", resource, condition), "Allow", "Deny", 1)
	}
	run, tag := "ec2:RunInstances", allow("ec2:CreateTags", "*", `"StringEquals":{"aws:RequestTag/Team":"red","ec2:CreateAction":"RunInstances"}`)
	all := allow(run, "*", "")
	rest := func(kinds ...string) string {
		var out []string
		for _, k := range kinds {
			resource := arns + k + "/*"
			if k == "image" {
				resource = "arn:aws:ec2:us-east-1::image/*"
			}
			out = append(out, allow(run, resource, ""))
		}
		return strings.Join(out, ",")
	}
	for name, test := range map[string]struct {
		in     *api.RunInstancesInput
		policy string
		ok     bool
	}{
		"everything":                    {of(nil), all + "," + tag, true},
		"without leave for its tags":    {of(nil), all, false},
		"the template's subnet":         {of(nil), rest("image", "instance", "network-interface", "volume", "security-group", "launch-template") + "," + allow(run, arns+"subnet/"+s.private, "") + "," + tag, true},
		"another subnet":                {of(nil), rest("image", "instance", "network-interface", "volume", "security-group", "launch-template") + "," + allow(run, arns+"subnet/"+s.public, "") + "," + tag, false},
		"the VPC of each":               {of(nil), all + "," + tag + "," + deny(arns+"subnet/*", `"ArnNotEquals":{"ec2:Vpc":"`+arns+"vpc/"+s.vpc+`"}`), true},
		"another VPC":                   {of(nil), all + "," + tag + "," + deny(arns+"network-interface/*", `"ArnEquals":{"ec2:Vpc":"`+arns+"vpc/"+s.vpc+`"}`), false},
		"the template's type":           {of(nil), all + "," + tag + "," + deny(arns+"instance/*", `"StringEquals":{"ec2:InstanceType":"`+hostType()+`"}`), false},
		"a type that it is not":         {of(nil), all + "," + tag + "," + deny(arns+"instance/*", `"StringEquals":{"ec2:InstanceType":"m5.large"}`), true},
		"the template's volume":         {of(nil), all + "," + tag + "," + deny(arns+"volume/*", `"NumericGreaterThan":{"ec2:VolumeSize":"16"}`), false},
		"volumes that are small":        {of(nil), all + "," + tag + "," + deny(arns+"volume/*", `"NumericGreaterThan":{"ec2:VolumeSize":"20"}`), true},
		"only by template":              {of(nil), allow(run, "*", `"ArnLike":{"ec2:LaunchTemplate":"`+arns+"launch-template/"+template+`"},"Bool":{"ec2:IsLaunchTemplateResource":"true"}`) + "," + tag, true},
		"only by template, but a type":  {of(func(in *api.RunInstancesInput) { in.InstanceType = hostType() }), allow(run, "*", `"Bool":{"ec2:IsLaunchTemplateResource":"true"}`) + "," + tag, false},
		"without a template":            {request(), allow(run, "*", `"ArnLike":{"ec2:LaunchTemplate":"*"}`), false},
		"the default subnet, denied":    {request(), all + "," + deny(arns+"subnet/*", `"StringLike":{"ec2:SubnetID":"subnet-*"}`), false},
		"the default group, by its tag": {request(), all + "," + deny(arns+"security-group/*", `"StringEquals":{"aws:ResourceTag/Team":"blue"}`), true},
		"a template that is not there":  {&api.RunInstancesInput{LaunchTemplate: &api.LaunchTemplateSpecification{LaunchTemplateName: "none"}}, rest("image"), false},
		"tokens that are not required": {of(func(in *api.RunInstancesInput) {
			in.MetadataOptions = &api.InstanceMetadataOptionsRequest{HttpTokens: "optional"}
		}), all + "," + tag + "," + deny(arns+"instance/*", `"StringNotEquals":{"ec2:MetadataHttpTokens":"required"}`), false},
		"an interface by its tag":           {of(func(in *api.RunInstancesInput) { in.NetworkInterfaces = readyFirst(ready) }), rest("image", "instance", "volume", "security-group", "launch-template", "subnet") + "," + allow(run, arns+"network-interface/*", `"StringEquals":{"aws:ResourceTag/Team":"red"}`) + "," + tag, true},
		"an interface that is another's":    {of(func(in *api.RunInstancesInput) { in.NetworkInterfaces = readyFirst(ready) }), rest("image", "instance", "volume", "security-group", "launch-template", "subnet") + "," + allow(run, arns+"network-interface/*", `"StringEquals":{"aws:ResourceTag/Team":"blue"}`) + "," + tag, false},
		"keys of other kinds do not matter": {of(nil), all + "," + tag + "," + deny(arns+"volume/*", `"StringEquals":{"ec2:InstanceType":"`+hostType()+`"}`), true},
	} {
		t.Run(name, func(t *testing.T) {
			call := auth.Call{
				Principal: auth.Principal{Kind: auth.User, Account: testScope.Account, ARN: "arn:aws:iam::111111111111:user/ann", Name: "ann"},
				Scope:     testScope, Service: "ec2", Operation: "RunInstances",
			}
			iam := &auth.IAM{
				Policies: statements(test.policy), Effects: map[string]auth.Effects{"ec2": c.Service},
				Tags: map[string]auth.ResourceTags{"ec2": c.Service}, Resources: map[string]auth.ResourcePolicies{"ec2": c.Service},
			}
			err := auth.Ask(auth.With(t.Context(), call), iam, &call, test.in)
			if test.ok && err != nil || !test.ok && !fault.Is(err, fault.UnauthorizedOperation) {
				t.Errorf("got %v", err)
			}
		})
	}
	c.sound()
}

// TestALaunchIsAuthorizedAsWhatItMakes: a template that changes after the call was
// let in does not let more through.
func TestALaunchIsAuthorizedAsWhatItMakes(t *testing.T) {
	c := newCloud(t)
	small := &api.RequestLaunchTemplateData{ImageId: BuiltinImage(testScope), InstanceType: hostType()}
	template := must(c.CreateLaunchTemplate(c.ctx, &api.CreateLaunchTemplateInput{LaunchTemplateName: "web", LaunchTemplateData: small}))(t).LaunchTemplate.LaunchTemplateId
	iam := &auth.IAM{
		Policies: statements(`{"Effect":"Allow","Action":"*","Resource":"*"},
			{"Effect":"Deny","Action":"ec2:RunInstances","Resource":"arn:aws:ec2:*:*:volume/*","Condition":{"NumericGreaterThan":{"ec2:VolumeSize":"16"}}}`),
		Effects: map[string]auth.Effects{"ec2": c.Service}, Tags: map[string]auth.ResourceTags{"ec2": c.Service},
		Resources: map[string]auth.ResourcePolicies{"ec2": c.Service},
	}
	c.cfg.Authorizer = iam
	ctx := auth.With(t.Context(), auth.Call{
		Principal: auth.Principal{Kind: auth.User, Account: testScope.Account, ARN: "arn:aws:iam::111111111111:user/ann", Name: "ann"},
		Scope:     testScope, Service: "ec2", Operation: "RunInstances",
	})
	in := &api.RunInstancesInput{LaunchTemplate: &api.LaunchTemplateSpecification{LaunchTemplateName: "web"}, MinCount: ptr(int32(1)), MaxCount: ptr(int32(1))}
	call := auth.From(ctx)
	if err := auth.Ask(ctx, iam, &call, in); err != nil {
		t.Fatalf("the small launch is let in: %v", err)
	}
	large := &api.RequestLaunchTemplateData{ImageId: BuiltinImage(testScope), InstanceType: hostType(), BlockDeviceMappings: []api.LaunchTemplateBlockDeviceMappingRequest{
		{DeviceName: "/dev/sdf", Ebs: &api.LaunchTemplateEbsBlockDeviceRequest{VolumeSize: ptr(int32(20)), VolumeType: "gp3"}}}}
	must(c.CreateLaunchTemplateVersion(c.ctx, &api.CreateLaunchTemplateVersionInput{LaunchTemplateId: template, LaunchTemplateData: large}))(t)
	must(c.ModifyLaunchTemplate(c.ctx, &api.ModifyLaunchTemplateInput{LaunchTemplateId: template, DefaultVersion: "2"}))(t)
	if _, err := c.RunInstances(ctx, in); !fault.Is(err, fault.UnauthorizedOperation) {
		t.Errorf("the large launch: %v", err)
	}
	c.sound()
}

func readyFirst(id string) []api.InstanceNetworkInterfaceSpecification {
	return []api.InstanceNetworkInterfaceSpecification{{DeviceIndex: ptr(int32(0)), NetworkInterfaceId: id}}
}
