package crash

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

const changedStack = "crash-changes"

const changedTemplate = `
Parameters: { Version: { Type: Number } }
Resources:
  Parameter:
    Type: AWS::SSM::Parameter
    Properties: { Name: /crash/changes, Type: String, Value: !Ref Version }
  Queue:
    Type: AWS::SQS::Queue
    DependsOn: Parameter
    Properties: { QueueName: !Sub 'crash-changes-${Version}' }
Outputs:
  Version: { Value: !Ref Version }
`

// changes is use of change sets: one that was made is executed once, however often
// and however late that is asked for.
type changes struct {
	version string // of the stack
	n       int
	name    string          // of the round's change set, "" before one was asked for
	made    bool            // acknowledged
	execute int             // acknowledged executions of it
	begun   map[string]bool // events of updates that have begun
}

func newChanges(ctx context.Context, c *client) (*changes, error) {
	return &changes{version: "0", begun: map[string]bool{}}, createStack(ctx, c, changedStack, changedTemplate,
		"Parameters.member.1.ParameterKey", "Version", "Parameters.member.1.ParameterValue", "0")
}

// createStack makes a stack that stays for the whole run.
func createStack(ctx context.Context, c *client, name, template string, more ...string) error {
	if _, err := c.query(ctx, "cloudformation", "CreateStack", append(more, "StackName", name, "TemplateBody", template)...); err != nil {
		return err
	}
	at, reason, err := (&slot{name: name}).settle(ctx, c)
	if err == nil && at.status != createDone {
		err = fmt.Errorf("%s is %s: %s", name, at, reason)
	}
	return err
}

func (*changes) owned(inventory) {}

func (*changes) stacks() []string { return []string{changedStack} }

func (s *changes) flow(ctx context.Context, c *client) error {
	s.n++
	s.name, s.made, s.execute = "change-"+strconv.Itoa(s.n), false, 0
	return repeat(ctx, c, 1, s.create, s.executeAll)
}

// create makes the change set and waits until it can be executed.
func (s *changes) create(ctx context.Context, c *client) error {
	_, err := c.query(ctx, "cloudformation", "CreateChangeSet", "StackName", changedStack, "ChangeSetName", s.name, "UsePreviousTemplate", "true",
		"Parameters.member.1.ParameterKey", "Version", "Parameters.member.1.ParameterValue", strconv.Itoa(s.n))
	if err != nil {
		return err
	}
	s.made = true
	_, err = s.status(ctx, c)
	return err
}

// status is what the change set is at in the end: its own status and that of its
// execution.
func (s *changes) status(ctx context.Context, c *client) (status string, err error) {
	err = poll(ctx, c, func() (bool, error) {
		out, err := c.query(ctx, "cloudformation", "DescribeChangeSet", "StackName", changedStack, "ChangeSetName", s.name)
		if err != nil {
			return false, err
		}
		status = out.text("Status") + " " + out.text("ExecutionStatus")
		return !strings.Contains(status, "CREATE_PENDING") && !strings.Contains(status, "_IN_PROGRESS"), nil
	})
	return status, err
}

// executeAll asks for the execution by several callers at once.
func (s *changes) executeAll(ctx context.Context, c *client) error {
	const callers = 3
	var calls sync.WaitGroup
	errs := make([]error, callers)
	for i := range callers {
		calls.Go(func() {
			_, errs[i] = c.query(ctx, "cloudformation", "ExecuteChangeSet", "StackName", changedStack, "ChangeSetName", s.name)
		})
	}
	calls.Wait()
	var gone error
	for _, err := range errs {
		switch {
		case err == nil:
			s.execute++
		case failed(err):
			return err
		case !refused(err):
			gone = err
		}
	}
	return gone
}

// check waits for the end of the execution, asks for it again, which is refused, and
// counts the operations that the change set has led to.
func (s *changes) check(ctx context.Context, c *client) (wrong []string, err error) {
	if s.name == "" {
		return nil, nil
	}
	name := s.name
	status, err := s.status(ctx, c)
	if refused(err, "ChangeSetNotFound") && !s.made {
		s.name = ""
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("change set %s (acknowledged: %v): %w", name, s.made, err)
	}
	want := 0
	switch {
	case status == "CREATE_COMPLETE EXECUTE_COMPLETE":
		s.version, want = strconv.Itoa(s.n), 1
		if again := s.executeAll(ctx, c); again != nil {
			return nil, again
		}
	case status != "CREATE_COMPLETE AVAILABLE" || s.execute > 0:
		wrong = append(wrong, fmt.Sprintf("change set %s, whose execution was acknowledged %d times, is %s", name, s.execute, status))
	}
	if s.execute > 1 {
		wrong = append(wrong, fmt.Sprintf("the execution of change set %s was acknowledged %d times", name, s.execute))
	}
	s.name = ""
	at, reason, err := (&slot{name: changedStack}).settle(ctx, c)
	if err != nil {
		return nil, err
	}
	if strconv.Itoa(at.version) != s.version || at.status != updateDone && at.status != createDone {
		wrong = append(wrong, fmt.Sprintf("after change set %s the stack is %s, want version %s: %s", name, at, s.version, reason))
	}
	began, err := s.operations(ctx, c)
	if err == nil && began != want {
		wrong = append(wrong, fmt.Sprintf("change set %s has led to %d operations, want %d", name, began, want))
	}
	return wrong, err
}

// operations counts the updates of the stack that have begun since it was asked last.
func (s *changes) operations(ctx context.Context, c *client) (n int, err error) {
	out, err := c.query(ctx, "cloudformation", "DescribeStackEvents", "StackName", changedStack)
	if err != nil {
		return 0, err
	}
	for _, e := range out.all("StackEvents/member") {
		id := e.text("EventId")
		if e.text("LogicalResourceId") == changedStack && e.text("ResourceStatus") == "UPDATE_IN_PROGRESS" && !s.begun[id] {
			s.begun[id] = true
			n++
		}
	}
	return n, nil
}
