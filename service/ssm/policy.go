package ssm

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	api "github.com/slipway/slipway/api/ssm"
	"github.com/slipway/slipway/fault"
)

// parameterPolicy is what is to happen to a parameter by itself. Of AWS's types
// Expiration is built; the notifications are EventBridge's, and refused.
type parameterPolicy struct {
	Text    string
	Expires time.Time
}

const (
	maxPolicies = 10
	// noPolicies takes a parameter's policies away; an empty member keeps them.
	noPolicies = "[{}]"
)

// parsePolicies reads the member Policies of PutParameter ("Assigning parameter
// policies", AWS Systems Manager User Guide). keep says that it leaves a
// parameter's policies as they are.
func parsePolicies(text string) (out []parameterPolicy, keep bool, err error) {
	compact := strings.Join(strings.Fields(text), "")
	switch compact {
	case "":
		return nil, true, nil
	case noPolicies, "[]", "{}":
		return nil, false, nil
	}
	var all []json.RawMessage
	if json.Unmarshal([]byte(text), &all) != nil {
		return nil, false, fault.New(fault.InvalidPolicyAttribute, "The policies are not a JSON list of objects.")
	}
	if len(all) > maxPolicies {
		return nil, false, fault.New(fault.PoliciesLimitExceeded, "You specified more than the maximum number of allowed policies for the parameter. The maximum is %d.", maxPolicies)
	}
	for _, raw := range all {
		var p struct {
			Type, Version string
			Attributes    map[string]string
		}
		if json.Unmarshal(raw, &p) != nil {
			return nil, false, fault.New(fault.InvalidPolicyAttribute, "A policy has Type, Version and Attributes.")
		}
		switch p.Type {
		case "Expiration":
		case "ExpirationNotification", "NoChangeNotification":
			return nil, false, fault.New(fault.NotImplemented, "PutParameter: policies of type %s are not built: they need EventBridge.", p.Type)
		default:
			return nil, false, fault.New(fault.InvalidPolicyType, "The policy type %q isn't supported. Parameter Store supports the following policy types: Expiration, ExpirationNotification, and NoChangeNotification.", p.Type)
		}
		at, err := time.Parse(time.RFC3339, p.Attributes["Timestamp"])
		if err != nil || p.Version != "1.0" {
			return nil, false, fault.New(fault.InvalidPolicyAttribute, "An Expiration policy has Version 1.0 and a Timestamp such as 2030-12-02T21:34:33.000Z.")
		}
		if slices.ContainsFunc(out, func(o parameterPolicy) bool { return !o.Expires.IsZero() }) {
			return nil, false, fault.New(fault.IncompatiblePolicy, "There is a conflict in the policies specified for this parameter. You can't, for example, specify two Expiration policies for a parameter.")
		}
		out = append(out, parameterPolicy{strings.TrimSpace(string(raw)), at.UTC()})
	}
	return out, false, nil
}

// setPolicies settles a version's policies, which advanced parameters alone have.
func (v *version) setPolicies(text string, old []parameterPolicy, now time.Time) error {
	all, keep, err := parsePolicies(text)
	if err != nil {
		return err
	}
	if keep {
		all = old
	}
	if len(all) > 0 && v.Tier != api.ParameterTierAdvanced {
		return fault.New(fault.ValidationException, "Parameter policies are supported by the advanced-parameter tier only. To add policies, choose the advanced tier.")
	}
	v.Policies = all
	if v.expired(now) {
		return fault.New(fault.InvalidPolicyAttribute, "The Timestamp of an Expiration policy must be in the future.")
	}
	return nil
}

// expired says whether a parameter's time is over: it is gone for everybody then.
func (v *version) expired(now time.Time) bool {
	return slices.ContainsFunc(v.Policies, func(p parameterPolicy) bool { return !now.Before(p.Expires) })
}

func (v *version) inlinePolicies() []api.ParameterInlinePolicy {
	out := []api.ParameterInlinePolicy{}
	for _, p := range v.Policies {
		out = append(out, api.ParameterInlinePolicy{PolicyText: p.Text, PolicyType: "Expiration", PolicyStatus: "Pending"})
	}
	return out
}
