package wire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/slipway/slipway/api"
	"github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/api/sqs"
	"github.com/slipway/slipway/api/ssm"
	"github.com/slipway/slipway/api/sts"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

const getParameter = "X-Amz-Target: AmazonSSM.GetParameter"

func getA(h http.Handler) *httptest.ResponseRecorder {
	return do(h, request("POST", "/", `{"Name":"a"}`, signed("ssm"), json11, getParameter))
}

// What a service did wrong is a 500 whose text stays here.
func TestInternalErrorsStayPrivate(t *testing.T) {
	var log strings.Builder
	tests := []struct {
		name   string
		err    error
		status int
		code   string
		parts  string
	}{
		{"unclassified", errors.New("secret detail"), 500, "InternalFailure", "Slipway's log has more under request id"},
		{"no space", fmt.Errorf("put: %w", store.ErrNoSpace), 503, "ServiceUnavailable", "no space left"},
		{"read-only", fmt.Errorf("put: %w", store.ErrReadOnly), 503, "ServiceUnavailable", "read-only"},
		{"a cause", fault.New("ParameterNotFound", "gone").Because(errors.New("secret detail")), 400, "ParameterNotFound", "gone"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := &answering{err: tt.err}
			cfg := testConfig(a.mount(ssm.Describe()))
			cfg.Logger = newLogger(&log)
			w := getA(New(cfg))
			if w.Code != tt.status {
				t.Errorf("status %d", w.Code)
			}
			mustContain(t, w.Body.String(), tt.code, tt.parts)
			if strings.Contains(w.Body.String(), "secret detail") {
				t.Error("the text of an internal error went out")
			}
		})
	}
	if !strings.Contains(log.String(), "secret detail") {
		t.Error("the log does not have it")
	}
}

func TestPanicIs500(t *testing.T) {
	a := &answering{}
	m := a.mount(ssm.Describe())
	for i := range m.Desc.Operations {
		m.Desc.Operations[i].Call = func(context.Context, any, any) (any, error) { panic("boom") }
	}
	w := getA(New(testConfig(m)))
	if w.Code != 500 || strings.Contains(w.Body.String(), "boom") || !strings.Contains(w.Body.String(), "InternalFailure") {
		t.Error(w.Code, w.Body)
	}
}

func TestBodiesAreBounded(t *testing.T) {
	a := &answering{output: &ssm.GetParameterOutput{}}
	cfg := testConfig(a.mount(ssm.Describe()), a.mount(s3.Describe()))
	cfg.MaxBody = 100
	h := New(cfg)
	big := `{"Name":"` + strings.Repeat("a", 200) + `"}`
	for _, length := range []int64{int64(len(big)), -1} {
		r := request("POST", "/", big, signed("ssm"), json11, getParameter)
		r.ContentLength = length
		if w := do(h, r); w.Code != http.StatusRequestEntityTooLarge || !strings.Contains(w.Body.String(), "RequestEntityTooLarge") {
			t.Error(w.Code, w.Body)
		}
	}
	w := do(h, request("PUT", "/b?versioning", "<a>"+strings.Repeat(" ", 200)+"</a>", signed("s3")))
	if w.Code != http.StatusRequestEntityTooLarge {
		t.Error(w.Code, w.Body)
	}
	a.output = &s3.PutObjectOutput{}
	if w := do(h, request("PUT", "/b/k", strings.Repeat("a", 200), signed("s3"))); w.Code != 200 {
		t.Error("a streamed body is not bounded here: ", w.Code, w.Body)
	}
}

// A few bytes of text stand for hundreds in memory, so that elements are
// counted, too.
func TestElementsAreBounded(t *testing.T) {
	a := &answering{}
	h := New(testConfig(a.mount(ssm.Describe()), a.mount(s3.Describe()), a.mount(iam.Describe())))
	many := func(s string) string { return strings.Repeat(s, maxElements+1) }
	var form strings.Builder
	for i := range maxElements {
		fmt.Fprintf(&form, "&%x.a", i)
	}
	for name, r := range map[string]*http.Request{
		"JSON":  request("POST", "/", `{"Name":"a","Value":"b","Tags":[`+many("{},")+`{}]}`, signed("ssm"), json11, "X-Amz-Target: AmazonSSM.PutParameter"),
		"form":  request("POST", "/", "Action=ListUsers&Version=2010-05-08"+form.String(), signed("iam"), formType),
		"early": request("POST", "/", "Action=ListUsers"+form.String(), formType),
		"XML":   request("POST", "/b?delete", "<Delete>"+many("<Object/>")+"</Delete>", signed("s3")),
	} {
		if w := do(h, r); w.Code != 400 || a.operation != "" {
			t.Errorf("%s: %d %.300s", name, w.Code, w.Body)
		}
	}
}

func TestAuthorizeAndRecord(t *testing.T) {
	a := &answering{output: &ssm.GetParameterOutput{Parameter: &ssm.Parameter{Name: "a"}}}
	cfg := testConfig(a.mount(ssm.Describe()))
	var seen []Recording
	cfg.Record = func(_ context.Context, r Recording) { seen = append(seen, r) }
	var asked auth.Call
	deny := false
	cfg.Authorize = func(ctx context.Context, call *auth.Call, svc *api.Service, op *api.Operation, in any) error {
		asked = auth.From(ctx)
		if deny {
			return fault.New(fault.AccessDeniedException, "no")
		}
		return nil
	}
	h := New(cfg)
	w := getA(h)
	if asked.Operation != "GetParameter" || asked.Scope.Region != "eu-west-1" || asked.Scope.Account != "000000000000" || asked.RequestID != w.Header().Get("x-amzn-RequestId") {
		t.Errorf("%+v", asked)
	}
	deny, a.operation = true, ""
	if w := getA(h); w.Code != 400 || a.operation != "" {
		t.Error("denied, and called all the same:", w.Code, a.operation)
	}
	do(h, request("POST", "/", `{}`, signed("ssm"), json11, "X-Amz-Target: AmazonSSM.MadeUpName"))
	if len(seen) != 2 || seen[0].Status != 200 || seen[0].Output != a.output || seen[1].Err == nil || seen[1].Input.(*ssm.GetParameterInput).Name != "a" {
		t.Errorf("%+v", seen)
	}
}

// Closed mode refuses what has no signature, but for the operations that need none.
func TestClosedMode(t *testing.T) {
	a := &answering{output: &sts.AssumeRoleWithWebIdentityOutput{}}
	cfg := testConfig(a.mount(sts.Describe()), a.mount(ssm.Describe()), a.mount(sqs.Describe()))
	cfg.Authenticator = &auth.Authenticator{}
	h := New(cfg)
	if w := do(h, request("POST", "/", "Action=GetCallerIdentity&Version=2011-06-15", formType)); w.Code != 403 || !strings.Contains(w.Body.String(), "MissingAuthenticationToken") {
		t.Error(w.Code, w.Body)
	}
	if w := getA(h); w.Code == 200 || !strings.Contains(w.Body.String(), "UnrecognizedClientException") {
		t.Error(w.Code, w.Body)
	}
	body := "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn:aws:iam::123456789012:role/r&RoleSessionName=session&WebIdentityToken=token"
	if w := do(h, request("POST", "/", body, formType)); w.Code != 200 || a.operation != "AssumeRoleWithWebIdentity" {
		t.Error(w.Code, w.Body)
	}
	if got := auth.From(a.ctx).Principal; got.Kind != auth.Anonymous || got.Enforced {
		t.Errorf("principal %+v", got)
	}
	// Where policies bind, they bind who comes without a name, too.
	cfg.Authenticator = binding{cfg.Authenticator}
	if w := do(New(cfg), request("POST", "/", body, formType)); w.Code != 200 || !auth.From(a.ctx).Principal.Enforced {
		t.Error(w.Code, w.Body, auth.From(a.ctx).Principal)
	}
}

// binding is an authenticator whose principals policies bind.
type binding struct{ Authenticator }

func (b binding) Authenticate(r *http.Request, service string) (auth.Authenticated, error) {
	a, err := b.Authenticator.Authenticate(r, service)
	a.Principal.Enforced = true
	return a, err
}

// A body that breaks while an answer streams ends the connection, so that the
// client does not take half an object for a whole one.
func TestBrokenStreamAborts(t *testing.T) {
	a := &answering{output: &s3.GetObjectOutput{Body: io.NopCloser(io.MultiReader(strings.NewReader("half"), failing{}))}}
	h := New(testConfig(a.mount(s3.Describe())))
	srv := httptest.NewServer(h)
	defer srv.Close()
	resp, err := http.Get(srv.URL + "/b/k")
	if err == nil {
		_, err = io.ReadAll(resp.Body)
		resp.Body.Close()
	}
	if err == nil {
		t.Error("the client saw a complete answer")
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("disk") }

func TestRequestIDs(t *testing.T) {
	h := New(testConfig(unimplemented()...))
	first, second := getA(h).Header().Get("x-amzn-RequestId"), getA(h).Header().Get("x-amzn-RequestId")
	if len(first) != 36 || first == second {
		t.Error(first, second)
	}
}

func TestEmptyBodyIsAnEmptyInput(t *testing.T) {
	a := &answering{output: &sqs.ListQueuesOutput{}}
	w := do(New(testConfig(a.mount(sqs.Describe()))), request("POST", "/", "", signed("sqs"), json10, "X-Amz-Target: AmazonSQS.ListQueues"))
	if w.Code != 200 || !json.Valid(w.Body.Bytes()) || w.Body.String() != "{}" {
		t.Error(w.Code, w.Body)
	}
}
