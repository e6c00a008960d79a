package lambda

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"

	api "github.com/slipway/slipway/api/lambda"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/compute/function"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// Bounds of what a function is given and gives back, in bytes ("Lambda quotas", AWS
// Lambda Developer Guide).
const (
	maxPayload = 6291456
	maxEvent   = 1 << 20
	maxContext = 3583 // of the client's context
)

// target is what an invocation goes to.
type target struct {
	looked
	invoked string // the ARN as the caller gave it
}

// aim finds the version that an invocation runs.
func (s *Service) aim(ctx context.Context, name, qualifier string, in any) (t target, err error) {
	if t.place, t.qualifier, err = named(ctx, name, qualifier); err != nil {
		return t, err
	}
	err = s.store.View(ctx, func(tx store.Tx) error {
		if err := s.permit(ctx, tx, t.place, t.qualifier, in); err != nil {
			return err
		}
		return s.aimIn(tx, &t)
	})
	t.invoked = t.arn(t.qualifier)
	return t, err
}

func (s *Service) aimIn(tx store.Tx, t *target) (err error) {
	shown := qualified(t.qualifier)
	if t.function, err = mustFunction(tx, t.place, shown); err != nil {
		return err
	}
	at := shown
	if at != latest && !isVersion(at) {
		a, err := getAlias(tx, t.place, at)
		if err != nil {
			return err
		}
		if a == nil {
			return notFound("Function not found: %s", t.arn(shown))
		}
		at = a.choose()
	}
	t.version, err = getVersion(tx, t.place, at)
	if err == nil && t.version == nil {
		err = notFound("Function not found: %s", t.arn(shown))
	}
	return err
}

// runnable refuses versions that cannot run yet, or at all.
func (t *target) runnable() error {
	switch st := t.version.State; st.Is {
	case api.StatePending:
		return conflict("The operation cannot be performed at this time. The function is currently in the following state: Pending")
	case api.StateFailed:
		return conflict("The operation cannot be performed at this time. The function is currently in the following state: Failed. %s", st.Reason)
	}
	return nil
}

// Invoke runs a function: now, later, or not at all, to see whether it could.
func (s *Service) Invoke(ctx context.Context, in *api.InvokeInput) (*api.InvokeOutput, error) {
	switch {
	case in.DurableExecutionName != "":
		return nil, notBuilt("Invoke", "DurableExecutionName")
	case in.TenantId != "":
		return nil, notBuilt("Invoke", "TenantId")
	}
	client, err := checkInvoke(in)
	if err != nil {
		return nil, err
	}
	t, err := s.aim(ctx, in.FunctionName, in.Qualifier, in)
	if err != nil {
		return nil, err
	}
	if err := t.runnable(); err != nil {
		return nil, err
	}
	call := auth.From(ctx)
	switch in.InvocationType {
	case api.InvocationTypeDryRun:
		return &api.InvokeOutput{StatusCode: new(int32(204))}, nil
	case api.InvocationTypeEvent:
		if err := s.enqueue(ctx, &t, in.Payload, client); err != nil {
			return nil, err
		}
		return &api.InvokeOutput{StatusCode: new(int32(202))}, nil
	}
	id := call.RequestID
	if !arn.IsUUID(id) || call.Token != "" {
		id = arn.NewUUID()
	}
	res, err := s.run(ctx, t.place, t.function, t.version, function.Invocation{
		RequestID: id, InvokedARN: t.invoked, Payload: payloadOf(in.Payload), ClientContext: client,
	})
	if err != nil {
		return nil, err
	}
	out := &api.InvokeOutput{StatusCode: new(int32(200)), Payload: res.Payload, FunctionError: res.FunctionError, ExecutedVersion: t.version.Version}
	if in.LogType == api.LogTypeTail {
		out.LogResult = base64.StdEncoding.EncodeToString(res.Tail)
	}
	return out, nil
}

func payloadOf(given []byte) []byte {
	if len(given) == 0 {
		return []byte("{}")
	}
	return given
}

// checkInvoke refuses payloads that are too large, or no JSON. It gives the client's
// context, which comes in base64.
func checkInvoke(in *api.InvokeInput) (client string, err error) {
	kind, most := in.InvocationType, maxPayload
	if kind == "" {
		kind = api.InvocationTypeRequestResponse
	}
	if kind == api.InvocationTypeEvent {
		most = maxEvent
	}
	if len(in.Payload) > most {
		return "", fail(fault.RequestTooLargeException, "%d byte payload is too large for the %s invocation type (limit %d bytes)", len(in.Payload), kind, most)
	}
	if len(in.Payload) > 0 && !json.Valid(in.Payload) {
		return "", fail(fault.InvalidRequestContentException, "Could not parse request body into json: %s", parseTrouble(in.Payload))
	}
	if in.ClientContext == "" {
		return "", nil
	}
	b, err := base64.StdEncoding.DecodeString(in.ClientContext)
	if err != nil || len(in.ClientContext) > maxContext || !json.Valid(b) {
		return "", fail(fault.InvalidRequestContentException, "Client context must be a valid Base64-encoded JSON object.")
	}
	return string(b), nil
}

// parseTrouble says what is wrong with a payload, without the payload.
func parseTrouble(payload []byte) string {
	var v any
	if err := json.Unmarshal(payload, &v); err != nil {
		return err.Error()
	}
	return "not JSON"
}

// InvokeAsync is Invoke later, as clients of long ago call it.
func (s *Service) InvokeAsync(ctx context.Context, in *api.InvokeAsyncInput) (*api.InvokeAsyncOutput, error) {
	payload, err := io.ReadAll(io.LimitReader(in.InvokeArgs, maxEvent+1))
	if err != nil {
		return nil, fault.New(fault.IncompleteBody, "The request's body could not be read whole.").Because(err)
	}
	client, err := checkInvoke(&api.InvokeInput{InvocationType: api.InvocationTypeEvent, Payload: payload})
	if err != nil {
		return nil, err
	}
	t, err := s.aim(ctx, in.FunctionName, "", in)
	if err == nil {
		err = t.runnable()
	}
	if err == nil {
		err = s.enqueue(ctx, &t, payload, client)
	}
	if err != nil {
		return nil, err
	}
	return &api.InvokeAsyncOutput{Status: new(int32(202))}, nil
}
