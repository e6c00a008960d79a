package platform

import (
	"archive/zip"
	"bytes"
	"context"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	cloudformation "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/api/lambda"
	"github.com/slipway/slipway/api/sqs"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
)

// gateFunction is an account gate that lets stack sets into one region.
const gateFunction = `#!/bin/sh
while true; do
	h=$(mktemp); d=$(mktemp)
	curl -sS -o "$d" -D "$h" "http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation/next"
	id=$(grep -i lambda-runtime-aws-request-id "$h" | tr -d '\r' | cut -d' ' -f2)
	answer='{"Status": "FAILED"}'
	if grep -q '"accountId":"222222222222"' "$d" && grep -q '"region":"us-east-1"' "$d"; then answer='{"Status": "SUCCEEDED"}'; fi
	curl -sS -o /dev/null --data-binary "$answer" "http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation/$id/response"
done
`

// zipped is an archive of one program.
func zipped(t *testing.T, name, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	head := &zip.FileHeader{Name: name, Method: zip.Deflate}
	head.SetMode(0o755)
	w, err := z.CreateHeader(head)
	if err == nil {
		_, err = io.WriteString(w, text)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// got ends the test on an error.
func got[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// settledSet waits for the end of a stack set's operation.
func settledSet(t *testing.T, ctx context.Context, cfn cloudformation.Service, id string) *cloudformation.StackSetOperation {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		o := got[*cloudformation.DescribeStackSetOperationOutput](t)(cfn.DescribeStackSetOperation(ctx, &cloudformation.DescribeStackSetOperationInput{StackSetName: "queues", OperationId: id})).StackSetOperation
		if o.EndTimestamp != nil {
			return o
		}
		if time.Now().After(end) {
			t.Fatalf("the operation stays %s", o.Status)
		}
	}
}

// TestStackSetsMeetTheirAccounts deploys to an account whose gate, a function that
// runs for real, lets it into one region of two, and finds by the set what was
// changed there by hand.
func TestStackSetsMeetTheirAccounts(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Fatal("the gate needs curl, which 'make test' installs")
	}
	p := start(t, nil)
	s := p.services
	in := func(account, region string) context.Context {
		return auth.With(t.Context(), auth.Call{Principal: auth.RootOf(account), Scope: arn.Scope{Account: account, Region: region}, Time: time.Now(), Endpoint: p.Endpoint()})
	}
	const administrator, target = "111111111111", "222222222222"
	admin, member := in(administrator, "us-east-1"), in(target, "us-east-1")
	trust := func(who string) string {
		return `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {` + who + `}, "Action": "sts:AssumeRole"}]}`
	}
	got[*iam.CreateRoleOutput](t)(s.apis.iam.CreateRole(admin, &iam.CreateRoleInput{RoleName: "AWSCloudFormationStackSetAdministrationRole", AssumeRolePolicyDocument: trust(`"Service": "cloudformation.amazonaws.com"`)}))
	got[*iam.CreateRoleOutput](t)(s.apis.iam.CreateRole(member, &iam.CreateRoleInput{RoleName: "AWSCloudFormationStackSetExecutionRole",
		AssumeRolePolicyDocument: trust(`"AWS": "arn:aws:iam::` + administrator + `:role/AWSCloudFormationStackSetAdministrationRole"`)}))
	for _, region := range []string{"us-east-1", "eu-west-1"} {
		ctx := in(target, region)
		got[*lambda.CreateFunctionOutput](t)(s.apis.lambda.CreateFunction(ctx, &lambda.CreateFunctionInput{
			FunctionName: "AWSCloudFormationStackSetAccountGate", Runtime: "provided.al2023", Handler: "x", Timeout: new(int32(60)),
			Role: "arn:aws:iam::" + target + ":role/gate", Code: &lambda.FunctionCode{ZipFile: zipped(t, "bootstrap", gateFunction)},
		}))
		for end := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
			if got[*lambda.GetFunctionConfigurationOutput](t)(s.apis.lambda.GetFunctionConfiguration(ctx, &lambda.GetFunctionConfigurationInput{FunctionName: "AWSCloudFormationStackSetAccountGate"})).State == lambda.StateActive {
				break
			}
			if time.Now().After(end) {
				t.Fatal("the gate is not active")
			}
		}
	}

	cfn := s.apis.cfn
	got[*cloudformation.CreateStackSetOutput](t)(cfn.CreateStackSet(admin, &cloudformation.CreateStackSetInput{
		StackSetName: "queues", TemplateBody: "Resources: {Queue: {Type: AWS::SQS::Queue, Properties: {QueueName: mine, DelaySeconds: 5}}}",
	}))
	o := settledSet(t, admin, cfn, got[*cloudformation.CreateStackInstancesOutput](t)(cfn.CreateStackInstances(admin, &cloudformation.CreateStackInstancesInput{
		StackSetName: "queues", Accounts: []string{target}, Regions: []string{"us-east-1", "eu-west-1"},
	})).OperationId)
	var results []string
	for _, r := range got[*cloudformation.ListStackSetOperationResultsOutput](t)(cfn.ListStackSetOperationResults(admin, &cloudformation.ListStackSetOperationResultsInput{StackSetName: "queues", OperationId: o.OperationId})).Summaries {
		results = append(results, r.Region+" "+r.Status+" "+r.AccountGateResult.Status)
	}
	if want := []string{"us-east-1 SUCCEEDED SUCCEEDED", "eu-west-1 FAILED FAILED"}; o.Status != "FAILED" || !slices.Equal(results, want) {
		t.Fatalf("the operation is %s: %q, want %q", o.Status, results, want)
	}
	if all := got[*sqs.ListQueuesOutput](t)(s.apis.sqs.ListQueues(in(target, "eu-west-1"), &sqs.ListQueuesInput{})).QueueUrls; len(all) > 0 {
		t.Errorf("behind the gate there are %v", all)
	}

	url := got[*sqs.GetQueueUrlOutput](t)(s.apis.sqs.GetQueueUrl(member, &sqs.GetQueueUrlInput{QueueName: "mine"})).QueueUrl
	got[*sqs.SetQueueAttributesOutput](t)(s.apis.sqs.SetQueueAttributes(member, &sqs.SetQueueAttributesInput{QueueUrl: url, Attributes: map[string]string{"DelaySeconds": "9"}}))
	o = settledSet(t, admin, cfn, got[*cloudformation.DetectStackSetDriftOutput](t)(cfn.DetectStackSetDrift(admin, &cloudformation.DetectStackSetDriftInput{
		StackSetName: "queues", OperationPreferences: &cloudformation.StackSetOperationPreferences{FailureToleranceCount: new(int32(1))},
	})).OperationId)
	d := o.StackSetDriftDetectionDetails
	if d.DriftStatus != "DRIFTED" || d.DriftDetectionStatus != "PARTIAL_SUCCESS" || *d.DriftedStackInstancesCount != 1 || *d.FailedStackInstancesCount != 1 || *d.TotalStackInstancesCount != 2 {
		t.Errorf("the drift is %+v", d)
	}
	drifts := got[*cloudformation.ListStackInstanceResourceDriftsOutput](t)(cfn.ListStackInstanceResourceDrifts(admin, &cloudformation.ListStackInstanceResourceDriftsInput{
		StackSetName: "queues", StackInstanceAccount: target, StackInstanceRegion: "us-east-1", OperationId: o.OperationId,
	})).Summaries
	if len(drifts) != 1 || drifts[0].StackResourceDriftStatus != "MODIFIED" || len(drifts[0].PropertyDifferences) != 1 {
		t.Fatalf("the resources' drift is %+v", drifts)
	}
	if diff := drifts[0].PropertyDifferences[0]; diff.PropertyPath != "/DelaySeconds" || diff.DifferenceType != "NOT_EQUAL" || diff.ExpectedValue != "5" || diff.ActualValue != "9" {
		t.Errorf("the difference is %+v", diff)
	}
	if id := drifts[0].StackId; !strings.Contains(id, ":us-east-1:"+target+":stack/StackSet-queues-") {
		t.Errorf("the stack is %s", id)
	}
}
