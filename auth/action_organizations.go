package auth

import "strings"

var organizationsTable = table{prefix: "organizations", keys: organizationsKeys, operations: entries(
	act(orgNamed("AccountId"), "CloseAccount DeregisterDelegatedAdministrator DescribeAccount ListDelegatedServicesForAccount "+
		"RegisterDelegatedAdministrator RemoveAccountFromOrganization"),
	act(orgNamed("OrganizationalUnitId"), "DeleteOrganizationalUnit DescribeOrganizationalUnit UpdateOrganizationalUnit"),
	act(orgNamed("ParentId"), "ListAccountsForParent ListChildren ListOrganizationalUnitsForParent"),
	act(orgNamed("ChildId"), "ListParents"),
	act(orgNamed("RootId"), "DisablePolicyType EnablePolicyType"),
	act(orgNamed("PolicyId"), "DeletePolicy DescribePolicy ListTargetsForPolicy UpdatePolicy"),
	act(orgNamed("PolicyId", "TargetId"), "AttachPolicy DetachPolicy"),
	act(orgNamed("TargetId"), "DescribeEffectivePolicy ListPoliciesForTarget"),
	act(orgNamed("ResourceId"), "ListTagsForResource TagResource UntagResource"),
	act(orgNamed("AccountId", "SourceParentId", "DestinationParentId"), "MoveAccount"),
	act(orgNamed("HandshakeId"), "AcceptHandshake CancelHandshake DeclineHandshake DescribeHandshake"),
	// What these act on, the records alone tell.
	act(unnamed, "DeleteResourcePolicy DescribeResourcePolicy PutResourcePolicy DescribeResponsibilityTransfer "+
		"TerminateResponsibilityTransfer UpdateResponsibilityTransfer"),
	act(nil, "CreateGovCloudAccount CreateOrganization DeleteOrganization DescribeCreateAccountStatus DescribeOrganization "+
		"DisableAWSServiceAccess EnableAWSServiceAccess EnableAllFeatures LeaveOrganization "+
		"ListAWSServiceAccessForOrganization ListAccounts ListAccountsWithInvalidEffectivePolicy ListCreateAccountStatus "+
		"ListDelegatedAdministrators ListEffectivePolicyValidationErrors ListHandshakesForAccount ListHandshakesForOrganization "+
		"ListInboundResponsibilityTransfers ListOutboundResponsibilityTransfers ListPolicies ListRoots "+
		"InviteOrganizationToTransferResponsibility"),
	map[string]operation{
		"CreateAccount":               {needs: orgTags},
		"CreatePolicy":                {needs: orgTags},
		"CreateOrganizationalUnit":    {on: orgNamed("ParentId"), needs: orgTags},
		"InviteAccountToOrganization": {needs: orgTags},
	},
)}

func unnamed(*Call, membersOf) []string { return nil }

// orgTags asks for the leave to put tags on what is made.
func orgTags(a *asking) {
	if a.in.has("Tags") {
		a.also("organizations:TagResource", "*")
	}
}

// orgNamed is the root, unit, account or policy of the members' ids. Package
// service/organizations puts the organization's id into the ARN.
func orgNamed(names ...string) namer {
	return func(c *Call, in membersOf) []string {
		var out []string
		for _, name := range names {
			if id := in.text(name); id != "" {
				out = append(out, c.Scope.Global("organizations", orgResource(id)).String())
			}
		}
		return out
	}
}

// orgResource is an id with its kind. AWS's own policies are no account's, but are
// named as one of the caller's.
func orgResource(id string) string {
	prefix, _, _ := strings.Cut(id, "-")
	switch prefix {
	case "r":
		return "root/" + id
	case "ou":
		return "ou/" + id
	case "p":
		return "policy/service_control_policy/" + id
	case "h":
		return "handshake/invite/" + id
	}
	return "account/" + id
}

// organizationsKeys are the condition keys of Organizations.
func organizationsKeys(k *requestKeys, name string) ([]string, bool) {
	switch name {
	case "serviceprincipal":
		return k.in.value("ServicePrincipal"), true
	case "policytype":
		for _, m := range []string{"PolicyType", "Type", "Filter"} {
			if k.in.has(m) {
				return k.in.value(m), true
			}
		}
		return nil, k.call.Operation == "CreatePolicy" || !strings.Contains(k.call.Operation, "Policy")
	}
	return nil, false
}
