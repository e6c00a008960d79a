package auth

import (
	"strings"

	"github.com/slipway/slipway/auth/policy"
)

var lambdaTable = table{prefix: "lambda", keys: lambdaKeys, operations: entries(
	act(function, "AddPermission CreateAlias DeleteAlias DeleteFunction DeleteFunctionCodeSigningConfig "+
		"DeleteFunctionConcurrency DeleteFunctionEventInvokeConfig DeleteProvisionedConcurrencyConfig GetAlias GetFunction "+
		"GetFunctionCodeSigningConfig GetFunctionConcurrency GetFunctionConfiguration GetFunctionEventInvokeConfig "+
		"GetFunctionRecursionConfig GetFunctionScalingConfig GetPolicy GetProvisionedConcurrencyConfig GetRuntimeManagementConfig "+
		"InvokeAsync ListAliases ListDurableExecutionsByFunction ListFunctionEventInvokeConfigs ListProvisionedConcurrencyConfigs "+
		"ListVersionsByFunction PublishVersion PutFunctionCodeSigningConfig PutFunctionConcurrency PutFunctionEventInvokeConfig "+
		"PutFunctionRecursionConfig PutFunctionScalingConfig PutProvisionedConcurrencyConfig PutRuntimeManagementConfig RemovePermission "+
		"UpdateAlias UpdateFunctionCode UpdateFunctionEventInvokeConfig CreateFunctionUrlConfig DeleteFunctionUrlConfig "+
		"GetFunctionUrlConfig ListFunctionUrlConfigs UpdateFunctionUrlConfig"),
	act(layerVersion, "AddLayerVersionPermission DeleteLayerVersion GetLayerVersion GetLayerVersionPolicy RemoveLayerVersionPermission"),
	act(layer, "ListLayerVersions PublishLayerVersion"),
	act(eventSourceMapping, "DeleteEventSourceMapping GetEventSourceMapping UpdateEventSourceMapping"),
	act(member("Resource"), "ListTags TagResource UntagResource"),
	act(member("CodeSigningConfigArn"), "DeleteCodeSigningConfig GetCodeSigningConfig ListFunctionsByCodeSigningConfig UpdateCodeSigningConfig"),
	act(member("DurableExecutionArn"), "CheckpointDurableExecution GetDurableExecution GetDurableExecutionHistory GetDurableExecutionState StopDurableExecution"),
	act(capacityProvider, "CreateCapacityProvider DeleteCapacityProvider GetCapacityProvider ListFunctionVersionsByCapacityProvider UpdateCapacityProvider"),
	act(nil, "CreateCodeSigningConfig CreateEventSourceMapping GetAccountSettings ListCapacityProviders ListCodeSigningConfigs "+
		"ListEventSourceMappings ListFunctions ListLayers SendDurableExecutionCallbackFailure SendDurableExecutionCallbackHeartbeat "+
		"SendDurableExecutionCallbackSuccess"),
	map[string]operation{
		"CreateFunction": {on: function, needs: func(a *asking) {
			withRoleAndLayers(a)
			if a.in.has("Tags") {
				a.also("lambda:TagResource", function(a.call, a.in)...)
			}
		}},
		"GetLayerVersionByArn":        {action: "lambda:GetLayerVersion", on: member("Arn")},
		"Invoke":                      {action: "lambda:InvokeFunction", on: function},
		"UpdateFunctionConfiguration": {on: function, needs: withRoleAndLayers},
	},
)}

func withRoleAndLayers(a *asking) {
	a.passRole(a.in.text("Role"), "lambda.amazonaws.com")
	for _, l := range a.in.texts("Layers") {
		a.also("lambda:GetLayerVersion", l)
	}
}

// function is named by a name, a part of its ARN, or all of it, each with a qualifier
// or with one in a member of its own.
func function(c *Call, in membersOf) []string {
	name := in.text("FunctionName")
	if name == "" {
		return nil
	}
	scope := c.Scope
	rest := name
	if whole, ok := strings.CutPrefix(name, "arn:aws:lambda:"); ok {
		region, more, _ := strings.Cut(whole, ":")
		scope.Region, rest = region, more
	}
	if account, more, ok := strings.Cut(rest, ":"); ok && len(account) == 12 && strings.Trim(account, "0123456789") == "" {
		scope.Account, rest = account, more
	}
	rest = strings.TrimPrefix(rest, "function:")
	if q := in.text("Qualifier"); q != "" && !strings.Contains(rest, ":") {
		rest += ":" + q
	}
	return []string{scope.ARN("lambda", "function:"+rest).String()}
}

func layer(c *Call, in membersOf) []string {
	name := in.text("LayerName")
	switch {
	case name == "":
		return nil
	case strings.HasPrefix(name, "arn:"):
		return []string{name}
	}
	return []string{c.Scope.ARN("lambda", "layer:"+name).String()}
}

func layerVersion(c *Call, in membersOf) []string {
	l := layer(c, in)
	if n := in.value("VersionNumber"); len(l) == 1 && len(n) == 1 {
		return []string{l[0] + ":" + n[0]}
	}
	return nil
}

func eventSourceMapping(c *Call, in membersOf) []string {
	if id := in.text("UUID"); id != "" {
		return []string{c.Scope.ARN("lambda", "event-source-mapping:"+id).String()}
	}
	return nil
}

func capacityProvider(c *Call, in membersOf) []string {
	name := in.text("CapacityProviderName")
	switch {
	case name == "":
		return nil
	case strings.HasPrefix(name, "arn:"):
		return []string{name}
	}
	return []string{c.Scope.ARN("lambda", "capacity-provider:"+name).String()}
}

// lambdaKeys are the condition keys of Lambda ("Condition keys for AWS Lambda",
// Service Authorization Reference).
func lambdaKeys(k *requestKeys, name string) ([]string, bool) {
	switch name {
	case "codesigningconfigarn":
		return k.in.value("CodeSigningConfigArn"), true
	case "eventsourcetoken":
		return k.in.value("EventSourceToken"), true
	case "functionarn":
		if k.call.Operation == "UpdateEventSourceMapping" && !k.in.has("FunctionName") || k.call.Operation == "DeleteEventSourceMapping" ||
			k.call.Operation == "GetEventSourceMapping" {
			return k.lambdaRecord(name)
		}
		return function(k.call, k.in), true
	case "functionurlauthtype":
		if v := k.in.value("FunctionUrlAuthType"); v != nil {
			return v, true
		}
		if v := k.in.value("AuthType"); v != nil {
			return v, true
		}
		return nil, true
	case "invokedviafunctionurl":
		if v := k.in.value("InvokedViaFunctionUrl"); v != nil {
			return v, true
		}
		return nil, true
	case "layer":
		return k.in.texts("Layers"), true
	case "principal":
		return k.in.value("Principal"), true
	case "securitygroupids", "subnetids", "vpcids":
		if k.in.has("VpcConfig") {
			return nil, false // no function is in a VPC here: such a call answers that itself
		}
		return nil, true
	}
	if kind, tag, ok := strings.Cut(name, "/"); ok && kind == "resourcetag" {
		return k.resourceTag(tag)
	}
	return nil, false
}

// lambdaRecord is a key that only the record of what the call names tells.
func (k *requestKeys) lambdaRecord(name string) ([]string, bool) {
	if k.iam == nil || k.resource == policy.Unknown {
		return nil, false
	}
	source, ok := k.iam.Tags["lambda"].(ResourceKeys)
	if !ok {
		return nil, false
	}
	keys, err := source.ResourceKeys(k.ctx, k.resource)
	return keys[name], err == nil
}
