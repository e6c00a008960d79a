package auth

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth/policy"
	"github.com/slipway/slipway/fault"
)

var ann = Principal{Kind: User, Account: "123456789012", ARN: "arn:aws:iam::123456789012:user/ann", Name: "ann", UserID: "AIDAX"}

var here = arn.Scope{Account: "123456789012", Region: "us-east-1"}

func TestActionsAndResources(t *testing.T) {
	type in = struct {
		QueueUrl, QueueName, Bucket, Key, CopySource, Name, Path, StackName, RoleARN string
		RoleName, UserName, GroupName, InstanceProfileName                           string
		Names, InstanceIds                                                           []string
		VersionId, Tagging, SourceArn, DestinationArn, TaskHandle, IfMatch           string
		BypassGovernanceRetention                                                    bool
		Delete                                                                       *struct {
			Objects []struct{ Key, VersionId, ETag string }
		}
	}
	for _, c := range []struct {
		service, operation string
		input              in
		want               string
	}{
		{"sqs", "SendMessageBatch", in{QueueUrl: "http://127.0.0.1:4566/999999999999/q"}, "sqs:SendMessage arn:aws:sqs:us-east-1:999999999999:q"},
		{"sqs", "CreateQueue", in{QueueName: "q"}, "sqs:CreateQueue arn:aws:sqs:us-east-1:123456789012:q"},
		{"sqs", "ListQueues", in{}, "sqs:ListQueues *"},
		{"sqs", "ListMessageMoveTasks", in{SourceArn: "arn:d"}, "sqs:ListMessageMoveTasks arn:d"},
		{"sqs", "StartMessageMoveTask", in{SourceArn: "arn:d", DestinationArn: "arn:q"}, "sqs:StartMessageMoveTask arn:d; sqs:ReceiveMessage arn:d; sqs:DeleteMessage arn:d; sqs:GetQueueAttributes arn:d; sqs:SendMessage arn:q"},
		{"sqs", "CancelMessageMoveTask", in{TaskHandle: "eyJzb3VyY2VBcm4iOiJhcm46ZCJ9"}, "sqs:CancelMessageMoveTask arn:d"},
		{"sqs", "CancelMessageMoveTask", in{TaskHandle: "x"}, "sqs:CancelMessageMoveTask "},
		{"s3", "ListObjectsV2", in{Bucket: "b"}, "s3:ListBucket arn:aws:s3:::b"},
		{"s3", "HeadObject", in{Bucket: "b", Key: "a/k"}, "s3:GetObject arn:aws:s3:::b/a/k"},
		{"s3", "CopyObject", in{Bucket: "b", Key: "k", CopySource: "/src/a%20b?versionId=1"}, "s3:PutObject arn:aws:s3:::b/k; s3:GetObjectVersion arn:aws:s3:::src/a b"},
		{"s3", "DeleteObjects", in{Bucket: "b", Delete: &struct {
			Objects []struct{ Key, VersionId, ETag string }
		}{[]struct{ Key, VersionId, ETag string }{{"x", "", ""}, {"y", "", "*"}}}}, "s3:DeleteObject arn:aws:s3:::b/x arn:aws:s3:::b/y"},
		{"s3", "DeleteObjects", in{Bucket: "b", Delete: &struct {
			Objects []struct{ Key, VersionId, ETag string }
		}{[]struct{ Key, VersionId, ETag string }{{"x", "", ""}, {"y", "1", "e"}}}}, "s3:DeleteObject arn:aws:s3:::b/x; s3:DeleteObjectVersion arn:aws:s3:::b/y; s3:GetObject arn:aws:s3:::b/y"},
		{"s3", "DeleteObject", in{Bucket: "b", Key: "k", VersionId: "1"}, "s3:DeleteObjectVersion arn:aws:s3:::b/k"},
		{"s3", "PutObjectRetention", in{Bucket: "b", Key: "k", BypassGovernanceRetention: true}, "s3:PutObjectRetention arn:aws:s3:::b/k; s3:BypassGovernanceRetention arn:aws:s3:::b/k"},
		{"s3", "HeadObject", in{Bucket: "b", Key: "k", VersionId: "1"}, "s3:GetObjectVersion arn:aws:s3:::b/k"},
		{"s3", "UploadPartCopy", in{Bucket: "b", Key: "k", CopySource: "src/a"}, "s3:PutObject arn:aws:s3:::b/k; s3:GetObject arn:aws:s3:::src/a"},
		{"s3", "DeleteObject", in{Bucket: "b", Key: "k", IfMatch: "e"}, "s3:DeleteObject arn:aws:s3:::b/k; s3:GetObject arn:aws:s3:::b/k"},
		{"s3", "DeleteObject", in{Bucket: "b", Key: "k", IfMatch: "*"}, "s3:DeleteObject arn:aws:s3:::b/k"},
		{"s3", "CompleteMultipartUpload", in{Bucket: "b", Key: "k", IfMatch: "e"}, "s3:PutObject arn:aws:s3:::b/k; s3:GetObject arn:aws:s3:::b/k"},
		{"s3", "PutObject", in{Bucket: "b", Key: "k", IfMatch: "e"}, "s3:PutObject arn:aws:s3:::b/k; s3:GetObject arn:aws:s3:::b/k"},
		{"s3", "PutObject", in{Bucket: "b", Key: "k", Tagging: "a=b"}, "s3:PutObject arn:aws:s3:::b/k; s3:PutObjectTagging arn:aws:s3:::b/k"},
		{"ssm", "GetParameter", in{Name: "/a/b:3"}, "ssm:GetParameter arn:aws:ssm:us-east-1:123456789012:parameter/a/b"},
		{"ssm", "GetParameters", in{Names: []string{"a", "/b"}}, "ssm:GetParameters arn:aws:ssm:us-east-1:123456789012:parameter/a arn:aws:ssm:us-east-1:123456789012:parameter/b"},
		{"ssm", "GetParametersByPath", in{Path: "/a"}, "ssm:GetParametersByPath arn:aws:ssm:us-east-1:123456789012:parameter/a"},
		{"iam", "CreateRole", in{RoleName: "r", Path: "/p/"}, "iam:CreateRole arn:aws:iam::123456789012:role/p/r"},
		{"iam", "GetRole", in{RoleName: "r"}, "iam:GetRole arn:aws:iam::123456789012:role/r"},
		{"iam", "AddUserToGroup", in{GroupName: "g", UserName: "u"}, "iam:AddUserToGroup arn:aws:iam::123456789012:group/g"},
		{"iam", "AddRoleToInstanceProfile", in{InstanceProfileName: "p", RoleName: "r"}, "iam:AddRoleToInstanceProfile arn:aws:iam::123456789012:instance-profile/p; iam:PassRole arn:aws:iam::123456789012:role/r"},
		{"iam", "RemoveRoleFromInstanceProfile", in{InstanceProfileName: "p", RoleName: "r"}, "iam:RemoveRoleFromInstanceProfile arn:aws:iam::123456789012:instance-profile/p"},
		{"ec2", "TerminateInstances", in{InstanceIds: []string{"i-1"}}, "ec2:TerminateInstances arn:aws:ec2:us-east-1:123456789012:instance/i-1"},
		{"ec2", "DescribeInstances", in{InstanceIds: []string{"i-1"}}, "ec2:DescribeInstances *"},
		{"cloudformation", "CreateStack", in{StackName: "s", RoleARN: "arn:aws:iam::123456789012:role/r"}, "cloudformation:CreateStack arn:aws:cloudformation:us-east-1:123456789012:stack/s/*; iam:PassRole arn:aws:iam::123456789012:role/r"},
		{"elbv2", "CreateLoadBalancer", in{}, "elasticloadbalancing:CreateLoadBalancer "},
	} {
		call := Call{Principal: ann, Scope: here, Service: c.service, Operation: c.operation}
		var got []string
		for _, r := range call.Requests(&c.input) {
			got = append(got, r.Action+" "+strings.Join(r.Resources, " "))
		}
		if s := strings.Join(got, "; "); s != c.want {
			t.Errorf("%s:%s: %q, want %q", c.service, c.operation, s, c.want)
		}
	}
	call := Call{Principal: ann, Scope: here, Service: "sqs", Operation: "ListQueues"}
	if r := call.Requests(nil); len(r) != 1 || r[0].Action != "sqs:ListQueues" {
		t.Errorf("no input: %+v", r)
	}
}

// fixedPolicies gives everyone one document.
type fixedPolicies struct {
	identity, boundary string
	managed            map[string]string
	tags               map[string]string
}

func (p fixedPolicies) PoliciesOf(context.Context, Principal) ([]*policy.Document, *policy.Document, error) {
	parse := func(text string) *policy.Document {
		if text == "" {
			return nil
		}
		d, err := policy.Parse(`{"Version":"2012-10-17","Statement":`+text+`}`, policy.Identity)
		if err != nil {
			panic(err)
		}
		return d
	}
	d := parse(p.identity)
	return slices.DeleteFunc([]*policy.Document{d}, func(d *policy.Document) bool { return d == nil }), parse(p.boundary), nil
}

func (p fixedPolicies) ManagedPolicy(_ context.Context, _, name string) (*policy.Document, error) {
	if text, ok := p.managed[name]; ok {
		return policy.Parse(`{"Version":"2012-10-17","Statement":`+text+`}`, policy.Identity)
	}
	return nil, nil
}

func (p fixedPolicies) PrincipalTags(context.Context, Principal) (map[string]string, error) {
	return p.tags, nil
}

func (fixedPolicies) FullARN(_ context.Context, a string) (string, error) {
	return strings.Replace(a, ":role/r", ":role/path/r", 1), nil
}

func TestIAMDecides(t *testing.T) {
	const q = "arn:aws:sqs:us-east-1:123456789012:q"
	send := Request{Principal: ann, Service: "sqs", Action: "sqs:SendMessage", Resources: []string{q}}
	with := func(change func(r *Request)) Request { r := send; change(&r); return r }
	all := `[{"Effect":"Allow","Action":"*","Resource":"*"}]`
	none := ""
	for _, c := range []struct {
		name     string
		policies fixedPolicies
		request  Request
		want     string
	}{
		{"allowed", fixedPolicies{identity: all, boundary: none}, send, ""},
		{"no policy", fixedPolicies{identity: none, boundary: none}, send,
			"AccessDenied: User: arn:aws:iam::123456789012:user/ann is not authorized to perform: sqs:SendMessage on resource: " + q + " because no identity-based policy allows the sqs:SendMessage action"},
		{"denied", fixedPolicies{identity: `[{"Effect":"Deny","Action":"sqs:*","Resource":"*"}]`, boundary: none}, send,
			"AccessDenied: User: arn:aws:iam::123456789012:user/ann is not authorized to perform: sqs:SendMessage on resource: " + q + " with an explicit deny in an identity-based policy"},
		{"boundary", fixedPolicies{identity: all, boundary: `[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]`}, send,
			"AccessDenied: User: arn:aws:iam::123456789012:user/ann is not authorized to perform: sqs:SendMessage on resource: " + q + " because no permissions boundary allows the sqs:SendMessage action"},
		{"root", fixedPolicies{identity: none, boundary: none}, with(func(r *Request) { r.Principal = RootOf("123456789012") }), ""},
		{"one of two resources", fixedPolicies{identity: `[{"Effect":"Allow","Action":"*","Resource":"` + q + `"}]`}, with(func(r *Request) { r.Resources = []string{q, q + "2"} }),
			"AccessDenied: User: arn:aws:iam::123456789012:user/ann is not authorized to perform: sqs:SendMessage on resource: " + q + "2 because no identity-based policy allows the sqs:SendMessage action"},
		{"who am I", fixedPolicies{identity: none, boundary: none}, with(func(r *Request) { r.Action = "sts:GetCallerIdentity" }), ""},
		{"JSON service", fixedPolicies{identity: none, boundary: none}, with(func(r *Request) { r.Service, r.Action, r.Resources = "ssm", "ssm:DescribeParameters", []string{"*"} }),
			"AccessDeniedException: User: arn:aws:iam::123456789012:user/ann is not authorized to perform: ssm:DescribeParameters on resource: * because no identity-based policy allows the ssm:DescribeParameters action"},
		{"EC2", fixedPolicies{identity: none, boundary: none}, with(func(r *Request) { r.Service, r.Action, r.Resources = "ec2", "ec2:RunInstances", nil }),
			"UnauthorizedOperation: You are not authorized to perform this operation. User: arn:aws:iam::123456789012:user/ann is not authorized to perform: ec2:RunInstances on resource: * because no identity-based policy allows the ec2:RunInstances action"},
		{"path known to the record", fixedPolicies{identity: `[{"Effect":"Allow","Action":"*","Resource":"arn:aws:iam::123456789012:role/path/*"}]`, boundary: none},
			with(func(r *Request) { r.Resources = []string{"arn:aws:iam::123456789012:role/r"} }), ""},
		{"instance signals", fixedPolicies{identity: none, boundary: none}, with(func(r *Request) { r.Principal.Kind, r.Action = Instance, "cloudformation:SignalResource" }), ""},
		{"instance sends", fixedPolicies{identity: all, boundary: none}, with(func(r *Request) { r.Principal.Kind, r.Principal.ARN = Instance, "arn:i" }),
			"AccessDenied: User: arn:i is not authorized to perform: sqs:SendMessage on resource: * because no identity-based policy allows the sqs:SendMessage action"},
	} {
		err := (&IAM{Policies: c.policies}).Authorize(context.Background(), c.request)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, got, c.want)
		}
	}
}

// TestTrusted is who may begin a session of a role: the trust policy and the
// caller's own are decided together.
func TestTrusted(t *testing.T) {
	const role = "arn:aws:iam::123456789012:role/r"
	allow, deny := `[{"Effect":"Allow","Action":"*","Resource":"*"}]`, `[{"Effect":"Deny","Action":"sts:*","Resource":"*"}]`
	byName, byAccount := `{"AWS":"arn:aws:iam::123456789012:user/ann"}`, `{"AWS":"123456789012"}`
	for _, c := range []struct {
		name, principal, identity, boundary string
		trusted                             bool
	}{
		{"named", byName, "", "", true},
		{"named, but denied", byName, deny, "", false},
		{"named, past a boundary without the action", byName, allow, `[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]`, true},
		{"named, but denied by the boundary", byName, allow, deny, false},
		{"by account, allowed", byAccount, allow, "", true},
		{"by account, not allowed", byAccount, "", "", false},
		{"by account, past its boundary", byAccount, allow, `[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]`, false},
		{"not trusted", `{"AWS":"999999999999"}`, allow, "", false},
	} {
		trust, err := policy.Parse(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":`+c.principal+`,"Action":"sts:AssumeRole"}}`, policy.Trust)
		if err != nil {
			t.Fatal(err)
		}
		iam := &IAM{Policies: fixedPolicies{identity: c.identity, boundary: c.boundary}}
		r := Request{Principal: ann, Service: "sts", Action: "sts:AssumeRole", Resources: []string{role}}
		if got, err := iam.Trusted(context.Background(), r, trust, "123456789012", false); got != c.trusted || err != nil {
			t.Errorf("%s: %v, %v", c.name, got, err)
		}
	}
}

func TestPassRoleNamesTheService(t *testing.T) {
	call := Call{Principal: ann, Scope: here, Service: "ec2", Operation: "RunInstances"}
	pass := call.PassRole("arn:aws:iam::123456789012:role/r", "ec2.amazonaws.com")
	for service, allowed := range map[string]bool{"ec2.amazonaws.com": true, "ecs.amazonaws.com": false} {
		policies := fixedPolicies{identity: `[{"Effect":"Allow","Action":"iam:PassRole","Resource":"arn:aws:iam::123456789012:role/path/r",
			"Condition":{"StringEquals":{"iam:PassedToService":"` + service + `"}}}]`}
		err := (&IAM{Policies: policies}).Authorize(context.Background(), pass)
		if allowed && err != nil || !allowed && !fault.Is(err, fault.UnauthorizedOperation) {
			t.Errorf("%s: %v", service, err)
		}
	}
}

func TestGuardStandsBeforeTheCall(t *testing.T) {
	ctx := With(context.Background(), Call{Principal: ann, Scope: here})
	called := 0
	call := func(ctx context.Context) (any, error) {
		called++
		if c := From(ctx); c.Service != "sqs" || c.Operation != "ListQueues" {
			t.Errorf("call %+v", c)
		}
		return "out", nil
	}
	if _, err := Guard(&IAM{Policies: fixedPolicies{}})(ctx, "sqs", "ListQueues", nil, call); !fault.Is(err, fault.AccessDenied) || called != 0 {
		t.Fatalf("%v, called %d", err, called)
	}
	if out, err := Guard(Everyone{})(ctx, "sqs", "ListQueues", nil, call); err != nil || out != "out" || called != 1 {
		t.Fatalf("%v %v, called %d", out, err, called)
	}
}
