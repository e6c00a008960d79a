package stackset

import (
	"context"
	"strings"
	"testing"
	"time"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/api/lambda"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
)

// answers is a Lambda that answers one thing.
type answers struct {
	lambda.Unimplemented
	out   string
	fails bool
	err   error
	asked lambda.InvokeInput
	by    auth.Principal
}

func (a *answers) Invoke(ctx context.Context, in *lambda.InvokeInput) (*lambda.InvokeOutput, error) {
	a.asked, a.by = *in, auth.From(ctx).Principal
	out := &lambda.InvokeOutput{Payload: []byte(a.out)}
	if a.fails {
		out.FunctionError = "Unhandled"
	}
	return out, a.err
}

// TestGate asks an account's gate, which alone may say that an operation comes in.
func TestGate(t *testing.T) {
	role := auth.Principal{Kind: auth.AssumedRole, Account: first, Name: "role"}
	for _, c := range []struct {
		name string
		fn   answers
		want string
	}{
		{"in", answers{out: `{"Status": "SUCCEEDED"}`}, "SUCCEEDED"},
		{"in, on lines", answers{out: "{\n\t\"Status\":\n\t\"SUCCEEDED\"\n}"}, "SUCCEEDED"},
		{"out", answers{out: `{"Status": "FAILED"}`}, "FAILED"},
		{"out, with a word of what would be in", answers{out: `{"Status": "FAILED", "Wants": {"Status": "SUCCEEDED"}}`}, "FAILED"},
		{"no answer", answers{out: `null`}, "FAILED"},
		{"an error that says it", answers{out: `{"Status": "SUCCEEDED"}`, fails: true}, "FAILED"},
		{"no function", answers{err: fault.New(fault.ResourceNotFoundException, "Function not found")}, "SKIPPED"},
		{"not for this role", answers{err: fault.New(fault.AccessDeniedException, "no")}, "SKIPPED"},
		{"a function that cannot run", answers{err: fault.New(fault.LambdaServiceException, "broken")}, "FAILED"},
	} {
		s := &Service{cfg: Config{Lambda: &c.fn, Now: time.Now}}
		got, _, err := s.gate(t.Context(), &operation{}, role, task{Kind: creating, Account: first, Region: "eu-west-1"})
		if err != nil || got != c.want {
			t.Errorf("%s: %s, %v; want %s", c.name, got, err, c.want)
		}
		if c.fn.by.Name != role.Name || !strings.HasPrefix(c.fn.asked.FunctionName, "arn:aws:lambda:eu-west-1:"+first+":") || string(c.fn.asked.Payload) != `{"accountId":"`+first+`","region":"eu-west-1"}` {
			t.Errorf("%s: asked %s of %s", c.name, c.fn.asked.Payload, c.fn.asked.FunctionName)
		}
	}
	s := &Service{cfg: Config{Lambda: &answers{}}}
	if got, _, err := s.gate(t.Context(), &operation{}, role, task{Kind: detecting}); got != "" || err != nil {
		t.Errorf("a look at drift asks: %s, %v", got, err)
	}
	if got, why, _ := (&Service{}).gate(t.Context(), &operation{}, role, task{}); got != api.AccountGateStatusSkipped || why == "" {
		t.Errorf("without Lambda: %s %s", got, why)
	}
}
