package cloudformation

import (
	"cmp"
	"context"
	"slices"
	"strings"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// ListTypes lists extensions: the account's own, or with Visibility PUBLIC what AWS
// has and this build, too.
func (s *Service) ListTypes(ctx context.Context, in *api.ListTypesInput) (*api.ListTypesOutput, error) {
	c, err := s.call(ctx)
	if err != nil {
		return nil, err
	}
	f := api.TypeFilters{}
	if in.Filters != nil {
		f = *in.Filters
	}
	var all []api.TypeSummary
	if in.Visibility == api.VisibilityPublic {
		all = s.publicTypes(c.Scope, in)
	} else if all, err = s.privateTypes(ctx, c.Scope, in); err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(t api.TypeSummary) bool {
		return !strings.HasPrefix(t.TypeName, f.TypeNamePrefix) || f.PublisherId != "" && t.PublisherId != f.PublisherId
	})
	slices.SortFunc(all, func(a, b api.TypeSummary) int { return cmp.Compare(a.TypeName, b.TypeName) })
	listing := strings.Join([]string{c.Scope.Key(), in.Type, in.Visibility, in.ProvisioningType, in.DeprecatedStatus, f.Category, f.TypeNamePrefix, f.PublisherId}, " ")
	part, next, err := pageOf(all, listSize(in.MaxResults), listing, in.NextToken, func(t api.TypeSummary) string { return t.TypeName })
	if err != nil {
		return nil, err
	}
	return &api.ListTypesOutput{TypeSummaries: slices.Concat([]api.TypeSummary{}, part), NextToken: next}, nil
}

func listSize(asked *int32) int {
	if asked == nil {
		return pageSize
	}
	return int(*asked)
}

// publicTypes are those of AWS's that are built.
func (s *Service) publicTypes(scope arn.Scope, in *api.ListTypesInput) []api.TypeSummary {
	category := ""
	if in.Filters != nil {
		category = in.Filters.Category
	}
	if in.DeprecatedStatus == api.DeprecatedStatusDeprecated || category != "" && category != api.CategoryAwsTypes {
		return nil
	}
	var all []api.TypeSummary
	if in.Type == hookKind {
		for _, h := range ownHooks {
			all = append(all, api.TypeSummary{
				Type: hookKind, TypeName: h.name, TypeArn: originalARN(scope.Region, h.name), PublisherId: hooksPublisher, Description: h.description,
			})
		}
		return all
	}
	if in.Type != "" && in.Type != resourceKind {
		return nil
	}
	for _, name := range s.cfg.Types.Names() {
		text, ok := s.cfg.Schemas.Text(name)
		if !ok || in.ProvisioningType != "" && in.ProvisioningType != s.provisioning(name) {
			continue
		}
		all = append(all, api.TypeSummary{Type: resourceKind, TypeName: name, TypeArn: publicARN(scope.Region, resourceKind, name), Description: descriptionOf(text)})
	}
	return all
}

// privateTypes are those that the account has registered or activated.
func (s *Service) privateTypes(ctx context.Context, scope arn.Scope, in *api.ListTypesInput) (all []api.TypeSummary, err error) {
	category := ""
	if in.Filters != nil {
		category = in.Filters.Category
	}
	err = s.view(ctx, func(tx store.Tx) error {
		all = nil
		for it, err := range extensions.Scan(tx, scope.Key()+"/") {
			if err != nil {
				return err
			}
			e := it.Value
			switch {
			case in.Type != "" && e.Kind != in.Type, e.Deprecated != (in.DeprecatedStatus == api.DeprecatedStatusDeprecated),
				category == api.CategoryActivated && e.Original == "", category == api.CategoryRegistered && e.Original != "",
				category == api.CategoryAwsTypes, category == api.CategoryThirdParty:
				continue
			}
			v, err := e.getVersion(tx, "")
			if err != nil {
				return err
			}
			if in.ProvisioningType != "" && v.Provisioning != in.ProvisioningType {
				continue
			}
			t := api.TypeSummary{
				Type: e.Kind, TypeName: e.Name, TypeArn: e.arn(""), DefaultVersionId: e.Default, LastUpdated: &e.Updated, Description: v.Description,
				OriginalTypeName: e.Original, PublisherId: e.Publisher,
			}
			if e.Original != "" {
				t.IsActivated, t.DefaultVersionId = new(true), ""
			}
			all = append(all, t)
		}
		return nil
	})
	return all, err
}

// ListTypeVersions lists the versions of a registered extension.
func (s *Service) ListTypeVersions(ctx context.Context, in *api.ListTypeVersionsInput) (*api.ListTypeVersionsOutput, error) {
	c, err := s.call(ctx)
	if err != nil {
		return nil, err
	}
	if in.PublisherId != "" {
		return nil, fault.New(fault.NotImplemented, "extensions of third-party publishers are not implemented")
	}
	n, err := extensionNamed(c.Scope, named{Kind: in.Type, Name: in.TypeName, ARN: in.Arn})
	if err != nil {
		return nil, err
	}
	out := &api.ListTypeVersionsOutput{TypeVersionSummaries: []api.TypeVersionSummary{}}
	err = s.view(ctx, func(tx store.Tx) error {
		e, err := getExtension(tx, c.Scope, n.Kind, n.Name)
		if err == nil && e == nil {
			err = noType(n.Name)
		}
		if err != nil {
			return err
		}
		deprecated := in.DeprecatedStatus == api.DeprecatedStatusDeprecated
		items, next, err := extensionVersions.Page(tx, e.key()+"/", in.NextToken, listSize(in.MaxResults), func(v *extensionVersion) bool {
			return v.Deprecated == deprecated
		})
		for _, it := range items {
			v := it.Value
			out.TypeVersionSummaries = append(out.TypeVersionSummaries, api.TypeVersionSummary{
				Type: e.Kind, TypeName: e.Name, VersionId: v.Version, IsDefaultVersion: new(v.Version == e.Default), Arn: e.arn(v.Version),
				TimeCreated: &v.Created, Description: v.Description,
			})
		}
		out.NextToken = next
		return tokenError(err, in.NextToken)
	})
	return out, err
}
