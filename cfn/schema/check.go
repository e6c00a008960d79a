package schema

import (
	"github.com/slipway/slipway/cfn/template"
)

// Check evaluates every active resource's properties and holds them against
// their schemas: what CloudFormation would find while it deploys is found
// before anything is made. Each problem has its place in the template.
func (c *Catalog) Check(scope *template.Scope) template.Problems {
	return c.CheckBy(scope, c.Lookup)
}

// CheckBy is Check by the schemas that lookup finds.
func (c *Catalog) CheckBy(scope *template.Scope, lookup func(typeName string) (*Schema, error)) template.Problems {
	var problems template.Problems
	for _, r := range scope.Active() {
		if r.Condition != "" && c.Known(r.Type) && !c.Built(r.Type) {
			problems = append(problems, template.NotBuilt(r))
		}
		props, bad := scope.Properties(r.LogicalID)
		problems = append(problems, bad...)
		if custom(r.Type) && props["ServiceToken"] == nil {
			problems = append(problems, Place(r, []Issue{{Message: "required key [ServiceToken] not found"}})...)
		}
		s, err := lookup(r.Type)
		if err != nil {
			problems = append(problems, template.At(r.Node.Get("Type"), "%s", err.Error()))
			continue
		}
		if s == nil || len(bad) > 0 {
			continue
		}
		_, issues := s.Conform(props)
		problems = append(problems, Place(r, issues)...)
	}
	problems.Sort()
	return problems
}

// Place gives issues their places in the template.
func Place(r *template.Resource, issues []Issue) template.Problems {
	var problems template.Problems
	for _, i := range issues {
		n := r.Node
		if r.Properties != nil {
			n = r.Properties.Locate(i.Path...)
		}
		problems = append(problems, template.At(n, "Properties validation failed for resource %s with message: %s", r.LogicalID, i))
	}
	return problems
}
