package ec2

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// Names of versions that stand for a number.
const (
	latestVersion  = "$Latest"
	defaultVersion = "$Default"
)

// maxVersionsDeleted bounds one DeleteLaunchTemplateVersions call.
const maxVersionsDeleted = 200

// templateVersion is one version of a template. It never changes.
type templateVersion struct {
	Scope       arn.Scope                     `json:"scope"`
	Template    string                        `json:"template"`
	Number      int64                         `json:"number"`
	Description string                        `json:"description,omitempty"`
	Created     time.Time                     `json:"created"`
	By          string                        `json:"by"`
	Token       string                        `json:"token,omitempty"`
	Same        string                        `json:"same,omitempty"` // hash of token and arguments
	Data        api.RequestLaunchTemplateData `json:"data"`
}

var templateVersions = store.NewCollection("ec2/launchtemplateversion",
	store.Index[templateVersion]{Name: "template", Keys: func(_ string, v *templateVersion) []string {
		return []string{v.Scope.Key() + "/" + v.Template}
	}},
	store.Index[templateVersion]{Name: "token", Keys: func(_ string, v *templateVersion) []string {
		if v.Token == "" {
			return nil
		}
		return []string{v.Scope.Key() + "/" + v.Template + "/" + v.Token}
	}})

func versionKey(scope arn.Scope, template string, n int64) string {
	return fmt.Sprintf("%s/%s/%010d", scope.Key(), template, n)
}

func (v *templateVersion) key() string { return versionKey(v.Scope, v.Template, v.Number) }

func (v *templateVersion) save(tx store.Tx) error { return templateVersions.Insert(tx, v.key(), v) }

// take checks a version's text and data and keeps them.
func (v *templateVersion) take(call auth.Call, data *api.RequestLaunchTemplateData) error {
	if len(v.Description) > maxVersionDescription {
		return fault.New(fault.InvalidParameterValue, "Value for parameter versionDescription is invalid. It must be at most %d characters long.", maxVersionDescription)
	}
	if data == nil {
		return fault.New(fault.MissingParameter, "The request must contain the parameter LaunchTemplateData")
	}
	if err := checkTemplateData(call, data); err != nil {
		return err
	}
	v.Data = *data
	return nil
}

// versionsOf lists the versions of a template, the oldest first.
func versionsOf(tx store.Tx, t *launchTemplate) ([]*templateVersion, error) {
	var out []*templateVersion
	for e, err := range templateVersions.Scan(tx, t.Scope.Key()+"/"+t.ID+"/") {
		if err != nil {
			return nil, err
		}
		out = append(out, e.Value)
	}
	return out, nil
}

// number reads a version's name; "" is the default version.
func (t *launchTemplate) number(version string) (int64, error) {
	switch version {
	case "", defaultVersion:
		return t.Default, nil
	case latestVersion:
		return t.Latest, nil
	}
	n, err := strconv.ParseInt(version, 10, 64)
	if err != nil || n < 1 {
		return 0, fault.New(fault.InvalidParameterValue, "Invalid launch template version: %s. Specify a version number, $Latest or $Default.", clip(version, 64))
	}
	return n, nil
}

// versionOf reads the version that a name stands for.
func versionOf(tx store.Tx, t *launchTemplate, version string) (*templateVersion, error) {
	n, err := t.number(version)
	if err != nil {
		return nil, err
	}
	v, err := templateVersions.Get(tx, versionKey(t.Scope, t.ID, n))
	if errors.Is(err, store.ErrNotFound) {
		return nil, fault.New(fault.InvalidTemplateVersion, "Could not find the specified version %d for the launch template with ID %s.", n, t.ID)
	}
	return v, err
}

func (v *templateVersion) view(t *launchTemplate) (api.LaunchTemplateVersion, error) {
	data := &api.ResponseLaunchTemplateData{}
	err := recast(data, &v.Data)
	return api.LaunchTemplateVersion{
		LaunchTemplateId: t.ID, LaunchTemplateName: t.Name, VersionNumber: ptr(v.Number), VersionDescription: v.Description,
		CreateTime: ptr(v.Created), CreatedBy: v.By, DefaultVersion: ptr(v.Number == t.Default), LaunchTemplateData: data,
	}, err
}

// CreateLaunchTemplateVersion adds a version, by itself or over another one.
func (s *Service) CreateLaunchTemplateVersion(ctx context.Context, in *api.CreateLaunchTemplateVersionInput) (*api.CreateLaunchTemplateVersionOutput, error) {
	call := auth.From(ctx)
	if value(in.ResolveAlias, false) {
		return nil, notBuilt("ResolveAlias=true")
	}
	v := &templateVersion{Scope: call.Scope, Description: in.VersionDescription, Created: s.now(), By: creator(call)}
	if err := v.take(call, in.LaunchTemplateData); err != nil {
		return nil, err
	}
	same, err := templateToken(in.ClientToken, in.LaunchTemplateId, in.LaunchTemplateName, in.SourceVersion, in.VersionDescription, in.LaunchTemplateData)
	if err != nil {
		return nil, err
	}
	switch v.Same = same; {
	case call.Token != "":
		v.Token, v.Same = arn.Hash("step/"+call.Token), ""
	case in.ClientToken != "":
		v.Token = arn.Hash("client/" + in.ClientToken)
	}
	var out api.LaunchTemplateVersion
	err = s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		t, err := s.template(tx, call.Scope, templateRef{in.LaunchTemplateId, in.LaunchTemplateName})
		if err != nil {
			return err
		}
		made, err := addVersion(tx, t, *v, in.SourceVersion)
		if err != nil {
			return err
		}
		out, err = made.view(t)
		return firstError(err, dryRun(in.DryRun))
	})
	if err != nil {
		return nil, err
	}
	return &api.CreateLaunchTemplateVersionOutput{LaunchTemplateVersion: &out}, nil
}

// addVersion gives a version its number, or finds the one that the same call
// made before.
func addVersion(tx store.Tx, t *launchTemplate, v templateVersion, source string) (*templateVersion, error) {
	if v.Token != "" {
		for e, err := range templateVersions.ByIndex(tx, "token", t.Scope.Key()+"/"+t.ID+"/"+v.Token) {
			if err == nil && e.Value.Same != v.Same {
				err = errOtherArguments
			}
			return e.Value, err
		}
	}
	if source != "" {
		from, err := versionOf(tx, t, source)
		if err != nil {
			return nil, err
		}
		if v.Data, err = inherit(from.Data, v.Data); err != nil {
			return nil, err
		}
	}
	have, err := templateVersions.Count(tx, "template", t.Scope.Key()+"/"+t.ID)
	if err != nil {
		return nil, err
	}
	if have >= maxTemplateVersions {
		return nil, fault.New(fault.ResourceLimitExceeded, "The maximum number of versions per launch template (%d) has been reached.", maxTemplateVersions)
	}
	t.Last++
	t.Latest, v.Template, v.Number = t.Last, t.ID, t.Last
	return &v, firstError(v.save(tx), templates.put(tx, t.Scope, t))
}

// DeleteLaunchTemplateVersions deletes versions, each for itself: it tells which
// are gone and which are not. The default version stays.
func (s *Service) DeleteLaunchTemplateVersions(ctx context.Context, in *api.DeleteLaunchTemplateVersionsInput) (*api.DeleteLaunchTemplateVersionsOutput, error) {
	scope := auth.From(ctx).Scope
	if len(in.Versions) == 0 {
		return nil, fault.New(fault.MissingParameter, "The request must contain the parameter LaunchTemplateVersion")
	}
	if len(in.Versions) > maxVersionsDeleted {
		return nil, fault.New(fault.InvalidParameterValue, "A call can delete at most %d launch template versions.", maxVersionsDeleted)
	}
	var out *api.DeleteLaunchTemplateVersionsOutput
	err := s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		out = &api.DeleteLaunchTemplateVersionsOutput{
			SuccessfullyDeletedLaunchTemplateVersions:   []api.DeleteLaunchTemplateVersionsResponseSuccessItem{},
			UnsuccessfullyDeletedLaunchTemplateVersions: []api.DeleteLaunchTemplateVersionsResponseErrorItem{},
		}
		t, err := s.template(tx, scope, templateRef{in.LaunchTemplateId, in.LaunchTemplateName})
		if err != nil {
			return err
		}
		for _, name := range in.Versions {
			if err := deleteVersion(tx, t, name, out); err != nil {
				return err
			}
		}
		left, err := versionsOf(tx, t)
		if err != nil {
			return err
		}
		t.Latest = left[len(left)-1].Number // the default one is always left
		return firstError(templates.put(tx, scope, t), dryRun(in.DryRun))
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func deleteVersion(tx store.Tx, t *launchTemplate, name string, out *api.DeleteLaunchTemplateVersionsOutput) error {
	n, err := strconv.ParseInt(name, 10, 64)
	if err != nil || n < 1 {
		return fault.New(fault.InvalidParameterValue, "Invalid launch template version: %s. Specify a version number.", clip(name, 64))
	}
	failed := func(code, message string) {
		out.UnsuccessfullyDeletedLaunchTemplateVersions = append(out.UnsuccessfullyDeletedLaunchTemplateVersions,
			api.DeleteLaunchTemplateVersionsResponseErrorItem{
				LaunchTemplateId: t.ID, LaunchTemplateName: t.Name, VersionNumber: ptr(n), ResponseError: &api.ResponseError{Code: code, Message: message},
			})
	}
	key := versionKey(t.Scope, t.ID, n)
	_, err = templateVersions.Get(tx, key)
	switch {
	case errors.Is(err, store.ErrNotFound):
		failed(api.LaunchTemplateErrorCodeLaunchTemplateVersionDoesNotExist, "The specified launch template version does not exist")
		return nil
	case err != nil:
		return err
	case n == t.Default:
		failed(api.LaunchTemplateErrorCodeUnexpectedError, "The default version of a launch template cannot be deleted; choose another default version first")
		return nil
	}
	out.SuccessfullyDeletedLaunchTemplateVersions = append(out.SuccessfullyDeletedLaunchTemplateVersions,
		api.DeleteLaunchTemplateVersionsResponseSuccessItem{LaunchTemplateId: t.ID, LaunchTemplateName: t.Name, VersionNumber: ptr(n)})
	return templateVersions.Delete(tx, key)
}

// versionView is a version with its template.
type versionView struct {
	*templateVersion
	of *launchTemplate
}

// order puts the newest version of a template first.
func (v versionView) order() string { return fmt.Sprintf("%s/%012d", v.of.ID, int64(1e11)-v.Number) }

func versionFields(v versionView, name string) ([]string, bool) {
	if v.templateVersion == nil {
		v = versionView{&templateVersion{}, &launchTemplate{}}
	}
	d := &v.Data
	switch name {
	case "create-time":
		return one(stamp(v.Created))
	case "ebs-optimized":
		return oneBool(value(d.EbsOptimized, false))
	case "iam-instance-profile":
		if p := d.IamInstanceProfile; p != nil {
			return []string{p.Arn, p.Name}, true
		}
		return nil, true
	case "image-id":
		return one(d.ImageId)
	case "instance-type":
		return one(d.InstanceType)
	case "is-default-version":
		return oneBool(v.Number == v.of.Default)
	case "kernel-id":
		return one(d.KernelId)
	case "ram-disk-id":
		return one(d.RamDiskId)
	}
	return versionOptionFields(d, name)
}

func versionOptionFields(d *api.RequestLaunchTemplateData, name string) (out []string, known bool) {
	o := value(d.MetadataOptions, api.LaunchTemplateInstanceMetadataOptionsRequest{})
	switch name {
	case "http-endpoint", "http-protocol-ipv4": // the endpoint answers by IPv4
		return one(o.HttpEndpoint)
	case "http-tokens":
		return one(o.HttpTokens)
	case "host-resource-group-arn":
		return one(value(d.Placement, api.LaunchTemplatePlacementRequest{}).HostResourceGroupArn)
	case "license-configuration-arn":
		for _, l := range d.LicenseSpecifications {
			out = append(out, l.LicenseConfigurationArn)
		}
		return out, true
	case "network-card-index":
		for _, i := range d.NetworkInterfaces {
			if i.NetworkCardIndex != nil {
				out = append(out, strconv.Itoa(int(*i.NetworkCardIndex)))
			}
		}
		return out, true
	}
	return nil, false
}

// DescribeLaunchTemplateVersions lists versions of one template, or the latest
// and default ones of all templates.
func (s *Service) DescribeLaunchTemplateVersions(ctx context.Context, in *api.DescribeLaunchTemplateVersionsInput) (*api.DescribeLaunchTemplateVersionsOutput, error) {
	scope := auth.From(ctx).Scope
	m, err := newMatcher(in.Filters, versionFields)
	if err != nil {
		return nil, err
	}
	pick, err := newVersionPick(in)
	if err != nil {
		return nil, err
	}
	if err := dryRun(in.DryRun); err != nil {
		return nil, err
	}
	var found []versionView
	err = s.cfg.Store.View(ctx, func(tx store.Tx) error {
		found = nil
		all, err := s.pickVersions(tx, scope, pick)
		for _, v := range all {
			if m.match(v) {
				found = append(found, v)
			}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	page, next, err := paginate(found, versionView.order, in.NextToken, in.MaxResults, templatePage)
	if err != nil {
		return nil, err
	}
	out := &api.DescribeLaunchTemplateVersionsOutput{NextToken: next, LaunchTemplateVersions: []api.LaunchTemplateVersion{}}
	for _, v := range page {
		view, err := v.view(v.of)
		if err != nil {
			return nil, err
		}
		out.LaunchTemplateVersions = append(out.LaunchTemplateVersions, view)
	}
	return out, nil
}

// versionPick is which versions a Describe call asks for.
type versionPick struct {
	ref      templateRef
	every    bool // all templates
	versions []string
	min, max int64
}

func newVersionPick(in *api.DescribeLaunchTemplateVersionsInput) (versionPick, error) {
	p := versionPick{ref: templateRef{in.LaunchTemplateId, in.LaunchTemplateName}, versions: in.Versions, min: 1, max: 1 << 62}
	p.every = p.ref == templateRef{}
	if value(in.ResolveAlias, false) {
		return p, notBuilt("ResolveAlias=true")
	}
	if p.every {
		numbered := slices.ContainsFunc(in.Versions, func(v string) bool { return v != latestVersion && v != defaultVersion })
		if len(in.Versions) == 0 || numbered || in.MinVersion != "" || in.MaxVersion != "" {
			return p, fault.New(fault.MissingParameter, "The request must contain the launch template ID or name, unless the versions are $Latest or $Default.")
		}
	} else if err := p.ref.check(); err != nil {
		return p, err
	}
	if len(in.Versions) > 0 && (in.MinVersion != "" || in.MaxVersion != "") {
		return p, fault.New(fault.InvalidParameterCombination, "The parameter Versions may not be used in combination with MinVersion or MaxVersion.")
	}
	for _, bound := range []struct {
		text string
		n    *int64
	}{{in.MinVersion, &p.min}, {in.MaxVersion, &p.max}} {
		if bound.text == "" {
			continue
		}
		n, err := strconv.ParseInt(bound.text, 10, 64)
		if err != nil || n < 1 {
			return p, fault.New(fault.InvalidParameterValue, "Invalid launch template version: %s. Specify a version number.", clip(bound.text, 64))
		}
		*bound.n = n
	}
	return p, nil
}

func (s *Service) pickVersions(tx store.Tx, scope arn.Scope, p versionPick) ([]versionView, error) {
	var of []*launchTemplate
	var err error
	if p.every {
		of, err = templates.all(s, tx, scope)
	} else {
		of = make([]*launchTemplate, 1)
		of[0], err = s.template(tx, scope, p.ref)
	}
	if err != nil {
		return nil, err
	}
	var out []versionView
	for _, t := range of {
		if len(p.versions) == 0 {
			all, err := versionsOf(tx, t)
			if err != nil {
				return nil, err
			}
			for _, v := range all {
				if v.Number >= p.min && v.Number <= p.max {
					out = append(out, versionView{v, t})
				}
			}
			continue
		}
		seen := map[int64]bool{}
		for _, name := range p.versions {
			v, err := versionOf(tx, t, name)
			if err != nil {
				return nil, err
			}
			if !seen[v.Number] {
				seen[v.Number] = true
				out = append(out, versionView{v, t})
			}
		}
	}
	return out, nil
}
