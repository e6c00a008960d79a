// Package secretsmanager implements the Secrets Manager API but for replication. A
// secret is rotated by a workflow that invokes its function. It may import
// api/secretsmanager, api/kms, api/lambda, arn, auth, fault, reconcile, store and
// workflow. Its one goroutine, which deletes the secrets whose recovery windows are
// over and begins the rotations that are due, is a reconcile loop that Stop ends.
package secretsmanager

import (
	"context"
	"log/slog"
	"time"

	kms "github.com/slipway/slipway/api/kms"
	lambda "github.com/slipway/slipway/api/lambda"
	api "github.com/slipway/slipway/api/secretsmanager"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/policy"
	"github.com/slipway/slipway/reconcile"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/workflow"
)

// Config is what the service stands on.
type Config struct {
	Store store.Store
	KMS   kms.Service // encrypts values as their callers
	// Invoke invokes the functions that rotate secrets, and Workflows runs the
	// rotations; without them there are none.
	Invoke    func(ctx context.Context, in *lambda.InvokeInput) (*lambda.InvokeOutput, error)
	Workflows *workflow.Engine
	// Authorizer decides which of the secrets of a BatchGetSecretValue the caller
	// may read; the default is everyone, for tests.
	Authorizer auth.Authorizer
	Now        func() time.Time
	Logger     *slog.Logger
}

// Service is the Secrets Manager API.
type Service struct {
	api.Unimplemented
	store      store.Store
	kms        kms.Service
	function   func(ctx context.Context, in *lambda.InvokeInput) (*lambda.InvokeOutput, error)
	workflows  *workflow.Engine
	retries    []workflow.Option // of a rotation's steps
	authorizer auth.Authorizer
	now        func() time.Time
	policies   policy.Cache
	upkeep     *reconcile.Loop // looks every minute
}

var _ api.Service = (*Service)(nil)

// New makes the service. Start begins its upkeep.
func New(cfg Config) *Service {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Authorizer == nil {
		cfg.Authorizer = auth.Everyone{}
	}
	s := &Service{store: cfg.Store, kms: cfg.KMS, function: cfg.Invoke, workflows: cfg.Workflows, authorizer: cfg.Authorizer, now: cfg.Now}
	s.retries = []workflow.Option{workflow.Attempts(5), workflow.Backoff(time.Second, 30*time.Second)}
	if s.workflows != nil {
		workflow.Register(s.workflows, rotationFlow, s.runRotation)
	}
	s.upkeep = reconcile.New("secretsmanager upkeep", s.keepUp, reconcile.Options{Logger: cfg.Logger})
	return s
}

// Start begins to delete the secrets whose time has come, and returns at once.
func (s *Service) Start(ctx context.Context) { s.upkeep.Start(ctx) }

// Stop ends that. It is safe to call twice.
func (s *Service) Stop() { s.upkeep.Stop() }

func yes(b *bool) bool { return b != nil && *b }
