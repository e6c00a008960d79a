package cloudformation_test

import (
	"testing"

	api "github.com/slipway/slipway/api/cloudformation"
)

// TestAuthFindsTheStack by its name, its id and the id of its change set.
func TestAuthFindsTheStack(t *testing.T) {
	w := newWorld(t, nil)
	id := w.create("s", "Resources: {A: {Type: 'AWS::Test::Thing'}}", func(in *api.CreateStackInput) { in.Tags = []api.Tag{{Key: "env", Value: "prod"}} })
	w.settle("s", "CREATE_COMPLETE")
	set, err := w.CreateChangeSet(w.ctx, &api.CreateChangeSetInput{StackName: "s", ChangeSetName: "c",
		TemplateBody: "Resources: {A: {Type: 'AWS::Test::Thing', Properties: {Value: x}}}"})
	if err != nil {
		t.Fatal(err)
	}
	for _, resource := range []string{id, set.Id, scope.ARN("cloudformation", "stack/s/*").String()} {
		held, err := w.ResourcePolicy(w.ctx, resource)
		if err != nil || held.ARN != id {
			t.Errorf("%s stands for %q, %v", resource, held.ARN, err)
		}
		tags, err := w.ResourceTags(w.ctx, held.ARN)
		if err != nil || tags["env"] != "prod" {
			t.Errorf("%s has the tags %v, %v", resource, tags, err)
		}
	}
	for _, resource := range []string{scope.ARN("cloudformation", "stack/other/*").String(), "*", scope.ARN("cloudformation", "changeSet/c/0").String()} {
		if held, err := w.ResourcePolicy(w.ctx, resource); err != nil || held.ARN != "" {
			t.Errorf("%s stands for %q, %v", resource, held.ARN, err)
		}
	}
}
