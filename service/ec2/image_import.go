package ec2

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/compute/rootfs"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/workflow"
)

// maxLayoutObjects bounds the objects of an OCI layout in a bucket.
const maxLayoutObjects = 1000

// registerArchive makes an image of an archive (a plain tar of a root file
// system, `docker save`, or an OCI layout), or of the objects of an OCI layout.
// The caller must be able to read them.
func (s *Service) registerArchive(ctx context.Context, in *api.RegisterImageInput, changes []mapping, tags map[string]tagMap) (*api.RegisterImageOutput, error) {
	call := auth.From(ctx)
	if s.cfg.S3 == nil {
		return nil, notBuilt("ImageLocation")
	}
	bucket, key, ok := strings.Cut(in.ImageLocation, "/")
	if !ok || bucket == "" || strings.Trim(key, "/") == "" {
		return nil, fault.New(fault.InvalidParameterValue, "Value (%s) for parameter imageLocation is invalid. Expecting bucket/key.", clip(in.ImageLocation, 128))
	}
	if _, err := s.s3Keys(ctx, bucket, key); err != nil {
		return nil, err
	}
	if in.DryRun != nil && *in.DryRun {
		return nil, dryRun(in.DryRun)
	}
	var made *image
	err := s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		v := s.imageOf(call, in.Name, in.Description)
		v.Location = in.ImageLocation
		v.Mappings = mergeMappings([]mapping{{Device: rootDevice, Kind: volumeKind{Type: "gp3", GiB: defaultRootGiB}}}, changes)
		var err error
		var fresh bool
		if made, fresh, err = s.newImage(tx, v, tags["image"]); err != nil || !fresh {
			return err
		}
		for i := range v.Mappings {
			m := &v.Mappings[i]
			if err := m.Kind.settle(); err != nil {
				return err
			}
			if m.Device != rootDevice {
				continue
			}
			snap := &snapshot{
				Scope: v.Scope, ID: arn.IDFrom(prefixSnapshot, v.ID+m.Device), Volume: copiedVolume, GiB: m.Kind.GiB, Image: true,
				Description: "Imported from " + clip(in.ImageLocation, 200), State: snapshotPending, Started: s.now(),
			}
			m.Snapshot, v.Lower = snap.ID, snap.ID
			if err := firstError(snapshots.put(tx, v.Scope, snap), putTags(tx, v.Scope, "snapshot", snap.ID, tags["snapshot"])); err != nil {
				return err
			}
		}
		return firstError(images.put(tx, v.Scope, v),
			s.cfg.Engine.Begin(tx, flowImportImage, flowImportImage+"/"+v.ID, imageChange{Scope: v.Scope, ID: v.ID}))
	})
	if err != nil {
		return nil, err
	}
	return &api.RegisterImageOutput{ImageId: made.ID}, nil
}

// s3Keys finds the object, or the objects of the OCI layout, at a key. Its
// errors are S3's own, in the caller's name.
func (s *Service) s3Keys(ctx context.Context, bucket, key string) ([]string, error) {
	_, err := s.cfg.S3.HeadObject(ctx, &s3.HeadObjectInput{Bucket: bucket, Key: key})
	if err == nil {
		return []string{key}, nil
	}
	prefix := strings.TrimSuffix(key, "/") + "/"
	if _, indexErr := s.cfg.S3.HeadObject(ctx, &s3.HeadObjectInput{Bucket: bucket, Key: prefix + "index.json"}); indexErr != nil {
		return nil, fault.New(fault.InvalidManifest, "Cannot read '%s/%s': %s", bucket, clip(key, 128), err.Error()).Because(err)
	}
	out, err := s.cfg.S3.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: bucket, Prefix: prefix, MaxKeys: ptr(int32(maxLayoutObjects))})
	if err != nil {
		return nil, err
	}
	if value(out.IsTruncated, false) {
		return nil, fault.New(fault.InvalidManifest, "The OCI layout at '%s/%s' has more than %d objects.", bucket, clip(prefix, 128), maxLayoutObjects)
	}
	var keys []string
	for _, o := range out.Contents {
		keys = append(keys, o.Key)
	}
	return keys, nil
}

// importFlow unpacks an archive into an image's snapshot.
func (s *Service) importFlow(f *workflow.Flow, p imageChange) error {
	snap, err := workflow.Step(f, "import", func(ctx context.Context, _ string) (string, error) { return s.importImage(ctx, p) }, fewTries...)
	if errors.Is(err, workflow.ErrInterrupted) {
		return err
	}
	if snap == "" {
		snap = arn.IDFrom(prefixSnapshot, p.ID+rootDevice)
	}
	if endErr := s.snapshotEnds(f, volumeChange{Scope: p.Scope, ID: snap}, err); endErr != nil {
		return endErr
	}
	return s.imageEnds(f, p, err)
}

func (s *Service) importImage(ctx context.Context, p imageChange) (string, error) {
	var v *image
	err := s.cfg.Store.View(ctx, func(tx store.Tx) (err error) {
		v, err = images.kept.Get(tx, images.key(p.Scope, p.ID))
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return "", nil // deregistered meanwhile
	}
	if err != nil {
		return "", err
	}
	d, err := s.disks()
	if err != nil {
		return "", err
	}
	scratch, err := os.MkdirTemp(s.cfg.Scratch, "slipway-import-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(scratch)
	from, err := s.download(s.callAs(ctx, p.Scope, "s3", "GetObject"), v.Location, scratch)
	if err != nil {
		return "", err
	}
	archive, err := rootfs.Open(ctx, from, scratch)
	if errors.Is(err, rootfs.ErrBad) || errors.Is(err, rootfs.ErrFull) {
		return "", workflow.Permanent(err)
	}
	if err != nil {
		return "", err
	}
	defer archive.Close()
	size := v.Mappings[0].Kind.GiB
	for _, m := range v.Mappings {
		if m.Device == rootDevice {
			size = m.Kind.GiB
		}
	}
	err = d.ImportSnapshot(ctx, v.rootSnapshot(), size<<30, archive)
	if errors.Is(err, compute.ErrBadArchive) {
		return "", workflow.Permanent(err)
	}
	return v.rootSnapshot(), final(err)
}

// download fetches an image's objects: one file, or the folder of a layout.
func (s *Service) download(ctx context.Context, location, scratch string) (string, error) {
	bucket, key, _ := strings.Cut(location, "/")
	keys, err := s.s3Keys(ctx, bucket, key)
	if err != nil {
		return "", err
	}
	if len(keys) == 1 && keys[0] == key {
		to := filepath.Join(scratch, "archive")
		return to, s.fetch(ctx, bucket, key, to)
	}
	dir := filepath.Join(scratch, "objects")
	for _, k := range keys {
		rel := strings.TrimPrefix(strings.TrimPrefix(k, strings.TrimSuffix(key, "/")), "/")
		if strings.HasSuffix(rel, "/") {
			continue
		}
		if !fs.ValidPath(rel) || !filepath.IsLocal(rel) {
			return "", workflow.Permanent(fmt.Errorf("the object %q is none of an OCI layout", clip(k, 128)))
		}
		to := filepath.Join(dir, rel)
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			return "", err
		}
		if err := s.fetch(ctx, bucket, k, to); err != nil {
			return "", err
		}
	}
	return dir, nil
}

func (s *Service) fetch(ctx context.Context, bucket, key, to string) error {
	out, err := s.cfg.S3.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: key})
	if err != nil {
		return err
	}
	defer out.Body.Close()
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	n, err := io.Copy(f, io.LimitReader(out.Body, rootfs.MaxBytes+1))
	if err == nil && n > rootfs.MaxBytes {
		err = workflow.Permanent(fmt.Errorf("the object %q has more than %d bytes", clip(key, 128), int64(rootfs.MaxBytes)))
	}
	return errors.Join(err, f.Close())
}
