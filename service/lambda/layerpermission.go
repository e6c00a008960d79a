package lambda

import (
	"context"
	"slices"

	api "github.com/slipway/slipway/api/lambda"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/policy"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// permitLayer lets callers of other accounts have what a layer version's policy
// opens to them. l is nil where there is none: they are not to learn that.
func (s *Service) permitLayer(ctx context.Context, p layerPlace, l *layer, n int64, in any) error {
	call := auth.From(ctx)
	if call.Scope.Account == p.Account || in != nil && call.Principal.Enforced && call.Principal.Kind != auth.Service {
		return nil
	}
	resource := p.versionARN(n)
	ask := call.Asking("lambda:GetLayerVersion", resource, nil)
	if l != nil && l.Policy != nil {
		doc, err := s.policies.Parse(l.Policy.document(), policy.Resource)
		if err != nil {
			return err
		}
		if doc.Decide(call.Principal.Caller(), policy.Request{Action: ask.Action, Resource: resource, Context: ask.Context}) == policy.Allowed {
			return nil
		}
	}
	return fail(fault.AccessDeniedException, "User: %s is not authorized to perform: lambda:GetLayerVersion on resource: %s because no resource-based policy allows the lambda:GetLayerVersion action",
		call.Principal.ARN, resource)
}

// layerPolicy is the policy of a layer's version.
func (s *Service) layerPolicy(ctx context.Context, resource string) (out auth.ResourcePolicy, err error) {
	p, n, ok := parseLayer(resource)
	if !ok {
		return out, nil
	}
	out.Owner = p.Account
	var l *layer
	err = s.store.View(ctx, func(tx store.Tx) (err error) {
		l, err = getLayer(tx, p, n)
		return err
	})
	if err == nil && l != nil && l.Policy != nil {
		out.Document, err = s.policies.Parse(l.Policy.document(), policy.Resource)
	}
	return out, err
}

// layerVersion changes a version of one of the caller's layers.
func (s *Service) layerVersion(ctx context.Context, name string, n *int64, fn func(p layerPlace, l *layer) error) error {
	p, err := layerNamed(ctx, name)
	if err == nil {
		err = checkLayerVersion(n)
	}
	if err != nil {
		return err
	}
	if p.Account != scopeOf(ctx).Account {
		return fail(fault.AccessDeniedException, "A layer's policy is changed in its own account only.")
	}
	return s.store.Update(ctx, func(tx store.Tx) error {
		l, err := getLayer(tx, p, *n)
		if err != nil {
			return err
		}
		if l == nil {
			return notFound("Layer version %s does not exist.", p.versionARN(*n))
		}
		if err := fn(p, l); err != nil {
			return err
		}
		return layers.Put(tx, p.versionKey(*n), l)
	})
}

// AddLayerVersionPermission lets other accounts have a layer's version.
func (s *Service) AddLayerVersionPermission(ctx context.Context, in *api.AddLayerVersionPermissionInput) (*api.AddLayerVersionPermissionOutput, error) {
	token := auth.From(ctx).Token
	out := &api.AddLayerVersionPermissionOutput{}
	err := s.layerVersion(ctx, in.LayerName, in.VersionNumber, func(p layerPlace, l *layer) error {
		add := sentence{Sid: in.StatementId, Effect: "Allow", Action: in.Action, Resource: p.versionARN(l.Version)}
		switch {
		case in.Principal == "*":
			add.Principal = "*"
		case arn.IsAccount(in.Principal):
			add.Principal = map[string]string{"AWS": "arn:aws:iam::" + in.Principal + ":root"}
		default:
			add.Principal = map[string]string{"AWS": in.Principal}
		}
		if in.OrganizationId != "" {
			add.Condition = map[string]map[string]string{"StringEquals": {"aws:PrincipalOrgID": in.OrganizationId}}
		}
		text, err := add.text()
		if err != nil {
			return err
		}
		i := l.Policy.find(in.StatementId)
		switch {
		case i >= 0 && token != "" && l.Policy.Statements[i].Text == text:
			out.Statement, out.RevisionId = text, l.Policy.Revision
			return nil
		case i >= 0:
			return conflict("The statement id (%s) provided already exists. Please provide a new statement id, or remove the existing statement.", in.StatementId)
		case in.RevisionId != "" && (l.Policy == nil || in.RevisionId != l.Policy.Revision):
			return stale("GetLayerVersionPolicy")
		}
		if l.Policy == nil {
			l.Policy = &permission{}
		}
		l.Policy.Statements, l.Policy.Revision = append(l.Policy.Statements, statement{in.StatementId, text}), arn.NewUUID()
		if size := len(l.Policy.document()); size > maxPolicy {
			return fail(fault.PolicyLengthExceededException, "The final policy size (%d) is bigger than the limit (%d).", size, maxPolicy)
		}
		out.Statement, out.RevisionId = text, l.Policy.Revision
		return nil
	})
	return out, err
}

// RemoveLayerVersionPermission takes that back.
func (s *Service) RemoveLayerVersionPermission(ctx context.Context, in *api.RemoveLayerVersionPermissionInput) (*api.RemoveLayerVersionPermissionOutput, error) {
	return &api.RemoveLayerVersionPermissionOutput{}, s.layerVersion(ctx, in.LayerName, in.VersionNumber, func(_ layerPlace, l *layer) error {
		i := l.Policy.find(in.StatementId)
		switch {
		case i < 0:
			return notFound("Statement %s is not found in resource policy.", in.StatementId)
		case in.RevisionId != "" && in.RevisionId != l.Policy.Revision:
			return stale("GetLayerVersionPolicy")
		}
		l.Policy.Statements, l.Policy.Revision = slices.Delete(l.Policy.Statements, i, i+1), arn.NewUUID()
		if len(l.Policy.Statements) == 0 {
			l.Policy = nil
		}
		return nil
	})
}

// GetLayerVersionPolicy gives the policy of a layer's version.
func (s *Service) GetLayerVersionPolicy(ctx context.Context, in *api.GetLayerVersionPolicyInput) (*api.GetLayerVersionPolicyOutput, error) {
	p, err := layerNamed(ctx, in.LayerName)
	if err == nil {
		err = checkLayerVersion(in.VersionNumber)
	}
	if err != nil {
		return nil, err
	}
	var out *api.GetLayerVersionPolicyOutput
	err = s.store.View(ctx, func(tx store.Tx) error {
		l, err := getLayer(tx, p, *in.VersionNumber)
		if err != nil {
			return err
		}
		if err := s.permitLayer(ctx, p, l, *in.VersionNumber, in); err != nil {
			return err
		}
		switch {
		case l == nil:
			return notFound("Layer version %s does not exist.", p.versionARN(*in.VersionNumber))
		case l.Policy == nil:
			return notFound("No policy is associated with the given resource.")
		}
		out = &api.GetLayerVersionPolicyOutput{Policy: l.Policy.document(), RevisionId: l.Policy.Revision}
		return nil
	})
	return out, err
}
