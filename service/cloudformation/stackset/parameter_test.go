package stackset

import (
	"context"
	"slices"
	"strings"
	"testing"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// objects are what S3 holds, by URL.
type objects map[string]string

func (o objects) list(_ context.Context, url string, limit int64) (string, error) {
	text, ok := o[url]
	if !ok || int64(len(text)) > limit {
		return "", fault.New(fault.ValidationError, "no %s", url)
	}
	return text, nil
}

// veil hides what is sealed: it turns it around.
func veil(text string) (string, error) {
	b := []byte("veiled:" + text)
	slices.Reverse(b)
	return string(b), nil
}

func unveil(text string) (string, bool) {
	b := []byte(text)
	slices.Reverse(b)
	return strings.CutPrefix(string(b), "veiled:")
}

// lists is an S3 with lists of accounts and stacks.
var lists = objects{
	"s3://bucket/accounts.csv":                 "222222222222,\"333333333333\"\r\n222222222222\n",
	"https://bucket.s3.amazonaws.com/none.txt": "\n",
	"s3://bucket/accounts.doc":                 "222222222222",
	"s3://bucket/people.txt":                   "222222222222\nme\n",
	"s3://bucket/stacks.txt":                   "arn:aws:cloudformation:us-east-1:444444444444:stack/mine/1\n",
}

// TestNoEchoIsSealed gives a set and an instance secrets: the stacks get them, and
// nothing that is stored has them.
func TestNoEchoIsSealed(t *testing.T) {
	w := newWorld(t)
	w.create(func(in *api.CreateStackSetInput) {
		in.Parameters = []api.Parameter{{ParameterKey: "Secret", ParameterValue: "hunter-one"}}
	})
	w.ended(w.deploy(first, "us-east-1"), "SUCCEEDED")
	w.ended(w.deploy(second, "us-east-1", func(in *api.CreateStackInstancesInput) {
		in.ParameterOverrides = []api.Parameter{{ParameterKey: "Secret", ParameterValue: "hunter-two"}}
	}), "SUCCEEDED")
	want := "222222222222 us-east-1 CREATE_COMPLETE map[Secret:hunter-one]\n333333333333 us-east-1 CREATE_COMPLETE map[Secret:hunter-two]"
	w.want("stacks", strings.Join(w.stacks.text(), "\n"), want)

	// What is not given stays, as does what is to stay.
	update := func(overrides []api.Parameter) {
		in := &api.UpdateStackInstancesInput{StackSetName: "s", Accounts: []string{second}, Regions: []string{"us-east-1"}, ParameterOverrides: overrides}
		w.ended(must[*api.UpdateStackInstancesOutput](t)(w.UpdateStackInstances(admin, in)).OperationId, "SUCCEEDED")
	}
	update(nil)
	update([]api.Parameter{{ParameterKey: "Secret", UsePreviousValue: new(true)}})
	w.want("stacks", strings.Join(w.stacks.text(), "\n"), want)
	up := must[*api.UpdateStackSetOutput](t)(w.UpdateStackSet(admin, &api.UpdateStackSetInput{
		StackSetName: "s", TemplateBody: "two", Parameters: []api.Parameter{{ParameterKey: "Secret", UsePreviousValue: new(true)}},
	}))
	w.ended(up.OperationId, "SUCCEEDED")
	w.want("stacks", strings.Join(w.stacks.text(), "\n"), strings.ReplaceAll(want, "CREATE", "UPDATE"))
	i := must[*api.DescribeStackInstanceOutput](t)(w.DescribeStackInstance(admin, &api.DescribeStackInstanceInput{StackSetName: "s", StackInstanceAccount: second, StackInstanceRegion: "us-east-1"})).StackInstance
	if len(i.ParameterOverrides) != 1 || i.ParameterOverrides[0].ParameterValue != masked {
		t.Errorf("the overrides are %+v", i.ParameterOverrides)
	}
	err := w.store.View(t.Context(), func(tx store.Tx) error {
		n := 0
		for doc, err := range tx.Scan("", "\xff") {
			if err != nil {
				return err
			}
			n++
			if strings.Contains(string(doc.Value), "hunter") {
				t.Errorf("%s holds a secret: %s", doc.Key, doc.Value)
			}
		}
		if n < 10 {
			t.Errorf("%d records were looked at", n)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	update([]api.Parameter{}) // back to the set's
	w.want("stacks", strings.Join(w.stacks.text(), "\n"), "222222222222 us-east-1 UPDATE_COMPLETE map[Secret:hunter-one]\n333333333333 us-east-1 UPDATE_COMPLETE map[Secret:hunter-one]")

	_, err = w.UpdateStackInstances(admin, &api.UpdateStackInstancesInput{
		StackSetName: "s", Accounts: []string{second}, Regions: []string{"us-east-1"},
		ParameterOverrides: []api.Parameter{{ParameterKey: "Size", ParameterValue: "1", UsePreviousValue: new(true)}},
	})
	refused(t, err, fault.ValidationError, "usePreviousValue")
}

// TestLists takes accounts from an object.
func TestLists(t *testing.T) {
	w := newWorld(t)
	w.create()
	deploy := func(url string, change ...func(*api.DeploymentTargets)) (*api.CreateStackInstancesOutput, error) {
		to := &api.DeploymentTargets{AccountsUrl: url}
		for _, f := range change {
			f(to)
		}
		return w.CreateStackInstances(admin, &api.CreateStackInstancesInput{StackSetName: "s", DeploymentTargets: to, Regions: []string{"us-east-1"}})
	}
	for _, c := range []struct{ url, want string }{
		{"s3://bucket/other.csv", "no s3"},
		{"https://bucket.s3.amazonaws.com/none.txt", "lists no accounts"},
		{"s3://bucket/accounts.doc", ".csv"},
		{"s3://bucket/people.txt", "me is not an account"},
	} {
		_, err := deploy(c.url)
		refused(t, err, fault.ValidationError, c.want)
	}
	_, err := deploy("s3://bucket/accounts.csv", func(to *api.DeploymentTargets) { to.Accounts = []string{first} })
	refused(t, err, fault.ValidationError, "but not both")
	w.ended(must[*api.CreateStackInstancesOutput](t)(deploy("s3://bucket/accounts.csv")).OperationId, "SUCCEEDED")
	w.want("instances", w.list(), "222222222222 us-east-1 CURRENT SUCCEEDED\n333333333333 us-east-1 CURRENT SUCCEEDED\n")
}
