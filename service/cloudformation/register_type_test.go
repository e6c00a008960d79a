package cloudformation_test

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/api/lambda"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/service/cloudformation"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/workflow"
	"github.com/slipway/slipway/workflow/workflowtest"
)

// CreateFunction keeps the function of a token once.
func (f *judges) CreateFunction(ctx context.Context, in *lambda.CreateFunctionInput) (*lambda.CreateFunctionOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if in.Runtime != "python3.12" || in.Handler != "things.resource" || !bytes.Equal(in.Code.ZipFile, []byte("the code")) {
		return nil, fault.New("InvalidParameterValueException", "what function is that?")
	}
	id := "arn:aws:lambda:us-east-1:111111111111:function:" + in.FunctionName
	if f.by == nil {
		f.by = map[string]func(map[string]any) any{}
	}
	f.by[id] = f.made
	f.created = append(f.created, auth.From(ctx).Token)
	return &lambda.CreateFunctionOutput{FunctionArn: id}, nil
}

// AddPermission lets CloudFormation call what was made.
func (f *judges) AddPermission(_ context.Context, in *lambda.AddPermissionInput) (*lambda.AddPermissionOutput, error) {
	if in.Principal != "cloudformation.amazonaws.com" {
		return nil, fault.New("InvalidParameterValueException", "who is %s?", in.Principal)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, fault.New(fault.AccessDeniedException, "no permissions here")
	}
	return &lambda.AddPermissionOutput{}, nil
}

// DeleteFunction deletes what was made.
func (f *judges) DeleteFunction(_ context.Context, in *lambda.DeleteFunctionInput) (*lambda.DeleteFunctionOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id := range f.by {
		if strings.HasSuffix(id, in.FunctionName) {
			delete(f.by, id)
			f.deleted = append(f.deleted, id)
			return &lambda.DeleteFunctionOutput{}, nil
		}
	}
	return nil, fault.New(fault.ResourceNotFoundException, "Function not found: %s", in.FunctionName)
}

// left waits until so many of the functions that were made are left.
func (f *judges) left(t *testing.T, want int) {
	t.Helper()
	have := -1
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		f.mu.Lock()
		have = len(f.by)
		f.mu.Unlock()
		if have == want {
			return
		}
	}
	t.Fatalf("%d functions are left, want %d; deleted were %v", have, want, f.deleted)
}

// GetFunctionConfiguration says that a function can be called.
func (f *judges) GetFunctionConfiguration(context.Context, *lambda.GetFunctionConfigurationInput) (*lambda.GetFunctionConfigurationOutput, error) {
	return &lambda.GetFunctionConfigurationOutput{State: lambda.StateActive}, nil
}

const ownSchema = `{"typeName":"My::Org::Thing","description":"A thing of ours.","additionalProperties":false,
	"properties":{"Name":{"type":"string"},"Value":{"type":"string"},"Number":{"type":"integer"},"Arn":{"type":"string"}},
	"required":["Name"],"createOnlyProperties":["/properties/Name"],"readOnlyProperties":["/properties/Arn"],"primaryIdentifier":["/properties/Name"],
	"typeConfiguration":{"properties":{"Key":{"type":"string"}},"additionalProperties":false},
	"handlers":{"create":{"permissions":[]},"read":{"permissions":[]},"update":{"permissions":[]},"delete":{"permissions":[]},"list":{"permissions":[]}}}`

// packed is an extension's package.
func packed(t testing.TB, files map[string]string) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for name, text := range files {
		f, err := w.Create(name)
		if err == nil {
			_, err = f.Write([]byte(text))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func ownPackage(t testing.TB, schema string) string {
	return packed(t, map[string]string{
		"schema.json": schema, "ResourceProvider.zip": "the code", "inputs/x.zip": "not this",
		".rpdk-config": `{"typeName":"My::Org::Thing","runtime":"python3.12","entrypoint":"things.resource"}`,
	})
}

func register(t testing.TB, s *cloudformation.Service, ctx context.Context, kind, name string) *api.DescribeTypeRegistrationOutput {
	t.Helper()
	out, err := s.RegisterType(ctx, &api.RegisterTypeInput{Type: kind, TypeName: name, SchemaHandlerPackage: "http://127.0.0.1:4566/templates/package", ExecutionRoleArn: hookRole})
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
		r, err := s.DescribeTypeRegistration(ctx, &api.DescribeTypeRegistrationInput{RegistrationToken: out.RegistrationToken})
		if err != nil {
			t.Fatal(err)
		}
		if r.ProgressStatus != "IN_PROGRESS" {
			return r
		}
	}
	t.Fatal("the registration does not end")
	return nil
}

// backend is what the handler of My::Org::Thing manages.
type backend struct {
	there map[string]map[string]any
	asked []string
	key   any
}

func (b *backend) handle(r map[string]any) any {
	data := r["requestData"].(map[string]any)
	p := maps.Clone(data["resourceProperties"].(map[string]any))
	name, _ := p["Name"].(string)
	b.asked = append(b.asked, fmt.Sprint(r["action"], " ", name))
	b.key = data["typeConfiguration"]
	was, exists := b.there[name]
	action := r["action"]
	switch {
	case action == "CREATE" && r["callbackContext"] == nil && exists:
		return map[string]any{"status": "FAILED", "errorCode": "AlreadyExists", "message": "there is one"}
	case action == "CREATE" && r["callbackContext"] == nil:
		p["Arn"] = "arn:" + name
		b.there[name] = p
		return map[string]any{"status": "IN_PROGRESS", "callbackContext": map[string]any{"n": 1}, "resourceModel": p}
	case action == "LIST":
		var all []any
		for _, m := range b.there {
			all = append(all, m)
		}
		return map[string]any{"status": "SUCCESS", "resourceModels": all}
	case !exists:
		return map[string]any{"status": "FAILED", "errorCode": "NotFound", "message": "there is none"}
	case action == "UPDATE" && p["Value"] == "bad":
		return map[string]any{"status": "FAILED", "errorCode": "InvalidRequest", "message": "bad is bad"}
	case action == "UPDATE":
		p["Arn"] = was["Arn"]
		b.there[name] = p
	case action == "DELETE":
		delete(b.there, name)
		return map[string]any{"status": "SUCCESS"}
	}
	return map[string]any{"status": "SUCCESS", "resourceModel": b.there[name]}
}

const ownStack = `
Resources:
  Own: {Type: 'My::Org::Thing', Properties: {Name: a, Value: one, Number: '7'}}
Outputs:
  Arn: {Value: !GetAtt Own.Arn}
`

func TestRegisteredTypes(t *testing.T) {
	b := &backend{there: map[string]map[string]any{}}
	f := &judges{made: b.handle}
	w := newWorld(t, f.with)
	_, err := w.CreateStack(w.ctx, &api.CreateStackInput{StackName: "s", TemplateBody: ownStack})
	refused(t, err, fault.ValidationError, "Unrecognized resource types: [My::Org::Thing]")
	w.cloud.file("package", ownPackage(t, ownSchema))
	if r := register(t, w.Service, w.ctx, "RESOURCE", "My::Org::Thing"); r.ProgressStatus != "COMPLETE" || !strings.HasSuffix(r.TypeVersionArn, ":type/resource/My-Org-Thing/00000001") {
		t.Fatalf("%+v", r)
	}
	if _, err := w.SetTypeConfiguration(w.ctx, &api.SetTypeConfigurationInput{Type: "RESOURCE", TypeName: "My::Org::Thing", Configuration: `{"Key":"k"}`}); err != nil {
		t.Fatal(err)
	}

	id := w.create("s", ownStack)
	if st := w.settle("s", "CREATE_COMPLETE"); st.Outputs[0].OutputValue != "arn:a" {
		t.Errorf("outputs %v", st.Outputs)
	}
	if d := cmp.Diff(map[string]any{"Name": "a", "Value": "one", "Number": 7.0, "Arn": "arn:a"}, b.there["a"]); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(map[string]any{"Key": "k"}, b.key); d != "" {
		t.Errorf("configuration:\n%s", d)
	}
	if d := w.detect("s"); d.StackDriftStatus != "IN_SYNC" {
		t.Errorf("drift %+v", d)
	}
	b.there["a"]["Value"] = "moved"
	if d := w.detect("s"); d.StackDriftStatus != "DRIFTED" {
		t.Errorf("drift %+v", d)
	}
	w.updateTo("s", strings.Replace(ownStack, "one", "bad", 1))
	w.settle("s", "UPDATE_ROLLBACK_COMPLETE")
	w.updateTo("s", strings.Replace(ownStack, "one", "two", 1))
	w.settle("s", "UPDATE_COMPLETE")
	if b.there["a"]["Value"] != "two" {
		t.Errorf("%v", b.there)
	}
	_, err = w.CreateStack(elsewhere(w.ctx), &api.CreateStackInput{StackName: "s", TemplateBody: ownStack})
	refused(t, err, fault.ValidationError, "Unrecognized resource types: [My::Org::Thing]")
	w.drop("s")
	w.settle(id, "DELETE_COMPLETE")
	if len(b.there) > 0 {
		t.Errorf("%v are left", b.there)
	}
}

// elsewhere is a call in another region.
func elsewhere(ctx context.Context) context.Context {
	c := auth.From(ctx)
	c.Scope.Region = "eu-central-1"
	return auth.With(ctx, c)
}

func TestVersionsOfTypes(t *testing.T) {
	f := &judges{made: (&backend{}).handle}
	w := newWorld(t, f.with)
	w.cloud.file("package", ownPackage(t, ownSchema))
	register(t, w.Service, w.ctx, "RESOURCE", "My::Org::Thing")
	w.cloud.file("package", ownPackage(t, strings.Replace(ownSchema, "of ours", "of ours, again", 1)))
	second := register(t, w.Service, w.ctx, "RESOURCE", "My::Org::Thing")
	describe := func() *api.DescribeTypeOutput {
		t.Helper()
		out, err := w.DescribeType(w.ctx, &api.DescribeTypeInput{Type: "RESOURCE", TypeName: "My::Org::Thing"})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if d := describe(); d.DefaultVersionId != "00000001" || d.ProvisioningType != "FULLY_MUTABLE" || d.Description != "A thing of ours." || d.Visibility != "PRIVATE" {
		t.Errorf("%+v", d)
	}
	if _, err := w.SetTypeDefaultVersion(w.ctx, &api.SetTypeDefaultVersionInput{Arn: second.TypeVersionArn}); err != nil {
		t.Fatal(err)
	}
	if d := describe(); d.DefaultVersionId != "00000002" || d.Description != "A thing of ours, again." {
		t.Errorf("%+v", d)
	}
	deregister := func(version string) error {
		_, err := w.DeregisterType(w.ctx, &api.DeregisterTypeInput{Type: "RESOURCE", TypeName: "My::Org::Thing", VersionId: version})
		return err
	}
	refused(t, deregister(""), fault.CFNRegistry, "active versions other than the default")
	refused(t, deregister("00000002"), fault.CFNRegistry, "is the default version and cannot be deregistered")
	f.left(t, 2)
	if err := deregister("00000001"); err != nil {
		t.Fatal(err)
	}
	f.left(t, 1)
	versions, err := w.ListTypeVersions(w.ctx, &api.ListTypeVersionsInput{Type: "RESOURCE", TypeName: "My::Org::Thing"})
	if err != nil || len(versions.TypeVersionSummaries) != 1 || versions.TypeVersionSummaries[0].VersionId != "00000002" {
		t.Errorf("%+v, %v", versions, err)
	}
	if err := deregister(""); err != nil {
		t.Fatal(err)
	}
	f.left(t, 0)
	_, err = w.CreateStack(w.ctx, &api.CreateStackInput{StackName: "s", TemplateBody: ownStack})
	refused(t, err, fault.ValidationError, "Unrecognized resource types: [My::Org::Thing]")
	list, err := w.ListTypeRegistrations(w.ctx, &api.ListTypeRegistrationsInput{TypeName: "My::Org::Thing", RegistrationStatusFilter: "COMPLETE"})
	if err != nil || len(list.RegistrationTokenList) != 2 {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestRegisteredHooks(t *testing.T) {
	f := &judges{}
	f.made = answers("FAILED", "NonCompliant", "no")
	w := newWorld(t, f.with)
	schema := `{"typeName":"My::Org::Judge","description":"Judges.","additionalProperties":false,"typeConfiguration":{"properties":{},"additionalProperties":false},
		"handlers":{"preCreate":{"targetNames":["AWS::Test::Named"],"permissions":[]}}}`
	w.cloud.file("package", ownPackage(t, schema))
	r := register(t, w.Service, w.ctx, "HOOK", "My::Org::Judge")
	if r.ProgressStatus != "COMPLETE" {
		t.Fatalf("%+v", r)
	}
	configure(t, w.Service, w.ctx, r.TypeArn, `{"TargetStacks":"ALL","FailureMode":"FAIL","Properties":{}}`)
	id := w.create("s", "Resources: {A: {Type: 'AWS::Test::Thing'}, B: {Type: 'AWS::Test::Named', Properties: {Name: b}}}")
	w.settle(id, "ROLLBACK_COMPLETE")
	if d := cmp.Diff([]string{"CREATE_PRE_PROVISION AWS::Test::Named"}, f.asked); d != "" {
		t.Error(d)
	}
}

func TestPackagesThatAreRefused(t *testing.T) {
	f := &judges{}
	w := newWorld(t, f.with)
	config := `{"runtime":"python3.12","entrypoint":"things.resource"}`
	schema := func(old, now string) map[string]string {
		return map[string]string{"schema.json": strings.Replace(ownSchema, old, now, 1), ".rpdk-config": config, "ResourceProvider.zip": "the code"}
	}
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"no schema", map[string]string{".rpdk-config": config, "a.zip": "x"}, "has no schema.json"},
		{"no settings", map[string]string{"schema.json": ownSchema, "a.zip": "x"}, "has no .rpdk-config"},
		{"no code", map[string]string{"schema.json": ownSchema, ".rpdk-config": config}, "no archive of its handler's code"},
		{"empty settings", map[string]string{"schema.json": ownSchema, ".rpdk-config": "{}", "a.zip": "x"}, "names no runtime and entrypoint"},
		{"another name", schema("My::Org::Thing", "My::Org::Other"), "typeName is"},
		{"no description", schema(`"description":"A thing of ours.",`, ""), "required key [description] not found"},
		{"more properties", schema(`"additionalProperties":false`, `"additionalProperties":true`), "it must be false"},
		{"unknown handler", schema(`"list":`, `"lost":`), "extraneous key [lost]"},
		{"no read", schema(`"read":{"permissions":[]},`, ""), "needs the handlers create, read and delete"},
		{"no permissions", schema(`"list":{"permissions":[]}`, `"list":{}`), "required keys are permissions"},
		{"lost identifier", schema(`"primaryIdentifier":["/properties/Name"]`, `"primaryIdentifier":["/properties/Id"]`), "there is no property /properties/Id"},
		{"no JSON", map[string]string{"schema.json": "{", ".rpdk-config": config, "a.zip": "x"}, "Invalid schema"},
		{"no function", map[string]string{"schema.json": ownSchema, ".rpdk-config": `{"runtime":"java8","entrypoint":"x"}`, "a.zip": "x"}, "The handler's function cannot be made: what function is that?"},
	} {
		w.cloud.file("package", packed(t, tt.files))
		if r := register(t, w.Service, w.ctx, "RESOURCE", "My::Org::Thing"); r.ProgressStatus != "FAILED" || !strings.Contains(r.Description, tt.want) {
			t.Errorf("%s: %s %q", tt.name, r.ProgressStatus, r.Description)
		}
	}
	// What a registration that fails has made goes with it.
	w.cloud.file("package", ownPackage(t, ownSchema))
	f.made, f.closed = (&backend{}).handle, true
	if r := register(t, w.Service, w.ctx, "RESOURCE", "My::Org::Thing"); r.ProgressStatus != "FAILED" || !strings.Contains(r.Description, "no permissions here") {
		t.Errorf("%+v", r)
	}
	f.left(t, 0)
	if len(f.deleted) != 1 {
		t.Errorf("deleted were %v", f.deleted)
	}
	w.cloud.file("package", "no zip")
	if r := register(t, w.Service, w.ctx, "RESOURCE", "My::Org::Thing"); !strings.Contains(r.Description, "is not a zip archive") {
		t.Errorf("%+v", r)
	}
	for name, in := range map[string]*api.RegisterTypeInput{
		"is reserved":       {TypeName: "AWS::Our::Thing", SchemaHandlerPackage: "s3://x/y"},
		"cannot be assumed": {TypeName: "My::Org::Thing", SchemaHandlerPackage: "s3://x/y", ExecutionRoleArn: "arn:aws:iam::1:role/stranger"},
	} {
		_, err := w.RegisterType(w.ctx, in)
		refused(t, err, fault.CFNRegistry, name)
	}
	_, err := w.DescribeTypeRegistration(w.ctx, &api.DescribeTypeRegistrationInput{RegistrationToken: "none"})
	refused(t, err, fault.CFNRegistry, "No registration token matches none.")
}

// TestRegisteredTypesSurviveCrashes crashes and repeats the creation of a resource
// whose handler is not done at once: it is made once.
func TestRegisteredTypesSurviveCrashes(t *testing.T) {
	workflowtest.Check(t, workflowtest.Case{Setup: func(t testing.TB, s store.Store) workflowtest.Scenario {
		cl := &cloud{there: map[string]cfn.Properties{}}
		b := &backend{there: map[string]map[string]any{}}
		f := &judges{made: b.handle}
		ctx := auth.WithToken(callContext(context.WithoutCancel(t.Context())), "the test")
		cl.file("package", ownPackage(t, ownSchema))
		e := workflow.New(workflow.Config{Store: s})
		first := service(s, e, cl, f.with)
		if err := e.Start(ctx); err != nil {
			t.Fatal(err)
		}
		register(t, first, ctx, "RESOURCE", "My::Org::Thing")
		e.Stop()
		var svc *cloudformation.Service
		return workflowtest.Scenario{
			Register: func(e *workflow.Engine) { svc = service(s, e, cl, f.with) },
			Begin: func(tx store.Tx, _ *workflow.Engine) (string, error) {
				begin, err := svc.BeginCreate(ctx, "s", ownStack)
				if err != nil {
					return "", err
				}
				return begin(tx)
			},
			Check: func(t testing.TB, s store.Store, st workflow.Status) {
				w := &world{Service: svc, t: t, cloud: cl, store: s, ctx: ctx}
				if got := w.stack("s").StackStatus; got != "CREATE_COMPLETE" || len(b.there) != 1 {
					t.Errorf("%s, %v, asked %v", got, b.there, b.asked)
				}
			},
		}
	}})
}
