// Package sns implements the SNS API: standard and FIFO topics, whose messages are
// durable before the reply and are then delivered to queues, functions and HTTP
// endpoints. It may import api/sns, api/sqs, api/lambda, api/kms, arn, auth,
// fault, reconcile and store.
//
// A publication commits the message with the list of where it goes. Couriers, which
// are reconcile loops with workers of their own, deliver what is due and commit what
// became of it: at least once, and in the order of each group for FIFO topics. Stop
// ends the couriers and the upkeep, and waits for them.
//
// A request is not retried; a delivery is, by the delivery policy that AWS documents.
package sns

import (
	"context"
	"log/slog"
	"sync"
	"time"

	kms "github.com/slipway/slipway/api/kms"
	lambda "github.com/slipway/slipway/api/lambda"
	api "github.com/slipway/slipway/api/sns"
	sqs "github.com/slipway/slipway/api/sqs"
	"github.com/slipway/slipway/auth/keyring"
	"github.com/slipway/slipway/auth/policy"
	"github.com/slipway/slipway/reconcile"
	"github.com/slipway/slipway/store"
)

// Config is what the service stands on.
type Config struct {
	Store store.Store
	Ring  *keyring.Ring // seals messages that wait, tokens and the signing key
	KMS   kms.Service   // makes and opens the data keys of topics with a KMS key, as their callers
	SQS   sqs.Service   // takes messages, as the principal sns.amazonaws.com
	// Lambda, once there is one, is invoked as that principal; nil: functions cannot
	// subscribe.
	Lambda func() lambda.Service
	// Endpoint is the base URL by which subscribers reach Slipway, for those that
	// subscribed by none.
	Endpoint func() string
	// WaitScale shortens the waits between deliveries; 0 stands for 1.
	WaitScale float64
	Now       func() time.Time
	Logger    *slog.Logger
}

// Service is the SNS API.
type Service struct {
	api.Unimplemented
	store    store.Store
	ring     *keyring.Ring
	kms      kms.Service
	sqs      sqs.Service
	lambda   func() lambda.Service
	endpoint func() string
	scale    float64
	now      func() time.Time
	log      *slog.Logger

	policies policy.Cache
	filters  filterCache
	dataKeys dataKeys
	web      web

	signing  sync.Mutex
	signer   *signer
	couriers []*courier
	upkeep   *reconcile.Loop // looks every minute
}

var _ api.Service = (*Service)(nil)

// New makes the service. Start begins to deliver.
func New(cfg Config) *Service {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Endpoint == nil {
		cfg.Endpoint = func() string { return "http://127.0.0.1:4566" }
	}
	if cfg.WaitScale == 0 {
		cfg.WaitScale = 1
	}
	s := &Service{
		store: cfg.Store, ring: cfg.Ring, kms: cfg.KMS, sqs: cfg.SQS, lambda: cfg.Lambda, endpoint: cfg.Endpoint, scale: cfg.WaitScale,
		now: cfg.Now, log: cfg.Logger,
	}
	s.couriers = newCouriers(s)
	s.upkeep = reconcile.New("sns upkeep", s.keepUp, reconcile.Options{Logger: cfg.Logger})
	return s
}

// Start goes on with the deliveries that are due, and returns at once.
func (s *Service) Start(ctx context.Context) {
	for _, c := range s.couriers {
		c.start(ctx)
	}
	s.upkeep.Start(ctx)
}

// Stop ends the deliveries under way, whose messages stay due, and the upkeep. It is
// safe to call twice.
func (s *Service) Stop() {
	s.upkeep.Stop()
	for _, c := range s.couriers {
		c.stop()
	}
	s.web.close()
}

// wait is a deliberate wait at the configured scale.
func (s *Service) wait(d time.Duration) time.Duration {
	return time.Duration(float64(d) * s.scale)
}
