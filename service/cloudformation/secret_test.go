package cloudformation_test

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/auth/keyring"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/service/cloudformation"
	"github.com/slipway/slipway/store"
)

// TestSecretAttributesAreSealed follows an attribute that can be read only once:
// the store never holds it, templates get it, events do not show it.
func TestSecretAttributesAreSealed(t *testing.T) {
	const secret = "wJalrXUtnFEMIKEEPOUT"
	w := newWorld(t, func(cfg *cloudformation.Config) {
		cfg.Ring = keyring.Ephemeral()
		cfg.Types.Add(cfn.Type{
			Name: "AWS::Test::Keyed", Secret: []string{"Secret"},
			Create: func(context.Context, cfn.Request) (cfn.Result, error) {
				return cfn.Result{PhysicalID: "key-1", Attributes: cfn.Properties{"Arn": "arn:key-1", "Secret": secret}}, nil
			},
			Delete: func(context.Context, cfn.Request) error { return nil },
		})
	})
	const key = "Resources:\n  K: {Type: 'AWS::Test::Keyed'}\n"
	w.create("s", key)
	w.settle("s", "CREATE_COMPLETE")
	if err := w.store.View(w.ctx, func(tx store.Tx) error {
		for doc, err := range tx.Scan("", "") {
			if err != nil {
				return err
			}
			if bytes.Contains(doc.Value, []byte(secret)) {
				t.Errorf("%s holds the secret", doc.Key)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}

	const user = key + "  T: {Type: 'AWS::Test::Thing', Properties: {Name: t, Value: !Sub 'x-${K.Secret}'}}\n"
	w.updateTo("s", user)
	w.settle("s", "UPDATE_COMPLETE")
	w.cloud.mu.Lock()
	if got := w.cloud.there["t"]["Value"]; got != "x-"+secret {
		t.Errorf("the template got %v", got)
	}
	w.cloud.mu.Unlock()
	events, err := w.DescribeStackEvents(w.ctx, &api.DescribeStackEventsInput{StackName: "s"})
	if err != nil {
		t.Fatal(err)
	}
	shown := 0
	for _, e := range events.StackEvents {
		if strings.Contains(e.ResourceProperties, secret) {
			t.Errorf("an event shows the secret: %s", e.ResourceProperties)
		}
		if strings.Contains(e.ResourceProperties, `"x-****"`) {
			shown++
		}
	}
	if shown == 0 {
		t.Error("no event shows the masked property")
	}

	// What it is sealed to differs each time; what it is does not.
	w.updateTo("s", user+"  U: {Type: 'AWS::Test::Thing'}\n")
	w.settle("s", "UPDATE_COMPLETE")
	if calls := w.cloud.calls(); slices.Contains(calls, "update T") || !slices.Contains(calls, "create U") {
		t.Errorf("calls %v", calls)
	}
}

// TestSecretsNeedAKey: without one nothing that has a secret is made.
func TestSecretsNeedAKey(t *testing.T) {
	w := newWorld(t, func(cfg *cloudformation.Config) {
		cfg.Types.Add(cfn.Type{
			Name: "AWS::Test::Keyed", Secret: []string{"Secret"},
			Create: func(context.Context, cfn.Request) (cfn.Result, error) {
				return cfn.Result{PhysicalID: "key-1", Attributes: cfn.Properties{"Secret": "s"}}, nil
			},
			Delete: func(context.Context, cfn.Request) error { return nil },
		})
	})
	w.create("s", "Resources:\n  K: {Type: 'AWS::Test::Keyed'}\n")
	w.settle("s", "ROLLBACK_COMPLETE")
}
