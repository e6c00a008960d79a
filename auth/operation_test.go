package auth_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slipway/slipway/api"
	"github.com/slipway/slipway/api/cloudcontrol"
	"github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/api/cloudwatch"
	"github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/api/kms"
	"github.com/slipway/slipway/api/lambda"
	"github.com/slipway/slipway/api/logs"
	"github.com/slipway/slipway/api/organizations"
	"github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/api/secretsmanager"
	"github.com/slipway/slipway/api/sns"
	"github.com/slipway/slipway/api/sqs"
	"github.com/slipway/slipway/api/ssm"
	"github.com/slipway/slipway/api/sts"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/policy"
)

var generated = []*api.Service{
	cloudcontrol.Describe(),
	cloudformation.Describe(), cloudwatch.Describe(), ec2.Describe(), iam.Describe(), kms.Describe(), lambda.Describe(), logs.Describe(), organizations.Describe(), s3.Describe(),
	secretsmanager.Describe(), sns.Describe(), sqs.Describe(), ssm.Describe(), sts.Describe(),
}

// TestEveryOperationHasAnEntry fails for a generated package without a table, and
// for an operation that its table does not name.
func TestEveryOperationHasAnEntry(t *testing.T) {
	list, err := os.ReadFile("../model/generated.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(list)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		for name := range strings.FieldsSeq(line) {
			if !slices.ContainsFunc(generated, func(s *api.Service) bool { return s.Name == name }) {
				t.Errorf("service %s is generated; add it to this test", name)
			}
		}
	}
	for _, s := range generated {
		for _, o := range s.Operations {
			if !auth.HasEntry(s.Name, o.Name) {
				t.Errorf("%s:%s has no entry in the table of its service", s.Name, o.Name)
			}
		}
	}
}

// TestEveryOperationAsks sees what each operation asks for with an empty input:
// actions in a service's form, a resource, and keys that answer.
func TestEveryOperationAsks(t *testing.T) {
	who := auth.Principal{Kind: auth.User, Account: "123456789012", ARN: "arn:aws:iam::123456789012:user/ann", Name: "ann", UserID: "AIDAX"}
	for _, s := range generated {
		for _, o := range s.Operations {
			call := auth.Call{Principal: who, Scope: arn.Scope{Account: who.Account, Region: "us-east-1"}, Service: s.Name, Operation: o.Name}
			asked := call.Requests(o.NewInput())
			if len(asked) == 0 && o.Name != "GetCallerIdentity" {
				t.Errorf("%s:%s asks for nothing", s.Name, o.Name)
			}
			for _, r := range asked {
				if service, name, ok := strings.Cut(r.Action, ":"); !ok || service == "" || name == "" || len(r.Resources) == 0 {
					t.Errorf("%s:%s asks for %q on %q", s.Name, o.Name, r.Action, r.Resources)
				}
				for _, key := range []string{"aws:requestedregion", s.Name + ":resourcetag/x", "aws:requesttag/x", "aws:tagkeys"} {
					r.Context.Lookup(key)
				}
				if v, _ := r.Context.Lookup("aws:username"); !slices.Equal(v, []string{"ann"}) {
					t.Errorf("%s:%s: aws:username is %q", s.Name, o.Name, v)
				}
			}
		}
	}
}

var signedAt = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func TestConditionKeys(t *testing.T) {
	scope := arn.Scope{Account: "123456789012", Region: "eu-west-1"}
	who := auth.Principal{Kind: auth.AssumedRole, Account: scope.Account, ARN: "arn:aws:sts::123456789012:assumed-role/r/s", Name: "r", UserID: "AROAX:s",
		Session: &auth.Session{Tags: map[string]string{"Team": "red"}, SourceIdentity: "ann", Claims: map[string][]string{"issuer.example:sub": {"42"}}}}
	for _, c := range []struct {
		service, operation string
		input              any
		action, key, want  string
		unknown            bool
	}{
		{"s3", "ListObjectsV2", &s3.ListObjectsV2Input{Bucket: "b", Prefix: "home/", MaxKeys: new(int32(10))}, "s3:ListBucket", "s3:prefix", "home/", false},
		{"s3", "ListObjectsV2", &s3.ListObjectsV2Input{Bucket: "b", MaxKeys: new(int32(10))}, "s3:ListBucket", "s3:max-keys", "10", false},
		{"s3", "PutObject", &s3.PutObjectInput{Bucket: "b", Key: "k", ServerSideEncryption: "aws:kms"}, "s3:PutObject", "s3:x-amz-server-side-encryption", "aws:kms", false},
		{"s3", "PutObject", &s3.PutObjectInput{Bucket: "b", Key: "k", ACL: "public-read"}, "s3:PutObjectAcl", "s3:x-amz-acl", "public-read", false},
		{"s3", "PutObject", &s3.PutObjectInput{Bucket: "b", Key: "k", Tagging: "Team=blue"}, "s3:PutObjectTagging", "s3:requestobjecttag/team", "blue", false},
		{"s3", "GetObject", &s3.GetObjectInput{Bucket: "b", Key: "k", VersionId: "v1"}, "s3:GetObjectVersion", "s3:versionid", "v1", false},
		{"s3", "GetObject", &s3.GetObjectInput{Bucket: "b", Key: "k"}, "s3:GetObject", "s3:existingobjecttag/x", "", true},
		{"s3", "PutObject", &s3.PutObjectInput{Bucket: "b", Key: "k"}, "s3:PutObject", "s3:authtype", "REST-QUERY-STRING", false},
		{"s3", "PutObject", &s3.PutObjectInput{Bucket: "b", Key: "k"}, "s3:PutObject", "s3:signatureversion", "AWS4-HMAC-SHA256", false},
		{"s3", "PutObject", &s3.PutObjectInput{Bucket: "b", Key: "k"}, "s3:PutObject", "s3:signatureage", "90000", false},
		{"s3", "PutObject", &s3.PutObjectInput{Bucket: "b", Key: "k"}, "s3:PutObject", "s3:x-amz-content-sha256", "UNSIGNED-PAYLOAD", false},
		{"s3", "PutObject", &s3.PutObjectInput{Bucket: "b", Key: "k"}, "s3:PutObject", "s3:tlsversion", "1.3", false},
		{"s3", "PutObject", &s3.PutObjectInput{Bucket: "b", Key: "k"}, "s3:PutObject", "s3:objectcreationoperation", "true", false},
		{"s3", "UploadPart", &s3.UploadPartInput{Bucket: "b", Key: "k"}, "s3:PutObject", "s3:objectcreationoperation", "false", false},
		{"s3", "PutObject", &s3.PutObjectInput{Bucket: "b", Key: "k", ObjectLockMode: "GOVERNANCE", ObjectLockRetainUntilDate: new(signedAt.AddDate(0, 0, 30))}, "s3:PutObjectRetention",
			"s3:object-lock-remaining-retention-days", "30", false},
		{"s3", "PutObject", &s3.PutObjectInput{Bucket: "b", Key: "k"}, "s3:PutObject", "s3:dataaccesspointarn", "", false},
		{"ec2", "RunInstances", &ec2.RunInstancesInput{TagSpecifications: []ec2.TagSpecification{{ResourceType: "instance", Tags: []ec2.Tag{{Key: "Team", Value: "red"}}}}}, "ec2:RunInstances", "aws:requesttag/team", "red", false},
		{"ec2", "RunInstances", &ec2.RunInstancesInput{TagSpecifications: []ec2.TagSpecification{{ResourceType: "instance", Tags: []ec2.Tag{{Key: "Team", Value: "red"}}}}}, "ec2:CreateTags", "ec2:createaction", "RunInstances", false},
		{"ec2", "TerminateInstances", &ec2.TerminateInstancesInput{InstanceIds: []string{"i-1"}}, "ec2:TerminateInstances", "ec2:resourcetag/x", "", true},
		{"iam", "AttachRolePolicy", &iam.AttachRolePolicyInput{RoleName: "r", PolicyArn: "arn:aws:iam::aws:policy/ReadOnlyAccess"}, "iam:AttachRolePolicy", "iam:policyarn", "arn:aws:iam::aws:policy/ReadOnlyAccess", false},
		{"iam", "CreateRole", &iam.CreateRoleInput{RoleName: "r", PermissionsBoundary: "arn:b"}, "iam:CreateRole", "iam:permissionsboundary", "arn:b", false},
		{"iam", "AddRoleToInstanceProfile", &iam.AddRoleToInstanceProfileInput{InstanceProfileName: "p", RoleName: "r"}, "iam:PassRole", "iam:passedtoservice", "ec2.amazonaws.com", false},
		{"kms", "Decrypt", &kms.DecryptInput{KeyId: "alias/a", EncryptionContext: map[string]string{"App": "x"}}, "kms:Decrypt", "kms:encryptioncontext:app", "x", false},
		{"kms", "Decrypt", &kms.DecryptInput{KeyId: "alias/a"}, "kms:Decrypt", "kms:requestalias", "alias/a", false},
		{"secretsmanager", "GetSecretValue", &secretsmanager.GetSecretValueInput{SecretId: "a"}, "secretsmanager:GetSecretValue", "secretsmanager:versionstage", "AWSCURRENT", false},
		{"secretsmanager", "GetSecretValue", &secretsmanager.GetSecretValueInput{SecretId: "a", VersionId: "v"}, "secretsmanager:GetSecretValue", "secretsmanager:versionstage", "", false},
		{"secretsmanager", "DeleteSecret", &secretsmanager.DeleteSecretInput{SecretId: "a", RecoveryWindowInDays: new(int64(7))}, "secretsmanager:DeleteSecret", "secretsmanager:recoverywindowindays", "7", false},
		{"secretsmanager", "CreateSecret", &secretsmanager.CreateSecretInput{Name: "a", KmsKeyId: "alias/k"}, "secretsmanager:CreateSecret", "secretsmanager:kmskeyarn", "arn:aws:kms:eu-west-1:123456789012:alias/k", false},
		{"secretsmanager", "CreateSecret", &secretsmanager.CreateSecretInput{Name: "a", Tags: []secretsmanager.Tag{{Key: "Team", Value: "red"}}}, "secretsmanager:TagResource", "aws:requesttag/team", "red", false},
		{"secretsmanager", "CreateSecret", &secretsmanager.CreateSecretInput{Name: "a"}, "secretsmanager:CreateSecret", "secretsmanager:mystery", "", true},
		{"ssm", "GetParametersByPath", &ssm.GetParametersByPathInput{Path: "/a", Recursive: new(true)}, "ssm:GetParametersByPath", "ssm:recursive", "true", false},
		{"sts", "AssumeRole", &sts.AssumeRoleInput{RoleArn: "arn:r", ExternalId: "42"}, "sts:AssumeRole", "sts:externalid", "42", false},
		{"sts", "AssumeRole", &sts.AssumeRoleInput{RoleArn: "arn:r", Tags: []sts.Tag{{Key: "a"}, {Key: "b"}}}, "sts:AssumeRole", "aws:tagkeys", "a b", false},
		{"sqs", "ListQueues", &sqs.ListQueuesInput{}, "sqs:ListQueues", "aws:principaltag/team", "red", false},
		{"sqs", "ListQueues", &sqs.ListQueuesInput{}, "sqs:ListQueues", "aws:sourceidentity", "ann", false},
		{"sqs", "ListQueues", &sqs.ListQueuesInput{}, "sqs:ListQueues", "aws:requestedregion", "eu-west-1", false},
		{"sqs", "ListQueues", &sqs.ListQueuesInput{}, "sqs:ListQueues", "aws:calledvia", "cloudformation.amazonaws.com", false},
		{"sqs", "ListQueues", &sqs.ListQueuesInput{}, "sqs:ListQueues", "aws:multifactorauthpresent", "false", false},
		{"sqs", "ListQueues", &sqs.ListQueuesInput{}, "sqs:ListQueues", "aws:principalarn", "arn:aws:iam::123456789012:role/r", false},
		{"sqs", "ListQueues", &sqs.ListQueuesInput{}, "sqs:ListQueues", "issuer.example:sub", "42", false},
		{"sqs", "ListQueues", &sqs.ListQueuesInput{}, "sqs:ListQueues", "s3:prefix", "", false},
		{"sqs", "ListQueues", &sqs.ListQueuesInput{}, "sqs:ListQueues", "aws:sourcevpce", "", false},
		{"sqs", "ListQueues", &sqs.ListQueuesInput{}, "sqs:ListQueues", "aws:neverheardof", "", true},
		{"sqs", "ListQueues", &sqs.ListQueuesInput{}, "sqs:ListQueues", "sqs:mystery", "", true},
	} {
		call := auth.Call{
			Principal: who, Scope: scope, Service: c.service, Operation: c.operation, Via: []string{"cloudformation.amazonaws.com"},
			Time: signedAt.Add(90 * time.Second), TLS: "1.3", Signature: auth.Signature{Type: "REST-QUERY-STRING", Time: signedAt, Payload: "UNSIGNED-PAYLOAD"},
		}
		asked := call.Requests(c.input)
		i := slices.IndexFunc(asked, func(r auth.Request) bool { return r.Action == c.action })
		if i < 0 {
			t.Errorf("%s does not ask for %s", c.operation, c.action)
			continue
		}
		values, known := asked[i].Context.Lookup(c.key)
		if got := strings.Join(values, " "); got != c.want || known == c.unknown {
			t.Errorf("%s on %s: %q (known %v), want %q", c.key, c.action, got, known, c.want)
		}
	}
}

func TestResourcesThatPoliciesName(t *testing.T) {
	scope := arn.Scope{Account: "123456789012", Region: "us-east-1"}
	ann := auth.Principal{Kind: auth.User, Account: scope.Account, ARN: "arn:aws:iam::123456789012:user/ann", Name: "ann"}
	here := func(service, resource string) string { return scope.ARN(service, resource).String() }
	for _, c := range []struct {
		service, operation string
		input              any
		want               []string
	}{
		{"iam", "GetUser", &iam.GetUserInput{}, []string{"iam:GetUser " + ann.ARN}},
		{"iam", "CreateServiceLinkedRole", &iam.CreateServiceLinkedRoleInput{AWSServiceName: "x.amazonaws.com"}, []string{"iam:CreateServiceLinkedRole arn:aws:iam::123456789012:role/aws-service-role/x.amazonaws.com/AWSServiceRoleFor*"}},
		{"iam", "CreateOpenIDConnectProvider", &iam.CreateOpenIDConnectProviderInput{Url: "https://issuer.example/a"}, []string{"iam:CreateOpenIDConnectProvider arn:aws:iam::123456789012:oidc-provider/issuer.example/a"}},
		{"kms", "ReEncrypt", &kms.ReEncryptInput{DestinationKeyId: "k2"}, []string{"kms:ReEncryptFrom ", "kms:ReEncryptTo " + here("kms", "key/k2")}},
		{"cloudwatch", "SetAlarmState", &cloudwatch.SetAlarmStateInput{AlarmName: "a"}, []string{"cloudwatch:SetAlarmState " + here("cloudwatch", "alarm:a")}},
		{"logs", "PutLogEvents", &logs.PutLogEventsInput{LogGroupName: "g", LogStreamName: "s"}, []string{"logs:PutLogEvents " + here("logs", "log-group:g:log-stream:s")}},
		{"logs", "CreateLogGroup", &logs.CreateLogGroupInput{LogGroupName: "g"}, []string{"logs:CreateLogGroup " + here("logs", "log-group:g:log-stream:")}},
		{"kms", "CreateAlias", &kms.CreateAliasInput{AliasName: "alias/a", TargetKeyId: "k"}, []string{"kms:CreateAlias " + here("kms", "alias/a"), "kms:CreateAlias " + here("kms", "key/k")}},
		{"ssm", "SendCommand", &ssm.SendCommandInput{DocumentName: "AWS-RunShellScript", InstanceIds: []string{"i-1"}}, []string{"ssm:SendCommand arn:aws:ssm:us-east-1::document/AWS-RunShellScript " + here("ec2", "instance/i-1")}},
		{"ec2", "AttachVolume", &ec2.AttachVolumeInput{VolumeId: "vol-1", InstanceId: "i-1"}, []string{"ec2:AttachVolume " + here("ec2", "instance/i-1") + " " + here("ec2", "volume/vol-1")}},
		{"ec2", "CreateVolume", &ec2.CreateVolumeInput{SnapshotId: "snap-1"}, []string{"ec2:CreateVolume " + here("ec2", "volume/*") + " arn:aws:ec2:us-east-1::snapshot/snap-1"}},
		{"ec2", "CreateTags", &ec2.CreateTagsInput{Resources: []string{"i-1", "ami-1"}}, []string{"ec2:CreateTags " + here("ec2", "instance/i-1") + " arn:aws:ec2:us-east-1::image/ami-1"}},
		{"ec2", "RunInstances", &ec2.RunInstancesInput{ImageId: "ami-1", SubnetId: "subnet-1", SecurityGroupIds: []string{"sg-1"}, KeyName: "k"}, []string{"ec2:RunInstances arn:aws:ec2:us-east-1::image/ami-1 " +
			here("ec2", "instance/*") + " " + here("ec2", "network-interface/*") + " " + here("ec2", "volume/*") + " " + here("ec2", "subnet/subnet-1") + " " + here("ec2", "security-group/sg-1") + " " + here("ec2", "key-pair/k")}},
		{"cloudformation", "CreateStackSet", &cloudformation.CreateStackSetInput{StackSetName: "s", AdministrationRoleARN: "arn:aws:iam::123456789012:role/a"}, []string{"cloudformation:CreateStackSet " + here("cloudformation", "stackset/s:*"), "iam:PassRole arn:aws:iam::123456789012:role/a"}},
		{"cloudformation", "DescribeStacks", &cloudformation.DescribeStacksInput{}, []string{"cloudformation:DescribeStacks *"}},
		{"s3", "CopyObject", &s3.CopyObjectInput{Bucket: "b", Key: "k", CopySource: "src/a"}, []string{"s3:PutObject arn:aws:s3:::b/k", "s3:GetObject arn:aws:s3:::src/a"}},
		{"s3", "GetObjectAttributes", &s3.GetObjectAttributesInput{Bucket: "b", Key: "k"}, []string{"s3:GetObjectAttributes arn:aws:s3:::b/k", "s3:GetObject arn:aws:s3:::b/k"}},
		{"s3", "PutObject", &s3.PutObjectInput{Bucket: "b", Key: "k", ObjectLockMode: "GOVERNANCE"}, []string{"s3:PutObject arn:aws:s3:::b/k", "s3:PutObjectRetention arn:aws:s3:::b/k"}},
		{"kms", "ReplicateKey", &kms.ReplicateKeyInput{KeyId: "mrk-1", ReplicaRegion: "us-west-2", Tags: []kms.Tag{{TagKey: "a"}}},
			[]string{"kms:ReplicateKey " + here("kms", "key/mrk-1"), "kms:CreateKey *", "kms:TagResource arn:aws:kms:us-west-2:123456789012:key/mrk-1"}},
		{"kms", "UpdatePrimaryRegion", &kms.UpdatePrimaryRegionInput{KeyId: "mrk-1", PrimaryRegion: "us-west-2"},
			[]string{"kms:UpdatePrimaryRegion " + here("kms", "key/mrk-1"), "kms:UpdatePrimaryRegion arn:aws:kms:us-west-2:123456789012:key/mrk-1"}},
		{"secretsmanager", "CreateSecret", &secretsmanager.CreateSecretInput{Name: "a/b"}, []string{"secretsmanager:CreateSecret " + here("secretsmanager", "secret:a/b-??????")}},
		{"secretsmanager", "GetSecretValue", &secretsmanager.GetSecretValueInput{SecretId: "a/b"}, []string{"secretsmanager:GetSecretValue " + here("secretsmanager", "secret:a/b")}},
		{"secretsmanager", "BatchGetSecretValue", &secretsmanager.BatchGetSecretValueInput{Filters: []secretsmanager.Filter{{Key: "name"}}}, []string{"secretsmanager:BatchGetSecretValue *", "secretsmanager:ListSecrets *"}},
		{"sts", "GetFederationToken", &sts.GetFederationTokenInput{Name: "eve"}, []string{"sts:GetFederationToken arn:aws:sts::123456789012:federated-user/eve"}},
		{"unheard", "ListThings", &struct{}{}, []string{"unheard:ListThings *"}},
		{"unheard", "MakeThing", &struct{}{}, []string{"unheard:MakeThing " + policy.Unknown}},
	} {
		call := auth.Call{Principal: ann, Scope: scope, Service: c.service, Operation: c.operation}
		var got []string
		for _, r := range call.Requests(c.input) {
			got = append(got, r.Action+" "+strings.Join(r.Resources, " "))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s:%s: %q, want %q", c.service, c.operation, got, c.want)
		}
	}
}
