package ec2

import (
	"testing"

	api "github.com/slipway/slipway/api/ec2"
)

// TestAuthFindsResources by their ids and by their names, with their tags.
func TestAuthFindsResources(t *testing.T) {
	c := newCloud(t)
	made := must(c.CreateLaunchTemplate(c.ctx, &api.CreateLaunchTemplateInput{
		LaunchTemplateName: "web", LaunchTemplateData: &api.RequestLaunchTemplateData{KeyName: "k"},
		TagSpecifications: []api.TagSpecification{{ResourceType: "launch-template", Tags: []api.Tag{{Key: "env", Value: "prod"}}}},
	}))(t)
	own := testScope.ARN("ec2", "launch-template/"+made.LaunchTemplate.LaunchTemplateId).String()
	held, err := c.ResourcePolicy(c.ctx, testScope.ARN("ec2", "launch-template/name=web").String())
	if err != nil || held.ARN != own {
		t.Errorf("web stands for %q, %v", held.ARN, err)
	}
	if tags, err := c.ResourceTags(c.ctx, own); err != nil || tags["env"] != "prod" {
		t.Errorf("tags %v, %v", tags, err)
	}
	group, err := c.ResourcePolicy(c.ctx, testScope.ARN("ec2", "security-group/name=default").String())
	if err != nil || len(group.ARN) <= len(testScope.ARN("ec2", "security-group/sg-").String()) {
		t.Errorf("default stands for %q, %v", group.ARN, err)
	}
	for resource, want := range map[string]string{"launch-template/name=none": "launch-template/*", "security-group/name=none": "security-group/*"} {
		held, err := c.ResourcePolicy(c.ctx, testScope.ARN("ec2", resource).String())
		if err != nil || held.ARN != testScope.ARN("ec2", want).String() {
			t.Errorf("%s stands for %q, %v", resource, held.ARN, err)
		}
	}
	if held, err := c.ResourcePolicy(c.ctx, own); err != nil || held.ARN != "" {
		t.Errorf("an id stands for %q, %v", held.ARN, err)
	}
}
