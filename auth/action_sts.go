package auth

import "github.com/slipway/slipway/arn"

var stsTable = table{prefix: "sts", keys: stsKeys, operations: entries(
	act(nil, "DecodeAuthorizationMessage GetAccessKeyInfo GetDelegatedAccessToken GetSessionToken GetWebIdentityToken"),
	act(func(c *Call, in membersOf) []string {
		return []string{c.Scope.Global("sts", "federated-user/"+in.text("Name")).String()}
	}, "GetFederationToken"),
	// Everybody may ask who they are, whatever policies say.
	map[string]operation{"GetCallerIdentity": {action: noAction}},
	// Package service/sts decides these together with the role's trust policy.
	act(member("RoleArn"), "AssumeRole AssumeRoleWithSAML AssumeRoleWithWebIdentity"),
	act(func(_ *Call, in membersOf) []string {
		account := in.text("TargetPrincipal")
		if !arn.IsAccount(account) {
			return in.some("TargetPrincipal")
		}
		return []string{arn.Scope{Account: account}.Global("iam", "root").String()}
	}, "AssumeRoot"),
)}

// member names a resource by the ARN that a member holds.
func member(name string) namer {
	return func(_ *Call, in membersOf) []string { return in.some(name) }
}

// stsKeys are those of the role's trust policy and of a caller's own policies.
func stsKeys(k *requestKeys, key string) ([]string, bool) {
	switch key {
	case "externalid":
		return k.in.value("ExternalId"), true
	case "rolesessionname":
		return k.in.value("RoleSessionName"), true
	case "sourceidentity":
		return k.in.value("SourceIdentity"), true
	case "transitivetagkeys":
		return k.in.texts("TransitiveTagKeys"), true
	case "durationseconds":
		return k.in.value("DurationSeconds"), true
	case "taskpolicyarn":
		return k.in.value("TaskPolicyArn.Arn"), true
	case "awsservicename", "requestcontextproviders", "identitytokenaudience", "signingalgorithm":
		return nil, true
	}
	return nil, false
}
