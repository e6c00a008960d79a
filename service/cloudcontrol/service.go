// Package cloudcontrol is the Cloud Control API: the resource types of
// CloudFormation without a stack. Each request to create, update or delete is a
// record and a workflow. It may import cfn and its folders, api, auth, arn, fault,
// reconcile, store and workflow; resource types call other services as the caller
// does. Its goroutines are the workflow engine's, and one reconcile loop, which
// forgets old requests and which Stop ends.
package cloudcontrol

import (
	"context"
	"log/slog"
	"time"

	api "github.com/slipway/slipway/api/cloudcontrol"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/keyring"
	"github.com/slipway/slipway/cfn/plan"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/reconcile"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/workflow"
)

// Config is what the service works with. All but Logger, Now, Parallel, AssumeRole and
// Hooks is needed.
type Config struct {
	Store     store.Store
	Workflows *workflow.Engine
	Ring      *keyring.Ring // seals what requests hold of resources
	// Types are the resource types of an account and region.
	Types func(scope arn.Scope) plan.Types
	// Known reports whether AWS has a type, built here or not.
	Known  func(typeName string) bool
	Logger *slog.Logger
	Now    func() time.Time
	// Parallel bounds the actions of requests that run at the same time; 0 is 32.
	Parallel int
	// AssumeRole is the principal of a request's role, checked to exist and to trust
	// CloudFormation. nil: RoleArn is refused as not implemented.
	AssumeRole func(ctx context.Context, roleARN string) (auth.Principal, error)
	// Hooks are asked before requests act; nil: there are none.
	Hooks Hooks
}

// Service implements the Cloud Control API.
type Service struct {
	api.Unimplemented
	cfg    Config
	slots  chan struct{} // bounds the actions under way
	upkeep *reconcile.Loop
}

var _ api.Service = (*Service)(nil)

// New makes the service. Call it before the workflow engine starts.
func New(cfg Config) *Service {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Parallel <= 0 {
		cfg.Parallel = 32
	}
	s := &Service{cfg: cfg, slots: make(chan struct{}, cfg.Parallel)}
	workflow.Register(cfg.Workflows, workflowName, s.run)
	s.upkeep = reconcile.New("cloudcontrol upkeep", s.keepUp, reconcile.Options{Logger: cfg.Logger, Resync: upkeepEvery})
	return s
}

// Start begins to forget old requests, and returns at once.
func (s *Service) Start(ctx context.Context) { s.upkeep.Start(ctx) }

// Stop ends that. It is safe to call twice.
func (s *Service) Stop() { s.upkeep.Stop() }

// caller is who a request's handlers act as: its role where it has one, else who
// asked.
type caller struct {
	Principal auth.Principal
	Endpoint  string
	RequestID string
}

func (s *Service) caller(ctx context.Context, roleARN string) (caller, error) {
	c := auth.From(ctx)
	who := caller{Principal: c.Principal, Endpoint: c.Endpoint, RequestID: c.RequestID}
	switch {
	case c.Principal.Kind == auth.Instance:
		return who, fault.New(fault.AccessDeniedException, "An instance may not call the Cloud Control API by its identity")
	case roleARN == "":
		return who, nil
	case s.cfg.AssumeRole == nil:
		return who, fault.New(fault.NotImplemented, "roles of requests (RoleArn) are not implemented")
	}
	p, err := s.cfg.AssumeRole(ctx, roleARN)
	if err != nil {
		if fault.Is(err, fault.NotImplemented) {
			return who, err
		}
		return who, fault.New(fault.ValidationException, "Role %s is invalid or cannot be assumed", roleARN).Because(err)
	}
	who.Principal = p
	return who, nil
}

// acting makes the context in which a handler calls services.
func (s *Service) acting(ctx context.Context, scope arn.Scope, who caller, operation, token string) context.Context {
	return auth.With(ctx, auth.Call{
		Principal: who.Principal,
		Scope:     scope,
		RequestID: who.RequestID,
		Service:   "cloudformation",
		Operation: operation,
		Time:      s.cfg.Now(),
		UserAgent: "cloudformation.amazonaws.com",
		SourceIP:  "cloudformation.amazonaws.com",
		Endpoint:  who.Endpoint,
		Token:     token,
	})
}
