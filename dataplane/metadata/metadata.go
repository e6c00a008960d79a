// Package metadata is the instance metadata service, version 2 ("Use the
// Instance Metadata Service to access instance metadata", EC2 User Guide). It
// answers an instance by the address that it calls from, and is told all it
// says by a Source. It never imports store or a service. A Server owns the
// goroutine of its listener; Stop blocks until it has ended.
package metadata

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Credentials are temporary credentials for an instance.
type Credentials struct {
	AccessKeyID     string
	SecretAccessKey string
	SessionToken    string
	Expiration      time.Time
	Issued          time.Time
}

// Source tells of instances.
type Source interface {
	// Lookup finds the running instance that has an address.
	Lookup(ctx context.Context, remote netip.Addr) (Instance, bool, error)
	// RoleCredentials are those of the role in the instance's profile.
	RoleCredentials(ctx context.Context, instanceID string) (Credentials, error)
	// IdentityCredentials prove which instance calls, and allow no more than
	// that: the cfn helper commands sign with them.
	IdentityCredentials(ctx context.Context, instanceID string) (Credentials, error)
}

// Headers and bounds of session tokens.
const (
	tokenHeader = "X-Aws-Ec2-Metadata-Token"
	ttlHeader   = "X-Aws-Ec2-Metadata-Token-Ttl-Seconds"
	maxTTL      = 21600 // seconds
	tokenKey    = 32    // bytes
)

// Handler answers instances. Its session tokens end with the process: clients
// fetch a new one on 401.
type Handler struct {
	source Source
	log    *slog.Logger
	now    func() time.Time
	key    []byte
}

// NewHandler makes a handler.
func NewHandler(source Source, log *slog.Logger, now func() time.Time) *Handler {
	key := make([]byte, tokenKey)
	_, _ = rand.Read(key) // crypto/rand.Read never fails (Go 1.24)
	return &Handler{source: source, log: log, now: now, key: key}
}

// ServeHTTP answers one request of an instance.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	remote, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		refuse(w, http.StatusForbidden)
		return
	}
	in, ok, err := h.source.Lookup(r.Context(), remote.Addr().Unmap())
	switch {
	case err != nil:
		h.fail(w, "find the instance", err)
		return
	case !ok, !in.Enabled:
		refuse(w, http.StatusForbidden)
		return
	}
	if r.URL.Path == "/latest/api/token" {
		h.serveToken(w, r, in)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		refuse(w, http.StatusMethodNotAllowed)
		return
	}
	if in.HopLimit > 0 {
		limitHops(r.Context(), usualHops) // the connection may have brought a token before
	}
	token := r.Header.Get(tokenHeader)
	if (token != "" || in.TokensRequired) && !h.valid(token, in.ID) {
		refuse(w, http.StatusUnauthorized)
		return
	}
	h.serveItem(w, r, in)
}

// serveToken begins a session. A request that came through a proxy gets none.
func (h *Handler) serveToken(w http.ResponseWriter, r *http.Request, in Instance) {
	if r.Method != http.MethodPut {
		refuse(w, http.StatusMethodNotAllowed)
		return
	}
	if r.Header.Get("X-Forwarded-For") != "" {
		refuse(w, http.StatusForbidden)
		return
	}
	ttl, err := strconv.Atoi(r.Header.Get(ttlHeader))
	if err != nil || ttl < 1 || ttl > maxTTL {
		refuse(w, http.StatusBadRequest)
		return
	}
	if in.HopLimit > 0 && !limitHops(r.Context(), in.HopLimit) {
		h.log.Warn("metadata: the hops of a token cannot be limited", "instance", in.ID)
	}
	w.Header().Set(ttlHeader, strconv.Itoa(ttl))
	text(w, h.token(in.ID, h.now().Add(time.Duration(ttl)*time.Second)))
}

// token is an expiry and its authentication for one instance.
func (h *Handler) token(instanceID string, expires time.Time) string {
	b := binary.BigEndian.AppendUint64(nil, uint64(expires.Unix()))
	return base64.URLEncoding.EncodeToString(append(b, h.sum(b, instanceID)...))
}

func (h *Handler) sum(expiry []byte, instanceID string) []byte {
	m := hmac.New(sha256.New, h.key)
	m.Write(expiry)
	m.Write([]byte(instanceID))
	return m.Sum(nil)
}

func (h *Handler) valid(token, instanceID string) bool {
	b, err := base64.URLEncoding.DecodeString(token)
	if err != nil || len(b) != 8+sha256.Size {
		return false
	}
	if !hmac.Equal(b[8:], h.sum(b[:8], instanceID)) {
		return false
	}
	return h.now().Unix() < int64(binary.BigEndian.Uint64(b))
}

// serveItem answers a path below /latest or below a dated version.
func (h *Handler) serveItem(w http.ResponseWriter, r *http.Request, in Instance) {
	version, path, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch {
	case version == "":
		text(w, strings.Join(versions, "\n"))
		return
	case !known(version):
		refuse(w, http.StatusNotFound)
		return
	case path == "user-data":
		if len(in.UserData) == 0 {
			refuse(w, http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		_, _ = w.Write(in.UserData)
		return
	}
	path = strings.TrimSuffix(path, "/")
	items := in.items()
	if get := h.credentials(in)[path]; get != nil {
		body, err := get(r.Context())
		if err != nil {
			h.fail(w, "credentials of "+in.ID, err)
			return
		}
		text(w, body)
		return
	}
	if value, ok := items[path]; ok {
		text(w, value)
		return
	}
	if list := listing(items, path); list != "" {
		text(w, list)
		return
	}
	refuse(w, http.StatusNotFound)
}

// versions are those that clients ask for; all answer alike.
var versions = []string{"1.0", "2009-04-04", "2016-09-02", "2018-09-24", "2020-10-27", "2021-03-23", "2021-07-15", "2022-09-24", "latest"}

func known(version string) bool {
	for _, v := range versions {
		if v == version {
			return true
		}
	}
	return false
}

func text(w http.ResponseWriter, body string) {
	w.Header().Set("Content-Type", "text/plain")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write([]byte(body))
}

func refuse(w http.ResponseWriter, status int) { http.Error(w, http.StatusText(status), status) }

func (h *Handler) fail(w http.ResponseWriter, what string, err error) {
	h.log.Error("metadata: "+what, "error", err)
	refuse(w, http.StatusInternalServerError)
}

// Bounds of the metadata server.
const (
	headerTimeout = 5 * time.Second
	idleTimeout   = time.Minute
	maxHeader     = 16 << 10
)

// Server serves a handler on a listener.
type Server struct {
	http *http.Server
	done sync.WaitGroup
	log  *slog.Logger
}

// Serve begins to serve. The server owns the listener from here on.
func Serve(l net.Listener, h *Handler) *Server {
	s := &Server{log: h.log, http: &http.Server{
		Handler: h, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader, ConnContext: withConn,
	}}
	s.done.Add(1)
	go func() {
		defer s.done.Done()
		if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			s.log.Error("metadata: serve", "error", err)
		}
	}()
	return s
}

// Stop lets requests end until ctx does, and blocks until the server has
// ended. It is safe to call twice.
func (s *Server) Stop(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.http.Close())
	}
	s.done.Wait()
	return err
}
