// Package cloudformation is the CloudFormation service: it checks requests,
// makes plans, begins the operations that package cfn/apply runs, and answers
// from their records. It may import cfn and its folders, api, auth, arn, fault,
// reconcile, store and workflow; it calls other services through their api interfaces.
// Its goroutines are the workflow engine's and two loops, which publish stacks'
// events to their topics and watch rollback triggers, and which Stop ends.
package cloudformation

import (
	"context"
	"errors"
	"log/slog"
	"regexp"
	"strings"
	"time"

	"github.com/slipway/slipway/api/cloudwatch"
	"github.com/slipway/slipway/api/lambda"
	"github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/api/secretsmanager"
	"github.com/slipway/slipway/api/sns"
	"github.com/slipway/slipway/api/ssm"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/keyring"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/cfn/apply"
	"github.com/slipway/slipway/cfn/plan"
	"github.com/slipway/slipway/cfn/schema"
	"github.com/slipway/slipway/cfn/template"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/reconcile"
	"github.com/slipway/slipway/service/cloudformation/stackset"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/workflow"
)

// Config is what the service works with. Store, Workflows, Types and Schemas
// are needed.
type Config struct {
	Store     store.Store
	Workflows *workflow.Engine
	Types     *cfn.Registry // may be filled after New, before the first call
	Schemas   *schema.Catalog
	S3        s3.Service             // reads TemplateURL
	SSM       ssm.Service            // reads parameters and dynamic references
	Secrets   secretsmanager.Service // reads dynamic references
	SNS       sns.Service            // is told of stacks' events; nil: NotificationARNs are refused
	Alarms    cloudwatch.Service     // rollback triggers; nil: there are none
	WaitScale float64                // scales the time of monitoring; 0 is 1
	Ring      *keyring.Ring          // seals secret attributes; nil: resources that have some cannot be made
	Logger    *slog.Logger
	Now       func() time.Time
	Parallel  int // resource actions of one stack operation at a time; 0 is 32

	// Zones are the names of a region's availability zones; nil: a, b and c.
	Zones func(region string) []string
	// AssumeRole is the principal of a stack's service role, checked to exist
	// and to trust CloudFormation. nil: RoleARN is refused as not implemented.
	AssumeRole func(ctx context.Context, roleARN string) (auth.Principal, error)
	// Authorizer decides what the callers of stacks may do with those nested in them;
	// nil: everything.
	Authorizer auth.Authorizer
	// Invoke has a function of Lambda answer a payload, as the caller. nil: there
	// are no macros.
	Invoke func(ctx context.Context, function string, payload []byte) ([]byte, error)
	// Enqueue has a function of Lambda run on a payload some time, and Publish sends a
	// message to an SNS topic, each as the caller that the context carries: so custom
	// resources reach their providers. nil: they cannot.
	Enqueue func(ctx context.Context, functionARN string, payload []byte) error
	Publish func(ctx context.Context, topicARN, subject, message string) error
	// Lambda runs the handlers of hooks and of registered types; nil: there are none.
	Lambda lambda.Service
	// Local runs those that need no function; nil: there are none.
	Local LocalHandlers
	// AssumeAs is the principal of an execution role, checked to exist and to trust a
	// service ("hooks.cloudformation.amazonaws.com"). nil: there are no such roles.
	AssumeAs func(ctx context.Context, roleARN, service string) (auth.Principal, error)
	// ExecutionCredentials are those of such a role, for its handler.
	ExecutionCredentials func(ctx context.Context, roleARN, service string) (cfn.Credentials, error)
	// InstanceStack is the id of the stack that an instance belongs to, "" for
	// none. Principals of kind Instance may act on that stack alone.
	InstanceStack func(ctx context.Context, instanceID string) (string, error)
	// SignalURL is the base URL ("http://169.254.169.1:4566") under which
	// instances reach Handler; nil: the caller's own endpoint.
	SignalURL func(ctx context.Context) string
	// StackSets is what stack sets need of other services. What they share with
	// stacks is filled in.
	StackSets stackset.Config
}

// Service implements the CloudFormation API.
type Service struct {
	unbuilt
	// Service has the operations on stack sets, and their loop.
	*stackset.Service

	cfg    Config
	runner *apply.Runner
	types  plan.Types // of all accounts and regions
	parsed registeredTypes
	notify *reconcile.Loop
	// watches looks at rollback triggers while operations have some.
	watches *reconcile.Loop
}

// New makes the service. Call it before the workflow engine starts.
func New(cfg Config) *Service {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Zones == nil {
		cfg.Zones = func(region string) []string { return []string{region + "a", region + "b", region + "c"} }
	}
	s := &Service{cfg: cfg}
	s.types = plan.Types{Schema: s.schemaAnywhere, Provider: s.providerAnywhere}
	s.runner = apply.New(apply.Config{
		Store: cfg.Store, Workflows: cfg.Workflows, Types: s.types, TypesIn: s.TypesIn, Logger: cfg.Logger, Now: cfg.Now,
		Parallel: cfg.Parallel, Zones: cfg.Zones, Dynamic: s.dynamic, Alarm: s.alarm, WaitScale: cfg.WaitScale,
		Seal: s.seal(), Open: s.open, Hooks: s.hooks, CallHook: s.callHook,
	})
	workflow.Register(cfg.Workflows, processingWorkflow, s.runMacros)
	workflow.Register(cfg.Workflows, hookReviewWorkflow, s.reviewHooks)
	workflow.Register(cfg.Workflows, registrationWorkflow, s.runRegistration)
	workflow.Register(cfg.Workflows, unmakingWorkflow, s.runUnmaking)
	s.notify = reconcile.New("cloudformation notices", s.publishNotices, reconcile.Options{
		Logger: cfg.Logger,
		Watch:  func(ctx context.Context) <-chan struct{} { return cfg.Store.Watch(ctx, apply.Notices.Prefix()) },
	})
	s.watches = reconcile.New("cloudformation triggers", s.watchTriggers, reconcile.Options{
		Logger: cfg.Logger,
		Watch:  func(ctx context.Context) <-chan struct{} { return cfg.Store.Watch(ctx, apply.WatchPrefix()) },
	})
	workflow.Register(cfg.Workflows, scanWorkflow, s.scan)
	workflow.Register(cfg.Workflows, generateWorkflow, s.generate)
	s.Service = s.newStackSets(cfg)
	return s
}

// Start begins to publish stacks' events to their topics, to watch the rollback
// triggers of operations and to have stack sets follow organizations. It returns at
// once.
func (s *Service) Start(ctx context.Context) {
	s.notify.Start(ctx)
	s.watches.Start(ctx)
	s.Service.Start(ctx)
}

// Stop ends that. It is safe to call twice.
func (s *Service) Stop() {
	s.watches.Stop()
	s.Service.Stop()
	s.notify.Stop()
}

// call is the request's context. Instances call by their identity what
// ofInstance allows, and nothing else.
func (s *Service) call(ctx context.Context) (auth.Call, error) {
	c := auth.From(ctx)
	if c.Principal.Kind == auth.Instance {
		return c, fault.New(fault.AccessDenied, "An instance may call SignalResource and DescribeStackResource of its own stack only")
	}
	return c, nil
}

// ofInstance checks that an instance asks about its own stack. Other callers
// pass.
func (s *Service) ofInstance(ctx context.Context, st *apply.Stack) error {
	p := auth.From(ctx).Principal
	if p.Kind != auth.Instance {
		return nil
	}
	if s.cfg.InstanceStack != nil {
		id, err := s.cfg.InstanceStack(ctx, p.Name)
		if err != nil {
			return err
		}
		if id == st.ID {
			return nil
		}
	}
	return fault.New(fault.AccessDenied, "User: %s is not authorized to act on stack %s", p.ARN, st.ID)
}

func (s *Service) view(ctx context.Context, fn func(tx store.Tx) error) error {
	return s.cfg.Store.View(ctx, fn)
}

func (s *Service) update(ctx context.Context, fn func(l *apply.Ledger) error) error {
	return s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		return fn(&apply.Ledger{Tx: tx, Now: s.cfg.Now()})
	})
}

var (
	stackName     = regexp.MustCompile(`^[a-zA-Z][-a-zA-Z0-9]*$`)
	requestToken  = regexp.MustCompile(`^[a-zA-Z0-9][-a-zA-Z0-9]*$`)
	maxNameLength = 128
)

// constraint words a value that breaks a constraint of the service's model.
func constraint(member, value, rule string) error {
	return fault.New(fault.ValidationError, "1 validation error detected: Value '%s' at '%s' failed to satisfy constraint: %s", value, member, rule)
}

func checkName(member, name string) error {
	switch {
	case len(name) > maxNameLength:
		return constraint(member, name, "Member must have length less than or equal to 128")
	case !stackName.MatchString(name):
		return constraint(member, name, "Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*")
	}
	return nil
}

func checkToken(member, token string) error {
	if token != "" && (len(token) > maxNameLength || !requestToken.MatchString(token)) {
		return constraint(member, token, "Member must satisfy regular expression pattern: [a-zA-Z0-9][-a-zA-Z0-9]*")
	}
	return nil
}

// find looks a stack up by its name, if it is live, or by its id. nil: there is
// none.
func find(tx store.Tx, scope arn.Scope, nameOrID string) (*apply.Stack, error) {
	key := ""
	if strings.HasPrefix(nameOrID, "arn:") {
		a, err := arn.Parse(nameOrID)
		if err != nil || a.Service != "cloudformation" || a.Account != scope.Account || a.Region != scope.Region {
			return nil, nil
		}
		if key = apply.UUID(nameOrID); key == "" {
			return nil, nil
		}
	} else {
		n, err := apply.Names.Get(tx, scope.Key()+"/"+nameOrID)
		if errors.Is(err, store.ErrNotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		key = apply.UUID(n.StackID)
	}
	st, err := apply.Stacks.Get(tx, scope.Key()+"/"+key)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err == nil && strings.HasPrefix(nameOrID, "arn:") && st.ID != nameOrID {
		return nil, nil
	}
	return st, err
}

// The two ways in which AWS words that a stack does not exist.
func noStackWithID(nameOrID string) error {
	return fault.New(fault.ValidationError, "Stack with id %s does not exist", nameOrID)
}

func noStack(nameOrID string) error {
	return fault.New(fault.ValidationError, "Stack [%s] does not exist", nameOrID)
}

// must is find for operations that need the stack.
func must(tx store.Tx, scope arn.Scope, nameOrID string, missing func(string) error) (*apply.Stack, error) {
	st, err := find(tx, scope, nameOrID)
	if err == nil && st == nil {
		err = missing(nameOrID)
	}
	return st, err
}

// principal is who a stack's operations act as.
func (s *Service) principal(ctx context.Context, roleARN string) (apply.Caller, error) {
	c := auth.From(ctx)
	caller := apply.Caller{Principal: c.Principal, Endpoint: c.Endpoint, RequestID: c.RequestID}
	if roleARN == "" {
		return caller, nil
	}
	if s.cfg.AssumeRole == nil {
		return caller, fault.New(fault.NotImplemented, "CloudFormation service roles (RoleARN) are not implemented")
	}
	p, err := s.cfg.AssumeRole(ctx, roleARN)
	if err != nil {
		if fault.Is(err, fault.NotImplemented) {
			return caller, err
		}
		return caller, fault.New(fault.ValidationError, "Role %s is invalid or cannot be assumed", roleARN).Because(err)
	}
	caller.Principal = p
	return caller, nil
}

// state is the stack as plans take it.
func state(v apply.Version, all map[string]*apply.Resource, tmpl *template.Template) plan.State {
	return plan.State{Resources: apply.Snapshot(all), Template: tmpl, Parameters: v.Values(), Tags: v.Tags}
}
