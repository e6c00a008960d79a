package crash

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // entity tags are MD5 by S3's definition.
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"strconv"
)

const uploadBucket = "crash-harness-uploads"

// uploading is a multipart upload as far as the harness knows it.
type uploading struct {
	key, id string
	parts   map[int]bool // by number: acknowledged, or sent without an answer
	step    int          // the next: create, two parts, the end
	asked   string       // for its end: "complete", "abort" or not yet
	ended   bool         // acknowledged
}

// uploads are multipart uploads at every stage: some completed, some aborted,
// some left open.
type uploads struct {
	n    int
	list []*uploading
}

func newUploads(ctx context.Context, c *client) (*uploads, error) {
	_, err := c.s3(ctx, "PUT", "/"+uploadBucket, nil)
	return &uploads{}, err
}

// owned adds the bucket of the uploads.
func (s *uploads) owned(i inventory) { i.add("AWS::S3::Bucket", uploadBucket) }

// mostSteps bounds what one round does: all is looked at after it.
const mostSteps = 900

// flow works until the server does not answer. An answer that says no is an error.
func (s *uploads) flow(ctx context.Context, c *client) error {
	for i := 0; i < mostSteps && ctx.Err() == nil; i++ {
		if err := s.next(ctx, c); refused(err) || failed(err) {
			return err
		} else if err != nil {
			return nil // the server is gone
		}
	}
	return nil
}

func (u *uploading) path(query string) string { return "/" + uploadBucket + "/" + u.key + query }

// next does one step of the newest upload, or begins another.
func (s *uploads) next(ctx context.Context, c *client) error {
	if len(s.list) == 0 || s.list[len(s.list)-1].step > 3 {
		s.n++
		s.list = append(s.list, &uploading{key: "upload-" + strconv.Itoa(s.n), parts: map[int]bool{}})
	}
	u := s.list[len(s.list)-1]
	defer func() { u.step++ }()
	switch u.step {
	case 0:
		return u.create(ctx, c)
	case 1, 2:
		u.parts[u.step] = false
		_, err := c.s3(ctx, "PUT", u.path(fmt.Sprintf("?partNumber=%d&uploadId=%s", u.step, u.id)), u.content(u.step))
		u.parts[u.step] = err == nil
		return err
	}
	switch s.n % 3 {
	case 0:
		return u.complete(ctx, c)
	case 1:
		return u.abort(ctx, c)
	}
	return nil
}

// content is a part's: some fit one write, some do not.
func (u *uploading) content(part int) []byte {
	return bytes.Repeat([]byte(u.key+"/"+strconv.Itoa(part)+"\n"), 1+len(u.key)%2*3000+part*4000)
}

func (u *uploading) etag(part int) string {
	sum := md5.Sum(u.content(part)) //nolint:gosec // as above
	return `"` + hex.EncodeToString(sum[:]) + `"`
}

func (u *uploading) create(ctx context.Context, c *client) error {
	answer, err := c.s3(ctx, "POST", u.path("?uploads="), nil)
	if err != nil {
		return err
	}
	var root node
	if err := xml.Unmarshal(answer, &root); err != nil {
		return err
	}
	u.id = root.text("UploadId")
	return nil
}

// complete makes the object of the first part; the second is dropped.
func (u *uploading) complete(ctx context.Context, c *client) error {
	u.asked = "complete"
	_, err := c.s3(ctx, "POST", u.path("?uploadId="+u.id), []byte(
		"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"+u.etag(1)+"</ETag></Part></CompleteMultipartUpload>"))
	u.ended = err == nil
	return err
}

func (u *uploading) abort(ctx context.Context, c *client) error {
	u.asked = "abort"
	_, err := c.s3(ctx, "DELETE", u.path("?uploadId="+u.id), nil)
	u.ended = err == nil
	return err
}

// check compares what is there with what was acknowledged, and then removes it.
func (s *uploads) check(ctx context.Context, c *client) (wrong []string, err error) {
	root, err := get(ctx, c, "/"+uploadBucket+"?uploads=")
	if err != nil {
		return nil, err
	}
	open := map[string]string{} // keys by id
	for _, n := range root.all("Upload") {
		open[n.text("UploadId")] = n.text("Key")
	}
	if root, err = get(ctx, c, "/"+uploadBucket); err != nil {
		return nil, err
	}
	objects := map[string]bool{}
	for _, key := range root.texts("Contents/Key") {
		objects[key] = true
	}
	for _, u := range s.list {
		found, err := u.check(ctx, c, open, objects)
		if err != nil {
			return wrong, err
		}
		wrong = append(wrong, found...)
	}
	for id, key := range open {
		wrong = append(wrong, "upload "+id+" of "+key+" is there and nobody began it")
	}
	for key := range objects {
		wrong = append(wrong, "object "+key+" is there and nobody completed it")
	}
	s.list = nil
	return wrong, nil
}

func get(ctx context.Context, c *client, path string) (*node, error) {
	answer, err := c.s3(ctx, "GET", path, nil)
	if err != nil {
		return nil, err
	}
	root := new(node)
	return root, xml.Unmarshal(answer, root)
}

// check takes what is the upload's out of open and objects.
func (u *uploading) check(ctx context.Context, c *client, open map[string]string, objects map[string]bool) (wrong []string, err error) {
	if u.id == "" { // the answer that named it may be lost
		for id, key := range open {
			if key == u.key {
				u.id = id
			}
		}
		if u.id == "" {
			return nil, nil
		}
	}
	isOpen, isObject := open[u.id] == u.key, objects[u.key]
	delete(open, u.id)
	delete(objects, u.key)
	switch {
	case isOpen && isObject:
		wrong = append(wrong, u.key+" is open and complete at once")
	case u.asked == "" && !isOpen:
		wrong = append(wrong, u.key+" was begun and is lost")
	case u.asked == "abort" && isObject:
		wrong = append(wrong, u.key+" was aborted and is an object")
	case u.asked == "complete" && !isOpen && !isObject:
		wrong = append(wrong, u.key+" is lost with its completion")
	case u.ended && isOpen:
		wrong = append(wrong, u.key+" is open after its end: "+u.asked)
	case u.ended && u.asked == "complete" && !isObject:
		wrong = append(wrong, u.key+" was completed and is lost")
	}
	if isObject {
		return u.checkObject(ctx, c, wrong)
	}
	if isOpen {
		return u.checkParts(ctx, c, wrong)
	}
	return wrong, nil
}

func (u *uploading) checkObject(ctx context.Context, c *client, wrong []string) ([]string, error) {
	got, err := c.s3(ctx, "GET", u.path(""), nil)
	if err != nil {
		return wrong, err
	}
	if !bytes.Equal(got, u.content(1)) {
		wrong = append(wrong, fmt.Sprintf("%s has %d bytes that nobody put", u.key, len(got)))
	}
	_, err = c.s3(ctx, "DELETE", u.path(""), nil)
	return wrong, err
}

func (u *uploading) checkParts(ctx context.Context, c *client, wrong []string) ([]string, error) {
	root, err := get(ctx, c, u.path("?uploadId="+u.id))
	if err != nil {
		return wrong, err
	}
	there := map[int]string{}
	for _, n := range root.all("Part") {
		number, _ := strconv.Atoi(n.text("PartNumber")) // 0 is no part of ours
		there[number] = n.text("ETag")
	}
	for number, acked := range u.parts {
		tag, ok := there[number]
		if acked && !ok {
			wrong = append(wrong, fmt.Sprintf("part %d of %s was acknowledged and is lost", number, u.key))
		}
		if ok && tag != u.etag(number) {
			wrong = append(wrong, fmt.Sprintf("part %d of %s has the entity tag %s, not %s", number, u.key, tag, u.etag(number)))
		}
	}
	// Half of them can still be completed, the others aborted.
	if u.parts[1] && u.asked != "abort" {
		if err := u.complete(ctx, c); err != nil {
			return wrong, err
		}
		return u.checkObject(ctx, c, wrong)
	}
	return wrong, u.abort(ctx, c)
}
