package lambda

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	api "github.com/slipway/slipway/api/lambda"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/keyring"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/store/storetest"
)

// What was acknowledged is there after a restart, and Pending becomes Active then.
func TestARestartGoesOn(t *testing.T) {
	dir, st, ring := t.TempDir(), storetest.New(t), keyring.Ephemeral()
	again := func(c *Config) { c.Dir, c.Store, c.Ring = dir, st, ring }
	w := newWorld(t, again)
	w.activate.Stop()
	if _, err := w.CreateFunction(w.ctx, w.creation("f")); err != nil {
		t.Fatal(err)
	}
	_, err := w.Invoke(w.ctx, &api.InvokeInput{FunctionName: "f"})
	refused(t, err, fault.ResourceConflictException, "Pending")
	w.Stop()
	w = newWorld(t, again)
	w.settled("f")
	if out := w.invoke("f", `"x"`); string(out.Payload) != `"x"` {
		t.Errorf("it answers %s", out.Payload)
	}
}

// A durable step that is repeated finds what it made.
func TestCreateRepeatsUnderItsToken(t *testing.T) {
	w := newWorld(t)
	ctx := auth.WithToken(w.ctx, "step-1")
	for range 2 {
		if _, err := w.CreateFunction(ctx, w.creation("f")); err != nil {
			t.Fatal(err)
		}
	}
	_, err := w.CreateFunction(auth.WithToken(w.ctx, "step-2"), w.creation("f"))
	refused(t, err, fault.ResourceConflictException, "already exist")
	w.settled("f")
	for range 2 {
		if out, err := w.PublishVersion(ctx, &api.PublishVersionInput{FunctionName: "f"}); err != nil || out.Version != "1" {
			t.Errorf("%+v, %v", out, err)
		}
		if _, err := w.CreateAlias(ctx, &api.CreateAliasInput{FunctionName: "f", Name: "a", FunctionVersion: "1"}); err != nil {
			t.Error(err)
		}
		if _, err := w.AddPermission(ctx, &api.AddPermissionInput{FunctionName: "f", StatementId: "s", Action: "lambda:InvokeFunction", Principal: "*"}); err != nil {
			t.Error(err)
		}
	}
}

// Secrets stand in no record as they are.
func TestVariablesAreSealed(t *testing.T) {
	w := newWorld(t)
	w.make("f", func(in *api.CreateFunctionInput) {
		in.Environment = &api.Environment{Variables: map[string]string{"PASSWORD": "hunter-two"}}
	})
	err := w.store.View(w.ctx, func(tx store.Tx) error {
		for doc, err := range tx.Scan("lambda/", "lambdb") {
			if err != nil {
				return err
			}
			if bytes.Contains(doc.Value, []byte("hunter-two")) || !json.Valid(doc.Value) {
				return errors.New(doc.Key + " tells the variable")
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
