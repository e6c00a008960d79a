package cloudcontrol

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/cfn/plan"
	"github.com/slipway/slipway/cfn/schema"
	"github.com/slipway/slipway/fault"
)

// Actions of handlers, as UnsupportedActionException names them.
const (
	actionCreate = "CREATE"
	actionRead   = "READ"
	actionUpdate = "UPDATE"
	actionDelete = "DELETE"
	actionList   = "LIST"
)

// kind is a resource type as requests use it.
type kind struct {
	cfn.Type
	schema *schema.Schema
	types  plan.Types
}

// kind finds a resource type that has an action.
func (s *Service) kind(scope arn.Scope, typeName, version, action string) (*kind, error) {
	types := s.cfg.Types(scope)
	t, built := types.Provider(typeName)
	sch, err := types.Schema(typeName)
	if err != nil {
		return nil, err
	}
	k := &kind{Type: t, schema: sch, types: types}
	switch {
	case !built && s.cfg.Known(typeName):
		return nil, fault.New(fault.NotImplemented, "the resource type %s is not built in Slipway yet", typeName)
	case !built:
		return nil, fault.New(fault.TypeNotFoundException, "The type '%s' cannot be found.", typeName)
	case version != "" && strings.HasPrefix(typeName, "AWS::"):
		return nil, fault.New(fault.ValidationException, "TypeVersionId can be given for private resource types only, and %s is public.", typeName)
	case version != "":
		return nil, fault.New(fault.NotImplemented, "requests of a version of a type that is not its default (TypeVersionId) are not built in Slipway yet")
	case t.Bound || sch == nil || len(sch.PrimaryIdentifier) == 0 || !k.has(action):
		return nil, fault.New(fault.UnsupportedActionException, "Resource type %s does not support %s action", typeName, action)
	}
	return k, nil
}

// has reports whether a type has an action. What cannot be read cannot be told of
// either, so Cloud Control handles none of it.
func (k *kind) has(action string) bool {
	if k.Read == nil {
		return false
	}
	switch action {
	case actionCreate:
		return k.Create != nil
	case actionUpdate:
		return k.Update != nil
	case actionDelete:
		return k.Delete != nil
	case actionList:
		return k.List != nil
	}
	return true
}

// identity is which resource a request is about.
type identity struct {
	Identifier string // the values of the primary identifier, with | between
	PhysicalID string
	Values     map[string]string
}

// identify reads an Identifier: the values of the primary identifier in the
// schema's order with | between, or a JSON object of them ("Identifying resources",
// Cloud Control API User Guide).
func (k *kind) identify(text string) (identity, error) {
	names := k.schema.PrimaryIdentifier
	values := map[string]string{}
	if strings.HasPrefix(text, "{") {
		given := map[string]any{}
		if err := json.Unmarshal([]byte(text), &given); err != nil {
			return identity{}, k.badIdentifier(text)
		}
		for name, v := range given {
			values[strings.TrimPrefix(name, "/properties/")] = cfn.Text(v)
		}
		if other := slices.Sorted(maps.Keys(values)); len(values) != len(names) && len(k.schema.AdditionalIdentifiers) > 0 {
			return identity{}, fault.New(fault.NotImplemented, "secondary identifiers %s are not built in Slipway yet", other)
		}
	} else if len(names) == 1 {
		values[names[0]] = text
	} else {
		parts := strings.Split(text, "|")
		if len(parts) != len(names) {
			return identity{}, k.badIdentifier(text)
		}
		for i, name := range names {
			values[name] = parts[i]
		}
	}
	id, ok := k.types.PhysicalID(k.Name, values)
	if !ok {
		return identity{}, k.badIdentifier(text)
	}
	return identity{Identifier: k.join(values), PhysicalID: id, Values: values}, nil
}

func (k *kind) badIdentifier(text string) error {
	return fault.New(fault.ValidationException, "Identifier %s is not valid for identifier [/properties/%s]", text,
		strings.Join(k.schema.PrimaryIdentifier, ", /properties/"))
}

func (k *kind) join(values map[string]string) string {
	parts := make([]string, len(k.schema.PrimaryIdentifier))
	for i, name := range k.schema.PrimaryIdentifier {
		parts[i] = values[name]
	}
	return strings.Join(parts, "|")
}

// identifierOf is the identifier in properties, "" where they do not have all of
// it.
func (k *kind) identifierOf(p cfn.Properties) (identifier string, values map[string]string) {
	values = k.types.Identifier(k.Name, p)
	if len(values) != len(k.schema.PrimaryIdentifier) {
		return "", nil
	}
	return k.join(values), values
}

// known is the identifier of a physical id, where one can be told from the other.
func (k *kind) known(physicalID string) string {
	if k.Identify != nil {
		return ""
	}
	return physicalID
}

// valid checks properties against the schema, and gives them its types.
func (k *kind) valid(p cfn.Properties) (cfn.Properties, error) {
	out, issues := k.schema.Conform(p)
	if len(issues) == 0 {
		return out, nil
	}
	texts := make([]string, len(issues))
	for i := range issues {
		texts[i] = issues[i].String()
	}
	return nil, fault.New(fault.ValidationException, "Model validation failed (%s)", strings.Join(texts, "\n"))
}

// writable are the properties that may be given, of those that were read.
func (k *kind) writable(p cfn.Properties) cfn.Properties { return schema.Without(p, k.schema.ReadOnly) }

// shown is a model as answers have it: nothing of it is write-only.
func (k *kind) shown(p cfn.Properties) string {
	b, err := json.Marshal(schema.Without(p, k.schema.WriteOnly))
	if err != nil {
		return "{}"
	}
	return string(b)
}

// request is what a handler is told.
func (k *kind) request(physicalID, token string) cfn.Request {
	const owner = "CloudControl"
	noun := k.Name[strings.LastIndexByte(k.Name, ':')+1:]
	return cfn.Request{
		StackName: owner, LogicalID: noun, PhysicalID: physicalID, Token: token, Tags: map[string]string{},
		Name:      fmt.Sprintf("%s-%s-%s", owner, noun, arn.SuffixFrom(token, 12)),
		Progress:  func(string) {},
		Initiated: func(string) {},
	}
}
