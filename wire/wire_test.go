package wire

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/slipway/slipway/api"
	"github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/api/kms"
	"github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/api/sqs"
	"github.com/slipway/slipway/api/ssm"
	"github.com/slipway/slipway/api/sts"
	"github.com/slipway/slipway/auth"
)

// described are the generated services.
var described = []func() *api.Service{
	cloudformation.Describe, ec2.Describe, iam.Describe, kms.Describe, s3.Describe, sqs.Describe, ssm.Describe, sts.Describe,
}

// unimplemented mounts every generated service with nothing built.
func unimplemented() []Mount {
	return []Mount{
		{Desc: cloudformation.Describe(), Impl: cloudformation.Unimplemented{}},
		{Desc: ec2.Describe(), Impl: ec2.Unimplemented{}},
		{Desc: iam.Describe(), Impl: iam.Unimplemented{}},
		{Desc: kms.Describe(), Impl: kms.Unimplemented{}},
		{Desc: s3.Describe(), Impl: s3.Unimplemented{}},
		{Desc: sqs.Describe(), Impl: sqs.Unimplemented{}},
		{Desc: ssm.Describe(), Impl: ssm.Unimplemented{}},
		{Desc: sts.Describe(), Impl: sts.Unimplemented{}},
	}
}

func testConfig(mounts ...Mount) Config {
	return Config{
		Services:      mounts,
		Authenticator: &auth.Authenticator{Open: true},
		Logger:        slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
}

// answering is an implementation of any operation: it keeps the input and
// answers what the test says.
type answering struct {
	operation string
	input     any
	ctx       context.Context
	output    any
	err       error
}

// mount describes a service whose every operation answers.
func (a *answering) mount(d *api.Service) Mount {
	desc := *d
	desc.Operations = append([]api.Operation(nil), d.Operations...)
	for i := range desc.Operations {
		name := desc.Operations[i].Name
		desc.Operations[i].Call = func(ctx context.Context, _, in any) (any, error) {
			a.operation, a.input, a.ctx = name, in, ctx
			if a.err != nil {
				return nil, a.err
			}
			return a.output, nil
		}
	}
	return Mount{Desc: &desc, Impl: a}
}

// scoped is an Authorization header whose signature is for a service.
func scoped(service string) string {
	return "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/eu-west-1/" + service +
		"/aws4_request, SignedHeaders=host;x-amz-date, Signature=00"
}

// request builds a request; headers are "Name: value" lines.
func request(method, target, body string, headers ...string) *http.Request {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if name == "Host" {
			r.Host = value
			continue
		}
		r.Header.Set(name, value)
		if name == "Authorization" {
			r.Header.Set("X-Amz-Date", "20260101T000000Z")
		}
	}
	return r
}

func signed(service string) string { return "Authorization: " + scoped(service) }

const (
	formType = "Content-Type: application/x-www-form-urlencoded; charset=utf-8"
	json10   = "Content-Type: application/x-amz-json-1.0"
	json11   = "Content-Type: application/x-amz-json-1.1"
)

func do(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func mustContain(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("no %q in %s", p, text)
		}
	}
}

// stringField is a string member of an input, "" where it has none.
func stringField(input any, name string) string {
	if input == nil {
		return ""
	}
	f := reflect.ValueOf(input).Elem().FieldByName(name)
	if !f.IsValid() {
		return ""
	}
	return f.String()
}

func newLogger(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}
