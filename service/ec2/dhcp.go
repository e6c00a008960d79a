package ec2

import (
	"context"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/store"
)

// dhcpView is the one set of DHCP options that there is: the host's resolver, and
// the domain of instances' names.
type dhcpView struct {
	id, domain string
	tags       tagMap
}

// resolverName stands for the resolver of the cloud itself.
const resolverName = "AmazonProvidedDNS"

func domainOf(region string) string {
	if region == arn.DefaultRegion {
		return "ec2.internal"
	}
	return region + ".compute.internal"
}

func dhcpFields(v dhcpView, name string) ([]string, bool) {
	switch name {
	case "dhcp-options-id":
		return one(v.id)
	case "key":
		return []string{"domain-name", "domain-name-servers"}, true
	case "value":
		return []string{v.domain, resolverName}, true
	}
	return tagFields(v.tags, name)
}

// DescribeDhcpOptions tells the default set.
func (s *Service) DescribeDhcpOptions(ctx context.Context, in *api.DescribeDhcpOptionsInput) (*api.DescribeDhcpOptionsOutput, error) {
	scope := auth.From(ctx).Scope
	page, next, err := list(ctx, s, listing[dhcpView]{
		prefix: prefixDHCP, ids: in.DhcpOptionsIds, filters: in.Filters, fields: owned(scope, dhcpFields), dry: in.DryRun, token: in.NextToken, max: in.MaxResults,
		limits: pagesOf1000, id: func(v dhcpView) string { return v.id },
		load: func(tx store.Tx, scope arn.Scope) ([]dhcpView, error) {
			id := s.network(scope).DHCP
			tags, err := tagsOf(tx, scope, id)
			return []dhcpView{{id, domainOf(scope.Region), tags}}, err
		},
	})
	if err != nil {
		return nil, err
	}
	out := &api.DescribeDhcpOptionsOutput{NextToken: next, DhcpOptions: []api.DhcpOptions{}}
	for _, v := range page {
		out.DhcpOptions = append(out.DhcpOptions, api.DhcpOptions{
			DhcpOptionsId: v.id, OwnerId: scope.Account, Tags: v.tags.list(),
			DhcpConfigurations: []api.DhcpConfiguration{
				{Key: "domain-name", Values: []api.AttributeValue{{Value: v.domain}}},
				{Key: "domain-name-servers", Values: []api.AttributeValue{{Value: resolverName}}},
			},
		})
	}
	return out, nil
}
