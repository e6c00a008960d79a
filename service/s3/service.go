// Package s3 is Amazon S3's buckets and objects. Records are in the store; the
// bytes of objects are in files (package blob) that are durable before the
// record that names them is committed, so what was acknowledged is whole. It may
// import api/s3, api/kms, api/lambda, api/sns, api/sqs, auth, arn, fault, store and
// reconcile. Its goroutines are reconcile loops that Stop ends: one removes files that
// no record names, one delivers events, one applies lifecycle rules.
//
// Bucket names are global. A bucket answers in whatever region it is asked: one
// server serves them all.
package s3

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	kmsapi "github.com/slipway/slipway/api/kms"
	api "github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/reconcile"
	"github.com/slipway/slipway/service/s3/blob"
	"github.com/slipway/slipway/store"
)

// Config is what the service needs.
type Config struct {
	Store  store.Store
	Dir    string // folder for the bytes of objects
	Clock  func() time.Time
	Logger *slog.Logger
	// KMS gives the data keys of objects that ask for one; nil: none do.
	KMS kmsapi.Service
	// Authorizer decides what a caller's own policies allow, where an answer
	// depends on what else it may do; nil: everything.
	Authorizer auth.Authorizer
	// Destinations take the events of buckets, by the service of their ARNs
	// ("sqs"). One that is not here is not built.
	Destinations map[string]Destination
}

// Service implements api/s3.
type Service struct {
	api.Unimplemented
	store  store.Store
	kms    kmsapi.Service
	blobs  *blob.Store
	now    func() time.Time
	log    *slog.Logger
	sweeps *reconcile.Loop

	authorizer   auth.Authorizer
	destinations map[string]Destination
	deliveries   *reconcile.Loop                         // of events
	expiries     *reconcile.Loop                         // by lifecycle rules
	sequence     sequence                                // of events
	policies     *auth.Memo[string, auth.ResourcePolicy] // of buckets: every call asks for one
}

var _ api.Service = (*Service)(nil)

// New opens the folder of objects. Start begins the upkeep.
func New(cfg Config) (*Service, error) {
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Authorizer == nil {
		cfg.Authorizer = auth.Everyone{}
	}
	blobs, err := blob.Open(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("open the object store: %w", err)
	}
	s := &Service{store: cfg.Store, kms: cfg.KMS, blobs: blobs, now: cfg.Clock, log: cfg.Logger, authorizer: cfg.Authorizer, destinations: cfg.Destinations}
	s.policies = auth.NewMemo[string, auth.ResourcePolicy](cfg.Store, buckets.Prefix())
	s.sweeps = reconcile.New("s3 files", s.sweep, reconcile.Options{Logger: cfg.Logger, Resync: -1})
	s.deliveries = reconcile.New("s3 events", s.deliver, reconcile.Options{Logger: cfg.Logger, Resync: deliveryResync})
	s.expiries = reconcile.New("s3 lifecycle", s.expire, reconcile.Options{Logger: cfg.Logger, Resync: expiryResync})
	return s, nil
}

// Start begins the upkeep: it removes what a crash left, at once and in the
// background.
func (s *Service) Start(ctx context.Context) {
	s.sweeps.Start(ctx)
	s.sweeps.Wake()
	s.deliveries.Start(ctx)
	s.expiries.Start(ctx)
}

// Stop ends the upkeep. It is safe to call twice.
func (s *Service) Stop() {
	s.expiries.Stop()
	s.deliveries.Stop()
	s.sweeps.Stop()
	s.policies.Close()
}

// sweep removes the files that no record names.
func (s *Service) sweep(ctx context.Context) error {
	removed, err := s.blobs.Sweep(ctx, func(ids []string) (map[string]bool, error) {
		named := make(map[string]bool, len(ids))
		err := s.store.View(ctx, func(tx store.Tx) error {
			for _, id := range ids {
				switch _, err := files.Get(tx, id); {
				case err == nil:
					named[id] = true
				case !errors.Is(err, store.ErrNotFound):
					return err
				}
			}
			return nil
		})
		return named, err
	})
	if removed > 0 {
		s.log.Info("removed object files that no record names", "files", removed)
	}
	return err
}

// second is the current time in the precision that S3 keeps.
func (s *Service) second() time.Time { return s.now().UTC().Truncate(time.Second) }

// change is an update under way, and the files that it replaces.
type change struct {
	store.Tx
	service *Service
	drop    []string // files that no record names once it is committed
	emitted bool     // events that have to be delivered
}

// update commits a change. made are the content that it brings in: on success
// records name it; if fn refuses, its files are removed.
func (s *Service) update(ctx context.Context, made []*received, fn func(c *change) error) error {
	var done *change
	err := s.store.Update(ctx, func(tx store.Tx) error {
		done = &change{Tx: tx, service: s}
		for _, r := range made {
			if err := r.record(tx); err != nil {
				return err
			}
		}
		return fn(done)
	})
	var fresh []string
	for _, r := range made {
		fresh = append(fresh, r.files()...)
	}
	if err == nil {
		s.blobs.Settle(fresh...)
		s.blobs.Remove(done.drop...)
		if done.emitted {
			s.deliveries.Wake()
		}
		return nil
	}
	if _, refused := fault.As(err); refused {
		s.blobs.Remove(fresh...)
		return err
	}
	// Whether it was committed is not known, so the sweep, which reads the
	// records, decides what goes.
	s.blobs.Settle(fresh...)
	s.sweeps.Wake()
	return err
}

func ptr[T any](v T) *T { return &v }

func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}
