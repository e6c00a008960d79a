package cloudformation

import (
	"context"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// DescribeType tells what an extension is: one of the account's, or a resource type
// of AWS's that is built here.
func (s *Service) DescribeType(ctx context.Context, in *api.DescribeTypeInput) (*api.DescribeTypeOutput, error) {
	c, err := s.call(ctx)
	if err != nil {
		return nil, err
	}
	if in.PublicVersionNumber != "" || in.PublisherId != "" && in.PublisherId != hooksPublisher {
		return nil, fault.New(fault.NotImplemented, "extensions of third-party publishers are not implemented")
	}
	n, err := extensionNamed(c.Scope, named{Kind: in.Type, Name: in.TypeName, ARN: in.Arn, Version: in.VersionId})
	if err != nil {
		return nil, err
	}
	var out *api.DescribeTypeOutput
	err = s.view(ctx, func(tx store.Tx) error {
		e, err := getExtension(tx, c.Scope, n.Kind, n.Name)
		if err != nil || e == nil {
			return err
		}
		v, err := e.getVersion(tx, n.Version)
		if err == nil {
			out = describeExtension(e, v)
			if e.Original == "" && in.VersionId != "" { // told of a version that was asked for
				out.TypeTestsStatus = api.TypeTestsStatusNotTested
			}
		}
		return err
	})
	if err != nil || out != nil {
		return out, err
	}
	if n.Version != "" {
		return nil, noType(n.Name)
	}
	return s.describePublic(c.Scope, n)
}

func describeExtension(e *extension, v *extensionVersion) *api.DescribeTypeOutput {
	out := &api.DescribeTypeOutput{
		Arn: e.arn(v.Version), Type: e.Kind, TypeName: e.Name, DefaultVersionId: e.Default, IsDefaultVersion: new(v.Version == e.Default),
		Description: v.Description, Schema: v.Schema, ProvisioningType: v.Provisioning, DeprecatedStatus: deprecatedStatus(v.Deprecated),
		ExecutionRoleArn: v.Role, Visibility: api.VisibilityPrivate, SourceUrl: v.Source, DocumentationUrl: v.Docs,
		LastUpdated: &e.Updated, TimeCreated: &v.Created,
	}
	if v.LogGroup != "" {
		out.LoggingConfig = &api.LoggingConfig{LogGroupName: v.LogGroup, LogRoleArn: v.LogRole}
	}
	if e.Original != "" {
		out.Arn, out.OriginalTypeName, out.PublisherId, out.IsActivated = e.arn(""), e.Original, e.Publisher, new(true)
		out.OriginalTypeArn = originalARN(e.Scope.Region, e.Original)
		out.DefaultVersionId, out.IsDefaultVersion = "", nil
	}
	return out
}

func deprecatedStatus(deprecated bool) string {
	if deprecated {
		return api.DeprecatedStatusDeprecated
	}
	return api.DeprecatedStatusLive
}

// describePublic tells of what AWS has and this build, too.
func (s *Service) describePublic(scope arn.Scope, n named) (*api.DescribeTypeOutput, error) {
	if own := ownHookNamed(n.Name); n.Kind == hookKind && own != nil {
		return &api.DescribeTypeOutput{
			Arn: originalARN(scope.Region, own.name), Type: hookKind, TypeName: own.name, Schema: own.schema, PublisherId: hooksPublisher,
			DeprecatedStatus: api.DeprecatedStatusLive, Visibility: api.VisibilityPublic, Description: own.description, IsActivated: new(false),
		}, nil
	}
	text, ok := s.cfg.Schemas.Text(n.Name)
	if n.Kind != resourceKind || !ok || s.provisioning(n.Name) == "" {
		if n.Kind == resourceKind && s.cfg.Schemas.Known(n.Name) {
			return nil, fault.New(fault.NotImplemented, "the resource type %s is not built in Slipway yet", n.Name)
		}
		return nil, noType(n.Name)
	}
	return &api.DescribeTypeOutput{
		Arn: publicARN(scope.Region, resourceKind, n.Name), Type: resourceKind, TypeName: n.Name, Schema: string(text), Description: descriptionOf(text),
		ProvisioningType: s.provisioning(n.Name), DeprecatedStatus: api.DeprecatedStatusLive, Visibility: api.VisibilityPublic,
	}, nil
}

// provisioning is a built type's ProvisioningType; "" : there is no such type.
func (s *Service) provisioning(name string) string {
	t, ok := s.cfg.Types.Lookup(name)
	switch {
	case !ok:
		return ""
	case t.Create == nil || t.Delete == nil:
		return api.ProvisioningTypeNonProvisionable
	case t.Update == nil:
		return api.ProvisioningTypeImmutable
	}
	return api.ProvisioningTypeFullyMutable
}
