package cloudformation

import (
	"context"
	"errors"

	"github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/cfn/apply"
	"github.com/slipway/slipway/cfn/plan"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// ListExports lists the exported outputs of the account and region.
func (s *Service) ListExports(ctx context.Context, in *cloudformation.ListExportsInput) (*cloudformation.ListExportsOutput, error) {
	c, err := s.call(ctx)
	if err != nil {
		return nil, err
	}
	out := &cloudformation.ListExportsOutput{Exports: []cloudformation.Export{}}
	err = s.view(ctx, func(tx store.Tx) error {
		items, next, err := apply.Exports.Page(tx, c.Scope.Key()+"/", in.NextToken, pageSize, nil)
		for _, it := range items {
			out.Exports = append(out.Exports, cloudformation.Export{ExportingStackId: it.Value.StackID, Name: it.Value.Name, Value: it.Value.Value})
		}
		out.NextToken = next
		return tokenError(err, in.NextToken)
	})
	return out, err
}

// ListImports lists the stacks that import an export.
func (s *Service) ListImports(ctx context.Context, in *cloudformation.ListImportsInput) (*cloudformation.ListImportsOutput, error) {
	c, err := s.call(ctx)
	if err != nil {
		return nil, err
	}
	out := &cloudformation.ListImportsOutput{}
	err = s.view(ctx, func(tx store.Tx) error {
		prefix := c.Scope.Key() + "/" + in.ExportName + "/"
		items, next, err := apply.Imports.Page(tx, prefix, in.NextToken, pageSize, func(i *apply.Import) bool { return i.Export == in.ExportName })
		for _, it := range items {
			out.Imports = append(out.Imports, it.Value.Stack)
		}
		out.NextToken = next
		if err == nil && len(out.Imports) == 0 {
			return fault.New(fault.ValidationError, "Export '%s' is not imported by any stack.", in.ExportName)
		}
		return tokenError(err, in.NextToken)
	})
	return out, err
}

// unknownImport says which resource's values a change set cannot tell, because it
// imports what nobody exports yet; "" if there is none.
func unknownImport(tx store.Tx, st *apply.Stack, in plan.Input) (string, error) {
	scope, problems := in.New.Enter(in.Env)
	if len(problems) > 0 {
		return "", problems.Err()
	}
	for _, i := range scope.Importers() {
		_, err := apply.Exports.Get(tx, st.Scope.Key()+"/"+i.Export)
		if errors.Is(err, store.ErrNotFound) {
			return "[WARN] --include-property-values option can return incomplete ChangeSet data because: ChangeSet creation failed for resource [" +
				i.LogicalID + "] because: No export named " + i.Export, nil
		}
		if err != nil {
			return "", err
		}
	}
	return "", nil
}
