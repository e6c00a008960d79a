package s3

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	api "github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// FrontConfig is what the front needs of the rest.
type FrontConfig struct {
	// Next answers the operations of the APIs.
	Next http.Handler
	// Closed says that policies decide who may read websites.
	Closed bool
	// Bucket tells the bucket that a request to S3 names, by its host or its
	// path, and the host without it; ok is false for another service's request.
	Bucket func(r *http.Request) (bucket, host string, ok bool)
	// Form says who sent a browser's form.
	Form func(ctx context.Context, f auth.Form) (auth.Authenticated, error)
}

// front answers what browsers ask of S3 beside its operations: websites,
// preflights, and forms; and it puts the headers of CORS on the rest.
type front struct {
	*Service
	FrontConfig
}

// Front is the handler before the APIs.
func (s *Service) Front(cfg FrontConfig) http.Handler { return &front{s, cfg} }

// copySourceHeader is, or begins, the headers that make a put a copy.
const copySourceHeader = "x-amz-copy-source"

type frontKey struct{}

// fronted is what the front tells the rest of the pipeline of a request.
type fronted struct {
	form *auth.Authenticated // who sent the browser's form that the request was
	cors bool                // a rule of the bucket allows its origin
}

func frontOf(ctx context.Context) fronted {
	f, _ := ctx.Value(frontKey{}).(fronted)
	return f
}

// posted reports whether an object came by a browser's form.
func posted(ctx context.Context) bool { return frontOf(ctx).form != nil }

// FormSender is who sent the form that a request was made of, or nil.
func FormSender(ctx context.Context) *auth.Authenticated { return frontOf(ctx).form }

// OriginAllowed reports whether a bucket's CORS rules allow the request's origin.
func OriginAllowed(ctx context.Context) bool { return frontOf(ctx).cors }

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if name, ok := siteOf(r.Host); ok {
		w = f.allowOrigin(w, r, name)
		f.serveSite(w, r, name, f.Closed)
		return
	}
	origin := r.Header.Get("Origin") != ""
	form := r.Method == http.MethodPost && strings.HasPrefix(strings.ToLower(r.Header.Get("Content-Type")), "multipart/form-data") && r.URL.RawQuery == ""
	if !origin && !form && r.Method != http.MethodOptions {
		f.Next.ServeHTTP(w, r)
		return
	}
	name, host, ok := f.Bucket(r)
	if !ok || name == "" {
		f.Next.ServeHTTP(w, r)
		return
	}
	if r.Method == http.MethodOptions {
		f.preflight(w, r, name, host)
		return
	}
	if origin {
		if wrapped := f.allowOrigin(w, r, name); wrapped != w {
			// The bucket's rules speak for the bucket, not for one that is copied from.
			allowed := fronted{cors: r.Header.Get(copySourceHeader) == ""}
			w, r = wrapped, r.WithContext(context.WithValue(r.Context(), frontKey{}, allowed))
		}
	}
	if form && keyOf(r, host) == "" {
		f.servePost(w, r, name, host)
		return
	}
	f.Next.ServeHTTP(w, r)
}

// keyOf is the key that a request's path names, or "". host is the request's
// without the bucket that it may name.
func keyOf(r *http.Request, host string) string {
	path := strings.TrimPrefix(r.URL.Path, "/")
	if host != r.Host {
		return path
	}
	_, key, _ := strings.Cut(path, "/")
	return key
}

// rules reads a bucket's CORS rules; nil where it has none. there is false where
// there is no such bucket.
func (f *front) rules(ctx context.Context, name string) (cfg *api.CORSConfiguration, there bool, err error) {
	err = f.store.View(ctx, func(tx store.Tx) error {
		_, err := buckets.Get(tx, name)
		if err != nil {
			return ignoreNotFound(err)
		}
		there = true
		cfg, err = corsConfigs.Get(tx, name)
		return ignoreNotFound(err)
	})
	if err != nil || cfg == nil {
		return nil, there, err
	}
	return cfg, there, nil
}

const varyCORS = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"

func (a *corsAnswer) set(h http.Header) {
	h.Set("Access-Control-Allow-Origin", a.origin)
	h.Set("Access-Control-Allow-Methods", a.methods)
	if a.credentials {
		h.Set("Access-Control-Allow-Credentials", "true")
	}
	if a.expose != "" {
		h.Set("Access-Control-Expose-Headers", a.expose)
	}
	if a.maxAge != nil {
		h.Set("Access-Control-Max-Age", strconv.Itoa(int(*a.maxAge)))
	}
	h.Set("Vary", varyCORS)
}

// preflight answers an OPTIONS request.
func (f *front) preflight(w http.ResponseWriter, r *http.Request, name, host string) {
	method := r.Header.Get("Access-Control-Request-Method")
	c := corsRequest{origin: r.Header.Get("Origin"), method: method}
	kind, about := "BUCKET", method
	if keyOf(r, host) != "" {
		kind = "OBJECT"
	}
	if about == "" {
		about = http.MethodOptions
	}
	forbidden := func(why string) error {
		return fault.New(fault.AccessForbidden, "CORSResponse: %s", why).With("Method", about).With("ResourceType", kind)
	}
	for h := range strings.SplitSeq(r.Header.Get("Access-Control-Request-Headers"), ",") {
		if h = strings.ToLower(strings.TrimSpace(h)); h != "" {
			c.headers = append(c.headers, h)
		}
	}
	if c.origin == "" {
		f.refuse(w, r, fault.New(fault.BadRequest, "Insufficient information. Origin request header needed."))
		return
	}
	cfg, there, err := f.rules(r.Context(), name)
	switch {
	case err != nil:
	case !there:
		err = forbidden("Bucket not found")
	case cfg == nil:
		err = forbidden("CORS is not enabled for this bucket.")
	case !corsMethods[method]:
		err = fault.New(fault.BadRequest, "Invalid Access-Control-Request-Method: %s", orNull(method))
	}
	if err != nil {
		f.refuse(w, r, err)
		return
	}
	a := answerCORS(cfg, c)
	if a == nil {
		f.refuse(w, r, forbidden("This CORS request is not allowed. This is usually because the evalution of Origin, request method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec."))
		return
	}
	h := w.Header()
	f.ids(h)
	a.set(h)
	if a.headers != "" {
		h.Set("Access-Control-Allow-Headers", a.headers)
	}
	h.Set("Content-Length", "0")
	w.WriteHeader(http.StatusOK)
}

func orNull(s string) string {
	if s == "" {
		return "null"
	}
	return s
}

// allowOrigin is w with the headers of the bucket's CORS rules, if one of them
// allows the request; else w itself.
func (f *front) allowOrigin(w http.ResponseWriter, r *http.Request, name string) http.ResponseWriter {
	c := corsRequest{origin: r.Header.Get("Origin"), method: r.Method}
	if c.origin == "" {
		return w
	}
	cfg, _, err := f.rules(r.Context(), name)
	if err != nil || cfg == nil {
		return w
	}
	if a := answerCORS(cfg, c); a != nil {
		a.maxAge = nil
		return &corsWriter{ResponseWriter: w, answer: a}
	}
	return w
}

// corsWriter puts the headers of CORS on an answer as it begins.
type corsWriter struct {
	http.ResponseWriter
	answer *corsAnswer
	begun  bool
}

func (w *corsWriter) WriteHeader(status int) {
	if !w.begun {
		w.begun = true
		w.answer.set(w.Header())
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *corsWriter) Write(b []byte) (int, error) {
	if !w.begun {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(b)
}

// ReadFrom keeps the way by which files go out without being copied.
func (w *corsWriter) ReadFrom(r io.Reader) (int64, error) {
	if !w.begun {
		w.WriteHeader(http.StatusOK)
	}
	return io.Copy(w.ResponseWriter, r)
}

func (w *corsWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (f *front) ids(h http.Header) string {
	id := arn.NewID("")
	h.Set("x-amz-request-id", id)
	h.Set("x-amz-id-2", hostID(id))
	return id
}

// refuse answers with an error in S3's form.
func (f *front) refuse(w http.ResponseWriter, r *http.Request, err error) {
	id := f.ids(w.Header())
	e, known := fault.As(err)
	if !known {
		f.log.ErrorContext(r.Context(), "s3 front", "requestId", id, "error", err)
		e = fault.New(fault.InternalFailure, "An internal error occurred. Slipway's log has more under request id %s.", id)
	}
	var body bytes.Buffer
	body.WriteString(xml.Header + "<Error>")
	element := func(name, value string) {
		body.WriteString("<" + name + ">")
		_ = xml.EscapeText(&body, []byte(value)) // a buffer takes everything
		body.WriteString("</" + name + ">")
	}
	element("Code", e.Code)
	element("Message", e.Message)
	for _, name := range sortedKeys(e.Fields) {
		element(name, fmt.Sprint(e.Fields[name]))
	}
	element("RequestId", id)
	element("HostId", hostID(id))
	body.WriteString("</Error>")
	h := w.Header()
	h.Set("Content-Type", "application/xml")
	h.Set("Content-Length", strconv.Itoa(body.Len()))
	status := e.Status
	if status == 0 {
		status = fault.Status(e.Code)
	}
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		status = http.StatusRequestEntityTooLarge
	}
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // a client that went away is no error of ours
}
