// Package cloudformation holds the resource types AWS::CloudFormation::*. It may
// import api/cloudformation, arn, cfn, fault and resource. It calls CloudFormation
// through its API, and through the interfaces here for what that has no operations
// for. It starts no goroutine.
package cloudformation

import (
	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/cfn"
)

// Service is what the types need of the CloudFormation service.
type Service interface {
	Handles
	Macros
	Providers
	Stacks
}

// Types are the resource types of this package.
func Types(s Service, sets api.Service) []cfn.Type {
	return []cfn.Type{custom(s), macro(s), stack(s), stackSet(sets), waitConditionHandle(s), waitCondition(s)}
}
