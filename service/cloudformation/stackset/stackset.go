// Package stackset implements the stack sets of CloudFormation: a template that is
// deployed to many accounts and regions, by operations of which each is one durable
// workflow over stacks there. It reaches the stacks through api/cloudformation as a
// role of their account, which it assumes through api/sts. Which stack comes next,
// and when an operation goes no further, is decided by pure code (schedule.go,
// target.go).
//
// It may import api, arn, auth, fault, reconcile, store and workflow. Its goroutines
// are the workflow engine's and one reconcile loop's, which follows the accounts of
// organizations and which Stop ends.
package stackset

import (
	"context"
	"errors"
	"log/slog"
	"regexp"
	"time"

	"github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/api/lambda"
	"github.com/slipway/slipway/api/organizations"
	"github.com/slipway/slipway/api/sts"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/reconcile"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/workflow"
)

// Config is what stack sets stand on.
type Config struct {
	Store     store.Store
	Workflows *workflow.Engine
	// Stacks is CloudFormation itself, as every caller meets it.
	Stacks func() cloudformation.Service
	// Template reads and checks a template for the caller.
	Template func(ctx context.Context, body, url string, capabilities []string) (Template, error)
	// List reads a list from an object of S3 as the caller.
	List func(ctx context.Context, url string, limit int64) (string, error)
	// Seal and Open keep the values of NoEcho parameters. nil: they cannot be given.
	Seal   func(text string) (string, error)
	Open   func(sealed string) (string, bool)
	STS    sts.Service
	IAM    iam.Service    // makes the roles of service-managed stack sets
	Lambda lambda.Service // asks account gates; nil: there are none
	// Organizations tells the accounts of service-managed stack sets; nil: there are
	// none. Watch wakes where its records change.
	Organizations organizations.Service
	Watch         func(ctx context.Context) <-chan struct{}
	Logger        *slog.Logger
	Now           func() time.Time
}

// Template is a template that was read and checked.
type Template struct {
	Body       string
	Parameters []Declared
}

// Declared is a parameter that a template declares.
type Declared struct {
	Key     string
	Default *string
	NoEcho  bool
}

// Service has CloudFormation's operations on stack sets.
type Service struct {
	cfg  Config
	auto *reconcile.Loop
}

// New makes the service. Call it before the workflow engine starts.
func New(cfg Config) *Service {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Service{cfg: cfg}
	workflow.Register(cfg.Workflows, flowName, s.run)
	s.auto = reconcile.New("stack sets follow organizations", s.follow, reconcile.Options{
		Logger: cfg.Logger, Resync: time.Minute, Watch: s.changes,
	})
	return s
}

// Start begins to follow organizations, and returns at once.
func (s *Service) Start(ctx context.Context) { s.auto.Start(ctx) }

// Stop ends that. It is safe to call twice.
func (s *Service) Stop() { s.auto.Stop() }

// changes are those of organizations. The end of an operation, which may have kept
// an automatic one from its beginning, wakes the loop itself.
func (s *Service) changes(ctx context.Context) <-chan struct{} {
	if s.cfg.Watch == nil {
		return nil
	}
	return s.cfg.Watch(ctx)
}

func (s *Service) now() time.Time { return s.cfg.Now().UTC().Truncate(time.Millisecond) }

func invalid(format string, args ...any) error {
	return fault.New(fault.ValidationError, format, args...)
}

var tokenForm = regexp.MustCompile(`^[a-zA-Z0-9][-a-zA-Z0-9]{0,127}$`)

// caller is the request's call, of anybody but an instance by its own identity.
func caller(ctx context.Context) (auth.Call, error) {
	c := auth.From(ctx)
	if c.Principal.Kind == auth.Instance {
		return c, fault.New(fault.AccessDenied, "An instance may call SignalResource and DescribeStackResource of its own stack only")
	}
	return c, nil
}

func yes(b *bool) bool { return b != nil && *b }

const maxPage = 100

// pageOf lists the part of some records that a request asks for.
func pageOf[T any](tx store.Tx, c *store.Collection[T], prefix, token string, most *int32, keep func(*T) bool) ([]*T, string, error) {
	limit := maxPage
	if most != nil {
		limit = min(int(*most), maxPage)
	}
	items, next, err := c.Page(tx, prefix, token, limit, keep)
	if errors.Is(err, store.ErrBadToken) {
		return nil, "", invalid("Invalid value for parameter NextToken")
	}
	out := make([]*T, len(items))
	for i := range items {
		out[i] = items[i].Value
	}
	return out, next, err
}

// InternalURL names, in the calls of this package, the template that the context
// carries: one of a stack set may be longer than a request's body.
const InternalURL = "stackset:///template"

type templateKey struct{}

func withTemplate(ctx context.Context, body string) context.Context {
	return context.WithValue(ctx, templateKey{}, body)
}

// TemplateOf is the template behind InternalURL.
func TemplateOf(ctx context.Context) (string, bool) {
	body, ok := ctx.Value(templateKey{}).(string)
	return body, ok
}
