package kms

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/slipway/slipway/api/kms"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// Multi-Region keys ("Multi-Region keys in AWS KMS", Developer Guide): one key in
// several Regions, each with a record of its own. Id, material and rotation are the
// primary's; policy, tags, aliases, grants and state are each one's own. All
// Regions are in one store, so a change of the primary reaches the others with it.

// family is what the records of a multi-Region key share.
type family struct {
	Primary  string   // Region
	Replicas []string `json:",omitempty"` // Regions, in order
}

func (k *key) primary() bool { return k.Family == nil || k.Family.Primary == k.Region }

// elsewhere are the paths of the key's other records.
func (k *key) elsewhere() []string {
	if k.Family == nil {
		return nil
	}
	var out []string
	for _, region := range append([]string{k.Family.Primary}, k.Family.Replicas...) {
		if region != k.Region {
			out = append(out, arn.Scope{Account: k.Account, Region: region}.Key()+"/"+k.ID)
		}
	}
	return out
}

// keep puts a key back, and what is a primary's into its replicas.
func (s *Service) keep(tx store.Tx, k *key) error {
	if err := s.keys.Put(tx, k.path(), k); err != nil || !k.primary() {
		return err
	}
	for _, path := range k.elsewhere() {
		other, err := s.load(tx, path)
		if err != nil {
			return err
		}
		other.Materials, other.Rotation, other.OnDemand, other.Family = k.Materials, k.Rotation, k.OnDemand, k.Family
		if err := s.keys.Put(tx, path, other); err != nil {
			return err
		}
	}
	return nil
}

// mustBePrimary refuses replicas, and keys of one Region.
func (k *key) mustBePrimary() error {
	if k.Family == nil || !k.primary() {
		return unsupported("%s is not a multi-region primary key.", k.name())
	}
	return nil
}

// configuration tells of the key's Regions.
func (k *key) configuration() *kms.MultiRegionConfiguration {
	if k.Family == nil {
		return nil
	}
	in := func(region string) kms.MultiRegionKey {
		return kms.MultiRegionKey{Arn: arn.Scope{Account: k.Account, Region: region}.ARN("kms", "key/"+k.ID).String(), Region: region}
	}
	first := in(k.Family.Primary)
	out := &kms.MultiRegionConfiguration{MultiRegionKeyType: k.multiRegionType(), PrimaryKey: &first, ReplicaKeys: []kms.MultiRegionKey{}}
	for _, r := range k.Family.Replicas {
		out.ReplicaKeys = append(out.ReplicaKeys, in(r))
	}
	return out
}

func (k *key) multiRegionType() string {
	switch {
	case k.Family == nil:
		return ""
	case k.primary():
		return kms.MultiRegionKeyTypePrimary
	}
	return kms.MultiRegionKeyTypeReplica
}

// ReplicateKey makes a replica of a primary key in another Region.
func (s *Service) ReplicateKey(ctx context.Context, in *kms.ReplicateKeyInput) (*kms.ReplicateKeyOutput, error) {
	call := auth.From(ctx)
	tags, err := mergeTags(ctx, nil, in.Tags)
	if err != nil {
		return nil, err
	}
	var made *key
	_, err = s.change(ctx, in.KeyId, request{operation: "ReplicateKey", in: in}, func(tx store.Tx, k *key) error {
		if err := k.mustBePrimary(); err != nil {
			return err
		}
		if err := k.usable(s.cfg.Now()); err != nil {
			return err
		}
		there := arn.Scope{Account: k.Account, Region: in.ReplicaRegion}
		old, err := s.load(tx, there.Key()+"/"+k.ID)
		switch {
		case err == nil && call.Token != "" && old.Token == call.Token:
			made = old
			return nil
		case err == nil:
			return fault.New(fault.AlreadyExistsException, "A key with id %s exists in Region %s already.", k.ID, in.ReplicaRegion)
		case !errors.Is(err, store.ErrNotFound):
			return err
		}
		made = &key{
			ID: k.ID, Account: k.Account, Region: in.ReplicaRegion, Description: in.Description, Created: s.cfg.Now().UTC(),
			Spec: k.Spec, Usage: k.Usage, Tags: tags, Materials: k.Materials, Rotation: k.Rotation, OnDemand: k.OnDemand, Token: call.Token,
		}
		if made.Policy, err = s.newPolicy(ctx, made, in.Policy, yes(in.BypassPolicyLockoutSafetyCheck)); err != nil {
			return err
		}
		grown := &family{Primary: k.Region, Replicas: append(slices.Clone(k.Family.Replicas), in.ReplicaRegion)}
		slices.Sort(grown.Replicas)
		k.Family, made.Family = grown, grown
		return s.keys.Insert(tx, made.path(), made)
	})
	if err != nil {
		return nil, err
	}
	return &kms.ReplicateKeyOutput{ReplicaKeyMetadata: made.metadata(s.cfg.Now()), ReplicaPolicy: made.Policy, ReplicaTags: tagList(made.Tags)}, nil
}

// UpdatePrimaryRegion makes a replica the primary, and the primary a replica. The
// policies of both must let the caller.
func (s *Service) UpdatePrimaryRegion(ctx context.Context, in *kms.UpdatePrimaryRegionInput) (*kms.UpdatePrimaryRegionOutput, error) {
	r := request{operation: "UpdatePrimaryRegion", in: in}
	_, err := s.change(ctx, in.KeyId, r, func(tx store.Tx, k *key) error {
		if err := k.mustBePrimary(); err != nil {
			return err
		}
		if err := k.usable(s.cfg.Now()); err != nil {
			return err
		}
		if in.PrimaryRegion == k.Region {
			return nil
		}
		next, err := s.load(tx, arn.Scope{Account: k.Account, Region: in.PrimaryRegion}.Key()+"/"+k.ID)
		if errors.Is(err, store.ErrNotFound) || err == nil && next.expired(s.cfg.Now()) {
			return fault.New(fault.NotFoundException, "Key '%s' does not exist", arn.Scope{Account: k.Account, Region: in.PrimaryRegion}.ARN("kms", "key/"+k.ID))
		}
		if err != nil {
			return err
		}
		if err := next.usable(s.cfg.Now()); err != nil {
			return err
		}
		if err := s.permit(ctx, tx, next, next.name(), r); err != nil {
			return err
		}
		moved := &family{Primary: in.PrimaryRegion, Replicas: []string{k.Region}}
		for _, region := range k.Family.Replicas {
			if region != in.PrimaryRegion {
				moved.Replicas = append(moved.Replicas, region)
			}
		}
		slices.Sort(moved.Replicas)
		k.Family, next.Family = moved, moved
		if err := s.keys.Put(tx, k.path(), k); err != nil {
			return err
		}
		return s.keep(tx, next)
	})
	return either(&kms.UpdatePrimaryRegionOutput{}, err)
}

// leave takes a replica that is destroyed out of its family. The primary's waiting
// period begins when the last one has gone, if its deletion was asked for.
func (s *Service) leave(tx store.Tx, k *key, now time.Time) error {
	if k.primary() {
		return nil
	}
	first, err := s.load(tx, arn.Scope{Account: k.Account, Region: k.Family.Primary}.Key()+"/"+k.ID)
	if err != nil {
		return err
	}
	left := slices.DeleteFunc(slices.Clone(first.Family.Replicas), func(region string) bool { return region == k.Region })
	first.Family = &family{Primary: first.Region, Replicas: left}
	if len(left) == 0 && first.Window > 0 {
		at := now.UTC().AddDate(0, 0, first.Window)
		first.Deletion, first.Window = &at, 0
	}
	return s.keep(tx, first)
}
