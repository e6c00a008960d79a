package secretsmanager

import (
	"context"
	"slices"
	"strconv"
	"time"

	api "github.com/slipway/slipway/api/secretsmanager"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// rotation is how a secret is rotated ("Rotate AWS Secrets Manager secrets", AWS
// Secrets Manager User Guide).
type rotation struct {
	Enabled bool
	Lambda  string // ARN of the function
	Rules   api.RotationRulesType
	Last    time.Time `json:",omitzero"`  // when the latest one was complete
	Opens   time.Time `json:",omitzero"`  // when the next one may begin
	Next    time.Time `json:",omitzero"`  // by when it is to; zero: on demand only
	Running string    `json:",omitempty"` // the workflow under way
	Count   int       // of the workflows so far
	Token   string    `json:",omitempty"` // the latest RotateSecret's
}

// RotateSecret says how a secret is rotated, and rotates it: a workflow has the
// function make, set, test and finish a version. A rotation that failed is
// repeated with its version.
func (s *Service) RotateSecret(ctx context.Context, in *api.RotateSecretInput) (*api.RotateSecretOutput, error) {
	if len(in.ExternalSecretRotationMetadata) > 0 || in.ExternalSecretRotationRoleArn != "" {
		return nil, fault.New(fault.NotImplemented, "RotateSecret: ExternalSecretRotationMetadata is not built: there are no external secrets.")
	}
	if err := needsToken(in.ClientRequestToken); err != nil {
		return nil, err
	}
	if in.RotationRules != nil {
		if _, err := parseSchedule(in.RotationRules); err != nil {
			return nil, err
		}
	}
	if err := s.invocable(ctx, in); err != nil {
		return nil, err
	}
	out := &api.RotateSecretOutput{VersionId: in.ClientRequestToken}
	var err error
	out.ARN, out.Name, err = s.changeIn(ctx, in.SecretId, in, func(tx store.Tx, p place, sec *secret) error {
		if sec.Rotation != nil && sec.Rotation.Token == in.ClientRequestToken {
			return nil // the same call
		}
		return s.rotate(tx, p, sec, in)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// invocable refuses a function that Secrets Manager may not invoke for the secret.
func (s *Service) invocable(ctx context.Context, in *api.RotateSecretInput) error {
	var full, function string
	err := s.store.View(ctx, func(tx store.Tx) error {
		p, sec, err := s.alive(ctx, tx, in.SecretId, in)
		if err != nil {
			return err
		}
		full, function = p.arn(sec.Suffix), in.RotationLambdaARN
		if function == "" && sec.Rotation != nil {
			function = sec.Rotation.Lambda
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case function == "":
		return invalidRequest("No Lambda rotation function ARN is associated with this secret.")
	}
	if err := s.invoke(ctx, full, function, "DryRun", nil); err != nil {
		return fault.New(fault.AccessDeniedException,
			"Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy grants access to the principal secretsmanager.amazonaws.com.").Because(err)
	}
	return nil
}

// rotate keeps what a RotateSecret says, and begins its workflow.
func (s *Service) rotate(tx store.Tx, p place, sec *secret, in *api.RotateSecretInput) error {
	if sec.Rotation == nil {
		sec.Rotation = &rotation{}
	}
	r := sec.Rotation
	if r.Running != "" {
		return invalidRequest("A previous rotation isn't complete. That rotation will be reattempted.")
	}
	r.Enabled, r.Token = true, in.ClientRequestToken
	if in.RotationLambdaARN != "" {
		r.Lambda = in.RotationLambdaARN
	}
	if in.RotationRules != nil {
		r.Rules = *in.RotationRules
	}
	r.plan(s.now())
	return s.begin(tx, p, sec, in.ClientRequestToken, in.RotateImmediately != nil && !*in.RotateImmediately)
}

// begin starts a rotation, with the version of an earlier one that is not complete
// where there is one. test: the function only tests.
func (s *Service) begin(tx store.Tx, p place, sec *secret, token string, test bool) error {
	if v := sec.at(pending); v != nil && v != sec.at(current) {
		token = v.ID
	} else if sec.version(token) == nil {
		now := s.now().UTC().Truncate(time.Millisecond)
		sec.Versions = append(sec.Versions, version{ID: token, Created: now, Empty: true})
		sec.attach(&sec.Versions[len(sec.Versions)-1], pending)
		if err := s.admit(tx, p, sec, now); err != nil {
			return err
		}
	}
	r := sec.Rotation
	r.Count++
	r.Running = rotationFlow + "/" + p.key() + "/" + sec.Suffix + "/" + strconv.Itoa(r.Count)
	return s.workflows.Begin(tx, rotationFlow, r.Running, rotationParams{Key: p.key(), Suffix: sec.Suffix, Token: token, Test: test})
}

// CancelRotateSecret switches a secret's rotation off, and stops the one under way.
func (s *Service) CancelRotateSecret(ctx context.Context, in *api.CancelRotateSecretInput) (*api.CancelRotateSecretOutput, error) {
	out := &api.CancelRotateSecretOutput{}
	var err error
	out.ARN, out.Name, err = s.changeIn(ctx, in.SecretId, in, func(tx store.Tx, _ place, sec *secret) error {
		r := sec.Rotation
		if r == nil {
			return invalidRequest("No Lambda rotation function ARN is associated with this secret.")
		}
		if v := sec.at(pending); v != nil {
			out.VersionId = v.ID
		}
		running := r.Running
		r.Enabled, r.Opens, r.Next, r.Running = false, time.Time{}, time.Time{}, ""
		if running == "" || s.workflows == nil {
			return nil
		}
		return s.workflows.Cancel(tx, running)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// plan sets when the next rotation is due.
func (r *rotation) plan(now time.Time) {
	r.Opens, r.Next = time.Time{}, time.Time{}
	when, err := parseSchedule(&r.Rules) // they were checked when they were given
	if err != nil || !r.Enabled {
		return
	}
	r.Opens, r.Next = when.next(now)
}

// opens is when the next rotation's window does. Records of earlier builds have its
// end alone.
func (r *rotation) opens() time.Time {
	if r.Opens.IsZero() {
		return r.Next
	}
	return r.Opens
}

// due reports whether a rotation is to begin by itself.
func (sec *secret) due(now time.Time) bool {
	r := sec.Rotation
	return sec.Deletion.IsZero() && r != nil && r.Enabled && r.Running == "" && !r.Next.IsZero() && !now.Before(r.opens())
}

// rotated makes the version of a complete rotation what it became, and drops what
// only stood for it.
func (sec *secret) rotated(token string, now time.Time) {
	r := sec.Rotation
	r.Running, r.Last = "", now.UTC().Truncate(time.Millisecond)
	r.plan(now)
	if v := sec.at(pending); v != nil && v.ID == token {
		sec.take(pending)
	}
}

// dropEmpty removes a version that never got a value.
func (sec *secret) dropEmpty(id string) {
	sec.Versions = slices.DeleteFunc(sec.Versions, func(v version) bool { return v.ID == id && v.Empty })
}

// regionOf is the region of a function's ARN.
func regionOf(function string) string {
	a, err := arn.Parse(function)
	if err != nil {
		return ""
	}
	return a.Region
}
