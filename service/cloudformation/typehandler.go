package cloudformation

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/cfn/apply"
	"github.com/slipway/slipway/cfn/schema"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// handlersService is whom the execution role of a registered resource type must trust.
const handlersService = "resources.cloudformation.amazonaws.com"

// handlerRequest is what the handler of a registered type is given, as the plugins
// of the CloudFormation CLI read it.
type handlerRequest struct {
	Action              string             `json:"action"`
	AWSAccountID        string             `json:"awsAccountId"`
	BearerToken         string             `json:"bearerToken"`
	Region              string             `json:"region"`
	ResourceType        string             `json:"resourceType"`
	ResourceTypeVersion string             `json:"resourceTypeVersion"`
	StackID             string             `json:"stackId,omitempty"`
	CallbackContext     json.RawMessage    `json:"callbackContext,omitempty"`
	NextToken           string             `json:"nextToken,omitempty"`
	RequestData         handlerRequestData `json:"requestData"`
}

type handlerRequestData struct {
	ResourceProperties         cfn.Properties    `json:"resourceProperties"`
	PreviousResourceProperties cfn.Properties    `json:"previousResourceProperties,omitempty"`
	LogicalResourceID          string            `json:"logicalResourceId,omitempty"`
	SystemTags                 map[string]string `json:"systemTags,omitempty"`
	StackTags                  map[string]string `json:"stackTags,omitempty"`
	TypeConfiguration          json.RawMessage   `json:"typeConfiguration,omitempty"`
	CallerCredentials          *cfn.Credentials  `json:"callerCredentials,omitempty"`
}

// handlerEvent is what it answers ("ProgressEvent object schema", CloudFormation CLI
// User Guide).
type handlerEvent struct {
	Status               string
	ErrorCode            string
	Message              string
	CallbackContext      json.RawMessage
	CallbackDelaySeconds int
	ResourceModel        cfn.Properties
	ResourceModels       []cfn.Properties
	NextToken            string
}

// handling is how far a handler has come with an action, so that it goes on there
// after a crash.
type handling struct {
	Sealed  string // the last event
	Updated time.Time
}

// handlings are keyed by scope and the token of the action's step.
var handlings = store.NewCollection[handling]("cloudformation/handling")

// handlingLife is how long one is kept: longer than any step that has ended waits for
// its journal.
const handlingLife = 24 * time.Hour

// handlerTime is how long an action may take.
const handlerTime = 2 * time.Hour

// maxListPages bounds what a handler lists.
const maxListPages = 1000

// handled is a registered type: its functions call its handler.
func (s *Service) handled(e *extension, v *extensionVersion, sch *schema.Schema) cfn.Type {
	h := &typeHandler{s: s, e: *e, v: *v, schema: sch}
	var declared struct {
		Handlers map[string]json.RawMessage `json:"handlers"`
	}
	_ = json.Unmarshal([]byte(v.Schema), &declared) // it was parsed when the type was registered
	has := func(name string) bool { _, ok := declared.Handlers[name]; return ok }
	t := cfn.Type{Name: e.Name, Create: h.create, Delete: h.delete}
	if has("read") {
		t.Read = h.read
	}
	if has("update") {
		t.Update = h.update
	}
	if has("list") {
		t.List = h.list
	}
	return t
}

type typeHandler struct {
	s      *Service
	e      extension
	v      extensionVersion
	schema *schema.Schema
}

func (h *typeHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	out, err := h.run(ctx, "CREATE", r, r.Properties)
	id := h.identifier(out.ResourceModel)
	if err == nil && id == "" {
		err = fault.New(cfn.HandlerInternalFailure, "the handler has told no primary identifier of what it has made")
	}
	return cfn.Result{PhysicalID: id, Attributes: h.attributes(out.ResourceModel)}, err
}

func (h *typeHandler) update(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	out, err := h.run(ctx, "UPDATE", r, h.identified(r.Properties, r.PhysicalID))
	return cfn.Result{PhysicalID: cmp.Or(h.identifier(out.ResourceModel), r.PhysicalID), Attributes: h.attributes(out.ResourceModel)}, err
}

func (h *typeHandler) delete(ctx context.Context, r cfn.Request) error {
	_, err := h.run(ctx, "DELETE", r, h.identified(r.Properties, r.PhysicalID))
	if fault.Is(err, cfn.HandlerNotFound) {
		return nil
	}
	return err
}

func (h *typeHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	r.Token = ""
	out, err := h.run(ctx, "READ", r, h.identified(nil, r.PhysicalID))
	return out.ResourceModel, err
}

func (h *typeHandler) list(ctx context.Context) (ids []string, err error) {
	next := ""
	for range maxListPages {
		req := h.request(ctx, "LIST", cfn.Request{}, cfn.Properties{})
		req.NextToken = next
		out, err := h.ask(ctx, req)
		if err != nil {
			return nil, err
		}
		for _, m := range out.ResourceModels {
			ids = append(ids, h.identifier(m))
		}
		if next = out.NextToken; next == "" {
			return ids, nil
		}
	}
	return nil, fault.New(cfn.HandlerInternalFailure, "the handler's list has more than %d pages", maxListPages)
}

// identified are properties with the values that a physical id stands for.
func (h *typeHandler) identified(p cfn.Properties, physicalID string) cfn.Properties {
	out := maps.Clone(p)
	if out == nil {
		out = cfn.Properties{}
	}
	names := h.schema.PrimaryIdentifier
	values := []string{physicalID}
	if len(names) > 1 {
		values = strings.SplitN(physicalID, "|", len(names))
	}
	for i, name := range names {
		if _, given := out[name]; !given && i < len(values) && values[i] != "" {
			out[name] = values[i]
		}
	}
	return out
}

// identifier is the physical id in a model, "" where the model has not all of it.
func (h *typeHandler) identifier(model cfn.Properties) string {
	parts := make([]string, len(h.schema.PrimaryIdentifier))
	for i, name := range h.schema.PrimaryIdentifier {
		if model[name] == nil {
			return ""
		}
		parts[i] = cfn.Text(model[name])
	}
	return strings.Join(parts, "|")
}

// attributes are what Fn::GetAtt finds in a model.
func (h *typeHandler) attributes(model cfn.Properties) cfn.Properties {
	out := cfn.Properties{}
	for name, v := range model {
		if schema.Has(h.schema.ReadOnly, name) {
			out[name] = v
		}
	}
	return out
}

func (h *typeHandler) request(ctx context.Context, action string, r cfn.Request, p cfn.Properties) *handlerRequest {
	c := auth.From(ctx)
	system, own := map[string]string{}, map[string]string{}
	for k, v := range r.Tags {
		if strings.HasPrefix(k, "aws:") {
			system[k] = v
		} else {
			own[k] = v
		}
	}
	return &handlerRequest{
		Action: action, AWSAccountID: c.Scope.Account, BearerToken: arn.UUIDFrom(cmp.Or(r.Token, c.RequestID)), Region: c.Scope.Region,
		ResourceType: h.e.Name, ResourceTypeVersion: h.v.Version, StackID: r.StackID,
		RequestData: handlerRequestData{
			ResourceProperties: p, PreviousResourceProperties: r.Prior, LogicalResourceID: r.LogicalID, SystemTags: system, StackTags: own,
		},
	}
}

// run has the handler do an action to its end. An action that a crash has interrupted
// goes on with what the handler said last; one that was done answers as before.
func (h *typeHandler) run(ctx context.Context, action string, r cfn.Request, p cfn.Properties) (out handlerEvent, err error) {
	ctx, cancel := context.WithTimeout(ctx, handlerTime)
	defer cancel()
	req := h.request(ctx, action, r, p)
	if action == "UPDATE" {
		req.RequestData.PreviousResourceProperties = h.identified(r.Prior, r.PhysicalID)
	}
	if out, err = h.resume(ctx, r.Token); err != nil {
		return out, err
	}
	for {
		switch out.Status {
		case "":
		case "SUCCESS":
			return out, nil
		case "FAILED":
			return out, handlerFault(out.ErrorCode, out.Message)
		case "IN_PROGRESS", "PENDING":
			req.CallbackContext = out.CallbackContext
			if len(out.ResourceModel) > 0 {
				req.RequestData.ResourceProperties = out.ResourceModel
			}
			if id := h.identifier(out.ResourceModel); id != "" && action == "CREATE" {
				r.Initiated(id)
			}
			if err := pause(ctx, time.Duration(out.CallbackDelaySeconds)*time.Second); err != nil {
				if errors.Is(err, context.DeadlineExceeded) {
					err = fault.New("NotStabilized", "the handler was not done within %s", handlerTime)
				}
				return out, err
			}
		default:
			return out, fault.New(cfn.HandlerInternalFailure, "the handler answered with status %q, which is none", cut(out.Status, 40))
		}
		out, err = h.ask(ctx, req)
		if err == nil {
			err = h.keep(ctx, r.Token, &out)
		}
		if err != nil {
			return out, err
		}
	}
}

// ask calls the handler once, as CloudFormation.
func (h *typeHandler) ask(ctx context.Context, req *handlerRequest) (out handlerEvent, err error) {
	if h.v.Role != "" && h.s.cfg.ExecutionCredentials != nil {
		c, err := h.s.cfg.ExecutionCredentials(ctx, h.v.Role, handlersService)
		if err != nil {
			return out, err
		}
		req.RequestData.CallerCredentials = &c
	}
	err = h.s.view(ctx, func(tx store.Tx) error {
		text, _, err := h.s.configuration(tx, &h.e)
		if text != "" {
			req.RequestData.TypeConfiguration = json.RawMessage(text)
		}
		return err
	})
	if err != nil {
		return out, err
	}
	var raw json.RawMessage
	if err := h.s.handler(asService(ctx), h.v.Function, req, &raw); err != nil {
		return out, err
	}
	return decodeEvent(raw)
}

// decodeEvent reads an event, with whole numbers as properties have them.
func decodeEvent(raw []byte) (out handlerEvent, err error) {
	if err := json.Unmarshal(raw, &out); err != nil {
		return out, fault.New(cfn.HandlerInternalFailure, "the handler did not answer with a progress event")
	}
	out.ResourceModel = apply.Integers(out.ResourceModel)
	for i := range out.ResourceModels {
		out.ResourceModels[i] = apply.Integers(out.ResourceModels[i])
	}
	return out, nil
}

func handlingKey(scope arn.Scope, token string) string { return scope.Key() + "/" + arn.Hash(token) }

// resume is what the handler has said last of an action.
func (h *typeHandler) resume(ctx context.Context, token string) (out handlerEvent, err error) {
	if token == "" {
		return out, nil
	}
	var kept *handling
	err = h.s.view(ctx, func(tx store.Tx) error {
		kept, err = handlings.Get(tx, handlingKey(auth.From(ctx).Scope, token))
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return out, nil
	}
	if err != nil {
		return out, err
	}
	text, ok := h.s.open(kept.Sealed)
	if !ok {
		return out, errors.New("cloudformation: what a handler said does not open")
	}
	return decodeEvent([]byte(text))
}

// keep keeps what the handler has said, and forgets what is old.
func (h *typeHandler) keep(ctx context.Context, token string, out *handlerEvent) error {
	if token == "" {
		return nil
	}
	if h.s.cfg.Ring == nil {
		return fmt.Errorf("cloudformation: there are no keys to seal what handlers say")
	}
	text, err := json.Marshal(out)
	if err != nil {
		return err
	}
	sealed, err := h.s.seal()(string(text))
	if err != nil {
		return err
	}
	scope, now := auth.From(ctx).Scope, h.s.cfg.Now()
	return h.s.update(ctx, func(l *apply.Ledger) error {
		old, _, err := handlings.Page(l.Tx, scope.Key()+"/", "", 10, func(k *handling) bool { return now.Sub(k.Updated) > handlingLife })
		if err != nil {
			return err
		}
		for _, it := range old {
			if err := handlings.Delete(l.Tx, it.Key); err != nil {
				return err
			}
		}
		return handlings.Put(l.Tx, handlingKey(scope, token), &handling{Sealed: sealed, Updated: now})
	})
}
