package crash

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/slipway/slipway/arn"
)

const rotatedSecret = "crash-harness-secret"

// rotation is use of a secret that the provider's function rotates: a rotation that
// was acknowledged is done, the secret is what the database has, and each stage is at
// one version.
type rotation struct {
	provider *provider
	current  string // version
	asked    string // version of the round's rotation
	acked    bool
}

func newRotation(ctx context.Context, c *client, p *provider) (*rotation, error) {
	err := c.lambda(ctx, "POST", functionsPath+providerFunction+"/policy", map[string]string{
		"StatementId": "rotation", "Action": "lambda:InvokeFunction", "Principal": "secretsmanager.amazonaws.com",
	}, nil)
	if err != nil {
		return nil, err
	}
	r := &rotation{provider: p, current: arn.NewUUID()}
	return r, c.json(ctx, "secretsmanager", "CreateSecret", map[string]string{"Name": rotatedSecret, "SecretString": "first", "ClientRequestToken": r.current}, nil)
}

func (*rotation) owned(inventory) {}

func (r *rotation) flow(ctx context.Context, c *client) error {
	r.asked = arn.NewUUID()
	return repeat(ctx, c, 1, func(ctx context.Context, c *client) error {
		err := c.json(ctx, "secretsmanager", "RotateSecret", map[string]string{"SecretId": rotatedSecret, "ClientRequestToken": r.asked, "RotationLambdaARN": providerARN}, nil)
		r.acked = err == nil
		return err
	})
}

func (r *rotation) check(ctx context.Context, c *client) (wrong []string, err error) {
	if r.asked == "" {
		return nil, nil
	}
	var stages map[string][]string
	err = poll(ctx, c, func() (bool, error) {
		var out struct{ VersionIdsToStages map[string][]string }
		if err := c.json(ctx, "secretsmanager", "DescribeSecret", map[string]string{"SecretId": rotatedSecret}, &out); err != nil {
			return false, err
		}
		stages = out.VersionIdsToStages
		_, begun := stages[r.asked]
		return !begun && !r.acked || slices.Contains(stages[r.asked], "AWSCURRENT"), nil
	})
	if err != nil {
		return nil, fmt.Errorf("rotation %s (acknowledged: %v) leads to %v: %w", r.asked, r.acked, stages, err)
	}
	previous := r.current
	if _, begun := stages[r.asked]; begun {
		r.current = r.asked
	}
	for stage, want := range map[string]string{"AWSCURRENT": r.current, "AWSPREVIOUS": previous} {
		if at := versionsAt(stages, stage); previous != r.current && at != want {
			wrong = append(wrong, fmt.Sprintf("stage %s is at %q, want %s", stage, at, want))
		}
	}
	if at := versionsAt(stages, "AWSPENDING"); at != "" && at != r.current {
		wrong = append(wrong, fmt.Sprintf("stage AWSPENDING is at %s after the rotation", at))
	}
	var is struct{ SecretString string }
	if err := c.json(ctx, "secretsmanager", "GetSecretValue", map[string]string{"SecretId": rotatedSecret}, &is); err != nil {
		return nil, err
	}
	database, err := r.provider.things(rotatedThings)
	if has := database["password"].Password; err == nil && len(database) > 0 && is.SecretString != has {
		wrong = append(wrong, fmt.Sprintf("the secret is %s, and the database has %s", is.SecretString, has))
	}
	r.asked, r.acked = "", false
	return wrong, err
}

// versionsAt are the versions that a stage is at.
func versionsAt(stages map[string][]string, stage string) string {
	var at []string
	for id, of := range stages {
		if slices.Contains(of, stage) {
			at = append(at, id)
		}
	}
	slices.Sort(at)
	return strings.Join(at, " ")
}
