package auth

import (
	"strings"

	"github.com/slipway/slipway/auth/policy"
)

var secretsTable = table{prefix: "secretsmanager", keys: secretKeys, operations: entries(
	act(secretNamed, "CancelRotateSecret DeleteResourcePolicy DeleteSecret DescribeSecret GetResourcePolicy GetSecretValue ListSecretVersionIds "+
		"PutResourcePolicy PutSecretValue RemoveRegionsFromReplication ReplicateSecretToRegions RestoreSecret StopReplicationToReplica "+
		"TagResource UntagResource UpdateSecret UpdateSecretVersionStage"),
	act(nil, "GetRandomPassword ListSecrets"),
	map[string]operation{
		// Each secret is asked for by the service, as the caller may be refused some.
		"BatchGetSecretValue": {needs: func(a *asking) {
			if a.in.has("Filters") {
				a.also("secretsmanager:ListSecrets", "*")
			}
		}},
		"CreateSecret": {on: newSecret, needs: func(a *asking) {
			if a.in.has("Tags") {
				a.also("secretsmanager:TagResource", newSecret(a.call, a.in)...)
			}
			if a.in.has("AddReplicaRegions") {
				a.also("secretsmanager:ReplicateSecretToRegions", newSecret(a.call, a.in)...)
			}
		}},
		"RotateSecret": {on: secretNamed, needs: func(a *asking) {
			if f := a.in.text("RotationLambdaARN"); f != "" {
				a.also("lambda:InvokeFunction", f)
			}
		}},
		"ValidateResourcePolicy": {on: secretNamed, needs: func(a *asking) {
			a.also("secretsmanager:PutResourcePolicy", secretNamed(a.call, a.in)...)
		}},
	},
)}

// secretNamed is the secret of a name or an ARN. The service's records tell the
// suffix that a name leaves out.
func secretNamed(c *Call, in membersOf) []string {
	id := in.text("SecretId")
	switch {
	case id == "":
		return nil
	case strings.HasPrefix(id, "arn:"):
		return []string{id}
	}
	return []string{c.Scope.ARN("secretsmanager", "secret:"+id).String()}
}

// newSecret is a secret that does not exist yet. Policies write "name-??????" for
// one of a name, or a longer wildcard.
func newSecret(c *Call, in membersOf) []string {
	if n := in.text("Name"); n != "" {
		return []string{c.Scope.ARN("secretsmanager", "secret:"+n+"-??????").String()}
	}
	return nil
}

// secretKeys are the condition keys of Secrets Manager ("Condition keys for AWS
// Secrets Manager", Service Authorization Reference).
func secretKeys(k *requestKeys, name string) ([]string, bool) {
	if kind, tag, ok := strings.Cut(name, "/"); ok {
		switch {
		case kind == "resourcetag":
			return k.resourceTag(tag)
		case name == "resource/allowrotationlambdaarn":
			return nil, true // no secret rotates yet
		}
		return nil, false
	}
	switch name {
	case "secretid":
		if k.in.has("SecretId") && k.resource != policy.Unknown {
			return one(k.resource), true
		}
		return nil, true
	case "versionstage":
		return k.versionStage(), true
	case "secretprimaryregion":
		return one(k.call.Scope.Region), true
	case "kmskeyarn":
		if id := k.in.text("KmsKeyId"); id != "" {
			return keyNamed(k.call, id), true
		}
		return nil, true
	case "addreplicaregions":
		var regions []string
		for _, r := range k.in.list("AddReplicaRegions") {
			regions = append(regions, r.some("Region")...)
		}
		return regions, true
	}
	if m, ok := secretMembers[name]; ok {
		return k.in.value(m), true
	}
	return nil, false
}

// versionStage is the stage that a request names; one for a value that names
// nothing is for the current one.
func (k *requestKeys) versionStage() []string {
	if v := k.in.value("VersionStage"); v != nil {
		return v
	}
	if k.action == "secretsmanager:GetSecretValue" && !k.in.has("VersionId") {
		return []string{"AWSCURRENT"}
	}
	return nil
}

// secretMembers are the members that keys of their names tell.
var secretMembers = map[string]string{
	"blockpublicpolicy": "BlockPublicPolicy", "description": "Description", "forcedeletewithoutrecovery": "ForceDeleteWithoutRecovery",
	"forceoverwritereplicasecret": "ForceOverwriteReplicaSecret", "kmskeyid": "KmsKeyId", "name": "Name",
	"recoverywindowindays": "RecoveryWindowInDays", "rotateimmediately": "RotateImmediately", "rotationlambdaarn": "RotationLambdaARN",
	"type": "Type", "versionid": "VersionId",
}
