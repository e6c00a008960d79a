package auth

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth/policy"
)

// requestKeys tells the condition keys of a request, each only when a policy asks
// for it. Keys of the request's own service that are not evaluated are not known;
// those of other services are absent, as they are in AWS.
type requestKeys struct {
	call   *Call
	in     membersOf
	action string
	own    policy.Context // of this action alone
	whole  bool           // own has all that the service's keys tell

	// Set as the request is decided.
	ctx      context.Context
	iam      *IAM
	resource string
	owner    string
}

// keys makes the condition keys of one action of the call.
func (c *Call) keys(in membersOf, action string, own policy.Context) *requestKeys {
	return &requestKeys{call: c, in: in, action: action, own: own}
}

// at is the keys as they are for one resource.
func (k *requestKeys) at(ctx context.Context, iam *IAM, resource, owner string) *requestKeys {
	out := *k
	out.ctx, out.iam, out.resource, out.owner = ctx, iam, resource, owner
	return &out
}

// Lookup returns a key's values.
func (k *requestKeys) Lookup(key string) ([]string, bool) {
	if v, ok := k.own[key]; ok {
		return v, true
	}
	prefix, name, ok := strings.Cut(key, ":")
	if !ok {
		return nil, true
	}
	if prefix == "aws" {
		return k.global(name)
	}
	if service, _, _ := strings.Cut(k.action, ":"); service != prefix {
		return k.claim(key), true
	}
	if t, ok := tables[k.call.Service]; ok && t.prefix == prefix {
		return t.keys(k, name)
	}
	// Another service's action, such as iam:PassRole, is asked for with keys of its own.
	return nil, prefix == "iam" && name == "associatedresourcearn"
}

// claim is what an identity provider said of the session ("issuer:sub").
func (k *requestKeys) claim(key string) []string {
	if s := k.call.Principal.Session; s != nil {
		return s.Claims[key]
	}
	return nil
}

func one(v string) []string {
	if v == "" {
		return nil
	}
	return []string{v}
}

func boolText(b bool) string { return strconv.FormatBool(b) }

// global tells the keys of all services ("AWS global condition context keys", IAM
// User Guide). Those of organizations, VPC endpoints and the like, which no call
// here has, are absent.
func (k *requestKeys) global(name string) ([]string, bool) {
	if kind, rest, ok := strings.Cut(name, "/"); ok {
		switch kind {
		case "principaltag":
			return k.principalTag(rest)
		case "requesttag":
			return k.requestTag(rest), true
		case "resourcetag":
			return k.resourceTag(rest)
		}
		return nil, false
	}
	if v, ok := k.ofPrincipal(name); ok {
		return v, true
	}
	c := k.call
	switch name {
	case "requestedregion":
		return one(c.Scope.Region), true
	case "sourceip":
		if strings.HasSuffix(c.SourceIP, ".amazonaws.com") {
			return nil, true
		}
		return one(c.SourceIP), true
	case "securetransport":
		return []string{boolText(strings.HasPrefix(c.Endpoint, "https:"))}, true
	case "useragent":
		return one(c.UserAgent), true
	case "referer":
		return one(c.Referer), true
	case "currenttime":
		return []string{c.now().UTC().Format(time.RFC3339)}, true
	case "epochtime":
		return []string{strconv.FormatInt(c.now().Unix(), 10)}, true
	case "viaawsservice":
		return []string{boolText(len(c.Via) > 0)}, true
	case "calledvia":
		return c.Via, true
	case "calledviafirst":
		if len(c.Via) > 0 {
			return c.Via[:1], true
		}
		return nil, true
	case "calledvialast":
		return c.Via[max(len(c.Via)-1, 0):], true
	case "sourcearn", "sourceaccount", "sourceowner":
		return c.source(name), true
	case "tagkeys":
		return k.tagKeys(), true
	case "resourceaccount":
		return k.resourceAccount()
	case "principalorgid", "principalorgpaths", "resourceorgid", "resourceorgpaths":
		return k.organization(name)
	}
	return nil, absentKeys[name]
}

// absentKeys are global keys that no call here ever has.
var absentKeys = map[string]bool{
	"sourceorgid": true, "sourceorgpaths": true, "sourcevpc": true, "sourcevpcarn": true, "sourcevpce": true, "vpceaccount": true, "vpceorgid": true,
	"vpceorgpaths": true, "vpcsourceip": true, "ec2instancesourcevpc": true, "ec2instancesourceprivateipv4": true,
	"assumedroot": true, "chatbotsourcearn": true,
}

// source tells on whose behalf a service calls. The owner is, for SNS, also the account
// of who calls for himself: the policy that every topic begins with asks for it.
func (c *Call) source(name string) []string {
	switch {
	case name == "sourcearn":
		return one(c.SourceARN)
	case name == "sourceowner" && c.SourceAccount == "" && c.Service == "sns":
		return one(c.Principal.Account)
	}
	return one(c.SourceAccount)
}

func (c *Call) now() time.Time {
	if c.Time.IsZero() {
		return time.Now()
	}
	return c.Time
}

// ofPrincipal are the keys about who calls.
func (k *requestKeys) ofPrincipal(name string) ([]string, bool) {
	p := &k.call.Principal
	switch name {
	case "userid":
		return one(p.UserID), true
	case "username":
		if p.Kind == User {
			return one(p.Name), true
		}
		return nil, true
	case "principalaccount":
		return one(p.Account), true
	case "principaltype":
		if p.Kind == Root {
			return []string{"Account"}, true
		}
		return one(string(p.Kind)), true
	case "principalarn":
		return k.principalARN(), true
	case "principalisawsservice":
		return []string{boolText(p.Kind == Service)}, true
	case "principalservicename", "principalservicenameslist":
		if p.Kind == Service {
			return one(p.Name), true
		}
		return nil, true
	}
	s := p.Session
	switch name {
	case "tokenissuetime":
		if s == nil || s.Issued.IsZero() {
			return nil, true
		}
		return []string{s.Issued.UTC().Format(time.RFC3339)}, true
	case "multifactorauthpresent":
		if s == nil {
			return nil, true // of long-term keys
		}
		return []string{boolText(!s.MFA.IsZero())}, true
	case "multifactorauthage": // in seconds
		if s == nil || s.MFA.IsZero() {
			return nil, true
		}
		return []string{strconv.FormatInt(int64(k.call.now().Sub(s.MFA)/time.Second), 10)}, true
	case "sourceidentity":
		if s == nil {
			return nil, true
		}
		return one(s.SourceIdentity), true
	case "federatedprovider":
		if s == nil {
			return nil, true
		}
		return one(s.Provider), true
	}
	return nil, false
}

// principalARN is a role's own ARN for its sessions.
func (k *requestKeys) principalARN() []string {
	p := &k.call.Principal
	if p.Kind != AssumedRole {
		return one(p.ARN)
	}
	role := roleARN(p)
	if p.known != nil {
		return []string{p.known.arn}
	}
	if k.iam != nil && k.iam.Policies != nil {
		if full, err := k.iam.Policies.FullARN(k.ctx, role); err == nil {
			return []string{full}
		}
	}
	return []string{role}
}

// principalTag is a tag of the session or, behind it, of the user or role.
func (k *requestKeys) principalTag(name string) ([]string, bool) {
	p := &k.call.Principal
	if p.Session != nil {
		if v, known := TagFold(p.Session.Tags, name); v != nil || !known {
			return v, known
		}
	}
	if p.Kind != User && p.Kind != AssumedRole && p.Kind != FederatedUser {
		return nil, true
	}
	if p.known != nil {
		return TagFold(p.known.tags, name)
	}
	if k.iam == nil || k.iam.Policies == nil {
		return nil, false
	}
	who := *p
	if p.Kind == FederatedUser && p.Session != nil && p.Session.Issuer != nil {
		who = *p.Session.Issuer
	}
	tags, err := k.iam.Policies.PrincipalTags(k.ctx, who)
	if err != nil {
		return nil, false
	}
	return TagFold(tags, name)
}

// TagFold finds a tag, whatever the case of its key. known is false where keys that
// differ by case alone have different values: nobody can say which is meant.
func TagFold(tags map[string]string, name string) (values []string, known bool) {
	for k, v := range tags {
		if !strings.EqualFold(k, name) {
			continue
		}
		if len(values) > 0 && values[0] != v {
			return nil, false
		}
		values = []string{v}
	}
	return values, true
}

func (k *requestKeys) requestTag(name string) (out []string) {
	k.in.requestTags(func(key, value string) {
		if strings.EqualFold(key, name) {
			out = []string{value}
		}
	})
	return out
}

// tagKeys are the keys of the tags that a request sets or removes.
func (k *requestKeys) tagKeys() []string {
	var out []string
	k.in.requestTags(func(key, _ string) { out = append(out, key) })
	return append(out, k.in.texts("TagKeys")...)
}

// resourceTag is a tag of the resource, where its service tells tags.
func (k *requestKeys) resourceTag(name string) ([]string, bool) {
	if k.iam == nil || strings.Contains(k.resource, "*") {
		return nil, k.unmade()
	}
	a, err := arn.Parse(k.resource)
	if err != nil {
		return nil, false
	}
	source, ok := k.iam.Tags[a.Service]
	if !ok {
		return nil, false
	}
	tags, err := source.ResourceTags(k.ctx, k.resource)
	if err != nil {
		return nil, false
	}
	return TagFold(tags, name)
}

// unmade reports whether the call makes the resource, which has no tags yet. Any
// other that only a wildcard names is there, and nobody knows which.
func (k *requestKeys) unmade() bool {
	if !strings.HasSuffix(k.resource, "/*") {
		return false
	}
	if k.call.Operation == "RunInstances" {
		for _, kind := range []string{":instance/", ":volume/", ":network-interface/"} {
			if strings.Contains(k.resource, kind) {
				return true
			}
		}
		return false
	}
	return slices.ContainsFunc(makers, func(verb string) bool { return strings.HasPrefix(k.call.Operation, verb) })
}

// makers begin the names of operations that make what only a wildcard names.
var makers = []string{"Create", "Allocate", "Copy", "Import", "Register", "Request"}

func (k *requestKeys) resourceAccount() ([]string, bool) {
	if k.owner != "" {
		return []string{k.owner}, true
	}
	if a, err := arn.Parse(k.resource); err == nil && arn.IsAccount(a.Account) {
		return []string{a.Account}, true
	}
	return one(k.call.Scope.Account), k.resource == "*"
}
