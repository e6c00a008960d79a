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
	if in.DataType == imageType {
		if err := s.checkImage(ctx, in); err != nil {
			return nil, err
		}
	}
	w := writing{call: auth.From(ctx), name: name, tags: tags, in: in}
	if err := s.store.View(ctx, func(tx store.Tx) error { return s.prepare(tx, &w) }); err != nil {
		return nil, err
	}
	if w.done == nil && w.next.Type == typeSecure {
		envelope := w.next.Tier == api.ParameterTierAdvanced
		if w.sealed, err = s.seal(ctx, w.call.Scope, name, w.next.KeyID, in.Value, envelope); err != nil {
			return nil, err
		}
	}
	err = s.store.Update(ctx, func(tx store.Tx) error { return s.write(tx, &w) })
	if err != nil {
		return nil, err
	}
	return w.done, nil
}

// writing is one PutParameter: it is decided, the value is encrypted, and it is
// decided again and written, as KMS has transactions of its own.
type writing struct {
	call   auth.Call
	name   string
	tags   map[string]string
	in     *api.PutParameterInput
	sealed string // the value of a SecureString, encrypted

	was  *parameter
	next version
	done *api.PutParameterOutput // set: there is nothing left to write
}

// prepare decides what the next version is.
func (s *Service) prepare(tx store.Tx, w *writing) (err error) {
	w.done = nil
	w.was, err = parameters.Get(tx, parameterKey(w.call.Scope, w.name))
	switch {
	case errors.Is(err, store.ErrNotFound):
		w.was = &parameter{Name: w.name, Oldest: 1, Tags: w.tags}
	case err != nil:
		return err
	case w.was.Latest.expired(s.now()): // and not removed yet
	case w.call.Token != "" && w.was.Latest.Token == w.call.Token:
		w.done = &api.PutParameterOutput{Version: &w.was.Latest.Number, Tier: w.was.Latest.Tier}
		return nil
	case !yes(w.in.Overwrite):
		return fault.New(fault.ParameterAlreadyExists, "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.")
	}
	before := w.was
	if before.Latest.expired(s.now()) {
		before = &parameter{Name: w.name}
	}
	w.next, err = s.nextVersion(w.call, before, w.in)
	return err
}

func (s *Service) write(tx store.Tx, w *writing) error {
	if err := s.prepare(tx, w); err != nil || w.done != nil {
		return err
	}
	p, scope := w.was, w.call.Scope
	if p.Latest.expired(s.now()) {
		if err := p.remove(tx, scope); err != nil {
			return err
		}
		p = &parameter{Name: w.name, Oldest: 1, Tags: w.tags}
	}
	// Another call may have made it another parameter meanwhile. What was to be a
	// SecureString is never kept in the clear.
	if (w.next.Type == typeSecure) != (w.sealed != "") {
		return fault.New(fault.TooManyUpdates, "There are concurrent updates for a resource that supports one update at a time.")
	}
	if w.sealed != "" {
		w.next.Value = w.sealed
	}
	if err := p.retire(tx, scope); err != nil {
		return err
	}
	if err := recount(tx, scope, p.Latest.Tier, w.next.Tier); err != nil {
		return err
	}
	p.Latest = w.next
	w.done = &api.PutParameterOutput{Version: &w.next.Number, Tier: w.next.Tier}
	return parameters.Put(tx, parameterKey(scope, w.name), p)
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
	case in.DataType == imageType && in.Type != "" && in.Type != api.ParameterTypeString:
		return fault.New(fault.ValidationException, "The data type %s is for parameters of type String.", imageType)
	case in.DataType != "" && in.DataType != "text" && in.DataType != imageType:
		return fault.New(fault.NotImplemented, "PutParameter: DataType %s is not built.", in.DataType)
	}
	return nil
}

// nextVersion makes the version that follows p's newest.
func (s *Service) nextVersion(call auth.Call, p *parameter, in *api.PutParameterInput) (version, error) {
	old := p.Latest
	v := version{
		Number: old.Number + 1, Type: in.Type, Value: in.Value, KeyID: in.KeyId, Description: in.Description, Pattern: in.AllowedPattern,
		DataType: in.DataType, Modified: s.now().UTC().Truncate(time.Millisecond), ModifiedBy: call.Principal.ARN, Token: call.Token,
	}
	if v.Type == "" {
		v.Type = old.Type
	}
	if v.DataType == "" {
		v.DataType = "text"
		if old.DataType != "" && in.Type == "" {
			v.DataType = old.DataType
		}
	}
	switch {
	case v.Type == "":
		return v, fault.New(fault.ValidationException, "A parameter type is required when you create a parameter.")
	case old.Type != "" && old.Type != v.Type:
		return v, fault.New(fault.HierarchyTypeMismatch, "The parameter is of type %s and cannot become %s; create a new parameter instead.", old.Type, v.Type)
	}
	if err := v.setTier(in.Tier, old.Tier, len(in.Policies) > 0); err != nil {
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
	return v, v.setPolicies(in.Policies, old.Policies, v.Modified)
}

// setTier decides the tier; one never goes back from Advanced.
func (v *version) setTier(asked, had string, policies bool) error {
	v.Tier = asked
	if asked == "" {
		v.Tier = max(had, api.ParameterTierStandard)
		if had != "" {
			v.Tier = had
		}
	}
	if asked == api.ParameterTierIntelligentTiering {
		v.Tier = api.ParameterTierStandard
		if len(v.Value) > standardSize || policies || had == api.ParameterTierAdvanced {
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

// imageType is the data type of parameters that hold the id of a machine image.
const imageType = "aws:ec2:image"

var imageForm = regexp.MustCompile(`^ami-([0-9a-f]{8}|[0-9a-f]{17})$`)

// checkImage refuses the id of an image that the caller could not launch.
func (s *Service) checkImage(ctx context.Context, in *api.PutParameterInput) error {
	if s.image == nil {
		return fault.New(fault.NotImplemented, "PutParameter: DataType %s is not built.", in.DataType)
	}
	if !imageForm.MatchString(in.Value) {
		return fault.New(fault.ValidationException, "The parameter value %s is not valid for the data type %s: it is no image id.", in.Value, in.DataType)
	}
	err := s.image(ctx, in.Value)
	if f, ok := fault.As(err); ok {
		return fault.New(fault.ValidationException, "The parameter value %s is not valid for the data type %s: %s", in.Value, in.DataType, f.Message)
	}
	return err
}
