package s3

import (
	"net/http"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	api "github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/auth/checksum"
	"github.com/slipway/slipway/fault"
)

// knownSums are the checksums of "test-checksum".
var knownSums = map[checksum.Algorithm]string{
	checksum.CRC32: "lVk/nw==", checksum.CRC32C: "Fz3epA==", checksum.CRC64NVME: "1f2xscCCZCU=",
	checksum.SHA1: "jbXkHAsXUrubtL3dqDQ4w+7WXc0=", checksum.SHA256: "1YQo81vx2VFUl0q5ccWISq8AkSBQQ0WO80S82TmfdIQ=",
	checksum.SHA512: "mqdibHyKwFIYsLRejuY8MYRpmPrkNkLpyX2sEKxMCH2YgNT+A/LP1OmF+SyLckVV4HpQCXV3PLuNYjwbD/Fv5w==",
	checksum.MD5:    "8ggd1h36cAoP1eKbnDzCPQ==", checksum.XXHASH64: "3JrYpZJ5ZEA=", checksum.XXHASH3: "FBi20cyfDyI=",
	checksum.XXHASH128: "8Ab93L5jvI2pCk3eDMM2FQ==",
}

func setSum(in any, a checksum.Algorithm, v string) {
	reflect.ValueOf(in).Elem().FieldByName("Checksum" + string(a)).SetString(v)
}

// shownSums are the checksum members of an output that are set.
func shownSums(out any) map[checksum.Algorithm]string {
	shown := map[checksum.Algorithm]string{}
	for _, a := range checksum.All {
		if v := reflect.ValueOf(out).Elem().FieldByName("Checksum" + string(a)).String(); v != "" {
			shown[a] = v
		}
	}
	return shown
}

// algorithmTest goes through all that S3 does with a checksum of one algorithm.
type algorithmTest struct {
	*fixture
	algorithm checksum.Algorithm
	sum       string
}

func (a algorithmTest) only(what string, out any, want string) {
	a.t.Helper()
	if diff := cmp.Diff(map[checksum.Algorithm]string{a.algorithm: want}, shownSums(out)); diff != "" {
		a.t.Errorf("%s of %s:\n%s", what, a.algorithm, diff)
	}
}

func TestEveryAlgorithm(t *testing.T) {
	f := newFixture(t).bucket("bkt")
	for _, algorithm := range checksum.All {
		a := algorithmTest{f, algorithm, knownSums[algorithm]}
		a.whole()
		a.trailer()
		a.upload()
	}
}

func (a algorithmTest) whole() {
	in := &api.PutObjectInput{Bucket: "bkt", Key: "k", Body: text("test-checksum")}
	setSum(in, a.algorithm, a.sum)
	put, err := a.PutObject(a.ctx, in)
	noError(a.t, err)
	a.only("put", put, a.sum)

	in = &api.PutObjectInput{Bucket: "bkt", Key: "k", Body: text("another body")}
	setSum(in, a.algorithm, a.sum)
	_, err = a.PutObject(a.ctx, in)
	wantFault(a.t, err, fault.BadDigest, "The "+string(a.algorithm)+" you specified did not match the calculated checksum.")

	head, err := a.HeadObject(a.ctx, &api.HeadObjectInput{Bucket: "bkt", Key: "k", ChecksumMode: "ENABLED"})
	noError(a.t, err)
	a.only("head", head, a.sum)
	body, got, _ := a.get(&api.GetObjectInput{Bucket: "bkt", Key: "k", ChecksumMode: "ENABLED"})
	a.only("get", got, a.sum)
	if body != "test-checksum" || got.ChecksumType != checksum.FullObject {
		a.t.Errorf("%s: got %q, %s", a.algorithm, body, got.ChecksumType)
	}
	attrs, err := a.GetObjectAttributes(a.ctx, &api.GetObjectAttributesInput{Bucket: "bkt", Key: "k", ObjectAttributes: []string{"Checksum"}})
	noError(a.t, err)
	a.only("attributes", attrs.Checksum, a.sum)

	a.put("bkt", "plain", "test-checksum")
	copied, err := a.CopyObject(a.ctx, &api.CopyObjectInput{Bucket: "bkt", Key: "copy", CopySource: "bkt/plain", ChecksumAlgorithm: string(a.algorithm)})
	noError(a.t, err)
	a.only("copy", copied.CopyObjectResult, a.sum)
	copied, err = a.CopyObject(a.ctx, &api.CopyObjectInput{Bucket: "bkt", Key: "copy", CopySource: "bkt/k"})
	noError(a.t, err)
	a.only("copy of the source's", copied.CopyObjectResult, a.sum)
}

func (a algorithmTest) trailer() {
	header := http.Header{}
	header.Set(a.algorithm.Header(), a.sum)
	put, err := a.PutObject(a.ctx, &api.PutObjectInput{Bucket: "bkt", Key: "k", Body: trailing{text("test-checksum"), header}})
	noError(a.t, err)
	a.only("trailer", put, a.sum)
}

func (a algorithmTest) upload() {
	created, err := a.CreateMultipartUpload(a.ctx, &api.CreateMultipartUploadInput{Bucket: "bkt", Key: "parts", ChecksumAlgorithm: string(a.algorithm)})
	noError(a.t, err)
	id := created.UploadId
	in := &api.UploadPartInput{Bucket: "bkt", Key: "parts", UploadId: id, PartNumber: ptr(int32(1)), Body: text("test-checksum")}
	setSum(in, a.algorithm, a.sum)
	part, err := a.UploadPart(a.ctx, in)
	noError(a.t, err)
	a.only("part", part, a.sum)
	copied, err := a.UploadPartCopy(a.ctx, &api.UploadPartCopyInput{Bucket: "bkt", Key: "parts", UploadId: id, PartNumber: ptr(int32(2)), CopySource: "bkt/plain"})
	noError(a.t, err)
	a.only("copied part", copied.CopyPartResult, a.sum)
	list, err := a.ListParts(a.ctx, &api.ListPartsInput{Bucket: "bkt", Key: "parts", UploadId: id})
	if err != nil || len(list.Parts) != 2 || list.ChecksumAlgorithm != string(a.algorithm) {
		a.t.Fatalf("%s: %+v, %v", a.algorithm, list, err)
	}
	a.only("listed part", &list.Parts[1], a.sum)

	// The sum of the whole is made of the parts' sums, unless it is linear and asked for.
	want, kind := a.sum, checksum.FullObject
	if a.algorithm != checksum.CRC64NVME {
		raw, err := a.algorithm.Decode(a.sum)
		noError(a.t, err)
		h := a.algorithm.New()
		h.Write(raw)
		want, kind = checksum.Encode(h.Sum(nil))+"-1", checksum.Composite
	}
	done := api.CompletedPart{PartNumber: ptr(int32(1)), ETag: part.ETag}
	setSum(&done, a.algorithm, a.sum)
	out, err := a.CompleteMultipartUpload(a.ctx, &api.CompleteMultipartUploadInput{
		Bucket: "bkt", Key: "parts", UploadId: id, MultipartUpload: &api.CompletedMultipartUpload{Parts: []api.CompletedPart{done}},
	})
	noError(a.t, err)
	a.only("complete", out, want)
	head, err := a.HeadObject(a.ctx, &api.HeadObjectInput{Bucket: "bkt", Key: "parts", ChecksumMode: "ENABLED"})
	noError(a.t, err)
	a.only("head of parts", head, want)
	if head.ChecksumType != kind {
		a.t.Errorf("%s: %s, want %s", a.algorithm, head.ChecksumType, kind)
	}
	_, _, err = checksumType(string(a.algorithm), checksum.FullObject)
	if (err == nil) != a.algorithm.Linear() {
		a.t.Errorf("%s of a full object: %v", a.algorithm, err)
	}
}
