package s3

import (
	"context"

	api "github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/store"
)

// uploadPage is a page of the uploads under way, by key and time.
type uploadPage struct {
	uploads   []*upload
	prefixes  []string
	truncated bool
	lastKey   string
	lastID    string
}

// add takes an upload onto the page, or says that the page is full.
func (p *uploadPage) add(u *upload, prefix, delimiter string, limit int) (more bool) {
	group := commonPrefix(u.Key, prefix, delimiter)
	if n := len(p.prefixes); group != "" && n > 0 && p.prefixes[n-1] == group {
		p.lastKey, p.lastID = u.Key, u.ID
		return true
	}
	if len(p.uploads)+len(p.prefixes) >= limit {
		p.truncated = limit > 0
		return false
	}
	if group != "" {
		p.prefixes = append(p.prefixes, group)
	} else {
		p.uploads = append(p.uploads, u)
	}
	p.lastKey, p.lastID = u.Key, u.ID
	return true
}

// ListMultipartUploads lists the uploads under way in a bucket.
func (s *Service) ListMultipartUploads(ctx context.Context, in *api.ListMultipartUploadsInput) (*api.ListMultipartUploadsOutput, error) {
	limit, e, err := checkListing("max-uploads", in.MaxUploads, in.EncodingType)
	if err != nil {
		return nil, err
	}
	p := &uploadPage{}
	err = s.store.View(ctx, func(tx store.Tx) error {
		b, err := lookup(ctx, tx, in.Bucket, in.ExpectedBucketOwner, "")
		if err != nil {
			return err
		}
		// An upload's record key holds the object key in hexadecimal, in which a
		// prefix stays a prefix.
		prefix := versionsOf(b.Name, in.Prefix)
		for entry, err := range uploads.Scan(tx, prefix[:len(prefix)-1]) {
			if err != nil {
				return err
			}
			u := entry.Value
			if in.KeyMarker != "" && (u.Key < in.KeyMarker || u.Key == in.KeyMarker && (in.UploadIdMarker == "" || u.ID <= in.UploadIdMarker)) {
				continue
			}
			if !p.add(u, in.Prefix, in.Delimiter, limit) {
				return nil
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	account := auth.From(ctx).Scope.Account
	out := &api.ListMultipartUploadsOutput{
		Bucket: in.Bucket, Prefix: e.encode(in.Prefix), Delimiter: e.encode(in.Delimiter), EncodingType: in.EncodingType,
		KeyMarker: e.encode(in.KeyMarker), UploadIdMarker: in.UploadIdMarker, MaxUploads: ptr(int32(limit)),
		IsTruncated: &p.truncated, NextKeyMarker: e.encode(p.lastKey), NextUploadIdMarker: p.lastID, CommonPrefixes: e.prefixes(p.prefixes),
	}
	for _, u := range p.uploads {
		out.Uploads = append(out.Uploads, api.MultipartUpload{
			UploadId: u.ID, Key: e.encode(u.Key), Initiated: &u.Initiated, Owner: owner(account),
			Initiator:    &api.Initiator{ID: ownerID(account), DisplayName: account},
			StorageClass: (&object{Meta: u.Meta}).storageClass(), ChecksumAlgorithm: string(u.Algorithm), ChecksumType: u.Type,
		})
	}
	return out, nil
}
