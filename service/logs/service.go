// Package logs implements the CloudWatch Logs API: log groups, their streams, and the
// events in them, durable before the reply and found by filter patterns. It may import
// api/logs, api/kms, arn, auth, fault, reconcile and store. Its one goroutine, which
// removes what nobody can read any more, is a reconcile loop that Stop ends.
//
// A request is not retried; the loop reruns whole.
package logs

import (
	"context"
	"log/slog"
	"time"

	kms "github.com/slipway/slipway/api/kms"
	api "github.com/slipway/slipway/api/logs"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/keyring"
	"github.com/slipway/slipway/reconcile"
	"github.com/slipway/slipway/store"
)

// Config is what the service stands on.
type Config struct {
	Store  store.Store
	Ring   *keyring.Ring // seals events
	KMS    kms.Service   // makes and opens the data keys of groups with a KMS key
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

	known    *auth.Memo[place, known] // every put asks for its group
	dataKeys dataKeys
}

var _ api.Service = (*Service)(nil)

// New makes the service. Start begins its upkeep.
func New(cfg Config) *Service {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Service{store: cfg.Store, ring: cfg.Ring, kms: cfg.KMS, now: cfg.Now}
	s.known = auth.NewMemo[place, known](cfg.Store, groups.Prefix())
	s.sweep = reconcile.New("logs sweep", s.sweepOnce, reconcile.Options{Logger: cfg.Logger})
	return s
}

// Start begins to remove what has expired and what was deleted. It returns at once.
func (s *Service) Start(ctx context.Context) { s.sweep.Start(ctx) }

// Stop ends that. It is safe to call twice.
func (s *Service) Stop() {
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
