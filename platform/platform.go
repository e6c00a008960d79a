package platform

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/keyring"
	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/dataplane/metadata"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/store/sqlite"
	"github.com/slipway/slipway/workflow"
)

// Bounds of the HTTP servers.
const (
	readHeaderTimeout = 20 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeader         = 64 << 10
)

// Platform is a running Slipway.
type Platform struct {
	cfg      Config
	started  time.Time
	store    store.Store
	ring     *keyring.Ring
	driver   compute.Driver
	engine   *workflow.Engine
	services *services
	rootKey  *RootKey
	listener *door                   // of the API
	gateway  *door                   // of the API, for instances; nil where theirs is the listener
	doors    map[string]*door        // all that a restart in place hands over, by name
	kept     map[string]net.Listener // handed over to us, not yet in use
	handed   []*os.File
	tls      *tls.Config // nil: plain HTTP
	traffic  traffic
	endpoint string

	failed   chan error
	serving  sync.WaitGroup
	servers  []*http.Server
	metadata *metadata.Server
	stop     sync.Once
	stopErr  error
	running  bool
	ballast  []byte
}

// ballastSize is bytes that no memory of the machine backs, as nothing is written
// there. They count as live for the garbage collector, whose next cycle comes when
// the heap is twice what lives: a Slipway with little in memory would collect
// after every few hundred calls, a tenth of what they cost.
const ballastSize = 16 << 20

// RootKey is a root access key that this start made.
type RootKey struct{ Account, AccessKeyID, SecretAccessKey string }

// New opens the data folder, the listener and the driver, and wires the
// services. Nothing runs yet. Where it fails, it leaves nothing open.
func New(ctx context.Context, cfg Config) (_ *Platform, err error) {
	if err := errors.Join(cfg.complete(), supported(runtime.GOOS)); err != nil {
		return nil, err
	}
	p := &Platform{cfg: cfg, started: cfg.Now(), failed: make(chan error, 1), doors: map[string]*door{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	if p.kept, err = inherited(); err != nil {
		return nil, err
	}
	if p.store, err = sqlite.Open(ctx, cfg.Dir, sqlite.Options{}); err != nil {
		return nil, err
	}
	if err := dropStages(cfg.Dir, cfg.Now().Add(-staleStage)); err != nil {
		cfg.Logger.Warn("cannot remove what a killed backup left", "error", err)
	}
	// The folder is ours from here on. The listener comes early so that an
	// address that is taken changes nothing.
	if p.listener, err = p.listen(listenAPI, cfg.Listen); err != nil {
		return nil, fmt.Errorf("%w (is a Slipway running already? 'slipway status' asks; --listen takes another address)", err)
	}
	if p.tls, err = cfg.tlsConfig(ownNames(p.listener.Addr().String())...); err != nil {
		return nil, err
	}
	scheme := "http://"
	if p.tls != nil {
		scheme = "https://"
	}
	p.endpoint = scheme + reachable(p.listener.Addr().String())
	if p.ring, err = keyring.Open(cfg.Dir + "/keys"); err != nil {
		return nil, err
	}
	if p.driver, err = openDriver(cfg); err != nil {
		return nil, err
	}
	p.engine = workflow.New(workflow.Config{
		Store: p.store, Logger: cfg.Logger, WaitScale: cfg.WaitScale, Now: cfg.Now, Server: "slipway",
	})
	p.services, err = p.wire()
	return p, err
}

// supported refuses systems that no compute driver is built for, before anything
// is made there. Slipway's other commands work on them.
func supported(system string) error {
	if system == "linux" || system == "darwin" {
		return nil
	}
	return fmt.Errorf("'slipway up' is not supported on %s: no compute driver is built for it. Run it on Linux or macOS; here, 'slipway env' points clients at it", system)
}

// reachable turns an unspecified address into one that a client can use.
func reachable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// Start recovers what was under way and serves. It returns once the API
// answers; ctx bounds the start only.
func (p *Platform) Start(ctx context.Context) error {
	p.running = true
	if p.closed() {
		root, unshown, err := auth.EnsureRoot(ctx, p.store, p.ring)
		if err != nil {
			return err
		}
		if unshown {
			p.rootKey = &RootKey{arn.DefaultAccount, root.AccessKeyID, root.SecretAccessKey}
		}
	}
	// A function that a workflow asks as it goes on may answer at once.
	if err := p.openToInstances(ctx); err != nil {
		return err
	}
	if err := p.engine.Start(ctx); err != nil {
		return err
	}
	p.services.start(ctx)
	control, err := listenControl(p.cfg.Dir)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", p.serveStatus)
	mux.HandleFunc("POST /copy", p.serveCopy)
	p.serve("control socket", control, mux)
	if err := p.serveInstances(); err != nil {
		return err
	}
	var api net.Listener = newFair(p.listener, p.cfg.MaxConnections)
	if p.tls != nil {
		api = &encrypted{api, p.tls, p.plainAddress()}
	}
	p.serve("API", api, p.handler(p.closed()))
	p.ballast = make([]byte, ballastSize)
	if err := notify("READY=1\nSTATUS=Listening on " + p.endpoint); err != nil {
		p.cfg.Logger.Warn("start", "error", err)
	}
	return nil
}

// closed reports whether signatures and policies count on the API's listener. It
// goes by the address that is listened on, not by the name that was given for it.
func (p *Platform) closed() bool { return p.cfg.Auth || !loopback(p.listener.Addr().String()) }

// serve runs an HTTP server until Stop. The platform owns its goroutine.
func (p *Platform) serve(name string, l net.Listener, h http.Handler) {
	server := &http.Server{
		Handler: p.traffic.polite(h), ReadHeaderTimeout: readHeaderTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		ConnState: p.traffic.watch, ErrorLog: slog.NewLogLogger(p.cfg.Logger.Handler(), slog.LevelDebug),
	}
	p.servers = append(p.servers, server)
	p.serving.Add(1)
	go func() {
		defer p.serving.Done()
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			select {
			case p.failed <- fmt.Errorf("%s: %w", name, err):
			default: // one failure is enough to end on
			}
		}
	}()
}

// Failed tells why a running platform can serve no longer.
func (p *Platform) Failed() <-chan error { return p.failed }

// Endpoint is the API's base URL.
func (p *Platform) Endpoint() string { return p.endpoint }

// Dir is the data folder.
func (p *Platform) Dir() string { return p.cfg.Dir }

// Driver names where instances run.
func (p *Platform) Driver() string { return p.driver.Name() }

// NewRootKey is the root key that nobody has been shown yet, or nil.
func (p *Platform) NewRootKey() *RootKey { return p.rootKey }

// RootKeyShown says that it was shown, so that no later start shows it again.
func (p *Platform) RootKeyShown(ctx context.Context) error { return auth.RootShown(ctx, p.store) }

// Stop ends the listeners, lets requests finish until ctx ends, stops
// workflows and loops, and closes the store. Instances go on. It blocks until
// all goroutines have ended, and is safe to call twice.
func (p *Platform) Stop(ctx context.Context) error {
	p.stop.Do(func() { p.stopErr = p.shutdown(ctx) })
	return p.stopErr
}

func (p *Platform) shutdown(ctx context.Context) error {
	var errs []error
	if len(p.handed) == 0 {
		if err := notify("STOPPING=1"); err != nil {
			p.cfg.Logger.Warn("stop", "error", err)
		}
	}
	// Long polls would hold the stop up by as much as 20 seconds; the rest is quick.
	p.services.drain()
	for _, s := range p.servers {
		if err := s.Shutdown(ctx); err != nil {
			errs = append(errs, s.Close())
		}
	}
	p.serving.Wait()
	if p.metadata != nil {
		errs = append(errs, p.metadata.Stop(ctx))
	}
	if p.running {
		p.engine.Stop()
		p.services.stop()
	}
	return errors.Join(append(errs, p.close())...)
}

// close releases what New opened.
func (p *Platform) close() error {
	var errs []error
	if p.driver != nil {
		errs = append(errs, p.driver.Close())
	}
	for _, d := range p.doors {
		if err := d.Close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	for _, l := range p.kept {
		errs = append(errs, l.Close())
	}
	p.kept = nil
	if p.store != nil {
		errs = append(errs, p.store.Close())
	}
	return errors.Join(errs...)
}

// StopAndClean stops, and removes every instance and what the driver set up on
// the host. It is for folders that are about to be removed.
func (p *Platform) StopAndClean(ctx context.Context) ([]string, error) {
	err := p.Stop(ctx)
	removed, cleanErr := Clean(ctx, p.cfg)
	return removed, errors.Join(err, cleanErr)
}
