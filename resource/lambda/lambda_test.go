package lambda

import (
	"archive/zip"
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	api "github.com/slipway/slipway/api/lambda"
	sqs "github.com/slipway/slipway/api/sqs"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/keyring"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/compute/function"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/service/lambda"
	"github.com/slipway/slipway/store/storetest"
)

const (
	account = "123456789012"
	prefix  = "arn:aws:lambda:us-east-1:" + account + ":"
	role    = "arn:aws:iam::" + account + ":role/r"
)

// host runs nothing.
type host struct{}

func (host) Runtime(name string) (function.Runtime, error) {
	if strings.HasPrefix(name, "java") {
		return function.Runtime{}, &function.RuntimeError{Runtime: name, Missing: "no java"}
	}
	return function.Runtime{Name: name}, nil
}

func (host) Invoke(context.Context, function.Spec, function.Invocation) (function.Result, error) {
	return function.Result{}, nil
}

func (host) Prepare() {}

func (host) Retire(string) func(context.Context) error {
	return func(context.Context) error { return nil }
}

// line is SQS with a queue that nothing comes to.
type line struct{ sqs.Unimplemented }

func (line) GetQueueAttributes(context.Context, *sqs.GetQueueAttributesInput) (*sqs.GetQueueAttributesOutput, error) {
	return &sqs.GetQueueAttributesOutput{Attributes: map[string]string{"VisibilityTimeout": "30"}}, nil
}

func (line) ReceiveMessage(ctx context.Context, _ *sqs.ReceiveMessageInput) (*sqs.ReceiveMessageOutput, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func service(t *testing.T) *lambda.Service {
	t.Helper()
	svc, err := lambda.New(lambda.Config{Store: storetest.New(t), Ring: keyring.Ephemeral(), Dir: t.TempDir(), Runner: host{}, SQS: line{}})
	if err != nil {
		t.Fatal(err)
	}
	svc.Start(t.Context())
	t.Cleanup(svc.Stop)
	return svc
}

func as(t *testing.T, token string) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return auth.With(ctx, auth.Call{
		Principal: auth.RootOf(account), Scope: arn.Scope{Account: account, Region: "us-east-1"}, Token: token,
	})
}

func request(token, physicalID string, properties, prior cfn.Properties) cfn.Request {
	return cfn.Request{
		StackName: "stack", LogicalID: "It", PhysicalID: physicalID, Token: token, Name: "stack-It-ABCDEF123456",
		Properties: properties, Prior: prior, Tags: map[string]string{"aws:cloudformation:stack-name": "stack"},
		Progress: func(string) {}, Initiated: func(string) {},
	}
}

func find(t *testing.T, svc api.Service, name string) cfn.Type {
	t.Helper()
	for _, typ := range Types(svc) {
		if typ.Name == name {
			return typ
		}
	}
	t.Fatalf("there is no %s", name)
	return cfn.Type{}
}

// create makes a resource twice with one token, as after a crash.
func create(t *testing.T, typ cfn.Type, token string, props cfn.Properties) cfn.Result {
	t.Helper()
	var first cfn.Result
	for i := range 2 {
		got, err := typ.Create(as(t, token), request(token, "", props, nil))
		if err != nil {
			t.Fatalf("%s: %v", typ.Name, err)
		}
		if i == 0 {
			first = got
		} else if d := cmp.Diff(first, got); d != "" {
			t.Errorf("%s: made again: %s", typ.Name, d)
		}
	}
	return first
}

func read(t *testing.T, typ cfn.Type, id string, props, want cfn.Properties) {
	t.Helper()
	got, err := typ.Read(as(t, ""), request("", id, props, nil))
	if err != nil {
		t.Fatalf("%s: %v", typ.Name, err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s: %s", typ.Name, d)
	}
}

// remove deletes a resource twice, and looks that it is gone.
func remove(t *testing.T, typ cfn.Type, id string, props cfn.Properties) {
	t.Helper()
	for range 2 {
		if err := typ.Delete(as(t, "delete"), request("delete", id, props, nil)); err != nil {
			t.Errorf("%s: %v", typ.Name, err)
		}
	}
	if _, err := typ.Read(as(t, ""), request("", id, props, nil)); !fault.Is(err, cfn.NotFound) {
		t.Errorf("%s: read after the deletion: %v", typ.Name, err)
	}
}

func functionProps(with cfn.Properties) cfn.Properties {
	p := cfn.Properties{
		"FunctionName": "f", "Runtime": "python3.12", "Handler": "index.handler", "Role": role, "Code": map[string]any{"ZipFile": "def handler(e, c): pass"},
		"Tags": []any{map[string]any{"Key": "k", "Value": "v"}},
	}
	for k, v := range with {
		p[k] = v
	}
	return p
}

func TestFunction(t *testing.T) {
	svc := service(t)
	typ := find(t, svc, functionName)
	props := functionProps(cfn.Properties{"Environment": map[string]any{"Variables": map[string]any{"A": "x", "N": int64(5), "B": true}}, "ReservedConcurrentExecutions": int64(2)})
	if got := create(t, typ, "make", props); got.PhysicalID != "f" || got.Attributes["Arn"] != prefix+"function:f" {
		t.Errorf("made %+v", got)
	}
	shown := cfn.Properties{
		"FunctionName": "f", "Runtime": "python3.12", "Handler": "index.handler", "Role": role, "Timeout": int64(3), "MemorySize": int64(128),
		"Architectures": []any{architectures(t, svc)}, "PackageType": "Zip", "EphemeralStorage": map[string]any{"Size": int64(512)},
		"TracingConfig": map[string]any{"Mode": "PassThrough"}, "LoggingConfig": map[string]any{"LogFormat": "Text", "LogGroup": "/aws/lambda/f"},
		"Environment": map[string]any{"Variables": map[string]any{"A": "x", "N": "5", "B": "true"}}, "ReservedConcurrentExecutions": int64(2),
		"Tags": []any{map[string]any{"Key": "k", "Value": "v"}}, "Arn": prefix + "function:f",
	}
	read(t, typ, "f", props, shown)

	next := functionProps(cfn.Properties{"Timeout": int64(9), "Code": map[string]any{"ZipFile": "other"}, "Tags": []any{}})
	for range 2 {
		if _, err := typ.Update(as(t, "change"), request("change", "f", next, props)); err != nil {
			t.Fatal(err)
		}
	}
	delete(shown, "ReservedConcurrentExecutions")
	delete(shown, "Tags")
	shown["Timeout"], shown["Environment"] = int64(9), map[string]any{}
	read(t, typ, "f", next, shown)
	if ids, err := typ.List(as(t, "")); err != nil || len(ids) != 1 || ids[0] != "f" {
		t.Errorf("listed %v, %v", ids, err)
	}
	remove(t, typ, "f", next)
}

func architectures(t *testing.T, svc api.Service) string {
	t.Helper()
	out, err := svc.GetFunctionConfiguration(as(t, ""), &api.GetFunctionConfigurationInput{FunctionName: "f"})
	if err != nil {
		t.Fatal(err)
	}
	return out.Architectures[0]
}

// A function that cannot run fails its creation, and is named so that it is deleted.
func TestAFunctionThatFails(t *testing.T) {
	svc := service(t)
	typ := find(t, svc, functionName)
	in := functionProps(cfn.Properties{"Runtime": "java21"})
	_, err := typ.Create(as(t, "a"), request("a", "", in, nil))
	if !fault.Is(err, fault.InvalidParameterValueException) || !strings.Contains(err.Error(), "ZipFile can only be used") {
		t.Errorf("inline Java: %v", err)
	}
	c := &code{ZipFile: "exports.handler = 1"}
	made, err := c.source("nodejs20.x")
	if err != nil {
		t.Fatal(err)
	}
	z, err := zip.NewReader(bytes.NewReader(made.ZipFile), int64(len(made.ZipFile)))
	if err != nil || len(z.File) != 1 || z.File[0].Name != "index.js" {
		t.Fatalf("the archive has %v, %v", z, err)
	}
	f, err := z.File[0].Open()
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(f); err != nil || string(b) != c.ZipFile {
		t.Errorf("it is %q, %v", b, err)
	}
	if _, err := svc.CreateFunction(as(t, ""), &api.CreateFunctionInput{FunctionName: "j", Runtime: "java21", Handler: "x", Role: role, Code: made}); err != nil {
		t.Fatal(err)
	}
	_, err = functionHandler{svc}.settled(as(t, ""), "j")
	if !fault.Is(err, fault.InvalidParameterValueException) || !strings.Contains(err.Error(), "no java") {
		t.Errorf("it settles with %v", err)
	}
}

func TestWhatHangsOnAFunction(t *testing.T) {
	svc := service(t)
	create(t, find(t, svc, functionName), "f", functionProps(nil))
	version, alias, permission := find(t, svc, versionName), find(t, svc, aliasName), find(t, svc, permissionName)

	vp := cfn.Properties{"FunctionName": "f", "Description": "one"}
	v := create(t, version, "v", vp)
	if v.PhysicalID != prefix+"function:f:1" || v.Attributes["Version"] != "1" {
		t.Errorf("made %+v", v)
	}
	read(t, version, v.PhysicalID, vp, cfn.Properties{"FunctionName": "f", "Description": "one", "Version": "1", "FunctionArn": v.PhysicalID})

	ap := cfn.Properties{"FunctionName": prefix + "function:f", "Name": "live", "FunctionVersion": "$LATEST"}
	a := create(t, alias, "a", ap)
	if a.PhysicalID != prefix+"function:f:live" {
		t.Errorf("made %+v", a)
	}
	next := cfn.Properties{"FunctionName": prefix + "function:f", "Name": "live", "FunctionVersion": "1"}
	if _, err := alias.Update(as(t, "u"), request("u", a.PhysicalID, next, ap)); err != nil {
		t.Fatal(err)
	}
	next["AliasArn"] = a.PhysicalID
	read(t, alias, a.PhysicalID, next, next)

	pp := cfn.Properties{"FunctionName": a.PhysicalID, "Action": "lambda:InvokeFunction", "Principal": "sns.amazonaws.com", "SourceArn": "arn:aws:sns:us-east-1:123456789012:t"}
	p := create(t, permission, "p", pp)
	pp["Id"] = p.PhysicalID
	read(t, permission, p.PhysicalID, pp, pp)
	delete(pp, "Id")
	remove(t, permission, p.PhysicalID, pp)
	remove(t, alias, a.PhysicalID, next)
	remove(t, version, v.PhysicalID, vp)
}

func TestMappingAndInvokeConfig(t *testing.T) {
	svc := service(t)
	create(t, find(t, svc, functionName), "f", functionProps(nil))
	mapping, config := find(t, svc, mappingName), find(t, svc, invokeConfigName)
	const queue = "arn:aws:sqs:us-east-1:123456789012:q"

	mp := cfn.Properties{"FunctionName": "f", "EventSourceArn": queue, "Tags": []any{map[string]any{"Key": "k", "Value": "v"}}}
	m := create(t, mapping, "m", mp)
	shown := cfn.Properties{
		"FunctionName": "f", "EventSourceArn": queue, "Enabled": true, "BatchSize": int64(10), "MaximumBatchingWindowInSeconds": int64(0),
		"Tags": []any{map[string]any{"Key": "k", "Value": "v"}}, "Id": m.PhysicalID, "EventSourceMappingArn": prefix + "event-source-mapping:" + m.PhysicalID,
	}
	read(t, mapping, m.PhysicalID, mp, shown)
	next := cfn.Properties{"FunctionName": "f", "EventSourceArn": queue, "Enabled": false, "FunctionResponseTypes": []any{"ReportBatchItemFailures"}, "ScalingConfig": map[string]any{"MaximumConcurrency": int64(3)}}
	for range 2 {
		if _, err := mapping.Update(as(t, "u"), request("u", m.PhysicalID, next, mp)); err != nil {
			t.Fatal(err)
		}
	}
	delete(shown, "Tags")
	for k, v := range next {
		shown[k] = v
	}
	read(t, mapping, m.PhysicalID, next, shown)
	if ids, err := mapping.List(as(t, "")); err != nil || len(ids) != 1 || ids[0] != m.PhysicalID {
		t.Errorf("listed %v, %v", ids, err)
	}
	remove(t, mapping, m.PhysicalID, next)

	cp := cfn.Properties{"FunctionName": "f", "Qualifier": "$LATEST", "MaximumRetryAttempts": int64(1), "DestinationConfig": map[string]any{"OnFailure": map[string]any{"Destination": queue}}}
	c := create(t, config, "c", cp)
	read(t, config, c.PhysicalID, cp, cp)
	cp2 := cfn.Properties{"FunctionName": "f", "Qualifier": "$LATEST", "MaximumEventAgeInSeconds": int64(60)}
	if _, err := config.Update(as(t, "u"), request("u", c.PhysicalID, cp2, cp)); err != nil {
		t.Fatal(err)
	}
	read(t, config, c.PhysicalID, cp2, cp2)
	remove(t, config, c.PhysicalID, cp2)
}

func TestURL(t *testing.T) {
	svc := service(t)
	create(t, find(t, svc, functionName), "f", functionProps(nil))
	typ := find(t, svc, urlName)
	props := cfn.Properties{"TargetFunctionArn": "f", "AuthType": "NONE", "Cors": map[string]any{"AllowOrigins": []any{"*"}}}
	u := create(t, typ, "u", props)
	address, _ := u.Attributes["FunctionUrl"].(string)
	if u.PhysicalID != prefix+"function:f" || !strings.Contains(address, ".lambda-url.us-east-1.localhost") {
		t.Errorf("made %+v", u)
	}
	shown := cfn.Properties{"InvokeMode": "BUFFERED", "FunctionArn": u.PhysicalID, "FunctionUrl": address}
	for k, v := range props {
		shown[k] = v
	}
	read(t, typ, u.PhysicalID, props, shown)
	next := cfn.Properties{"TargetFunctionArn": "f", "AuthType": "AWS_IAM"}
	if _, err := typ.Update(as(t, "x"), request("x", u.PhysicalID, next, props)); err != nil {
		t.Fatal(err)
	}
	shown["AuthType"], shown["Cors"] = "AWS_IAM", map[string]any{}
	read(t, typ, u.PhysicalID, next, shown)
	remove(t, typ, u.PhysicalID, next)
}
