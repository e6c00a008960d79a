package wire

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"reflect"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/slipway/slipway/api"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
)

// exchange is one request on its way through the pipeline.
type exchange struct {
	h     *Handler
	w     http.ResponseWriter
	r     *http.Request
	id    string
	start time.Time

	proto    protocol
	svc      *service
	opName   string
	op       *api.Operation // nil where it is not built
	host     string         // without the bucket
	unsigned bool
	query    url.Values
	labels   map[string]string
	form     *form
	body     []byte
	read     bool
	length   int64 // of the body, decoded; -1 where it is not known

	call   auth.Call
	input  any
	output any
}

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{h: h, w: w, r: r, id: newRequestID(), start: h.cfg.Now(), proto: restXML{}, length: r.ContentLength}
	h.patient(w, r)
	resp := &response{status: http.StatusOK, header: w.Header()}
	err := x.guarded(r.Context(), resp)
	if err != nil {
		x.refuse(resp, err)
	}
	if h.cfg.Record != nil && x.svc != nil && (x.op != nil || x.svc.has(x.opName)) {
		h.cfg.Record(r.Context(), Recording{
			Call: x.call, Service: x.svc.desc, Input: x.input, Output: x.output, Err: err,
			Status: resp.status, Duration: h.cfg.Now().Sub(x.start),
		})
	}
	x.write(resp)
}

// newRequestID makes a version 4 UUID. It names a request and guards nothing, so
// the runtime's own generator is good enough for it.
func newRequestID() string {
	var b [16]byte
	binary.NativeEndian.PutUint64(b[:8], rand.Uint64())
	binary.NativeEndian.PutUint64(b[8:], rand.Uint64())
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	var text [36]byte
	hex.Encode(text[:8], b[:4])
	hex.Encode(text[9:13], b[4:6])
	hex.Encode(text[14:18], b[6:8])
	hex.Encode(text[19:23], b[8:10])
	hex.Encode(text[24:], b[10:])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	return string(text[:])
}

// guarded runs the pipeline and makes an error of a panic.
func (x *exchange) guarded(ctx context.Context, resp *response) (err error) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		if e, ok := p.(error); ok && errors.Is(e, http.ErrAbortHandler) {
			panic(p)
		}
		err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
	}()
	return x.run(ctx, resp)
}

func (x *exchange) run(ctx context.Context, resp *response) error {
	if err := x.route(); err != nil {
		return err
	}
	if err := x.identify(); err != nil {
		return err
	}
	if err := x.name(); err != nil {
		return err
	}
	x.call.Operation = x.opName
	if x.h.cfg.Admit != nil {
		release, err := x.h.cfg.Admit(&x.call)
		if err != nil {
			return err
		}
		if release != nil {
			defer release()
		}
	}
	if x.op == nil {
		return x.unbuilt()
	}
	ctx = auth.Carry(ctx, &x.call)
	d, err := x.decode()
	if err != nil {
		return err
	}
	if x.h.cfg.Authorize != nil {
		if err := x.h.cfg.Authorize(ctx, &x.call, x.svc.desc, x.op, x.input); err != nil {
			return err
		}
	}
	in := reflect.ValueOf(x.input).Elem()
	if err := validate(x.svc.desc, x.op, in, d.empty, !x.queryStyle()); err != nil {
		return err
	}
	out, err := x.op.Call(ctx, x.svc.impl, x.input)
	if err != nil {
		return err
	}
	x.output = out
	return x.encode(resp, out)
}

// queryStyle reports whether validation errors carry the Query services' code:
// a service that once spoke Query kept it.
func (x *exchange) queryStyle() bool {
	id := x.proto.id()
	return id == api.AWSQuery || id == api.EC2Query || x.svc.desc.QueryError
}

// unbuilt answers for operations that the service does not have here.
func (x *exchange) unbuilt() error {
	if x.svc.has(x.opName) {
		return fault.New(fault.NotImplemented, "%s: operation %s is not implemented", x.svc.desc.Name, x.opName)
	}
	return x.proto.unknown(x)
}

// identify authenticates the caller and fills in the call.
func (x *exchange) identify() error {
	if x.unsigned {
		// An operation that needs no signature is told by its name, which may
		// stand in the body.
		if err := x.name(); err != nil {
			return err
		}
	}
	if !x.svc.rest() && !x.read {
		// The authenticator may have to read the body; it gets no more of it
		// than the operation would.
		x.r.Body = http.MaxBytesReader(x.w, x.r.Body, x.svc.maxBody)
	}
	who, err := x.h.cfg.Authenticator.Authenticate(x.r, x.svc.desc.SigningName)
	unsigned := x.unsigned && x.op != nil && x.op.NoAuth
	if err == nil {
		x.r.Body, x.length = who.Body, who.ContentLength
	}
	switch {
	case unsigned: // also where anybody is let in: the operation asks who proves himself by a signature
		who.Principal = auth.Principal{Kind: auth.Anonymous, Enforced: who.Principal.Enforced}
		who.Scope = arn.Scope{Account: arn.DefaultAccount, Region: arn.DefaultRegion}
	case err != nil:
		return err
	}
	scheme := "http://"
	if x.r.TLS != nil {
		scheme = "https://"
	}
	source, _, err := net.SplitHostPort(x.r.RemoteAddr)
	if err != nil {
		source = x.r.RemoteAddr
	}
	x.call = auth.Call{
		Principal: who.Principal, Scope: who.Scope, RequestID: x.id, Service: x.svc.desc.Name,
		Operation: x.opName, Time: x.start, SourceIP: source, UserAgent: x.r.UserAgent(), Referer: x.r.Referer(),
		Endpoint: scheme + x.host,
	}
	if who.Service != "" {
		x.call.SignedFor = who.Scope.Region
	}
	x.call.Signature = who.Signature
	if t := x.r.TLS; t != nil {
		x.call.TLS = strings.TrimPrefix(tls.VersionName(t.Version), "TLS ")
	}
	return nil
}

func (x *exchange) decode() (*decoding, error) {
	x.input = x.op.NewInput()
	v := reflect.ValueOf(x.input).Elem()
	d := &decoding{svc: x.svc.desc}
	if err := x.proto.decode(x, d, planOf(x.svc.desc, x.op.Input, v.Type()), v); err != nil {
		x.input = nil // half an input is nobody's business
		return nil, err
	}
	x.queueURL(v)
	return d, nil
}

// queueURL fills in what Query requests to SQS say by their path: the queue.
func (x *exchange) queueURL(v reflect.Value) {
	if x.svc.desc.Name != "sqs" || x.proto.id() != api.AWSQuery || len(steps(x.r.URL.Path)) != 2 {
		return
	}
	if f := v.FieldByName("QueueUrl"); f.IsValid() && f.Len() == 0 {
		f.SetString(x.call.Endpoint + x.r.URL.Path)
	}
}

func (x *exchange) encode(resp *response, out any) error {
	v := reflect.ValueOf(out)
	if x.op.Output == 0 {
		return x.proto.encode(x, resp, nil, v)
	}
	if v.IsNil() {
		return fmt.Errorf("%s.%s answered neither output nor error", x.svc.desc.Name, x.opName)
	}
	return x.proto.encode(x, resp, planOf(x.svc.desc, x.op.Output, v.Type().Elem()), v.Elem())
}

// maxGrow bounds the room made for a body on the word of its length alone.
const maxGrow = 1 << 20

// readBody reads the whole body, once, within the service's bound.
func (x *exchange) readBody() ([]byte, error) {
	if x.read {
		return x.body, nil
	}
	limit := x.h.cfg.MaxBody
	if x.svc != nil {
		limit = x.svc.maxBody
		if own := x.svc.bodies[x.opName]; own > 0 {
			limit = own
		}
	}
	if x.r.ContentLength > limit {
		return nil, &http.MaxBytesError{Limit: limit}
	}
	if whole, ok := x.r.Body.(interface{ Bytes() []byte }); ok && int64(len(whole.Bytes())) <= limit {
		// The authenticator has read it.
		x.body, x.read = whole.Bytes(), true
		return x.body, nil
	}
	var buf bytes.Buffer
	if n := x.r.ContentLength; n > 0 {
		buf.Grow(int(min(n, maxGrow)) + bytes.MinRead)
	}
	n, err := buf.ReadFrom(io.LimitReader(x.r.Body, limit+1))
	switch {
	case n > limit:
		return nil, &http.MaxBytesError{Limit: limit}
	case err != nil:
		if _, ok := fault.As(err); !ok && !errors.As(err, new(*http.MaxBytesError)) {
			err = fault.New(fault.IncompleteBody, "The request's body could not be read whole.").Because(err)
		}
		return nil, err
	}
	x.body, x.read = buf.Bytes(), true
	return x.body, nil
}

// takeStream hands the body over to the operation, unread.
func (x *exchange) takeStream() io.ReadCloser { return x.r.Body }

// refuse turns an error into the answer, in the request's own protocol.
func (x *exchange) refuse(resp *response, err error) {
	e, internal := x.classify(err)
	level := slog.LevelDebug
	if internal {
		level = slog.LevelError
	}
	service := ""
	if x.svc != nil {
		service = x.svc.desc.Name
	}
	shape := x.exception(e.Code)
	resp.body, resp.stream = nil, nil
	clear(resp.header)
	resp.status = statusOf(e, shape, x.proto)
	x.h.cfg.Logger.Log(x.r.Context(), level, "request refused", "requestId", x.id, "service", service, "operation", x.opName,
		"principal", x.call.Principal.ARN, "status", resp.status, "code", e.Code, "error", err)
	x.proto.refuse(x, resp, e, shape)
}

// write sends the answer.
func (x *exchange) write(resp *response) {
	h := resp.header
	values := []string{x.id, ""} // of both headers, in one piece
	if x.svc != nil && x.svc.desc.Name == "s3" {
		h["X-Amz-Request-Id"] = values[:1:1] // in the form that Set would have to make
		h["X-Amz-Id-2"] = []string{hostID(x.id)}
	} else {
		h["X-Amzn-Requestid"] = values[:1:1]
	}
	if resp.stream != nil {
		defer resp.stream.Close()
		x.w.WriteHeader(resp.status)
		if x.r.Method == http.MethodHead {
			return
		}
		if _, err := io.Copy(x.w, resp.stream); err != nil {
			x.h.cfg.Logger.Debug("answer cut short", "requestId", x.id, "error", err)
			panic(http.ErrAbortHandler) // so that the client sees a broken answer, not a short one
		}
		return
	}
	noBody := resp.status == http.StatusNoContent || resp.status == http.StatusNotModified
	if x.r.Method != http.MethodHead && !noBody {
		values[1] = strconv.Itoa(len(resp.body))
		h["Content-Length"] = values[1:]
	}
	x.w.WriteHeader(resp.status)
	if x.r.Method != http.MethodHead && !noBody {
		_, _ = x.w.Write(resp.body) // a client that went away is no error of ours
	}
	resp.sent()
}
