package conformance

import (
	"context"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// wait bounds the SDK's waiters.
const wait = 2 * time.Minute

func TestInstances(t *testing.T) {
	ctx := context.Background()
	client := ec2.NewFromConfig(configured(t))
	_, err := client.RunInstances(ctx, &ec2.RunInstancesInput{ImageId: aws.String("ami-00000000000000000"), MinCount: aws.Int32(1), MaxCount: aws.Int32(1), DryRun: aws.Bool(true)})
	refused(t, err, "InvalidAMIID.NotFound")
	images := ok(client.DescribeImages(ctx, &ec2.DescribeImagesInput{Owners: []string{"amazon"}}))(t)
	run := ok(client.RunInstances(ctx, &ec2.RunInstancesInput{
		ImageId: images.Images[0].ImageId, InstanceType: types.InstanceTypeT3Micro, MinCount: aws.Int32(1), MaxCount: aws.Int32(1), ClientToken: aws.String("once"),
		TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeInstance, Tags: []types.Tag{{Key: aws.String("Name"), Value: aws.String("one")}}}},
	}))(t)
	id := *run.Instances[0].InstanceId
	named := &ec2.DescribeInstancesInput{Filters: []types.Filter{{Name: aws.String("tag:Name"), Values: []string{"one"}}}}
	// The waiter takes a connection that breaks for the end; one is seen to break
	// now and then, at the client, for a reason that is not found yet.
	until := time.Now().Add(wait)
	for err = ec2.NewInstanceRunningWaiter(client, quick).Wait(ctx, named, wait); err != nil && time.Now().Before(until); {
		t.Log(err)
		err = ec2.NewInstanceRunningWaiter(client, quick).Wait(ctx, named, wait)
	}
	if err != nil {
		t.Fatal(err)
	}
	if found := ok(client.DescribeInstances(ctx, named))(t); len(found.Reservations) != 1 || *found.Reservations[0].Instances[0].InstanceId != id {
		t.Errorf("%d reservations", len(found.Reservations))
	}
	ok(client.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{id}}))(t)
	if err := ec2.NewInstanceTerminatedWaiter(client).Wait(ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{id}}, wait); err != nil {
		t.Error(err)
	}
	_, err = client.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{"i-0123456789abcdef0"}})
	refused(t, err, "InvalidInstanceID.NotFound")
}

func quick(o *ec2.InstanceRunningWaiterOptions) { o.MinDelay, o.MaxDelay = time.Second, time.Second }

const template = `
Parameters: {Word: {Type: String}}
Resources:
  Queue: {Type: AWS::SQS::Queue}
  Note: {Type: AWS::SSM::Parameter, Properties: {Type: String, Value: !Sub "${Word} ${Queue.QueueName}"}}
Outputs: {Note: {Value: !Ref Note}}
`

func TestStacks(t *testing.T) {
	ctx := context.Background()
	client := cloudformation.NewFromConfig(configured(t))
	name := aws.String("conformance")
	ok(client.CreateStack(ctx, &cloudformation.CreateStackInput{
		StackName: name, TemplateBody: aws.String(template), Parameters: []cfntypes.Parameter{{ParameterKey: aws.String("Word"), ParameterValue: aws.String("hello")}},
	}))(t)
	_, err := client.CreateStack(ctx, &cloudformation.CreateStackInput{StackName: name, TemplateBody: aws.String(template), Parameters: []cfntypes.Parameter{{ParameterKey: aws.String("Word"), ParameterValue: aws.String("x")}}})
	typed[*cfntypes.AlreadyExistsException](t, err)
	described := &cloudformation.DescribeStacksInput{StackName: name}
	if err := cloudformation.NewStackCreateCompleteWaiter(client, func(o *cloudformation.StackCreateCompleteWaiterOptions) { o.MinDelay = time.Second }).Wait(ctx, described, wait); err != nil {
		t.Fatal(err)
	}
	if stack := ok(client.DescribeStacks(ctx, described))(t).Stacks[0]; len(stack.Outputs) != 1 || *stack.Outputs[0].OutputValue == "" {
		t.Errorf("%v", stack.Outputs)
	}
	ok(client.DeleteStack(ctx, &cloudformation.DeleteStackInput{StackName: name}))(t)
	if err := cloudformation.NewStackDeleteCompleteWaiter(client, func(o *cloudformation.StackDeleteCompleteWaiterOptions) { o.MinDelay = time.Second }).Wait(ctx, described, wait); err != nil {
		t.Error(err)
	}
	_, err = client.DescribeStacks(ctx, described)
	refused(t, err, "ValidationError")
}
