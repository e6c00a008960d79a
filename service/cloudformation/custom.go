package cloudformation

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/cfn/apply"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// AnswerPath begins the paths to which the providers of custom resources put their
// answers. The platform mounts AnswerHandler there.
const AnswerPath = "/_slipway/cfn/answer/"

// Bounds of an answer ("Custom resource response objects").
const (
	maxAnswer         = 4096
	maxPhysicalID     = 1024
	answerAfterwards  = time.Minute // for which a URL is known after its time, to say so
	customSubject     = "AWS CloudFormation custom resource request"
	maxCustomMessages = 256 << 10
)

// OpenAnswer makes the request that a custom resource's provider is asked with, and
// the URL that takes its answer. The same durable step gets the same.
func (s *Service) OpenAnswer(ctx context.Context, r cfn.Request, provider string, timeout time.Duration) (id, answerURL string, err error) {
	c := auth.From(ctx)
	if _, err := providerOf(provider, c.Scope); err != nil {
		return "", "", err
	}
	id = arn.UUIDFrom("custom resource " + r.Token)
	stackKey := c.Scope.Key() + "/" + apply.UUID(r.StackID)
	var secret [32]byte
	_, _ = rand.Read(secret[:])
	a := &apply.Answer{StackID: r.StackID, LogicalID: r.LogicalID, PhysicalID: r.PhysicalID, Secret: hex.EncodeToString(secret[:])}
	err = s.update(ctx, func(l *apply.Ledger) error {
		old, err := apply.Answers.Get(l.Tx, apply.AnswerKey(stackKey, id))
		if err == nil {
			a = old
			return nil
		}
		if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		a.Until = l.Now.Add(timeout + answerAfterwards)
		return apply.Answers.Put(l.Tx, apply.AnswerKey(stackKey, id), a)
	})
	if err != nil {
		return "", "", err
	}
	return id, s.answerBase(ctx, provider) + AnswerPath + stackKey + "/" + id + "/" + a.Secret, nil
}

// answerBase is where a provider reaches Slipway. Instances and functions do on the
// gateway of their network, as the host itself does. What listens to a topic may be
// on another machine: it is told the address by which the caller came, unless that
// is this host's own.
func (s *Service) answerBase(ctx context.Context, provider string) string {
	base := auth.From(ctx).Endpoint
	if u, err := url.Parse(base); s.cfg.SignalURL != nil && (!strings.Contains(provider, ":sns:") || err != nil || loopback(u.Hostname())) {
		base = s.cfg.SignalURL(ctx)
	}
	return strings.TrimSuffix(base, "/")
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
}

// providerOf checks a ServiceToken: a function or topic of the stack's region.
func providerOf(token string, scope arn.Scope) (arn.ARN, error) {
	a, err := arn.Parse(token)
	switch {
	case err != nil, a.Service != "lambda" && a.Service != "sns", a.Service == "lambda" && !strings.HasPrefix(a.Resource, "function:"):
		return a, fault.New(fault.ValidationError, "Invalid service token: %s is neither the ARN of a Lambda function nor that of an SNS topic.", token)
	case a.Region != scope.Region:
		return a, fault.New(fault.ValidationError, "Invalid service token: %s is not in the stack's region, %s.", token, scope.Region)
	}
	return a, nil
}

// SendRequest hands a request to the function or topic that provides a custom
// resource, as the stack's caller.
func (s *Service) SendRequest(ctx context.Context, provider string, request []byte) error {
	a, err := providerOf(provider, auth.From(ctx).Scope)
	if err != nil {
		return err
	}
	if len(request) > maxCustomMessages {
		return fault.New(fault.ValidationError, "The request to the custom resource's provider has %d bytes, and may have %d.", len(request), maxCustomMessages)
	}
	if a.Service == "sns" {
		if s.cfg.Publish == nil {
			return fault.New(fault.NotImplemented, "Custom resources over SNS are not implemented: this Slipway has no SNS")
		}
		return s.cfg.Publish(ctx, provider, customSubject, string(request))
	}
	if s.cfg.Enqueue == nil {
		return fault.New(fault.NotImplemented, "Custom resources over Lambda are not implemented: this Slipway has no Lambda")
	}
	return s.cfg.Enqueue(ctx, provider, request)
}

// customAnswer is what a provider puts ("Custom resource response objects").
type customAnswer struct {
	Status             string
	Reason             string
	StackId            string //nolint:revive // the name on the wire
	RequestId          string //nolint:revive // the name on the wire
	LogicalResourceId  string //nolint:revive // the name on the wire
	PhysicalResourceId string //nolint:revive // the name on the wire
	NoEcho             any    // some providers write it as text
	Data               map[string]any
}

// AnswerHandler takes the answers of custom resources' providers. Who knows the
// secret in a URL can give one answer, and nothing else.
func (s *Service) AnswerHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPut {
			w.Header().Set("Allow", http.MethodPut)
			http.Error(w, "the answer of a custom resource is PUT", http.StatusMethodNotAllowed)
			return
		}
		body, err := io.ReadAll(io.LimitReader(r.Body, maxAnswer+1))
		if err != nil {
			http.Error(w, "the answer did not come whole", http.StatusBadRequest)
			return
		}
		s.answer(w, s.takeAnswer(r.Context(), r.URL.Path, body))
	})
}

var errNoRequest = fault.New(fault.AccessDenied, "The URL is that of no request that waits for an answer")

// readAnswerPath reads the path to which an answer is put.
func readAnswerPath(path string) (stackKey, id, secret string, ok bool) {
	rest, ok := strings.CutPrefix(path, AnswerPath)
	parts := strings.Split(rest, "/")
	if !ok || len(parts) != 5 || strings.Contains(rest, "//") || len(rest) > 512 {
		return "", "", "", false
	}
	return strings.Join(parts[:3], "/"), parts[3], parts[4], true
}

// Answered reports whether a request to a custom resource's provider needs no answer
// any more: it has come, or the operation waits for it no longer.
func (s *Service) Answered(ctx context.Context, request []byte) (over bool, err error) {
	var r struct{ ResponseURL string }
	if err := json.Unmarshal(request, &r); err != nil {
		return false, nil // it is another's
	}
	u, err := url.Parse(r.ResponseURL)
	if err != nil {
		return false, nil // likewise
	}
	stackKey, id, secret, ok := readAnswerPath(u.Path)
	if !ok {
		return false, nil
	}
	err = s.view(ctx, func(tx store.Tx) error {
		a, err := apply.Answers.Get(tx, apply.AnswerKey(stackKey, id))
		if errors.Is(err, store.ErrNotFound) {
			over = true
			return nil
		}
		if err == nil {
			over = a.Come && knows(secret, a.Secret)
		}
		return err
	})
	return over, err
}

// takeAnswer keeps an answer. One that is no good is an answer, too: its provider
// will give no other. The first one counts.
func (s *Service) takeAnswer(ctx context.Context, path string, body []byte) error {
	stackKey, id, secret, ok := readAnswerPath(path)
	if !ok {
		return errNoRequest
	}
	var problem error
	err := s.update(ctx, func(l *apply.Ledger) error {
		a, err := apply.Answers.Get(l.Tx, apply.AnswerKey(stackKey, id))
		if errors.Is(err, store.ErrNotFound) {
			return errNoRequest
		}
		if err != nil {
			return err
		}
		if !knows(secret, a.Secret) {
			return errNoRequest
		}
		switch {
		case a.Come:
			return nil
		case l.Now.After(a.Until):
			return fault.New(fault.AccessDenied, "The time for the answer is over")
		}
		if problem = s.readAnswer(a, id, body); problem != nil {
			f, ok := fault.As(problem)
			if !ok {
				return problem
			}
			a.Failure = f.Message
		}
		return s.runner.Answer(l, stackKey, id, a)
	})
	if err != nil {
		return err
	}
	return problem
}

// readAnswer reads an answer into what is kept of it. An error is what is wrong
// with the answer, in words for its provider and for the stack's events.
func (s *Service) readAnswer(a *apply.Answer, id string, body []byte) error {
	invalid := func(format string, args ...any) error {
		return fault.New(fault.ValidationError, "Invalid response object: "+format, args...)
	}
	if len(body) > maxAnswer {
		return fault.New(fault.ValidationError, "Response object is too long.")
	}
	var in customAnswer
	if err := json.Unmarshal(body, &in); err != nil {
		return invalid("it is not JSON with the members of an answer")
	}
	switch {
	case in.StackId != a.StackID:
		return invalid("StackId is not that of the request")
	case in.RequestId != id:
		return invalid("RequestId is not that of the request")
	case in.LogicalResourceId != a.LogicalID:
		return invalid("LogicalResourceId is not that of the request")
	case in.Status != "SUCCESS" && in.Status != "FAILED":
		return invalid("Status must be SUCCESS or FAILED")
	case len(in.PhysicalResourceId) > maxPhysicalID, in.PhysicalResourceId == "" && in.Status == "SUCCESS":
		return fault.New(fault.ValidationError, "Invalid PhysicalResourceId")
	}
	if in.PhysicalResourceId != "" {
		a.PhysicalID = in.PhysicalResourceId
	}
	if in.Status == "FAILED" {
		a.Failure = fmt.Sprintf("Received response status [FAILED] from custom resource. Message returned: %s (RequestId: %s)", in.Reason, id)
		return nil
	}
	hide := fmt.Sprint(in.NoEcho) == "true"
	a.Attributes = cfn.Properties{}
	for name, v := range in.Data {
		kept, err := s.dataOf(v, hide)
		if err != nil {
			return err
		}
		a.Attributes[name] = kept
	}
	return nil
}

// dataOf is a value of an answer's Data as it is kept: sealed where it is not to be
// seen.
func (s *Service) dataOf(v any, hide bool) (any, error) {
	switch v := v.(type) {
	case map[string]any:
		if _, ok := cfn.SealedText(v); ok {
			return nil, fault.New(fault.ValidationError, "Invalid response object: Data has a reserved name")
		}
		out := map[string]any{}
		for k, x := range v {
			kept, err := s.dataOf(x, hide)
			if err != nil {
				return nil, err
			}
			out[k] = kept
		}
		return out, nil
	case []any:
		if !hide {
			return v, nil
		}
	case nil:
		return nil, nil
	default:
		if !hide {
			return v, nil
		}
	}
	seal := s.seal()
	if seal == nil {
		return nil, fault.New(fault.ValidationError, "Invalid response object: NoEcho is set, and there is no key to seal its Data with")
	}
	text, err := seal(cfn.Text(v))
	return cfn.Sealed(text), err
}
