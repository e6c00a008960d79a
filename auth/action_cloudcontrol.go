package auth

var controlTable = table{prefix: "cloudformation", keys: stackKeys, operations: entries(
	requests("CreateResource DeleteResource GetResource ListResources UpdateResource"),
	act(anyResource, "CancelResourceRequest GetResourceRequestStatus ListResourceRequests"),
)}

// anyResource is what the Cloud Control API's actions are on, whatever the resource.
func anyResource(c *Call, _ membersOf) []string {
	return []string{c.Scope.ARN("cloudformation", "resource/*").String()}
}

// requests are entries of operations that may be given a role.
func requests(operations string) map[string]operation {
	out := act(anyResource, operations)
	for name, o := range out {
		o.needs = func(a *asking) { a.passRole(a.in.text("RoleArn"), "cloudformation.amazonaws.com") }
		out[name] = o
	}
	return out
}
