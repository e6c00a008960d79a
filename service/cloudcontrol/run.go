package cloudcontrol

import (
	"context"
	"errors"
	"fmt"
	"maps"

	api "github.com/slipway/slipway/api/cloudcontrol"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/cfn/plan"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/workflow"
)

// params are what the workflow engine keeps of a request.
type params struct{ Key string }

// run is the workflow of a request. One that fails for good leaves no request in
// progress for ever, and no claim on its resource.
func (s *Service) run(f *workflow.Flow, p params) error {
	err := s.fulfil(f, p)
	if err == nil || errors.Is(err, workflow.ErrInterrupted) || f.Context().Err() != nil {
		return err
	}
	why := failureOf(err)
	_, txErr := workflow.Tx(f, "broken off", func(tx store.Tx) (bool, error) {
		r, err := requests.Get(tx, p.Key)
		if err != nil || r.ended() {
			return false, err
		}
		return true, s.end(tx, r, outcome{Failure: &why})
	})
	return errors.Join(err, txErr)
}

// fulfil looks what there is, acts, and keeps what that came to.
func (s *Service) fulfil(f *workflow.Flow, p params) error {
	var r *request
	err := s.cfg.Store.View(f.Context(), func(tx store.Tx) (err error) {
		r, err = requests.Get(tx, p.Key)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil // it has ended and is forgotten
	}
	if err != nil {
		return err
	}
	k, err := s.kind(r.Scope, r.Type, "", map[string]string{
		api.OperationCreate: actionCreate, api.OperationUpdate: actionUpdate, api.OperationDelete: actionDelete,
	}[r.Operation])
	if err != nil {
		return s.finish(f, p, outcome{Failure: new(failureOf(err))})
	}
	looked, err := s.step(f, "look", r, func(ctx context.Context, _ string) (outcome, error) { return s.look(ctx, r, k) })
	if err != nil || looked.Failure != nil {
		return s.finish(f, p, looked, err)
	}
	refused, err := s.askHooks(f, p, r, looked)
	if err != nil || refused != nil {
		return s.finish(f, p, outcome{PhysicalID: r.PhysicalID, Failure: refused}, err)
	}
	goes, err := workflow.Tx(f, "begin", func(tx store.Tx) (bool, error) { return s.goes(tx, p) })
	if err != nil || !goes {
		return err
	}
	out, err := s.step(f, "act", r, func(ctx context.Context, token string) (outcome, error) {
		return s.act(ctx, r, k, looked, token)
	})
	if err == nil && out.Failure != nil && r.Operation == api.OperationCreate && out.PhysicalID != "" {
		return s.clean(f, p, r, k, out)
	}
	return s.finish(f, p, out, err)
}

// outcome is what a step came to. Failures are results, too: what a failed creation
// left must be known after a crash.
type outcome struct {
	PhysicalID string   `json:",omitempty"`
	Identifier string   `json:",omitempty"`
	Sealed     string   `json:",omitempty"` // a change that look has decided on
	Model      string   `json:",omitempty"` // sealed, of the resource
	Failure    *failure `json:",omitempty"`
}

// tries is how often a step is tried that fails without a code.
const tries = 30

// step runs fn as a durable step. An error with a code is the step's failure, any
// other is tried again.
func (s *Service) step(f *workflow.Flow, name string, r *request, fn func(ctx context.Context, token string) (outcome, error)) (outcome, error) {
	var last outcome
	out, err := workflow.Step(f, name, func(ctx context.Context, token string) (outcome, error) {
		select {
		case s.slots <- struct{}{}:
			defer func() { <-s.slots }()
		case <-ctx.Done():
			return outcome{}, ctx.Err()
		}
		out, err := fn(s.acting(ctx, r.Scope, r.Caller, operations[r.Operation], token), token)
		if err == nil {
			return out, nil
		}
		if _, classified := fault.As(err); !classified || ctx.Err() != nil {
			last = out
			return outcome{}, err
		}
		out.Failure = new(failureOf(err))
		return out, nil
	}, workflow.Attempts(tries))
	if final := new(workflow.Error); errors.As(err, &final) {
		s.cfg.Logger.Error("resource request failed", "type", r.Type, "identifier", r.Identifier, "step", name, "request", r.Token, "error", err)
		last.Failure = new(failureOf(err))
		return last, nil
	}
	return out, err
}

// operations are the API's operations by those of requests.
var operations = map[string]string{
	api.OperationCreate: "CreateResource", api.OperationUpdate: "UpdateResource", api.OperationDelete: "DeleteResource",
}

// look says whether there is what is to be created, changed or deleted. What an
// update is to do is decided here, since a patch that is applied twice is another.
func (s *Service) look(ctx context.Context, r *request, k *kind) (outcome, error) {
	if r.Identifier == "" {
		return outcome{}, nil
	}
	id, err := k.identify(r.Identifier)
	if err != nil {
		return outcome{}, err
	}
	now, err := s.read(ctx, k, id)
	_, classified := fault.As(err)
	switch {
	case err != nil && !classified:
		return outcome{}, err
	case r.Operation == api.OperationCreate && err == nil:
		return outcome{}, fault.New(cfn.HandlerAlreadyExists, "Resource of type '%s' with identifier '%s' already exists.", r.Type, r.Identifier)
	case r.Operation == api.OperationCreate, r.Operation == api.OperationDelete && !fault.Is(err, cfn.NotFound):
		return outcome{}, nil // the handler has its own word
	case err != nil:
		return outcome{}, err
	}
	var patch string
	if err := s.open(r.Desired, &patch); err != nil {
		return outcome{}, err
	}
	ch, err := k.patch(now, patch)
	if err != nil {
		return outcome{}, err
	}
	sealed, err := s.seal(ch)
	return outcome{Sealed: sealed}, err
}

// goes begins to act, unless the request was cancelled by now.
func (s *Service) goes(tx store.Tx, p params) (bool, error) {
	r, err := requests.Get(tx, p.Key)
	if err != nil {
		return false, err
	}
	if r.Status == cancelRequested {
		return false, s.end(tx, r, outcome{})
	}
	r.Status = inProgress
	return true, requests.Put(tx, p.Key, r)
}

// act calls the handler. What it has made is named even where it fails.
func (s *Service) act(ctx context.Context, r *request, k *kind, looked outcome, token string) (outcome, error) {
	req := k.request(r.PhysicalID, token)
	out := outcome{PhysicalID: r.PhysicalID, Identifier: r.Identifier}
	s.equip(ctx, r, k, &req, &out)
	var res cfn.Result
	switch r.Operation {
	case api.OperationDelete:
		return out, k.Delete(ctx, req)
	case api.OperationCreate:
		if err := s.open(r.Desired, &req.Properties); err != nil {
			return out, err
		}
		var err error
		res, err = k.Create(ctx, req)
		if res.PhysicalID != "" {
			out.PhysicalID = res.PhysicalID
		}
		if err != nil {
			return out, err
		}
	case api.OperationUpdate:
		var ch change
		if err := s.open(looked.Sealed, &ch); err != nil {
			return out, err
		}
		req.Properties, req.Prior = ch.Target, ch.Prior
		d, err := plan.Decide(k.types, k.Name, ch.Prior, ch.Target)
		if err == nil && d.Action != plan.Keep {
			res, err = k.Update(ctx, req)
		}
		if err != nil {
			return out, err
		}
	}
	return out, s.model(ctx, k, req, res, &out)
}

// equip gives a handler the functions by which it tells of its progress.
func (s *Service) equip(ctx context.Context, r *request, k *kind, req *cfn.Request, out *outcome) {
	tell := func(change func(now *request)) {
		err := s.cfg.Store.Update(ctx, func(tx store.Tx) error {
			now, err := requests.Get(tx, r.key())
			if err != nil || now.ended() {
				return err
			}
			change(now)
			return requests.Put(tx, r.key(), now)
		})
		if err != nil && ctx.Err() == nil {
			s.cfg.Logger.Warn("progress not written", "request", r.Token, "error", err)
		}
	}
	req.Progress = func(message string) { tell(func(now *request) { now.Message = message }) }
	req.Initiated = func(id string) {
		if id == "" || r.Operation != api.OperationCreate || out.PhysicalID == id {
			return
		}
		out.PhysicalID = id
		tell(func(now *request) {
			now.PhysicalID = id
			if now.Identifier == "" {
				now.Identifier = k.known(id)
			}
		})
	}
}

// model tells what the resource has become, as it is read now; what only the handler
// tells comes beside.
func (s *Service) model(ctx context.Context, k *kind, req cfn.Request, res cfn.Result, out *outcome) (err error) {
	all := maps.Clone(req.Properties)
	if all == nil {
		all = cfn.Properties{}
	}
	maps.Copy(all, res.Attributes)
	if read, err := k.Read(ctx, k.request(out.PhysicalID, "")); err == nil {
		maps.Copy(all, read)
	} else if _, classified := fault.As(err); !classified {
		return err
	}
	if id, _ := k.identifierOf(all); id != "" {
		out.Identifier = id
	} else if out.Identifier == "" {
		out.Identifier = k.known(out.PhysicalID)
	}
	out.Model, err = s.seal(k.shown(all))
	return err
}

// clean deletes what a failed creation has left.
func (s *Service) clean(f *workflow.Flow, p params, r *request, k *kind, out outcome) error {
	cleaned, err := s.step(f, "clean", r, func(ctx context.Context, token string) (outcome, error) {
		return outcome{}, k.Delete(ctx, k.request(out.PhysicalID, token))
	})
	if err != nil {
		return s.finish(f, p, out, err)
	}
	if cleaned.Failure != nil {
		out.Failure.Message = fmt.Sprintf("%s; %s is left, and could not be deleted: %s", out.Failure.Message, out.PhysicalID, cleaned.Failure.Message)
	}
	return s.finish(f, p, out)
}

// finish keeps the end of a request; errors break its run off.
func (s *Service) finish(f *workflow.Flow, p params, out outcome, errs ...error) error {
	if err := errors.Join(errs...); err != nil {
		return err
	}
	_, err := workflow.Tx(f, "end", func(tx store.Tx) (bool, error) {
		r, err := requests.Get(tx, p.Key)
		if err != nil {
			return false, err
		}
		return true, s.end(tx, r, out)
	})
	return err
}

// end keeps what a request came to, and gives its resource free.
func (s *Service) end(tx store.Tx, r *request, out outcome) error {
	if r.Operation != api.OperationCreate {
		if err := claims.Delete(tx, claimKey(r)); err != nil {
			return err
		}
	}
	switch {
	case out.Failure != nil:
		r.Status, r.Code, r.Message = failed, out.Failure.Code, out.Failure.Message
	case r.Status == cancelRequested && out == (outcome{}):
		r.Status, r.Message = cancelled, "The request was canceled before anything was done"
	default:
		r.Status, r.Message = succeeded, ""
	}
	if out.Identifier != "" {
		r.Identifier = out.Identifier
	}
	if out.Model != "" {
		r.Model = out.Model
	}
	if r.Operation == api.OperationDelete {
		r.Model = ""
	}
	r.PhysicalID, r.Desired, r.Ended = out.PhysicalID, "", s.cfg.Now()
	return requests.Put(tx, r.key(), r)
}
