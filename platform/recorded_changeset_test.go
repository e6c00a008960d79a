package platform

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	cloudformation "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/tests/corpus/replay"
)

// captured is a case in which a stack is made by a change set and updated by
// another.
type captured struct {
	Before, After map[string]any
	Parameters    [2]map[string]string
	Capabilities  []string
	Put           [2]map[string]string // values of parameters that stand before each change set
	Bind          map[string]string
	Leave, Except map[string]string // entries and paths, with the reasons
}

// changeSets plays the cases that hold what change sets say, what their execution
// makes of the stack, and each resource's events.
func (w *recordedWorld) changeSets(t *testing.T) {
	text, err := os.ReadFile("testdata/changesets.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var files map[string]map[string]captured
	if err := yaml.Unmarshal(text, &files); err != nil {
		t.Fatal(err)
	}
	for _, file := range slices.Sorted(maps.Keys(files)) {
		for _, name := range slices.Sorted(maps.Keys(files[file])) {
			t.Run(name, func(t *testing.T) { w.capture(w.open(t, file, name), files[file][name]) })
		}
	}
}

// physicalID is what CloudFormation names a resource itself.
var physicalID = regexp.MustCompile(`(CFN|<stack-name:1>)-[A-Za-z0-9]+-[A-Za-z0-9]{12}\b`)

// randomID is a random part of an event's id, as in Topic1-<UUID>.
var randomID = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

// capture plays one case, entry by entry.
func (w *recordedWorld) capture(c *replay.Case, of captured) {
	c.Helper()
	stack := "replay-" + strings.NewReplacer("test_", "", "_", "-", "[", "-", "]", "").Replace(c.Name()[strings.LastIndex(c.Name(), "/")+1:])
	c.Bind("<stack-name:1>", stack)
	c.Blank(physicalID)
	c.Blank(randomID)
	for placeholder, text := range of.Bind {
		c.Bind(placeholder, text)
	}
	for path, why := range of.Except {
		c.Except(path, why)
	}
	for entry, why := range of.Leave {
		c.Leave(entry, why)
	}
	id := ""
	for i, template := range []map[string]any{of.Before, of.After} {
		n := string(rune('1' + i))
		for name, value := range of.Put[i] {
			w.put(c, name, value)
		}
		kind := "CREATE"
		if i == 1 {
			kind = "UPDATE"
		}
		body, err := json.Marshal(template)
		if err != nil {
			c.Fatal(err)
		}
		in := &cloudformation.CreateChangeSetInput{StackName: stack, ChangeSetName: "replay", ChangeSetType: kind, TemplateBody: string(body), Capabilities: of.Capabilities}
		for _, key := range slices.Sorted(maps.Keys(of.Parameters[i])) {
			in.Parameters = append(in.Parameters, cloudformation.Parameter{ParameterKey: key, ParameterValue: of.Parameters[i][key]})
		}
		made := replay.As[cloudformation.CreateChangeSetOutput](c.Call("create-change-set-"+n, w.ctx, in))
		if id = made.StackId; id == "" {
			c.FailNow()
		}
		w.until(c, "the change set", func() string {
			return replay.As[cloudformation.DescribeChangeSetOutput](c.Call("", w.ctx, &cloudformation.DescribeChangeSetInput{ChangeSetName: made.Id})).Status
		})
		yes := true
		olderAdditions(c.Entry("describe-change-set-" + n + "-prop-values"))
		c.Call("describe-change-set-"+n+"-prop-values", w.ctx, &cloudformation.DescribeChangeSetInput{ChangeSetName: made.Id, IncludePropertyValues: &yes})
		c.Call("describe-change-set-"+n, w.ctx, &cloudformation.DescribeChangeSetInput{ChangeSetName: made.Id})
		c.Call("execute-change-set-"+n, w.ctx, &cloudformation.ExecuteChangeSetInput{ChangeSetName: made.Id})
		w.settled(c, id)
		w.holdStack(c, "post-create-"+n+"-describe", id)
	}
	events := w.events(c, id)
	c.Call("", w.ctx, &cloudformation.DeleteStackInput{StackName: id})
	w.settled(c, id)
	w.holdStack(c, "delete-describe", id)
	switch entry := c.Entry("per-resource-events"); {
	case !brief(entry):
	case strings.Contains(fmt.Sprint(entry), "DELETE_IN_PROGRESS"):
		events = briefly(stack, w.events(c, id), false)
	default:
		events = briefly(stack, events, true)
	}
	c.Hold("per-resource-events", events)
}

// olderAdditions takes off the additions of a recorded change set what AWS told of
// them until May 2025: that those with a property that cannot be changed are
// replacements.
func olderAdditions(entry any) {
	changes, _ := entry.(map[string]any)["Changes"].([]any)
	for _, c := range changes {
		if change := c.(map[string]any)["ResourceChange"].(map[string]any); change["Action"] == "Add" {
			delete(change, "Replacement")
		}
	}
}

// holdStack holds a stack against an entry, which may be older than the stack's
// member LastOperations.
func (w *recordedWorld) holdStack(c *replay.Case, entry, id string) {
	c.Helper()
	stack := w.stack(c, id)
	if _, ok := c.Entry(entry).(map[string]any)["LastOperations"]; ok {
		out := replay.Tree(cloudformation.Describe(), "DescribeStacks", w.describe(c, id))
		stack = out["Stacks"].([]any)[0].(map[string]any)
	}
	c.Hold(entry, stack)
}

func (w *recordedWorld) until(c *replay.Case, what string, status func() string) {
	c.Helper()
	deadline := time.After(time.Minute)
	for s := status(); strings.HasSuffix(s, "_PENDING") || strings.HasSuffix(s, "_IN_PROGRESS"); s = status() {
		select {
		case <-time.After(5 * time.Millisecond):
		case <-deadline:
			c.Fatalf("%s stays %s", what, s)
		}
	}
}

// settled waits until a stack's operation is over.
func (w *recordedWorld) settled(c *replay.Case, id string) {
	c.Helper()
	w.until(c, "the stack", func() string { return w.describe(c, id).Stacks[0].StackStatus })
}

func (w *recordedWorld) describe(c *replay.Case, id string) *cloudformation.DescribeStacksOutput {
	c.Helper()
	out := replay.As[cloudformation.DescribeStacksOutput](c.Call("", w.ctx, &cloudformation.DescribeStacksInput{StackName: id}))
	if len(out.Stacks) != 1 {
		c.Fatalf("%d stacks are %s", len(out.Stacks), id)
	}
	return out
}

// stack is a stack as the records have it: without what is younger than they are.
func (w *recordedWorld) stack(c *replay.Case, id string) map[string]any {
	c.Helper()
	out := replay.Tree(cloudformation.Describe(), "DescribeStacks", w.describe(c, id))
	stack := out["Stacks"].([]any)[0].(map[string]any)
	delete(stack, "LastOperations")
	return stack
}

var eventTime = regexp.MustCompile(`^(\w+-[A-Z_]+-).*`)

// events are a stack's events by resource, the youngest first.
func (w *recordedWorld) events(c *replay.Case, id string) map[string]any {
	c.Helper()
	out := replay.Tree(cloudformation.Describe(), "DescribeStackEvents",
		replay.As[cloudformation.DescribeStackEventsOutput](c.Call("", w.ctx, &cloudformation.DescribeStackEventsInput{StackName: id})))
	byResource := map[string]any{}
	for _, e := range out["StackEvents"].([]any) {
		event := e.(map[string]any)
		delete(event, "OperationId") // younger than the records
		event["EventId"] = eventTime.ReplaceAllString(event["EventId"].(string), "${1}date")
		name := event["LogicalResourceId"].(string)
		of, _ := byResource[name].([]any)
		byResource[name] = append(of, event)
	}
	return byResource
}

// brief tells the younger records, whose events have some members only.
func brief(entry any) bool {
	for _, events := range entry.(map[string]any) {
		_, whole := events.([]any)[0].(map[string]any)["EventId"]
		return !whole
	}
	return false
}

// briefly are events as the younger records have them: the eldest first, and of
// several with one status the last, or the first where first says so.
func briefly(stack string, events map[string]any, first bool) map[string]any {
	out := map[string]any{}
	for name, of := range events {
		var list []any
		for _, e := range slices.Backward(of.([]any)) {
			event := e.(map[string]any)
			short := map[string]any{}
			for _, member := range []string{"LogicalResourceId", "PhysicalResourceId", "ResourceStatus", "ResourceType", "Timestamp"} {
				short[member] = event[member]
			}
			switch n := len(list) - 1; {
			case event["ResourceStatus"] == "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS":
			case n < 0 || list[n].(map[string]any)["ResourceStatus"] != event["ResourceStatus"]:
				list = append(list, short)
			case !first:
				list[n] = short
			}
		}
		if name == stack {
			name = "Stack"
		}
		out[name] = list
	}
	return out
}
