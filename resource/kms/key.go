// Package kms holds the resource types of the Key Management Service. It calls
// api/kms alone.
package kms

import (
	"context"
	"maps"
	"slices"
	"strings"

	api "github.com/slipway/slipway/api/kms"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource"
)

// Types are the resource types of KMS.
func Types(svc api.Service) []cfn.Type { return []cfn.Type{keyType(svc), aliasType(svc)} }

const keyName = "AWS::KMS::Key"

type keyProperties struct {
	Description                    string             `json:"Description,omitempty"`
	Enabled                        *bool              `json:"Enabled,omitempty"`
	EnableKeyRotation              *bool              `json:"EnableKeyRotation,omitempty"`
	RotationPeriodInDays           *int32             `json:"RotationPeriodInDays,omitempty"`
	KeyPolicy                      *resource.Document `json:"KeyPolicy,omitempty"`
	KeySpec                        string             `json:"KeySpec,omitempty"`
	KeyUsage                       string             `json:"KeyUsage,omitempty"`
	Origin                         string             `json:"Origin,omitempty"`
	MultiRegion                    *bool              `json:"MultiRegion,omitempty"`
	PendingWindowInDays            *int32             `json:"PendingWindowInDays,omitempty"`
	BypassPolicyLockoutSafetyCheck *bool              `json:"BypassPolicyLockoutSafetyCheck,omitempty"`
	Tags                           []resource.Tag     `json:"Tags,omitempty"`
}

func (p keyProperties) policy() string {
	if p.KeyPolicy == nil {
		return ""
	}
	return p.KeyPolicy.Text
}

func yes(b *bool) bool { return b != nil && *b }

type keyHandler struct{ svc api.Service }

func keyType(svc api.Service) cfn.Type {
	h := keyHandler{svc}
	return cfn.Type{Name: keyName, Create: h.create, Read: h.read, Update: h.update, Delete: h.delete, List: h.list}
}

// tags are a key's, without the engine's own: keys do not carry those.
func tags(r cfn.Request, own []resource.Tag) map[string]string {
	out := resource.Tags(r, own)
	maps.DeleteFunc(out, func(name, _ string) bool { return strings.HasPrefix(name, "aws:") })
	return out
}

func list(tags map[string]string) []api.Tag {
	out := make([]api.Tag, 0, len(tags))
	for _, name := range slices.Sorted(maps.Keys(tags)) {
		out = append(out, api.Tag{TagKey: name, TagValue: tags[name]})
	}
	return out
}

func (h keyHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p keyProperties
	if err := resource.Decode(keyName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	out, err := h.svc.CreateKey(ctx, &api.CreateKeyInput{
		Description: p.Description, KeySpec: p.KeySpec, KeyUsage: p.KeyUsage, Origin: p.Origin, MultiRegion: p.MultiRegion,
		Policy: p.policy(), BypassPolicyLockoutSafetyCheck: p.BypassPolicyLockoutSafetyCheck, Tags: list(tags(r, p.Tags)),
	})
	if err != nil {
		return cfn.Result{}, err
	}
	m := out.KeyMetadata
	result := cfn.Result{PhysicalID: m.KeyId, Attributes: cfn.Properties{"Arn": m.Arn, "KeyId": m.KeyId}}
	return result, h.settle(ctx, m.KeyId, p, *m.Enabled)
}

// settle brings rotation and state to what the properties say. A key must be
// enabled for its rotation to change.
func (h keyHandler) settle(ctx context.Context, id string, p keyProperties, enabled bool) error {
	wanted := p.Enabled == nil || *p.Enabled
	if wanted && !enabled && p.Origin != api.OriginTypeExternal {
		if _, err := h.svc.EnableKey(ctx, &api.EnableKeyInput{KeyId: id}); err != nil {
			return err
		}
		enabled = true
	}
	if err := h.rotate(ctx, id, p, enabled); err != nil {
		return err
	}
	if !wanted && enabled {
		_, err := h.svc.DisableKey(ctx, &api.DisableKeyInput{KeyId: id})
		return err
	}
	return nil
}

func (h keyHandler) rotate(ctx context.Context, id string, p keyProperties, enabled bool) error {
	if yes(p.EnableKeyRotation) {
		_, err := h.svc.EnableKeyRotation(ctx, &api.EnableKeyRotationInput{KeyId: id, RotationPeriodInDays: p.RotationPeriodInDays})
		return err
	}
	has, err := h.rotates(ctx, id)
	if err != nil || !has || !enabled {
		return err
	}
	_, err = h.svc.DisableKeyRotation(ctx, &api.DisableKeyRotationInput{KeyId: id})
	return err
}

// rotates says whether a key rotates; most kinds of keys cannot.
func (h keyHandler) rotates(ctx context.Context, id string) (bool, error) {
	out, err := h.svc.GetKeyRotationStatus(ctx, &api.GetKeyRotationStatusInput{KeyId: id})
	if fault.Is(err, fault.UnsupportedOperationException) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return yes(out.KeyRotationEnabled), nil
}

// find describes a key that is not waiting to be destroyed.
func (h keyHandler) find(ctx context.Context, id string) (*api.KeyMetadata, error) {
	out, err := h.svc.DescribeKey(ctx, &api.DescribeKeyInput{KeyId: id})
	if err != nil {
		return nil, resource.Found(err, keyName, id, fault.NotFoundException)
	}
	if out.KeyMetadata.KeyState == api.KeyStatePendingDeletion {
		return nil, resource.Missing(keyName, id)
	}
	return out.KeyMetadata, nil
}

func (h keyHandler) tags(ctx context.Context, id string) (map[string]string, error) {
	out := map[string]string{}
	in := &api.ListResourceTagsInput{KeyId: id}
	for {
		page, err := h.svc.ListResourceTags(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, t := range page.Tags {
			out[t.TagKey] = t.TagValue
		}
		if in.Marker = page.NextMarker; in.Marker == "" {
			return out, nil
		}
	}
}

func (h keyHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	m, err := h.find(ctx, r.PhysicalID)
	if err != nil {
		return nil, err
	}
	p := keyProperties{
		Description: m.Description, Enabled: m.Enabled, KeySpec: m.KeySpec, KeyUsage: m.KeyUsage, Origin: m.Origin, MultiRegion: m.MultiRegion,
	}
	rotates, err := h.rotates(ctx, m.KeyId)
	if err != nil {
		return nil, err
	}
	p.EnableKeyRotation = &rotates
	policy, err := h.svc.GetKeyPolicy(ctx, &api.GetKeyPolicyInput{KeyId: m.KeyId})
	if err != nil {
		return nil, err
	}
	p.KeyPolicy = &resource.Document{Text: policy.Policy}
	has, err := h.tags(ctx, m.KeyId)
	if err != nil {
		return nil, err
	}
	p.Tags = resource.OwnTags(has)
	out, err := resource.Encode(p)
	if err != nil {
		return nil, err
	}
	out["Arn"], out["KeyId"] = m.Arn, m.KeyId
	return out, nil
}

func (h keyHandler) update(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p, prior keyProperties
	if err := resource.Decode(keyName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	if err := resource.Decode(keyName, r.Prior, &prior); err != nil {
		return cfn.Result{}, err
	}
	m, err := h.find(ctx, r.PhysicalID)
	if err != nil {
		return cfn.Result{}, err
	}
	if err := unchanged(p, prior); err != nil {
		return cfn.Result{}, err
	}
	result := cfn.Result{PhysicalID: m.KeyId, Attributes: cfn.Properties{"Arn": m.Arn, "KeyId": m.KeyId}}
	if p.Description != m.Description {
		if _, err := h.svc.UpdateKeyDescription(ctx, &api.UpdateKeyDescriptionInput{KeyId: m.KeyId, Description: p.Description}); err != nil {
			return result, err
		}
	}
	if p.policy() != "" {
		_, err := h.svc.PutKeyPolicy(ctx, &api.PutKeyPolicyInput{
			KeyId: m.KeyId, Policy: p.policy(), BypassPolicyLockoutSafetyCheck: p.BypassPolicyLockoutSafetyCheck,
		})
		if err != nil {
			return result, err
		}
	}
	if err := h.settle(ctx, m.KeyId, p, yes(m.Enabled)); err != nil {
		return result, err
	}
	return result, h.retag(ctx, m.KeyId, tags(r, p.Tags))
}

// unchanged refuses what a key keeps for life. The schema does not name these
// properties create-only, and AWS refuses their change.
func unchanged(p, prior keyProperties) error {
	for _, c := range []struct{ name, now, was, byDefault string }{
		{"KeySpec", p.KeySpec, prior.KeySpec, api.KeySpecSymmetricDefault},
		{"KeyUsage", p.KeyUsage, prior.KeyUsage, api.KeyUsageTypeEncryptDecrypt},
		{"Origin", p.Origin, prior.Origin, api.OriginTypeAwsKms},
		{"MultiRegion", resource.Text(p.MultiRegion), resource.Text(prior.MultiRegion), "false"},
	} {
		if c.now == "" {
			c.now = c.byDefault
		}
		if c.was == "" {
			c.was = c.byDefault
		}
		if c.now != c.was {
			return fault.New(fault.ValidationException, "You cannot change the %s of a KMS key from %s to %s: make another key.", c.name, c.was, c.now)
		}
	}
	return nil
}

func (h keyHandler) retag(ctx context.Context, id string, want map[string]string) error {
	has, err := h.tags(ctx, id)
	if err != nil {
		return err
	}
	set, remove := resource.Retag(has, want)
	if len(set) > 0 {
		if _, err := h.svc.TagResource(ctx, &api.TagResourceInput{KeyId: id, Tags: list(set)}); err != nil {
			return err
		}
	}
	if len(remove) > 0 {
		_, err = h.svc.UntagResource(ctx, &api.UntagResourceInput{KeyId: id, TagKeys: remove})
	}
	return err
}

// delete has the key destroyed after its waiting period, which cannot be shorter.
func (h keyHandler) delete(ctx context.Context, r cfn.Request) error {
	var p keyProperties
	if err := resource.Decode(keyName, r.Properties, &p); err != nil {
		return err
	}
	if _, err := h.find(ctx, r.PhysicalID); err != nil {
		return resource.Gone(err, cfn.NotFound)
	}
	_, err := h.svc.ScheduleKeyDeletion(ctx, &api.ScheduleKeyDeletionInput{KeyId: r.PhysicalID, PendingWindowInDays: p.PendingWindowInDays})
	return resource.Gone(err, fault.NotFoundException)
}

func (h keyHandler) list(ctx context.Context) ([]string, error) {
	in := &api.ListKeysInput{}
	var ids []string
	for {
		out, err := h.svc.ListKeys(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, k := range out.Keys {
			ids = append(ids, k.KeyId)
		}
		if in.Marker = out.NextMarker; in.Marker == "" {
			return ids, nil
		}
	}
}
