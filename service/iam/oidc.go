package iam

import (
	"context"
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	api "github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// oidcProvider is a stored OpenID Connect provider. Its name is the issuer's URL
// without the scheme.
type oidcProvider struct {
	Name        string
	Clients     []string `json:",omitempty"`
	Thumbprints []string `json:",omitempty"`
	Created     time.Time
	Tags        []api.Tag `json:",omitempty"`
	Token       string    `json:",omitempty"`
}

var oidcProviders = noun[oidcProvider]{
	store.NewCollection[oidcProvider]("iam/oidcprovider"),
	"OpenIDConnectProvider", "OpenIDConnect Provider not found for arn %s", "url", 255,
	func(p *oidcProvider) string { return p.Name }, "OpenIdConnectProvidersPerAccount", 100,
}

const (
	maxOIDCClients     = 100
	maxOIDCThumbprints = 5
)

var thumbprintForm = regexp.MustCompile(`^[0-9a-fA-F]{40}$`)

// issuer checks a provider's URL and gives its name.
func issuer(text string) (string, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil:
		return "", fault.New(fault.ValidationError, "Invalid Open ID Connect Provider URL")
	case u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		return "", fault.New(fault.ValidationError, "Invalid Open ID Connect Provider URL: it must not have a query or a fragment")
	}
	return strings.TrimSuffix(strings.TrimPrefix(text, "https://"), "/"), nil
}

func oidcARN(account, name string) string { return globalARN(account, "oidc-provider/"+name) }

// oidcName finds the provider's name in an ARN of the caller's account.
func oidcName(account, providerARN string) (string, error) {
	name, ok := strings.CutPrefix(providerARN, oidcARN(account, ""))
	if !ok || name == "" {
		return "", fault.New(fault.NoSuchEntity, oidcProviders.missing, providerARN)
	}
	return name, nil
}

func findOIDC(tx store.Tx, account, providerARN string) (*oidcProvider, error) {
	name, err := oidcName(account, providerARN)
	if err != nil {
		return nil, err
	}
	p, err := oidcProviders.Get(tx, nounKey(account, name))
	if errors.Is(err, store.ErrNotFound) {
		return nil, fault.New(fault.NoSuchEntity, oidcProviders.missing, providerARN)
	}
	return p, err
}

func editOIDC(ctx context.Context, s *Service, providerARN string, fn func(p *oidcProvider) error) error {
	account := auth.From(ctx).Scope.Account
	return s.store.Update(ctx, func(tx store.Tx) error {
		p, err := findOIDC(tx, account, providerARN)
		if err != nil {
			return err
		}
		if err := fn(p); err != nil {
			return err
		}
		return oidcProviders.Put(tx, nounKey(account, p.Name), p)
	})
}

func readOIDC(ctx context.Context, s *Service, providerARN string) (p *oidcProvider, err error) {
	err = s.store.View(ctx, func(tx store.Tx) (err error) {
		p, err = findOIDC(tx, auth.From(ctx).Scope.Account, providerARN)
		return err
	})
	return p, err
}

func checkThumbprints(list []string) error {
	if len(list) > maxOIDCThumbprints {
		return fault.New(fault.InvalidInput, "Thumbprint list must contain fewer than %d entries.", maxOIDCThumbprints)
	}
	for _, t := range list {
		if !thumbprintForm.MatchString(t) {
			return fault.New(fault.ValidationError, "Thumbprint %s is not the SHA-1 of a certificate: 40 hexadecimal digits.", t)
		}
	}
	return nil
}

// CreateOpenIDConnectProvider makes tokens of an issuer count. Thumbprints that
// are not given are not fetched: the issuer's certificate must then be one that
// the host's authorities vouch for.
func (s *Service) CreateOpenIDConnectProvider(ctx context.Context, in *api.CreateOpenIDConnectProviderInput) (*api.CreateOpenIDConnectProviderOutput, error) {
	name, err := issuer(in.Url)
	if err != nil {
		return nil, err
	}
	if err := checkThumbprints(in.ThumbprintList); err != nil {
		return nil, err
	}
	if len(in.ClientIDList) > maxOIDCClients {
		return nil, overQuota("ClientIdsPerOpenIdConnectProvider", maxOIDCClients)
	}
	tags, err := merge(ctx, nil, in.Tags)
	if err != nil {
		return nil, err
	}
	call := auth.From(ctx)
	account := call.Scope.Account
	p := &oidcProvider{
		Name: name, Clients: slices.Clone(in.ClientIDList), Thumbprints: slices.Clone(in.ThumbprintList),
		Created: s.now().UTC().Truncate(time.Second), Tags: tags, Token: call.Token,
	}
	made := p
	err = s.store.Update(ctx, func(tx store.Tx) error {
		made = p
		have, err := oidcProviders.Get(tx, nounKey(account, name))
		switch {
		case err == nil && call.Token != "" && have.Token == call.Token:
			made = have
			return nil
		case err == nil:
			return fault.New(fault.EntityAlreadyExists, "Provider with url %s already exists.", in.Url)
		case !errors.Is(err, store.ErrNotFound):
			return err
		}
		if err := oidcProviders.tally(tx, account, 1); err != nil {
			return err
		}
		return oidcProviders.Put(tx, nounKey(account, name), p)
	})
	if err != nil {
		return nil, err
	}
	return &api.CreateOpenIDConnectProviderOutput{OpenIDConnectProviderArn: oidcARN(account, made.Name), Tags: made.Tags}, nil
}

// GetOpenIDConnectProvider describes a provider.
func (s *Service) GetOpenIDConnectProvider(ctx context.Context, in *api.GetOpenIDConnectProviderInput) (*api.GetOpenIDConnectProviderOutput, error) {
	p, err := readOIDC(ctx, s, in.OpenIDConnectProviderArn)
	if err != nil {
		return nil, err
	}
	return &api.GetOpenIDConnectProviderOutput{Url: p.Name, ClientIDList: p.Clients, ThumbprintList: p.Thumbprints, CreateDate: &p.Created, Tags: p.Tags}, nil
}

// ListOpenIDConnectProviders lists the account's providers.
func (s *Service) ListOpenIDConnectProviders(ctx context.Context, _ *api.ListOpenIDConnectProvidersInput) (*api.ListOpenIDConnectProvidersOutput, error) {
	account := auth.From(ctx).Scope.Account
	out := &api.ListOpenIDConnectProvidersOutput{}
	err := s.store.View(ctx, func(tx store.Tx) error {
		out.OpenIDConnectProviderList = []api.OpenIDConnectProviderListEntry{}
		for e, err := range oidcProviders.Scan(tx, account+"/") {
			if err != nil {
				return err
			}
			out.OpenIDConnectProviderList = append(out.OpenIDConnectProviderList, api.OpenIDConnectProviderListEntry{Arn: oidcARN(account, e.Value.Name)})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// AddClientIDToOpenIDConnectProvider adds an audience; one that is there stays.
func (s *Service) AddClientIDToOpenIDConnectProvider(ctx context.Context, in *api.AddClientIDToOpenIDConnectProviderInput) (*api.AddClientIDToOpenIDConnectProviderOutput, error) {
	return &api.AddClientIDToOpenIDConnectProviderOutput{}, editOIDC(ctx, s, in.OpenIDConnectProviderArn, func(p *oidcProvider) error {
		if slices.Contains(p.Clients, in.ClientID) {
			return nil
		}
		if len(p.Clients) >= maxOIDCClients {
			return overQuota("ClientIdsPerOpenIdConnectProvider", maxOIDCClients)
		}
		p.Clients = append(p.Clients, in.ClientID)
		return nil
	})
}

// RemoveClientIDFromOpenIDConnectProvider takes an audience away; one that is
// not there is no error.
func (s *Service) RemoveClientIDFromOpenIDConnectProvider(ctx context.Context, in *api.RemoveClientIDFromOpenIDConnectProviderInput) (*api.RemoveClientIDFromOpenIDConnectProviderOutput, error) {
	return &api.RemoveClientIDFromOpenIDConnectProviderOutput{}, editOIDC(ctx, s, in.OpenIDConnectProviderArn, func(p *oidcProvider) error {
		p.Clients = slices.DeleteFunc(p.Clients, func(c string) bool { return c == in.ClientID })
		return nil
	})
}

// UpdateOpenIDConnectProviderThumbprint replaces the thumbprints.
func (s *Service) UpdateOpenIDConnectProviderThumbprint(ctx context.Context, in *api.UpdateOpenIDConnectProviderThumbprintInput) (*api.UpdateOpenIDConnectProviderThumbprintOutput, error) {
	if err := checkThumbprints(in.ThumbprintList); err != nil {
		return nil, err
	}
	return &api.UpdateOpenIDConnectProviderThumbprintOutput{}, editOIDC(ctx, s, in.OpenIDConnectProviderArn, func(p *oidcProvider) error {
		p.Thumbprints = slices.Clone(in.ThumbprintList)
		return nil
	})
}

// DeleteOpenIDConnectProvider removes a provider; one that is gone is no error.
func (s *Service) DeleteOpenIDConnectProvider(ctx context.Context, in *api.DeleteOpenIDConnectProviderInput) (*api.DeleteOpenIDConnectProviderOutput, error) {
	account := auth.From(ctx).Scope.Account
	return &api.DeleteOpenIDConnectProviderOutput{}, s.store.Update(ctx, func(tx store.Tx) error {
		p, err := findOIDC(tx, account, in.OpenIDConnectProviderArn)
		if fault.Is(err, fault.NoSuchEntity) {
			return nil
		}
		if err != nil {
			return err
		}
		return oidcProviders.drop(tx, account, p.Name)
	})
}

// TagOpenIDConnectProvider puts tags on a provider.
func (s *Service) TagOpenIDConnectProvider(ctx context.Context, in *api.TagOpenIDConnectProviderInput) (*api.TagOpenIDConnectProviderOutput, error) {
	return &api.TagOpenIDConnectProviderOutput{}, editOIDC(ctx, s, in.OpenIDConnectProviderArn, func(p *oidcProvider) (err error) {
		p.Tags, err = merge(ctx, p.Tags, in.Tags)
		return err
	})
}

// UntagOpenIDConnectProvider takes tags off a provider.
func (s *Service) UntagOpenIDConnectProvider(ctx context.Context, in *api.UntagOpenIDConnectProviderInput) (*api.UntagOpenIDConnectProviderOutput, error) {
	return &api.UntagOpenIDConnectProviderOutput{}, editOIDC(ctx, s, in.OpenIDConnectProviderArn, func(p *oidcProvider) error {
		p.Tags = without(p.Tags, in.TagKeys)
		return nil
	})
}

// ListOpenIDConnectProviderTags lists a provider's tags.
func (s *Service) ListOpenIDConnectProviderTags(ctx context.Context, in *api.ListOpenIDConnectProviderTagsInput) (*api.ListOpenIDConnectProviderTagsOutput, error) {
	p, err := readOIDC(ctx, s, in.OpenIDConnectProviderArn)
	if err != nil {
		return nil, err
	}
	page, next := pageTags(p.Tags, in.Marker, in.MaxItems)
	return &api.ListOpenIDConnectProviderTagsOutput{Tags: page, Marker: next, IsTruncated: new(next != "")}, nil
}
