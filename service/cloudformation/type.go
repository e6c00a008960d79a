package cloudformation

import (
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/cfn/plan"
)

// TypesIn are the resource types of an account and region, for who handles resources
// without a stack.
func (s *Service) TypesIn(arn.Scope) plan.Types { return s.types }

// Known reports whether AWS has a resource type, built here or not.
func (s *Service) Known(typeName string) bool { return s.cfg.Schemas.Known(typeName) }
