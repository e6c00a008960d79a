package lambda

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	api "github.com/slipway/slipway/api/lambda"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/policy"
	"github.com/slipway/slipway/compute/function"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// URLFront answers the requests to functions' addresses, and hands on all others.
type URLFront struct {
	Next http.Handler
	// Authenticate says who makes a request, for addresses that ask.
	Authenticate func(r *http.Request, service string) (auth.Authenticated, error)
}

const urlLabel = ".lambda-url."

// urlOf is the id in a host of the form ID.lambda-url.REGION.DOMAIN, in lower case.
func urlOf(host string) (id string, ok bool) {
	id, _, ok = strings.Cut(strings.ToLower(host), urlLabel)
	return id, ok && id != "" && !strings.Contains(id, ".")
}

// Front puts functions' addresses before a handler.
func (s *Service) Front(f URLFront) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if id, ok := urlOf(r.Host); ok {
			s.serveURL(w, r, id, f.Authenticate)
			return
		}
		f.Next.ServeHTTP(w, r)
	})
}

// refuseURL answers as Lambda's own front does.
func refuseURL(w http.ResponseWriter, status int, kind, message string) {
	w.Header().Set("Content-Type", "application/json")
	if kind != "" {
		w.Header().Set("X-Amzn-Errortype", kind)
	}
	body, _ := json.Marshal(map[string]string{"Message": message}) // strings never fail
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that went away is no error of ours
}

// visit is one request to an address.
type visit struct {
	target
	url  *functionURL
	r    *http.Request
	id   string // of the request
	who  auth.Principal
	body []byte
}

func (s *Service) serveURL(w http.ResponseWriter, r *http.Request, id string, authenticate func(*http.Request, string) (auth.Authenticated, error)) {
	v := &visit{r: r, id: arn.NewUUID()}
	w.Header().Set("X-Amzn-Requestid", v.id)
	err := s.store.View(r.Context(), func(tx store.Tx) error {
		for e, err := range urls.ByIndex(tx, "id", id) {
			if err != nil {
				return err
			}
			v.place, v.url = placeOf(e.Key), e.Value
			if v.qualifier = versionOf(e.Key); v.qualifier == latest {
				v.qualifier = ""
			}
			return s.aimIn(tx, &v.target)
		}
		return gone()
	})
	v.invoked = v.arn(v.qualifier)
	switch {
	case isBad(err):
		refuseURL(w, http.StatusNotFound, "", "Not Found")
		return
	case err != nil:
		s.failURL(w, v, err)
		return
	}
	if v.url.Cors != nil && v.cors(w.Header()) {
		w.WriteHeader(http.StatusOK)
		return
	}
	if !s.admitVisit(w, v, authenticate) {
		return
	}
	res, err := s.runVisit(w, v)
	if err != nil || res == nil {
		if err != nil {
			s.failURL(w, v, err)
		}
		return
	}
	s.answerVisit(w, v, res)
}

// failURL answers for what went wrong before the function could answer.
func (s *Service) failURL(w http.ResponseWriter, v *visit, err error) {
	switch {
	case fault.Is(err, fault.TooManyRequestsException):
		refuseURL(w, http.StatusTooManyRequests, fault.TooManyRequestsException, "Rate Exceeded.")
		return
	case fault.Is(err, fault.ServiceUnavailable):
		refuseURL(w, http.StatusServiceUnavailable, "", "Service Unavailable")
		return
	case !isBad(err) && v.r.Context().Err() == nil:
		s.log.Error("lambda url", "function", v.name, "requestId", v.id, "error", err)
	}
	refuseURL(w, http.StatusBadGateway, "InternalServerErrorException", "Internal Server Error")
}

// admitVisit decides whether a request may reach the function ("Control access to
// Lambda function URLs", AWS Lambda Developer Guide).
func (s *Service) admitVisit(w http.ResponseWriter, v *visit, authenticate func(*http.Request, string) (auth.Authenticated, error)) bool {
	forbidden := func() bool {
		refuseURL(w, http.StatusForbidden, fault.AccessDeniedException, "Forbidden. For troubleshooting Function URL authorization issues, see: https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html")
		return false
	}
	v.who = auth.Principal{Kind: auth.Anonymous}
	if v.url.Auth == api.FunctionUrlAuthTypeAwsIam {
		if auth.Unsigned(v.r) {
			return forbidden()
		}
		a, err := authenticate(v.r, "lambda")
		if err != nil {
			return forbidden()
		}
		v.who, v.r.Body = a.Principal, a.Body
		if a.Principal.Account == "" {
			return forbidden()
		}
	}
	ok, err := s.mayVisit(v)
	if err != nil && !isBad(err) {
		s.failURL(w, v, err)
		return false
	}
	return ok && err == nil || forbidden()
}

func (s *Service) mayVisit(v *visit) (bool, error) {
	const action = "lambda:InvokeFunctionUrl"
	source, _, _ := net.SplitHostPort(v.r.RemoteAddr)
	call := auth.Call{
		Principal: v.who, Scope: v.Scope, RequestID: v.id, Service: "lambda", Operation: "InvokeFunctionUrl", Time: s.now(),
		SourceIP: source, UserAgent: v.r.UserAgent(), Referer: v.r.Referer(), Endpoint: "http://" + v.r.Host,
	}
	own := policy.Context{"lambda:functionurlauthtype": {v.url.Auth}, "lambda:functionarn": {v.arn(v.qualifier)}}
	ask := call.Asking(action, v.arn(v.qualifier), own)
	ctx := auth.With(v.r.Context(), call)
	if v.who.Enforced && v.who.Kind != auth.Anonymous {
		return true, s.cfg.Authorizer.Authorize(ctx, ask)
	}
	if v.who.Kind != auth.Anonymous && v.who.Account == v.Account {
		return true, nil // where policies bind nobody
	}
	has := v.function.Policies[v.qualifier]
	if has == nil {
		return false, nil
	}
	doc, err := s.policies.Parse(has.document(), policy.Resource)
	if err != nil {
		return false, err
	}
	return doc.Decide(v.who.Caller(), policy.Request{Action: action, Resource: v.arn(v.qualifier), Context: ask.Context}) == policy.Allowed, nil
}

// runVisit gives the request to the function. A nil result says that it was answered
// already.
func (s *Service) runVisit(w http.ResponseWriter, v *visit) (*function.Result, error) {
	var err error
	if v.body, err = io.ReadAll(http.MaxBytesReader(w, v.r.Body, maxPayload)); err != nil {
		if _, large := errors.AsType[*http.MaxBytesError](err); large {
			refuseURL(w, http.StatusRequestEntityTooLarge, fault.RequestTooLargeException, "Request Too Long")
		} else {
			refuseURL(w, http.StatusBadRequest, "", "Bad Request")
		}
		return nil, nil
	}
	if err := v.runnable(); err != nil {
		return nil, err
	}
	payload, err := v.event(s)
	if err != nil {
		return nil, err
	}
	res, err := s.run(context.WithoutCancel(v.r.Context()), v.place, v.function, v.version, function.Invocation{RequestID: v.id, InvokedARN: v.invoked, Payload: payload})
	return &res, err
}

// visitEvent is a request as functions get it: payload format 2.0 ("Invoking Lambda
// function URLs", AWS Lambda Developer Guide).
type visitEvent struct {
	Version        string            `json:"version"`
	RouteKey       string            `json:"routeKey"`
	RawPath        string            `json:"rawPath"`
	RawQuery       string            `json:"rawQueryString"`
	Cookies        []string          `json:"cookies,omitempty"`
	Headers        map[string]string `json:"headers"`
	Query          map[string]string `json:"queryStringParameters,omitempty"`
	RequestContext visitContext      `json:"requestContext"`
	Body           string            `json:"body,omitempty"`
	Base64         bool              `json:"isBase64Encoded"`
}

type visitContext struct {
	Account      string           `json:"accountId"`
	API          string           `json:"apiId"`
	Authorizer   *visitAuthorizer `json:"authorizer,omitempty"`
	DomainName   string           `json:"domainName"`
	DomainPrefix string           `json:"domainPrefix"`
	HTTP         visitHTTP        `json:"http"`
	RequestID    string           `json:"requestId"`
	RouteKey     string           `json:"routeKey"`
	Stage        string           `json:"stage"`
	Time         string           `json:"time"`
	TimeEpoch    int64            `json:"timeEpoch"`
}

type visitAuthorizer struct {
	IAM visitIAM `json:"iam"`
}

type visitIAM struct {
	AccessKey string `json:"accessKey"`
	Account   string `json:"accountId"`
	CallerID  string `json:"callerId"`
	UserARN   string `json:"userArn"`
	UserID    string `json:"userId"`
}

type visitHTTP struct {
	Method    string `json:"method"`
	Path      string `json:"path"`
	Protocol  string `json:"protocol"`
	SourceIP  string `json:"sourceIp"`
	UserAgent string `json:"userAgent"`
}

func (v *visit) event(s *Service) ([]byte, error) {
	r, now := v.r, s.now().UTC()
	source, _, _ := net.SplitHostPort(r.RemoteAddr)
	host, port, err := net.SplitHostPort(r.Host)
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	if err != nil {
		host, port = r.Host, map[string]string{"http": "80", "https": "443"}[scheme]
	}
	e := visitEvent{
		Version: "2.0", RouteKey: "$default", RawPath: r.URL.EscapedPath(), RawQuery: r.URL.RawQuery, Headers: map[string]string{"host": r.Host},
		RequestContext: visitContext{
			Account: "anonymous", API: v.url.ID, DomainName: host, DomainPrefix: v.url.ID, RequestID: v.id, RouteKey: "$default", Stage: "$default",
			Time: now.Format("02/Jan/2006:15:04:05 -0700"), TimeEpoch: now.UnixMilli(),
			HTTP: visitHTTP{Method: r.Method, Path: r.URL.EscapedPath(), Protocol: r.Proto, SourceIP: source, UserAgent: r.UserAgent()},
		},
	}
	for name, values := range r.Header {
		switch name {
		case "Cookie":
			for _, line := range values {
				for c := range strings.SplitSeq(line, ";") {
					e.Cookies = append(e.Cookies, strings.TrimSpace(c))
				}
			}
		case "Authorization", "X-Amz-Security-Token":
			if v.url.Auth == api.FunctionUrlAuthTypeAwsIam {
				continue // the signature was for us
			}
			fallthrough
		default:
			e.Headers[strings.ToLower(name)] = strings.Join(values, ",")
		}
	}
	if r.ContentLength >= 0 && (r.ContentLength > 0 || r.Method == http.MethodPost) {
		e.Headers["content-length"] = strconv.FormatInt(r.ContentLength, 10)
	}
	e.Headers["x-forwarded-for"], e.Headers["x-forwarded-port"], e.Headers["x-forwarded-proto"] = source, port, scheme
	for name, values := range r.URL.Query() {
		if e.Query == nil {
			e.Query = map[string]string{}
		}
		e.Query[name] = strings.Join(values, ",")
	}
	if who := v.who; v.url.Auth == api.FunctionUrlAuthTypeAwsIam {
		e.RequestContext.Account = who.Account
		e.RequestContext.Authorizer = &visitAuthorizer{visitIAM{who.AccessKeyID, who.Account, who.UserID, who.ARN, who.UserID}}
	}
	if len(v.body) > 0 {
		if e.Base64 = !isText(r.Header.Get("Content-Type"), v.body); e.Base64 {
			e.Body = base64.StdEncoding.EncodeToString(v.body)
		} else {
			e.Body = string(v.body)
		}
	}
	return json.Marshal(e)
}

// isText reports whether a body goes to functions as it is.
func isText(content string, body []byte) bool {
	kind, _, err := mime.ParseMediaType(content)
	if err != nil || !utf8.Valid(body) {
		return false
	}
	return strings.HasPrefix(kind, "text/") || strings.HasSuffix(kind, "+json") || strings.HasSuffix(kind, "+xml") ||
		slices.Contains([]string{"application/json", "application/xml", "application/javascript", "application/x-ndjson"}, kind)
}

// visitAnswer is what a function may answer with.
type visitAnswer struct {
	Status  *json.Number   `json:"statusCode"`
	Headers map[string]any `json:"headers"`
	Cookies []string       `json:"cookies"`
	Body    any            `json:"body"`
	Base64  bool           `json:"isBase64Encoded"`
}

// answerVisit sends what a function has answered.
func (s *Service) answerVisit(w http.ResponseWriter, v *visit, res *function.Result) {
	if res.FunctionError != "" {
		refuseURL(w, http.StatusBadGateway, "InternalServerErrorException", "Internal Server Error")
		return
	}
	status, body, err := readAnswer(res.Payload, w.Header())
	if err != nil {
		refuseURL(w, http.StatusBadGateway, "InternalServerErrorException", "Internal Server Error")
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if v.r.Method != http.MethodHead && status != http.StatusNoContent && status != http.StatusNotModified {
		_, _ = w.Write(body) // a client that went away is no error of ours
	}
}

// readAnswer reads a function's answer: an object with a status is one in Lambda's
// form; whatever else is JSON is the body itself.
func readAnswer(payload []byte, h http.Header) (status int, body []byte, err error) {
	h.Set("Content-Type", "application/json")
	var a visitAnswer
	if json.Unmarshal(payload, &a) != nil || a.Status == nil {
		v, ok := readJSON(payload)
		if text, isText := v.(string); ok && isText {
			return http.StatusOK, []byte(text), nil
		}
		return http.StatusOK, payload, nil
	}
	n, err := a.Status.Int64()
	if err != nil || n < 200 || n > 599 {
		return 0, nil, fmt.Errorf("lambda: a function answers with the status %s", a.Status)
	}
	for _, name := range slices.Sorted(maps.Keys(a.Headers)) {
		key := textproto.CanonicalMIMEHeaderKey(name)
		value := fmt.Sprint(a.Headers[name])
		if !tokenForm(name) || strings.ContainsAny(value, "\r\n\x00") || hopHeaders[key] {
			continue
		}
		h.Set(key, value)
	}
	for _, c := range a.Cookies {
		if !strings.ContainsAny(c, "\r\n\x00") {
			h.Add("Set-Cookie", c)
		}
	}
	switch b := a.Body.(type) {
	case nil:
	case string:
		body = []byte(b)
		if a.Base64 {
			if body, err = base64.StdEncoding.DecodeString(b); err != nil {
				return 0, nil, err
			}
		}
	default:
		if body, err = json.Marshal(b); err != nil {
			return 0, nil, err
		}
	}
	return int(n), body, nil
}

// hopHeaders are of the connection, which is not the function's.
var hopHeaders = map[string]bool{
	"Connection": true, "Keep-Alive": true, "Proxy-Authenticate": true, "Te": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true,
	"Content-Length": true,
}

func tokenForm(name string) bool {
	return name != "" && strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-.^_`|~") == ""
}

// cors tells pages of other origins what they may do. It reports whether the request
// only asked that.
func (v *visit) cors(h http.Header) (answered bool) {
	c, origin := v.url.Cors, v.r.Header.Get("Origin")
	if origin == "" {
		return false
	}
	h.Add("Vary", "Origin")
	if slices.Contains(c.AllowOrigins, "*") || slices.ContainsFunc(c.AllowOrigins, func(o string) bool { return strings.EqualFold(o, origin) }) {
		allowed := origin
		if slices.Contains(c.AllowOrigins, "*") && !yes(c.AllowCredentials) {
			allowed = "*"
		}
		h.Set("Access-Control-Allow-Origin", allowed)
		if yes(c.AllowCredentials) {
			h.Set("Access-Control-Allow-Credentials", "true")
		}
		if len(c.ExposeHeaders) > 0 {
			h.Set("Access-Control-Expose-Headers", strings.Join(c.ExposeHeaders, ","))
		}
	}
	if v.r.Method != http.MethodOptions || v.r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	if h.Get("Access-Control-Allow-Origin") != "" {
		if len(c.AllowMethods) > 0 {
			h.Set("Access-Control-Allow-Methods", strings.Join(c.AllowMethods, ","))
		}
		if len(c.AllowHeaders) > 0 {
			h.Set("Access-Control-Allow-Headers", strings.Join(c.AllowHeaders, ","))
		}
		if c.MaxAge != nil {
			h.Set("Access-Control-Max-Age", strconv.Itoa(int(*c.MaxAge)))
		}
	}
	return true
}
