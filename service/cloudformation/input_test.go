package cloudformation_test

import (
	"context"
	"io"
	"strings"
	"testing"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/api/ssm"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/service/cloudformation"
)

// bucket is an S3 with one object.
type bucket struct {
	s3.Unimplemented
	key, body string
	who       auth.Principal
}

func (b *bucket) GetObject(ctx context.Context, in *s3.GetObjectInput) (*s3.GetObjectOutput, error) {
	b.who = auth.From(ctx).Principal
	if in.Bucket+"/"+in.Key != b.key {
		return nil, fault.New(fault.NoSuchKey, "The specified key does not exist.")
	}
	return &s3.GetObjectOutput{Body: io.NopCloser(strings.NewReader(b.body))}, nil
}

func TestTemplateURL(t *testing.T) {
	b := &bucket{key: "bucket/dir/t.yaml", body: pair}
	w := newWorld(t, func(c *cloudformation.Config) { c.S3 = b })
	for _, c := range []struct{ url, problem string }{
		{"https://s3.amazonaws.com/bucket/dir/t.yaml", ""},
		{"https://s3.us-east-1.amazonaws.com/bucket/dir/t.yaml", ""},
		{"https://s3-eu-west-1.amazonaws.com/bucket/dir/t.yaml", ""},
		{"https://bucket.s3.amazonaws.com/dir/t.yaml", ""},
		{"https://bucket.s3.dualstack.us-east-1.amazonaws.com/dir/t.yaml", ""},
		{"http://127.0.0.1:4566/bucket/dir/t.yaml", ""},
		{"http://bucket.s3.localhost:4566/dir/t.yaml", ""},
		{"https://bucket.s3.amazonaws.com/other", "S3 error: The specified key does not exist."},
		{"https://s3.amazonaws.com/bucket", "must reference a valid S3 object"},
		{"https://s3.amazonaws.com.example.com/bucket/dir/t.yaml", "is not a valid S3 domain"},
		{"https://169.254.169.254/latest/meta-data", "is not a valid S3 domain"},
		{"file:///etc/passwd", "TemplateURL must be a supported URL."},
	} {
		out, err := w.ValidateTemplate(w.ctx, &api.ValidateTemplateInput{TemplateURL: c.url})
		if c.problem != "" {
			refused(t, err, fault.ValidationError, c.problem)
			continue
		}
		if err != nil || out == nil {
			t.Errorf("%s: %v", c.url, err)
		}
	}
	if b.who.ARN != "arn:aws:iam::111111111111:root" {
		t.Errorf("the bucket was read by %+v", b.who)
	}
	b.body = pair + "# " + strings.Repeat("x", 1_000_000)
	_, err := w.ValidateTemplate(w.ctx, &api.ValidateTemplateInput{TemplateURL: "https://s3.amazonaws.com/bucket/dir/t.yaml"})
	refused(t, err, fault.ValidationError, "Template may not exceed")
}

// parameters is a Parameter Store.
type parameters struct {
	ssm.Unimplemented
	values map[string]ssm.Parameter
}

func (p *parameters) GetParameter(_ context.Context, in *ssm.GetParameterInput) (*ssm.GetParameterOutput, error) {
	v, ok := p.values[in.Name]
	if !ok {
		return nil, fault.New("ParameterNotFound", "no parameter %s", in.Name)
	}
	if v.Type == "SecureString" && (in.WithDecryption == nil || !*in.WithDecryption) {
		v.Value = "ciphertext"
	}
	return &ssm.GetParameterOutput{Parameter: &v}, nil
}

func TestStoredParameters(t *testing.T) {
	p := &parameters{values: map[string]ssm.Parameter{
		"/image":  {Value: "ami-1", Type: "String"},
		"/word:1": {Value: "hello", Type: "String"},
		"/secret": {Value: "tops3cret", Type: "SecureString"},
	}}
	w := newWorld(t, func(c *cloudformation.Config) { c.SSM = p })
	body := `
Parameters:
  Image: {Type: 'AWS::SSM::Parameter::Value<String>', Default: /image}
Resources:
  A: {Type: 'AWS::Test::Thing', Properties: {Name: a, Value: !Ref Image}}
  B: {Type: 'AWS::Test::Thing', Properties: {Name: b, Value: '{{resolve:ssm:/word:1}} {{resolve:ssm-secure:/secret}}'}}
`
	w.create("s", body)
	st := w.settle("s", "CREATE_COMPLETE")
	if p := st.Parameters[0]; p.ParameterValue != "/image" || p.ResolvedValue != "ami-1" {
		t.Errorf("parameter %+v", p)
	}
	if a, b := w.cloud.there["a"]["Value"], w.cloud.there["b"]["Value"]; a != "ami-1" || b != "hello tops3cret" {
		t.Errorf("A got %v, B got %v", a, b)
	}
	events, err := w.DescribeStackEvents(w.ctx, &api.DescribeStackEventsInput{StackName: "s"})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events.StackEvents {
		if strings.Contains(e.ResourceProperties, "tops3cret") {
			t.Errorf("event shows the secret: %s", e.ResourceProperties)
		}
	}
	_, err = w.CreateStack(w.ctx, &api.CreateStackInput{StackName: "x", TemplateBody: body, Parameters: []api.Parameter{{ParameterKey: "Image", ParameterValue: "/none"}}})
	refused(t, err, fault.ValidationError, "/none")
	w.create("y", strings.Replace(strings.ReplaceAll(body, "Name: ", "Name: y"), "/word:1", "/gone", 1))
	w.settle("y", "ROLLBACK_COMPLETE")
}

func TestServiceRole(t *testing.T) {
	role := auth.Principal{Kind: auth.AssumedRole, Account: scope.Account, ARN: "arn:aws:sts::111111111111:assumed-role/r/AWSCloudFormation"}
	w := newWorld(t, func(c *cloudformation.Config) {
		c.AssumeRole = func(_ context.Context, arn string) (auth.Principal, error) {
			if arn != "arn:aws:iam::111111111111:role/r" {
				return auth.Principal{}, fault.New(fault.AccessDenied, "no")
			}
			return role, nil
		}
	})
	who := make(chan auth.Principal, 2)
	w.cloud.create = func(ctx context.Context, _ cfnRequest) error { who <- auth.From(ctx).Principal; return nil }
	body := "Resources:\n  A: {Type: 'AWS::Test::Thing'}\n"
	_, err := w.CreateStack(w.ctx, &api.CreateStackInput{StackName: "s", TemplateBody: body, RoleARN: "arn:aws:iam::111111111111:role/other"})
	refused(t, err, fault.ValidationError, "is invalid or cannot be assumed")
	w.create("s", body, func(in *api.CreateStackInput) { in.RoleARN = "arn:aws:iam::111111111111:role/r" })
	w.settle("s", "CREATE_COMPLETE")
	if got := <-who; got != role {
		t.Errorf("A was made by %+v", got)
	}
}

func TestCapabilities(t *testing.T) {
	w := newWorld(t, nil)
	out, err := w.ValidateTemplate(w.ctx, &api.ValidateTemplateInput{TemplateBody: chain})
	if err != nil || len(out.Capabilities) != 0 {
		t.Errorf("ValidateTemplate: %v %+v", err, out)
	}
	_, err = w.CreateStack(w.ctx, &api.CreateStackInput{StackName: "s", TemplateBody: chain, Capabilities: []string{"CAPABILITY_FLYING"}})
	refused(t, err, fault.ValidationError, "CAPABILITY_FLYING")
	role := "Resources:\n  R: {Type: 'AWS::IAM::Role', Properties: {AssumeRolePolicyDocument: {}}}\n"
	_, err = w.CreateStack(w.ctx, &api.CreateStackInput{StackName: "s", TemplateBody: role})
	refused(t, err, fault.CFNInsufficientCapabilities, "Requires capabilities : [CAPABILITY_IAM]")
	named := strings.Replace(role, "{AssumeRolePolicyDocument", "{RoleName: r, AssumeRolePolicyDocument", 1)
	_, err = w.CreateStack(w.ctx, &api.CreateStackInput{StackName: "s", TemplateBody: named, Capabilities: []string{"CAPABILITY_IAM"}})
	refused(t, err, fault.CFNInsufficientCapabilities, "Requires capabilities : [CAPABILITY_NAMED_IAM]")
	w.create("s", named, func(in *api.CreateStackInput) { in.Capabilities = []string{"CAPABILITY_NAMED_IAM"} })
	w.settle("s", "CREATE_COMPLETE")
}
