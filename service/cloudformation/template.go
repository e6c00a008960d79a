package cloudformation

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"

	"github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/cfn/apply"
	"github.com/slipway/slipway/cfn/template"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// GetTemplate answers a stack's or change set's template: as it was given, or as
// transforms have processed it. Without transforms they are the same.
func (s *Service) GetTemplate(ctx context.Context, in *cloudformation.GetTemplateInput) (*cloudformation.GetTemplateOutput, error) {
	c, err := s.call(ctx)
	if err != nil {
		return nil, err
	}
	if in.TemplateStage != "" && in.TemplateStage != "Original" && in.TemplateStage != "Processed" {
		return nil, constraint("templateStage", in.TemplateStage, "Member must satisfy enum value set: [Original, Processed]")
	}
	out := &cloudformation.GetTemplateOutput{StagesAvailable: []string{"Original", "Processed"}}
	err = s.view(ctx, func(tx store.Tx) error {
		var v apply.Version
		if in.ChangeSetName != "" {
			cs, _, err := findChangeSet(tx, c.Scope, in.ChangeSetName, in.StackName)
			if err != nil {
				return err
			}
			v = cs.Version
		} else {
			st, err := must(tx, c.Scope, in.StackName, noStackWithID)
			if err != nil {
				return err
			}
			v = st.Version
		}
		key := v.TemplateKey
		if in.TemplateStage != "Processed" {
			key = cmp.Or(v.OriginalKey, key)
		}
		if v.TemplateKey == "" && v.OriginalKey != "" {
			out.StagesAvailable = out.StagesAvailable[:1] // its transforms have not made another of it
		}
		if key == "" {
			return nil // a stack that only change sets are reviewed for
		}
		t, err := apply.Templates.Get(tx, key)
		if err == nil {
			out.TemplateBody = t.Body
		}
		return err
	})
	return out, err
}

// ValidateTemplate checks a template by itself.
func (s *Service) ValidateTemplate(ctx context.Context, in *cloudformation.ValidateTemplateInput) (*cloudformation.ValidateTemplateOutput, error) {
	if _, err := s.call(ctx); err != nil {
		return nil, err
	}
	tmpl, err := s.readAndCheck(ctx, source{Body: in.TemplateBody, URL: in.TemplateURL})
	if err != nil {
		return nil, err
	}
	out := &cloudformation.ValidateTemplateOutput{Description: tmpl.Description, DeclaredTransforms: tmpl.Transform, Parameters: []cloudformation.TemplateParameter{}}
	out.Capabilities, out.CapabilitiesReason, _ = tmpl.Capabilities()
	for _, p := range tmpl.Parameters {
		noEcho := p.NoEcho
		out.Parameters = append(out.Parameters, cloudformation.TemplateParameter{
			ParameterKey: p.Name, DefaultValue: defaultOf(p), NoEcho: &noEcho, Description: p.Description,
		})
	}
	return out, nil
}

func (s *Service) readAndCheck(ctx context.Context, src source) (*template.Template, error) {
	body, err := s.read(ctx, src, "")
	if err != nil {
		return nil, err
	}
	return s.check(body)
}

// defaultOf is a parameter's default as it may be shown.
func defaultOf(p template.Parameter) string {
	switch {
	case p.Default == nil:
		return ""
	case p.NoEcho:
		return masked
	}
	return *p.Default
}

// GetTemplateSummary tells what a template declares.
func (s *Service) GetTemplateSummary(ctx context.Context, in *cloudformation.GetTemplateSummaryInput) (*cloudformation.GetTemplateSummaryOutput, error) {
	c, err := s.call(ctx)
	if err != nil {
		return nil, err
	}
	switch {
	case in.StackSetName != "":
		return nil, fault.New(fault.NotImplemented, "GetTemplateSummary of a stack set is not implemented")
	case in.CallAs != "" && in.CallAs != "SELF":
		return nil, fault.New(fault.NotImplemented, "CallAs %s is not implemented", in.CallAs)
	case in.TemplateSummaryConfig != nil && isTrue(in.TemplateSummaryConfig.TreatUnrecognizedResourceTypesAsWarnings):
		return nil, fault.New(fault.NotImplemented, "TreatUnrecognizedResourceTypesAsWarnings is not implemented")
	}
	src := source{Body: in.TemplateBody, URL: in.TemplateURL}
	if in.StackName != "" {
		if src.Body != "" || src.URL != "" {
			return nil, fault.New(fault.ValidationError, "Only one of StackName, TemplateBody and TemplateURL may be specified.")
		}
		err := s.view(ctx, func(tx store.Tx) error {
			st, err := must(tx, c.Scope, in.StackName, noStackWithID)
			if err != nil || st.Version.TemplateKey == "" {
				return err
			}
			t, err := apply.Templates.Get(tx, cmp.Or(st.Version.OriginalKey, st.Version.TemplateKey))
			if err == nil {
				src = source{Body: t.Body}
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	var tmpl *template.Template
	if in.StackName != "" && src.Body != "" {
		tmpl, err = s.check(src.Body) // may be longer than a request's
	} else {
		tmpl, err = s.readAndCheck(ctx, src)
	}
	if err != nil {
		return nil, err
	}
	return s.summary(tmpl)
}

func (s *Service) summary(tmpl *template.Template) (*cloudformation.GetTemplateSummaryOutput, error) {
	out := &cloudformation.GetTemplateSummaryOutput{
		Description: tmpl.Description, Version: tmpl.FormatVersion, DeclaredTransforms: tmpl.Transform,
		Parameters: []cloudformation.ParameterDeclaration{}, ResourceTypes: []string{},
	}
	out.Capabilities, out.CapabilitiesReason, _ = tmpl.Capabilities()
	if tmpl.Metadata != nil {
		b, err := json.Marshal(tmpl.Metadata.Value())
		if err != nil {
			return nil, err
		}
		out.Metadata = string(b)
	}
	for _, p := range tmpl.Parameters {
		noEcho := p.NoEcho
		out.Parameters = append(out.Parameters, cloudformation.ParameterDeclaration{
			ParameterKey: p.Name, ParameterType: p.Type, DefaultValue: defaultOf(p), NoEcho: &noEcho,
			Description: p.Description, ParameterConstraints: &cloudformation.ParameterConstraints{AllowedValues: p.AllowedValues},
		})
	}
	byType := map[string][]string{}
	for _, r := range tmpl.Resources {
		byType[r.Type] = append(byType[r.Type], r.LogicalID)
	}
	for t := range byType {
		out.ResourceTypes = append(out.ResourceTypes, t)
	}
	slices.Sort(out.ResourceTypes)
	for _, t := range out.ResourceTypes {
		out.ResourceIdentifierSummaries = append(out.ResourceIdentifierSummaries, cloudformation.ResourceIdentifierSummary{
			ResourceType: t, LogicalResourceIds: byType[t], ResourceIdentifiers: s.importable(t),
		})
	}
	return out, nil
}
