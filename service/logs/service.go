// Package logs implements the CloudWatch Logs API: log groups, their streams, and the
// events in them, durable before the reply and found by filter patterns. It may import
// api/logs, api/kms, api/lambda, arn, auth, fault, reconcile and store. Its two
// goroutines, which remove what nobody can read any more and send what subscriptions
// owe, are reconcile loops that Stop ends.
//
// A request is not retried; the loops rerun whole.
package logs

import (
	"context"
	"log/slog"
	"time"

	kms "github.com/slipway/slipway/api/kms"
	lambda "github.com/slipway/slipway/api/lambda"
	api "github.com/slipway/slipway/api/logs"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/keyring"
	"github.com/slipway/slipway/reconcile"
	"github.com/slipway/slipway/store"
)

// Config is what the service stands on.
type Config struct {
	Store store.Store
	Ring  *keyring.Ring // seals events
	KMS   kms.Service   // makes and opens the data keys of groups with a KMS key
	// Lambda is what subscriptions call, once it is made; nil: there are none.
	Lambda func() lambda.Service
	Now    func() time.Time
	Logger *slog.Logger
}

// Service is the CloudWatch Logs API.
type Service struct {
	api.Unimplemented
	store store.Store
	ring  *keyring.Ring
	kms   kms.Service
	now   func() time.Time
	sweep *reconcile.Loop

	lambda  func() lambda.Service
	logger  *slog.Logger
	courier *reconcile.Loop // sends what subscriptions owe

	known    *auth.Memo[place, known] // every put asks for its group
	dataKeys dataKeys
}

var _ api.Service = (*Service)(nil)

// New makes the service. Start begins its upkeep.
func New(cfg Config) *Service {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Service{store: cfg.Store, ring: cfg.Ring, kms: cfg.KMS, now: cfg.Now, lambda: cfg.Lambda, logger: cfg.Logger}
	s.courier = reconcile.New("logs deliveries", s.deliver, reconcile.Options{
		Logger: cfg.Logger, Watch: func(ctx context.Context) <-chan struct{} { return cfg.Store.Watch(ctx, deliveries.Prefix()) },
	})
	s.known = auth.NewMemo[place, known](cfg.Store, groups.Prefix())
	s.sweep = reconcile.New("logs sweep", s.sweepOnce, reconcile.Options{Logger: cfg.Logger})
	return s
}

// Start begins to remove what has expired and what was deleted. It returns at once.
func (s *Service) Start(ctx context.Context) {
	s.sweep.Start(ctx)
	s.courier.Start(ctx)
}

// Stop ends that. It is safe to call twice.
func (s *Service) Stop() {
	s.courier.Stop()
	s.sweep.Stop()
	s.known.Close()
}

func yes(b *bool) bool { return b != nil && *b }

// limitOf is how many a list gives at most.
func limitOf(asked *int32, most int) int {
	if asked == nil || *asked < 1 {
		return most
	}
	return min(int(*asked), most)
}
