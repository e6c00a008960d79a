package cloudformation

import (
	"context"

	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
)

// Stacks is what nested stacks need of the CloudFormation service. Each function
// only begins an operation; the same durable step begins one.
type Stacks interface {
	CreateNested(ctx context.Context, r cfn.Request) (stackID string, err error)
	UpdateNested(ctx context.Context, r cfn.Request) error
	// DeleteNested reports whether there is something whose end is to be waited for.
	DeleteNested(ctx context.Context, r cfn.Request) (bool, error)
	ReadNested(ctx context.Context, r cfn.Request) (cfn.Properties, error)
}

// stack is AWS::CloudFormation::Stack: a stack whose operations the parent's begin
// and wait for. The engine itself rolls it back and cleans it up, with the tree.
func stack(stacks Stacks) cfn.Type {
	return cfn.Type{
		Name:       "AWS::CloudFormation::Stack",
		Bound:      true,
		Plain:      true,
		References: []string{}, // the nested stack's resources resolve what their parameters bring
		Create: func(ctx context.Context, r cfn.Request) (cfn.Result, error) {
			id, err := stacks.CreateNested(ctx, r)
			if err != nil {
				return cfn.Result{}, err
			}
			return cfn.Result{PhysicalID: id, Wait: &cfn.Wait{Stack: id}}, nil
		},
		Read: func(ctx context.Context, r cfn.Request) (cfn.Properties, error) { return stacks.ReadNested(ctx, r) },
		Update: func(ctx context.Context, r cfn.Request) (cfn.Result, error) {
			err := stacks.UpdateNested(ctx, r)
			return cfn.Result{PhysicalID: r.PhysicalID, Wait: &cfn.Wait{Stack: r.PhysicalID}}, err
		},
		Remove: func(ctx context.Context, r cfn.Request) (*cfn.Wait, error) {
			there, err := stacks.DeleteNested(ctx, r)
			if err != nil || !there {
				return nil, err
			}
			return &cfn.Wait{Stack: r.PhysicalID}, nil
		},
		Delete: func(context.Context, cfn.Request) error {
			return fault.New(fault.NotImplemented, "A nested stack is deleted by the operations of stacks alone")
		},
	}
}
