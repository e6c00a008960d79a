// Package apply is the acting half of the CloudFormation engine. It keeps the
// records of stacks (stack.go, resource.go, event.go, operation.go) and runs
// one durable workflow for each stack operation (run.go and the files named for
// its phases): create, update, delete, roll back.
//
// It may import cfn and its template, schema, plan, drift and stackpolicy, workflow, store, auth,
// arn and fault. It knows no AWS service: resource types come in a
// cfn.Registry, and what lies outside a template (exports of other stacks,
// dynamic references) through Config. Its goroutines are the workflow engine's.
package apply
