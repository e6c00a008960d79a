package cloudcontrol

import (
	"context"
	"encoding/json"
	"strings"

	jsonpatch "github.com/evanphx/json-patch/v5"

	api "github.com/slipway/slipway/api/cloudcontrol"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/cfn/plan"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// UpdateResource begins to change a resource by a JSON patch (RFC 6902). What is
// wrong with the patch is told at once; the request itself applies it to what the
// resource is by then.
func (s *Service) UpdateResource(ctx context.Context, in *api.UpdateResourceInput) (*api.UpdateResourceOutput, error) {
	c := auth.From(ctx)
	who, err := s.caller(ctx, in.RoleArn)
	if err != nil {
		return nil, err
	}
	k, err := s.kind(c.Scope, in.TypeName, in.TypeVersionId, actionUpdate)
	if err != nil {
		return nil, err
	}
	id, err := k.identify(in.Identifier)
	if err != nil {
		return nil, err
	}
	asked := digest(api.OperationUpdate, in.TypeName, in.RoleArn, in.Identifier, in.PatchDocument)
	before, err := s.told(ctx, in.ClientToken, asked)
	if err != nil || before != nil {
		return &api.UpdateResourceOutput{ProgressEvent: before}, err
	}
	now, err := s.read(s.acting(ctx, c.Scope, who, c.Operation, ""), k, id)
	if err != nil {
		return nil, handlerError(k.Name, c.RequestID, err)
	}
	ch, err := k.patch(now, in.PatchDocument)
	if err != nil {
		return nil, err
	}
	r := &request{
		Token: newToken(c.Token), Scope: c.Scope, Type: in.TypeName, Operation: api.OperationUpdate, Caller: who,
		Identifier: id.Identifier, PhysicalID: id.PhysicalID,
	}
	if r.Desired, err = s.seal(in.PatchDocument); err != nil {
		return nil, err
	}
	if r.Model, err = s.seal(k.shown(ch.Target)); err != nil {
		return nil, err
	}
	e, err := s.accept(ctx, r, in.ClientToken, asked)
	return &api.UpdateResourceOutput{ProgressEvent: e}, err
}

// told tells of the request that a client token was used for; nil: there is none. It
// is asked before the patch is tried: one that was applied may not fit again.
func (s *Service) told(ctx context.Context, token, digest string) (e *api.ProgressEvent, err error) {
	err = s.cfg.Store.View(ctx, func(tx store.Tx) error {
		r, err := s.repeated(tx, auth.From(ctx).Scope, token, digest)
		if err != nil || r == nil {
			return err
		}
		e, err = s.event(r, true)
		return err
	})
	return e, err
}

// change is what an update makes of a resource.
type change struct {
	Prior, Target cfn.Properties
}

// maxCopied bounds what the copy operations of a patch add, in bytes.
const maxCopied = 1 << 20

// patch applies a patch to what was read, and checks what it leads to.
func (k *kind) patch(now cfn.Properties, document string) (*change, error) {
	p, err := jsonpatch.DecodePatch([]byte(document))
	if err != nil {
		return nil, fault.New(fault.ValidationException, "PatchDocument is not a JSON patch")
	}
	text, err := json.Marshal(now)
	if err != nil {
		return nil, err
	}
	options := jsonpatch.NewApplyOptions()
	options.AccumulatedCopySizeLimit = maxCopied
	patched, err := p.ApplyWithOptions(text, options)
	if err != nil {
		return nil, fault.New(fault.ValidationException, "PatchDocument cannot be applied to the resource's properties: %s", cut(err.Error()))
	}
	var after, before cfn.Properties
	if err := decode(patched, &after); err != nil || after == nil {
		return nil, fault.New(fault.ValidationException, "PatchDocument leaves no JSON object")
	}
	if err := decode(text, &before); err != nil {
		return nil, err
	}
	if paths := plan.Changed(k.schema.ReadOnly, before, after); len(paths) > 0 {
		return nil, fault.New(fault.ValidationException, "Invalid patch update: readOnlyProperties [%s] cannot be updated", pointers(paths))
	}
	if paths := plan.Changed(k.schema.CreateOnly, before, after); len(paths) > 0 {
		return nil, fault.New(fault.NotUpdatableException, "Invalid patch update: createOnlyProperties [%s] cannot be updated", pointers(paths))
	}
	target, err := k.valid(k.writable(after))
	if err != nil {
		return nil, err
	}
	prior, _ := k.schema.Conform(k.writable(before))
	d, err := plan.Decide(k.types, k.Name, prior, target)
	if err == nil && len(d.Replacing) > 0 {
		err = fault.New(fault.NotUpdatableException, "Invalid patch update: [%s] cannot be updated without a replacement", pointers(d.Replacing))
	}
	return &change{Prior: prior, Target: target}, err
}

func pointers(paths []string) string {
	return "/properties/" + strings.Join(paths, ", /properties/")
}
