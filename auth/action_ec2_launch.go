package auth

import (
	"context"
	"strings"

	"github.com/slipway/slipway/auth/policy"
)

// Effects tells what a call comes to that names a part of what it does by records
// of its service. A service with such calls implements it and is named in
// IAM.Effects.
type Effects interface {
	// Effect returns the input that the call is to be authorized by: the given one,
	// or a *Launch. It is the given one, too, where the call will fail anyway.
	Effect(ctx context.Context, operation string, input any) (any, error)
}

// Launch is a RunInstances call with what its launch template, the account's
// defaults and its image add ("Actions, resources, and condition keys for Amazon
// EC2", Service Authorization Reference).
type Launch struct {
	Input    any    // the request with the template's data
	Asked    any    // the request as it was sent
	Template string // id of its launch template, "" for none
	// Common are condition keys that all resources of the launch have; Resources
	// are what it uses and makes, each with keys of its own.
	Common    map[string]string
	Resources []LaunchResource
}

// LaunchResource is one resource of a launch. The names of its keys are in lower
// case and without the prefix.
type LaunchResource struct {
	Kind, ID string // "subnet"; "*" is one that the launch makes
	Keys     map[string]string
}

// overriding are the members of a request that replace what a template says of a
// kind of resource.
var overriding = map[string][]string{
	"image":             {"ImageId"},
	"instance":          {"InstanceType", "IamInstanceProfile", "Placement", "EbsOptimized", "MetadataOptions", "UserData", "CreditSpecification"},
	"subnet":            {"SubnetId", "NetworkInterfaces"},
	"security-group":    {"SecurityGroupIds", "SecurityGroups", "NetworkInterfaces"},
	"network-interface": {"NetworkInterfaces", "SubnetId", "SecurityGroupIds", "SecurityGroups", "PrivateIpAddress"},
	"volume":            {"BlockDeviceMappings"},
	"snapshot":          {"BlockDeviceMappings"},
	"key-pair":          {"KeyName"},
}

// launching asks for what a launch needs: each resource, with its own keys where
// the service has told what the launch comes to.
func launching(a *asking) {
	if a.launch == nil {
		a.also("ec2:RunInstances", launch(a.call, a.in)...)
		tagsOnCreate(a)
		return
	}
	asked := members(a.launch.Asked)
	for _, r := range a.launch.Resources {
		own := policy.Context{}
		for _, keys := range []map[string]string{a.launch.Common, r.Keys} {
			for name, v := range keys {
				own["ec2:"+name] = one(v)
			}
		}
		templated := a.launch.Template != ""
		if templated {
			own["ec2:launchtemplate"] = one(ec2ARN(a.call, "launch-template", a.launch.Template))
		}
		for _, member := range overriding[r.Kind] {
			templated = templated && !asked.has(member)
		}
		own["ec2:islaunchtemplateresource"] = one(boolText(templated))
		k := a.call.keys(a.in, "ec2:RunInstances", own)
		k.whole = true
		a.out = append(a.out, Request{
			Principal: a.call.Principal, Service: a.call.Service, Action: "ec2:RunInstances", Context: k, Resources: []string{ec2ARN(a.call, r.Kind, r.ID)},
		})
	}
	tagsOnCreate(a)
}

// wholeKeys answers for a launch of which all is known: keys that neither it nor
// the record of a resource has are absent.
func wholeKeys(k *requestKeys, key string) ([]string, bool) {
	if name, ok := strings.CutPrefix(key, "resourcetag/"); ok {
		return k.resourceTag(name)
	}
	if key == "region" {
		return one(k.call.Scope.Region), true
	}
	if !strings.HasSuffix(k.resource, "/*") { // what is there already has what its record tells
		if v, known, ok := k.ec2Told(key); ok {
			return v, known
		}
	}
	return nil, true
}

// Ask authorizes all that a call needs leave for.
func Ask(ctx context.Context, a Authorizer, c *Call, input any) error {
	if e, ok := a.(interface {
		Effect(ctx context.Context, c *Call, input any) (any, error)
	}); ok {
		var err error
		if input, err = e.Effect(ctx, c, input); err != nil {
			return err
		}
	}
	for _, r := range c.requests(input) {
		if err := a.Authorize(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// Effect asks the call's service what the call comes to.
func (a *IAM) Effect(ctx context.Context, c *Call, input any) (any, error) {
	source := a.Effects[c.Service]
	if source == nil {
		return input, nil
	}
	return source.Effect(Carry(ctx, c), c.Operation, input)
}
