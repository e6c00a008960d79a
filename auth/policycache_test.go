package auth

import (
	"context"
	"testing"

	"github.com/slipway/slipway/auth/policy"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/store/storetest"
)

// countedPolicies counts how often they are asked.
type countedPolicies struct {
	fixedPolicies
	asked, managed int
}

func (c *countedPolicies) PoliciesOf(ctx context.Context, p Principal) ([]*policy.Document, *policy.Document, error) {
	c.asked++
	return c.fixedPolicies.PoliciesOf(ctx, p)
}

func (c *countedPolicies) ManagedPolicy(ctx context.Context, account, name string) (*policy.Document, error) {
	c.managed++
	return c.fixedPolicies.ManagedPolicy(ctx, account, name)
}

func TestPoliciesAreKeptUntilTheyChange(t *testing.T) {
	st := storetest.New(t)
	from := &countedPolicies{fixedPolicies: fixedPolicies{identity: `{"Effect":"Allow","Action":"*","Resource":"*"}`}}
	c := NewPolicyCache(from, st, "iam/")
	defer c.Close()
	change := func(key string) {
		t.Helper()
		if err := st.Update(t.Context(), func(tx store.Tx) error { return tx.Put(key, []byte("1")) }); err != nil {
			t.Fatal(err)
		}
	}
	one := Principal{Kind: AssumedRole, Account: "123456789012", Name: "r", UserID: "AROAX:one"}
	two := Principal{Kind: AssumedRole, Account: "123456789012", Name: "r", UserID: "AROAX:two"}
	anew := Principal{Kind: AssumedRole, Account: "123456789012", Name: "r", UserID: "AROAY:one"}
	for _, step := range []struct {
		who    Principal
		change string
		asked  int
	}{
		{one, "", 1}, {one, "", 1}, {two, "", 1}, {anew, "", 2}, {ann, "", 3}, {one, "sqs/queue/x", 3}, {one, "iam/role/x", 4}, {one, "", 4}, {ann, "", 5},
	} {
		if step.change != "" {
			change(step.change)
		}
		docs, _, err := c.PoliciesOf(t.Context(), step.who)
		if err != nil || len(docs) != 1 || from.asked != step.asked {
			t.Errorf("%s after %q: asked %d times, want %d (%v)", step.who.UserID, step.change, from.asked, step.asked, err)
		}
	}
	for i, key := range []string{"", "", "iam/policy/x"} {
		if key != "" {
			change(key)
		}
		if _, err := c.ManagedPolicy(t.Context(), "123456789012", "arn:p"); err != nil || from.managed != 1+i/2 {
			t.Errorf("managed policy, %d: asked %d times (%v)", i, from.managed, err)
		}
	}
}
