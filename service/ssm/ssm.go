// Package ssm implements the Systems Manager API, of which Parameter Store is
// built. It may import api/ssm, api/kms, api/secretsmanager, arn, auth, fault,
// reconcile and store. Its one goroutine, which removes expired parameters, is a
// reconcile loop that Stop ends.
package ssm

import (
	"context"
	"log/slog"
	"runtime"
	"time"

	kms "github.com/slipway/slipway/api/kms"
	"github.com/slipway/slipway/api/secretsmanager"
	api "github.com/slipway/slipway/api/ssm"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth/keyring"
	"github.com/slipway/slipway/reconcile"
	"github.com/slipway/slipway/store"
)

// Config is what the service stands on.
type Config struct {
	Store  store.Store
	Ring   *keyring.Ring // opens what the first builds sealed
	KMS    kms.Service   // encrypts SecureStrings as their callers
	Now    func() time.Time
	Logger *slog.Logger
	// BuiltinImage is the id of the built-in machine image, which the public
	// parameters of Linux images lead to. nil: there are none.
	BuiltinImage func(arn.Scope) string
	// Image refuses the id of an image that the caller does not find; nil: the
	// data type aws:ec2:image is not built.
	Image func(ctx context.Context, id string) error
	// Secrets reads the secrets that names below /aws/reference/secretsmanager/ stand
	// for, as their callers; nil: there are none.
	Secrets func(ctx context.Context, in *secretsmanager.GetSecretValueInput) (*secretsmanager.GetSecretValueOutput, error)
	// Arch is the image's architecture as Go names it; "" is this machine's.
	Arch string
}

// Service is the Systems Manager API.
type Service struct {
	api.Unimplemented
	store   store.Store
	ring    *keyring.Ring
	kms     kms.Service
	now     func() time.Time
	public  publicParameters
	image   func(ctx context.Context, id string) error
	secrets func(ctx context.Context, in *secretsmanager.GetSecretValueInput) (*secretsmanager.GetSecretValueOutput, error)
	expiry  *reconcile.Loop // looks every minute
}

var _ api.Service = (*Service)(nil)

// New makes the service. Start begins its upkeep.
func New(cfg Config) *Service {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Arch == "" {
		cfg.Arch = runtime.GOARCH
	}
	s := &Service{
		store: cfg.Store, ring: cfg.Ring, kms: cfg.KMS, now: cfg.Now, image: cfg.Image, secrets: cfg.Secrets,
		public: newPublicParameters(cfg.BuiltinImage, cfg.Arch),
	}
	s.expiry = reconcile.New("ssm expiry", s.removeExpired, reconcile.Options{Logger: cfg.Logger})
	return s
}
