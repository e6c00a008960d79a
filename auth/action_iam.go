package auth

import (
	"strings"

	"github.com/slipway/slipway/arn"
)

var iamTable = table{prefix: "iam", keys: iamKeys, operations: entries(
	act(iamNamed("role", "RoleName"), "AttachRolePolicy CreateRole DeleteRole DeleteRolePermissionsBoundary DeleteRolePolicy "+
		"DetachRolePolicy GetRole GetRolePolicy ListAttachedRolePolicies ListInstanceProfilesForRole ListRolePolicies ListRoleTags "+
		"PutRolePermissionsBoundary PutRolePolicy TagRole UntagRole UpdateAssumeRolePolicy UpdateRole UpdateRoleDescription DeleteServiceLinkedRole"),
	act(iamNamed("user", "UserName"), "AttachUserPolicy ChangePassword CreateAccessKey CreateLoginProfile CreateServiceSpecificCredential "+
		"CreateUser DeactivateMFADevice DeleteAccessKey DeleteLoginProfile DeleteSSHPublicKey DeleteServiceSpecificCredential "+
		"DeleteSigningCertificate DeleteUser DeleteUserPermissionsBoundary DeleteUserPolicy DetachUserPolicy EnableMFADevice "+
		"GetLoginProfile GetSSHPublicKey GetUser GetUserPolicy ListAccessKeys ListAttachedUserPolicies ListGroupsForUser "+
		"ListMFADevices ListSSHPublicKeys ListServiceSpecificCredentials ListSigningCertificates ListUserPolicies ListUserTags "+
		"PutUserPermissionsBoundary PutUserPolicy ResetServiceSpecificCredential ResyncMFADevice TagUser UntagUser UpdateAccessKey "+
		"UpdateLoginProfile UpdateSSHPublicKey UpdateServiceSpecificCredential UpdateSigningCertificate "+
		"UploadSSHPublicKey UploadSigningCertificate GetMFADevice"),
	act(iamNamed("group", "GroupName"), "AddUserToGroup AttachGroupPolicy CreateGroup DeleteGroup DeleteGroupPolicy DetachGroupPolicy "+
		"GetGroup GetGroupPolicy ListAttachedGroupPolicies ListGroupPolicies PutGroupPolicy RemoveUserFromGroup"),
	act(iamNamed("instance-profile", "InstanceProfileName"), "CreateInstanceProfile DeleteInstanceProfile GetInstanceProfile "+
		"ListInstanceProfileTags RemoveRoleFromInstanceProfile TagInstanceProfile UntagInstanceProfile"),
	act(iamNamed("server-certificate", "ServerCertificateName"), "DeleteServerCertificate GetServerCertificate ListServerCertificateTags "+
		"TagServerCertificate UntagServerCertificate UploadServerCertificate"),
	act(iamNamed("policy", "PolicyName"), "CreatePolicy"),
	act(member("PolicyArn"), "CreatePolicyVersion DeletePolicy DeletePolicyVersion GetPolicy GetPolicyVersion ListEntitiesForPolicy "+
		"ListPolicyTags ListPolicyVersions SetDefaultPolicyVersion TagPolicy UntagPolicy"),
	act(member("OpenIDConnectProviderArn"), "AddClientIDToOpenIDConnectProvider DeleteOpenIDConnectProvider GetOpenIDConnectProvider "+
		"ListOpenIDConnectProviderTags RemoveClientIDFromOpenIDConnectProvider TagOpenIDConnectProvider UntagOpenIDConnectProvider "+
		"UpdateOpenIDConnectProviderThumbprint"),
	act(member("SAMLProviderArn"), "DeleteSAMLProvider GetSAMLProvider ListSAMLProviderTags TagSAMLProvider UntagSAMLProvider UpdateSAMLProvider"),
	act(member("SerialNumber"), "DeleteVirtualMFADevice ListMFADeviceTags TagMFADevice UntagMFADevice"),
	act(member("PolicySourceArn"), "GetContextKeysForPrincipalPolicy SimulatePrincipalPolicy"),
	act(member("Arn"), "GenerateServiceLastAccessedDetails ListPoliciesGrantingServiceAccess"),
	act(nil, "AcceptDelegationRequest AssociateDelegationRequest CreateAccountAlias CreateDelegationRequest DeleteAccountAlias "+
		"DeleteAccountPasswordPolicy DisableOrganizationsRootCredentialsManagement DisableOrganizationsRootSessions "+
		"DisableOutboundWebIdentityFederation EnableOrganizationsRootCredentialsManagement EnableOrganizationsRootSessions "+
		"EnableOutboundWebIdentityFederation GenerateCredentialReport GenerateOrganizationsAccessReport GetAccessKeyLastUsed "+
		"GetAccountAuthorizationDetails GetAccountPasswordPolicy GetAccountSummary GetContextKeysForCustomPolicy GetCredentialReport "+
		"GetDelegationRequest GetHumanReadableSummary GetOrganizationsAccessReport GetOutboundWebIdentityFederationInfo "+
		"GetServiceLastAccessedDetails GetServiceLastAccessedDetailsWithEntities GetServiceLinkedRoleDeletionStatus ListAccountAliases "+
		"ListDelegationRequests ListGroups ListInstanceProfiles ListOpenIDConnectProviders ListOrganizationsFeatures ListPolicies "+
		"ListRoles ListSAMLProviders ListServerCertificates ListUsers ListVirtualMFADevices RejectDelegationRequest SendDelegationToken "+
		"SetSecurityTokenServicePreferences SimulateCustomPolicy UpdateAccountPasswordPolicy UpdateDelegationRequest"),
	map[string]operation{
		"UpdateUser":              renames("user", "UserName"),
		"UpdateGroup":             renames("group", "GroupName"),
		"UpdateServerCertificate": renames("server-certificate", "ServerCertificateName"),
		"AddRoleToInstanceProfile": {on: iamNamed("instance-profile", "InstanceProfileName"), needs: func(a *asking) {
			if role := a.in.text("RoleName"); role != "" {
				a.passRole(iamARN(a.call, "role/"+role), "ec2.amazonaws.com")
			}
		}},
		"CreateServiceLinkedRole": {on: func(c *Call, in membersOf) []string {
			if s := in.text("AWSServiceName"); s != "" {
				return []string{iamARN(c, "role/aws-service-role/"+s+"/AWSServiceRoleFor*")}
			}
			return nil
		}},
		"CreateVirtualMFADevice": {on: iamNamed("mfa", "VirtualMFADeviceName")},
		"CreateSAMLProvider":     {on: iamNamed("saml-provider", "Name")},
		"CreateOpenIDConnectProvider": {on: func(c *Call, in membersOf) []string {
			if u := in.text("Url"); u != "" {
				_, host, _ := strings.Cut(u, "://")
				return []string{iamARN(c, "oidc-provider/"+strings.TrimSuffix(host, "/"))}
			}
			return nil
		}},
	},
)}

// iamNamed names what an IAM operation acts on. A path that only the record
// knows is put in by Policies.FullARN. A user that is not named is the caller.
func iamNamed(kind, name string) namer {
	return func(c *Call, in membersOf) []string {
		n := in.text(name)
		switch {
		case n == "" && kind == "user" && c.Principal.Kind == User && c.Principal.Account == c.Scope.Account:
			return []string{c.Principal.ARN}
		case n == "" && kind == "user" && c.Principal.Kind == Root:
			return []string{iamARN(c, "root")}
		case n == "":
			return nil
		}
		path := in.text("Path")
		if path == "" {
			path = "/"
		}
		return []string{iamARN(c, kind+strings.TrimSuffix(path, "/")+"/"+n)}
	}
}

// renames is the entry of an operation that gives another name or path: it needs
// leave for what was and for what is to be ("Rename an IAM user", IAM User Guide).
func renames(kind, name string) operation {
	on := iamNamed(kind, name)
	return operation{on: on, needs: func(a *asking) {
		as, path := a.in.text("New"+name), a.in.text("NewPath")
		if path != "" {
			if as == "" {
				as = a.in.text(name)
			}
			as = strings.TrimSuffix(path, "/") + "/" + as
		}
		if as != "" {
			a.also("iam:"+a.call.Operation, on(a.call, a.in)...)
			a.out[len(a.out)-1].As = as
		}
	}}
}

func iamARN(c *Call, resource string) string {
	return arn.ARN{Service: "iam", Account: c.Scope.Account, Resource: resource}.String()
}

func iamKeys(k *requestKeys, key string) ([]string, bool) {
	if name, ok := strings.CutPrefix(key, "resourcetag/"); ok {
		return k.resourceTag(name)
	}
	switch key {
	case "policyarn":
		return k.in.value("PolicyArn"), true
	case "permissionsboundary":
		if v := k.in.value("PermissionsBoundary"); v != nil {
			return v, true
		}
		if k.call.Operation == "CreateUser" || k.call.Operation == "CreateRole" {
			return nil, true
		}
		return k.boundary()
	case "awsservicename":
		return k.in.value("AWSServiceName"), true
	case "passedtoservice", "associatedresourcearn":
		return nil, true // set where a role is passed
	case "servicespecificcredentialservicename":
		return k.in.value("ServiceName"), true
	}
	return nil, false
}

// boundary is the permissions boundary that the user or role has already.
func (k *requestKeys) boundary() ([]string, bool) {
	if k.iam == nil {
		return nil, false
	}
	source, ok := k.iam.Tags["iam"].(Boundaries)
	if !ok {
		return nil, false
	}
	has, err := source.BoundaryOf(k.ctx, k.resource)
	return one(has), err == nil
}
