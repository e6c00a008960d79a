package secretsmanager

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	lambda "github.com/slipway/slipway/api/lambda"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/workflow"
)

const (
	servicePrincipal = "secretsmanager.amazonaws.com"
	rotationFlow     = "secretsmanager/rotation"
)

// rotationSteps are what a rotation function is asked for, in order ("Rotation by
// Lambda function", AWS Secrets Manager User Guide).
var rotationSteps = []string{"createSecret", "setSecret", "testSecret", "finishSecret"}

type rotationParams struct {
	Key    string // of the secret
	Suffix string // of the secret, so that it is not a later one of its name
	Token  string // the version's id
	Test   bool   // only testSecret, and no version is left
}

// functionFailed is what a rotation function answered instead of success.
type functionFailed struct{ text string }

func (e *functionFailed) Error() string { return e.text }

// runRotation has the function do each step. A function is asked again where it
// fails, as its steps are to be repeatable; in the end the version stays pending
// and the next rotation tries it again.
func (s *Service) runRotation(f *workflow.Flow, p rotationParams) error {
	steps := rotationSteps
	if p.Test {
		steps = []string{"testSecret"}
	}
	var failure error
	for _, step := range steps {
		_, err := workflow.Step(f, step, func(ctx context.Context, _ string) (bool, error) { return true, s.ask(ctx, p, step) },
			s.retries...)
		if err != nil {
			failure = err
			break
		}
	}
	_, err := workflow.Tx(f, "end", func(tx store.Tx) (bool, error) { return failure == nil, s.endRotation(tx, f, p, failure == nil) })
	return errors.Join(failure, err)
}

// ask invokes the function for one step.
func (s *Service) ask(ctx context.Context, p rotationParams, step string) error {
	at := placeOf(p.Key)
	var function string
	err := s.store.View(ctx, func(tx store.Tx) error {
		sec, err := secrets.Get(tx, p.Key)
		if err == nil && (sec.Suffix != p.Suffix || sec.Rotation == nil || sec.Rotation.Running == "") {
			err = store.ErrNotFound
		}
		if err == nil {
			function = sec.Rotation.Lambda
		}
		return err
	})
	if err != nil {
		return err // the secret is gone, or its rotation was cancelled
	}
	full := at.arn(p.Suffix)
	event, err := json.Marshal(map[string]string{"Step": step, "SecretId": full, "ClientRequestToken": p.Token})
	if err != nil {
		return err
	}
	err = s.invoke(auth.With(ctx, auth.Call{Scope: at.Scope}), full, function, "RequestResponse", event)
	if _, final := fault.As(err); final {
		return workflow.Transient(err) // a function may be there again
	}
	return err
}

// invoke invokes a function on behalf of a secret, by leave of the function's policy.
func (s *Service) invoke(ctx context.Context, secretARN, function, kind string, event []byte) error {
	of, err := arn.Parse(secretARN)
	if err != nil {
		return err
	}
	region := regionOf(function)
	if region == "" {
		region = of.Region
	}
	ctx = auth.With(ctx, auth.Call{
		Principal: auth.Principal{Kind: auth.Service, Name: servicePrincipal, ARN: servicePrincipal, UserID: servicePrincipal},
		Scope:     arn.Scope{Account: of.Account, Region: region}, Service: "secretsmanager", Time: s.now(), RequestID: arn.NewID("req-"),
		SourceIP: servicePrincipal, UserAgent: servicePrincipal, SourceARN: secretARN, SourceAccount: of.Account,
	})
	out, err := s.function(ctx, &lambda.InvokeInput{FunctionName: function, InvocationType: kind, Payload: event})
	if err == nil && out.FunctionError != "" {
		err = &functionFailed{"the rotation function ended with " + out.FunctionError}
	}
	return err
}

// endRotation keeps how a rotation ended.
func (s *Service) endRotation(tx store.Tx, f *workflow.Flow, p rotationParams, done bool) error {
	sec, err := secrets.Get(tx, p.Key)
	if errors.Is(err, store.ErrNotFound) || err == nil && (sec.Suffix != p.Suffix || sec.Rotation == nil || sec.Rotation.Running != f.ID()) {
		return nil // gone, or cancelled
	}
	if err != nil {
		return err
	}
	switch {
	case p.Test:
		sec.Rotation.Running = ""
		sec.dropEmpty(p.Token)
	case done:
		sec.rotated(p.Token, s.now())
	default:
		sec.Rotation.Running = ""
		sec.Rotation.again(s.now())
	}
	return secrets.Put(tx, p.Key, sec)
}

// again sets when a rotation that failed is tried next.
func (r *rotation) again(now time.Time) {
	if when, err := parseSchedule(&r.Rules); err == nil && r.Enabled && !when.never() {
		r.Next = now.UTC().Add(time.Hour).Truncate(time.Second)
		r.Opens = r.Next
	}
}
