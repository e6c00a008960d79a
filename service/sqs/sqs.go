// Package sqs implements the SQS API: standard and FIFO queues, durable before the
// reply. It may import api/sqs, api/kms, arn, auth, fault, reconcile and store. The Service
// owns two loops, the sweep and the moves, which Stop ends; a long poll waits on
// its caller's goroutine.
//
// A request is not retried; the loops rerun whole.
package sqs

import (
	"context"
	"log/slog"
	"sync"
	"time"

	kms "github.com/slipway/slipway/api/kms"
	api "github.com/slipway/slipway/api/sqs"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/keyring"
	"github.com/slipway/slipway/auth/policy"
	"github.com/slipway/slipway/reconcile"
	"github.com/slipway/slipway/store"
)

// Config is what the service stands on.
type Config struct {
	Store  store.Store
	Ring   *keyring.Ring // seals messages (SSE-SQS)
	KMS    kms.Service   // makes and opens the data keys of queues with a KMS key, as their callers
	Now    func() time.Time
	Logger *slog.Logger
}

// Service is the SQS API.
type Service struct {
	api.Unimplemented
	store store.Store
	ring  *keyring.Ring
	kms   kms.Service
	now   func() time.Time
	sweep *reconcile.Loop
	moves *reconcile.Loop // works at message move tasks

	maxInFlight int // messages of a queue
	dataKeys    dataKeys
	policies    *auth.Memo[place, *policy.Document] // every call asks for its queue's
	dry         dry
	lines       lines
	walks       walks

	drain    sync.Once
	draining chan struct{} // closed once long polls are to end
}

var _ api.Service = (*Service)(nil)

// New makes the service. Start begins its upkeep.
func New(cfg Config) *Service {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Service{store: cfg.Store, ring: cfg.Ring, kms: cfg.KMS, now: cfg.Now, draining: make(chan struct{}), maxInFlight: maxInFlight}
	s.policies = auth.NewMemo[place, *policy.Document](cfg.Store, queues.Prefix())
	s.sweep = reconcile.New("sqs sweep", s.sweepOnce, reconcile.Options{Logger: cfg.Logger})
	s.moves = reconcile.New("sqs moves", s.moveOnce, reconcile.Options{Logger: cfg.Logger})
	return s
}

// Start begins to remove what queues no longer hold and goes on with the tasks
// that move messages. It returns at once.
func (s *Service) Start(ctx context.Context) {
	s.sweep.Start(ctx)
	s.moves.Start(ctx)
}

// Drain ends the long polls that wait, as if their time were over, and lets no
// later one wait: who asks again finds the next server, or this one's next start.
func (s *Service) Drain() { s.drain.Do(func() { close(s.draining) }) }

// Stop drains and ends the loops. It is safe to call twice.
func (s *Service) Stop() {
	s.Drain()
	s.moves.Stop()
	s.sweep.Stop()
	s.policies.Close()
}
