package corpus

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/slipway/slipway/tests/server"
)

// replays are cases of AWS's recorded answers, whose stacks were made by change
// sets, and the templates behind them.
var replays = []struct {
	file, name, template string
	parameters           []string
	capabilities         []string // in the order of the request
}{
	{file: "engine/test_conditions", name: "test_nested_conditions[prod-bucket-policy]", template: "conditions/nested-conditions.yaml",
		parameters: []string{"EnvType", "prod", "BucketName", "corpus-replayed"}},
	{file: "engine/test_conditions", name: "test_nested_conditions[prod-nobucket-nopolicy]", template: "conditions/nested-conditions.yaml",
		parameters: []string{"EnvType", "prod"}},
	{file: "engine/test_conditions", name: "test_references_to_disabled_resources[yes]", template: "references_to_conditions.yml",
		parameters: []string{"Toggle", "yes", "ParameterValue", "replayed"}, capabilities: deployed},
	{file: "engine/test_conditions", name: "test_references_to_disabled_resources[no]", template: "references_to_conditions.yml",
		parameters: []string{"Toggle", "no", "ParameterValue", "replayed"}, capabilities: deployed},
}

var deployed = []string{"CAPABILITY_AUTO_EXPAND", "CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"}

// recordings are the calls whose answers the records hold.
var recordings = map[string]string{
	"describe_changeset_result": "DescribeChangeSet",
	"stack_events":              "DescribeStackEvents",
	"stack_resources":           "DescribeStackResources", "resources-description": "DescribeStackResources",
	"describe_stack_result": "DescribeStacks", "stack-description": "DescribeStacks",
}

// Answers have the members, statuses, reasons and order of AWS's own.
func TestRecorded(t *testing.T) {
	root := filepath.Join(server.Root(), "..", "shared", "corpus")
	if _, err := os.Stat(root); err != nil {
		t.Skip("AWS's recorded answers (../shared/corpus) are not here")
	}
	c := &client{endpoint: start(t), account: "111111111111", http: &http.Client{Timeout: time.Minute}}
	defer c.http.CloseIdleConnections()
	for i, r := range replays {
		t.Run(r.name, func(t *testing.T) {
			body, err := os.ReadFile(filepath.Join(root, "recorded-templates", r.template))
			if err != nil {
				t.Fatal(err)
			}
			content := recording(t, filepath.Join(root, "recorded", "cloudformation", r.file+".snapshot.json"), r.name)
			d := &deployment{T: t, client: c, stack: "replay-" + strconv.Itoa(i)}
			members := []string{"ChangeSetName", "replay", "ChangeSetType", "CREATE", "TemplateBody", string(body)}
			for i := 0; i+1 < len(r.parameters); i += 2 {
				at := "Parameters.member." + strconv.Itoa(i/2+1)
				members = append(members, at+".ParameterKey", r.parameters[i], at+".ParameterValue", r.parameters[i+1])
			}
			for i, capability := range r.capabilities {
				members = append(members, "Capabilities.member."+strconv.Itoa(i+1), capability)
			}
			answers := map[string]*node{"CreateChangeSet": d.must(d.call("CreateChangeSet", members...))}
			answers["DescribeChangeSet"] = d.await("DescribeChangeSet", "Status", "ChangeSetName", "replay")
			d.must(d.call("ExecuteChangeSet", "ChangeSetName", "replay"))
			answers["DescribeStacks"] = d.await("DescribeStacks", "Stacks/member/StackStatus")
			for _, action := range []string{"DescribeStackEvents", "DescribeStackResources"} {
				answers[action] = d.must(d.call(action))
			}
			m := matcher{bound: map[string]string{}}
			compared := 0
			for _, entry := range []string{"describe_changeset_result", "describe_stack_result", "stack-description", "stack_resources", "resources-description", "stack_events"} {
				if want, ok := content[entry]; ok {
					m.match(entry, want, answers[recordings[entry]])
					compared++
				}
			}
			if compared == 0 {
				t.Error("the record has none of the answers that are compared")
			}
			for _, wrong := range m.wrong {
				t.Error(wrong)
			}
			d.must(d.call("DeleteStack"))
		})
	}
}

// await repeats a call until the status at a path tells that nothing is under
// way, and returns the answer.
func (d *deployment) await(action, status string, members ...string) *node {
	d.Helper()
	deadline := time.After(2 * time.Minute)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		out := d.must(d.call(action, members...))
		s := out.text(status)
		if s != "CREATE_PENDING" && s != "REVIEW_IN_PROGRESS" && s != "CREATE_IN_PROGRESS" {
			return out
		}
		select {
		case <-tick.C:
		case <-deadline:
			d.Fatalf("%s stays %s", action, s)
		}
	}
}

func recording(t *testing.T, file, name string) map[string]any {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]struct {
		Content map[string]any `json:"recorded-content"`
	}
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	for key, c := range all {
		if strings.HasSuffix(key, "::"+name) {
			return c.Content
		}
	}
	t.Fatalf("%s has no %s", file, name)
	return nil
}

// matcher holds answers against recorded ones. A placeholder of the record, such
// as <resource:1>, stands for one and the same text wherever it is.
type matcher struct {
	bound map[string]string
	wrong []string
}

func (m *matcher) fail(path, format string, args ...any) {
	m.wrong = append(m.wrong, path+": "+fmt.Sprintf(format, args...))
}

// match compares a recorded value with an element of an answer, nil if it is
// not there.
func (m *matcher) match(path string, want any, got *node) {
	switch want := want.(type) {
	case map[string]any:
		if got != nil && len(got.Nodes) == 0 && strings.HasPrefix(strings.TrimSpace(got.Text), "{") {
			m.document(path, want, got.Text)
			return
		}
		m.members(path, want, got)
	case []any:
		var items []*node
		if got != nil {
			items = got.all("member")
		}
		if len(items) != len(want) {
			m.fail(path, "AWS has %d items, the answer %d", len(want), len(items))
			return
		}
		// No order of parameters is promised; the record has them by name.
		slices.SortStableFunc(items, func(a, b *node) int {
			return strings.Compare(a.text("ParameterKey"), b.text("ParameterKey"))
		})
		for i := range want {
			m.match(path+"/"+strconv.Itoa(i), want[i], items[i])
		}
	default:
		text := ""
		if got != nil {
			text = strings.TrimSpace(got.Text)
		}
		m.text(path, fmt.Sprint(want), text)
	}
}

func (m *matcher) members(path string, want map[string]any, got *node) {
	delete(want, "ResponseMetadata")
	for _, name := range sorted(want) {
		var child *node
		if got != nil {
			if found := got.all(name); len(found) == 1 {
				child = found[0]
			}
		}
		if empty, ok := want[name].([]any); child == nil && (!ok || len(empty) > 0) {
			m.fail(path+"/"+name, "AWS has it, the answer has not")
			continue
		}
		m.match(path+"/"+name, want[name], child)
	}
	if got == nil {
		return
	}
	for _, n := range got.Nodes {
		// OperationId is younger than the records.
		if _, ok := want[n.XMLName.Local]; !ok && n.XMLName.Local != "OperationId" {
			m.fail(path+"/"+n.XMLName.Local, "the answer has it, AWS has not")
		}
	}
}

// document compares a JSON text in an answer, which the records have parsed.
func (m *matcher) document(path string, want any, text string) {
	var got any
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		m.fail(path, "%v", err)
		return
	}
	a, _ := json.Marshal(want)
	b, _ := json.Marshal(got)
	m.text(path, strings.NewReplacer(`\u003c`, "<", `\u003e`, ">").Replace(string(a)), string(b))
}

var placeholder = regexp.MustCompile(`<[a-z-]+(:\d+)?>|\bdatetime\b|\btimestamp\b|-date$`)

// text compares a text with one that has placeholders.
func (m *matcher) text(path, want, got string) {
	var pattern strings.Builder
	var names []string
	rest := want
	for at := placeholder.FindStringIndex(rest); at != nil; at = placeholder.FindStringIndex(rest) {
		pattern.WriteString(regexp.QuoteMeta(rest[:at[0]]) + "(.+?)")
		names = append(names, rest[at[0]:at[1]])
		rest = rest[at[1]:]
	}
	pattern.WriteString(regexp.QuoteMeta(rest))
	found := regexp.MustCompile("^(?s:" + pattern.String() + ")$").FindStringSubmatch(got)
	if found == nil {
		m.fail(path, "AWS has %q, the answer %q", want, got)
		return
	}
	for i, name := range names {
		if !strings.HasPrefix(name, "<") {
			continue // a time
		}
		if old, ok := m.bound[name]; ok && old != found[i+1] {
			m.fail(path, "%s is %q here, and %q before", name, found[i+1], old)
		}
		m.bound[name] = found[i+1]
	}
}

func sorted(members map[string]any) []string {
	var names []string
	for name := range members {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
