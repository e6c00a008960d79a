package secretsmanager

import (
	"context"
	"strings"

	api "github.com/slipway/slipway/api/secretsmanager"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/policy"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// parsePolicy reads a resource policy as the owner gives it.
func (s *Service) parsePolicy(text string) (*policy.Document, error) {
	doc, err := policy.Parse(text, policy.Resource)
	if err != nil {
		return nil, fault.New(fault.MalformedSecretPolicy, "This resource policy is not valid: %s", err)
	}
	return doc, nil
}

// locksOut reports whether a policy would keep the caller from taking it back.
func locksOut(call auth.Call, doc *policy.Document, resource string) bool {
	if call.Principal.Kind == auth.Service {
		return false
	}
	ask := call.Asking("secretsmanager:PutResourcePolicy", resource, nil)
	return doc.Decide(call.Principal.Caller(), policy.Request{Action: ask.Action, Resource: resource, Context: ask.Context}) == policy.Denied
}

const (
	grantsBroadly = "You can't attach a resource policy that grants broad access to the secret while BlockPublicPolicy is set."
	wouldLockOut  = "This resource policy would keep you from changing the secret's resource policy again."
)

// PutResourcePolicy sets a secret's policy.
func (s *Service) PutResourcePolicy(ctx context.Context, in *api.PutResourcePolicyInput) (*api.PutResourcePolicyOutput, error) {
	doc, err := s.parsePolicy(in.ResourcePolicy)
	if err != nil {
		return nil, err
	}
	if yes(in.BlockPublicPolicy) && doc.Public() {
		return nil, fault.New(fault.PublicPolicy, grantsBroadly)
	}
	full, name, err := s.change(ctx, in.SecretId, in, func(p place, sec *secret) error {
		if locksOut(auth.From(ctx), doc, p.arn(sec.Suffix)) {
			return fault.New(fault.MalformedSecretPolicy, wouldLockOut)
		}
		sec.Policy = in.ResourcePolicy
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &api.PutResourcePolicyOutput{ARN: full, Name: name}, nil
}

// GetResourcePolicy gives the policy as it was put.
func (s *Service) GetResourcePolicy(ctx context.Context, in *api.GetResourcePolicyInput) (*api.GetResourcePolicyOutput, error) {
	var out *api.GetResourcePolicyOutput
	err := s.store.View(ctx, func(tx store.Tx) error {
		p, sec, err := s.alive(ctx, tx, in.SecretId, in)
		if err == nil {
			out = &api.GetResourcePolicyOutput{ARN: p.arn(sec.Suffix), Name: sec.Name, ResourcePolicy: sec.Policy}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// DeleteResourcePolicy takes the policy away.
func (s *Service) DeleteResourcePolicy(ctx context.Context, in *api.DeleteResourcePolicyInput) (*api.DeleteResourcePolicyOutput, error) {
	full, name, err := s.change(ctx, in.SecretId, in, func(_ place, sec *secret) error {
		sec.Policy = ""
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &api.DeleteResourcePolicyOutput{ARN: full, Name: name}, nil
}

// ValidateResourcePolicy says what would be wrong with a policy: that it lets
// anybody in, or locks the caller out.
func (s *Service) ValidateResourcePolicy(ctx context.Context, in *api.ValidateResourcePolicyInput) (*api.ValidateResourcePolicyOutput, error) {
	resource := policy.Unknown
	if in.SecretId != "" {
		err := s.store.View(ctx, func(tx store.Tx) error {
			p, sec, err := s.alive(ctx, tx, in.SecretId, in)
			if err == nil {
				resource = p.arn(sec.Suffix)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	doc, err := s.parsePolicy(in.ResourcePolicy)
	if err != nil {
		return nil, err
	}
	out := &api.ValidateResourcePolicyOutput{ValidationErrors: []api.ValidationErrorsEntry{}}
	if doc.Public() {
		out.ValidationErrors = append(out.ValidationErrors, api.ValidationErrorsEntry{CheckName: "PUBLIC_ACCESS", ErrorMessage: "This resource policy grants broad access to the secret."})
	}
	if locksOut(auth.From(ctx), doc, resource) {
		out.ValidationErrors = append(out.ValidationErrors, api.ValidationErrorsEntry{CheckName: "LOCKOUT", ErrorMessage: wouldLockOut})
	}
	passed := len(out.ValidationErrors) == 0
	out.PolicyValidationPassed = &passed
	return out, nil
}

// permit lets callers of other accounts have what a secret's policy opens to them.
// sec is nil where there is none: they are not to learn that. Callers that policies
// bind were judged before the call got here, by all of their policies.
func (s *Service) permit(call auth.Call, p place, sec *secret, in any) error {
	if call.Principal.Enforced && sec != nil {
		return nil
	}
	action, resource, decision := "secretsmanager:"+call.Operation, p.ARN("secretsmanager", "secret:"+p.name).String(), policy.NoMatch
	if sec != nil && sec.Policy != "" {
		resource = p.arn(sec.Suffix)
		doc, err := s.policies.Parse(sec.Policy, policy.Resource)
		if err != nil {
			return err
		}
		ask := call.Requests(in)[0]
		action = ask.Action
		decision = doc.Decide(call.Principal.Caller(), policy.Request{Action: ask.Action, Resource: resource, Context: ask.Context})
	}
	if decision == policy.Allowed {
		return nil
	}
	return fault.New(fault.AccessDeniedException, "User: %s is not authorized to perform: %s on resource: %s because no resource-based policy allows the %s action",
		call.Principal.ARN, action, resource, action)
}

var (
	_ auth.ResourcePolicies = (*Service)(nil)
	_ auth.ResourceTags     = (*Service)(nil)
)

// ResourcePolicy is what bears on a secret. Policies name one by its full ARN,
// whatever the call named it by.
func (s *Service) ResourcePolicy(ctx context.Context, resource string) (out auth.ResourcePolicy, err error) {
	sec, p, err := s.named(ctx, resource)
	if err != nil || p.Account == "" {
		return out, err
	}
	out.Owner = p.Account
	if sec == nil {
		if !suffixed.MatchString(p.name) {
			out.ARN = p.arn("??????") // as policies write a name of any suffix
		}
		return out, nil
	}
	out.ARN = p.arn(sec.Suffix)
	if sec.Policy != "" {
		out.Document, err = s.policies.Parse(sec.Policy, policy.Resource)
	}
	return out, err
}

// ResourceTags are a secret's tags.
func (s *Service) ResourceTags(ctx context.Context, resource string) (map[string]string, error) {
	sec, _, err := s.named(ctx, resource)
	if err != nil || sec == nil {
		return nil, err
	}
	tags := map[string]string{}
	for _, t := range sec.Tags {
		tags[t.Key] = t.Value
	}
	return tags, nil
}

// named finds the secret of an ARN; nil where there is none. The place's account is
// "" where the ARN is none of a secret.
func (s *Service) named(ctx context.Context, resource string) (sec *secret, p place, err error) {
	scope, name, err := parseID(auth.From(ctx).Scope, resource)
	if err != nil || !strings.HasPrefix(resource, "arn:") {
		if _, known := fault.As(err); known { // the operation tells
			err = nil
		}
		return nil, place{}, err
	}
	err = s.store.View(ctx, func(tx store.Tx) (err error) {
		p, sec, err = lookup(tx, scope, name, true)
		if fault.Is(err, fault.ResourceNotFoundException) {
			sec, err = nil, nil
		}
		return err
	})
	return sec, p, err
}
