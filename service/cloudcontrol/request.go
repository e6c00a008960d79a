package cloudcontrol

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	api "github.com/slipway/slipway/api/cloudcontrol"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// Statuses and operations of requests ("ProgressEvent", Cloud Control API
// Reference).
const (
	pending         = api.OperationStatusPending
	inProgress      = api.OperationStatusInProgress
	succeeded       = api.OperationStatusSuccess
	failed          = api.OperationStatusFailed
	cancelRequested = api.OperationStatusCancelInProgress
	cancelled       = api.OperationStatusCancelComplete
)

// How long requests can be asked about, and client tokens stand for the requests
// that they were used for.
const (
	kept        = 7 * 24 * time.Hour
	tokenLife   = 36 * time.Hour
	upkeepEvery = 10 * time.Minute
)

// workflowName is the workflow of a request.
const workflowName = "cloudcontrol/request"

// request is the record of a request.
type request struct {
	Token      string // UUID
	Scope      arn.Scope
	Type       string
	Operation  string
	Identifier string
	PhysicalID string
	Caller     caller
	Status     string
	Message    string
	Code       string // of handlers, of what has failed
	// Desired is what Create makes, or the patch of an update, and Model what is
	// known of the resource; both are sealed.
	Desired string `json:",omitempty"`
	Model   string `json:",omitempty"`
	// Hooks is the token under which hooks were asked; "" : none were.
	Hooks   string `json:",omitempty"`
	Started time.Time
	Ended   time.Time
}

// key puts the newest first.
func (r *request) key() string {
	return fmt.Sprintf("%s/%016x%s", r.Scope.Key(), math.MaxInt64-r.Started.UnixNano(), r.Token)
}

// flow is the id of the request's workflow.
func (r *request) flow() string { return workflowName + "/" + r.Scope.Key() + "/" + r.Token }

func (r *request) ended() bool {
	return r.Status == succeeded || r.Status == failed || r.Status == cancelled
}

// claim is the exclusive use of a resource by the request that changes it.
type claim struct{ Token string }

// clientToken is a token's use. The digest is that of what was asked.
type clientToken struct {
	Request string
	Digest  string
	Until   time.Time
}

// Requests are keyed by scope, time and token, claims by scope, type and the
// identifier's digest, client tokens by scope and token.
var (
	requests = store.NewCollection("cloudcontrol/request", store.Index[request]{
		Name: "token", Keys: func(_ string, r *request) []string { return []string{tokenValue(r.Scope, r.Token)} },
	})
	claims       = store.NewCollection[claim]("cloudcontrol/claim")
	clientTokens = store.NewCollection[clientToken]("cloudcontrol/clienttoken")
)

func tokenValue(scope arn.Scope, token string) string { return scope.Key() + "/" + token }

func claimKey(r *request) string {
	return r.Scope.Key() + "/" + r.Type + "/" + arn.Hash(r.Identifier)
}

// find looks a request up by its token.
func find(tx store.Tx, scope arn.Scope, token string) (*request, error) {
	for e, err := range requests.ByIndex(tx, "token", tokenValue(scope, token)) {
		return e.Value, err
	}
	return nil, fault.New(fault.RequestTokenNotFound, "Request with token %s was not found", token)
}

// repeated is the request that a client token was used for before; nil: there is
// none.
func (s *Service) repeated(tx store.Tx, scope arn.Scope, token, digest string) (*request, error) {
	if token == "" {
		return nil, nil
	}
	used, err := clientTokens.Get(tx, tokenValue(scope, token))
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && !s.cfg.Now().Before(used.Until):
		return nil, nil
	case err != nil:
		return nil, err
	case used.Digest != digest:
		return nil, fault.New(fault.ClientTokenConflict, "The client token %s has already been used in another resource request.", token)
	}
	return find(tx, scope, used.Request)
}

// begin keeps a request and begins its workflow; of a client token that was used
// before, it returns the request that it was used for.
func (s *Service) begin(tx store.Tx, r *request, token, digest string) (*request, error) {
	if before, err := s.repeated(tx, r.Scope, token, digest); err != nil || before != nil {
		return before, err
	}
	now := s.cfg.Now()
	if token != "" {
		err := clientTokens.Put(tx, tokenValue(r.Scope, token), &clientToken{Request: r.Token, Digest: digest, Until: now.Add(tokenLife)})
		if err != nil {
			return nil, err
		}
	}
	r.Status, r.Started = pending, now
	if r.Operation != api.OperationCreate {
		held, err := claims.Get(tx, claimKey(r))
		switch {
		case err == nil:
			return nil, fault.New(fault.ConcurrentOperationException,
				"Another resource operation is currently being performed on the resource of type %s with identifier %s: its request token is %s.", r.Type, r.Identifier, held.Token)
		case !errors.Is(err, store.ErrNotFound):
			return nil, err
		}
		if err := claims.Put(tx, claimKey(r), &claim{Token: r.Token}); err != nil {
			return nil, err
		}
	}
	if err := requests.Put(tx, r.key(), r); err != nil {
		return nil, err
	}
	return r, s.cfg.Workflows.Begin(tx, workflowName, r.flow(), params{Key: r.key()})
}

// newToken makes a request's token. A durable step that asks again gets the same.
func newToken(token string) string {
	if token != "" {
		return arn.UUIDFrom(token)
	}
	return arn.NewUUID()
}

// digest says whether two requests ask for the same.
func digest(parts ...string) string {
	b, _ := json.Marshal(parts) //nolint:errchkjson // texts
	return arn.Hash(string(b))
}

// sealPurpose keeps the sealed values of requests apart from all others.
const sealPurpose = "cloudcontrol/request"

func (s *Service) seal(v any) (string, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	sealed, err := s.cfg.Ring.Seal(sealPurpose, b)
	return base64.StdEncoding.EncodeToString(sealed), err
}

// open opens a sealed value into v.
func (s *Service) open(sealed string, v any) error {
	b, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil {
		return err
	}
	plain, err := s.cfg.Ring.Open(sealPurpose, b)
	if err != nil {
		return err
	}
	return decode(plain, v)
}

// event is a request as the API tells it.
func (s *Service) event(r *request, model bool) (*api.ProgressEvent, error) {
	e := &api.ProgressEvent{
		TypeName: r.Type, Identifier: r.Identifier, RequestToken: r.Token, Operation: r.Operation, OperationStatus: r.Status,
		EventTime: &r.Started, StatusMessage: cut(r.Message), ErrorCode: r.Code, HooksRequestToken: r.Hooks,
	}
	if !r.Ended.IsZero() {
		e.EventTime = &r.Ended
	}
	if r.Model == "" || !model {
		return e, nil
	}
	return e, s.open(r.Model, &e.ResourceModel)
}

// maxMessage bounds a StatusMessage.
const maxMessage = 2048

func cut(text string) string {
	if r := []rune(text); len(r) > maxMessage {
		return string(r[:maxMessage-3]) + "..."
	}
	return text
}

// properties reads a JSON object.
func properties(member, text string) (cfn.Properties, error) {
	var p cfn.Properties
	if err := decode([]byte(text), &p); err != nil || p == nil {
		return nil, fault.New(fault.ValidationException, "%s is not a JSON object", member)
	}
	return p, nil
}
