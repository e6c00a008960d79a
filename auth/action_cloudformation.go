package auth

import (
	"strings"

	"github.com/slipway/slipway/arn"
)

var stackTable = table{prefix: "cloudformation", keys: stackKeys, operations: entries(
	stacks(stack, "CancelUpdateStack DeleteChangeSet DescribeChangeSet DescribeChangeSetHooks DescribeEvents "+
		"DescribeStackEvents DescribeStackResource DescribeStackResourceDrifts DescribeStackResources DescribeStacks "+
		"DetectStackDrift DetectStackResourceDrift ExecuteChangeSet GetStackPolicy GetTemplate GetTemplateSummary "+
		"ListChangeSets ListStackResources SetStackPolicy SignalResource UpdateTerminationProtection "+
		"ContinueUpdateRollback CreateChangeSet CreateStack DeleteStack RollbackStack UpdateStack"),
	stacks(stackSet, "CreateStackInstances CreateStackSet DeleteStackInstances DeleteStackSet DescribeStackInstance "+
		"DescribeStackSet DescribeStackSetOperation DetectStackSetDrift ImportStacksToStackSet ListStackInstanceResourceDrifts "+
		"ListStackInstances ListStackSetAutoDeploymentTargets ListStackSetOperationResults ListStackSetOperations "+
		"StopStackSetOperation UpdateStackInstances UpdateStackSet"),
	act(resourceOf("cloudformation", "generatedTemplate/", "GeneratedTemplateName"),
		"DeleteGeneratedTemplate DescribeGeneratedTemplate GetGeneratedTemplate UpdateGeneratedTemplate"),
	act(resourceOf("cloudformation", "resourceScan/", "ResourceScanId"),
		"DescribeResourceScan ListResourceScanRelatedResources ListResourceScanResources"),
	act(nil, "ActivateOrganizationsAccess BatchDescribeTypeConfigurations CreateGeneratedTemplate CreateStackRefactor "+
		"DeactivateOrganizationsAccess DeactivateType DeregisterType DescribeAccountLimits DescribeOrganizationsAccess "+
		"DescribePublisher DescribeStackDriftDetectionStatus DescribeStackRefactor DescribeType DescribeTypeRegistration "+
		"EstimateTemplateCost ExecuteStackRefactor GetHookResult ListExports ListGeneratedTemplates ListHookResults ListImports "+
		"ListResourceScans ListStackRefactorActions ListStackRefactors ListStackSets ListStacks ListTypeRegistrations "+
		"ListTypeVersions ListTypes PublishType RecordHandlerProgress RegisterPublisher SetTypeConfiguration "+
		"SetTypeDefaultVersion StartResourceScan TestType ValidateTemplate"),
	extensionRoles("ActivateType RegisterType"),
)}

// extensionRoles are entries of operations that give an extension a role.
func extensionRoles(operations string) map[string]operation {
	out := act(nil, operations)
	for name, o := range out {
		o.needs = func(a *asking) {
			service := "resources.cloudformation.amazonaws.com"
			if a.in.text("Type") == "HOOK" || strings.Contains(a.in.text("PublicTypeArn"), ":type/hook/") {
				service = "hooks.cloudformation.amazonaws.com"
			}
			a.passRole(a.in.text("ExecutionRoleArn"), service)
		}
		out[name] = o
	}
	return out
}

// stacks are entries of operations that may be given a role.
func stacks(on namer, operations string) map[string]operation {
	out := act(on, operations)
	for name, o := range out {
		o.needs = func(a *asking) {
			a.passRole(a.in.text("RoleARN"), "cloudformation.amazonaws.com")
			a.passRole(a.in.text("AdministrationRoleARN"), "cloudformation.amazonaws.com")
		}
		out[name] = o
	}
	return out
}

// stack is named by its name, its ARN or the ARN of its change set, which stands
// for its stack whatever stack is named beside it; the service puts in the ids.
// Without any, as when all stacks are described, it is "*".
func stack(c *Call, in membersOf) []string {
	named := stackNamed(c, in)
	if set := in.text("ChangeSetName"); strings.HasPrefix(set, "arn:") {
		return append([]string{set}, named...)
	}
	if named == nil && in.text("PhysicalResourceId") != "" {
		return nil // the records know the stack
	}
	if named == nil {
		return []string{"*"}
	}
	return named
}

func stackNamed(c *Call, in membersOf) []string {
	for _, m := range []string{"StackName", "StackId"} {
		n := in.text(m)
		switch {
		case strings.HasPrefix(n, "arn:"):
			return []string{n}
		case n != "":
			return []string{c.Scope.ARN("cloudformation", "stack/"+n+"/*").String()}
		}
	}
	if in.text("StackSetName") != "" {
		return stackSet(c, in)
	}
	return nil
}

func stackSet(c *Call, in membersOf) []string {
	n := in.text("StackSetName")
	if n == "" {
		return nil
	}
	if strings.HasPrefix(n, "arn:") {
		return []string{n}
	}
	if !strings.Contains(n, ":") {
		n += ":*" // the id behind the name
	}
	return []string{c.Scope.ARN("cloudformation", "stackset/"+n).String()}
}

// resourceOf names a resource of a service by the id, or the ARN, that a member
// holds. Without one it is unknown.
func resourceOf(service, kind, name string) namer {
	return func(c *Call, in membersOf) []string {
		id := in.text(name)
		if id == "" || strings.HasPrefix(id, "arn:") {
			return in.some(name)
		}
		return []string{c.Scope.ARN(service, kind+id).String()}
	}
}

func stackKeys(k *requestKeys, key string) ([]string, bool) {
	switch key {
	case "templateurl":
		return k.in.value("TemplateURL"), true
	case "rolearn":
		return k.in.value("RoleARN"), true
	case "stackpolicyurl":
		return k.in.value("StackPolicyURL"), true
	case "changesetname":
		name := k.in.text("ChangeSetName")
		if a, err := arn.Parse(name); err == nil {
			name = strings.Split(strings.TrimPrefix(a.Resource, "changeSet/"), "/")[0]
		}
		return one(name), true
	case "resourcetypes":
		return k.in.texts("ResourceTypes"), true
	case "createaction":
		return one(k.call.Operation), true
	case "importresourcetypes":
		var types []string
		for _, r := range k.in.list("ResourcesToImport") {
			types = append(types, r.text("ResourceType"))
		}
		return types, true
	case "targetregion":
		return k.in.texts("Regions"), true
	}
	return nil, false
}
