package auth

import (
	"strings"
)

var ssmTable = table{prefix: "ssm", keys: ssmKeys, operations: entries(
	act(parameter, "DeleteParameter DeleteParameters GetParameter GetParameterHistory GetParameters GetParametersByPath "+
		"LabelParameterVersion PutParameter UnlabelParameterVersion"),
	act(ssmTagged, "AddTagsToResource ListTagsForResource RemoveTagsFromResource"),
	act(member("ResourceArn"), "DeleteResourcePolicy GetResourcePolicies PutResourcePolicy"),
	act(document("Name"), "CreateDocument DeleteDocument DescribeDocument DescribeDocumentPermission GetDocument "+
		"ListDocumentMetadataHistory ListDocumentVersions ModifyDocumentPermission UpdateDocument UpdateDocumentDefaultVersion "+
		"UpdateDocumentMetadata"),
	act(document("DocumentName"), "StartChangeRequestExecution StartExecutionPreview"),
	act(resourceOf("ssm", "association/", "AssociationId"), "DescribeAssociation DescribeAssociationExecutionTargets "+
		"DescribeAssociationExecutions ListAssociationVersions"),
	act(association, "CreateAssociation DeleteAssociation UpdateAssociation UpdateAssociationStatus"),
	act(resourceOf("ssm", "maintenancewindow/", "WindowId"), "DeleteMaintenanceWindow DeregisterTargetFromMaintenanceWindow "+
		"DeregisterTaskFromMaintenanceWindow DescribeMaintenanceWindowExecutions DescribeMaintenanceWindowTargets "+
		"DescribeMaintenanceWindowTasks GetMaintenanceWindow GetMaintenanceWindowTask RegisterTargetWithMaintenanceWindow "+
		"UpdateMaintenanceWindow UpdateMaintenanceWindowTarget"),
	act(resourceOf("ssm", "patchbaseline/", "BaselineId"), "DeletePatchBaseline DeregisterPatchBaselineForPatchGroup "+
		"DescribeEffectivePatchesForPatchBaseline GetPatchBaseline RegisterDefaultPatchBaseline RegisterPatchBaselineForPatchGroup UpdatePatchBaseline"),
	act(resourceOf("ssm", "opsitem/", "OpsItemId"), "AssociateOpsItemRelatedItem DeleteOpsItem DisassociateOpsItemRelatedItem GetOpsItem UpdateOpsItem"),
	act(member("OpsMetadataArn"), "DeleteOpsMetadata GetOpsMetadata UpdateOpsMetadata"),
	act(resourceOf("ssm", "resource-data-sync/", "SyncName"), "CreateResourceDataSync DeleteResourceDataSync UpdateResourceDataSync"),
	act(resourceOf("ssm", "servicesetting/", "SettingId"), "GetServiceSetting ResetServiceSetting UpdateServiceSetting"),
	act(resourceOf("ssm", "session/", "SessionId"), "ResumeSession TerminateSession"),
	act(resourceOf("ssm", "automation-execution/", "AutomationExecutionId"), "GetAutomationExecution SendAutomationSignal StopAutomationExecution"),
	act(managed("InstanceId"), "DeregisterManagedInstance DescribeEffectiveInstanceAssociations DescribeInstanceAssociationsStatus "+
		"PutInventory UpdateManagedInstanceRole"),
	act(managed("Target"), "GetConnectionStatus"),
	act(nil, "CancelCommand CancelMaintenanceWindowExecution CreateActivation CreateAssociationBatch CreateMaintenanceWindow CreateOpsItem "+
		"CreateOpsMetadata CreatePatchBaseline DeleteActivation DeleteInventory DescribeActivations DescribeAutomationExecutions "+
		"DescribeAutomationStepExecutions DescribeAvailablePatches DescribeInstanceInformation DescribeInstancePatchStates "+
		"DescribeInstancePatchStatesForPatchGroup DescribeInstancePatches DescribeInstanceProperties DescribeInventoryDeletions "+
		"DescribeMaintenanceWindowExecutionTaskInvocations DescribeMaintenanceWindowExecutionTasks DescribeMaintenanceWindowSchedule "+
		"DescribeMaintenanceWindows DescribeMaintenanceWindowsForTarget DescribeOpsItems DescribeParameters DescribePatchBaselines "+
		"DescribePatchGroupState DescribePatchGroups DescribePatchProperties DescribeSessions GetAccessToken GetCalendarState "+
		"GetCommandInvocation GetDefaultPatchBaseline GetDeployablePatchSnapshotForInstance GetExecutionPreview GetInventory "+
		"GetInventorySchema GetMaintenanceWindowExecution GetMaintenanceWindowExecutionTask GetMaintenanceWindowExecutionTaskInvocation "+
		"GetOpsSummary GetPatchBaselineForPatchGroup ListAssociations ListCommandInvocations ListCommands ListComplianceItems "+
		"ListComplianceSummaries ListDocuments ListInventoryEntries ListNodes ListNodesSummary ListOpsItemEvents ListOpsItemRelatedItems "+
		"ListOpsMetadata ListResourceComplianceSummaries ListResourceDataSync PutComplianceItems StartAccessRequest StartAssociationsOnce"),
	map[string]operation{
		"SendCommand":                       {on: commandTargets, needs: func(a *asking) { a.passRole(a.in.text("ServiceRoleArn"), "ssm.amazonaws.com") }},
		"StartSession":                      {on: sessionTargets},
		"StartAutomationExecution":          {on: automation},
		"RegisterTaskWithMaintenanceWindow": {on: resourceOf("ssm", "maintenancewindow/", "WindowId"), needs: passServiceRole},
		"UpdateMaintenanceWindowTask":       {on: resourceOf("ssm", "maintenancewindow/", "WindowId"), needs: passServiceRole},
	},
)}

func passServiceRole(a *asking) { a.passRole(a.in.text("ServiceRoleArn"), "ssm.amazonaws.com") }

// parameter is named by name, path or ARN, without its version or label.
func parameter(c *Call, in membersOf) []string {
	names := append(append(in.some("Path"), in.some("Name")...), in.texts("Names")...)
	for i, n := range names {
		names[i] = parameterARN(c, n)
	}
	return names
}

func parameterARN(c *Call, n string) string {
	if strings.HasPrefix(n, "arn:") {
		if parts := strings.SplitN(n, ":", 7); len(parts) == 7 {
			return strings.Join(parts[:6], ":")
		}
		return n
	}
	n, _, _ = strings.Cut(n, ":") // a version or label
	return c.Scope.ARN("ssm", "parameter/"+strings.TrimPrefix(n, "/")).String()
}

// taggedKinds are the resources of SSM by their ResourceType.
var taggedKinds = map[string]string{
	"Document": "document/", "ManagedInstance": "managed-instance/", "MaintenanceWindow": "maintenancewindow/",
	"PatchBaseline": "patchbaseline/", "OpsItem": "opsitem/", "OpsMetadata": "opsmetadata/", "Automation": "automation-execution/",
	"Association": "association/",
}

func ssmTagged(c *Call, in membersOf) []string {
	id, kind := in.text("ResourceId"), in.text("ResourceType")
	switch {
	case id == "":
		return nil
	case kind == "Parameter":
		return []string{parameterARN(c, id)}
	case strings.HasPrefix(id, "arn:"):
		return []string{id}
	case taggedKinds[kind] != "":
		return []string{c.Scope.ARN("ssm", taggedKinds[kind]+id).String()}
	}
	return nil
}

// document names a document; those of AWS belong to no account.
func document(name string) namer {
	return func(c *Call, in membersOf) []string {
		n := in.text(name)
		if n == "" {
			return nil
		}
		return []string{documentARN(c, n)}
	}
}

func documentARN(c *Call, n string) string {
	switch {
	case strings.HasPrefix(n, "arn:"):
		return n
	case strings.HasPrefix(n, "AWS-"), strings.HasPrefix(n, "AWSSupport-"), strings.HasPrefix(n, "Amazon"):
		return "arn:aws:ssm:" + c.Scope.Region + "::document/" + n
	}
	return c.Scope.ARN("ssm", "document/"+n).String()
}

func association(c *Call, in membersOf) []string {
	var out []string
	if id := in.text("AssociationId"); id != "" {
		out = append(out, c.Scope.ARN("ssm", "association/"+id).String())
	}
	if n := in.text("Name"); n != "" {
		out = append(out, documentARN(c, n))
	}
	if id := in.text("InstanceId"); id != "" {
		out = append(out, managedARN(c, id))
	}
	return out
}

func managed(name string) namer {
	return func(c *Call, in membersOf) []string {
		if id := in.text(name); id != "" {
			return []string{managedARN(c, id)}
		}
		return nil
	}
}

func managedARN(c *Call, id string) string {
	if strings.HasPrefix(id, "mi-") {
		return c.Scope.ARN("ssm", "managed-instance/"+id).String()
	}
	return c.Scope.ARN("ec2", "instance/"+id).String()
}

func commandTargets(c *Call, in membersOf) []string {
	var out []string
	if n := in.text("DocumentName"); n != "" {
		out = append(out, documentARN(c, n))
	}
	for _, id := range in.texts("InstanceIds") {
		out = append(out, managedARN(c, id))
	}
	if in.has("Targets") {
		out = append(out, c.Scope.ARN("ec2", "instance/*").String())
	}
	return out
}

func sessionTargets(c *Call, in membersOf) []string {
	var out []string
	if id := in.text("Target"); id != "" {
		out = append(out, managedARN(c, id))
	}
	if n := in.text("DocumentName"); n != "" {
		out = append(out, documentARN(c, n))
	}
	return out
}

func automation(c *Call, in membersOf) []string {
	n := in.text("DocumentName")
	switch {
	case n == "":
		return nil
	case strings.HasPrefix(n, "arn:"):
		return []string{strings.Replace(n, ":document/", ":automation-definition/", 1) + ":*"}
	}
	return []string{strings.Replace(documentARN(c, n), ":document/", ":automation-definition/", 1) + ":*"}
}

func ssmKeys(k *requestKeys, key string) ([]string, bool) {
	switch key {
	case "recursive":
		if k.call.Operation != "GetParametersByPath" {
			return nil, true
		}
		return []string{boolText(k.in.flag("Recursive"))}, true
	case "overwrite":
		if k.call.Operation != "PutParameter" {
			return nil, true
		}
		return []string{boolText(k.in.flag("Overwrite"))}, true
	case "policies":
		return k.in.value("Policies"), true
	case "documenttype":
		if v := k.in.value("DocumentType"); v != nil {
			return v, true
		}
		return nil, false
	case "synctype":
		return k.in.value("SyncType"), true
	case "sourceinstancearn", "ec2:sourceinstancearn":
		return nil, true
	}
	return nil, false
}
