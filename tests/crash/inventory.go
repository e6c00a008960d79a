package crash

import (
	"context"
	"encoding/xml"
	"fmt"
	"slices"
	"strings"
)

// inventory is what there is, by CloudFormation's type names and physical ids.
type inventory map[string][]string

func (i inventory) add(kind string, ids ...string) { i[kind] = append(i[kind], ids...) }

// differences tells what is owned and not there, there and not owned, or twice.
func differences(owned, there inventory) (wrong []string) {
	kinds := map[string]bool{}
	for kind := range owned {
		kinds[kind] = true
	}
	for kind := range there {
		kinds[kind] = true
	}
	for kind := range kinds {
		for _, id := range owned[kind] {
			if !slices.Contains(there[kind], id) {
				wrong = append(wrong, fmt.Sprintf("%s %s belongs to a stack and is not there", kind, id))
			}
		}
		seen := map[string]bool{}
		for _, id := range there[kind] {
			if !slices.Contains(owned[kind], id) {
				wrong = append(wrong, fmt.Sprintf("%s %s is there and belongs to no stack", kind, id))
			}
			if seen[id] {
				wrong = append(wrong, fmt.Sprintf("%s %s is there twice", kind, id))
			}
			seen[id] = true
		}
	}
	slices.Sort(wrong)
	return wrong
}

// ownedBy adds the resources that a stack says it has.
func (i inventory) ownedBy(ctx context.Context, c *client, stack string) error {
	out, err := c.query(ctx, "cloudformation", "ListStackResources", "StackName", stack)
	if err != nil {
		return err
	}
	for _, r := range out.all("StackResourceSummaries/member") {
		status := r.text("ResourceStatus")
		if status == "DELETE_COMPLETE" {
			continue
		}
		if !strings.HasSuffix(status, "_COMPLETE") {
			return fmt.Errorf("%s: resource %s of a stack at rest is %s", stack, r.text("LogicalResourceId"), status)
		}
		i.add(r.text("ResourceType"), r.text("PhysicalResourceId"))
		if r.text("ResourceType") == "AWS::CloudFormation::Stack" {
			if err := i.ownedBy(ctx, c, r.text("PhysicalResourceId")); err != nil {
				return err
			}
		}
	}
	return nil
}

// take lists everything that the API knows of the kinds that the harness makes.
func take(ctx context.Context, c *client) (inventory, error) {
	i := inventory{}
	for _, list := range []func(context.Context, *client) error{
		i.instances, i.ec2, i.iam, i.queues, i.parameters, i.buckets, i.nested, i.functions,
	} {
		if err := list(ctx, c); err != nil {
			return nil, err
		}
	}
	return i, nil
}

func (i inventory) instances(ctx context.Context, c *client) error {
	out, err := c.query(ctx, "ec2", "DescribeInstances")
	if err != nil {
		return err
	}
	for _, n := range out.all("reservationSet/item/instancesSet/item") {
		switch state := n.text("instanceState/name"); state {
		case "terminated":
		case "running":
			i.add("AWS::EC2::Instance", n.text("instanceId"))
		default:
			return fmt.Errorf("instance %s of stacks at rest is %s", n.text("instanceId"), state)
		}
	}
	return nil
}

func (i inventory) ec2(ctx context.Context, c *client) error {
	out, err := c.query(ctx, "ec2", "DescribeAddresses")
	if err != nil {
		return err
	}
	for _, n := range out.all("addressesSet/item") {
		i.add("AWS::EC2::EIP", n.text("publicIp"))
		if n.text("instanceId") == "" {
			return fmt.Errorf("address %s of stacks at rest is at no instance", n.text("publicIp"))
		}
	}
	if out, err = c.query(ctx, "ec2", "DescribeSecurityGroups"); err != nil {
		return err
	}
	for _, n := range out.all("securityGroupInfo/item") {
		// A group that a template gives no VPC is known to its stack by its name.
		if name := n.text("groupName"); name != "default" {
			i.add("AWS::EC2::SecurityGroup", name)
		}
	}
	return nil
}

func (i inventory) iam(ctx context.Context, c *client) error {
	out, err := c.query(ctx, "iam", "ListRoles")
	if err != nil {
		return err
	}
	i.add("AWS::IAM::Role", out.texts("Roles/member/RoleName")...)
	if out, err = c.query(ctx, "iam", "ListInstanceProfiles"); err != nil {
		return err
	}
	i.add("AWS::IAM::InstanceProfile", out.texts("InstanceProfiles/member/InstanceProfileName")...)
	return nil
}

func (i inventory) queues(ctx context.Context, c *client) error {
	var out struct{ QueueUrls []string }
	if err := c.json(ctx, "sqs", "ListQueues", struct{}{}, &out); err != nil {
		return err
	}
	for _, url := range out.QueueUrls {
		i.add("AWS::SQS::Queue", url)
	}
	return nil
}

func (i inventory) parameters(ctx context.Context, c *client) error {
	token := ""
	for {
		var out struct {
			Parameters []struct{ Name string }
			NextToken  string
		}
		in := map[string]any{"MaxResults": 50}
		if token != "" {
			in["NextToken"] = token
		}
		if err := c.json(ctx, "ssm", "DescribeParameters", in, &out); err != nil {
			return err
		}
		for _, p := range out.Parameters {
			i.add("AWS::SSM::Parameter", p.Name)
		}
		if token = out.NextToken; token == "" {
			return nil
		}
	}
}

func (i inventory) buckets(ctx context.Context, c *client) error {
	answer, err := c.s3(ctx, "GET", "/", nil)
	if err != nil {
		return err
	}
	var root node
	if err := xml.Unmarshal(answer, &root); err != nil {
		return err
	}
	i.add("AWS::S3::Bucket", root.texts("Buckets/Bucket/Name")...)
	return nil
}
