package cloudformation_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/api/secretsmanager"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/keyring"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/service/cloudformation"
	"github.com/slipway/slipway/store"
)

// vault is a Secrets Manager. Its values are found by id, stage and version.
type vault struct {
	secretsmanager.Unimplemented
	values map[string]string
	mu     sync.Mutex
	asked  []auth.Call
}

func (v *vault) GetSecretValue(ctx context.Context, in *secretsmanager.GetSecretValueInput) (*secretsmanager.GetSecretValueOutput, error) {
	v.mu.Lock()
	v.asked = append(v.asked, auth.From(ctx))
	v.mu.Unlock()
	text, ok := v.values[in.SecretId+"|"+in.VersionStage+"|"+in.VersionId]
	if !ok {
		return nil, fault.New(fault.ResourceNotFoundException, "Secrets Manager can't find the specified secret.")
	}
	return &secretsmanager.GetSecretValueOutput{SecretString: text}, nil
}

const secretARN = "arn:aws:secretsmanager:us-east-1:111111111111:secret:app/db-AbCdEf"

func TestSecretReferences(t *testing.T) {
	v := &vault{values: map[string]string{
		"app/db||":               `{"password":"tops3cret","port":5432,"nested":{"a":[1]},"none":null}`,
		secretARN + "||":         `{"password":"by arn"}`,
		"app/db|AWSPREVIOUS|":    `{"password":"before"}`,
		"app/db||version-1":      "whole",
		"app/text||":             "tops3cret text",
		"app/binary|AWSCURRENT|": "",
	}}
	w := newWorld(t, func(c *cloudformation.Config) { c.Secrets = v })
	thing := func(value string) string {
		return "Resources:\n  A: {Type: 'AWS::Test::Thing', Properties: {Name: a, Value: '" + value + "'}}\n"
	}
	w.create("s", thing("start"))
	w.settle("s", "CREATE_COMPLETE")
	for _, c := range []struct{ value, want string }{
		{"{{resolve:secretsmanager:app/db:SecretString:password}}", "tops3cret"},
		{"postgres://u:{{resolve:secretsmanager:app/db:SecretString:password}}@h:{{resolve:secretsmanager:app/db:SecretString:port}}", "postgres://u:tops3cret@h:5432"},
		{"{{resolve:secretsmanager:app/db::nested}}", `{"a":[1]}`},
		{"{{resolve:secretsmanager:app/text}}", "tops3cret text"},
		{"{{resolve:secretsmanager:app/text:SecretString:}}", "tops3cret text"},
		{"{{resolve:secretsmanager:app/text:SecretString:::}}", "tops3cret text"},
		{"{{resolve:secretsmanager:" + secretARN + ":SecretString:password}}", "by arn"},
		{"{{resolve:secretsmanager:app/db:SecretString:password:AWSPREVIOUS}}", "before"},
		{"{{resolve:secretsmanager:app/db:SecretString:::version-1}}", "whole"},
	} {
		w.updateTo("s", thing(c.value))
		w.settle("s", "UPDATE_COMPLETE")
		if got := w.cloud.there["a"]["Value"]; got != c.want {
			t.Errorf("%s is %v", c.value, got)
		}
	}
	for value, says := range map[string]string{
		"{{resolve:secretsmanager:app/none}}":                               "can't find the specified secret",
		"{{resolve:secretsmanager:app/db:SecretBinary}}":                    "Only SecretString",
		"{{resolve:secretsmanager:app/db:SecretString:user}}":               "Could not find a value associated with JSONKey",
		"{{resolve:secretsmanager:app/db:SecretString:none}}":               "Could not find a value associated with JSONKey",
		"{{resolve:secretsmanager:app/text:SecretString:k}}":                "Could not parse SecretString JSON",
		"{{resolve:secretsmanager:app/db:SecretString:k:AWSCURRENT:v}}":     "not both",
		"{{resolve:secretsmanager:app/db:SecretString:k:AWSCURRENT::more}}": "Incorrect format",
		"{{resolve:secretsmanager:}}":                                       "Incorrect format",
		"{{resolve:secretsmanager:app/binary::: }}":                         "can't find",
		"{{resolve:secretsmanager:app/binary:::AWSCURRENT}}":                "has no SecretString",
	} {
		w.updateTo("s", thing(value))
		w.settle("s", "UPDATE_ROLLBACK_COMPLETE")
		if reason := w.reasons("s"); !strings.Contains(reason, says) || strings.Contains(reason, "tops3cret") {
			t.Errorf("%s: %s", value, reason)
		}
	}
	if c := v.asked[0]; c.Principal.ARN != "arn:aws:iam::111111111111:root" || c.Service != "cloudformation" {
		t.Errorf("asked as %+v", c)
	}
}

// reasons are those of a stack's events.
func (w *world) reasons(name string) string {
	w.t.Helper()
	out, err := w.DescribeStackEvents(w.ctx, &api.DescribeStackEventsInput{StackName: name})
	if err != nil {
		w.t.Fatal(err)
	}
	var all strings.Builder
	for _, e := range out.StackEvents {
		all.WriteString(e.ResourceStatusReason + "\n")
	}
	return all.String()
}

// TestReferencedSecretsStayHidden follows a secret that a template refers to: the
// resource has it, and nothing else: no record, no event, no change set, no drift,
// no log, even where the resource's service repeats it.
func TestReferencedSecretsStayHidden(t *testing.T) {
	const secret = "tops3cret-value"
	v := &vault{values: map[string]string{"db||": secret}}
	var log bytes.Buffer
	w := newWorld(t, func(c *cloudformation.Config) {
		c.Secrets, c.Ring, c.Logger = v, keyring.Ephemeral(), slog.New(slog.NewTextHandler(&log, nil))
		c.Types.Add(cfn.Type{
			Name: "AWS::Test::Echo", // tells what it was given, as AWS::SSM::Parameter does
			Create: func(_ context.Context, r cfn.Request) (cfn.Result, error) {
				return cfn.Result{PhysicalID: "echo-1", Attributes: cfn.Properties{"Told": r.Properties["Value"]}}, nil
			},
			Delete: func(context.Context, cfn.Request) error { return nil },
		})
	})
	const body = `
Resources:
  K: {Type: 'AWS::Test::Echo', Properties: {Value: 'is {{resolve:secretsmanager:db}}'}}
  B: {Type: 'AWS::Test::Thing', Properties: {Name: b, Value: '{{resolve:secretsmanager:db}}'}}
`
	hidden := func(when string) {
		t.Helper()
		err := w.store.View(w.ctx, func(tx store.Tx) error {
			for doc, err := range tx.Scan("", "") {
				if err != nil {
					return err
				}
				if bytes.Contains(doc.Value, []byte(secret)) {
					t.Errorf("%s: %s holds the secret", when, doc.Key)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(log.String(), secret) {
			t.Errorf("%s: the log has the secret: %s", when, log.String())
		}
	}
	id := w.create("s", body)
	w.settle("s", "CREATE_COMPLETE")
	w.cloud.mu.Lock()
	if b := w.cloud.there["b"]["Value"]; b != secret {
		t.Errorf("B got %v", b)
	}
	w.cloud.mu.Unlock()
	hidden("created")

	drift, err := w.DetectStackResourceDrift(w.ctx, &api.DetectStackResourceDriftInput{StackName: "s", LogicalResourceId: "B"})
	if err != nil || drift.StackResourceDrift.StackResourceDriftStatus != "IN_SYNC" || strings.Contains(drift.StackResourceDrift.ActualProperties, secret) {
		t.Errorf("drift: %+v, %v", drift, err)
	}

	// An import leaves the value where it is.
	w.cloud.put("i", cfn.Properties{"Name": "i", "Value": secret})
	w.mustImport("other", "Resources:\n  I: {Type: 'AWS::Test::Thing', DeletionPolicy: Retain, Properties: {Name: i, Value: '{{resolve:secretsmanager:db}}'}}\n",
		"IMPORT_COMPLETE", "I", "i")
	w.cloud.mu.Lock()
	if i := w.cloud.there["i"]["Value"]; i != secret {
		t.Errorf("I is %v", i)
	}
	// The secret of a resource that is something else stays hidden, too.
	w.cloud.there["j"] = cfn.Properties{"Name": "j", "Value": "something else"}
	w.cloud.mu.Unlock()
	w.mustImport("another", "Resources:\n  J: {Type: 'AWS::Test::Thing', DeletionPolicy: Retain, Properties: {Name: j, Value: '{{resolve:secretsmanager:db}}'}}\n",
		"IMPORT_COMPLETE", "J", "j")
	w.cloud.mu.Lock()
	if j := w.cloud.there["j"]["Value"]; j != "something else" {
		t.Errorf("J is %v", j)
	}
	w.cloud.mu.Unlock()
	hidden("imported")

	// What a service says of the value is not told with the value.
	for _, refusal := range []error{fault.New("InvalidThing", "the value %s is too short", secret), errors.New("cannot dial " + secret)} {
		w.cloud.create = func(_ context.Context, r cfnRequest) error {
			if r.LogicalID == "C" {
				return refusal
			}
			return nil
		}
		w.updateTo("s", body+"  C: {Type: 'AWS::Test::Thing', Properties: {Value: '{{resolve:secretsmanager:db}}'}}\n")
		w.settle("s", "UPDATE_ROLLBACK_COMPLETE")
		hidden("refused")
	}
	if reasons := w.reasons("s"); !strings.Contains(reasons, "the value **** is too short") {
		t.Errorf("reasons %s", reasons)
	}
	if !strings.Contains(log.String(), "cannot dial ****") {
		t.Errorf("log %s", log.String())
	}

	// An attribute that tells the secret is one of the template's, which events mask.
	w.cloud.create = nil
	w.updateTo("s", body+"  A: {Type: 'AWS::Test::Thing', Properties: {Name: a, Value: !GetAtt K.Told}}\n")
	w.settle("s", "UPDATE_COMPLETE")
	w.cloud.mu.Lock()
	if a := w.cloud.there["a"]["Value"]; a != "is "+secret {
		t.Errorf("A got %v", a)
	}
	w.cloud.mu.Unlock()
	events, err := w.DescribeStackEvents(w.ctx, &api.DescribeStackEventsInput{StackName: "s"})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events.StackEvents {
		if strings.Contains(e.ResourceProperties+e.ResourceStatusReason, secret) {
			t.Errorf("an event shows the secret: %+v", e)
		}
	}

	// A resource whose secret is gone can be deleted.
	v.values = nil
	w.drop("s")
	w.settle(id, "DELETE_COMPLETE")
	if things := w.cloud.things(); slices.Contains(things, "b") {
		t.Errorf("left %v", things)
	}
}
