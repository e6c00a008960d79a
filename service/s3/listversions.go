package s3

import (
	"context"
	"encoding/hex"
	"iter"

	api "github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/store"
)

// versionListing asks for a page of all versions of a bucket's objects: by key,
// and of one key the newest first.
type versionListing struct {
	listing
	afterVersion string // where after is a key: go on after this version of it
}

type versionPage struct {
	page
	latest      map[*object]bool
	lastVersion string // of the last item, where that is a version
}

// history yields the versions from a key on, each with whether it is the newest
// of its key.
func history(tx store.Tx, bucketName, prefix, from string) iter.Seq2[*object, error] {
	return func(yield func(*object, error) bool) {
		current, stopCurrent := iter.Pull2(scanObjects(tx, objects.Prefix()+bucketName+"/", prefix, from, func(s string) string { return s }))
		defer stopCurrent()
		older, stopOlder := iter.Pull2(scanObjects(tx, versions.Prefix()+bucketName+"/", prefix, from, func(s string) string { return hex.EncodeToString([]byte(s)) }))
		defer stopOlder()
		c, errC, okC := current()
		o, errO, okO := older()
		for okC || okO {
			if err := firstError(errC, errO); err != nil {
				yield(nil, err)
				return
			}
			if okC && (!okO || c.Key <= o.Key) {
				if !yield(c, nil) {
					return
				}
				c, errC, okC = current()
				continue
			}
			if !yield(o, nil) {
				return
			}
			o, errO, okO = older()
		}
	}
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func scanObjects(tx store.Tx, base, prefix, from string, name func(string) string) iter.Seq2[*object, error] {
	return func(yield func(*object, error) bool) {
		first, end := base+name(max(prefix, from)), store.PrefixEnd(base+name(prefix))
		if first >= end {
			return
		}
		for doc, err := range tx.Scan(first, end) {
			o := new(object)
			if err == nil {
				err = store.Decode(doc, o)
			}
			if !yield(o, err) || err != nil {
				return
			}
		}
	}
}

func (l versionListing) list(tx store.Tx) (*versionPage, error) {
	p := &versionPage{latest: map[*object]bool{}}
	if l.limit == 0 {
		return p, nil
	}
	from := l.start()
	if l.afterVersion != "" {
		from = l.after
	}
	skipping := l.afterVersion != ""
	for {
		next, err := l.scan(tx, from, &skipping, p)
		if err != nil || next == "" {
			return p, err
		}
		from = next
	}
}

func (l versionListing) scan(tx store.Tx, from string, skipping *bool, p *versionPage) (next string, err error) {
	before := ""
	for o, err := range history(tx, l.bucket, l.prefix, from) {
		if err != nil {
			return "", err
		}
		first := o.Key != before
		before = o.Key
		if *skipping && o.Key == l.after {
			*skipping = o.versionID() != l.afterVersion
			continue
		}
		*skipping = false
		if p.size() == l.limit {
			p.truncated = true
			return "", nil
		}
		if group := commonPrefix(o.Key, l.prefix, l.delimiter); group != "" {
			p.prefixes = append(p.prefixes, group)
			p.last, p.lastVersion = group, ""
			return store.PrefixEnd(group), nil
		}
		p.objects = append(p.objects, o)
		p.latest[o] = first
		p.last, p.lastVersion = o.Key, o.versionID()
	}
	return "", nil
}

// ListObjectVersions lists all versions of a bucket's objects.
func (s *Service) ListObjectVersions(ctx context.Context, in *api.ListObjectVersionsInput) (*api.ListObjectVersionsOutput, error) {
	limit, e, err := checkListing("max-keys", in.MaxKeys, in.EncodingType)
	if err != nil {
		return nil, err
	}
	if in.VersionIdMarker != "" && in.KeyMarker == "" {
		return nil, invalidArgument("version-id-marker", in.VersionIdMarker, "A version-id marker cannot be specified without a key marker.")
	}
	if in.VersionIdMarker != "" && !validVersionID(in.VersionIdMarker) {
		return nil, invalidArgument("version-id-marker", in.VersionIdMarker, "Invalid version id specified")
	}
	l := versionListing{listing{in.Bucket, in.Prefix, in.Delimiter, in.KeyMarker, limit}, in.VersionIdMarker}
	var b *bucket
	var p *versionPage
	err = s.store.View(ctx, func(tx store.Tx) error {
		if b, err = lookup(ctx, tx, in.Bucket, in.ExpectedBucketOwner, ""); err != nil {
			return err
		}
		p, err = l.list(tx)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &api.ListObjectVersionsOutput{
		Name: in.Bucket, Prefix: e.encode(in.Prefix), Delimiter: e.encode(in.Delimiter), KeyMarker: e.encode(in.KeyMarker),
		VersionIdMarker: in.VersionIdMarker, MaxKeys: ptr(int32(limit)), EncodingType: in.EncodingType,
		IsTruncated: &p.truncated, CommonPrefixes: e.prefixes(p.prefixes),
	}
	p.fill(out, e, owner(b.Account))
	return out, nil
}

func (p *versionPage) fill(out *api.ListObjectVersionsOutput, e encoder, own *api.Owner) {
	for _, o := range p.objects {
		isLatest := p.latest[o]
		if o.Marker {
			out.DeleteMarkers = append(out.DeleteMarkers, api.DeleteMarkerEntry{
				Key: e.encode(o.Key), VersionId: o.versionID(), IsLatest: &isLatest, LastModified: &o.Modified, Owner: own,
			})
			continue
		}
		v := e.object(o, own)
		out.Versions = append(out.Versions, api.ObjectVersion{
			Key: v.Key, VersionId: o.versionID(), IsLatest: &isLatest, LastModified: v.LastModified, ETag: v.ETag, Size: v.Size,
			StorageClass: v.StorageClass, Owner: own, ChecksumAlgorithm: v.ChecksumAlgorithm, ChecksumType: v.ChecksumType,
		})
	}
	if p.truncated {
		out.NextKeyMarker, out.NextVersionIdMarker = e.encode(p.last), p.lastVersion
	}
}
