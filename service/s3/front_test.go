package s3

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	api "github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/wire"
)

// browser is a front over a service, as platform puts it together.
type browser struct {
	*fixture
	front http.Handler
}

// formGate lets the front's word on who sent a form count.
type formGate struct{ *auth.Authenticator }

func (g formGate) Authenticate(r *http.Request, service string) (auth.Authenticated, error) {
	if sender := FormSender(r.Context()); sender != nil {
		a := *sender
		a.Body, a.ContentLength = r.Body, r.ContentLength
		return a, nil
	}
	if !g.Open && auth.Unsigned(r) {
		a := auth.Nobody(r)
		a.Principal.Enforced = true
		return a, nil
	}
	return g.Authenticator.Authenticate(r, service)
}

func browse(f *fixture, closed bool) *browser {
	who := &auth.Authenticator{Open: !closed, Now: f.clock.Now}
	apis := wire.New(wire.Config{
		Services: []wire.Mount{{Desc: api.Describe(), Impl: f.Service}}, Authenticator: formGate{who}, Logger: slog.New(slog.DiscardHandler),
	})
	return &browser{f, f.Front(FrontConfig{Next: apis, Closed: closed, Bucket: apis.BucketOf, Form: who.AuthenticateForm})}
}

// ask sends a request, and gives the answer with its body read.
func (b *browser) ask(method, url string, header map[string]string, body io.Reader) (*http.Response, string) {
	b.t.Helper()
	r := httptest.NewRequest(method, url, body)
	for k, v := range header {
		r.Header.Set(k, v)
	}
	w := httptest.NewRecorder()
	b.front.ServeHTTP(w, r)
	return w.Result(), w.Body.String()
}

func inAccount() string {
	return "AWS4-HMAC-SHA256 Credential=" + account + "/20261122/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature=" + strings.Repeat("0", 64)
}

func (f *fixture) website(cfg *api.WebsiteConfiguration) {
	f.t.Helper()
	_, err := f.PutBucketWebsite(f.ctx, &api.PutBucketWebsiteInput{Bucket: "site", WebsiteConfiguration: cfg})
	noError(f.t, err)
}

const siteURL = "http://site.s3-website.localhost:4566"

func TestWebsite(t *testing.T) {
	f := newFixture(t).bucket("site")
	b := browse(f, false)
	f.put("site", "index.html", "home")
	f.put("site", "dir/index.html", "dir")
	_, err := f.PutObject(f.ctx, &api.PutObjectInput{Bucket: "site", Key: "away", Body: text(""), WebsiteRedirectLocation: "https://example.com/x"})
	noError(t, err)
	res, page := b.ask("GET", siteURL+"/", nil, nil)
	if res.StatusCode != 404 || !strings.Contains(page, "<li>Code: NoSuchWebsiteConfiguration</li>\n<li>Message: The specified bucket does not have a website configuration</li>\n<li>BucketName: site</li>") {
		t.Errorf("no website: %d %s", res.StatusCode, page)
	}
	f.website(&api.WebsiteConfiguration{
		IndexDocument: &api.IndexDocument{Suffix: "index.html"}, ErrorDocument: &api.ErrorDocument{Key: "error.html"},
		RoutingRules: []api.RoutingRule{
			{Condition: &api.Condition{KeyPrefixEquals: "old/"}, Redirect: &api.Redirect{ReplaceKeyPrefixWith: "new/"}},
			{Condition: &api.Condition{HttpErrorCodeReturnedEquals: "404", KeyPrefixEquals: "lost/"}, Redirect: &api.Redirect{HostName: "example.com", Protocol: "https", ReplaceKeyWith: "found", HttpRedirectCode: "307"}},
		},
	})
	for _, tt := range []struct {
		method, path string
		status       int
		location     string
		body         string
	}{
		{"GET", "/", 200, "", "home"},
		{"HEAD", "/", 200, "", ""},
		{"GET", "/dir/", 200, "", "dir"},
		{"GET", "/dir", 302, "/dir/", ""},
		{"GET", "/away", 301, "https://example.com/x", ""},
		{"GET", "/old/a b", 301, "http://site.s3-website.localhost:4566/new/a%20b", ""},
		{"GET", "/lost/x", 307, "https://example.com/found", ""},
		{"GET", "/none", 404, "", "<li>Key: none</li>"},
		{"GET", "/none", 404, "", "An Error Occurred While Attempting to Retrieve a Custom Error Document"},
		{"POST", "/", 405, "", "<li>Method: POST</li>\n<li>ResourceType: OBJECT</li>"},
	} {
		res, page := b.ask(tt.method, siteURL+strings.ReplaceAll(tt.path, " ", "%20"), nil, nil)
		if res.StatusCode != tt.status || res.Header.Get("Location") != tt.location || !strings.Contains(page, tt.body) {
			t.Errorf("%s %s: %d %q %s", tt.method, tt.path, res.StatusCode, res.Header.Get("Location"), page)
		}
	}
	f.put("site", "error.html", "sorry")
	if res, page := b.ask("GET", "http://site.s3-website-us-east-1.localhost/none", nil, nil); res.StatusCode != 404 || page != "sorry" {
		t.Errorf("error document: %d %s", res.StatusCode, page)
	}
	f.website(&api.WebsiteConfiguration{RedirectAllRequestsTo: &api.RedirectAllRequestsTo{HostName: "example.com"}})
	if res, _ := b.ask("GET", siteURL+"/a?b=c", nil, nil); res.StatusCode != 301 || res.Header.Get("Location") != "http://example.com/a?b=c" {
		t.Errorf("redirect of all: %d %s", res.StatusCode, res.Header.Get("Location"))
	}
	if res, page := b.ask("GET", "http://none.s3-website.us-east-1.localhost/", nil, nil); res.StatusCode != 404 || !strings.Contains(page, "<li>Code: NoSuchBucket</li>") {
		t.Errorf("no bucket: %d %s", res.StatusCode, page)
	}
}

func TestWebsiteAsksThePolicyWhereAuthorizationIsOn(t *testing.T) {
	f := newFixture(t).bucket("site")
	b := browse(f, true)
	f.put("site", "index.html", "home")
	f.website(&api.WebsiteConfiguration{IndexDocument: &api.IndexDocument{Suffix: "index.html"}})
	if res, page := b.ask("GET", siteURL+"/", nil, nil); res.StatusCode != 403 || !strings.Contains(page, "<title>403 Forbidden</title>") || strings.Contains(page, "home") {
		t.Fatalf("private: %d %s", res.StatusCode, page)
	}
	_, err := f.DeletePublicAccessBlock(f.ctx, &api.DeletePublicAccessBlockInput{Bucket: "site"})
	noError(t, err)
	_, err = f.PutBucketPolicy(f.ctx, &api.PutBucketPolicyInput{Bucket: "site", Policy: `{"Statement":{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::site/*"}}`})
	noError(t, err)
	if res, page := b.ask("GET", siteURL+"/", nil, nil); res.StatusCode != 200 || page != "home" {
		t.Errorf("public: %d %s", res.StatusCode, page)
	}
	if res, page := b.ask("GET", "http://localhost:4566/site/index.html", nil, nil); res.StatusCode != 200 || page != "home" {
		t.Errorf("public by the API: %d %s", res.StatusCode, page)
	}
	if res, _ := b.ask("PUT", "http://localhost:4566/site/new", nil, strings.NewReader("x")); res.StatusCode != 403 {
		t.Errorf("anybody may write: %d", res.StatusCode)
	}
}

// Answers of AWS: test_validate_website_configuration.
func TestWebsiteConfiguration(t *testing.T) {
	f := newFixture(t).bucket("site")
	index := &api.IndexDocument{Suffix: "index.html"}
	for i, tt := range []struct {
		in   api.WebsiteConfiguration
		code string
		text string
	}{
		{api.WebsiteConfiguration{IndexDocument: &api.IndexDocument{Suffix: "/index.html"}}, fault.InvalidArgument, "The IndexDocument Suffix is not well formed"},
		{api.WebsiteConfiguration{IndexDocument: &api.IndexDocument{}}, fault.InvalidArgument, "The IndexDocument Suffix is not well formed"},
		{api.WebsiteConfiguration{IndexDocument: index, RedirectAllRequestsTo: &api.RedirectAllRequestsTo{HostName: "x"}}, fault.InvalidArgument, "RedirectAllRequestsTo cannot be provided in conjunction with other Routing Rules."},
		{api.WebsiteConfiguration{ErrorDocument: &api.ErrorDocument{Key: "e"}}, fault.InvalidArgument, "A value for IndexDocument Suffix must be provided if RedirectAllRequestsTo is empty"},
		{api.WebsiteConfiguration{RedirectAllRequestsTo: &api.RedirectAllRequestsTo{HostName: "x", Protocol: "ftp"}}, fault.InvalidRequest, "Invalid protocol, protocol can be http or https. If not defined the protocol will be selected automatically."},
		{api.WebsiteConfiguration{IndexDocument: index, RoutingRules: []api.RoutingRule{{Redirect: &api.Redirect{ReplaceKeyWith: "a", ReplaceKeyPrefixWith: "b"}}}}, fault.InvalidRequest, "You can only define ReplaceKeyPrefix or ReplaceKey but not both."},
		{api.WebsiteConfiguration{IndexDocument: index, RoutingRules: []api.RoutingRule{{Condition: &api.Condition{}, Redirect: &api.Redirect{ReplaceKeyWith: "a"}}}}, fault.InvalidRequest, "Condition cannot be empty. To redirect all requests without a condition, the condition element shouldn't be present."},
		{api.WebsiteConfiguration{IndexDocument: index, RoutingRules: []api.RoutingRule{}}, fault.MalformedXML, ""},
	} {
		_, err := f.PutBucketWebsite(f.ctx, &api.PutBucketWebsiteInput{Bucket: "site", WebsiteConfiguration: &tt.in})
		if e, ok := fault.As(err); !ok || e.Code != tt.code || tt.text != "" && e.Message != tt.text {
			t.Errorf("%d: %v", i, err)
		}
	}
	_, err := f.GetBucketWebsite(f.ctx, &api.GetBucketWebsiteInput{Bucket: "site"})
	wantFault(t, err, fault.NoSuchWebsite, "The specified bucket does not have a website configuration")
	f.website(&api.WebsiteConfiguration{IndexDocument: index})
	out, err := f.GetBucketWebsite(f.ctx, &api.GetBucketWebsiteInput{Bucket: "site"})
	if err != nil || out.IndexDocument.Suffix != "index.html" {
		t.Errorf("= %+v, %v", out, err)
	}
	_, err = f.DeleteBucketWebsite(f.ctx, &api.DeleteBucketWebsiteInput{Bucket: "site"})
	noError(t, err)
}

// Answers of AWS: test_cors_http_options_*, test_put_cors_default_values,
// test_cors_expose_headers.
func TestCORS(t *testing.T) {
	f := newFixture(t).bucket("bkt")
	b := browse(f, false)
	f.put("bkt", "k", "x")
	preflight := func(path string, header ...string) (*http.Response, string) {
		t.Helper()
		h := map[string]string{}
		for i := 0; i < len(header); i += 2 {
			h[header[i]] = header[i+1]
		}
		return b.ask("OPTIONS", "http://localhost:4566"+path, h, nil)
	}
	refused := func(path, code, text, method, kind string, header ...string) {
		t.Helper()
		res, body := preflight(path, header...)
		want := "<Code>" + code + "</Code><Message>" + text + "</Message>"
		if code == fault.AccessForbidden {
			want += "<Method>" + method + "</Method><ResourceType>" + kind + "</ResourceType>"
		}
		if !strings.Contains(body, want) || res.StatusCode != fault.Status(code) {
			t.Errorf("%s %q: %d %s", path, header, res.StatusCode, body)
		}
	}
	const origin, method, headers = "Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers"
	refused("/bkt", fault.BadRequest, "Insufficient information. Origin request header needed.", "", "")
	refused("/bkt", fault.AccessForbidden, "CORSResponse: CORS is not enabled for this bucket.", "PUT", "BUCKET", origin, "http://a.test", method, "PUT")
	refused("/bkt", fault.AccessForbidden, "CORSResponse: CORS is not enabled for this bucket.", "OPTIONS", "BUCKET", origin, "http://a.test")
	refused("/none", fault.AccessForbidden, "CORSResponse: Bucket not found", "OPTIONS", "BUCKET", origin, "http://a.test")
	_, err := f.PutBucketCors(f.ctx, &api.PutBucketCorsInput{Bucket: "bkt", CORSConfiguration: &api.CORSConfiguration{CORSRules: []api.CORSRule{
		{AllowedMethods: []string{"PUT", "GET"}, AllowedOrigins: []string{"https://*.a.test"}, AllowedHeaders: []string{"x-amz-*"}, ExposeHeaders: []string{"ETag", "x-amz-id-2"}, MaxAgeSeconds: ptr(int32(30))},
		{AllowedMethods: []string{"GET"}, AllowedOrigins: []string{"*"}},
	}}})
	noError(t, err)
	const notAllowed = "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource&#39;s CORS spec."
	refused("/bkt/k", fault.AccessForbidden, notAllowed, "PUT", "OBJECT", origin, "https://b.test", method, "PUT")
	refused("/bkt/k", fault.AccessForbidden, notAllowed, "GET", "OBJECT", origin, "https://b.test", method, "GET", headers, "x-other")
	for _, url := range []string{"http://localhost:4566/bkt/k", "http://bkt.localhost:4566/k", "http://bkt.s3.us-east-1.localhost/k"} {
		res, _ := b.ask("OPTIONS", url, map[string]string{origin: "https://www.a.test", method: "PUT", headers: "X-Amz-Date, x-amz-acl"}, nil)
		h := res.Header
		if res.StatusCode != 200 || h.Get("Access-Control-Allow-Origin") != "https://www.a.test" || h.Get("Access-Control-Allow-Methods") != "PUT, GET" ||
			h.Get("Access-Control-Allow-Headers") != "x-amz-date, x-amz-acl" || h.Get("Access-Control-Max-Age") != "30" || h.Get("Access-Control-Allow-Credentials") != "true" || h.Get("Vary") != varyCORS {
			t.Errorf("%s: %d %v", url, res.StatusCode, h)
		}
	}
	res, body := b.ask("GET", "http://localhost:4566/bkt/k", map[string]string{origin: "https://b.test", "Authorization": inAccount(), "X-Amz-Date": "20261122T100000Z"}, nil)
	if h := res.Header; res.StatusCode != 200 || body != "x" || h.Get("Access-Control-Allow-Origin") != "*" || h.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("get: %d %s %v", res.StatusCode, body, h)
	}
	res, _ = b.ask("GET", "http://localhost:4566/bkt/none", map[string]string{origin: "https://www.a.test", "Authorization": inAccount(), "X-Amz-Date": "20261122T100000Z"}, nil)
	if h := res.Header; res.StatusCode != 404 || h.Get("Access-Control-Expose-Headers") != "ETag, x-amz-id-2" {
		t.Errorf("refused get: %d %v", res.StatusCode, h)
	}
	res, _ = b.ask("DELETE", "http://localhost:4566/bkt/none", map[string]string{origin: "https://b.test", "Authorization": inAccount(), "X-Amz-Date": "20261122T100000Z"}, nil)
	if h := res.Header.Get("Access-Control-Allow-Origin"); h != "" {
		t.Errorf("a method that no rule allows is allowed for %s", h)
	}
}

// Answers of AWS: test_put_cors_invalid_rules.
func TestCORSConfiguration(t *testing.T) {
	f := newFixture(t).bucket("bkt")
	put := func(rules ...api.CORSRule) error {
		_, err := f.PutBucketCors(f.ctx, &api.PutBucketCorsInput{Bucket: "bkt", CORSConfiguration: &api.CORSConfiguration{CORSRules: rules}})
		return err
	}
	wantFault(t, put(api.CORSRule{AllowedMethods: []string{"MYMETHOD"}, AllowedOrigins: []string{"*"}}), fault.InvalidRequest, "Found unsupported HTTP method in CORS config. Unsupported method is MYMETHOD")
	wantFault(t, put(), fault.MalformedXML, "")
	wantFault(t, put(api.CORSRule{AllowedMethods: []string{"GET"}}), fault.MalformedXML, "")
	wantFault(t, put(api.CORSRule{AllowedMethods: []string{"GET"}, AllowedOrigins: []string{"http://*.*"}}), fault.InvalidRequest, "")
	wantFault(t, put(api.CORSRule{AllowedMethods: []string{"GET"}, AllowedOrigins: []string{"*"}, ExposeHeaders: []string{"*"}}), fault.InvalidRequest, "")
	_, err := f.GetBucketCors(f.ctx, &api.GetBucketCorsInput{Bucket: "bkt"})
	wantFault(t, err, fault.CORSConfigurationNotFound, "The CORS configuration does not exist")
	noError(t, put(api.CORSRule{AllowedMethods: []string{"GET"}, AllowedOrigins: []string{"*"}}))
	out, err := f.GetBucketCors(f.ctx, &api.GetBucketCorsInput{Bucket: "bkt"})
	if err != nil || len(out.CORSRules) != 1 {
		t.Errorf("= %+v, %v", out, err)
	}
	_, err = f.DeleteBucketCors(f.ctx, &api.DeleteBucketCorsInput{Bucket: "bkt"})
	noError(t, err)
}

// post sends a form; fields are names and values in turn, the file comes last.
func (b *browser) post(file string, fields ...string) (*http.Response, string) {
	b.t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for i := 0; i < len(fields); i += 2 {
		noError(b.t, w.WriteField(fields[i], fields[i+1]))
	}
	p, err := w.CreateFormFile("file", `C:\dir\name.txt`)
	noError(b.t, err)
	_, _ = io.WriteString(p, file)
	noError(b.t, w.Close())
	return b.ask("POST", "http://localhost:4566/bkt", map[string]string{"Content-Type": w.FormDataContentType()}, &body)
}

// signedForm is the policy and signature fields of a form.
func (b *browser) signedForm(secret, conditions string) []string {
	policy := base64.StdEncoding.EncodeToString(fmt.Appendf(nil, `{"expiration":%q,"conditions":[{"bucket":"bkt"},["starts-with","$key","up/"],["starts-with","$x-amz-",""],%s]}`,
		b.clock.Now().Add(time.Hour).Format("2006-01-02T15:04:05.000Z"), conditions))
	key := []byte("AWS4" + secret)
	for _, part := range []string{"20261122", "us-east-1", "s3", "aws4_request", policy} {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(part))
		key = h.Sum(nil)
	}
	return []string{"key", "up/${filename}", "x-amz-algorithm", "AWS4-HMAC-SHA256", "x-amz-credential", account + "/20261122/us-east-1/s3/aws4_request",
		"x-amz-date", "20261122T100000Z", "policy", policy, "x-amz-signature", hex.EncodeToString(key)}
}

const anyFields = `{"x-amz-algorithm":"AWS4-HMAC-SHA256"},["starts-with","$x-amz-credential",""],["starts-with","$x-amz-date",""]`

func TestFormUploads(t *testing.T) {
	f := newFixture(t).bucket("bkt")
	b := browse(f, false)
	sized := anyFields + `,["content-length-range",3,10]`
	res, body := b.post("hello", b.signedForm("s", sized)...)
	if res.StatusCode != 204 || res.Header.Get("Location") != "http://localhost:4566/bkt/up/name.txt" || res.Header.Get("ETag") == "" {
		t.Fatalf("%d %v %s", res.StatusCode, res.Header, body)
	}
	if got := f.body("bkt", "up/name.txt"); got != "hello" {
		t.Errorf("object = %s", got)
	}
	with := func(conditions string, fields ...string) []string {
		return append(b.signedForm("s", conditions), fields...)
	}
	res, body = b.post("hello", with(sized+`,["eq","$success_action_status","201"],["starts-with","$Content-Type","text/"],["starts-with","$tagging",""],["starts-with","$x-amz-meta-a",""]`,
		"success_action_status", "201", "Content-Type", "text/plain", "x-amz-meta-a", "b", "tagging", "<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>")...)
	if res.StatusCode != 201 || !strings.Contains(body, "<Bucket>bkt</Bucket><Key>up/name.txt</Key>") {
		t.Errorf("201: %d %s", res.StatusCode, body)
	}
	head, err := f.HeadObject(f.ctx, &api.HeadObjectInput{Bucket: "bkt", Key: "up/name.txt"})
	if err != nil || head.ContentType != "text/plain" || head.Metadata["a"] != "b" || value(head.TagCount) != 1 {
		t.Errorf("head %+v, %v", head, err)
	}
	for algorithm, sum := range knownSums {
		res, body = b.post("test-checksum", with(anyFields+`,["starts-with","$`+algorithm.Header()+`",""]`, algorithm.Header(), sum)...)
		if res.StatusCode != 204 || res.Header.Get(algorithm.Header()) != sum {
			t.Errorf("%s: %d %v %s", algorithm, res.StatusCode, res.Header, body)
		}
		res, body = b.post("another body", with(anyFields+`,["starts-with","$`+algorithm.Header()+`",""]`, algorithm.Header(), sum)...)
		if res.StatusCode != 400 || !strings.Contains(body, "<Code>BadDigest</Code>") {
			t.Errorf("a wrong %s: %d %s", algorithm, res.StatusCode, body)
		}
	}
	res, _ = b.post("hello", with(sized+`,["starts-with","$success_action_redirect","http://a.test"]`, "success_action_redirect", "http://a.test/done?x=1")...)
	if u, err := url.Parse(res.Header.Get("Location")); err != nil || res.StatusCode != 303 || u.Query().Get("key") != "up/name.txt" || u.Query().Get("x") != "1" {
		t.Errorf("303: %d %v", res.StatusCode, res.Header)
	}
	for _, tt := range []struct {
		name, file string
		fields     []string
		want       string
	}{
		{"too big", "aaaaaaaaaaaa", with(sized), "<Code>EntityTooLarge</Code><Message>Your proposed upload exceeds the maximum allowed size</Message>"},
		{"too small", "a", with(sized), "<Code>EntityTooSmall</Code>"},
		{"range", "a", with(anyFields + `,["content-length-range","test",10]`), `Policy Condition failed: [&#34;content-length-range&#34;, &#34;test&#34;, &#34;10&#34;]`},
		{"condition", "a", with(anyFields+`,["starts-with","$success_action_redirect","http://localhost"]`, "success_action_redirect", "http://b"), `Invalid according to Policy: Policy Condition failed: [&#34;starts-with&#34;, &#34;$success_action_redirect&#34;, &#34;http://localhost&#34;]`},
		{"extra", "a", with(anyFields, "acl", "public-read"), "Invalid according to Policy: Extra input fields: acl"},
		{"no key", "a", []string{"acl", "private"}, "Bucket POST must contain a field named &#39;key&#39;.  If it is specified, please check the order of the fields."},
		{"half a signature", "a", []string{"key", "k", "policy", "e30=", "signature", "x"}, "<ArgumentName>AWSAccessKeyId</ArgumentName>"},
		{"too many fields", "a", []string{"key", "k", "x-ignore-a", large(30 << 10)}, "<Code>MaxPostPreDataLengthExceededError</Code>"},
		{"header injection", "a", []string{"key", "k", "x-amz-meta-a", "b\r\nx: y"}, "<Code>InvalidArgument</Code>"},
	} {
		res, body := b.post(tt.file, tt.fields...)
		if res.StatusCode < 400 || res.StatusCode > 499 || !strings.Contains(body, tt.want) {
			t.Errorf("%s: %d %s", tt.name, res.StatusCode, body)
		}
	}
	f.clock.Add(2 * time.Hour)
	old := b.signedForm("s", anyFields)
	f.clock.Add(2 * time.Hour)
	if res, body := b.post("a", old...); res.StatusCode != 403 || !strings.Contains(body, "Invalid according to Policy: Policy expired.") {
		t.Errorf("expired: %d %s", res.StatusCode, body)
	}
	if res, body := b.ask("POST", "http://localhost:4566/bkt", map[string]string{"Content-Type": "multipart/form-data; boundary=x"}, strings.NewReader("noise")); res.StatusCode != 400 {
		t.Errorf("noise: %d %s", res.StatusCode, body)
	}
}

func TestFormsNeedASignatureWhereAuthorizationIsOn(t *testing.T) {
	f := newFixture(t).bucket("bkt")
	b := browse(f, true)
	if res, body := b.post("a", "key", "k"); res.StatusCode != 403 || !strings.Contains(body, "<Code>AccessDenied</Code>") {
		t.Errorf("unsigned: %d %s", res.StatusCode, body)
	}
	if res, body := b.post("a", b.signedForm("s", anyFields)...); res.StatusCode != 403 || !strings.Contains(body, "<Code>InvalidAccessKeyId</Code>") {
		t.Errorf("unknown key: %d %s", res.StatusCode, body)
	}
}
