// Package wire is the server side of AWS's protocols: it finds the service and
// operation that a request is for, reads and checks the input, calls the
// service and writes the answer, one file per protocol behind one interface.
// It may import api, arn, auth, fault and store. It starts no goroutine: each
// request runs on its connection's.
package wire

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/slipway/slipway/api"
	"github.com/slipway/slipway/auth"
)

// Mount puts a service behind the handler.
type Mount struct {
	Desc *api.Service
	Impl any // implements the Service interface of the package that Desc is of
	// MaxBody bounds bodies that are read whole, in bytes; 0 is Config's.
	MaxBody int64
	// Bodies are the bounds of operations whose own are others.
	Bodies map[string]int64
}

// Authenticator says who makes a request; *auth.Authenticator is one.
type Authenticator interface {
	Authenticate(r *http.Request, service string) (auth.Authenticated, error)
}

// Recording is what became of a call.
type Recording struct {
	Call     auth.Call
	Service  *api.Service
	Input    any   // nil where it could not be read
	Output   any   // nil where the call failed
	Err      error // what the service or the pipeline refused with
	Status   int   // of the answer
	Duration time.Duration
}

// Config is what a Handler needs. Services, Authenticator and Logger must be set.
type Config struct {
	Services      []Mount
	Authenticator Authenticator
	// Authorize refuses a call with an error; nil lets every call through. It
	// runs for each operation, once its input is read.
	Authorize func(ctx context.Context, call *auth.Call, svc *api.Service, op *api.Operation, input any) error
	// Admit lets a call in once its caller is known, before its input is read, or
	// refuses it with an error; release, where it is not nil, is called at the
	// call's end. nil lets every call in.
	Admit func(call *auth.Call) (release func(), err error)
	// Record is told of every call that reached an operation's name, whatever
	// became of it, before the answer goes out; nil records nothing.
	Record func(ctx context.Context, rec Recording)
	Logger *slog.Logger
	// MaxBody bounds bodies that are read whole, in bytes; 0 is 4 MiB, which
	// holds the largest SQS message and CloudFormation template URL-encoded.
	MaxBody int64
	// Patience is how long the reading of a body waits for its next bytes; 0 is a
	// minute.
	Patience time.Duration
	// Domains are host names, beside localhost, whose subdomains are buckets.
	Domains []string
	Now     func() time.Time // nil is time.Now
}

const defaultMaxBody = 4 << 20

// Handler answers every AWS request.
type Handler struct {
	cfg      Config
	services []*service
	byScope  map[string][]*service // signing name
	byTarget map[string]*service   // prefix of X-Amz-Target
	byHost   map[string]*service   // first label of a host
	byName   map[string]*service
}

// New makes a handler that serves the mounts and knows every other service by
// name.
func New(cfg Config) *Handler {
	if cfg.MaxBody == 0 {
		cfg.MaxBody = defaultMaxBody
	}
	if cfg.Patience == 0 {
		cfg.Patience = defaultPatience
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	h := &Handler{cfg: cfg}
	h.index()
	return h
}
