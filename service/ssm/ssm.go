// Package ssm implements the Systems Manager API, of which Parameter Store is
// built. It may import api/ssm, arn, auth, fault and store, and starts no
// goroutine.
package ssm

import (
	"runtime"
	"time"

	api "github.com/slipway/slipway/api/ssm"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth/keyring"
	"github.com/slipway/slipway/store"
)

// Config is what the service stands on.
type Config struct {
	Store store.Store
	Ring  *keyring.Ring // seals SecureStrings
	Now   func() time.Time
	// BuiltinImage is the id of the built-in machine image, which the public
	// parameters of Linux images lead to. nil: there are none.
	BuiltinImage func(arn.Scope) string
	// Arch is the image's architecture as Go names it; "" is this machine's.
	Arch string
}

// Service is the Systems Manager API.
type Service struct {
	api.Unimplemented
	store  store.Store
	ring   *keyring.Ring
	now    func() time.Time
	public publicParameters
}

var _ api.Service = (*Service)(nil)

// New makes the service.
func New(cfg Config) *Service {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Arch == "" {
		cfg.Arch = runtime.GOARCH
	}
	return &Service{store: cfg.Store, ring: cfg.Ring, now: cfg.Now, public: newPublicParameters(cfg.BuiltinImage, cfg.Arch)}
}
