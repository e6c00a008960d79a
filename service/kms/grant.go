package kms

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/slipway/slipway/api/kms"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/policy"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// grant lets a principal use a key, beside the key's policy. It holds at once:
// a grant token is accepted, and needed by nobody.
type grant struct {
	ID          string
	Token       string
	Key         string // path of the key
	Name        string `json:",omitempty"`
	Grantee     string
	Retiring    string `json:",omitempty"`
	Issuer      string // ARN of the issuing account's root
	Operations  []string
	Constraints *kms.GrantConstraints `json:",omitempty"`
	Created     time.Time
}

var grantIndexes = []store.Index[grant]{
	{Name: "token", Keys: func(_ string, g *grant) []string { return []string{g.Token} }},
	{Name: "retiring", Keys: func(_ string, g *grant) []string {
		if g.Retiring == "" {
			return nil
		}
		return []string{g.Retiring}
	}},
}

func (g *grant) path() string { return g.Key + "/" + g.ID }

// constrained are the operations that have an encryption context.
var constrained = []string{
	"Encrypt", "Decrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "GenerateDataKeyPair",
	"GenerateDataKeyPairWithoutPlaintext", "ReEncryptFrom", "ReEncryptTo",
}

// allows says whether a grant allows a request of a principal.
func (g *grant) allows(p auth.Principal, r request) bool {
	if !slices.Contains(g.Operations, r.operation) || !is(p, g.Grantee) {
		return false
	}
	if in, ok := r.in.(*kms.CreateGrantInput); ok { // no more than the caller may itself
		for _, o := range in.Operations {
			if !slices.Contains(g.Operations, o) {
				return false
			}
		}
		return within(in.Constraints, g.Constraints)
	}
	c := g.Constraints
	if c == nil || !slices.Contains(constrained, r.operation) {
		return true
	}
	if c.EncryptionContextEquals != nil && !maps.Equal(c.EncryptionContextEquals, r.context) {
		return false
	}
	for name, value := range c.EncryptionContextSubset {
		if got, ok := r.context[name]; !ok || got != value {
			return false
		}
	}
	return true
}

// within says whether a grant's constraints let nothing through that the
// constraints of the grant by which it is made keep out.
func within(c, outer *kms.GrantConstraints) bool {
	if outer == nil {
		return true
	}
	if c == nil {
		c = &kms.GrantConstraints{}
	}
	if outer.EncryptionContextEquals != nil && (c.EncryptionContextEquals == nil || !maps.Equal(c.EncryptionContextEquals, outer.EncryptionContextEquals)) {
		return false
	}
	for name, value := range outer.EncryptionContextSubset {
		equal, ok := c.EncryptionContextEquals[name]
		if ok && equal == value {
			continue
		}
		if part, ok := c.EncryptionContextSubset[name]; !ok || part != value {
			return false
		}
	}
	return true
}

// is says whether a principal is the one of an ARN, as policies name them. The
// ARN was checked when it was kept.
func is(p auth.Principal, name string) bool {
	doc, err := principals.Parse(`{"Statement":{"Effect":"Allow","Principal":{"AWS":"`+name+`"},"Action":"*","Resource":"*"}}`, policy.Resource)
	return err == nil && doc.Decide(p.Caller(), policy.Request{Action: "kms:CreateGrant", Resource: "*"}) == policy.Allowed
}

var principals policy.Cache

// granted says whether a grant of the key allows the request.
func (s *Service) granted(tx store.Tx, k *key, p auth.Principal, r request) (bool, error) {
	for e, err := range s.grants.Scan(tx, k.path()+"/") {
		if err != nil || e.Value.allows(p, r) {
			return err == nil, err
		}
	}
	return false, nil
}

// byToken finds a grant; nil where no grant has the token.
func (s *Service) byToken(tx store.Tx, token string) (*grant, error) {
	for e, err := range s.grants.ByIndex(tx, "token", token) {
		return e.Value, err
	}
	return nil, nil
}

func (s *Service) checkTokens(tx store.Tx, tokens []string) error {
	for _, t := range tokens {
		g, err := s.byToken(tx, t)
		if err != nil {
			return err
		}
		if g == nil {
			return fault.New(fault.InvalidGrantToken, "The grant token is not valid.")
		}
	}
	return nil
}

var principalForm = regexp.MustCompile(`^[\w+=,.@/-]+$`)

// checkPrincipal refuses what no principal is named by.
func checkPrincipal(name string) error {
	a, err := arn.Parse(name)
	if err != nil || a.Service != "iam" && a.Service != "sts" || !arn.IsAccount(a.Account) || !principalForm.MatchString(a.Resource) {
		return fault.New(fault.InvalidArn, "ARN does not refer to a valid principal: %s", name)
	}
	return nil
}

func (k *key) checkGrant(in *kms.CreateGrantInput) error {
	if err := checkPrincipal(in.GranteePrincipal); err != nil {
		return err
	}
	if in.RetiringPrincipal != "" {
		if err := checkPrincipal(in.RetiringPrincipal); err != nil {
			return err
		}
	}
	always := []string{kms.GrantOperationDescribeKey, kms.GrantOperationCreateGrant, kms.GrantOperationRetireGrant}
	fits := map[string][]string{
		kms.KeyUsageTypeSignVerify:        {kms.GrantOperationSign, kms.GrantOperationVerify, kms.GrantOperationGetPublicKey},
		kms.KeyUsageTypeGenerateVerifyMac: {kms.GrantOperationGenerateMac, kms.GrantOperationVerifyMac},
		kms.KeyUsageTypeKeyAgreement:      {kms.GrantOperationDeriveSharedSecret, kms.GrantOperationGetPublicKey},
		kms.KeyUsageTypeEncryptDecrypt:    constrained,
	}[k.Usage]
	if k.Usage == kms.KeyUsageTypeEncryptDecrypt && !k.symmetric() {
		fits = []string{"Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo", "GetPublicKey"}
	}
	for _, o := range in.Operations {
		if !slices.Contains(always, o) && !slices.Contains(fits, o) {
			return fault.New(fault.ValidationException, "Grant operation %s is not valid for a key of spec %s and usage %s.", o, k.Spec, k.Usage)
		}
	}
	if in.Constraints != nil && !k.symmetric() {
		return fault.New(fault.ValidationException, "Encryption context constraints are for symmetric encryption keys only.")
	}
	return nil
}

// CreateGrant lets a principal use a key. A second grant of the same name and
// content is the first one.
func (s *Service) CreateGrant(ctx context.Context, in *kms.CreateGrantInput) (*kms.CreateGrantOutput, error) {
	if err := s.ensureManaged(ctx, in.KeyId); err != nil {
		return nil, err
	}
	var g *grant
	err := s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		k, err := s.find(ctx, tx, in.KeyId, request{operation: "CreateGrant", tokens: in.GrantTokens, in: in})
		if err != nil {
			return err
		}
		if err := k.usable(s.cfg.Now()); err != nil {
			return err
		}
		if err := k.checkGrant(in); err != nil {
			return err
		}
		if err := (request{dryRun: in.DryRun}).dry(); err != nil {
			return err
		}
		if g, err = s.sameGrant(tx, k, in); err != nil || g != nil {
			return err
		}
		g = newGrant(ctx, k, in)
		g.Created = s.cfg.Now().UTC()
		return s.grants.Put(tx, g.path(), g)
	})
	if err != nil {
		return nil, err
	}
	return &kms.CreateGrantOutput{GrantId: g.ID, GrantToken: g.Token}, nil
}

func newGrant(ctx context.Context, k *key, in *kms.CreateGrantInput) *grant {
	b := make([]byte, 32+48)
	_, _ = rand.Read(b)
	return &grant{
		ID: hex.EncodeToString(b[:32]), Token: base64.RawURLEncoding.EncodeToString(b[32:]), Key: k.path(), Name: in.Name,
		Grantee: in.GranteePrincipal, Retiring: in.RetiringPrincipal, Operations: in.Operations, Constraints: in.Constraints,
		Issuer: auth.From(ctx).Scope.Global("iam", "root").String(),
	}
}

// sameGrant finds the grant that a repeated call made.
func (s *Service) sameGrant(tx store.Tx, k *key, in *kms.CreateGrantInput) (*grant, error) {
	if in.Name == "" {
		return nil, nil
	}
	for e, err := range s.grants.Scan(tx, k.path()+"/") {
		if err != nil {
			return nil, err
		}
		g := e.Value
		if g.Name == in.Name && g.Grantee == in.GranteePrincipal && g.Retiring == in.RetiringPrincipal &&
			slices.Equal(g.Operations, in.Operations) && sameConstraints(g.Constraints, in.Constraints) {
			return g, nil
		}
	}
	return nil, nil
}

func sameConstraints(a, b *kms.GrantConstraints) bool {
	if a == nil || b == nil {
		return a == b
	}
	return maps.Equal(a.EncryptionContextEquals, b.EncryptionContextEquals) && maps.Equal(a.EncryptionContextSubset, b.EncryptionContextSubset)
}

func (g *grant) entry() kms.GrantListEntry {
	account, rest, _ := strings.Cut(g.Key, "/")
	region, id, _ := strings.Cut(rest, "/")
	return kms.GrantListEntry{
		KeyId: arn.Scope{Account: account, Region: region}.ARN("kms", "key/"+id).String(), GrantId: g.ID, Name: g.Name,
		CreationDate: &g.Created, GranteePrincipal: g.Grantee, RetiringPrincipal: g.Retiring, IssuingAccount: g.Issuer,
		Operations: g.Operations, Constraints: g.Constraints,
	}
}

// ListGrants lists the grants of a key.
func (s *Service) ListGrants(ctx context.Context, in *kms.ListGrantsInput) (*kms.ListGrantsOutput, error) {
	limit, marker := page(in.Limit, in.Marker)
	var out *kms.ListGrantsOutput
	err := s.cfg.Store.View(ctx, func(tx store.Tx) error {
		k, err := s.find(ctx, tx, in.KeyId, request{operation: "ListGrants", in: in})
		if err != nil {
			return err
		}
		out = &kms.ListGrantsOutput{Grants: []kms.GrantListEntry{}}
		items, next, err := s.grants.Page(tx, k.path()+"/", marker, limit, func(g *grant) bool {
			return (in.GrantId == "" || g.ID == in.GrantId) && (in.GranteePrincipal == "" || g.Grantee == in.GranteePrincipal)
		})
		for _, e := range items {
			out.Grants = append(out.Grants, e.Value.entry())
		}
		out.NextMarker, out.Truncated = next, new(next != "")
		return pageError(err)
	})
	return either(out, err)
}

// ListRetirableGrants lists the grants of the account that a principal can retire.
func (s *Service) ListRetirableGrants(ctx context.Context, in *kms.ListRetirableGrantsInput) (*kms.ListRetirableGrantsOutput, error) {
	limit, marker := page(in.Limit, in.Marker)
	scope := auth.From(ctx).Scope
	out := &kms.ListRetirableGrantsOutput{}
	err := s.cfg.Store.View(ctx, func(tx store.Tx) error {
		out = &kms.ListRetirableGrantsOutput{Grants: []kms.GrantListEntry{}, Truncated: new(false)}
		for e, err := range s.grants.ByIndex(tx, "retiring", in.RetiringPrincipal) {
			switch {
			case err != nil:
				return err
			case !strings.HasPrefix(e.Key, scope.Key()+"/") || e.Value.ID <= marker:
				continue
			}
			out.Grants = append(out.Grants, e.Value.entry())
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(out.Grants, func(a, b kms.GrantListEntry) int { return strings.Compare(a.GrantId, b.GrantId) })
	if len(out.Grants) > limit {
		out.Grants = out.Grants[:limit]
		out.NextMarker, out.Truncated = out.Grants[limit-1].GrantId, new(true)
	}
	return out, nil
}

// RetireGrant ends a grant at the request of who may retire it.
func (s *Service) RetireGrant(ctx context.Context, in *kms.RetireGrantInput) (*kms.RetireGrantOutput, error) {
	if in.GrantToken == "" && (in.KeyId == "" || in.GrantId == "") {
		return nil, fault.New(fault.ValidationException, "A grant is named by GrantToken, or by KeyId and GrantId.")
	}
	return either(&kms.RetireGrantOutput{}, s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		g, err := s.retirable(ctx, tx, in)
		if err != nil {
			return err
		}
		call := auth.From(ctx)
		p := call.Principal
		free := !p.Enforced && strings.HasPrefix(g.Key, call.Scope.Key()+"/")
		byGrantee := slices.Contains(g.Operations, kms.GrantOperationRetireGrant) && is(p, g.Grantee)
		if !free && !byGrantee && !(p.Kind == auth.Root && p.ARN == g.Issuer) && (g.Retiring == "" || !is(p, g.Retiring)) {
			return fault.New(fault.AccessDeniedException, "User: %s is not authorized to perform: kms:RetireGrant on the grant %s", p.ARN, g.ID)
		}
		if err := (request{dryRun: in.DryRun}).dry(); err != nil {
			return err
		}
		return s.grants.Delete(tx, g.path())
	}))
}

func (s *Service) retirable(ctx context.Context, tx store.Tx, in *kms.RetireGrantInput) (*grant, error) {
	if in.GrantToken != "" {
		g, err := s.byToken(tx, in.GrantToken)
		if err == nil && g == nil {
			err = fault.New(fault.InvalidGrantToken, "The grant token is not valid.")
		}
		return g, err
	}
	k, err := s.resolve(ctx, tx, in.KeyId)
	if err != nil {
		return nil, err
	}
	return s.grantOf(tx, k, in.GrantId)
}

func (s *Service) grantOf(tx store.Tx, k *key, id string) (*grant, error) {
	g, err := s.grants.Get(tx, k.path()+"/"+id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, fault.New(fault.NotFoundException, "Grant ID %s not found", id)
	}
	return g, err
}

// RevokeGrant ends a grant at the request of the key's administrators.
func (s *Service) RevokeGrant(ctx context.Context, in *kms.RevokeGrantInput) (*kms.RevokeGrantOutput, error) {
	return either(&kms.RevokeGrantOutput{}, s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		k, err := s.find(ctx, tx, in.KeyId, request{operation: "RevokeGrant", in: in})
		if err != nil {
			return err
		}
		g, err := s.grantOf(tx, k, in.GrantId)
		if err != nil {
			return err
		}
		if err := (request{dryRun: in.DryRun}).dry(); err != nil {
			return err
		}
		return s.grants.Delete(tx, g.path())
	}))
}
