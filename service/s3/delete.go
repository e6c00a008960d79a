package s3

import (
	"context"
	"errors"

	api "github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
)

// DeleteObject deletes an object; deleting what is not there is no error.
func (s *Service) DeleteObject(ctx context.Context, in *api.DeleteObjectInput) (*api.DeleteObjectOutput, error) {
	if in.MFA != "" {
		return nil, notBuilt("MFA delete")
	}
	if in.IfMatchLastModifiedTime != nil {
		return nil, headerNotImplemented("x-amz-if-match-last-modified-time", "")
	}
	if in.IfMatchSize != nil {
		return nil, headerNotImplemented("x-amz-if-match-size", "")
	}
	var gone removed
	err := s.update(ctx, nil, func(c *change) error {
		b, err := lookupVersion(ctx, c, target{bucket: in.Bucket, expected: in.ExpectedBucketOwner, key: in.Key, version: in.VersionId})
		if err != nil {
			return err
		}
		if in.IfMatch != "" {
			if err := matchForDelete(c, b, in.Key, in.IfMatch); err != nil {
				return err
			}
		}
		if gone, err = c.deleteObject(b, in.Key, in.VersionId, s.marker(in.Key), value(in.BypassGovernanceRetention)); err != nil {
			return err
		}
		return c.emitDeleted(ctx, b, in.Key, in.VersionId, gone)
	})
	if err != nil {
		return nil, err
	}
	out := &api.DeleteObjectOutput{VersionId: gone.version}
	if gone.marker {
		out.DeleteMarker = ptr(true)
	}
	return out, nil
}

func matchForDelete(c *change, b *bucket, key, condition string) error {
	f, err := latest(c, b, key)
	if err != nil {
		return err
	}
	if f.object == nil || f.object.Marker {
		return noSuchKey(key)
	}
	if !etagMatches(condition, f.object.ETag) {
		return preconditionFailed("If-Match")
	}
	return nil
}

func (s *Service) marker(key string) *object {
	return &object{Key: key, Marker: true, Modified: s.second()}
}

const maxDelete = 1000

// DeleteObjects deletes up to 1000 objects. What cannot be deleted is told one
// by one; the rest is deleted at once.
func (s *Service) DeleteObjects(ctx context.Context, in *api.DeleteObjectsInput) (*api.DeleteObjectsOutput, error) {
	if in.Delete == nil || len(in.Delete.Objects) == 0 || len(in.Delete.Objects) > maxDelete {
		return nil, malformedXML()
	}
	if in.MFA != "" {
		return nil, notBuilt("MFA delete")
	}
	var out *api.DeleteObjectsOutput
	err := s.update(ctx, nil, func(c *change) error {
		out = &api.DeleteObjectsOutput{}
		b, err := findBucket(c, in.Bucket, in.ExpectedBucketOwner)
		if err != nil {
			return err
		}
		if err := elsewhere(auth.From(ctx), b); err != nil {
			return err
		}
		for _, id := range in.Delete.Objects {
			gone, err := s.deleteOne(ctx, c, b, id, value(in.BypassGovernanceRetention))
			var refused *fault.Error
			switch {
			case errors.As(err, &refused):
				out.Errors = append(out.Errors, api.Error{Key: id.Key, VersionId: id.VersionId, Code: refused.Code, Message: refused.Message})
			case err != nil:
				return err
			case !value(in.Delete.Quiet):
				out.Deleted = append(out.Deleted, deleted(id, gone))
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// deletion is what a policy is asked about one of the objects.
type deletion struct {
	named
	BypassGovernanceRetention bool
	IfMatch                   string
}

func (s *Service) deleteOne(ctx context.Context, c *change, b *bucket, id api.ObjectIdentifier, bypass bool) (removed, error) {
	asked := &deletion{named{b.Name, id.Key, id.VersionId}, bypass, id.ETag}
	if err := permit(asking(ctx, asked), c, b, id.Key, id.VersionId); err != nil {
		return removed{}, err
	}
	if id.LastModifiedTime != nil || id.Size != nil {
		return removed{}, headerNotImplemented("LastModifiedTime,Size", "")
	}
	if err := checkKey(id.Key); err != nil {
		return removed{}, err
	}
	if id.ETag != "" {
		if err := matchForDelete(c, b, id.Key, id.ETag); err != nil {
			return removed{}, err
		}
	}
	if id.VersionId != "" && !validVersionID(id.VersionId) {
		return removed{}, noSuchVersion(id.Key, id.VersionId)
	}
	gone, err := c.deleteObject(b, id.Key, id.VersionId, s.marker(id.Key), bypass)
	if err != nil {
		return gone, err
	}
	return gone, c.emitDeleted(ctx, b, id.Key, id.VersionId, gone)
}

// emitDeleted keeps the event of a deletion.
func (c *change) emitDeleted(ctx context.Context, b *bucket, key, id string, gone removed) error {
	if !b.Notifies {
		return nil
	}
	name, o := eventDelete, &object{Key: key, Version: gone.version}
	if id == "" && gone.marker {
		name = eventMarker
	}
	return c.emit(ctx, b, name, o)
}

func deleted(id api.ObjectIdentifier, gone removed) api.DeletedObject {
	d := api.DeletedObject{Key: id.Key, VersionId: id.VersionId}
	if gone.marker {
		d.DeleteMarker, d.DeleteMarkerVersionId = ptr(true), gone.version
	}
	return d
}
