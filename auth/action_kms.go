package auth

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth/policy"
)

var kmsTable = table{prefix: "kms", keys: kmsKeys, operations: entries(
	act(key, "CancelKeyDeletion CreateGrant DeleteImportedKeyMaterial DeriveSharedSecret DescribeKey DisableKey "+
		"DisableKeyRotation EnableKey EnableKeyRotation Encrypt GenerateDataKey GenerateDataKeyPair "+
		"GenerateDataKeyPairWithoutPlaintext GenerateDataKeyWithoutPlaintext GenerateMac GetKeyLastUsage GetKeyPolicy "+
		"GetKeyRotationStatus GetParametersForImport GetPublicKey ImportKeyMaterial ListGrants ListKeyPolicies ListKeyRotations "+
		"ListResourceTags PutKeyPolicy RetireGrant RevokeGrant RotateKeyOnDemand ScheduleKeyDeletion Sign "+
		"TagResource UntagResource UpdateKeyDescription Verify VerifyMac"),
	act(nil, "ConnectCustomKeyStore CreateCustomKeyStore CreateKey DeleteCustomKeyStore DescribeCustomKeyStores "+
		"DisconnectCustomKeyStore GenerateRandom ListAliases ListKeys ListRetirableGrants UpdateCustomKeyStore"),
	map[string]operation{
		"CreateAlias": {on: alias, needs: onTarget}, "DeleteAlias": {on: alias}, "UpdateAlias": {on: alias, needs: onTarget},
		"ReplicateKey": {on: key, needs: func(a *asking) {
			there := policy.Context{"aws:requestedregion": one(a.in.text("ReplicaRegion")), "kms:multiregion": {"true"}, "kms:multiregionkeytype": {"REPLICA"}}
			a.with(there, "kms:CreateKey", "*")
			if a.in.has("Tags") {
				a.with(there, "kms:TagResource", keyIn(a.call, a.in.text("KeyId"), a.in.text("ReplicaRegion"))...)
			}
		}},
		"UpdatePrimaryRegion": {on: key, needs: func(a *asking) {
			a.also("kms:UpdatePrimaryRegion", keyIn(a.call, a.in.text("KeyId"), a.in.text("PrimaryRegion"))...)
		}},
		"Decrypt": {on: func(c *Call, in membersOf) []string { return keyOf(c, in, "KeyId") }},
		"ReEncrypt": {action: noAction, needs: func(a *asking) {
			a.also("kms:ReEncryptFrom", keyOf(a.call, a.in, "SourceKeyId")...)
			a.also("kms:ReEncryptTo", keyNamed(a.call, a.in.text("DestinationKeyId"))...)
		}},
	},
)}

// keyOf is the key that a ciphertext is opened with: the one that is named or,
// as symmetric ciphertexts tell their keys, that of the ciphertext (package
// service/kms): 2, the account (12 bytes), the key's id (36).
func keyOf(c *Call, in membersOf, member string) []string {
	if name := in.text(member); name != "" {
		return keyNamed(c, name)
	}
	v := in.get("CiphertextBlob")
	if v.Kind() != reflect.Slice || v.Type().Elem().Kind() != reflect.Uint8 {
		return nil
	}
	b := v.Bytes()
	if len(b) < 49 || b[0] != 2 || !arn.IsAccount(string(b[1:13])) {
		return nil
	}
	return []string{arn.Scope{Account: string(b[1:13]), Region: c.Scope.Region}.ARN("kms", "key/"+string(b[13:49])).String()}
}

func key(c *Call, in membersOf) []string { return keyNamed(c, in.text("KeyId")) }

// keyNamed is the key of an id, an alias or an ARN of either. The service's
// records tell what an alias stands for.
func keyNamed(c *Call, name string) []string {
	switch {
	case name == "":
		return nil
	case strings.HasPrefix(name, "arn:"):
		return []string{name}
	case strings.HasPrefix(name, "alias/"):
		return []string{c.Scope.ARN("kms", name).String()}
	}
	return []string{c.Scope.ARN("kms", "key/"+name).String()}
}

// keyIn is the key of an id or ARN in another Region.
func keyIn(c *Call, name, region string) []string {
	_, id, of := strings.Cut(name, ":key/")
	if !of {
		id = name
	}
	return []string{arn.Scope{Account: c.Scope.Account, Region: region}.ARN("kms", "key/"+id).String()}
}

func alias(c *Call, in membersOf) []string {
	if n := in.text("AliasName"); n != "" {
		return keyNamed(c, n)
	}
	return nil
}

// onTarget asks for the key that an alias is set to.
func onTarget(a *asking) {
	a.also("kms:"+a.call.Operation, keyNamed(a.call, a.in.text("TargetKeyId"))...)
}

// kmsKeys are those that the request tells; the key's own are in the service.
func kmsKeys(k *requestKeys, name string) ([]string, bool) {
	if pair, ok := strings.CutPrefix(name, "encryptioncontext:"); ok {
		for key, value := range k.encryptionContext() {
			if strings.EqualFold(key, pair) {
				return []string{value}, true
			}
		}
		return nil, true
	}
	switch name {
	case "encryptioncontextkeys":
		return slices.Sorted(maps.Keys(k.encryptionContext())), true
	case "calleraccount":
		return one(k.call.Principal.Account), true
	case "viaservice":
		if n := len(k.call.Via); n > 0 {
			service, _, _ := strings.Cut(k.call.Via[n-1], ".")
			return []string{service + "." + k.call.Scope.Region + ".amazonaws.com"}, true
		}
		return nil, true
	case "requestalias":
		for _, m := range []string{"KeyId", "DestinationKeyId"} {
			if id := k.in.text(m); strings.Contains(id, "alias/") {
				return []string{id[strings.Index(id, "alias/"):]}, true
			}
		}
		return nil, true
	case "grantoperations":
		return k.in.texts("Operations"), true
	case "granteeprincipal":
		return k.in.value("GranteePrincipal"), true
	case "retiringprincipal":
		return k.in.value("RetiringPrincipal"), true
	case "grantconstrainttype":
		switch {
		case k.in.has("Constraints.EncryptionContextEquals"):
			return []string{"EncryptionContextEquals"}, true
		case k.in.has("Constraints.EncryptionContextSubset"):
			return []string{"EncryptionContextSubset"}, true
		}
		return nil, true
	case "grantisforawsresource":
		return []string{boolText(len(k.call.Via) > 0)}, true
	case "encryptionalgorithm", "signingalgorithm", "macalgorithm", "keyagreementalgorithm", "messagetype",
		"schedulekeydeletionpendingwindowindays", "bypasspolicylockoutsafetycheck", "replicaregion", "wrappingalgorithm",
		"wrappingkeyspec", "expirationmodel", "validto", "datakeypairspec", "rotationperiodindays", "primaryregion":
		return k.in.value(kmsMembers[name]), true
	}
	if k.call.Operation == "CreateKey" {
		if m, ok := map[string]string{"keyspec": "KeySpec", "keyusage": "KeyUsage", "keyorigin": "Origin", "multiregion": "MultiRegion"}[name]; ok {
			return k.in.value(m), true
		}
	}
	return nil, false // the key's own, which only its record tells
}

// kmsMembers are the members that keys of their names tell.
var kmsMembers = map[string]string{
	"encryptionalgorithm": "EncryptionAlgorithm", "signingalgorithm": "SigningAlgorithm", "macalgorithm": "MacAlgorithm",
	"keyagreementalgorithm": "KeyAgreementAlgorithm", "messagetype": "MessageType",
	"schedulekeydeletionpendingwindowindays": "PendingWindowInDays", "bypasspolicylockoutsafetycheck": "BypassPolicyLockoutSafetyCheck",
	"replicaregion": "ReplicaRegion", "wrappingalgorithm": "WrappingAlgorithm", "wrappingkeyspec": "WrappingKeySpec",
	"expirationmodel": "ExpirationModel", "validto": "ValidTo", "datakeypairspec": "KeyPairSpec",
	"rotationperiodindays": "RotationPeriodInDays", "primaryregion": "PrimaryRegion",
}

func (k *requestKeys) encryptionContext() map[string]string {
	if k.in.v.IsValid() {
		for _, m := range []string{"EncryptionContext", "SourceEncryptionContext", "DestinationEncryptionContext"} {
			if out := k.in.pairs(m); out != nil {
				return out
			}
		}
	}
	return nil
}
