package platform

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	cloudformation "github.com/slipway/slipway/api/cloudformation"
	s3 "github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/tests/corpus/replay"
)

// mixed is a template of 500 resources of ten types, some of which refer to
// others. text stands in what an update changes of 300 of them.
func mixed(text string) string {
	var b strings.Builder
	b.WriteString("Resources:\n")
	for i := range 50 {
		fmt.Fprintf(&b, `
  Queue%[1]d: {Type: 'AWS::SQS::Queue', Properties: {Tags: [{Key: n, Value: %[2]s}]}}
  QueuePolicy%[1]d: {Type: 'AWS::SQS::QueuePolicy', Properties: {Queues: [!Ref Queue%[1]d], PolicyDocument: {Version: '2012-10-17', Statement: [{Effect: Allow, Principal: {AWS: !Sub '${AWS::AccountId}'}, Action: 'sqs:SendMessage', Resource: !GetAtt Queue%[1]d.Arn}]}}}
  Parameter%[1]d: {Type: 'AWS::SSM::Parameter', Properties: {Type: String, Value: !Sub '%[2]s ${Queue%[1]d.Arn}'}}
  Setting%[1]d: {Type: 'AWS::SSM::Parameter', Properties: {Type: String, Value: '%[2]s', Description: 'a setting'}}
  Bucket%[1]d: {Type: 'AWS::S3::Bucket', Properties: {Tags: [{Key: n, Value: %[2]s}]}}
  Role%[1]d: {Type: 'AWS::IAM::Role', Properties: {Description: %[2]s, AssumeRolePolicyDocument: {Version: '2012-10-17', Statement: [{Effect: Allow, Principal: {Service: ec2.amazonaws.com}, Action: 'sts:AssumeRole'}]}}}
  Policy%[1]d: {Type: 'AWS::IAM::Policy', Properties: {PolicyName: p, Roles: [!Ref Role%[1]d], PolicyDocument: {Version: '2012-10-17', Statement: [{Effect: Allow, Action: 'sqs:*', Resource: !GetAtt Queue%[1]d.Arn}]}}}
  Group%[1]d: {Type: 'AWS::Logs::LogGroup', Properties: {RetentionInDays: 7}}
  Secret%[1]d: {Type: 'AWS::SecretsManager::Secret', Properties: {Description: %[2]s, GenerateSecretString: {PasswordLength: 20}}}
  Firewall%[1]d: {Type: 'AWS::EC2::SecurityGroup', Properties: {GroupDescription: a firewall, SecurityGroupIngress: [{IpProtocol: tcp, FromPort: 80, ToPort: 80, CidrIp: 10.0.0.0/8}]}}
`, i, text)
	}
	return b.String()
}

// BenchmarkStackOf500 makes a stack of 500 resources of mixed types, decides a
// change set over all of them and detects their drift, on the whole platform with
// its durable store, and holds each against its limit.
func BenchmarkStackOf500(b *testing.B) {
	p, err := New(b.Context(), Config{Dir: b.TempDir(), Listen: "127.0.0.1:0", Compute: "process"})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = p.Stop(b.Context()) })
	if err := p.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	w := &stackBench{b, p.services.cloudformation, p.services.s3.API(), auth.With(b.Context(), auth.Call{
		Principal: auth.RootOf(replay.Account), Scope: arn.Scope{Account: replay.Account, Region: "us-east-1"},
	})}
	best := map[string]time.Duration{}
	took := func(what string, limit, d time.Duration) {
		if was, ok := best[what]; !ok || d < was {
			best[what] = d
			b.ReportMetric(d.Seconds()*1000, what+"-ms")
		}
		if best[what] > limit {
			b.Logf("%s of 500 resources takes %v, limit %v", what, best[what], limit)
		}
	}
	_, err = w.s3.CreateBucket(w.ctx, &s3.CreateBucketInput{Bucket: "templates"})
	w.check(err)
	w.put("first")
	w.put("second")
	for b.Loop() {
		took("create", 2*time.Second, w.create("first"))
		took("changeset", 150*time.Millisecond, w.changeSet("second"))
		took("drift", 300*time.Millisecond, w.drift())
		w.remove()
	}
	if best["create"] > 2*time.Second || best["changeset"] > 150*time.Millisecond || best["drift"] > 300*time.Millisecond {
		b.Errorf("more than 2 s, 150 ms and 300 ms: %v", best)
	}
}

// stackBench is a caller of CloudFormation with one stack.
type stackBench struct {
	*testing.B
	cfn cloudformation.Service
	s3  s3.Service
	ctx context.Context
}

func (w *stackBench) check(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// until polls, and says how long it took.
func (w *stackBench) until(start time.Time, want string, status func() (string, string)) time.Duration {
	w.Helper()
	for deadline := time.After(2 * time.Minute); ; {
		got, reason := status()
		if got == want {
			return time.Since(start)
		}
		if strings.HasSuffix(got, "FAILED") || strings.HasPrefix(got, "ROLLBACK") {
			w.Fatalf("%s: %s", got, reason)
		}
		select {
		case <-time.After(2 * time.Millisecond):
		case <-deadline:
			w.Fatalf("stays %s", got)
		}
	}
}

func templateURL(text string) string { return "https://s3.amazonaws.com/templates/" + text }

// put stores a template, which is larger than a call's body may be.
func (w *stackBench) put(text string) {
	w.Helper()
	_, err := w.s3.PutObject(w.ctx, &s3.PutObjectInput{Bucket: "templates", Key: text, Body: io.NopCloser(strings.NewReader(mixed(text)))})
	w.check(err)
}

func (w *stackBench) stack() (status, reason string) {
	out, err := w.cfn.DescribeStacks(w.ctx, &cloudformation.DescribeStacksInput{StackName: "mixed"})
	if fault.Is(err, fault.ValidationError) {
		return "DELETE_COMPLETE", "" // no stack has the name
	}
	w.check(err)
	return out.Stacks[0].StackStatus, out.Stacks[0].StackStatusReason
}

func (w *stackBench) create(text string) time.Duration {
	w.Helper()
	start := time.Now()
	_, err := w.cfn.CreateStack(w.ctx, &cloudformation.CreateStackInput{StackName: "mixed", TemplateURL: templateURL(text), Capabilities: []string{"CAPABILITY_IAM"}})
	w.check(err)
	return w.until(start, "CREATE_COMPLETE", w.stack)
}

func (w *stackBench) changeSet(text string) time.Duration {
	w.Helper()
	start := time.Now()
	made, err := w.cfn.CreateChangeSet(w.ctx, &cloudformation.CreateChangeSetInput{
		StackName: "mixed", ChangeSetName: "c", TemplateURL: templateURL(text), Capabilities: []string{"CAPABILITY_IAM"},
	})
	w.check(err)
	return w.until(start, "CREATE_COMPLETE", func() (string, string) {
		out, err := w.cfn.DescribeChangeSet(w.ctx, &cloudformation.DescribeChangeSetInput{ChangeSetName: made.Id})
		w.check(err)
		return out.Status, out.StatusReason
	})
}

func (w *stackBench) drift() time.Duration {
	w.Helper()
	start := time.Now()
	made, err := w.cfn.DetectStackDrift(w.ctx, &cloudformation.DetectStackDriftInput{StackName: "mixed"})
	w.check(err)
	return w.until(start, "DETECTION_COMPLETE", func() (string, string) {
		out, err := w.cfn.DescribeStackDriftDetectionStatus(w.ctx, &cloudformation.DescribeStackDriftDetectionStatusInput{StackDriftDetectionId: made.StackDriftDetectionId})
		w.check(err)
		if out.DetectionStatus == "DETECTION_COMPLETE" && out.StackDriftStatus != "IN_SYNC" {
			w.Fatalf("the stack is %s", out.StackDriftStatus)
		}
		return out.DetectionStatus, out.DetectionStatusReason
	})
}

func (w *stackBench) remove() {
	w.Helper()
	_, err := w.cfn.DeleteStack(w.ctx, &cloudformation.DeleteStackInput{StackName: "mixed"})
	w.check(err)
	w.until(time.Now(), "DELETE_COMPLETE", w.stack)
}
