// Package cloudformation holds the resource types AWS::CloudFormation::*. It
// may import cfn and fault, and calls CloudFormation through the interfaces
// here, since its API has no operations for what they do. It starts no goroutine.
package cloudformation

import "github.com/slipway/slipway/cfn"

// Service is what the types need of the CloudFormation service.
type Service interface {
	Handles
	Macros
	Providers
	Stacks
}

// Types are the resource types of this package.
func Types(s Service) []cfn.Type {
	return []cfn.Type{custom(s), macro(s), stack(s), waitConditionHandle(s), waitCondition(s)}
}
