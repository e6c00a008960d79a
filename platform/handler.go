package platform

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"github.com/slipway/slipway/api"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/dataplane/metadata"
	"github.com/slipway/slipway/service/cloudformation"
	"github.com/slipway/slipway/service/lambda"
	"github.com/slipway/slipway/service/s3"
	"github.com/slipway/slipway/service/sns"
	"github.com/slipway/slipway/wire"
)

// gate is an authenticator whose principals are bound by policies where
// signatures count.
type gate struct {
	*auth.Authenticator
	closed bool
	know   func(ctx context.Context, p auth.Principal) (auth.Principal, error)
}

func (g gate) Authenticate(r *http.Request, service string) (auth.Authenticated, error) {
	a, err := g.who(r, service)
	if err == nil && !g.closed && !a.Verified {
		allowed := s3.OriginAllowed(r.Context()) && a.Principal.AccessKeyID != ""
		if site, foreign := foreignPage(r, service, allowed); foreign {
			return auth.Authenticated{}, pageRefused(site)
		}
	}
	a.Principal.Enforced = g.closed
	if err == nil && g.know != nil {
		a.Principal, err = g.know(r.Context(), a.Principal)
	}
	return a, err
}

// who is the sender of a request, or of the form that it was made of. S3 itself
// says, in closed mode, what a request without a signature may do.
func (g gate) who(r *http.Request, service string) (auth.Authenticated, error) {
	if form := s3.FormSender(r.Context()); form != nil {
		sender := *form
		sender.Body, sender.ContentLength = r.Body, r.ContentLength
		return sender, nil
	}
	if g.closed && service == "s3" && auth.Unsigned(r) {
		return auth.Nobody(r), nil
	}
	return g.Authenticator.Authenticate(r, service)
}

// enforcement authorizes the calls of principals that policies bind, on the
// wire and in the process alike.
type enforcement struct{ iam *auth.IAM }

func (e enforcement) Authorize(ctx context.Context, r auth.Request) error {
	if !r.Principal.Enforced || r.Principal.Kind == auth.Anonymous && r.Service == "s3" {
		return nil // S3 asks the bucket's policy and lists
	}
	return e.iam.Authorize(ctx, r)
}

// Effect tells what a call of a principal that policies bind comes to.
func (e enforcement) Effect(ctx context.Context, c *auth.Call, input any) (any, error) {
	if !c.Principal.Enforced {
		return input, nil
	}
	return e.iam.Effect(ctx, c, input)
}

// handler answers a listener: every AWS API, and Slipway's own paths.
func (p *Platform) handler(closed bool) http.Handler {
	s := p.services
	authenticator := &auth.Authenticator{Open: !closed, Keys: s.keys, Sessions: s.sessions, Now: p.cfg.Now}
	authenticate := gate{authenticator, closed, s.know}
	apis := wire.New(wire.Config{
		Services:      s.mounts,
		Authenticator: authenticate,
		Authorize: func(ctx context.Context, call *auth.Call, _ *api.Service, _ *api.Operation, input any) error {
			if !call.Principal.Enforced {
				return nil
			}
			return auth.Ask(ctx, s.authorizer, call, input)
		},
		Admit:  p.services.quotas.admit,
		Record: p.record,
		Logger: p.cfg.Logger,
		Now:    p.cfg.Now,
	})
	front := s.s3.Front(s3.FrontConfig{Next: apis, Closed: closed, Bucket: apis.BucketOf, Form: authenticator.AuthenticateForm})
	signals, answers, code := s.cloudformation.Handler(), s.cloudformation.AnswerHandler(), s.lambda.CodeHandler()
	health := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("ok\n"))
	}
	return s.lambda.Front(lambda.URLFront{Authenticate: authenticate.Authenticate, Next: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// No ServeMux: it would clean the paths that S3's keys stand in.
		switch path := r.URL.Path; {
		case path == "/_slipway/health":
			health(w, r)
		case len(path) > len(cloudformation.SignalPath) && path[:len(cloudformation.SignalPath)] == cloudformation.SignalPath:
			signals.ServeHTTP(w, r)
		case len(path) > len(lambda.CodePath) && path[:len(lambda.CodePath)] == lambda.CodePath:
			code.ServeHTTP(w, r)
		case sns.IsCertificate(path):
			s.sns.ServeCertificate(w, r)
		case strings.HasPrefix(path, cloudformation.AnswerPath):
			answers.ServeHTTP(w, r)
		case wanted(r) && fromHost(r):
			p.services.metrics.handler.ServeHTTP(w, r)
		default:
			front.ServeHTTP(w, r)
		}
	})})
}

// fromHost reports whether a request comes from this host itself: metrics need
// no key and are for nobody else.
func fromHost(r *http.Request) bool {
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && a.Addr().Unmap().IsLoopback()
}

// record counts what became of a call, and logs those that went well: of one that
// failed there is a line already. Inputs and outputs hold secrets and stay out.
func (p *Platform) record(ctx context.Context, rec wire.Recording) {
	p.services.metrics.observe(rec)
	p.services.iam.Used(rec.Call)
	if rec.Err != nil || !p.cfg.Logger.Enabled(ctx, slog.LevelDebug) {
		return
	}
	p.cfg.Logger.DebugContext(ctx, "call", "requestId", rec.Call.RequestID, "service", rec.Call.Service, "operation", rec.Call.Operation,
		"principal", rec.Call.Principal.ARN, "status", rec.Status, "duration", rec.Duration)
}

// instanceEndpoint is the API's base URL as instances reach it: on the driver's
// gateway where it has one, else on the API's own address.
func (p *Platform) instanceEndpoint() string {
	gateway := p.driver.Network().Gateway
	if !gateway.IsValid() || gateway.IsLoopback() {
		return p.endpoint
	}
	return "http://" + netip.AddrPortFrom(gateway, p.port()).String()
}

func (p *Platform) port() uint16 {
	_, port, _ := net.SplitHostPort(p.listener.Addr().String()) // a TCP listener's address has both
	n, _ := strconv.ParseUint(port, 10, 16)
	return uint16(n)
}

// openToInstances listens where instances and functions call the API, on the gateway's
// address, and lets them through to it. Who calls before serveInstances waits.
func (p *Platform) openToInstances(ctx context.Context) (err error) {
	if url := p.instanceEndpoint(); url != p.endpoint {
		if host, _, _ := net.SplitHostPort(p.listener.Addr().String()); !net.ParseIP(host).IsUnspecified() {
			if p.gateway, err = p.listen(listenInstances, url[len("http://"):]); err != nil {
				return err
			}
		}
	}
	if g, ok := p.driver.(compute.HostGuard); ok {
		return g.AdmitToHost(ctx, p.port())
	}
	return nil
}

// serveInstances serves the API on the gateway's address, where signatures always
// count, and the metadata service.
func (p *Platform) serveInstances() error {
	if p.gateway != nil {
		p.serve("API for instances", newFair(p.gateway, maxPerInstance), p.handler(true))
	}
	m, ok := p.driver.(compute.MetadataListener)
	if !ok {
		return nil
	}
	l, err := p.door(listenMetadata, func() (net.Listener, error) { return m.ListenMetadata(context.Background()) })
	if err != nil {
		return err
	}
	p.metadata = metadata.Serve(newFair(l, maxPerInstance), metadata.NewHandler(p.services.ec2, p.cfg.Logger, p.cfg.Now))
	return nil
}
