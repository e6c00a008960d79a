package ec2

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"sync"
	"time"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// Quotas of launch templates ("Restrictions for launch templates", EC2 User Guide).
const (
	maxTemplates          = 5000
	maxTemplateVersions   = 10000
	maxVersionDescription = 255
	maxTemplateToken      = 128
)

var (
	templateName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-zA-Z0-9().\-/_]{3,128}$`) })
	templatePage = pageLimits{1, 200}
)

// launchTemplate is the record of a launch template; its versions have records
// of their own.
type launchTemplate struct {
	Scope   arn.Scope `json:"scope"`
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Created time.Time `json:"created"`
	By      string    `json:"by"`
	Default int64     `json:"default"`
	Latest  int64     `json:"latest"` // the highest version that is there
	Last    int64     `json:"last"`   // the highest number ever given: none is given twice
	Token   string    `json:"token,omitempty"`
}

var templates = noun[launchTemplate]{
	prefix: prefixTemplate, id: func(t *launchTemplate) string { return t.ID },
	kept: store.NewCollection("ec2/launchtemplate",
		store.Index[launchTemplate]{Name: "name", Keys: func(_ string, t *launchTemplate) []string { return []string{t.Scope.Key() + "/" + t.Name} }},
		store.Index[launchTemplate]{Name: "scope", Keys: func(_ string, t *launchTemplate) []string { return []string{t.Scope.Key()} }},
	),
}

func templateByName(tx store.Tx, scope arn.Scope, name string) (*launchTemplate, error) {
	for e, err := range templates.kept.ByIndex(tx, "name", scope.Key()+"/"+name) {
		return e.Value, err
	}
	return nil, fault.New(fault.InvalidTemplateNameNotFound, "The specified launch template, with template name %s, does not exist.", clip(name, 128))
}

// templateRef is how a call names a template: by id or by name.
type templateRef struct{ id, name string }

func (r templateRef) check() error {
	switch {
	case r.id != "" && r.name != "":
		return fault.New(fault.InvalidParameterCombination, "The parameters LaunchTemplateId and LaunchTemplateName may not be used together.")
	case r.id == "" && r.name == "":
		return fault.New(fault.MissingParameter, "The request must contain either the launch template ID or the launch template name.")
	case r.id != "":
		return checkID(prefixTemplate, r.id)
	}
	return nil
}

func (s *Service) template(tx store.Tx, scope arn.Scope, r templateRef) (*launchTemplate, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	if r.id != "" {
		return templates.get(s, tx, scope, r.id)
	}
	return templateByName(tx, scope, r.name)
}

func (t *launchTemplate) view(tags tagMap) *api.LaunchTemplate {
	return &api.LaunchTemplate{
		LaunchTemplateId: t.ID, LaunchTemplateName: t.Name, CreateTime: ptr(t.Created), CreatedBy: t.By,
		DefaultVersionNumber: ptr(t.Default), LatestVersionNumber: ptr(t.Latest), Tags: tags.list(),
	}
}

// creator is who made a template, as CreatedBy has it.
func creator(call auth.Call) string {
	if call.Principal.ARN != "" {
		return call.Principal.ARN
	}
	return "arn:" + arn.Partition + ":iam::" + call.Scope.Account + ":root"
}

// templateToken tells whether two requests with one client token are the same;
// "" where there is no token.
func templateToken(clientToken string, request ...any) (string, error) {
	if clientToken == "" {
		return "", nil
	}
	if len(clientToken) > maxTemplateToken {
		return "", fault.New(fault.InvalidParameterValue, "Value for parameter clientToken is invalid. It must be at most %d characters long.", maxTemplateToken)
	}
	b, err := json.Marshal(request)
	return arn.Hash(clientToken + "/" + string(b)), err
}

var errOtherArguments = fault.New(fault.IdempotentParameterMatch, "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).")

// CreateLaunchTemplate makes a template with its first version.
func (s *Service) CreateLaunchTemplate(ctx context.Context, in *api.CreateLaunchTemplateInput) (*api.CreateLaunchTemplateOutput, error) {
	call := auth.From(ctx)
	if !templateName().MatchString(in.LaunchTemplateName) {
		return nil, fault.New(fault.InvalidTemplateNameMalformed,
			"A launch template name must be between 3 and 128 characters, and may contain letters, numbers, and the following characters: - ( ) . / _.")
	}
	if in.Operator != nil {
		return nil, notBuilt("Operator")
	}
	tags, err := specTags(call, in.TagSpecifications, "launch-template")
	if err != nil {
		return nil, err
	}
	v := &templateVersion{Scope: call.Scope, Number: 1, Description: in.VersionDescription, Created: s.now(), By: creator(call)}
	if err := v.take(call, in.LaunchTemplateData); err != nil {
		return nil, err
	}
	t := &launchTemplate{
		Scope: call.Scope, ID: newID(call, prefixTemplate, "template"), Name: in.LaunchTemplateName, Created: v.Created, By: v.By,
		Default: 1, Latest: 1, Last: 1, Token: call.Token,
	}
	if in.ClientToken != "" && call.Token == "" {
		t.ID = arn.IDFrom(prefixTemplate, call.Scope.Key()+"/client/"+in.ClientToken)
		if t.Token, err = templateToken(in.ClientToken, in.LaunchTemplateName, in.VersionDescription, in.LaunchTemplateData, in.TagSpecifications); err != nil {
			return nil, err
		}
	}
	v.Template = t.ID
	var out *api.LaunchTemplate
	err = s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		made, err := s.makeTemplate(tx, t, v, tags)
		if err != nil {
			return err
		}
		own, err := tagsOf(tx, t.Scope, t.ID)
		out = made.view(own)
		return firstError(err, dryRun(in.DryRun))
	})
	if err != nil {
		return nil, err
	}
	return &api.CreateLaunchTemplateOutput{LaunchTemplate: out}, nil
}

// makeTemplate puts a template on record, or finds the one that the same call
// made before.
func (s *Service) makeTemplate(tx store.Tx, t *launchTemplate, v *templateVersion, tags map[string]tagMap) (*launchTemplate, error) {
	old, err := templates.kept.Get(tx, templates.key(t.Scope, t.ID))
	switch {
	case err == nil && old.Token == t.Token && t.Token != "":
		return old, nil
	case err == nil:
		return nil, errOtherArguments
	case !errors.Is(err, store.ErrNotFound):
		return nil, err
	}
	if _, err := templateByName(tx, t.Scope, t.Name); err == nil {
		return nil, fault.New(fault.InvalidTemplateNameExists, "Launch template name already in use.")
	} else if !fault.Is(err, fault.InvalidTemplateNameNotFound) {
		return nil, err
	}
	have, err := templates.kept.Count(tx, "scope", t.Scope.Key())
	if err != nil {
		return nil, err
	}
	if have >= maxTemplates {
		return nil, fault.New(fault.ResourceLimitExceeded, "The maximum number of launch templates per Region (%d) has been reached.", maxTemplates)
	}
	return t, firstError(templates.put(tx, t.Scope, t), v.save(tx), putTags(tx, t.Scope, "launch-template", t.ID, tags["launch-template"]))
}

// ModifyLaunchTemplate chooses the default version.
func (s *Service) ModifyLaunchTemplate(ctx context.Context, in *api.ModifyLaunchTemplateInput) (*api.ModifyLaunchTemplateOutput, error) {
	scope := auth.From(ctx).Scope
	if in.DefaultVersion == "" {
		return nil, fault.New(fault.MissingParameter, "The request must contain the parameter SetDefaultVersion")
	}
	var out *api.LaunchTemplate
	err := s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		t, err := s.template(tx, scope, templateRef{in.LaunchTemplateId, in.LaunchTemplateName})
		if err != nil {
			return err
		}
		v, err := versionOf(tx, t, in.DefaultVersion)
		if err != nil {
			return err
		}
		t.Default = v.Number
		tags, err := tagsOf(tx, scope, t.ID)
		out = t.view(tags)
		return firstError(err, templates.put(tx, scope, t), dryRun(in.DryRun))
	})
	if err != nil {
		return nil, err
	}
	return &api.ModifyLaunchTemplateOutput{LaunchTemplate: out}, nil
}

// DeleteLaunchTemplate deletes a template with all its versions. Instances that
// were launched from it stay.
func (s *Service) DeleteLaunchTemplate(ctx context.Context, in *api.DeleteLaunchTemplateInput) (*api.DeleteLaunchTemplateOutput, error) {
	scope := auth.From(ctx).Scope
	var out *api.LaunchTemplate
	err := s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		t, err := s.template(tx, scope, templateRef{in.LaunchTemplateId, in.LaunchTemplateName})
		if err != nil {
			return err
		}
		all, err := versionsOf(tx, t)
		if err != nil {
			return err
		}
		for _, v := range all {
			if err := templateVersions.Delete(tx, v.key()); err != nil {
				return err
			}
		}
		tags, err := tagsOf(tx, scope, t.ID)
		out = t.view(tags)
		return firstError(err, templates.remove(tx, scope, t.ID), dryRun(in.DryRun))
	})
	if err != nil {
		return nil, err
	}
	return &api.DeleteLaunchTemplateOutput{LaunchTemplate: out}, nil
}

func templateFields(t tagged[launchTemplate], name string) ([]string, bool) {
	switch name {
	case "create-time":
		return one(stamp(t.orZero().Created))
	case "launch-template-name":
		return one(t.orZero().Name)
	}
	return tagFields(t.tags, name)
}

// stamp is a time as filters compare it.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// DescribeLaunchTemplates lists templates by id, name and filter.
func (s *Service) DescribeLaunchTemplates(ctx context.Context, in *api.DescribeLaunchTemplatesInput) (*api.DescribeLaunchTemplatesOutput, error) {
	ids := in.LaunchTemplateIds
	if len(ids) > 0 && len(in.LaunchTemplateNames) > 0 {
		return nil, fault.New(fault.InvalidParameterCombination, "The parameters LaunchTemplateIds and LaunchTemplateNames may not be used together.")
	}
	page, next, err := list(ctx, s, listing[tagged[launchTemplate]]{
		prefix: prefixTemplate, ids: ids, filters: in.Filters, fields: templateFields, dry: in.DryRun, token: in.NextToken,
		max: in.MaxResults, limits: templatePage, id: func(t tagged[launchTemplate]) string { return t.it.ID },
		load: func(tx store.Tx, scope arn.Scope) ([]tagged[launchTemplate], error) {
			if len(ids)+len(in.LaunchTemplateNames) == 0 {
				all, err := templates.all(s, tx, scope)
				return withTags(tx, scope, templates, all, err)
			}
			named, err := s.namedTemplates(tx, scope, ids, in.LaunchTemplateNames)
			return withTags(tx, scope, templates, named, err)
		},
	})
	if err != nil {
		return nil, err
	}
	out := &api.DescribeLaunchTemplatesOutput{NextToken: next, LaunchTemplates: []api.LaunchTemplate{}}
	for _, t := range page {
		out.LaunchTemplates = append(out.LaunchTemplates, *t.it.view(t.tags))
	}
	return out, nil
}

// namedTemplates reads templates by id or name; all of them must be there.
func (s *Service) namedTemplates(tx store.Tx, scope arn.Scope, ids, names []string) ([]*launchTemplate, error) {
	var out []*launchTemplate
	seen := map[string]bool{}
	add := func(t *launchTemplate, err error) error {
		switch {
		case fault.Is(err, fault.InvalidTemplateIDNotFound):
			return fault.New(fault.InvalidTemplateIDNotFound, "At least one of the launch templates specified in the request does not exist.")
		case fault.Is(err, fault.InvalidTemplateNameNotFound):
			return fault.New(fault.InvalidTemplateNameNotFound, "At least one of the launch templates specified in the request does not exist.")
		case err != nil:
			return err
		}
		if !seen[t.ID] {
			seen[t.ID] = true
			out = append(out, t)
		}
		return nil
	}
	for _, id := range ids {
		if err := add(templates.get(s, tx, scope, id)); err != nil {
			return nil, err
		}
	}
	for _, name := range names {
		if err := add(templateByName(tx, scope, name)); err != nil {
			return nil, err
		}
	}
	return out, nil
}
