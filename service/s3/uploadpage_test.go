package s3

import (
	"fmt"
	"testing"

	api "github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/fault"
)

func TestACompletionAskedAgainAnswersTheSame(t *testing.T) {
	f := newFixture(t).bucket("bkt")
	u := f.begin("k", "", "").part(1, "one")
	first, err := u.complete(nil, 1)
	noError(t, err)
	again, err := u.complete(nil, 1)
	noError(t, err)
	if again.ETag != first.ETag || again.ChecksumCRC64NVME != first.ChecksumCRC64NVME {
		t.Fatalf("again: %+v, first: %+v", again, first)
	}
	u.etags[1] = `"00000000000000000000000000000000"`
	_, err = u.complete(nil, 1)
	wantFault(t, err, fault.NoSuchUpload, "")
	f.put("bkt", "k", "another object")
	_, err = u.complete(nil, 1)
	wantFault(t, err, fault.NoSuchUpload, "")
}

// Pages of uploads and of parts go on where the last ended, and add up.
func TestPagesOfUploadsAndParts(t *testing.T) {
	f := newFixture(t).bucket("bkt")
	want := map[string]int{}
	for i := range 12 {
		key := fmt.Sprintf("folder-%d/key", i%4)
		f.begin(key, "", "")
		want[key]++
	}
	got := map[string]int{}
	in := &api.ListMultipartUploadsInput{Bucket: "bkt", MaxUploads: ptr(int32(5))}
	pages := 0
	for more := true; more; pages++ {
		out, err := f.ListMultipartUploads(f.ctx, in)
		noError(t, err)
		for _, u := range out.Uploads {
			got[u.Key]++
		}
		in.KeyMarker, in.UploadIdMarker, more = out.NextKeyMarker, out.NextUploadIdMarker, *out.IsTruncated
	}
	if pages != 3 || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("%d pages gave %v, want %v", pages, got, want)
	}
	var groups []string
	in = &api.ListMultipartUploadsInput{Bucket: "bkt", MaxUploads: ptr(int32(1)), Delimiter: "/"}
	for more := true; more; {
		out, err := f.ListMultipartUploads(f.ctx, in)
		noError(t, err)
		for _, p := range out.CommonPrefixes {
			groups = append(groups, p.Prefix)
		}
		in.KeyMarker, more = out.NextKeyMarker, *out.IsTruncated
	}
	if fmt.Sprint(groups) != "[folder-0/ folder-1/ folder-2/ folder-3/]" {
		t.Fatalf("groups = %v", groups)
	}
	u := f.begin("parts", "", "")
	for n := range int32(7) {
		u.part(n*3+1, "x")
	}
	var numbers []int32
	parts := &api.ListPartsInput{Bucket: "bkt", Key: "parts", UploadId: u.id, MaxParts: ptr(int32(3))}
	for more := true; more; {
		out, err := f.ListParts(f.ctx, parts)
		noError(t, err)
		for _, p := range out.Parts {
			numbers = append(numbers, *p.PartNumber)
		}
		parts.PartNumberMarker, more = out.NextPartNumberMarker, *out.IsTruncated
	}
	if fmt.Sprint(numbers) != "[1 4 7 10 13 16 19]" {
		t.Fatalf("parts = %v", numbers)
	}
}
