package cloudformation

import (
	"context"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/cfn/apply"
	"github.com/slipway/slipway/store"
)

// BeginReview begins to ask the hooks of a change set that makes a stack, and returns its
// id.
func (s *Service) BeginReview(ctx context.Context, name, body string) (begin Beginning, id string, err error) {
	c := auth.From(ctx)
	stack, cs := newStack(c, name, s.cfg.Now()), newChangeSet(c.Scope, "c")
	// The same in each run, as its workflow's id.
	cs.ID = c.Scope.ARN("cloudformation", "changeSet/c/"+arn.UUIDFrom(name)).String()
	d := &draft{stack: stack, new: true, cs: cs}
	cs.Type = changeSetCreate
	cs.of(stack)
	if d.w, err = s.want(ctx, nil, request{source: source{Body: body}}); err != nil {
		return nil, "", err
	}
	if err := s.view(ctx, func(tx store.Tx) error { return s.decideTree(tx, d) }); err != nil {
		return nil, "", err
	}
	return func(tx store.Tx) (string, error) {
		err := s.keepAsked(ledger(tx), d, apply.Caller{Principal: c.Principal}, apply.UserInitiated)
		return hookReviewWorkflow + "/" + cs.key(stack), err
	}, cs.ID, nil
}
