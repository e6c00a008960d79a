package ec2

import (
	"context"
	"errors"
	"time"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// States of a snapshot.
const (
	snapshotPending   = "pending"
	snapshotCompleted = "completed"
	snapshotError     = "error"
)

// copiedVolume is what AWS shows as the volume of a snapshot that has none.
const copiedVolume = "vol-ffffffff"

// sharing says who besides its owner may use a snapshot or an image.
type sharing struct {
	Public   bool     `json:"public,omitempty"`
	Accounts []string `json:"accounts,omitempty"`
}

func (p sharing) allows(account string) bool { return p.Public || contains(p.Accounts, account) }

// snapshot is the record of a snapshot.
type snapshot struct {
	Scope       arn.Scope `json:"scope"`
	ID          string    `json:"id"`
	Volume      string    `json:"volume,omitempty"` // that it was made of
	From        string    `json:"from,omitempty"`   // the snapshot that it was copied from
	Description string    `json:"description,omitempty"`
	GiB         int64     `json:"gib"`
	// Lower is the image that a root volume's files lie above: "builtin", or a
	// snapshot. Empty for any other volume.
	Lower string `json:"lower,omitempty"`
	// Image: the snapshot is itself an imported root file system.
	Image   bool      `json:"image,omitempty"`
	Token   string    `json:"token,omitempty"`
	State   string    `json:"state"`
	Message string    `json:"message,omitempty"`
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended,omitzero"`
	Shared  sharing   `json:"shared"`
}

var snapshots = noun[snapshot]{
	prefix: prefixSnapshot, id: func(v *snapshot) string { return v.ID },
	kept: store.NewCollection("ec2/snapshot",
		store.Index[snapshot]{Name: "id", Keys: func(_ string, v *snapshot) []string { return []string{v.Scope.Region + "/" + v.ID} }}),
}

// visibleSnapshot finds a snapshot that is the scope's, or shared with it.
func (s *Service) visibleSnapshot(tx store.Tx, scope arn.Scope, id string) (*snapshot, error) {
	if err := checkID(prefixSnapshot, id); err != nil {
		return nil, err
	}
	for e, err := range snapshots.kept.ByIndex(tx, "id", scope.Region+"/"+id) {
		if err != nil {
			return nil, err
		}
		if v := e.Value; v.Scope == scope || v.Shared.allows(scope.Account) {
			return v, nil
		}
	}
	return nil, notFound(prefixSnapshot, id)
}

// usableSnapshot is a visible one that is complete.
func (s *Service) usableSnapshot(tx store.Tx, scope arn.Scope, id string) (*snapshot, error) {
	v, err := s.visibleSnapshot(tx, scope, id)
	if err == nil && v.State != snapshotCompleted {
		err = fault.New(fault.IncorrectState, "Snapshot '%s' is not 'completed'.", id)
	}
	return v, err
}

// CreateSnapshot keeps a volume as it is. The volume may be in use.
func (s *Service) CreateSnapshot(ctx context.Context, in *api.CreateSnapshotInput) (*api.CreateSnapshotOutput, error) {
	call := auth.From(ctx)
	if err := refuse([]refusal{{"OutpostArn", in.OutpostArn != ""}, {"Location=local", in.Location == "local"}}); err != nil {
		return nil, err
	}
	if err := checkDescription(in.Description); err != nil {
		return nil, err
	}
	if _, err := s.disks(); err != nil {
		return nil, err
	}
	tags, err := specTags(call, in.TagSpecifications, "snapshot")
	if err != nil {
		return nil, err
	}
	var view taggedSnapshot
	err = s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		v, err := volumes.get(s, tx, call.Scope, in.VolumeId)
		if err != nil {
			return err
		}
		if v.State != volumeAvailable && v.State != volumeInUse {
			return fault.New(fault.IncorrectState, "The volume '%s' is '%s'.", v.ID, v.State)
		}
		snap := s.snapshotOf(call.Scope, newID(call, prefixSnapshot, "snapshot"), v)
		snap.Description, snap.Token = in.Description, call.Token
		kept, err := s.newSnapshot(tx, call, snap, tags["snapshot"])
		view = taggedSnapshot{kept, tags["snapshot"]}
		return firstError(err, dryRun(in.DryRun))
	})
	if err != nil {
		return nil, err
	}
	o := snapshotView(view)
	return &api.CreateSnapshotOutput{
		SnapshotId: o.SnapshotId, VolumeId: o.VolumeId, VolumeSize: o.VolumeSize, State: o.State, StartTime: o.StartTime, Progress: o.Progress,
		OwnerId: o.OwnerId, Description: o.Description, Encrypted: o.Encrypted, StorageTier: o.StorageTier, Tags: o.Tags,
	}, nil
}

func checkDescription(text string) error {
	if len(text) > 255 {
		return fault.New(fault.InvalidParameterValue, "Description is limited to 255 characters")
	}
	return nil
}

// snapshotOf is the record of a volume's new snapshot.
func (s *Service) snapshotOf(scope arn.Scope, id string, v *volume) *snapshot {
	return &snapshot{Scope: scope, ID: id, Volume: v.ID, GiB: v.Kind.GiB, Lower: v.Lower, State: snapshotPending, Started: s.now()}
}

// newSnapshot puts a snapshot on record and begins to make it; a durable step
// that did so before gets what it made.
func (s *Service) newSnapshot(tx store.Tx, call auth.Call, snap *snapshot, tags tagMap) (*snapshot, error) {
	if snap.Token != "" {
		old, err := snapshots.kept.Get(tx, snapshots.key(snap.Scope, snap.ID))
		if !errors.Is(err, store.ErrNotFound) {
			return old, err
		}
	}
	return snap, firstError(
		snapshots.put(tx, snap.Scope, snap), putTags(tx, snap.Scope, "snapshot", snap.ID, tags),
		s.cfg.Engine.Begin(tx, flowSnapshot, flowSnapshot+"/"+snap.ID, volumeChange{Scope: snap.Scope, ID: snap.ID}),
	)
}

// CopySnapshot copies a snapshot, from this or another region.
func (s *Service) CopySnapshot(ctx context.Context, in *api.CopySnapshotInput) (*api.CopySnapshotOutput, error) {
	call := auth.From(ctx)
	if err := refuse([]refusal{
		{"Encrypted", value(in.Encrypted, false)}, {"KmsKeyId", in.KmsKeyId != ""}, {"DestinationOutpostArn", in.DestinationOutpostArn != ""},
		{"CompletionDurationMinutes", in.CompletionDurationMinutes != nil}, {"DestinationAvailabilityZone", in.DestinationAvailabilityZone != ""},
	}); err != nil {
		return nil, err
	}
	if err := checkDescription(in.Description); err != nil {
		return nil, err
	}
	if in.SourceRegion == "" {
		return nil, fault.New(fault.MissingParameter, "The request must contain the parameter sourceRegion")
	}
	tags, err := specTags(call, in.TagSpecifications, "snapshot")
	if err != nil {
		return nil, err
	}
	var made *snapshot
	err = s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		from, err := s.usableSnapshot(tx, arn.Scope{Account: call.Scope.Account, Region: in.SourceRegion}, in.SourceSnapshotId)
		if err != nil {
			return err
		}
		snap := s.copyOf(call.Scope, newID(call, prefixSnapshot, "copy"), from)
		snap.Description, snap.Token = in.Description, call.Token
		made, err = s.newSnapshot(tx, call, snap, tags["snapshot"])
		return firstError(err, dryRun(in.DryRun))
	})
	if err != nil {
		return nil, err
	}
	return &api.CopySnapshotOutput{SnapshotId: made.ID, Tags: tags["snapshot"].list()}, nil
}

func (s *Service) copyOf(scope arn.Scope, id string, from *snapshot) *snapshot {
	return &snapshot{
		Scope: scope, ID: id, Volume: copiedVolume, From: from.ID, GiB: from.GiB, Lower: from.Lower, Image: from.Image,
		State: snapshotPending, Started: s.now(),
	}
}

// DeleteSnapshot removes a snapshot that no image needs.
func (s *Service) DeleteSnapshot(ctx context.Context, in *api.DeleteSnapshotInput) (*api.DeleteSnapshotOutput, error) {
	scope := auth.From(ctx).Scope
	err := s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		snap, err := snapshots.get(s, tx, scope, in.SnapshotId)
		if err != nil {
			return err
		}
		if err := dryRun(in.DryRun); err != nil {
			return err
		}
		return s.dropSnapshot(tx, snap)
	})
	if err != nil {
		return nil, err
	}
	return &api.DeleteSnapshotOutput{}, nil
}

// dropSnapshot takes a snapshot off the record and begins to remove it from the
// host.
func (s *Service) dropSnapshot(tx store.Tx, snap *snapshot) error {
	for e, err := range images.kept.Scan(tx, "") {
		if err != nil {
			return err
		}
		if e.Value.State != imageGone && e.Value.uses(snap.ID) {
			return fault.New(fault.InvalidSnapshotInUse, "The snapshot %s is currently in use by %s", snap.ID, e.Value.ID)
		}
	}
	if snap.Image {
		for e, err := range volumes.kept.Scan(tx, "") {
			if err != nil {
				return err
			}
			if e.Value.Lower == snap.ID {
				return fault.New(fault.InvalidSnapshotInUse, "The snapshot %s is the image of volume %s", snap.ID, e.Value.ID)
			}
		}
		for e, err := range snapshots.kept.Scan(tx, "") {
			if err != nil {
				return err
			}
			if e.Value.Lower == snap.ID {
				return fault.New(fault.InvalidSnapshotInUse, "The snapshot %s is the image of snapshot %s", snap.ID, e.Value.ID)
			}
		}
	}
	return firstError(snapshots.remove(tx, snap.Scope, snap.ID),
		s.cfg.Engine.Begin(tx, flowDropSnapshot, flowDropSnapshot+"/"+snap.ID, volumeChange{Scope: snap.Scope, ID: snap.ID}))
}
