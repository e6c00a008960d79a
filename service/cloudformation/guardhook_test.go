package cloudformation_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/service/cloudformation"
)

// buckets are S3 to Guard hooks: objects by "bucket/key" or "bucket/key?version".
type buckets struct {
	s3.Unimplemented
	mu      sync.Mutex
	objects map[string]string
	caller  string
}

func (b *buckets) GetObject(ctx context.Context, in *s3.GetObjectInput) (*s3.GetObjectOutput, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	name := in.Bucket + "/" + in.Key
	if in.VersionId != "" {
		name += "?" + in.VersionId
	}
	body, ok := b.objects[name]
	if !ok {
		return nil, fault.New("NoSuchKey", "The specified key does not exist.")
	}
	b.caller = auth.From(ctx).Principal.Name
	return &s3.GetObjectOutput{Body: io.NopCloser(strings.NewReader(body))}, nil
}

func (b *buckets) PutObject(_ context.Context, in *s3.PutObjectInput) (*s3.PutObjectOutput, error) {
	if in.Bucket != "logs" {
		return nil, fault.New("NoSuchBucket", "The specified bucket does not exist")
	}
	body, err := io.ReadAll(in.Body)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.objects["logs/"+in.Key] = string(body)
	return &s3.PutObjectOutput{}, err
}

func (b *buckets) put(name, body string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.objects[name] = body
}

func (b *buckets) with(c *cloudformation.Config) {
	(&judges{}).with(c)
	c.S3 = b
}

func newBuckets(rules string) *buckets {
	return &buckets{objects: map[string]string{"rules/all.guard": rules}}
}

// onGuard is the configuration of a Guard hook.
func onGuard(mode, operations, properties string) string {
	return fmt.Sprintf(`{"HookInvocationStatus":"ENABLED","TargetOperations":[%s],"FailureMode":"%s","Properties":{%s}}`, operations, mode, properties)
}

func activateGuard(t testing.TB, s *cloudformation.Service, ctx context.Context, configuration string) {
	t.Helper()
	out, err := s.ActivateType(ctx, &api.ActivateTypeInput{
		Type: "HOOK", TypeName: "AWS::Hooks::GuardHook", PublisherId: "aws-hooks", TypeNameAlias: "Private::Guard::Rules", ExecutionRoleArn: hookRole,
	})
	if err != nil {
		t.Fatal(err)
	}
	configure(t, s, ctx, out.Arn, configuration)
}

const thingRules = `
let things = Resources.*[ Type == 'AWS::Test::Thing' ]
rule THINGS_ARE_SMALL when %things !empty {
    %things.Properties.Value != /large/
    <<
        Violation: things must not be large
        Fix: make it small
    >>
}
rule OTHERS when Resources.*[ Type == 'AWS::Test::Named' ] !empty { Resources.*.Properties.Name exists }
`

func TestGuardHooksOfResources(t *testing.T) {
	b := newBuckets(thingRules)
	w := newWorld(t, b.with)
	activateGuard(t, w.Service, w.ctx, onGuard("FAIL", `"RESOURCE"`, `"ruleLocation":"s3://rules/all.guard","logBucket":"logs"`))
	one := "Resources: {A: {Type: 'AWS::Test::Thing', Properties: {Value: small}}}"
	id := w.create("s", one)
	w.settle(id, "CREATE_COMPLETE")
	w.updateTo("s", strings.Replace(one, "small", "very large", 1))
	w.settle(id, "UPDATE_ROLLBACK_COMPLETE")
	reason := "Hook failed with message: Template failed validation, the following rule(s) failed: THINGS_ARE_SMALL. Full output was written to s3://"
	var report string
	for name := range b.objects {
		if strings.Contains(b.objects[name], "FAIL") {
			report = name
		}
	}
	want := []string{
		"A CREATE_IN_PROGRESS Private::Guard::Rules HOOK_IN_PROGRESS FAIL PRE_PROVISION ",
		"A CREATE_IN_PROGRESS Private::Guard::Rules HOOK_COMPLETE_SUCCEEDED FAIL PRE_PROVISION Hook succeeded with message: Successful validation",
		"A UPDATE_IN_PROGRESS Private::Guard::Rules HOOK_IN_PROGRESS FAIL PRE_PROVISION ",
		"A UPDATE_IN_PROGRESS Private::Guard::Rules HOOK_COMPLETE_FAILED FAIL PRE_PROVISION " + reason + report +
			" THINGS_ARE_SMALL: Violation: things must not be large Fix: make it small",
	}
	if d := cmp.Diff(want, w.told("s")); d != "" {
		t.Error(d)
	}
	if b.caller != "hooks.cloudformation.amazonaws.com" || !strings.HasPrefix(report, "logs/cfn-guard-reports/Private-Guard-Rules/") {
		t.Errorf("read as %q, reported to %q", b.caller, report)
	}
	var told []struct {
		Name, Status string
		NotCompliant []struct {
			Rule struct {
				Name   string
				Checks []struct{ Clause struct{ Path string } }
			}
		} `json:"not_compliant"`
		NotApplicable []string `json:"not_applicable"`
	}
	if err := json.Unmarshal([]byte(b.objects[report]), &told); err != nil {
		t.Fatal(err)
	}
	if r := told[0]; r.Name != "A" || r.Status != "FAIL" || r.NotCompliant[0].Rule.Name != "THINGS_ARE_SMALL" ||
		r.NotCompliant[0].Rule.Checks[0].Clause.Path != "/Resources/A/Properties/Value" || !slices.Equal(r.NotApplicable, []string{"OTHERS"}) {
		t.Errorf("the report is %s", b.objects[report])
	}
	results, err := w.ListHookResults(w.ctx, &api.ListHookResultsInput{TargetType: "STACK", TargetId: "s", Status: "HOOK_COMPLETE_FAILED"})
	if err != nil || len(results.HookResults) != 1 || !strings.Contains(results.HookResults[0].HookStatusReason, "make it small") {
		t.Fatalf("ListHookResults = %+v, %v", results, err)
	}
	got, err := w.GetHookResult(w.ctx, &api.GetHookResultInput{HookResultId: results.HookResults[0].HookResultId})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]api.Annotation{{
		AnnotationName: "THINGS_ARE_SMALL", Status: "FAILED", RemediationMessage: "Violation: things must not be large Fix: make it small",
		StatusMessage: `%things.Properties.Value != /large/ at /Resources/A/Properties/Value: not == does not hold for "very large" (line 4, column 5)`,
	}}, got.Annotations); d != "" || got.OriginalTypeName != "AWS::Hooks::GuardHook" {
		t.Errorf("%s %s", got.OriginalTypeName, d)
	}
}

// What rules are evaluated over: they tell it by failing.
func TestGuardHooksSeeTheirTargets(t *testing.T) {
	b := newBuckets(`
rule CONTEXT { HookContext { AWSAccountID == '111111111111'
  HookTypeName == 'Private::Guard::Rules'
  StackId == /:stack\/s\// } }
rule CREATED when HookContext.InvocationPoint == 'CREATE_PRE_PROVISION' { Resources.A.Properties { Value == 'one'
  Size == 3 }
  Previous not exists
  HookContext.TargetType == 'RESOURCE'
  HookContext.TargetName == 'AWS::Test::Thing' }
rule UPDATED when HookContext.InvocationPoint == 'UPDATE_PRE_PROVISION' { Resources.A.Properties.Value == 'two'
  Previous.A.Properties.Value == 'one' }
rule DELETED when HookContext.InvocationPoint == 'DELETE_PRE_PROVISION' { Resources.A.Properties empty
  Resources.A.Type == 'AWS::Test::Thing' }
rule PARAMETERS { limits.most == 5
  names[*] in ['a', 'b'] }
`)
	b.put("rules/limits.json?v1", `{"limits":{"most":5}}`)
	b.put("rules/names.yaml", "names: [a, b]\n")
	w := newWorld(t, b.with)
	activateGuard(t, w.Service, w.ctx, onGuard("FAIL", `"RESOURCE"`, `"ruleLocation":{"uri":"s3://rules/all.guard"},
		"options":{"inputParams":[{"uri":"s3://rules/limits.json","versionId":"v1"},"s3://rules/names.yaml"]}`))
	body := "Resources: {A: {Type: 'AWS::Test::Thing', Properties: {Value: one, Size: 3}}}"
	id := w.create("s", body)
	w.settle(id, "CREATE_COMPLETE")
	w.updateTo("s", strings.Replace(body, "one", "two", 1))
	w.settle(id, "UPDATE_COMPLETE")
	w.drop("s")
	w.settle(id, "DELETE_COMPLETE")
	told := w.told(id)
	if len(told) != 6 {
		t.Errorf("%v", told)
	}
	for _, line := range told {
		if !strings.Contains(line, "HOOK_IN_PROGRESS") && !strings.Contains(line, "HOOK_COMPLETE_SUCCEEDED") {
			t.Error(line)
		}
	}
}

func TestGuardHooksOfStacks(t *testing.T) {
	b := newBuckets(`
rule TEMPLATE when HookContext.InvocationPoint != 'DELETE_PRE_PROVISION' { Resources.A.Properties.Value.Ref == 'P'
  Parameters.P.Default exists
  HookContext.TargetName == 's'
  HookContext.TargetType == 'STACK' }
rule BEFORE when HookContext.InvocationPoint == 'UPDATE_PRE_PROVISION' { Previous.Parameters.P.Default == 'one' }
rule AFTER when HookContext.InvocationPoint == 'DELETE_PRE_PROVISION' { Resources not exists }
AWS::Test::Thing Properties.Value exists
`)
	w := newWorld(t, b.with)
	activateGuard(t, w.Service, w.ctx, onGuard("FAIL", `"STACK"`, `"ruleLocation":"s3://rules/all.guard"`))
	body := "Parameters: {P: {Type: String, Default: one}}\nResources: {A: {Type: 'AWS::Test::Thing', Properties: {Value: !Ref P}}}"
	id := w.create("s", body)
	w.settle(id, "CREATE_COMPLETE")
	w.updateTo("s", strings.ReplaceAll(body, "one", "two"))
	w.settle(id, "UPDATE_COMPLETE")
	// The next update's Previous has two.
	w.updateTo("s", strings.ReplaceAll(body, "one", "three"))
	if st := w.settle(id, "UPDATE_ROLLBACK_COMPLETE"); st == nil {
		t.Fatal("no stack")
	}
	told := w.told(id)
	if !strings.Contains(told[len(told)-1], "the following rule(s) failed: BEFORE.") {
		t.Errorf("%v", told)
	}
	// A type block asks for Resources, which a deletion has none of.
	w.drop("s")
	w.settle(id, "DELETE_FAILED")
	told = w.told(id)
	if !strings.Contains(told[len(told)-1], "the following rule(s) failed: all.guard/default.") {
		t.Errorf("%v", told)
	}
}

func zipped(t testing.TB, files map[string]string) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		f, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(files[name])); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func tarred(t testing.TB, files map[string]string) string {
	t.Helper()
	var b bytes.Buffer
	g := gzip.NewWriter(&b)
	z := tar.NewWriter(g)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := z.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(files[name]))}); err != nil {
			t.Fatal(err)
		}
		if _, err := z.Write([]byte(files[name])); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestGuardRulesOfArchives(t *testing.T) {
	files := map[string]string{
		"README.md": "not rules", "x/a.guard": "rule A { Resources.A.Properties.Value == 'x' }", "x/b.guard": "Resources.A.Properties.Size exists",
	}
	many := map[string]string{}
	for i := range 201 {
		many[fmt.Sprintf("%d.guard", i)] = "x exists"
	}
	large := map[string]string{}
	for i := range 9 {
		large[fmt.Sprintf("%d.guard", i)] = strings.Repeat("#", 1<<20)
	}
	for _, c := range []struct{ key, body, want string }{
		{"all.zip", zipped(t, files), "HOOK_COMPLETE_FAILED WARN PRE_PROVISION Hook failed with message: Template failed validation, the following rule(s) failed: A, x/b.guard/default."},
		{"all.tar.gz", tarred(t, files), "the following rule(s) failed: A, x/b.guard/default."},
		{"none.zip", zipped(t, map[string]string{"a.txt": "x"}), "HOOK_FAILED WARN PRE_PROVISION Hook failed with message: none.zip has no file that ends in .guard (InvalidRules)"},
		{"many.zip", zipped(t, many), "HOOK_FAILED WARN PRE_PROVISION Hook failed with message: the archive has more than 200 files of rules"},
		{"large.zip", zipped(t, large), "the archive's files of rules have more than 8388608 bytes"},
		{"large.tar.gz", tarred(t, large), "the archive's files of rules have more than 8388608 bytes"},
		{"broken.zip", "PK no", "broken.zip is no archive that can be read"},
		{"broken.tar.gz", "no gzip", "broken.tar.gz is no archive that can be read"},
		{"bad.guard", "rule A {\n  Value ~ 1 }", "HOOK_FAILED WARN PRE_PROVISION Hook failed with message: bad.guard: line 2, column 9: expected a clause"},
		{"late.guard", "rule A { let j = json_parse(Resources.A.Type)\n %j exists }", "late.guard: line 1, column 18: json_parse: the text is no JSON document (InvalidRules)"},
		{"huge.guard", strings.Repeat("#", 5<<20), "s3://rules/huge.guard has more than 4194304 bytes"},
		{"gone.guard", "", "s3://rules/gone.guard cannot be read: The specified key does not exist. (NoSuchKey)"},
	} {
		t.Run(c.key, func(t *testing.T) {
			b := newBuckets("")
			if c.body != "" {
				b.put("rules/"+c.key, c.body)
			}
			w := newWorld(t, b.with)
			activateGuard(t, w.Service, w.ctx, onGuard("WARN", `"RESOURCE"`, `"ruleLocation":"s3://rules/`+c.key+`"`))
			w.create("s", "Resources: {A: {Type: 'AWS::Test::Thing', Properties: {Value: one}}}")
			w.settle("s", "CREATE_COMPLETE")
			if told := w.told("s"); len(told) != 2 || !strings.Contains(told[1], c.want) {
				t.Errorf("%v", told)
			}
		})
	}
}

func TestRefusedGuardHooks(t *testing.T) {
	b := newBuckets("x exists")
	b.put("rules/list.json", "[1]")
	b.put("rules/clash.json", `{"Resources":{}}`)
	w := newWorld(t, b.with)
	out, err := w.ActivateType(w.ctx, &api.ActivateTypeInput{Type: "HOOK", TypeName: "AWS::Hooks::GuardHook", ExecutionRoleArn: hookRole})
	if err != nil {
		t.Fatal(err)
	}
	for properties, want := range map[string]string{
		`"logBucket":"logs"`:                   "ruleLocation must name an object that ends in one of [.guard, .zip, .tar.gz]",
		`"ruleLocation":"rules/all.guard"`:     "an S3 URI must stand there",
		`"ruleLocation":"s3://rules/all.txt"`:  "ruleLocation must name an object that ends",
		`"ruleLocation":{"url":"s3://r/a.zip"`: "there is something",
		`"ruleLocation":"s3://r/a.guard","options":{"inputParams":["` + strings.Repeat(`s3://r/p","`, 10) + `s3://r/p"]}`: "more than 10 S3 URIs",
		`"ruleLocation":"s3://r/a.guard","options":{"inputParams":[7]}`:                                                   "an S3 URI must stand there",
		`"ruleLocation":"s3://r/a.guard","other":1`:                                                                       "other",
	} {
		_, err := w.SetTypeConfiguration(w.ctx, &api.SetTypeConfigurationInput{
			TypeArn: out.Arn, Configuration: `{"CloudFormationConfiguration":{"HookConfiguration":` + onGuard("FAIL", `"RESOURCE"`, properties) + `}}`,
		})
		if !fault.Is(err, fault.CFNRegistry) || want != "there is something" && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", properties, err, want)
		}
	}
	for properties, want := range map[string]string{
		`"options":{"inputParams":"s3://rules/list.json"}`:  "s3://rules/list.json is no map of JSON or YAML",
		`"options":{"inputParams":"s3://rules/clash.json"}`: "the parameter Resources of s3://rules/clash.json is there already",
		`"logBucket":"absent"`:                              "The specified bucket does not exist (NoSuchBucket)",
	} {
		configure(t, w.Service, w.ctx, out.Arn, onGuard("FAIL", `"RESOURCE"`, `"ruleLocation":"s3://rules/all.guard",`+properties))
		id := w.create("s", "Resources: {A: {Type: 'AWS::Test::Thing'}}")
		w.settle(id, "ROLLBACK_COMPLETE")
		if told := w.told(id); len(told) != 2 || !strings.Contains(told[1], "HOOK_FAILED") || !strings.Contains(told[1], want) {
			t.Errorf("%s: %v", properties, told)
		}
		w.drop("s")
		w.settle(id, "DELETE_COMPLETE")
	}
}
