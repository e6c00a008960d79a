package sts

import (
	"bytes"
	"compress/flate"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	iamapi "github.com/slipway/slipway/api/iam"
	api "github.com/slipway/slipway/api/sts"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/policy"
	"github.com/slipway/slipway/fault"
)

// Limits of a session ("Session policies" and "Passing session tags in AWS STS",
// IAM User Guide).
const (
	maxSessionARNs = 10
	maxPlainPolicy = 2048 // characters of the inline policy and the ARNs
	maxSessionTags = 50
	maxTagKey      = 128
	maxTagValue    = 256
	// maxPacked bounds what a session carries, compressed, in bytes. AWS does not
	// tell its own packed limit.
	maxPacked = 2048
)

// narrow reads the session policies of a request into the session.
func (s *Service) narrow(ctx context.Context, into *auth.Session, account, text string, arns []api.PolicyDescriptorType) error {
	if len(arns) > maxSessionARNs {
		return fault.New(fault.ValidationError, "1 validation error detected: Value at 'policyArns' failed to satisfy constraint: "+
			"Member must have length less than or equal to %d", maxSessionARNs)
	}
	size := len(text)
	for _, p := range arns {
		if err := s.checkManaged(ctx, account, p.Arn); err != nil {
			return err
		}
		size += len(p.Arn)
		into.PolicyARNs = append(into.PolicyARNs, p.Arn)
	}
	if text == "" {
		return nil
	}
	if size > maxPlainPolicy {
		return fault.New(fault.ValidationError, "1 validation error detected: Value at 'policy' failed to satisfy constraint: "+
			"Member must have length less than or equal to %d", maxPlainPolicy)
	}
	var bad *policy.Malformed
	if _, err := policy.Parse(text, policy.Identity); errors.As(err, &bad) {
		return fault.New(fault.MalformedPolicyDocument, "%s", bad.Message)
	} else if err != nil {
		return err
	}
	into.Policy = text
	return nil
}

// checkManaged refuses a session policy that is not a managed policy of AWS or of
// the role's account.
func (s *Service) checkManaged(ctx context.Context, account, name string) error {
	a, err := arn.Parse(name)
	if err != nil || a.Service != "iam" || !strings.HasPrefix(a.Resource, "policy/") {
		return fault.New(fault.ValidationError, "ARN %s is not valid.", name)
	}
	if a.Account != account && a.Account != "aws" {
		return fault.New(fault.ValidationError, "Scope ARN: %s does not belong to the role's account.", name)
	}
	_, err = s.cfg.IAM.GetPolicy(s.itself(ctx, account, "GetPolicy"), &iamapi.GetPolicyInput{PolicyArn: name})
	if fault.Is(err, fault.NoSuchEntity) {
		return fault.New(fault.MalformedPolicyDocument, "Policy %s does not exist or is not attachable.", name)
	}
	return err
}

// itself is a context in which STS asks IAM about an account.
func (s *Service) itself(ctx context.Context, account, operation string) context.Context {
	call := auth.From(ctx)
	call.Scope.Account = account
	call.Principal = auth.Principal{Kind: auth.Service, Account: account, ARN: "sts.amazonaws.com", Name: "sts.amazonaws.com", UserID: account}
	call.Service, call.Operation, call.Via = "sts", operation, nil
	return auth.With(ctx, call)
}

// tag reads the tags of a request into the session, with those that stay from the
// session that asks.
func tag(into *auth.Session, from *auth.Session, tags []api.Tag, transitive []string) error {
	if len(tags) > maxSessionTags {
		return fault.New(fault.ValidationError, "1 validation error detected: Value at 'tags' failed to satisfy constraint: "+
			"Member must have length less than or equal to %d", maxSessionTags)
	}
	seen := map[string]bool{}
	out := map[string]string{}
	for _, t := range tags {
		k := strings.ToLower(t.Key)
		switch {
		case seen[k]:
			return fault.New(fault.InvalidParameterValue, "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
		case t.Key == "" || len(t.Key) > maxTagKey || len(t.Value) > maxTagValue:
			return fault.New(fault.ValidationError, "1 validation error detected: Value at 'tags' failed to satisfy constraint: "+
				"Member must have keys of 1 to %d and values of at most %d characters", maxTagKey, maxTagValue)
		case strings.HasPrefix(k, "aws:"):
			return fault.New(fault.InvalidParameterValue, "Tag keys that begin with aws: are reserved for internal AWS use.")
		}
		seen[k] = true
		out[t.Key] = t.Value
	}
	for _, k := range transitive {
		if !seen[strings.ToLower(k)] {
			return fault.New(fault.InvalidParameterValue, "The specified transitive tag key must be included in the requested tags.")
		}
	}
	into.Transitive = slices.Clone(transitive)
	if from != nil {
		for _, k := range from.Transitive {
			if seen[strings.ToLower(k)] {
				return fault.New(fault.InvalidParameterValue, "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session.")
			}
			for name, value := range from.Tags {
				if strings.EqualFold(name, k) {
					out[name] = value
				}
			}
			into.Transitive = append(into.Transitive, k)
		}
	}
	if len(out) > 0 {
		into.Tags = out
	}
	return nil
}

// packed is the share, in percent, of what a session may carry. nil where it
// carries neither policies nor tags.
func packed(s *auth.Session) (*int32, error) {
	if s.Policy == "" && len(s.PolicyARNs) == 0 && len(s.Tags) == 0 {
		return nil, nil
	}
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		return nil, err
	}
	write := func(text string) { _, _ = w.Write([]byte(text + "\x00")) } // to memory
	write(s.Policy)
	for _, a := range s.PolicyARNs {
		write(a)
	}
	for _, k := range slices.Sorted(maps.Keys(s.Tags)) {
		write(k)
		write(s.Tags[k])
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	percent := int32((b.Len()*100 + maxPacked - 1) / maxPacked)
	if percent > 100 {
		return nil, fault.New(fault.PackedPolicyTooLarge, "Packed size of session tags and session policies consumes %d%% of allotted space.", percent)
	}
	return &percent, nil
}
