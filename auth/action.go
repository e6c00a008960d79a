package auth

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"reflect"
	"strings"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth/policy"
)

// prefixes are the IAM prefixes that differ from the service's name here
// ("Actions, resources, and condition keys for AWS services", Service
// Authorization Reference).
var prefixes = map[string]string{
	"elbv2":                    "elasticloadbalancing",
	"stepfunctions":            "states",
	"sfn":                      "states",
	"cloudcontrol":             "cloudformation",
	"apigatewayv2":             "apigateway",
	"resourcegroupstaggingapi": "tag",
	"monitoring":               "cloudwatch",
}

// actions are the operations whose action has another name.
var actions = map[string]string{
	"sqs:SendMessageBatch":             "sqs:SendMessage",
	"sqs:DeleteMessageBatch":           "sqs:DeleteMessage",
	"sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",

	"s3:ListBuckets":                        "s3:ListAllMyBuckets",
	"s3:ListObjects":                        "s3:ListBucket",
	"s3:ListObjectsV2":                      "s3:ListBucket",
	"s3:HeadBucket":                         "s3:ListBucket",
	"s3:ListObjectVersions":                 "s3:ListBucketVersions",
	"s3:HeadObject":                         "s3:GetObject",
	"s3:CopyObject":                         "s3:PutObject",
	"s3:DeleteObjects":                      "s3:DeleteObject",
	"s3:CreateMultipartUpload":              "s3:PutObject",
	"s3:UploadPart":                         "s3:PutObject",
	"s3:UploadPartCopy":                     "s3:PutObject",
	"s3:CompleteMultipartUpload":            "s3:PutObject",
	"s3:ListParts":                          "s3:ListMultipartUploadParts",
	"s3:ListMultipartUploads":               "s3:ListBucketMultipartUploads",
	"s3:GetBucketEncryption":                "s3:GetEncryptionConfiguration",
	"s3:PutBucketEncryption":                "s3:PutEncryptionConfiguration",
	"s3:DeleteBucketEncryption":             "s3:PutEncryptionConfiguration",
	"s3:GetBucketLifecycleConfiguration":    "s3:GetLifecycleConfiguration",
	"s3:PutBucketLifecycleConfiguration":    "s3:PutLifecycleConfiguration",
	"s3:DeleteBucketLifecycle":              "s3:PutLifecycleConfiguration",
	"s3:GetPublicAccessBlock":               "s3:GetBucketPublicAccessBlock",
	"s3:PutPublicAccessBlock":               "s3:PutBucketPublicAccessBlock",
	"s3:DeletePublicAccessBlock":            "s3:PutBucketPublicAccessBlock",
	"s3:DeleteBucketTagging":                "s3:PutBucketTagging",
	"s3:GetBucketCors":                      "s3:GetBucketCORS",
	"s3:PutBucketCors":                      "s3:PutBucketCORS",
	"s3:DeleteBucketCors":                   "s3:PutBucketCORS",
	"s3:GetBucketNotificationConfiguration": "s3:GetBucketNotification",
	"s3:PutBucketNotificationConfiguration": "s3:PutBucketNotification",
	"s3:DeleteBucketOwnershipControls":      "s3:PutBucketOwnershipControls",

	"lambda:Invoke": "lambda:InvokeFunction",
}

// versionActions are those of S3 on a version that the request names: who may
// delete objects, which leaves their versions, may not delete these.
var versionActions = map[string]string{
	"s3:GetObject":           "s3:GetObjectVersion",
	"s3:DeleteObject":        "s3:DeleteObjectVersion",
	"s3:GetObjectAcl":        "s3:GetObjectVersionAcl",
	"s3:GetObjectAttributes": "s3:GetObjectVersionAttributes",
	"s3:GetObjectTagging":    "s3:GetObjectVersionTagging",
	"s3:PutObjectTagging":    "s3:PutObjectVersionTagging",
	"s3:DeleteObjectTagging": "s3:DeleteObjectVersionTagging",
}

// Requests are what the call's operation needs leave for: the action on its
// resources, and sometimes a second action.
func (c Call) Requests(input any) []Request {
	prefix := c.Service
	if p, ok := prefixes[c.Service]; ok {
		prefix = p
	}
	action := prefix + ":" + c.Operation
	if a, ok := actions[action]; ok {
		action = a
	}
	in := members(input)
	first := Request{Principal: c.Principal, Service: c.Service, Action: action, Context: c.conditionContext()}
	first.Resources = c.resources(in)
	out := []Request{first}
	also := func(action string, resources ...string) {
		r := first
		r.Action, r.Resources = action, resources
		out = append(out, r)
	}
	if c.Service == "s3" {
		out[0].Action = versionAction(action, in.text("VersionId") != "")
		c.alsoOfObjects(in, also)
	}
	if action == "sqs:StartMessageMoveTask" {
		also("sqs:ReceiveMessage", in.text("SourceArn"))
		also("sqs:DeleteMessage", in.text("SourceArn"))
		also("sqs:GetQueueAttributes", in.text("SourceArn"))
		if to := in.text("DestinationArn"); to != "" {
			also("sqs:SendMessage", to)
		}
	}
	if role := in.text("RoleARN"); role != "" && c.Service == "cloudformation" {
		out = append(out, c.PassRole(role, "cloudformation.amazonaws.com"))
	}
	if role := in.text("RoleName"); role != "" && action == "iam:AddRoleToInstanceProfile" {
		out = append(out, c.PassRole(iamARN(c, "role/"+role), "ec2.amazonaws.com"))
	}
	return out
}

func versionAction(action string, versioned bool) string {
	if a, ok := versionActions[action]; ok && versioned {
		return a
	}
	return action
}

// alsoOfObjects adds what an S3 operation needs beside its own action: to read a
// copy's source, to put tags, to delete the versions that a list names.
func (c Call) alsoOfObjects(in membersOf, also func(action string, resources ...string)) {
	switch c.Operation {
	case "CopyObject", "UploadPartCopy":
		source, _, versioned := strings.Cut(strings.TrimPrefix(in.text("CopySource"), "/"), "?versionId=")
		if plain, err := url.PathUnescape(source); err == nil {
			source = plain
		}
		also(versionAction("s3:GetObject", versioned), "arn:aws:s3:::"+source)
	case "DeleteObjects":
		var versions []string
		for _, o := range in.member("Delete").list("Objects") {
			if o.text("VersionId") != "" {
				versions = append(versions, "arn:aws:s3:::"+in.text("Bucket")+"/"+o.text("Key"))
			}
		}
		if versions != nil {
			also("s3:DeleteObjectVersion", versions...)
		}
	}
	if in.text("Tagging") != "" && in.text("Key") != "" {
		also("s3:PutObjectTagging", "arn:aws:s3:::"+in.text("Bucket")+"/"+in.text("Key"))
	}
}

// PassRole is the leave that the caller needs to give a role to an AWS service
// ("Grant a user permissions to pass a role to an AWS service", IAM User Guide).
// A service asks it itself where only its records know the role.
func (c Call) PassRole(role, service string) Request {
	keys := c.conditionContext()
	keys["iam:passedtoservice"] = []string{service}
	return Request{Principal: c.Principal, Service: c.Service, Action: "iam:PassRole", Resources: []string{role}, Context: keys}
}

// resources builds the ARNs that the operation acts on.
func (c Call) resources(in membersOf) []string {
	if build, ok := builders[c.Service]; ok {
		if out := build(c, in); len(out) > 0 {
			return out
		}
	}
	if strings.HasPrefix(c.Operation, "List") || strings.HasPrefix(c.Operation, "Describe") {
		return []string{"*"}
	}
	return []string{policy.Unknown}
}

// builders make the resources of the services that are built. nil means that
// the operation names none.
var builders = map[string]func(c Call, in membersOf) []string{
	"sqs": queueResource, "s3": objectResources, "ssm": parameterResources, "iam": iamResource,
	"sts":            func(_ Call, in membersOf) []string { return in.some("RoleArn") },
	"cloudformation": stackResource, "ec2": ec2Resources,
}

func queueResource(c Call, in membersOf) []string {
	scope := c.Scope
	name := in.text("QueueName")
	if u, err := url.Parse(in.text("QueueUrl")); err == nil && u.Path != "" {
		parts := strings.Split(strings.Trim(u.Path, "/"), "/")
		name = parts[len(parts)-1]
		if len(parts) > 1 {
			scope.Account = parts[len(parts)-2]
		}
	}
	if owner := in.text("QueueOwnerAWSAccountId"); owner != "" {
		scope.Account = owner
	}
	if handle, err := base64.StdEncoding.DecodeString(in.text("TaskHandle")); err == nil && name == "" {
		var task struct {
			Source string `json:"sourceArn"`
		}
		if json.Unmarshal(handle, &task) == nil && task.Source != "" {
			return []string{task.Source}
		}
	}
	if name == "" {
		return in.some("SourceArn")
	}
	return []string{scope.ARN("sqs", name).String()}
}

func objectResources(c Call, in membersOf) []string {
	bucket := in.text("Bucket")
	if bucket == "" {
		return nil
	}
	bucket = "arn:aws:s3:::" + bucket
	if c.Operation == "DeleteObjects" {
		var out []string
		for _, o := range in.member("Delete").list("Objects") {
			out = append(out, bucket+"/"+o.text("Key"))
		}
		return out
	}
	if key := in.text("Key"); key != "" {
		return []string{bucket + "/" + key}
	}
	return []string{bucket}
}

func parameterResources(c Call, in membersOf) []string {
	name := func(n string) string {
		if strings.HasPrefix(n, "arn:") {
			return n
		}
		n, _, _ = strings.Cut(n, ":") // a version or label
		return c.Scope.ARN("ssm", "parameter/"+strings.TrimPrefix(n, "/")).String()
	}
	if !strings.Contains(c.Operation, "Parameter") {
		if in.text("ResourceType") == "Parameter" && in.text("ResourceId") != "" {
			return []string{name(in.text("ResourceId"))}
		}
		return nil
	}
	if p := in.text("Path"); p != "" {
		return []string{name(p)}
	}
	if n := in.text("Name"); n != "" {
		return []string{name(n)}
	}
	var out []string
	for _, n := range in.texts("Names") {
		out = append(out, name(n))
	}
	return out
}

// iamResource names what an IAM operation acts on. A path that only the record
// knows is put in by Policies.FullARN.
func iamResource(c Call, in membersOf) []string {
	global := func(kind, name string) []string {
		return []string{iamARN(c, kind+strings.TrimSuffix(in.path(), "/")+"/"+name)}
	}
	// What holds others comes first: a role is put into a profile, a user into a
	// group.
	for _, m := range []struct{ member, kind string }{
		{"InstanceProfileName", "instance-profile"}, {"GroupName", "group"}, {"RoleName", "role"}, {"UserName", "user"},
	} {
		if n := in.text(m.member); n != "" {
			return global(m.kind, n)
		}
	}
	if a := in.text("PolicyArn"); a != "" {
		return []string{a}
	}
	if n := in.text("PolicyName"); n != "" {
		return global("policy", n)
	}
	return nil
}

func iamARN(c Call, resource string) string {
	return arn.ARN{Service: "iam", Account: c.Scope.Account, Resource: resource}.String()
}

func stackResource(c Call, in membersOf) []string {
	for _, m := range []string{"StackName", "StackId"} {
		n := in.text(m)
		switch {
		case strings.HasPrefix(n, "arn:"):
			return []string{n}
		case n != "":
			return []string{c.Scope.ARN("cloudformation", "stack/"+n+"/*").String()}
		}
	}
	return nil
}

func ec2Resources(c Call, in membersOf) []string {
	if strings.HasPrefix(c.Operation, "Describe") {
		return nil
	}
	var out []string
	for _, id := range in.texts("InstanceIds") {
		out = append(out, c.Scope.ARN("ec2", "instance/"+id).String())
	}
	if id := in.text("GroupId"); id != "" {
		out = append(out, c.Scope.ARN("ec2", "security-group/"+id).String())
	}
	return out
}

// membersOf reads an operation's input by the members' names, which all
// generated inputs share: this package does not import them.
type membersOf struct{ v reflect.Value }

func members(input any) membersOf { return membersOf{reflect.ValueOf(input)} }

func (m membersOf) get(name string) reflect.Value {
	v := m.v
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct {
		return reflect.Value{}
	}
	return v.FieldByName(name)
}

func (m membersOf) member(name string) membersOf { return membersOf{m.get(name)} }

func (m membersOf) text(name string) string {
	if v := m.get(name); v.Kind() == reflect.String {
		return v.String()
	}
	return ""
}

func (m membersOf) some(name string) []string {
	if t := m.text(name); t != "" {
		return []string{t}
	}
	return nil
}

func (m membersOf) path() string {
	if p := m.text("Path"); p != "" {
		return p
	}
	return "/"
}

func (m membersOf) texts(name string) []string {
	v := m.get(name)
	if v.Kind() != reflect.Slice || v.Type().Elem().Kind() != reflect.String {
		return nil
	}
	out := make([]string, v.Len())
	for i := range out {
		out[i] = v.Index(i).String()
	}
	return out
}

func (m membersOf) list(name string) []membersOf {
	v := m.get(name)
	if v.Kind() != reflect.Slice {
		return nil
	}
	out := make([]membersOf, v.Len())
	for i := range out {
		out[i] = membersOf{v.Index(i)}
	}
	return out
}
