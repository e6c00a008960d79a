package crash

import (
	"context"
	"fmt"
	"strings"
)

// The stacks between which a refactoring moves resources. Each has one that stays.
const (
	firstHome  = "crash-home-a"
	secondHome = "crash-home-b"
)

// refactoring is use of stack refactorings: a queue and its parameter move between
// two stacks. They are in one of them, whose template and tags say so, and nothing of
// them is made anew.
type refactoring struct {
	home   string // the stack that has them
	queue  string // physical id
	id     string // of the round's refactoring, "" before it was acknowledged
	asked  bool   // its execution
	acked  bool   // its execution was acknowledged
	active bool   // there was a round
}

func newRefactoring(ctx context.Context, c *client) (*refactoring, error) {
	for _, name := range []string{firstHome, secondHome} {
		if err := createStack(ctx, c, name, homeTemplate(name, firstHome)); err != nil {
			return nil, err
		}
	}
	r := &refactoring{home: firstHome}
	wrong, err := r.places(ctx, c)
	if err == nil && len(wrong) > 0 {
		err = fmt.Errorf("%v", wrong)
	}
	return r, err
}

// homeTemplate is that of a stack where the things are in the home.
func homeTemplate(stack, home string) string {
	t := "Resources:\n  Stays: { Type: AWS::SSM::Parameter, Properties: { Name: /crash/" + stack + ", Type: String, Value: x } }\n"
	if stack == home {
		t += "  Moved: { Type: AWS::SQS::Queue }\n" +
			"  Note: { Type: AWS::SSM::Parameter, Properties: { Name: /crash/moved, Type: String, Value: !GetAtt Moved.QueueName } }\n"
	}
	return t
}

func (*refactoring) owned(inventory) {}

func (*refactoring) stacks() []string { return []string{firstHome, secondHome} }

// other is where the things go.
func (r *refactoring) other() string {
	if r.home == firstHome {
		return secondHome
	}
	return firstHome
}

func (r *refactoring) flow(ctx context.Context, c *client) error {
	r.id, r.asked, r.acked, r.active = "", false, false, true
	return repeat(ctx, c, 1, r.create, r.execute)
}

func (r *refactoring) create(ctx context.Context, c *client) error {
	var params []string
	for i, name := range []string{firstHome, secondHome} {
		at := fmt.Sprintf("StackDefinitions.member.%d.", i+1)
		params = append(params, at+"StackName", name, at+"TemplateBody", homeTemplate(name, r.other()))
	}
	out, err := c.query(ctx, "cloudformation", "CreateStackRefactor", params...)
	if err != nil {
		return err
	}
	r.id = out.text("StackRefactorId")
	_, err = r.status(ctx, c)
	return err
}

func (r *refactoring) execute(ctx context.Context, c *client) error {
	r.asked = true
	_, err := c.query(ctx, "cloudformation", "ExecuteStackRefactor", "StackRefactorId", r.id)
	r.acked = err == nil
	return err
}

// status waits until nothing of the refactoring is under way.
func (r *refactoring) status(ctx context.Context, c *client) (status string, err error) {
	err = poll(ctx, c, func() (bool, error) {
		out, err := c.query(ctx, "cloudformation", "DescribeStackRefactor", "StackRefactorId", r.id)
		if err != nil {
			return false, err
		}
		status = out.text("Status") + " " + out.text("ExecutionStatus") + " " + out.text("StatusReason") + out.text("ExecutionStatusReason")
		return !strings.Contains(status, "_IN_PROGRESS"), nil
	})
	return strings.TrimSpace(status), err
}

func (r *refactoring) check(ctx context.Context, c *client) (wrong []string, err error) {
	if !r.active {
		return nil, nil
	}
	r.active = false
	if r.id != "" {
		status, err := r.status(ctx, c)
		if err != nil {
			return nil, fmt.Errorf("refactoring %s: %w", r.id, err)
		}
		switch {
		case r.asked && status == "CREATE_COMPLETE EXECUTE_COMPLETE":
			r.home = r.other()
		case r.acked || status != "CREATE_COMPLETE AVAILABLE":
			wrong = append(wrong, fmt.Sprintf("refactoring %s (execution acknowledged: %v) is %s", r.id, r.acked, status))
		}
	}
	misplaced, err := r.places(ctx, c)
	return append(wrong, misplaced...), err
}

// places holds what the stacks say against where the things are to be.
func (r *refactoring) places(ctx context.Context, c *client) (wrong []string, err error) {
	for _, name := range []string{firstHome, secondHome} {
		out, err := c.query(ctx, "cloudformation", "ListStackResources", "StackName", name)
		if err != nil {
			return nil, err
		}
		var ids []string
		for _, m := range out.all("StackResourceSummaries/member") {
			ids = append(ids, m.text("LogicalResourceId"))
			if m.text("LogicalResourceId") == "Moved" && r.queue == "" {
				r.queue = m.text("PhysicalResourceId")
			} else if m.text("LogicalResourceId") == "Moved" && m.text("PhysicalResourceId") != r.queue {
				wrong = append(wrong, fmt.Sprintf("the queue was %s and is %s", r.queue, m.text("PhysicalResourceId")))
			}
		}
		want := 1
		if name == r.home {
			want = 3
		}
		if len(ids) != want {
			wrong = append(wrong, fmt.Sprintf("%s has resources %v, and the queue's home is %s", name, ids, r.home))
		}
		if out, err = c.query(ctx, "cloudformation", "GetTemplate", "StackName", name); err != nil {
			return nil, err
		}
		if got := strings.TrimSpace(out.text("TemplateBody")); got != strings.TrimSpace(homeTemplate(name, r.home)) {
			wrong = append(wrong, fmt.Sprintf("%s has the template\n%s\nand the queue's home is %s", name, got, r.home))
		}
	}
	var tags struct{ Tags map[string]string }
	if err := c.json(ctx, "sqs", "ListQueueTags", map[string]string{"QueueUrl": r.queue}, &tags); err != nil {
		return nil, err
	}
	if got := tags.Tags["aws:cloudformation:stack-name"]; got != r.home {
		wrong = append(wrong, fmt.Sprintf("the queue's tags say that it is of %q, and it is of %s", got, r.home))
	}
	return wrong, nil
}
