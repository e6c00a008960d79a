package crash

import (
	"context"
	"fmt"
	"strings"
)

// prepare makes, before the server is killed, what an import takes: a queue that no
// stack has, and the change set. That of an import that is to fail names a
// parameter, too, which is gone by then.
func (s *slot) prepare(ctx context.Context, c *client) error {
	fails := s.op.kind == importFails
	if !fails && s.op.kind != imports {
		return nil
	}
	name := fmt.Sprintf("%s-taken-%d", s.name, s.op.version)
	var out struct{ QueueUrl string }
	if err := c.json(ctx, "sqs", "CreateQueue", map[string]any{"QueueName": name}, &out); err != nil {
		return err
	}
	s.taken = out.QueueUrl
	more := "  Taken: { Type: AWS::SQS::Queue, DeletionPolicy: Delete }\n"
	params := []string{
		"StackName", s.name, "ChangeSetName", name, "ChangeSetType", "IMPORT", "Capabilities.member.1", "CAPABILITY_IAM",
		"Parameters.member.1.ParameterKey", "Version", "Parameters.member.1.UsePreviousValue", "true",
		"Parameters.member.2.ParameterKey", "Zone", "Parameters.member.2.UsePreviousValue", "true",
	}
	params = append(params, target(1, "Taken", "AWS::SQS::Queue", "QueueUrl", s.taken)...)
	parameter := "/crash/" + name
	if fails {
		more += "  Gone: { Type: AWS::SSM::Parameter, DeletionPolicy: Retain, DependsOn: Taken, Properties: { Type: String, Value: x } }\n"
		params = append(params, target(2, "Gone", "AWS::SSM::Parameter", "Name", parameter)...)
		if err := c.json(ctx, "ssm", "PutParameter", map[string]any{"Name": parameter, "Type": "String", "Value": "x"}, new(struct{})); err != nil {
			return err
		}
	}
	params = append(params, "TemplateBody", strings.Replace(template(false), "\nOutputs:\n", "\n"+more+"Outputs:\n", 1))
	if _, err := c.query(ctx, "cloudformation", "CreateChangeSet", params...); err != nil {
		return err
	}
	s.op.changeSet = name
	if fails {
		return c.json(ctx, "ssm", "DeleteParameter", map[string]any{"Name": parameter}, new(struct{}))
	}
	return nil
}

// target is one of ResourcesToImport.
func target(n int, logicalID, kind, key, value string) []string {
	at := fmt.Sprintf("ResourcesToImport.member.%d.", n)
	return []string{
		at + "LogicalResourceId", logicalID, at + "ResourceType", kind,
		at + "ResourceIdentifier.entry.1.key", key, at + "ResourceIdentifier.entry.1.value", value,
	}
}

// giveUp removes the queue that an import was to take and did not: whatever came of
// the import, it must be there still.
func (s *slot) giveUp(ctx context.Context, c *client) error {
	queue := s.taken
	if s.taken = ""; queue == "" || s.at.status == importDone {
		return nil
	}
	return c.json(ctx, "sqs", "DeleteQueue", map[string]any{"QueueUrl": queue}, new(struct{}))
}
