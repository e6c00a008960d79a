package cloudformation

import (
	"context"
	"strings"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/cfn/apply"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// The service answers package auth's questions about stacks.
var (
	_ auth.ResourceTags     = (*Service)(nil)
	_ auth.ResourcePolicies = (*Service)(nil)
)

// ResourceTags are a stack's tags.
func (s *Service) ResourceTags(ctx context.Context, resource string) (tags map[string]string, err error) {
	err = s.cfg.Store.View(ctx, func(tx store.Tx) error {
		tags = nil
		st, err := stackMeant(tx, resource)
		if st != nil {
			tags = st.Version.Tags
		}
		return err
	})
	return tags, err
}

// ResourcePolicy tells the id of the stack that is named by its name, or by the id
// of a change set: what policies say of the stack must count. Stacks have no
// policies of this kind.
func (s *Service) ResourcePolicy(ctx context.Context, resource string) (out auth.ResourcePolicy, err error) {
	err = s.cfg.Store.View(ctx, func(tx store.Tx) error {
		st, err := stackMeant(tx, resource)
		if st != nil {
			out.ARN = st.ID
		}
		return err
	})
	return out, err
}

// stackMeant finds the stack that an ARN stands for in package auth's table; nil
// where there is none.
func stackMeant(tx store.Tx, resource string) (*apply.Stack, error) {
	a, err := arn.Parse(resource)
	if err != nil {
		return nil, nil
	}
	scope := arn.Scope{Account: a.Account, Region: a.Region}
	var st *apply.Stack
	switch kind, rest, _ := strings.Cut(a.Resource, "/"); kind {
	case "changeSet":
		_, st, err = findChangeSet(tx, scope, resource, "")
	case "stack":
		name := resource
		if short, ok := strings.CutSuffix(rest, "/*"); ok {
			name = short
		}
		st, err = find(tx, scope, name)
	}
	if _, known := fault.As(err); known {
		return nil, nil // the operation tells
	}
	return st, err
}
