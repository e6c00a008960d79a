package cloudformation

import (
	"context"
	"regexp"

	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
)

// Macros is what macros need of the CloudFormation service. It acts in the
// caller's account and region.
type Macros interface {
	// CreateMacro gives a macro its name. The same durable step may do it again.
	CreateMacro(ctx context.Context, m cfn.Macro) error
	UpdateMacro(ctx context.Context, m cfn.Macro) error
	// GetMacro answers cfn.NotFound for a name that no macro has.
	GetMacro(ctx context.Context, name string) (*cfn.Macro, error)
	// DeleteMacro takes a name away. One that is gone is no error.
	DeleteMacro(ctx context.Context, name string) error
	ListMacros(ctx context.Context) ([]string, error)
}

// macroName is what a template can name; AWS's own transforms have colons.
var macroName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,256}$`)

// macro is AWS::CloudFormation::Macro: its physical id is its name.
func macro(macros Macros) cfn.Type {
	result := func(m cfn.Macro) cfn.Result {
		return cfn.Result{PhysicalID: m.Name, Attributes: cfn.Properties{"Id": m.Name}}
	}
	return cfn.Type{
		Name: "AWS::CloudFormation::Macro",
		Create: func(ctx context.Context, r cfn.Request) (cfn.Result, error) {
			m := macroOf(r.Properties)
			if !macroName.MatchString(m.Name) {
				return cfn.Result{}, fault.New(fault.ValidationError, "Macro name %q must have 1 to 256 letters, digits, hyphens or underscores", m.Name)
			}
			if err := macros.CreateMacro(ctx, m); err != nil {
				return cfn.Result{}, err
			}
			return result(m), nil
		},
		Read: func(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
			m, err := macros.GetMacro(ctx, r.PhysicalID)
			if err != nil {
				return nil, err
			}
			p := cfn.Properties{"Id": m.Name, "Name": m.Name, "FunctionName": m.FunctionName}
			for name, v := range map[string]string{"Description": m.Description, "LogGroupName": m.LogGroupName, "LogRoleARN": m.LogRoleARN} {
				if v != "" {
					p[name] = v
				}
			}
			return p, nil
		},
		Update: func(ctx context.Context, r cfn.Request) (cfn.Result, error) {
			m := macroOf(r.Properties)
			return result(m), macros.UpdateMacro(ctx, m)
		},
		Delete: func(ctx context.Context, r cfn.Request) error { return macros.DeleteMacro(ctx, r.PhysicalID) },
		List:   func(ctx context.Context) ([]string, error) { return macros.ListMacros(ctx) },
	}
}

func macroOf(p cfn.Properties) cfn.Macro {
	text := func(name string) string { s, _ := p[name].(string); return s }
	return cfn.Macro{
		Name: text("Name"), FunctionName: text("FunctionName"), Description: text("Description"),
		LogGroupName: text("LogGroupName"), LogRoleARN: text("LogRoleARN"),
	}
}
