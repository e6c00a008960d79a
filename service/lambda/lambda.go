// Package lambda implements the Lambda API: functions with versions and aliases,
// layers, permissions, invocations now and later, event source mappings for SQS, and
// function URLs. Functions themselves run in a Runner, package compute/function.
//
// It may import api/lambda and the API packages of the services that it calls, arn,
// auth, compute/function, fault, reconcile, store and wire. The Service owns its
// loops and the goroutines that they start; Stop ends all of them.
//
// A request is not retried; the loops rerun whole; an event that is to be invoked
// asynchronously is retried as its function says.
package lambda

import (
	"context"
	"log/slog"
	"sync"
	"time"

	api "github.com/slipway/slipway/api/lambda"
	logs "github.com/slipway/slipway/api/logs"
	s3 "github.com/slipway/slipway/api/s3"
	sns "github.com/slipway/slipway/api/sns"
	sqs "github.com/slipway/slipway/api/sqs"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/keyring"
	"github.com/slipway/slipway/auth/policy"
	"github.com/slipway/slipway/compute/function"
	"github.com/slipway/slipway/reconcile"
	"github.com/slipway/slipway/store"
)

// Runner runs functions: *function.Host, or a stand-in in tests.
type Runner interface {
	Runtime(name string) (function.Runtime, error)
	Invoke(ctx context.Context, spec function.Spec, inv function.Invocation) (function.Result, error)
	Retire(key string) (wait func(context.Context) error)
	Prepare() // what the first environment of a function will need
}

// Config is what the service stands on.
type Config struct {
	Store  store.Store
	Ring   *keyring.Ring // seals environment variables and the addresses of code
	Dir    string        // keeps the code of functions and layers
	Runner Runner
	S3     s3.Service   // reads code that is in a bucket, as the caller
	Logs   logs.Service // takes what functions print, as execution roles; nil takes nothing
	SQS    sqs.Service  // takes what is told of events, as execution roles
	SNS    sns.Service  // takes it, too
	// Self is this service as others call it, by leave; nil is without asking.
	Self func() api.Service
	// Assume is the principal of an execution role, which must trust Lambda.
	Assume func(ctx context.Context, scope arn.Scope, roleARN, session string) (auth.Principal, error)
	// Public is the scheme and the port by which the world reaches functions' URLs.
	Public func() (scheme, port string)
	// Authorizer decides who may use a URL that asks; the default is everyone, for tests.
	Authorizer auth.Authorizer
	// Answered reports whether the request in an event that a durable step has left has
	// its answer already, or needs none any more; nil is never.
	Answered func(ctx context.Context, payload []byte) (bool, error)
	// WaitScale shortens deliberate waits; 0 is 1.
	WaitScale float64
	// Credentials are those of an execution role, which must trust Lambda.
	Credentials func(ctx context.Context, scope arn.Scope, roleARN, session string) (Credentials, error)
	// Endpoint is the base URL by which functions reach the API.
	Endpoint func() string
	Now      func() time.Time
	Logger   *slog.Logger
}

// Credentials are temporary ones of an execution role.
type Credentials struct {
	AccessKeyID, SecretAccessKey, SessionToken string
	Expires                                    time.Time
}

// Bodies bound the bodies of the operations that carry more than a document: an
// archive in base64, or what a function is given.
var Bodies = map[string]int64{
	"CreateFunction": maxArchiveBody, "UpdateFunctionCode": maxArchiveBody, "PublishLayerVersion": maxArchiveBody, "Invoke": maxPayload + 2<<20,
}

const maxArchiveBody = 70167211

// Service is the Lambda API.
type Service struct {
	api.Unimplemented
	cfg      Config
	store    store.Store
	now      func() time.Time
	log      *slog.Logger
	code     codeStore
	policies policy.Cache
	activate *reconcile.Loop // makes functions active
	upkeep   *reconcile.Loop // removes code that nothing names
	runs     runs
	queue    queue
	lines    lines
	// logLoop writes what functions have printed.
	logLoop *reconcile.Loop
	pollers pollers
	// mapLoop starts and stops the pollers of event source mappings.
	mapLoop *reconcile.Loop
	// queueLoop begins to handle the events that are due.
	queueLoop *reconcile.Loop
	ended     context.Context // ends when the service stops
	stop      context.CancelFunc
	ending    sync.Once
}

var _ api.Service = (*Service)(nil)

// New makes the service, and its folder. Start begins its loops.
func New(cfg Config) (*Service, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Authorizer == nil {
		cfg.Authorizer = auth.Everyone{}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Service{cfg: cfg, store: cfg.Store, now: cfg.Now, log: cfg.Logger}
	s.runs.init()
	s.lines.waiting, s.lines.known = map[streamKey]*stream{}, map[streamKey]bool{}
	s.ended, s.stop = context.WithCancel(context.Background())
	if err := s.code.open(cfg.Dir); err != nil {
		return nil, err
	}
	s.activate = reconcile.New("lambda activation", s.activateAll, reconcile.Options{Logger: cfg.Logger})
	s.queueLoop = reconcile.New("lambda events", s.handleEvents, reconcile.Options{Logger: cfg.Logger})
	s.logLoop = reconcile.New("lambda logs", s.writeLines, reconcile.Options{Logger: cfg.Logger})
	s.pollers.running = map[string]*poller{}
	s.mapLoop = reconcile.New("lambda mappings", s.keepMappings, reconcile.Options{Logger: cfg.Logger})
	s.upkeep = reconcile.New("lambda upkeep", s.keepUp, reconcile.Options{Logger: cfg.Logger})
	return s, nil
}

// Start begins the service's loops, and returns at once.
func (s *Service) Start(ctx context.Context) {
	s.activate.Start(ctx)
	s.upkeep.Start(ctx)
	s.queueLoop.Start(ctx)
	s.logLoop.Start(ctx)
	s.mapLoop.Start(ctx)
}

// Stop ends them. It is safe to call twice.
func (s *Service) Stop() {
	s.stop()
	s.mapLoop.Stop()
	s.stopPollers()
	s.queueLoop.Stop()
	s.queue.stop()
	s.upkeep.Stop()
	s.activate.Stop()
	s.runs.mu.Lock()
	s.runs.stopped = true
	s.runs.mu.Unlock()
	s.runs.retiring.Wait()
	s.logLoop.Stop()
	s.ending.Do(s.writeLast)
}

// scopeOf is the account and region that a call acts in.
func scopeOf(ctx context.Context) arn.Scope { return auth.From(ctx).Scope }
