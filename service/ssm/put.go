package ssm

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"time"

	api "github.com/slipway/slipway/api/ssm"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

const (
	standardSize = 4096 // bytes
	advancedSize = 8192
)

// PutParameter makes a parameter or, with Overwrite, its next version.
func (s *Service) PutParameter(ctx context.Context, in *api.PutParameterInput) (*api.PutParameterOutput, error) {
	name := strings.TrimSpace(in.Name)
	if err := checkPut(name, in); err != nil {
		return nil, err
	}
	tags, err := mergeTags(ctx, nil, in.Tags)
	if err != nil {
		return nil, err
	}
	call := auth.From(ctx)
	var out *api.PutParameterOutput
	err = s.store.Update(ctx, func(tx store.Tx) error {
		p, err := parameters.Get(tx, parameterKey(call.Scope, name))
		switch {
		case errors.Is(err, store.ErrNotFound):
			p = &parameter{Name: name, Oldest: 1, Tags: tags}
		case err != nil:
			return err
		case call.Token != "" && p.Latest.Token == call.Token:
			out = &api.PutParameterOutput{Version: &p.Latest.Number, Tier: p.Latest.Tier}
			return nil
		case in.Overwrite == nil || !*in.Overwrite:
			return fault.New(fault.ParameterAlreadyExists, "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.")
		}
		v, err := s.nextVersion(call, p, in)
		if err != nil {
			return err
		}
		if err := p.retire(tx, call.Scope); err != nil {
			return err
		}
		p.Latest = v
		out = &api.PutParameterOutput{Version: &v.Number, Tier: v.Tier}
		return parameters.Put(tx, parameterKey(call.Scope, name), p)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// checkPut refuses what is wrong whatever is stored.
func checkPut(name string, in *api.PutParameterInput) error {
	if err := checkName(name); err != nil {
		return err
	}
	overwrite := in.Overwrite != nil && *in.Overwrite
	switch {
	case in.Value == "":
		return fault.New(fault.ValidationException, "1 validation error detected: Value '' at 'value' failed to satisfy constraint: Member must have length greater than or equal to 1.")
	case overwrite && len(in.Tags) > 0:
		return fault.New(fault.ValidationException, "Invalid request: tags and overwrite can't be used together. To create a parameter with tags, please remove overwrite flag. "+
			"To update tags for an existing parameter, please use AddTagsToResource or RemoveTagsFromResource.")
	case in.Type != "" && !slices.Contains([]string{api.ParameterTypeString, api.ParameterTypeStringList, typeSecure}, in.Type):
		return fault.New(fault.UnsupportedParameterType, "The parameter type %s is not supported.", in.Type)
	case strings.Contains(in.Value, "{{"):
		return fault.New(fault.ValidationException, "Parameter value can't nest another parameter. Do not use \"{{}}\" in the value.")
	case in.Policies != "" && strings.TrimSpace(in.Policies) != "[]":
		return fault.New(fault.NotImplemented, "PutParameter: Policies are not built.")
	case in.DataType != "" && in.DataType != "text":
		return fault.New(fault.NotImplemented, "PutParameter: DataType %s is not built.", in.DataType)
	}
	return nil
}

// nextVersion makes the version that follows p's newest.
func (s *Service) nextVersion(call auth.Call, p *parameter, in *api.PutParameterInput) (version, error) {
	old := p.Latest
	v := version{
		Number: old.Number + 1, Type: in.Type, Value: in.Value, KeyID: in.KeyId, Description: in.Description, Pattern: in.AllowedPattern,
		DataType: "text", Modified: s.now().UTC().Truncate(time.Millisecond), ModifiedBy: call.Principal.ARN, Token: call.Token,
	}
	if v.Type == "" {
		v.Type = old.Type
	}
	switch {
	case v.Type == "":
		return v, fault.New(fault.ValidationException, "A parameter type is required when you create a parameter.")
	case old.Type != "" && old.Type != v.Type:
		return v, fault.New(fault.HierarchyTypeMismatch, "The parameter is of type %s and cannot become %s; create a new parameter instead.", old.Type, v.Type)
	}
	if err := v.setTier(in.Tier, old.Tier); err != nil {
		return v, err
	}
	if err := checkPattern(v.Pattern, in.Value); err != nil {
		return v, err
	}
	if err := v.setKey(call.Scope); err != nil {
		return v, err
	}
	if v.Type == api.ParameterTypeStringList && slices.Contains(strings.Split(v.Value, ","), "") {
		return v, fault.New(fault.ValidationException, "Invalid value: a StringList must not have empty items.")
	}
	if v.Type != typeSecure {
		return v, nil
	}
	var err error
	v.Value, err = s.seal(call.Scope, p.Name, v.Number, in.Value)
	return v, err
}

// setTier decides the tier; one never goes back from Advanced.
func (v *version) setTier(asked, had string) error {
	v.Tier = asked
	if asked == "" {
		v.Tier = max(had, api.ParameterTierStandard)
		if had != "" {
			v.Tier = had
		}
	}
	if asked == api.ParameterTierIntelligentTiering {
		v.Tier = api.ParameterTierStandard
		if len(v.Value) > standardSize || had == api.ParameterTierAdvanced {
			v.Tier = api.ParameterTierAdvanced
		}
	}
	switch {
	case v.Tier == api.ParameterTierStandard && had == api.ParameterTierAdvanced:
		return fault.New(fault.ValidationException, "This parameter uses the advanced-parameter tier. You can't downgrade a parameter from the advanced-parameter tier to the standard-parameter tier. "+
			"If necessary, you can delete the advanced parameter and recreate it as a standard parameter.")
	case v.Tier == api.ParameterTierStandard && len(v.Value) > standardSize:
		return fault.New(fault.ValidationException, "Standard tier parameters support a maximum parameter value of %d characters. "+
			"To create a larger parameter value, upgrade the parameter to use the advanced-parameter tier.", standardSize)
	case v.Tier == api.ParameterTierAdvanced && len(v.Value) > advancedSize:
		return fault.New(fault.ValidationException, "Advanced tier parameters support a maximum parameter value of %d characters.", advancedSize)
	case v.Tier != api.ParameterTierStandard && v.Tier != api.ParameterTierAdvanced:
		return fault.New(fault.ValidationException, "The tier is Standard, Advanced or Intelligent-Tiering, not %s.", asked)
	}
	return nil
}

func checkPattern(pattern, value string) error {
	if pattern == "" {
		return nil
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return fault.New(fault.InvalidAllowedPattern, "The request does not meet the regular expression requirement: %s", err)
	}
	// As Java's matcher does, the pattern must match the value from end to end.
	re.Longest()
	if loc := re.FindStringIndex(value); loc == nil || loc[0] != 0 || loc[1] != len(value) {
		return fault.New(fault.ParameterPatternMismatch, "Parameter value, cannot be validated against allowedPattern: %s", pattern)
	}
	return nil
}

// setKey settles which key a SecureString is encrypted under.
func (v *version) setKey(scope arn.Scope) error {
	switch {
	case v.Type != typeSecure && v.KeyID != "":
		return fault.New(fault.ValidationException, "KeyId is required for SecureString type parameter only.")
	case v.Type != typeSecure:
		return nil
	case v.KeyID == "" || v.KeyID == scope.ARN("kms", defaultKey).String():
		v.KeyID = defaultKey
	case v.KeyID != defaultKey:
		return fault.New(fault.NotImplemented, "PutParameter: KeyId %s: only %s is built.", v.KeyID, defaultKey)
	}
	return nil
}

// retire moves the newest version to the older ones, and drops the oldest of
// too many.
func (p *parameter) retire(tx store.Tx, scope arn.Scope) error {
	if p.Latest.Number == 0 {
		return nil
	}
	if p.Latest.Number-p.Oldest+1 >= maxVersions {
		if labels := p.labelsOf(p.Oldest); len(labels) > 0 {
			return fault.New(fault.ParameterMaxVersions, "You attempted to create a new version of %s by calling the PutParameter API with the overwrite flag. "+
				"Version %d, the oldest version, can't be deleted because it has a label associated with it. Move the label to another version of the parameter, and try again.",
				p.Name, p.Oldest)
		}
		if err := versions.Delete(tx, versionKey(scope, p.Name, p.Oldest)); err != nil {
			return err
		}
		p.Oldest++
	}
	return versions.Put(tx, versionKey(scope, p.Name, p.Latest.Number), &p.Latest)
}
