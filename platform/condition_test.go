package platform

import (
	"net/url"
	"testing"

	iamapi "github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/auth"
)

// TestQueuePoliciesAskWhoCalls: a service that applies a resource's policy itself
// knows the tags of the caller, from the very next call on.
func TestQueuePoliciesAskWhoCalls(t *testing.T) {
	d := newClosedDoor(t)
	root := auth.Credentials{AccessKeyID: d.rootKey.AccessKeyID, SecretAccessKey: d.rootKey.SecretAccessKey}
	const unlessRed = `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Principal":"*","Action":"sqs:SendMessage","Resource":"*",
		"Condition":{"StringNotEquals":{"aws:PrincipalTag/Team":"red"}}}}`
	if got := d.says(root, "sqs", "Action=CreateQueue&Version=2012-11-05&QueueName=q&Attribute.1.Name=Policy&Attribute.1.Value="+url.QueryEscape(unlessRed)); got != "OK" {
		t.Fatal(got)
	}
	ann := d.user("ann")
	send := "Action=SendMessage&Version=2012-11-05&MessageBody=x&QueueUrl=" + url.QueryEscape(d.Endpoint()+"/000000000000/q")
	for _, step := range []struct {
		change func()
		want   string
	}{
		{func() {}, "AccessDenied"},
		{func() {
			must(d, d.services.iam.TagUser, &iamapi.TagUserInput{UserName: "ann", Tags: []iamapi.Tag{{Key: "Team", Value: "red"}}})
		}, "OK"},
		{func() {
			must(d, d.services.iam.UntagUser, &iamapi.UntagUserInput{UserName: "ann", TagKeys: []string{"Team"}})
		}, "AccessDenied"},
	} {
		step.change()
		if got := d.says(ann, "sqs", send); got != step.want {
			t.Errorf("%s, want %s", got, step.want)
		}
	}
}
