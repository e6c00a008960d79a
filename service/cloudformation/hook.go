package cloudformation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/slipway/slipway/api/lambda"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/cfn/apply"
	"github.com/slipway/slipway/cfn/hook"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// hooks are the hooks of an account and region that a target meets.
func (s *Service) hooks(tx store.Tx, scope arn.Scope, t hook.Target) (met []apply.Hook, err error) {
	for it, err := range extensions.Scan(tx, scope.Key()+"/"+hookKind+"/") {
		if err != nil {
			return nil, err
		}
		e := it.Value
		if e.Deprecated {
			continue
		}
		text, version, err := s.configuration(tx, e)
		if err != nil {
			return nil, err
		}
		if text == "" {
			continue // it is not configured, and so not enabled
		}
		c, err := hook.Parse(text)
		if err != nil {
			return nil, err
		}
		if !c.Meets(t) {
			continue
		}
		v, err := e.getVersion(tx, "")
		if err != nil {
			return nil, err
		}
		if !v.handles(t) {
			continue
		}
		h := apply.Hook{
			Type: e.Name, Original: e.Original, ARN: e.arn(""), Version: v.Version, Mode: c.FailureMode, Function: v.Function, Role: v.Role,
			Model: string(c.Properties), Config: version,
		}
		if e.Original == lambdaHook {
			var own struct{ LambdaFunction string }
			if err := json.Unmarshal(c.Properties, &own); err != nil {
				return nil, err
			}
			h.Function = own.LambdaFunction
		}
		met = append(met, h)
	}
	return met, nil
}

// handles reports whether a hook's schema declares a handler of a target.
func (v *extensionVersion) handles(t hook.Target) bool {
	var d struct {
		Handlers map[string]struct{ TargetNames []string }
	}
	name := t.Name
	if t.Operation == hook.Stack || t.Operation == hook.ChangeSet {
		name = t.Operation
	}
	handler := map[string]string{hook.Create: "preCreate", hook.Update: "preUpdate", hook.Delete: "preDelete"}[t.Action]
	return json.Unmarshal([]byte(v.Schema), &d) == nil &&
		slices.ContainsFunc(d.Handlers[handler].TargetNames, func(pattern string) bool { return hook.Match(pattern, name) })
}

// hookRequest is what a hook's function is given ("Create a Lambda function to
// evaluate resources for Lambda Hooks", AWS CloudFormation Hooks User Guide).
type hookRequest struct {
	ClientRequestToken    string          `json:"clientRequestToken"`
	AWSAccountID          string          `json:"awsAccountId"`
	StackID               string          `json:"stackId"`
	ChangeSetID           *string         `json:"changeSetId"`
	HookTypeName          string          `json:"hookTypeName"`
	HookTypeVersion       string          `json:"hookTypeVersion"`
	HookModel             json.RawMessage `json:"hookModel"`
	ActionInvocationPoint string          `json:"actionInvocationPoint"`
	RequestData           hookRequestData `json:"requestData"`
	RequestContext        hookContext     `json:"requestContext"`
}

type hookRequestData struct {
	TargetName      string     `json:"targetName"`
	TargetType      string     `json:"targetType"`
	TargetLogicalID string     `json:"targetLogicalId"`
	TargetModel     *hookModel `json:"targetModel,omitempty"`
	Payload         string     `json:"payload,omitempty"` // the URL of what is said of a stack
	// CallerCredentials are those of the execution role, as JSON in a text: of hooks
	// that were registered.
	CallerCredentials string `json:"callerCredentials,omitempty"`
}

type hookModel struct {
	ResourceProperties         cfn.Properties `json:"resourceProperties"`
	PreviousResourceProperties cfn.Properties `json:"previousResourceProperties,omitempty"`
}

type hookContext struct {
	Invocation      int             `json:"invocation"`
	CallbackContext json.RawMessage `json:"callbackContext"`
}

// hookAnswer is what it answers.
type hookAnswer struct {
	HookStatus           string
	ErrorCode            string
	Message              string
	ClientRequestToken   string
	CallbackContext      json.RawMessage
	CallbackDelaySeconds int
}

// verdict is what an answer comes to; "" : the hook is not done.
func (a *hookAnswer) verdict(token string) (status, reason string) {
	switch {
	case a.ClientRequestToken != "" && a.ClientRequestToken != token:
		return apply.HookFailed, "Hook failed with message: the function answered with another clientRequestToken than it was given"
	case a.HookStatus == "SUCCESS":
		return apply.HookSucceeded, "Hook succeeded with message: " + cut(a.Message, maxHookMessage)
	case a.HookStatus == "FAILED" && a.ErrorCode == "NonCompliant":
		return apply.HookRefused, "Hook failed with message: " + cut(a.Message, maxHookMessage)
	case a.HookStatus == "FAILED":
		return apply.HookFailed, "Hook failed with message: " + cut(a.Message, maxHookMessage)
	case a.HookStatus == "IN_PROGRESS" || a.HookStatus == "PENDING":
		return "", ""
	}
	return apply.HookFailed, fmt.Sprintf("Hook failed with message: the function answered with hookStatus %q, which is none", cut(a.HookStatus, 40))
}

// maxHookMessage bounds what a hook's function may say.
const maxHookMessage = 1024

// hookTime is how long a hook may take, with all that it waits.
const hookTime = 30 * time.Minute

// callHook has a hook's function answer about a target, as often as it says that it
// is not done.
func (s *Service) callHook(ctx context.Context, h apply.Hook, t apply.HookTarget, token string) (none apply.HookAnswer, err error) {
	ctx, cancel := context.WithTimeout(ctx, hookTime)
	defer cancel()
	credentials := ""
	if h.Original != "" {
		ctx, err = s.asRole(ctx, h.Role, hooksService)
	} else {
		credentials, err = s.hookCredentials(ctx, h.Role)
		ctx = asService(ctx)
	}
	if err != nil {
		return none, err
	}
	if h.Original == guardHook {
		return s.evaluateGuard(ctx, h, t, token)
	}
	req := hookRequest{
		ClientRequestToken: arn.UUIDFrom(token), AWSAccountID: t.Stack.Scope.Account, StackID: t.Stack.ID, HookTypeName: h.Type,
		HookTypeVersion: h.Version, HookModel: json.RawMessage(h.Model), ActionInvocationPoint: t.Action + "_" + hook.PreProvision,
		RequestData:    hookRequestData{TargetName: t.Type, TargetType: t.Type, TargetLogicalID: t.LogicalID, CallerCredentials: credentials},
		RequestContext: hookContext{Invocation: 1},
	}
	if len(h.Model) == 0 {
		req.HookModel = json.RawMessage("{}")
	}
	if t.Stack.ChangeSetID != "" {
		req.ChangeSetID = &t.Stack.ChangeSetID
	}
	if t.Operation == hook.Stack || t.Operation == hook.ChangeSet {
		req.RequestData.TargetName, req.RequestData.TargetType = t.Operation, t.Operation
		closePayload, err := s.openPayload(ctx, &req, &t)
		if err != nil {
			return none, err
		}
		defer closePayload()
	} else {
		req.RequestData.TargetModel = &hookModel{ResourceProperties: t.Properties, PreviousResourceProperties: t.Prior}
		if t.Properties == nil {
			req.RequestData.TargetModel.ResourceProperties = cfn.Properties{}
		}
	}
	for ; ; req.RequestContext.Invocation++ {
		var a hookAnswer
		err := s.handler(ctx, h.Function, req, &a)
		if err == nil {
			if status, reason := a.verdict(req.ClientRequestToken); status != "" {
				return apply.HookAnswer{Status: status, Reason: reason}, nil
			}
			req.RequestContext.CallbackContext = a.CallbackContext
			err = pause(ctx, time.Duration(a.CallbackDelaySeconds)*time.Second)
		}
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return apply.HookAnswer{Status: apply.HookFailed, Reason: "Hook failed with message: the hook was not done within 30 minutes"}, nil
		}
		if err != nil {
			return none, err
		}
	}
}

// hookCredentials are those of a registered hook's role, as its plugin reads them.
func (s *Service) hookCredentials(ctx context.Context, roleARN string) (string, error) {
	if roleARN == "" || s.cfg.ExecutionCredentials == nil {
		return "", nil
	}
	c, err := s.cfg.ExecutionCredentials(ctx, roleARN, hooksService)
	if err != nil {
		return "", err
	}
	b, err := json.Marshal(c)
	return string(b), err
}

// asService makes the context in which CloudFormation itself calls.
func asService(ctx context.Context) context.Context {
	c := auth.From(ctx)
	c.Principal = auth.Principal{Kind: auth.Service, Account: c.Scope.Account, Name: servicePrincipal, ARN: servicePrincipal, UserID: servicePrincipal}
	c.SourceAccount = c.Scope.Account
	return auth.With(ctx, c)
}

// asRole makes the context in which a role calls that CloudFormation assumes as a
// service of its own.
func (s *Service) asRole(ctx context.Context, roleARN, service string) (context.Context, error) {
	if s.cfg.AssumeAs == nil {
		return nil, fault.New(fault.NotImplemented, "execution roles are not implemented")
	}
	p, err := s.cfg.AssumeAs(ctx, roleARN, service)
	if err != nil {
		return nil, err
	}
	c := auth.From(ctx)
	c.Principal = p
	return auth.With(ctx, c), nil
}

// maxCallbackDelay bounds what a handler may ask to wait ("ProgressEvent object
// schema", CloudFormation CLI User Guide).
const maxCallbackDelay = 43200 * time.Second

// pause waits as a handler asked to.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(min(max(d, 0), maxCallbackDelay))
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// cut bounds a text that a function has answered with.
func cut(text string, most int) string {
	if r := []rune(text); len(r) > most {
		return string(r[:most])
	}
	return text
}

// handler has a function answer a request with JSON.
func (s *Service) handler(ctx context.Context, function string, request, answer any) error {
	if key, ok := strings.CutPrefix(function, localPrefix); ok {
		return s.askLocal(ctx, key, request, answer)
	}
	if s.cfg.Lambda == nil {
		return fault.New(fault.NotImplemented, "handlers in Lambda are not implemented: this Slipway has no Lambda")
	}
	payload, err := json.Marshal(request)
	if err != nil {
		return err
	}
	out, err := s.cfg.Lambda.Invoke(auth.WithToken(ctx, ""), &lambda.InvokeInput{FunctionName: function, Payload: payload})
	if err != nil {
		return err
	}
	if out.FunctionError != "" {
		var told struct{ ErrorMessage, ErrorType string }
		_ = json.Unmarshal(out.Payload, &told)
		return fault.New("InternalFailure", "the function %s failed: %s", function, cut(told.ErrorMessage, 1024))
	}
	if err := json.Unmarshal(out.Payload, answer); err != nil {
		return fault.New("InternalFailure", "the function %s did not answer with a progress event", function)
	}
	return nil
}
