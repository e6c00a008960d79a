package wire

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway/slipway/api"
	"github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/api/sqs"
	"github.com/slipway/slipway/fault"
)

func ptr[T any](v T) *T { return &v }

func TestQueryInput(t *testing.T) {
	tests := []struct {
		name, body string
		want       any
	}{
		{"scalars, lists, structures", "Action=CreateStack&Version=2010-05-15&StackName=web&TemplateBody=%7B%7D&TimeoutInMinutes=5&DisableRollback=true" +
			"&Parameters.member.1.ParameterKey=K&Parameters.member.1.ParameterValue=a+b%26c&Parameters.member.2.ParameterKey=L" +
			"&Capabilities.member.1=CAPABILITY_IAM&Tags.member.1.Key=x&Tags.member.1.Value=y",
			&cloudformation.CreateStackInput{
				StackName: "web", TemplateBody: "{}", TimeoutInMinutes: ptr(int32(5)), DisableRollback: ptr(true),
				Parameters:   []cloudformation.Parameter{{ParameterKey: "K", ParameterValue: "a b&c"}, {ParameterKey: "L"}},
				Capabilities: []string{"CAPABILITY_IAM"}, Tags: []cloudformation.Tag{{Key: "x", Value: "y"}},
			}},
		{"positions in any order, with gaps", "Action=CreateStack&Version=2010-05-15&StackName=s&Capabilities.member.10=CAPABILITY_IAM&Capabilities.member.2=CAPABILITY_NAMED_IAM",
			&cloudformation.CreateStackInput{StackName: "s", Capabilities: []string{"CAPABILITY_NAMED_IAM", "CAPABILITY_IAM"}}},
		{"an empty list", "Action=CreateStack&Version=2010-05-15&StackName=s&Capabilities=",
			&cloudformation.CreateStackInput{StackName: "s", Capabilities: []string{}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := &answering{output: &cloudformation.CreateStackOutput{StackId: "id"}}
			h := New(testConfig(a.mount(cloudformation.Describe())))
			w := do(h, request("POST", "/", tt.body, signed("cloudformation"), formType))
			if w.Code != http.StatusOK {
				t.Fatalf("status %d: %s", w.Code, w.Body)
			}
			if diff := cmp.Diff(tt.want, a.input); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestQueryOutput(t *testing.T) {
	a := &answering{output: &cloudformation.DescribeStacksOutput{Stacks: []cloudformation.Stack{{
		StackName: "a<b", StackStatus: "CREATE_COMPLETE", CreationTime: ptr(time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC)),
		DisableRollback: ptr(false), Outputs: []cloudformation.Output{{OutputKey: "Empty"}}, NotificationARNs: []string{},
	}}}}
	h := New(testConfig(a.mount(cloudformation.Describe())))
	w := do(h, request("POST", "/", "Action=DescribeStacks&Version=2010-05-15", signed("cloudformation"), formType))
	id := w.Header().Get("x-amzn-RequestId")
	want := `<DescribeStacksResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><DescribeStacksResult><Stacks><member>` +
		`<StackName>a&lt;b</StackName><CreationTime>2026-01-02T03:04:05.006Z</CreationTime><StackStatus>CREATE_COMPLETE</StackStatus>` +
		`<DisableRollback>false</DisableRollback><NotificationARNs></NotificationARNs>` +
		`<Outputs><member><OutputKey>Empty</OutputKey><OutputValue></OutputValue></member></Outputs></member></Stacks></DescribeStacksResult>` +
		`<ResponseMetadata><RequestId>` + id + `</RequestId></ResponseMetadata></DescribeStacksResponse>`
	if diff := cmp.Diff(want, w.Body.String()); diff != "" || id == "" {
		t.Error(diff, id)
	}
	if got := w.Header().Get("Content-Type"); got != "text/xml" {
		t.Errorf("content type %q", got)
	}
}

// An operation whose model has no output answers with its metadata only.
func TestQueryNoOutput(t *testing.T) {
	a := &answering{output: &cloudformation.DeleteStackOutput{}}
	h := New(testConfig(a.mount(cloudformation.Describe())))
	w := do(h, request("POST", "/", "Action=DeleteStack&Version=2010-05-15&StackName=s", signed("cloudformation"), formType))
	want := `<DeleteStackResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><ResponseMetadata><RequestId>` +
		w.Header().Get("x-amzn-RequestId") + `</RequestId></ResponseMetadata></DeleteStackResponse>`
	if diff := cmp.Diff(want, w.Body.String()); diff != "" {
		t.Error(diff)
	}
}

func TestQueryErrors(t *testing.T) {
	tests := []struct {
		name, service, body string
		err                 error
		status              int
		parts               []string
	}{
		{"a service's code and status", "iam", "Action=GetRole&Version=2010-05-08&RoleName=r", fault.New("NoSuchEntity", "gone <r>"),
			404, []string{`<ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><Error><Type>Sender</Type><Code>NoSuchEntity</Code><Message>gone &lt;r&gt;</Message></Error><RequestId>`}},
		{"by the exception's name", "iam", "Action=GetRole&Version=2010-05-08&RoleName=r", fault.New("NoSuchEntityException", "gone"),
			404, []string{"<Code>NoSuchEntity</Code>"}},
		{"unknown operation", "iam", "Action=Nothing&Version=2010-05-08", nil, 400,
			[]string{"<Code>InvalidAction</Code><Message>Could not find operation Nothing for version 2010-05-08</Message>"}},
		{"no operation", "iam", "Version=2010-05-08", nil, 400, []string{"<Code>MissingAction</Code>"}},
		{"not of its type", "iam", "Action=ListRoles&Version=2010-05-08&MaxItems=ten", nil, 400, []string{"<Code>MalformedInput</Code>", "maxItems"}},
		{"not URL-encoded", "iam", "Action=ListRoles&MaxItems=%zz", nil, 400, []string{"<Code>MalformedInput</Code>"}},
		{"an internal error keeps its text", "iam", "Action=GetRole&Version=2010-05-08&RoleName=r", http.ErrBodyNotAllowed, 500,
			[]string{"<Type>Receiver</Type><Code>InternalFailure</Code>"}},
		{"EC2's form", "ec2", "Action=DescribeInstances&Version=2016-11-15", fault.New("InvalidInstanceID.NotFound", "The instance ID 'i-1' does not exist"), 400,
			[]string{`<Response><Errors><Error><Code>InvalidInstanceID.NotFound</Code><Message>The instance ID 'i-1' does not exist</Message></Error></Errors><RequestID>`}},
		{"EC2, unknown operation", "ec2", "Action=Nothing&Version=2016-11-15", nil, 400,
			[]string{"<Code>InvalidAction</Code><Message>The action Nothing is not valid for this web service.</Message>"}},
		{"EC2, unknown parameter", "ec2", "Action=DescribeInstances&Version=2016-11-15&Foo.1=x", nil, 400,
			[]string{"<Code>UnknownParameter</Code><Message>The parameter Foo is not recognized</Message>"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := &answering{err: tt.err}
			h := New(testConfig(a.mount(iam.Describe()), a.mount(ec2.Describe())))
			w := do(h, request("POST", "/", tt.body, signed(tt.service), formType))
			if w.Code != tt.status {
				t.Errorf("status %d, want %d", w.Code, tt.status)
			}
			mustContain(t, w.Body.String(), tt.parts...)
			if a.operation != "" && tt.err == nil {
				t.Errorf("%s was called", a.operation)
			}
		})
	}
}

func TestEC2InputAndOutput(t *testing.T) {
	a := &answering{output: &ec2.DescribeInstancesOutput{Reservations: []ec2.Reservation{{
		ReservationId: "r-1", Instances: []ec2.Instance{{InstanceId: "i-1", State: &ec2.InstanceState{Code: ptr(int32(16)), Name: "running"},
			Tags: []ec2.Tag{{Key: "k"}}}},
	}}}}
	h := New(testConfig(a.mount(ec2.Describe())))
	w := do(h, request("POST", "/", "Action=DescribeInstances&Version=2016-11-15&InstanceId.1=i-1&Filter.1.Name=tag%3Ax&Filter.1.Value.1=a&Filter.1.Value.2=b&MaxResults=5",
		signed("ec2"), formType))
	want := &ec2.DescribeInstancesInput{InstanceIds: []string{"i-1"}, MaxResults: ptr(int32(5)),
		Filters: []ec2.Filter{{Name: "tag:x", Values: []string{"a", "b"}}}}
	if diff := cmp.Diff(want, a.input); diff != "" {
		t.Error(diff)
	}
	mustContain(t, w.Body.String(), `<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>`,
		`<reservationSet><item>`, `<instancesSet><item>`, `<instanceId>i-1</instanceId><instanceState><code>16</code><name>running</name></instanceState>`,
		`<tagSet><item><key>k</key><value></value></item></tagSet>`, `</reservationSet></DescribeInstancesResponse>`)
}

// EC2 and the Query services name every list of an answer, also one with nothing
// in it. SQS's lists are elements without a frame: there is nothing to name.
func TestListsAreNeverLeftOut(t *testing.T) {
	for _, tt := range []struct {
		desc    *api.Service
		request string
		output  any
		want    string
	}{
		{ec2.Describe(), "Action=DescribeAddresses&Version=2016-11-15", &ec2.DescribeAddressesOutput{}, `<addressesSet></addressesSet></DescribeAddressesResponse>`},
		{cloudformation.Describe(), "Action=DescribeStacks&Version=2010-05-15", &cloudformation.DescribeStacksOutput{}, `<DescribeStacksResult><Stacks></Stacks></DescribeStacksResult>`},
		{sqs.Describe(), "Action=ListQueues&Version=2012-11-05", &sqs.ListQueuesOutput{}, `<ListQueuesResult></ListQueuesResult>`},
	} {
		a := &answering{output: tt.output}
		w := do(New(testConfig(a.mount(tt.desc))), request("POST", "/", tt.request, signed(tt.desc.SigningName), formType))
		mustContain(t, w.Body.String(), tt.want)
	}
}

// RunInstances as the command line and the SDKs send it.
func TestEC2RunInstances(t *testing.T) {
	a := &answering{output: &ec2.RunInstancesOutput{}}
	h := New(testConfig(a.mount(ec2.Describe())))
	w := do(h, request("POST", "/", "Action=RunInstances&Version=2016-11-15&ImageId=ami-1&MinCount=1&MaxCount=2&SecurityGroupId.1=sg-1"+
		"&TagSpecification.1.ResourceType=instance&TagSpecification.1.Tag.1.Key=Name&TagSpecification.1.Tag.1.Value=web"+
		"&IamInstanceProfile.Name=p&BlockDeviceMapping.1.DeviceName=%2Fdev%2Fsda1&BlockDeviceMapping.1.Ebs.VolumeSize=8&UserData=IyEvYmluL3No&DryRun=false&ClientToken=t",
		signed("ec2"), formType))
	if w.Code != 200 {
		t.Fatal(w.Body)
	}
	in := a.input.(*ec2.RunInstancesInput)
	if in.ImageId != "ami-1" || *in.MinCount != 1 || *in.MaxCount != 2 || in.SecurityGroupIds[0] != "sg-1" || in.IamInstanceProfile.Name != "p" ||
		in.TagSpecifications[0].Tags[0].Value != "web" || *in.BlockDeviceMappings[0].Ebs.VolumeSize != 8 || in.UserData != "IyEvYmluL3No" {
		t.Errorf("%+v", in)
	}
}

// SQS as Debian's awscli 2.9 calls it: in Query, with names that its model no
// longer tells, and with the queue's URL as the request's path.
func TestSQSInQuery(t *testing.T) {
	a := &answering{}
	h := New(testConfig(a.mount(sqs.Describe())))
	tests := []struct {
		name, path, body string
		output, want     any
		parts            []string
	}{
		{"attributes and tags", "/", "Action=CreateQueue&Version=2012-11-05&QueueName=q&Attribute.1.Name=DelaySeconds&Attribute.1.Value=5&Tag.1.Key=k&Tag.1.Value=v",
			&sqs.CreateQueueOutput{QueueUrl: "http://x/0/q"},
			&sqs.CreateQueueInput{QueueName: "q", Attributes: map[string]string{"DelaySeconds": "5"}, Tags: map[string]string{"k": "v"}},
			[]string{`<CreateQueueResponse xmlns="http://queue.amazonaws.com/doc/2012-11-05/"><CreateQueueResult><QueueUrl>http://x/0/q</QueueUrl></CreateQueueResult>`}},
		{"message attributes", "/000000000000/q", "Action=SendMessage&Version=2012-11-05&QueueUrl=u&MessageBody=hi&MessageAttribute.1.Name=n&MessageAttribute.1.Value.DataType=String&MessageAttribute.1.Value.StringValue=s",
			&sqs.SendMessageOutput{MessageId: "m", MD5OfMessageBody: "5"},
			&sqs.SendMessageInput{QueueUrl: "u", MessageBody: "hi", MessageAttributes: map[string]sqs.MessageAttributeValue{"n": {DataType: "String", StringValue: "s"}}},
			[]string{"<SendMessageResult>", "<MD5OfMessageBody>5</MD5OfMessageBody>", "<MessageId>m</MessageId>"}},
		{"a batch", "/000000000000/q", "Action=SendMessageBatch&Version=2012-11-05&SendMessageBatchRequestEntry.1.Id=a&SendMessageBatchRequestEntry.1.MessageBody=b",
			&sqs.SendMessageBatchOutput{Successful: []sqs.SendMessageBatchResultEntry{{Id: "a", MessageId: "m"}}, Failed: []sqs.BatchResultErrorEntry{{Id: "z", SenderFault: ptr(true)}}},
			&sqs.SendMessageBatchInput{QueueUrl: "http://example.com/000000000000/q", Entries: []sqs.SendMessageBatchRequestEntry{{Id: "a", MessageBody: "b"}}},
			[]string{"<SendMessageBatchResultEntry><Id>a</Id><MessageId>m</MessageId></SendMessageBatchResultEntry>", "<BatchResultErrorEntry><Id>z</Id><SenderFault>true</SenderFault></BatchResultErrorEntry>"}},
		{"lists by number", "/000000000000/q", "Action=ReceiveMessage&Version=2012-11-05&AttributeName.1=All&MessageAttributeName.1=All&MaxNumberOfMessages=10",
			&sqs.ReceiveMessageOutput{Messages: []sqs.Message{{MessageId: "m", Body: "b", Attributes: map[string]string{"SentTimestamp": "1"},
				MessageAttributes: map[string]sqs.MessageAttributeValue{"n": {DataType: "String", StringValue: "s"}}}}},
			&sqs.ReceiveMessageInput{QueueUrl: "http://example.com/000000000000/q", AttributeNames: []string{"All"}, MessageAttributeNames: []string{"All"}, MaxNumberOfMessages: ptr(int32(10))},
			[]string{"<ReceiveMessageResult><Message><MessageId>m</MessageId><Body>b</Body><Attribute><Name>SentTimestamp</Name><Value>1</Value></Attribute>",
				"<MessageAttribute><Name>n</Name><Value><StringValue>s</StringValue><DataType>String</DataType></Value></MessageAttribute></Message>"}},
		{"queues", "/", "Action=ListQueues&Version=2012-11-05&QueueNamePrefix=q", &sqs.ListQueuesOutput{QueueUrls: []string{"a", "b"}},
			&sqs.ListQueuesInput{QueueNamePrefix: "q"}, []string{"<ListQueuesResult><QueueUrl>a</QueueUrl><QueueUrl>b</QueueUrl></ListQueuesResult>"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a.output = tt.output
			w := do(h, request("POST", tt.path, tt.body, signed("sqs"), formType))
			if w.Code != 200 {
				t.Fatalf("status %d: %s", w.Code, w.Body)
			}
			if diff := cmp.Diff(tt.want, a.input); diff != "" {
				t.Error(diff)
			}
			mustContain(t, w.Body.String(), tt.parts...)
		})
	}
}
