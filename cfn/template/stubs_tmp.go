package template

import "github.com/slipway/slipway/cfn"

func parse(body []byte) (*Template, Problems)     { return nil, nil }
func (t *Template) validate(types Types) Problems { return nil }

// Resolve gives every parameter its value: given, previous (of the stack's last
// deployment, by name), or default, and checks each against its declaration. ssm
// reads Parameter Store for AWS::SSM::Parameter::Value types.
func (t *Template) Resolve(given []Given, previous Values, ssm func(name string) (string, error)) (Values, Problems) {
	return nil, nil
}

// Enter evaluates the conditions and checks the rules.
func (t *Template) Enter(env Env) (*Scope, Problems) { return nil, nil }

// Holds reports a condition's value. The empty name holds.
func (s *Scope) Holds(condition string) bool { return false }

// Active lists the resources whose conditions hold, in the order of the text.
func (s *Scope) Active() []*Resource { return nil }

// Properties evaluates a resource's properties. Pass a Scope from With to use
// what is known of resources meanwhile.
func (s *Scope) Properties(logicalID string) (cfn.Properties, Problems) { return nil, nil }

// Eval evaluates any node of the template, such as a CreationPolicy.
func (s *Scope) Eval(n *Node) (any, Problems) { return nil, nil }

// With is the scope with another view of the stack's resources.
func (s *Scope) With(resource func(logicalID string) (Live, bool)) *Scope { return nil }

// Outputs evaluates the outputs whose conditions hold.
func (s *Scope) Outputs() ([]OutputValue, Problems) { return nil, nil }

// OutputValue is an evaluated output.
type OutputValue struct {
	Name, Value, Description, ExportName string
}

// Policies are a resource's deletion and update-replace policies, evaluated.
func (s *Scope) Policies(logicalID string) (deletion, updateReplace string, problems Problems) {
	return "", "", nil
}

// Dependencies are the resources that each active resource waits for, by Ref,
// Fn::GetAtt, Fn::Sub or DependsOn, sorted.
func (s *Scope) Dependencies() map[string][]string { return nil }

// Imports lists the export names that the active parts import.
func (s *Scope) Imports() []string { return nil }

// Capabilities are those that a request must acknowledge, with AWS's reason.
func (t *Template) Capabilities() (capabilities []string, reason string, resourceTypes []string) {
	return nil, "", nil
}
