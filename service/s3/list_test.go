package s3

import (
	"slices"
	"strings"
	"testing"

	api "github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/fault"
	"pgregory.net/rapid"
)

func listed(out *api.ListObjectsV2Output) (keys []string) {
	for _, o := range out.Contents {
		keys = append(keys, o.Key)
	}
	for _, p := range out.CommonPrefixes {
		keys = append(keys, p.Prefix+"*")
	}
	return keys
}

// Answers of AWS: test_list_objects_v2_with_prefix_and_delimiter,
// test_list_objects_v2_continuation_common_prefixes.
func TestListObjectsV2(t *testing.T) {
	f := newFixture(t).bucket("bkt").bucket("bkt2")
	for _, k := range []string{"test/foo/bar/123", "test/foo/bar/456", "test/bar/foo/123", "a b&c", "z\x01"} {
		f.put("bkt", k, "x")
	}
	f.put("bkt2", "other", "x")
	tests := []struct {
		name string
		in   api.ListObjectsV2Input
		want string
	}{
		{"all", api.ListObjectsV2Input{}, "a b&c,test/bar/foo/123,test/foo/bar/123,test/foo/bar/456,z\x01"},
		{"prefix", api.ListObjectsV2Input{Prefix: "test/foo"}, "test/foo/bar/123,test/foo/bar/456"},
		{"groups", api.ListObjectsV2Input{Prefix: "test/", Delimiter: "/"}, "test/bar/*,test/foo/*"},
		{"group of a part", api.ListObjectsV2Input{Prefix: "test/foo/bar", Delimiter: "/"}, "test/foo/bar/*"},
		{"long delimiter", api.ListObjectsV2Input{Delimiter: "/foo"}, "a b&c,z\x01,test/bar/foo*,test/foo*"},
		{"after", api.ListObjectsV2Input{StartAfter: "test/foo/bar/123"}, "test/foo/bar/456,z\x01"},
		{"after with groups", api.ListObjectsV2Input{StartAfter: "test/bar/", Delimiter: "/", Prefix: "test/"}, "test/foo/*"},
		{"none", api.ListObjectsV2Input{Prefix: "y"}, ""},
		{"no keys asked for", api.ListObjectsV2Input{MaxKeys: ptr(int32(0))}, ""},
		{"encoded", api.ListObjectsV2Input{Prefix: "a", EncodingType: "url"}, "a+b%26c"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := tt.in
			in.Bucket = "bkt"
			out, err := f.ListObjectsV2(f.ctx, &in)
			noError(t, err)
			got := listed(out)
			if strings.Join(got, ",") != tt.want || int(value(out.KeyCount)) != len(got) || value(out.IsTruncated) {
				t.Fatalf("= %q, %d, want %q", got, value(out.KeyCount), tt.want)
			}
		})
	}
}

func TestListingRefusals(t *testing.T) {
	f := newFixture(t).bucket("bkt")
	tests := []struct {
		in   api.ListObjectsV2Input
		want string
	}{
		{api.ListObjectsV2Input{EncodingType: "value"}, "Invalid Encoding Method specified in Request"},
		{api.ListObjectsV2Input{MaxKeys: ptr(int32(-1))}, "Argument max-keys must be an integer between 0 and 2147483647"},
		{api.ListObjectsV2Input{ContinuationToken: "!!"}, "The continuation token provided is incorrect"},
	}
	for _, tt := range tests {
		in := tt.in
		in.Bucket = "bkt"
		_, err := f.ListObjectsV2(f.ctx, &in)
		wantFault(t, err, fault.InvalidArgument, tt.want)
	}
	out, err := f.ListObjectsV2(f.ctx, &api.ListObjectsV2Input{Bucket: "bkt", MaxKeys: ptr(int32(5000))})
	if err != nil || value(out.MaxKeys) != 1000 {
		t.Fatalf("a page of %d, %v; want at most 1000", value(out.MaxKeys), err)
	}
}

// Answers of AWS: test_list_objects_next_marker.
func TestListObjectsByMarker(t *testing.T) {
	f := newFixture(t).bucket("bkt")
	for _, k := range []string{"a", "b/1", "b/2", "c"} {
		f.put("bkt", k, "x")
	}
	var got []string
	marker := ""
	for {
		out, err := f.ListObjects(f.ctx, &api.ListObjectsInput{Bucket: "bkt", Delimiter: "/", Marker: marker, MaxKeys: ptr(int32(1))})
		noError(t, err)
		for _, o := range out.Contents {
			got = append(got, o.Key)
		}
		for _, p := range out.CommonPrefixes {
			got = append(got, p.Prefix)
		}
		if marker = out.NextMarker; marker == "" {
			break
		}
	}
	if !slices.Equal(got, []string{"a", "b/", "c"}) {
		t.Fatalf("pages = %q", got)
	}
	out, err := f.ListObjects(f.ctx, &api.ListObjectsInput{Bucket: "bkt", MaxKeys: ptr(int32(1))})
	if err != nil || !value(out.IsTruncated) || out.NextMarker != "" {
		t.Fatalf("without a delimiter = %+v, %v; want no NextMarker", out, err)
	}
}

// Whatever the keys, prefix, delimiter and page size: the pages together are
// what a simple model says, in order, each once.
func TestPagesAreTheWholeListing(t *testing.T) {
	f := newFixture(t)
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		name := "bkt-" + strings.Repeat("a", n%50) + "-" + string(rune('a'+n/50%26)) + string(rune('a'+n/1300))
		f.bucket(name)
		keys := rapid.SliceOfNDistinct(rapid.StringOfN(rapid.RuneFrom([]rune("ab/é!~")), 1, 5, -1), 0, 12, rapid.ID).Draw(rt, "keys")
		for _, k := range keys {
			f.put(name, k, "x")
		}
		prefix := rapid.SampledFrom([]string{"", "a", "a/", "é"}).Draw(rt, "prefix")
		delimiter := rapid.SampledFrom([]string{"", "/", "b"}).Draw(rt, "delimiter")
		limit := rapid.Int32Range(1, 4).Draw(rt, "limit")
		var want []string
		slices.Sort(keys)
		for _, k := range keys {
			if !strings.HasPrefix(k, prefix) {
				continue
			}
			if g := commonPrefix(k, prefix, delimiter); g != "" {
				k = g
			}
			if len(want) == 0 || want[len(want)-1] != k {
				want = append(want, k)
			}
		}
		var got []string
		token := ""
		for page := 0; page == 0 || token != ""; page++ {
			out, err := f.ListObjectsV2(f.ctx, &api.ListObjectsV2Input{Bucket: name, Prefix: prefix, Delimiter: delimiter, MaxKeys: &limit, ContinuationToken: token})
			if err != nil {
				rt.Fatal(err)
			}
			var both []string
			for _, o := range out.Contents {
				both = append(both, o.Key)
			}
			for _, p := range out.CommonPrefixes {
				both = append(both, p.Prefix)
			}
			slices.Sort(both)
			got = append(got, both...)
			token = out.NextContinuationToken
		}
		if !slices.Equal(got, want) {
			rt.Fatalf("pages of %d = %q, want %q", limit, got, want)
		}
	})
}
