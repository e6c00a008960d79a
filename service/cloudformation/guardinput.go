package cloudformation

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"

	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/cfn/apply"
	"github.com/slipway/slipway/cfn/guard"
	"github.com/slipway/slipway/cfn/hook"
	"github.com/slipway/slipway/cfn/template"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// guardDocument is what a Guard hook's rules are evaluated over: the target as "Write Guard
// rules to evaluate resources for Guard Hooks" (AWS CloudFormation Hooks User Guide) has
// it, with the hook's parameters beside.
func (s *Service) guardDocument(ctx context.Context, h apply.Hook, t *apply.HookTarget, m *guardModel) (*guard.Value, error) {
	document, err := s.guardTarget(ctx, t)
	if err != nil {
		return nil, err
	}
	hookOf := map[string]any{
		// AWS's syntax names the account in one way, its examples in another.
		"AWSAccountID": t.Stack.Scope.Account, "AwsAccountId": t.Stack.Scope.Account, "StackId": t.Stack.ID, "HookTypeName": h.Type,
		"HookTypeVersion": h.Version, "InvocationPoint": t.Action + "_" + hook.PreProvision, "TargetName": t.Type, "TargetType": t.Operation,
		"TargetLogicalId": t.LogicalID, "ChangeSetId": t.Stack.ChangeSetID,
	}
	switch t.Operation {
	case hook.Stack:
		hookOf["TargetName"] = t.Stack.Name
		delete(hookOf, "TargetLogicalId")
	case hook.ChangeSet:
		hookOf["TargetName"] = t.Stack.Name
	case hook.CloudControl:
		hookOf["TargetType"] = hook.Resource
	}
	document["HookContext"] = hookOf
	for _, p := range m.Options.InputParams {
		body, err := s.guardObject(ctx, p)
		if err != nil {
			return nil, err
		}
		params, err := documentOf(body)
		if err != nil {
			return nil, fault.New("InvalidRules", "s3://%s/%s is no map of JSON or YAML: %s", p.Bucket, p.Key, cut(firstLine(err), 256))
		}
		for key := range params {
			if _, there := document[key]; there {
				return nil, fault.New("InvalidRules", "the parameter %s of s3://%s/%s is there already", cut(key, 128), p.Bucket, p.Key)
			}
		}
		maps.Copy(document, params)
	}
	v, err := guard.Of(document)
	if err != nil {
		return nil, fault.New("InvalidRules", "%s", err)
	}
	return v, nil
}

// guardTarget is the document of a target, without its context. Of a stack that is
// deleted there is nothing else.
func (s *Service) guardTarget(ctx context.Context, t *apply.HookTarget) (map[string]any, error) {
	if t.Operation == hook.Resource || t.Operation == hook.CloudControl {
		now, before := t.Properties, t.Prior
		if t.Action == hook.Delete {
			now, before = nil, nil
		}
		document := map[string]any{"Resources": guardResource(t, now)}
		if t.Action != hook.Create {
			document["Previous"] = guardResource(t, before)
		}
		return plainly(document)
	}
	if t.Action == hook.Delete {
		return map[string]any{}, nil
	}
	document, err := s.guardTemplates(ctx, t.Stack.Version.TemplateKey, priorTemplate(t))
	if err == nil && t.Proposal != "" {
		document["Changes"], err = s.guardChanges(ctx, t)
	}
	return document, err
}

// guardChanges are what a change set would change.
func (s *Service) guardChanges(ctx context.Context, t *apply.HookTarget) (any, error) {
	var changes []changedResource
	err := s.view(ctx, func(tx store.Tx) error {
		template, err := apply.Templates.Get(tx, t.Stack.Version.TemplateKey)
		if err == nil {
			changes, err = changedResources(tx, t.Proposal, template.Body)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	document, err := plainly(map[string]any{"Changes": changes})
	return document["Changes"], err
}

func guardResource(t *apply.HookTarget, p cfn.Properties) map[string]any {
	if p == nil {
		p = cfn.Properties{}
	}
	return map[string]any{t.LogicalID: map[string]any{"Type": t.Type, "Properties": p}}
}

// priorTemplate is the key of the template that a stack had before.
func priorTemplate(t *apply.HookTarget) string {
	if t.Stack.Before == nil || t.Action != hook.Update {
		return ""
	}
	return t.Stack.Before.TemplateKey
}

// guardTemplates is a template as a document, with the one before as Previous.
func (s *Service) guardTemplates(ctx context.Context, key, before string) (map[string]any, error) {
	document, err := s.templateDocument(ctx, key)
	if err != nil {
		return nil, err
	}
	if before != "" {
		previous, err := s.templateDocument(ctx, before)
		if err != nil {
			return nil, err
		}
		document["Previous"] = previous
	}
	return document, nil
}

func (s *Service) templateDocument(ctx context.Context, key string) (map[string]any, error) {
	if key == "" {
		return map[string]any{}, nil
	}
	var body string
	err := s.view(ctx, func(tx store.Tx) error {
		t, err := apply.Templates.Get(tx, key)
		if err == nil {
			body = t.Body
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return documentOf([]byte(body))
}

// documentOf reads JSON or YAML, in which functions get their long forms.
func documentOf(body []byte) (map[string]any, error) {
	root, problems := template.Read(body)
	if err := problems.Err(); err != nil || root == nil {
		return nil, errors.Join(err, problems.Err())
	}
	return decodeDocument(root.JSON())
}

// plainly makes a document of the kinds of values that JSON has.
func plainly(document any) (map[string]any, error) {
	text, err := json.Marshal(document)
	if err != nil {
		return nil, err
	}
	return decodeDocument(text)
}

func decodeDocument(text []byte) (out map[string]any, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&out); err != nil {
		return nil, err
	}
	if out == nil {
		out = map[string]any{}
	}
	return out, nil
}
