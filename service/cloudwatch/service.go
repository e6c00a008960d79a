// Package cloudwatch implements the alarms of the CloudWatch API: as records whose
// state SetAlarmState changes, composite ones by their rules, with history and actions.
// Metrics are not built, so nothing evaluates an alarm on one: it is INSUFFICIENT_DATA
// until it is set. It may import api/cloudwatch, api/lambda, api/sns, arn, auth, fault, reconcile
// and store. Its two goroutines, which take actions and forget old history, are
// reconcile loops that Stop ends.
//
// A request is not retried. An action is, until what it asks has answered.
package cloudwatch

import (
	"context"
	"log/slog"
	"time"

	api "github.com/slipway/slipway/api/cloudwatch"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/reconcile"
	"github.com/slipway/slipway/store"
)

// Action is what an alarm may do when its state changes.
type Action interface {
	// Take does it; a *fault.Error is final, anything else is tried again.
	Take(ctx context.Context, target arn.ARN, n Notification) error
}

// Config is what the service stands on.
type Config struct {
	Store   store.Store
	Actions map[string]Action // by the service of their ARNs: "sns"
	Now     func() time.Time
	Logger  *slog.Logger
}

// Service is the CloudWatch API.
type Service struct {
	api.Unimplemented
	store   store.Store
	actions map[string]Action
	now     func() time.Time
	acts    *reconcile.Loop // takes actions
	forgets *reconcile.Loop // forgets history
}

var _ api.Service = (*Service)(nil)

// New makes the service. Start begins its loops.
func New(cfg Config) *Service {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Service{store: cfg.Store, actions: cfg.Actions, now: cfg.Now}
	s.acts = reconcile.New("cloudwatch actions", s.actOnce, reconcile.Options{Logger: cfg.Logger})
	s.forgets = reconcile.New("cloudwatch history", s.forgetOnce, reconcile.Options{Logger: cfg.Logger, Resync: time.Hour})
	return s
}

// Start begins to take the actions that are due. It returns at once.
func (s *Service) Start(ctx context.Context) {
	s.acts.Start(ctx)
	s.forgets.Start(ctx)
}

// Stop ends that. It is safe to call twice.
func (s *Service) Stop() {
	s.acts.Stop()
	s.forgets.Stop()
}

// clock is the time in the precision that answers have.
func (s *Service) clock() time.Time { return s.now().UTC().Truncate(time.Millisecond) }
