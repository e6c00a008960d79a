package platform

import (
	"archive/zip"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	cloudformation "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
)

// noteHandler keeps notes in a folder: the handler of a resource type, as a shell
// script.
const noteHandler = `#!/bin/sh
request=$(cat)
of() { printf '%s' "$request" | sed -E 's/.*"resourceProperties":\{([^}]*)\}.*/\1/' | sed -nE 's/.*"'$1'":"([^"]*)".*/\1/p'; }
action=$(printf '%s' "$request" | sed -E 's/.*"action":"([A-Z]+)".*/\1/')
name=$(of Name); file=FOLDER/$name
case $action in
CREATE) [ ! -e "$file" ] || { echo '{"status":"FAILED","errorCode":"AlreadyExists","message":"there is one"}'; exit; }; of Text > "$file";;
UPDATE) of Text > "$file";;
DELETE) rm -f "$file"; echo '{"status":"SUCCESS"}'; exit;;
esac
[ -e "$file" ] || { echo '{"status":"FAILED","errorCode":"NotFound","message":"there is none"}'; exit; }
[ "$(cat "$file")" != broken ] || { echo 'it is broken' >&2; exit 4; }
printf '{"status":"SUCCESS","resourceModel":{"Name":"%s","Text":"%s"}}' "$name" "$(cat "$file")"
`

const noteSchema = `{"typeName":"My::Note::Paper","description":"A note.","additionalProperties":false,
	"properties":{"Name":{"type":"string"},"Text":{"type":"string"}},"required":["Name"],"createOnlyProperties":["/properties/Name"],
	"primaryIdentifier":["/properties/Name"],
	"handlers":{"create":{"permissions":[]},"read":{"permissions":[]},"update":{"permissions":[]},"delete":{"permissions":[]}}}`

// TestLocalHandlers registers a type whose handler is a script of its package, and
// has stacks make, change and remove what it manages.
func TestLocalHandlers(t *testing.T) {
	p, notes := start(t, nil), t.TempDir()
	s := p.services
	ctx := auth.With(t.Context(), auth.Call{Principal: auth.RootOf("111111111111"), Scope: arn.Scope{Account: "111111111111", Region: "us-east-1"}, Time: time.Now(), Endpoint: p.Endpoint()})
	var pack bytes.Buffer
	z := zip.NewWriter(&pack)
	for name, text := range map[string]string{
		"schema.json": noteSchema, ".rpdk-config": `{"typeName":"My::Note::Paper","runtime":"local","entrypoint":"note"}`,
		"ResourceProvider.zip": string(zipped(t, "note", strings.ReplaceAll(noteHandler, "FOLDER", notes))),
	} {
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write([]byte(text))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	got[*s3.CreateBucketOutput](t)(s.apis.s3.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: "packages"}))
	got[*s3.PutObjectOutput](t)(s.apis.s3.PutObject(ctx, &s3.PutObjectInput{Bucket: "packages", Key: "note.zip", Body: io.NopCloser(bytes.NewReader(pack.Bytes()))}))

	cfn := s.apis.cfn
	until := func(what, want string, status func() string) {
		t.Helper()
		for end := time.Now().Add(2 * time.Minute); ; time.Sleep(10 * time.Millisecond) {
			is := status()
			if is == want {
				return
			}
			if time.Now().After(end) || strings.HasSuffix(is, "FAILED") {
				t.Fatalf("%s is %s, want %s", what, is, want)
			}
		}
	}
	token := got[*cloudformation.RegisterTypeOutput](t)(cfn.RegisterType(ctx, &cloudformation.RegisterTypeInput{TypeName: "My::Note::Paper", SchemaHandlerPackage: "s3://packages/note.zip"})).RegistrationToken
	until("the registration", "COMPLETE", func() string {
		out := got[*cloudformation.DescribeTypeRegistrationOutput](t)(cfn.DescribeTypeRegistration(ctx, &cloudformation.DescribeTypeRegistrationInput{RegistrationToken: token}))
		if out.ProgressStatus == "FAILED" {
			t.Fatal(out.Description)
		}
		return out.ProgressStatus
	})
	stack := func(want string) *cloudformation.Stack {
		t.Helper()
		var st cloudformation.Stack
		until("the stack", want, func() string {
			st = got[*cloudformation.DescribeStacksOutput](t)(cfn.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: "notes"})).Stacks[0]
			return st.StackStatus
		})
		return &st
	}
	body := func(text string) string {
		return "Resources: {Note: {Type: My::Note::Paper, Properties: {Name: milk, Text: " + text + "}}}\nOutputs: {Name: {Value: !Ref Note}}"
	}
	note := func() string {
		b, err := os.ReadFile(filepath.Join(notes, "milk"))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(b))
	}
	got[*cloudformation.CreateStackOutput](t)(cfn.CreateStack(ctx, &cloudformation.CreateStackInput{StackName: "notes", TemplateBody: body("buy")}))
	if st := stack("CREATE_COMPLETE"); note() != "buy" || st.Outputs[0].OutputValue != "milk" {
		t.Errorf("the note says %q, the stack %+v", note(), st.Outputs)
	}
	got[*cloudformation.UpdateStackOutput](t)(cfn.UpdateStack(ctx, &cloudformation.UpdateStackInput{StackName: "notes", TemplateBody: body("sell")}))
	if stack("UPDATE_COMPLETE"); note() != "sell" {
		t.Errorf("the note says %q", note())
	}
	got[*cloudformation.UpdateStackOutput](t)(cfn.UpdateStack(ctx, &cloudformation.UpdateStackInput{StackName: "notes", TemplateBody: body("broken")}))
	stack("UPDATE_ROLLBACK_COMPLETE")
	told := false
	for _, e := range got[*cloudformation.DescribeStackEventsOutput](t)(cfn.DescribeStackEvents(ctx, &cloudformation.DescribeStackEventsInput{StackName: "notes"})).StackEvents {
		told = told || strings.Contains(e.ResourceStatusReason, "the program note failed: exit status 4: it is broken")
	}
	if !told || note() != "sell" {
		t.Errorf("the events say why: %v; the note says %q", told, note())
	}
	got[*cloudformation.DeleteStackOutput](t)(cfn.DeleteStack(ctx, &cloudformation.DeleteStackInput{StackName: "notes"}))
	until("the note", "", note)
}

// TestHandlersStayInTheirFolder: an archive cannot write outside, nor without end.
func TestHandlersStayInTheirFolder(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"../out": {"text", "into one folder"}, "/out": {"text", "into one folder"}, "large": {"12345", "too large"}, "in/a": {"text", ""},
	} {
		dir := filepath.Join(t.TempDir(), "code")
		err := unpackHandler(zipped(t, name, tt.text), dir, 4)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
		if _, err := os.Stat(dir); (err == nil) != (tt.want == "") {
			t.Errorf("%s: something was unpacked: %v", name, err == nil)
		}
	}
	if err := unpackHandler([]byte("no zip"), filepath.Join(t.TempDir(), "code"), 4); err == nil {
		t.Error("what is no zip is unpacked")
	}
}
