package cloudformation

import (
	"context"
	"strings"
	"sync"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/cfn/plan"
	"github.com/slipway/slipway/cfn/schema"
	"github.com/slipway/slipway/cfn/template"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// registered is a registered resource type as the engine takes it.
type registered struct {
	cfn.Type
	schema *schema.Schema
}

// registeredTypes keeps the types of versions, which do not change, by their ARNs.
type registeredTypes struct {
	mu sync.Mutex
	by map[string]*registered
}

// keptTypes bounds them.
const keptTypes = 1000

// own reports whether a type's name may be that of a registered one.
func own(typeName string) bool {
	return strings.Count(typeName, "::") == 2 && !strings.HasPrefix(typeName, "AWS::") && !strings.HasPrefix(typeName, "Custom::")
}

// TypesIn are the resource types of an account and region: those that are built, and
// those that it has registered.
func (s *Service) TypesIn(scope arn.Scope) plan.Types {
	return plan.Types{
		Schema: func(typeName string) (*schema.Schema, error) {
			if !own(typeName) {
				return s.cfg.Schemas.Lookup(typeName)
			}
			t, err := s.registered(scope, typeName)
			if t == nil || err != nil {
				return nil, err
			}
			return t.schema, nil
		},
		Provider: func(typeName string) (cfn.Type, bool) {
			if !own(typeName) {
				return s.cfg.Types.Lookup(typeName)
			}
			t, err := s.registered(scope, typeName)
			if t == nil || err != nil {
				return cfn.Type{}, false
			}
			return t.Type, true
		},
	}
}

// registered is the default version of a type that the account has registered in the
// region; nil: there is none.
func (s *Service) registered(scope arn.Scope, typeName string) (t *registered, err error) {
	err = s.view(context.Background(), func(tx store.Tx) error {
		e, err := getExtension(tx, scope, resourceKind, typeName)
		if err != nil || e == nil || e.Deprecated {
			return err
		}
		t, err = s.registeredAs(tx, e)
		return err
	})
	return t, err
}

func (s *Service) registeredAs(tx store.Tx, e *extension) (*registered, error) {
	id := e.arn(e.Default)
	s.parsed.mu.Lock()
	t := s.parsed.by[id]
	s.parsed.mu.Unlock()
	if t != nil {
		return t, nil
	}
	v, err := e.getVersion(tx, "")
	if err != nil {
		return nil, err
	}
	sch, err := schema.Parse([]byte(v.Schema))
	if err != nil {
		return nil, err
	}
	t = &registered{Type: s.handled(e, v, sch), schema: sch}
	s.parsed.mu.Lock()
	defer s.parsed.mu.Unlock()
	if len(s.parsed.by) >= keptTypes || s.parsed.by == nil {
		s.parsed.by = map[string]*registered{}
	}
	s.parsed.by[id] = t
	return t, nil
}

// anywhere is a type that some account has registered in some region: enough to say
// whether a template can be one. Whether it is one of the caller's, TypesIn says.
func (s *Service) anywhere(typeName string) (t *registered, err error) {
	err = s.view(context.Background(), func(tx store.Tx) error {
		for it, err := range extensions.ByIndex(tx, "name", resourceKind+"/"+typeName) {
			if err == nil && it.Value.Deprecated {
				continue
			}
			if err == nil {
				t, err = s.registeredAs(tx, it.Value)
			}
			return err
		}
		return nil
	})
	return t, err
}

func (s *Service) schemaAnywhere(typeName string) (*schema.Schema, error) {
	if !own(typeName) {
		return s.cfg.Schemas.Lookup(typeName)
	}
	t, err := s.anywhere(typeName)
	if t == nil || err != nil {
		return nil, err
	}
	return t.schema, nil
}

func (s *Service) providerAnywhere(typeName string) (cfn.Type, bool) {
	if !own(typeName) {
		return s.cfg.Types.Lookup(typeName)
	}
	t, err := s.anywhere(typeName)
	if t == nil || err != nil {
		return cfn.Type{}, false
	}
	return t.Type, true
}

// known tells templates of types, registered ones too.
type known struct{ s *Service }

func (k known) Known(typeName string) bool { return k.s.Known(typeName) }

func (k known) Built(typeName string) bool {
	if own(typeName) {
		return k.Known(typeName)
	}
	return k.s.cfg.Schemas.Built(typeName)
}

func (k known) HasAttribute(typeName, attribute string) bool {
	if !own(typeName) {
		return k.s.cfg.Schemas.HasAttribute(typeName, attribute)
	}
	t, err := k.s.anywhere(typeName)
	return err != nil || t == nil || t.schema.HasAttribute(attribute)
}

// Known reports whether AWS has a resource type, built here or not, or somebody has
// registered it.
func (s *Service) Known(typeName string) bool {
	if !own(typeName) {
		return s.cfg.Schemas.Known(typeName)
	}
	_, ok := s.providerAnywhere(typeName)
	return ok
}

// unregistered finds resources of types that the account has not registered.
func (s *Service) unregistered(in plan.Input) error {
	var problems template.Problems
	for _, r := range in.New.Resources {
		if _, ok := in.Types.Provider(r.Type); own(r.Type) && !ok {
			problems = append(problems, template.At(r.Node.Get("Type"), "Template format error: Unrecognized resource types: [%s]", r.Type))
		}
	}
	return problems.Err()
}

// handlerFault is an error of a handler, by its code.
func handlerFault(code, message string) error {
	if code == "" {
		code = cfn.HandlerInternalFailure
	}
	return fault.New(code, "%s", cut(message, maxHookMessage))
}
