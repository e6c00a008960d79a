package s3

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	api "github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/auth/checksum"
	"github.com/slipway/slipway/store"
)

var someObject = rapid.Custom(func(t *rapid.T) *object {
	text := rapid.StringN(0, 8, -1)
	o := &object{
		Key: text.Draw(t, "key"), Seq: rapid.Int64Min(0).Draw(t, "seq"), Version: text.Draw(t, "version"), Marker: rapid.Bool().Draw(t, "marker"),
		Modified: time.Unix(rapid.Int64Range(0, 1<<33).Draw(t, "seconds"), rapid.Int64Range(0, 999999999).Draw(t, "nanoseconds")).UTC(),
		Size:     rapid.Int64Min(0).Draw(t, "size"), ETag: text.Draw(t, "etag"),
		Content: content{Place: rapid.SampledFrom(places).Draw(t, "place"), ID: rapid.StringMatching(`[0-9a-f]{32}`).Draw(t, "id")},
	}
	if o.Content.Place == inStore {
		o.Content.Sealed = rapid.SliceOfN(rapid.Byte(), 1, 100).Draw(t, "sealed")
	}
	if rapid.Bool().Draw(t, "with a sum") {
		o.Sum = &sum{rapid.SampledFrom(checksum.All).Draw(t, "algorithm"), text.Draw(t, "value"), checksum.Composite}
	}
	for _, member := range o.Meta.texts() {
		*member = text.Draw(t, "metadata")
	}
	if n := rapid.IntRange(0, 3).Draw(t, "pairs"); n > 0 {
		o.Meta.User = rapid.MapOfN(text, text, n, n).Draw(t, "user")
	}
	if rapid.Bool().Draw(t, "with a rest") {
		o.Upload, o.Parts, o.Tags = text.Draw(t, "upload"), rapid.Int32Min(0).Draw(t, "parts"), []tag{{text.Draw(t, "tag"), "v"}}
		o.Lock = &lock{Mode: "GOVERNANCE", Until: o.Modified, Hold: true}
		o.Enc = &encryption{KMS: text.Draw(t, "kms"), Wrapped: []byte{1}, Context: map[string]string{"a": "b"}}
		o.Access = &access{Owner: text.Draw(t, "owner")}
	}
	return o
})

// The record says what its JSON said, and a part of it nothing.
func TestObjectDocs(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		o := someObject.Draw(rt, "object")
		text, err := json.Marshal(o)
		if err != nil {
			rt.Fatal(err)
		}
		written := append([]byte{store.Binary}, o.AppendDoc(nil)...)
		for name, doc := range map[string][]byte{"binary": written, "JSON": text} {
			got, head := new(object), new(objectHead)
			if err := store.Decode(store.Doc{Value: doc}, got); err != nil {
				rt.Fatalf("%s: %v", name, err)
			}
			if diff := cmp.Diff(o, got, cmp.AllowUnexported(object{})); diff != "" {
				rt.Fatalf("%s:\n%s", name, diff)
			}
			if err := store.Decode(store.Doc{Value: doc}, head); err != nil {
				rt.Fatalf("the head of the %s: %v", name, err)
			}
			if want := (objectHead{Seq: o.Seq, Content: contentHead{o.Content.Place, o.Content.ID}}); *head != want {
				rt.Fatalf("the head of the %s: %+v, want %+v", name, *head, want)
			}
		}
		for n := range len(written) - 1 {
			if err := store.Decode(store.Doc{Value: written[:n+1]}, new(object)); err == nil {
				rt.Fatalf("%d of %d bytes were read", n+1, len(written))
			}
			_ = store.Decode(store.Doc{Value: written[:n+1]}, new(objectHead)) // must not panic
		}
	})
}

// Nothing that the disk may have made of a record panics.
func FuzzObjectDoc(f *testing.F) {
	f.Add((&object{Key: "k", Content: content{inStore, "id", []byte("x")}, Meta: meta{User: map[string]string{"a": "b"}}}).AppendDoc(nil))
	f.Add([]byte{docForm, 0xff, 0xff})
	f.Fuzz(func(_ *testing.T, doc []byte) {
		_ = new(object).DecodeDoc(doc)
		_ = new(objectHead).DecodeDoc(doc)
	})
}

// age writes all records of objects as versions before the binary form did.
func (f *fixture) age() {
	f.t.Helper()
	err := f.store.Update(f.ctx, func(tx store.Tx) error {
		for _, c := range []*store.Collection[object]{objects, versions} {
			for e, err := range c.Scan(tx, "") {
				if err != nil {
					return err
				}
				text, err := json.Marshal(e.Value)
				if err != nil {
					return err
				}
				if err := tx.Put(c.Prefix()+e.Key, text); err != nil {
					return err
				}
			}
		}
		return nil
	})
	noError(f.t, err)
}

// A data folder of before is read, and written anew object by object.
func TestRecordsFromBeforeTheBinaryForm(t *testing.T) {
	f := newFixture(t).bucket("plain").bucket("kept")
	f.version("kept", enabled)
	for _, key := range []string{"small", "replaced", "deleted"} {
		f.put("plain", key, key)
	}
	f.put("plain", "file", large(10_000))
	first := f.put("kept", "k", "one")
	f.put("kept", "k", large(5_000))
	f.age()
	f.reopen()

	if got := f.body("plain", "small"); got != "small" {
		t.Errorf("small: %q", got)
	}
	if got := f.body("plain", "file"); got != large(10_000) {
		t.Errorf("file: %d bytes", len(got))
	}
	got, _, refused := f.get(&api.GetObjectInput{Bucket: "kept", Key: "k", VersionId: first.VersionId})
	if got != "one" {
		t.Errorf("the older version: %q %s", got, refused)
	}
	f.put("plain", "replaced", "anew")
	f.put("plain", "file", large(9_000))
	_, err := f.DeleteObject(f.ctx, &api.DeleteObjectInput{Bucket: "plain", Key: "deleted"})
	noError(t, err)
	list, err := f.ListObjectsV2(f.ctx, &api.ListObjectsV2Input{Bucket: "plain"})
	noError(t, err)
	sizes := map[string]int64{}
	for _, o := range list.Contents {
		sizes[o.Key] = *o.Size
	}
	if diff := cmp.Diff(map[string]int64{"small": 5, "replaced": 4, "file": 9_000}, sizes); diff != "" {
		t.Error(diff)
	}
	older, err := f.ListObjectVersions(f.ctx, &api.ListObjectVersionsInput{Bucket: "kept"})
	if err != nil || len(older.Versions) != 2 {
		t.Errorf("versions: %v, %v", older, err)
	}
	if n := f.filesOnDisk(); n != 2 { // of "file" and of the newer version
		t.Errorf("%d files", n)
	}
}
