package lambda

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	api "github.com/slipway/slipway/api/lambda"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/compute/function"
	"github.com/slipway/slipway/fault"
)

// visit sends a request to a function's address.
func (w *world) visit(address, method, path, body string, headers ...string) *httptest.ResponseRecorder {
	w.Helper()
	u, err := url.Parse(address)
	if err != nil {
		w.Fatal(err)
	}
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Host = u.Host
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	rec := httptest.NewRecorder()
	front := w.Front(URLFront{
		Next: http.NotFoundHandler(),
		Authenticate: func(r *http.Request, _ string) (auth.Authenticated, error) {
			if r.Header.Get("Authorization") == "bad" {
				return auth.Authenticated{}, fault.New(fault.SignatureDoesNotMatch, "no")
			}
			return auth.Authenticated{Principal: auth.RootOf(r.Header.Get("Authorization")), Body: r.Body}, nil
		},
	})
	front.ServeHTTP(rec, r)
	return rec
}

func (w *world) give(kind string, cors *api.Cors) string {
	w.Helper()
	out, err := w.CreateFunctionUrlConfig(w.ctx, &api.CreateFunctionUrlConfigInput{FunctionName: "f", AuthType: kind, Cors: cors})
	if err != nil {
		w.Fatal(err)
	}
	return out.FunctionUrl
}

func (w *world) openURL() {
	w.Helper()
	_, err := w.AddPermission(w.ctx, &api.AddPermissionInput{FunctionName: "f", StatementId: "url", Action: "lambda:InvokeFunctionUrl", Principal: "*", FunctionUrlAuthType: "NONE"})
	if err != nil {
		w.Fatal(err)
	}
}

func TestAFunctionsAddress(t *testing.T) {
	w := newWorld(t)
	w.make("f")
	at := w.give("NONE", nil)
	if rec := w.visit(at, "GET", "/", ""); rec.Code != 403 || !strings.Contains(rec.Body.String(), "Forbidden") {
		t.Errorf("without leave: %d %s", rec.Code, rec.Body)
	}
	w.openURL()
	rec := w.visit(at, "POST", "/a%2Fb/c?x=1&x=2&y=", "text", "Content-Type", "text/plain", "X-Own", "a", "X-Own", "b", "Cookie", "k=v; l=w")
	if rec.Code != 200 || rec.Header().Get("X-Amzn-Requestid") == "" {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	var e visitEvent
	if err := json.Unmarshal(rec.Body.Bytes(), &e); err != nil {
		t.Fatal(err)
	}
	if e.Version != "2.0" || e.RawPath != "/a%2Fb/c" || e.RawQuery != "x=1&x=2&y=" || e.Query["x"] != "1,2" || e.Headers["x-own"] != "a,b" ||
		e.Body != "text" || e.Base64 || len(e.Cookies) != 2 || e.RequestContext.Account != "anonymous" || e.RequestContext.HTTP.Method != "POST" {
		t.Errorf("the function got %+v", e)
	}
	if rec = w.visit(at, "POST", "/", "\xff\x00"); json.Unmarshal(rec.Body.Bytes(), &e) != nil || !e.Base64 || e.Body != "/wA=" {
		t.Errorf("a binary body: %s", rec.Body)
	}
	if rec = w.visit("http://"+strings.Repeat("x", 32)+".lambda-url.us-east-1.localhost/", "GET", "/", ""); rec.Code != 404 {
		t.Errorf("another address: %d", rec.Code)
	}
	if rec = w.visit("http://localhost/", "GET", "/", ""); rec.Body.String() != "404 page not found\n" {
		t.Errorf("another host: %s", rec.Body)
	}
	if _, err := w.DeleteFunctionUrlConfig(w.ctx, &api.DeleteFunctionUrlConfigInput{FunctionName: "f"}); err != nil {
		t.Fatal(err)
	}
	if rec = w.visit(at, "GET", "/", ""); rec.Code != 404 {
		t.Errorf("a deleted address: %d", rec.Code)
	}
}

func TestWhatAddressesAnswer(t *testing.T) {
	w := newWorld(t)
	w.make("f")
	at := w.give("NONE", nil)
	w.openURL()
	for answer, want := range map[string]struct {
		status        int
		body, content string
	}{
		`{"hello":"world"}`: {200, `{"hello":"world"}`, "application/json"},
		`"hello"`:           {200, "hello", "application/json"},
		`3.1`:               {200, "3.1", "application/json"},
		`true`:              {200, "true", "application/json"},
		`{"statusCode":201,"body":"made","headers":{"content-type":"text/html","x-n":5}}`: {201, "made", "text/html"},
		`{"statusCode":200,"body":"AAE=","isBase64Encoded":true}`:                         {200, "\x00\x01", "application/json"},
		`{"statusCode":"204"}`: {204, "", "application/json"},
		`{"statusCode":99}`:    {502, `{"Message":"Internal Server Error"}`, "application/json"},
		`{"statusCode":200,"headers":{"x-evil":"a\r\nSet-Cookie: b","bad name":"x","transfer-encoding":"chunked"},"body":"ok"}`: {200, "ok", "application/json"},
	} {
		w.runner.mu.Lock()
		w.runner.handle = func(function.Spec, function.Invocation) (function.Result, error) {
			return function.Result{Payload: []byte(answer)}, nil
		}
		w.runner.mu.Unlock()
		rec := w.visit(at, "GET", "/", "")
		if rec.Code != want.status || rec.Body.String() != want.body || rec.Header().Get("Content-Type") != want.content ||
			rec.Header().Get("X-Evil")+rec.Header().Get("Set-Cookie")+rec.Header().Get("Transfer-Encoding") != "" {
			t.Errorf("%s: %d %q %v", answer, rec.Code, rec.Body, rec.Header())
		}
	}
	w.runner.mu.Lock()
	w.runner.handle = failing
	w.runner.mu.Unlock()
	if rec := w.visit(at, "GET", "/", ""); rec.Code != 502 || strings.Contains(rec.Body.String(), "purpose") {
		t.Errorf("a failure: %d %s", rec.Code, rec.Body)
	}
	if _, err := w.PutFunctionConcurrency(w.ctx, &api.PutFunctionConcurrencyInput{FunctionName: "f", ReservedConcurrentExecutions: new(int32(0))}); err != nil {
		t.Fatal(err)
	}
	if rec := w.visit(at, "GET", "/", ""); rec.Code != 429 {
		t.Errorf("throttled: %d", rec.Code)
	}
	if rec := w.visit(at, "POST", "/", strings.Repeat("x", maxPayload+1)); rec.Code != 413 {
		t.Errorf("too large: %d", rec.Code)
	}
}

func TestAddressesThatAskWho(t *testing.T) {
	w := newWorld(t)
	w.make("f")
	at := w.give("AWS_IAM", nil)
	for who, want := range map[string]int{"": 403, "bad": 403, account: 200, "222222222222": 403} {
		if rec := w.visit(at, "GET", "/", "", "Authorization", who); rec.Code != want {
			t.Errorf("%q: %d %s", who, rec.Code, rec.Body)
		}
	}
	_, err := w.AddPermission(w.ctx, &api.AddPermissionInput{FunctionName: "f", StatementId: "them", Action: "lambda:InvokeFunctionUrl", Principal: "222222222222", FunctionUrlAuthType: "AWS_IAM"})
	if err != nil {
		t.Fatal(err)
	}
	rec := w.visit(at, "GET", "/", "", "Authorization", "222222222222")
	if rec.Code != 200 || !strings.Contains(rec.Body.String(), `"accountId":"222222222222"`) || strings.Contains(rec.Body.String(), "authorization") {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
}

func TestAddressesForPages(t *testing.T) {
	w := newWorld(t)
	w.make("f")
	at := w.give("NONE", &api.Cors{AllowOrigins: []string{"https://a.example"}, AllowMethods: []string{"POST"}, AllowHeaders: []string{"x-own"}, MaxAge: new(int32(60))})
	w.openURL()
	rec := w.visit(at, "OPTIONS", "/", "", "Origin", "https://a.example", "Access-Control-Request-Method", "POST")
	if h := rec.Header(); rec.Code != 200 || h.Get("Access-Control-Allow-Origin") != "https://a.example" || h.Get("Access-Control-Allow-Methods") != "POST" || h.Get("Access-Control-Max-Age") != "60" {
		t.Errorf("asked before: %d %v", rec.Code, h)
	}
	if n := w.runner.count(); n != 0 {
		t.Errorf("the function ran %d times", n)
	}
	if rec = w.visit(at, "POST", "/", "{}", "Origin", "https://a.example"); rec.Header().Get("Access-Control-Allow-Origin") != "https://a.example" || rec.Code != 200 {
		t.Errorf("%d %v", rec.Code, rec.Header())
	}
	if rec = w.visit(at, "POST", "/", "{}", "Origin", "https://b.example"); rec.Header().Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("another origin: %v", rec.Header())
	}
}
