package s3

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

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

// uploadListing asks for a page of uploads. An upload's record key holds the
// object key in hexadecimal, in which a prefix stays a prefix.
type uploadListing struct {
	bucket, prefix, delimiter string
	key, id                   string // what comes after these is listed
	limit                     int
}

func (l uploadListing) record(key string) string {
	return uploads.Prefix() + l.bucket + "/" + hex.EncodeToString([]byte(key))
}

// start is where in the records the page begins.
func (l uploadListing) start() string {
	from := l.record(l.prefix)
	switch {
	case l.key == "":
	case l.id != "":
		from = max(from, l.record(l.key)+"/"+l.id+"\x00")
	case strings.HasPrefix(l.key, l.prefix) && commonPrefix(l.key, l.prefix, l.delimiter) == l.key:
		from = max(from, store.PrefixEnd(l.record(l.key))) // the whole group was listed
	default:
		from = max(from, store.PrefixEnd(l.record(l.key)+"/"))
	}
	return from
}

// list reads a page. A group is left as soon as it is known.
func (l uploadListing) list(tx store.Tx) (*uploadPage, error) {
	p := &uploadPage{}
	if l.limit == 0 {
		return p, nil
	}
	from, end := l.start(), store.PrefixEnd(l.record(l.prefix))
	for from != "" {
		next, err := l.scan(tx, from, end, p)
		if err != nil {
			return nil, err
		}
		from = next
	}
	return p, nil
}

// scan reads uploads until the page is full, they end, or a new group begins:
// then it says where the group ends.
func (l uploadListing) scan(tx store.Tx, from, end string, p *uploadPage) (next string, err error) {
	if from >= end {
		return "", nil
	}
	for doc, err := range tx.Scan(from, end) {
		if err != nil {
			return "", err
		}
		if len(p.uploads)+len(p.prefixes) == l.limit {
			p.truncated = true
			return "", nil
		}
		u := new(upload)
		if err := json.Unmarshal(doc.Value, u); err != nil {
			return "", fmt.Errorf("decode %s: %w", doc.Key, err)
		}
		if group := commonPrefix(u.Key, l.prefix, l.delimiter); group != "" {
			p.prefixes = append(p.prefixes, group)
			p.lastKey, p.lastID = group, ""
			return store.PrefixEnd(l.record(group)), nil
		}
		p.uploads = append(p.uploads, u)
		p.lastKey, p.lastID = u.Key, u.ID
	}
	return "", nil
}

// ListMultipartUploads lists the uploads under way in a bucket.
func (s *Service) ListMultipartUploads(ctx context.Context, in *api.ListMultipartUploadsInput) (*api.ListMultipartUploadsOutput, error) {
	limit, e, err := checkListing("max-uploads", in.MaxUploads, in.EncodingType)
	if err != nil {
		return nil, err
	}
	var p *uploadPage
	err = s.store.View(ctx, func(tx store.Tx) error {
		b, err := lookup(ctx, tx, in.Bucket, in.ExpectedBucketOwner, "")
		if err != nil {
			return err
		}
		p, err = uploadListing{b.Name, in.Prefix, in.Delimiter, in.KeyMarker, in.UploadIdMarker, limit}.list(tx)
		return err
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
