package crash

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// template makes one of everything that the harness looks for. Another version
// changes the parameter in place and replaces the queue and the instance; a
// stack that is to fail has a policy that its bucket refuses, last of all.
func template(fails bool) string {
	t := `
Parameters:
  Version: { Type: Number }
  Zone: { Type: String }
  Image:
    Type: AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>
    Default: /aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64
Resources:
  Queue:
    Type: AWS::SQS::Queue
    Properties: { QueueName: !Sub '${AWS::StackName}-jobs-${Version}', VisibilityTimeout: !Ref Version }
  Parameter:
    Type: AWS::SSM::Parameter
    Properties: { Name: !Sub '/crash/${AWS::StackName}', Type: String, Value: !Ref Version }
  Bucket:
    Type: AWS::S3::Bucket
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Version: '2012-10-17'
        Statement: [{ Effect: Allow, Principal: { Service: ec2.amazonaws.com }, Action: 'sts:AssumeRole' }]
  Profile:
    Type: AWS::IAM::InstanceProfile
    Properties: { Roles: [!Ref Role] }
  Group:
    Type: AWS::EC2::SecurityGroup
    Properties: { GroupDescription: of the crash harness }
  Instance:
    Type: AWS::EC2::Instance
    Properties:
      ImageId: !Ref Image
      InstanceType: t3.nano
      AvailabilityZone: !Sub '${AWS::Region}${Zone}'
      IamInstanceProfile: !Ref Profile
      SecurityGroupIds: [!GetAtt Group.GroupId]
  Address:
    Type: AWS::EC2::EIP
    Properties: { InstanceId: !Ref Instance }
  Tier:
    Type: AWS::CloudFormation::Stack
    Properties:
      TemplateURL: https://` + treeBucket + `.s3.amazonaws.com/nested.yaml
      Parameters: { Version: !Ref Version }
`
	if fails {
		t += `
  Broken:
    Type: AWS::S3::BucketPolicy
    DependsOn: [Address, Queue, Parameter, Tier]
    Properties:
      Bucket: !Ref Bucket
      PolicyDocument:
        Version: '2012-10-17'
        Statement: [{ Effect: Deny, Principal: '*', Action: 's3:*', Resource: 'arn:aws:s3:::not-this-bucket' }]
`
	}
	return t + `
Outputs:
  Version: { Value: !Ref Version }
  QueueUrl: { Value: !Ref Queue }
`
}

// The kinds of operations on a stack.
const (
	create       = "create"
	createFails  = "create that fails"
	update       = "update"
	updateFails  = "update that fails"
	imports      = "import"
	importFails  = "import that fails"
	deletion     = "delete"
	absent       = "" // status of a stack that is not there
	createDone   = "CREATE_COMPLETE"
	createUndone = "ROLLBACK_COMPLETE"
	updateDone   = "UPDATE_COMPLETE"
	updateUndone = "UPDATE_ROLLBACK_COMPLETE"
	importDone   = "IMPORT_COMPLETE"
	importUndone = "IMPORT_ROLLBACK_COMPLETE"
)

// ends is where each kind leads if it began.
var ends = map[string]string{
	create: createDone, createFails: createUndone, update: updateDone, updateFails: updateUndone, deletion: absent,
	imports: importDone, importFails: importUndone,
}

// operation is one call that changes a stack, and whether it was acknowledged.
type operation struct {
	kind    string
	version int // that the stack has if it succeeds
	acked   bool
	// changeSet is what an import executes.
	changeSet string
}

// outcome is where a stack is when nothing is under way with it.
type outcome struct {
	status  string
	version int // 0 where the stack tells none
}

func (o outcome) String() string {
	if o.status == absent {
		return "no stack"
	}
	return fmt.Sprintf("%s with version %d", o.status, o.version)
}

// slot is a stack name, and what the harness knows of the stack that has it.
type slot struct {
	name   string
	at     outcome // at the end of the last round
	latest int     // version that was asked for last
	op     *operation
	taken  string // URL of the queue that the operation imports
	holds  bool   // the stack has what an import took: it goes with the next update that succeeds
	// template is the stack's; nil: template, into which imports go, too.
	template func(fails bool) string
	hooked   bool   // the hook is asked of its resources
	refusal  string // what operations that fail tell, at least
}

// choose picks what to do with the stack.
func (s *slot) choose(pick func(n int) int) {
	s.latest++
	s.op = &operation{kind: deletion, version: s.latest}
	switch {
	case s.at.status == absent:
		s.op.kind = []string{create, create, create, createFails}[pick(4)]
	case s.at.status == createUndone: // can only be deleted
	case s.holds || s.template != nil:
		s.op.kind = []string{update, update, updateFails, deletion, deletion}[pick(5)]
	default:
		s.op.kind = []string{update, update, updateFails, imports, importFails, deletion, deletion}[pick(7)]
	}
}

// leadsTo is the outcome of the operation if it began.
func (s *slot) leadsTo() outcome {
	switch s.op.kind {
	case create, update:
		return outcome{ends[s.op.kind], s.op.version}
	case updateFails, imports, importFails:
		return outcome{ends[s.op.kind], s.at.version}
	}
	return outcome{ends[s.op.kind], 0}
}

func zone(version int) string { return string(rune('a' + version%3)) }

// issue asks for the operation. A refusal is an error of the server: the harness
// asks for nothing that is wrong.
func (s *slot) issue(ctx context.Context, c *client) error {
	op := s.op
	params := []string{"StackName", s.name}
	action := "DeleteStack"
	switch op.kind {
	case deletion:
	case imports, importFails:
		action, params = "ExecuteChangeSet", append(params, "ChangeSetName", op.changeSet)
	default:
		action = "CreateStack"
		if op.kind == update || op.kind == updateFails {
			action = "UpdateStack"
		}
		body := template
		if s.template != nil {
			body = s.template
		}
		params = append(params,
			"TemplateBody", body(op.kind == createFails || op.kind == updateFails),
			"Capabilities.member.1", "CAPABILITY_IAM", "Capabilities.member.2", "CAPABILITY_AUTO_EXPAND",
			"Parameters.member.1.ParameterKey", "Version", "Parameters.member.1.ParameterValue", strconv.Itoa(op.version),
			"Parameters.member.2.ParameterKey", "Zone", "Parameters.member.2.ParameterValue", zone(op.version))
	}
	_, err := c.query(ctx, "cloudformation", action, params...)
	switch {
	case err == nil:
		op.acked = true
	case refused(err) || failed(err):
		return fmt.Errorf("%s of %s: %w", op.kind, s.name, err)
	}
	return nil // without an answer it may have begun or not
}

// look describes the stack as it is, and why it is so.
func (s *slot) look(ctx context.Context, c *client) (at outcome, reason string, err error) {
	out, err := c.query(ctx, "cloudformation", "DescribeStacks", "StackName", s.name)
	if refused(err, "ValidationError") {
		return outcome{}, "", nil
	}
	if err != nil {
		return outcome{}, "", err
	}
	st := out.all("Stacks/member")
	if len(st) != 1 {
		return outcome{}, "", fmt.Errorf("DescribeStacks tells of %d stacks named %s", len(st), s.name)
	}
	at.status = st[0].text("StackStatus")
	for _, o := range st[0].all("Outputs/member") {
		if o.text("OutputKey") == "Version" {
			at.version, _ = strconv.Atoi(o.text("OutputValue")) // 0 shows as a wrong version
		}
	}
	reason = st[0].text("StackStatusReason")
	if strings.Contains(at.status, "ROLLBACK") || strings.Contains(at.status, "FAILED") {
		reason += s.failures(ctx, c)
	}
	return at, reason, nil
}

// failures are the reasons that the stack's events give.
func (s *slot) failures(ctx context.Context, c *client) (reasons string) {
	out, err := c.query(ctx, "cloudformation", "DescribeStackEvents", "StackName", s.name)
	if err != nil {
		return fmt.Sprintf(" (its events: %v)", err)
	}
	for _, e := range out.all("StackEvents/member") {
		if strings.HasSuffix(e.text("ResourceStatus"), "_FAILED") {
			reasons += fmt.Sprintf("\n  %s %s: %s", e.text("LogicalResourceId"), e.text("ResourceStatus"), e.text("ResourceStatusReason"))
		}
	}
	return reasons
}

// settle waits until nothing is under way with the stack.
func (s *slot) settle(ctx context.Context, c *client) (at outcome, reason string, err error) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		at, reason, err = s.look(ctx, c)
		if err != nil || !strings.HasSuffix(at.status, "_IN_PROGRESS") {
			return at, reason, err
		}
		select {
		case <-ctx.Done():
			return at, reason, fmt.Errorf("%s is still %s: %w", s.name, at, ctx.Err())
		case <-tick.C:
		}
	}
}

// conclude compares where the stack got with where its operation leads. Only
// one that was not acknowledged may not have begun.
func (s *slot) conclude(got outcome, reason string) error {
	op, before, want := s.op, s.at, s.leadsTo()
	s.op, s.at = nil, got
	switch got.status {
	case importDone:
		s.holds = true
	case updateDone, absent:
		s.holds = false
	}
	if got == want && (op.kind == createFails || op.kind == updateFails) && !strings.Contains(reason, s.refusal) || strings.Contains(reason, "did not receive a response") {
		return fmt.Errorf("%s: %q failed for another reason than it was to: %s", s.name, op.kind, reason)
	}
	if got == want || !op.acked && got == before {
		return nil
	}
	return fmt.Errorf("%s: %q (acknowledged: %v) led from %s to %s, want %s: %s", s.name, op.kind, op.acked, before, got, want, reason)
}
