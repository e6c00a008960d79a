package crash

import (
	"context"
)

const treeBucket = "crash-harness-templates"

// nestedTemplate is what every stack of the harness nests. Another version replaces
// the queue and changes the parameter, in the nested stack's own operations.
const nestedTemplate = `
Parameters: { Version: { Type: Number } }
Resources:
  Queue:
    Type: AWS::SQS::Queue
    Properties: { QueueName: !Sub '${AWS::StackName}-${Version}' }
  Parameter:
    Type: AWS::SSM::Parameter
    DependsOn: Queue
    Properties: { Name: !Sub '/crash/${AWS::StackName}', Type: String, Value: !Ref Version }
`

// tree keeps the template of the nested stacks in its bucket.
type tree struct{}

func newTree(ctx context.Context, c *client) (*tree, error) {
	if _, err := c.s3(ctx, "PUT", "/"+treeBucket, nil); err != nil {
		return nil, err
	}
	_, err := c.s3(ctx, "PUT", "/"+treeBucket+"/nested.yaml", []byte(nestedTemplate))
	return &tree{}, err
}

func (*tree) owned(i inventory) { i.add("AWS::S3::Bucket", treeBucket) }

// flow has nothing to do: the stacks read the template.
func (*tree) flow(context.Context, *client) error { return nil }

func (*tree) check(context.Context, *client) ([]string, error) { return nil, nil }

// nested lists the stacks that are nested in others.
func (i inventory) nested(ctx context.Context, c *client) error {
	out, err := c.query(ctx, "cloudformation", "DescribeStacks")
	if err != nil {
		return err
	}
	for _, st := range out.all("Stacks/member") {
		if st.text("ParentId") != "" {
			i.add("AWS::CloudFormation::Stack", st.text("StackId"))
		}
	}
	return nil
}
