package ec2

import (
	"context"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// DescribeSnapshots lists the caller's snapshots, and those shared with it.
func (s *Service) DescribeSnapshots(ctx context.Context, in *api.DescribeSnapshotsInput) (*api.DescribeSnapshotsOutput, error) {
	if err := noPagesOfIDs("snapshotSet", in.SnapshotIds, in.MaxResults); err != nil {
		return nil, err
	}
	account := auth.From(ctx).Scope.Account
	if err := checkOwners(in.OwnerIds); err != nil {
		return nil, err
	}
	for _, u := range in.RestorableByUserIds {
		if u != "all" && u != "self" && !arn.IsAccount(u) {
			return nil, fault.New(fault.InvalidParameterValue, "Invalid value '%s' for restorableBy.", clip(u, 64))
		}
	}
	page, next, err := list(ctx, s, listing[taggedSnapshot]{
		prefix: prefixSnapshot, ids: in.SnapshotIds, filters: in.Filters, fields: snapshotFields, dry: in.DryRun,
		token: in.NextToken, max: in.MaxResults, limits: pagesOf1000, id: func(v taggedSnapshot) string { return v.ID },
		load: func(tx store.Tx, scope arn.Scope) ([]taggedSnapshot, error) {
			all, err := s.snapshotsFor(tx, scope)
			var out []taggedSnapshot
			for _, v := range all {
				if v.ownedBy(in.OwnerIds, account) && v.restorableBy(in.RestorableByUserIds, account) {
					out = append(out, v)
				}
			}
			return out, err
		},
	})
	if err != nil {
		return nil, err
	}
	out := &api.DescribeSnapshotsOutput{NextToken: next, Snapshots: []api.Snapshot{}}
	for _, v := range page {
		out.Snapshots = append(out.Snapshots, snapshotView(v))
	}
	return out, nil
}

// taggedSnapshot is a snapshot with its tags.
type taggedSnapshot struct {
	*snapshot
	tags tagMap
}

// orZero lets filters be asked what they know where there is no snapshot.
func (t taggedSnapshot) orZero() *snapshot {
	if t.snapshot == nil {
		return &snapshot{}
	}
	return t.snapshot
}

func checkOwners(owners []string) error {
	for _, o := range owners {
		if !arn.IsAccount(o) && !contains([]string{"self", "amazon", "aws-marketplace", "aws-backup-vault"}, o) {
			return fault.New(fault.InvalidParameterValue, "Invalid value '%s' for owner. Expecting an account id, self, amazon or aws-marketplace.", clip(o, 64))
		}
	}
	return nil
}

// snapshotsFor lists what a scope owns, with tags, and what others share with it.
func (s *Service) snapshotsFor(tx store.Tx, scope arn.Scope) ([]taggedSnapshot, error) {
	all, err := snapshots.all(s, tx, scope)
	if err != nil {
		return nil, err
	}
	tags, err := allTags(tx, scope, prefixSnapshot)
	if err != nil {
		return nil, err
	}
	var out []taggedSnapshot
	for _, v := range all {
		out = append(out, taggedSnapshot{v, tags[v.ID]})
	}
	for e, err := range snapshots.kept.Scan(tx, "") {
		if err != nil {
			return nil, err
		}
		if v := e.Value; v.Scope != scope && v.Scope.Region == scope.Region && v.Shared.allows(scope.Account) {
			out = append(out, taggedSnapshot{v, nil})
		}
	}
	return out, nil
}

func (v *snapshot) ownedBy(owners []string, self string) bool {
	if len(owners) == 0 {
		return true
	}
	return contains(owners, v.Scope.Account) || v.Scope.Account == self && contains(owners, "self")
}

func (v *snapshot) restorableBy(users []string, self string) bool {
	for _, u := range users {
		if u == "self" {
			u = self
		}
		if u == "all" && v.Shared.Public || v.Scope.Account == u || contains(v.Shared.Accounts, u) {
			return true
		}
	}
	return len(users) == 0
}

// progress is 0% until the whole is copied, which is all that is known.
func (v *snapshot) progress() string { return pick(v.State == snapshotCompleted, "100%", "0%") }

func snapshotView(v taggedSnapshot) api.Snapshot {
	o := api.Snapshot{
		SnapshotId: v.ID, VolumeId: v.Volume, VolumeSize: ptr(int32(v.GiB)), State: v.State, StateMessage: v.Message, StartTime: ptr(v.Started),
		Progress: v.progress(), OwnerId: v.Scope.Account, Description: v.Description, Encrypted: ptr(false), StorageTier: "standard",
		Tags: v.tags.list(),
	}
	if v.State == snapshotCompleted {
		o.CompletionTime = ptr(v.Ended)
	}
	return o
}

func snapshotFields(t taggedSnapshot, name string) ([]string, bool) {
	v := t.orZero()
	switch name {
	case "description":
		return one(v.Description)
	case "encrypted":
		return oneBool(false)
	case "owner-alias", "transfer-type", "kms-key-id", "availability-zone":
		return nil, true
	case "owner-id":
		return one(v.Scope.Account)
	case "progress":
		return one(v.progress())
	case "snapshot-id":
		return one(v.ID)
	case "start-time":
		return one(v.Started.Format(timeLayout))
	case "status":
		return one(v.State)
	case "storage-tier":
		return one("standard")
	case "volume-id":
		return one(v.Volume)
	case "volume-size":
		return oneInt(v.GiB)
	}
	return tagFields(t.tags, name)
}

// DescribeSnapshotAttribute tells who may make volumes of a snapshot.
func (s *Service) DescribeSnapshotAttribute(ctx context.Context, in *api.DescribeSnapshotAttributeInput) (*api.DescribeSnapshotAttributeOutput, error) {
	scope := auth.From(ctx).Scope
	out := &api.DescribeSnapshotAttributeOutput{SnapshotId: in.SnapshotId}
	err := s.cfg.Store.View(ctx, func(tx store.Tx) error {
		v, err := snapshots.get(s, tx, scope, in.SnapshotId)
		if err != nil {
			return err
		}
		switch in.Attribute {
		case "createVolumePermission":
			out.CreateVolumePermissions = []api.CreateVolumePermission{}
			if v.Shared.Public {
				out.CreateVolumePermissions = append(out.CreateVolumePermissions, api.CreateVolumePermission{Group: "all"})
			}
			for _, a := range v.Shared.Accounts {
				out.CreateVolumePermissions = append(out.CreateVolumePermissions, api.CreateVolumePermission{UserId: a})
			}
		case "productCodes":
			out.ProductCodes = []api.ProductCode{}
		default:
			return unknownAttribute(in.Attribute)
		}
		return dryRun(in.DryRun)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func unknownAttribute(name string) error {
	return fault.New(fault.InvalidParameterValue, "Value (%s) for parameter attribute is invalid. Unknown attribute.", clip(name, 64))
}

// ModifySnapshotAttribute changes who may make volumes of a snapshot.
func (s *Service) ModifySnapshotAttribute(ctx context.Context, in *api.ModifySnapshotAttributeInput) (*api.ModifySnapshotAttributeOutput, error) {
	if in.Attribute != "" && in.Attribute != "createVolumePermission" {
		return nil, unknownAttribute(in.Attribute)
	}
	var add, remove []grantee
	if p := in.CreateVolumePermission; p != nil {
		for _, c := range p.Add {
			add = append(add, grantee{c.UserId, c.Group})
		}
		for _, c := range p.Remove {
			remove = append(remove, grantee{c.UserId, c.Group})
		}
	}
	if err := byOperation(in.OperationType, in.UserIds, in.GroupNames, &add, &remove); err != nil {
		return nil, err
	}
	err := s.changeSnapshot(ctx, in.SnapshotId, in.DryRun, func(v *snapshot) error { return v.Shared.change(add, remove) })
	if err != nil {
		return nil, err
	}
	return &api.ModifySnapshotAttributeOutput{}, nil
}

// ResetSnapshotAttribute shares a snapshot with nobody.
func (s *Service) ResetSnapshotAttribute(ctx context.Context, in *api.ResetSnapshotAttributeInput) (*api.ResetSnapshotAttributeOutput, error) {
	if in.Attribute != "createVolumePermission" {
		return nil, unknownAttribute(in.Attribute)
	}
	if err := s.changeSnapshot(ctx, in.SnapshotId, in.DryRun, func(v *snapshot) error { v.Shared = sharing{}; return nil }); err != nil {
		return nil, err
	}
	return &api.ResetSnapshotAttributeOutput{}, nil
}

func (s *Service) changeSnapshot(ctx context.Context, id string, dry *bool, change func(*snapshot) error) error {
	scope := auth.From(ctx).Scope
	return s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		v, err := snapshots.get(s, tx, scope, id)
		if err != nil {
			return err
		}
		return firstError(change(v), snapshots.put(tx, scope, v), dryRun(dry))
	})
}
