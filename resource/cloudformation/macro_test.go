package cloudformation_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource/cloudformation"
)

// names is a service that has macros.
type names struct {
	cloudformation.Handles
	cloudformation.Providers
	cloudformation.Stacks
	there map[string]cfn.Macro
}

func (n *names) CreateMacro(_ context.Context, m cfn.Macro) error { n.there[m.Name] = m; return nil }
func (n *names) UpdateMacro(_ context.Context, m cfn.Macro) error { n.there[m.Name] = m; return nil }
func (n *names) GetMacro(_ context.Context, name string) (*cfn.Macro, error) {
	m, ok := n.there[name]
	if !ok {
		return nil, fault.New(cfn.NotFound, "Macro %s does not exist", name)
	}
	return &m, nil
}
func (n *names) DeleteMacro(_ context.Context, name string) error { delete(n.there, name); return nil }
func (n *names) ListMacros(context.Context) ([]string, error) {
	var all []string
	for name := range n.there {
		all = append(all, name)
	}
	return all, nil
}

func TestMacro(t *testing.T) {
	n := &names{there: map[string]cfn.Macro{}}
	var registry cfn.Registry
	registry.Add(cloudformation.Types(n, nil)...)
	typ, _ := registry.Lookup("AWS::CloudFormation::Macro")
	ctx := t.Context()
	given := cfn.Properties{"Name": "Count", "FunctionName": "arn:aws:lambda:us-east-1:111111111111:function:f", "Description": "counts"}
	made, err := typ.Create(ctx, cfn.Request{Properties: given, Token: "t"})
	if err != nil || made.PhysicalID != "Count" {
		t.Fatal(made, err)
	}
	want := cfn.Properties{"Id": "Count", "Name": "Count", "FunctionName": given["FunctionName"], "Description": "counts"}
	if got, err := typ.Read(ctx, cfn.Request{PhysicalID: "Count"}); err != nil || cmp.Diff(want, got) != "" {
		t.Error(err, cmp.Diff(want, got))
	}
	if _, err := typ.Update(ctx, cfn.Request{PhysicalID: "Count", Properties: cfn.Properties{"Name": "Count", "FunctionName": "g"}}); err != nil || n.there["Count"].FunctionName != "g" {
		t.Error(err, n.there)
	}
	if all, err := typ.List(ctx); err != nil || cmp.Diff([]string{"Count"}, all) != "" {
		t.Error(all, err)
	}
	for range 2 {
		if err := typ.Delete(ctx, cfn.Request{PhysicalID: "Count"}); err != nil {
			t.Error(err)
		}
	}
	if _, err := typ.Read(ctx, cfn.Request{PhysicalID: "Count"}); !fault.Is(err, cfn.NotFound) {
		t.Error("what is gone is read:", err)
	}
	for _, bad := range []string{"", "AWS::Include", "a b"} {
		if _, err := typ.Create(ctx, cfn.Request{Properties: cfn.Properties{"Name": bad, "FunctionName": "f"}}); !fault.Is(err, fault.ValidationError) {
			t.Errorf("the name %q: %v", bad, err)
		}
	}
}
