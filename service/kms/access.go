package kms

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/slipway/slipway/api/kms"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/policy"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// shared are the operations that a key's policy can open to other accounts
// ("Allowing users in other accounts to use a KMS key", Developer Guide).
var shared = []string{
	"CreateGrant", "Decrypt", "DeriveSharedSecret", "DescribeKey", "Encrypt", "GenerateDataKey", "GenerateDataKeyPair",
	"GenerateDataKeyPairWithoutPlaintext", "GenerateDataKeyWithoutPlaintext", "GenerateMac", "GetKeyRotationStatus", "GetPublicKey",
	"ListGrants", "ReEncryptFrom", "ReEncryptTo", "RetireGrant", "RevokeGrant", "Sign", "Verify", "VerifyMac",
}

// permit applies a key's policy and grants: without them nobody may use a key,
// the account's root user included. It binds the principals that policies bind,
// and those of other accounts always. What a caller's own policies allow was
// decided before the call got here.
func (s *Service) permit(ctx context.Context, tx store.Tx, k *key, name string, r request) error {
	if err := s.checkTokens(tx, r.tokens); err != nil {
		return err
	}
	call := auth.From(ctx)
	other := call.Scope.Account != k.Account
	if !other && (!call.Principal.Enforced || call.Principal.Kind == auth.Service) {
		return nil
	}
	if other && !slices.Contains(shared, r.operation) {
		return k.refuse(ctx, r.operation, "belongs to another account")
	}
	decision, err := s.decide(call, k.Policy, k, name, r)
	if err != nil {
		return err
	}
	switch decision {
	case policy.Denied:
		return k.refuse(ctx, r.operation, "with an explicit deny in a resource-based policy")
	case policy.Allowed:
		return nil
	}
	granted, err := s.granted(tx, k, call.Principal, r)
	if err != nil || granted {
		return err
	}
	return k.refuse(ctx, r.operation, "because no resource-based policy allows the kms:"+r.operation+" action")
}

func (k *key) refuse(ctx context.Context, operation, reason string) error {
	return fault.New(fault.AccessDeniedException, "User: %s is not authorized to perform: kms:%s on resource: %s %s",
		auth.From(ctx).Principal.ARN, operation, k.name(), reason)
}

// conditions tells the condition keys of KMS ("AWS KMS condition keys", Developer
// Guide) of a request; others has the global ones.
type conditions struct {
	call   auth.Call
	key    *key
	name   string // by which the caller names the key
	r      request
	others policy.Keys
}

// Lookup gives a key's values; one that KMS has and this request does not is
// known to be absent.
func (c conditions) Lookup(name string) ([]string, bool) {
	if tag, ok := strings.CutPrefix(name, "aws:resourcetag/"); ok {
		return member(c.key.Tags, tag), true
	}
	rest, ours := strings.CutPrefix(name, "kms:")
	if !ours {
		return c.others.Lookup(name)
	}
	if part, ok := strings.CutPrefix(rest, "encryptioncontext:"); ok {
		return member(c.r.context, part), true
	}
	switch rest {
	case "calleraccount":
		return one(c.call.Scope.Account), true
	case "keyspec":
		return one(c.key.Spec), true
	case "keyusage":
		return one(c.key.Usage), true
	case "keyorigin":
		return one(c.key.origin()), true
	case "multiregion":
		return one(strconv.FormatBool(c.key.Family != nil)), true
	case "multiregionkeytype":
		return one(c.key.multiRegionType()), true
	case "requestalias":
		if i := strings.Index(c.name, aliasPrefix); i >= 0 {
			return one(c.name[i:]), true
		}
		return nil, true
	case "encryptionalgorithm", "signingalgorithm", "macalgorithm", "keyagreementalgorithm":
		if rest == algorithmKeys[c.key.Usage] {
			return one(c.r.algorithm), true
		}
		return nil, true
	case "encryptioncontextkeys":
		return slices.Sorted(maps.Keys(c.r.context)), true
	case "bypasspolicylockoutsafetycheck", "schedulekeydeletionpendingwindowindays":
		return c.asked(rest), true
	case "grantoperations", "granteeprincipal", "retiringprincipal", "grantconstrainttype":
		return c.granted(rest), true
	}
	return c.others.Lookup(name)
}

// granted tells the keys of the grant that is asked for.
func (c conditions) granted(key string) []string {
	grant, ok := c.r.in.(*kms.CreateGrantInput)
	switch {
	case !ok:
		return nil
	case key == "grantoperations":
		return grant.Operations
	case key == "granteeprincipal":
		return one(grant.GranteePrincipal)
	case key == "retiringprincipal":
		return one(grant.RetiringPrincipal)
	}
	return constraintTypes(grant.Constraints)
}

// asked tells the keys that are members of requests.
func (c conditions) asked(key string) []string {
	switch in := c.r.in.(type) {
	case *kms.PutKeyPolicyInput:
		if key == "bypasspolicylockoutsafetycheck" {
			return one(strconv.FormatBool(yes(in.BypassPolicyLockoutSafetyCheck)))
		}
	case *kms.ScheduleKeyDeletionInput:
		if key == "schedulekeydeletionpendingwindowindays" && in.PendingWindowInDays != nil {
			return one(strconv.Itoa(int(*in.PendingWindowInDays)))
		}
	}
	return nil
}

func constraintTypes(c *kms.GrantConstraints) []string {
	switch {
	case c == nil:
		return nil
	case c.EncryptionContextEquals != nil:
		return one("EncryptionContextEquals")
	case c.EncryptionContextSubset != nil:
		return one("EncryptionContextSubset")
	}
	return nil
}

var algorithmKeys = map[string]string{
	kms.KeyUsageTypeEncryptDecrypt: "encryptionalgorithm", kms.KeyUsageTypeSignVerify: "signingalgorithm",
	kms.KeyUsageTypeGenerateVerifyMac: "macalgorithm", kms.KeyUsageTypeKeyAgreement: "keyagreementalgorithm",
}

func one(value string) []string {
	if value == "" {
		return nil
	}
	return []string{value}
}

// member finds a member by its name in lower case, as condition keys are.
func member(of map[string]string, lower string) []string {
	for name, value := range of {
		if strings.ToLower(name) == lower {
			return []string{value}
		}
	}
	return nil
}

// decide evaluates a key's policy.
func (s *Service) decide(call auth.Call, text string, k *key, name string, r request) (policy.Decision, error) {
	doc, err := s.policies.Parse(text, policy.Resource)
	if err != nil {
		return policy.NoMatch, err
	}
	keys := conditions{call, k, name, r, call.Asking("kms:"+r.operation, k.name(), nil).Context}
	return doc.Decide(call.Principal.Caller(), policy.Request{Action: "kms:" + r.operation, Resource: k.name(), Context: keys}), nil
}
