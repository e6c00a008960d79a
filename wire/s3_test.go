package wire

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
)

// Which operation, bucket and key a request is for.
func TestS3Routing(t *testing.T) {
	tests := []struct {
		method, host, target string
		headers              []string
		op, bucket, key      string
	}{
		{"GET", "127.0.0.1:4566", "/", nil, "ListBuckets", "", ""},
		{"GET", "127.0.0.1:4566", "/b", nil, "ListObjects", "b", ""},
		{"GET", "127.0.0.1:4566", "/b/", nil, "ListObjects", "b", ""},
		{"GET", "[::1]:4566", "/b?list-type=2&prefix=x", nil, "ListObjectsV2", "b", ""},
		{"GET", "127.0.0.1:4566", "/b?location", nil, "GetBucketLocation", "b", ""},
		{"GET", "127.0.0.1:4566", "/b?lifecycle", nil, "GetBucketLifecycleConfiguration", "b", ""},
		{"GET", "127.0.0.1:4566", "/b?uploads", nil, "ListMultipartUploads", "b", ""},
		{"GET", "127.0.0.1:4566", "/b/a/b%2Fc//d%20e/", nil, "GetObject", "b", "a/b/c//d e/"},
		{"GET", "127.0.0.1:4566", "/b/k?x-id=GetObject", nil, "GetObject", "b", "k"},
		{"GET", "127.0.0.1:4566", "/b/k?tagging", nil, "GetObjectTagging", "b", "k"},
		{"GET", "127.0.0.1:4566", "/b/k?uploadId=u", nil, "ListParts", "b", "k"},
		{"GET", "127.0.0.1:4566", "/b/k?attributes", []string{"X-Amz-Object-Attributes: ETag"}, "GetObjectAttributes", "b", "k"},
		{"HEAD", "127.0.0.1:4566", "/b", nil, "HeadBucket", "b", ""},
		{"HEAD", "127.0.0.1:4566", "/b/k", nil, "HeadObject", "b", "k"},
		{"PUT", "127.0.0.1:4566", "/b", nil, "CreateBucket", "b", ""},
		{"PUT", "127.0.0.1:4566", "/b/k", nil, "PutObject", "b", "k"},
		{"PUT", "127.0.0.1:4566", "/b/k", []string{"X-Amz-Copy-Source: b/x"}, "CopyObject", "b", "k"},
		{"PUT", "127.0.0.1:4566", "/b/k?partNumber=1&uploadId=u", nil, "UploadPart", "b", "k"},
		{"PUT", "127.0.0.1:4566", "/b/k?partNumber=1&uploadId=u", []string{"X-Amz-Copy-Source: b/x"}, "UploadPartCopy", "b", "k"},
		{"POST", "127.0.0.1:4566", "/b?delete", nil, "DeleteObjects", "b", ""},
		{"POST", "127.0.0.1:4566", "/b/k?uploads", nil, "CreateMultipartUpload", "b", "k"},
		{"POST", "127.0.0.1:4566", "/b/k?uploadId=u", nil, "CompleteMultipartUpload", "b", "k"},
		{"DELETE", "127.0.0.1:4566", "/b", nil, "DeleteBucket", "b", ""},
		{"DELETE", "127.0.0.1:4566", "/b/k", nil, "DeleteObject", "b", "k"},
		{"DELETE", "127.0.0.1:4566", "/b/k?uploadId=u", nil, "AbortMultipartUpload", "b", "k"},
		{"GET", "localhost:4566", "/b/k", nil, "GetObject", "b", "k"},
		{"GET", "my-server.lan:4566", "/b/k", nil, "GetObject", "b", "k"},
		{"GET", "s3.localhost:4566", "/b/k", nil, "GetObject", "b", "k"},
		{"GET", "s3.us-east-1.localhost", "/b/k", nil, "GetObject", "b", "k"},
		{"GET", "bucket.localhost:4566", "/k", nil, "GetObject", "bucket", "k"},
		{"GET", "bucket.localhost:4566", "/", nil, "ListObjects", "bucket", ""},
		{"GET", "bucket.s3.localhost:4566", "/k/l", nil, "GetObject", "bucket", "k/l"},
		{"GET", "my.bucket.s3.us-east-1.localhost:4566", "/k", nil, "GetObject", "my.bucket", "k"},
		{"GET", "logs.localhost:4566", "/k", nil, "GetObject", "logs", "k"}, // a bucket with a service's name
		{"PUT", "bucket.s3.localhost:4566", "/", nil, "CreateBucket", "bucket", ""},
	}
	for _, tt := range tests {
		t.Run(tt.method+" "+tt.host+tt.target, func(t *testing.T) {
			a := &answering{err: fault.New(fault.NotImplemented, "stop here")}
			h := New(testConfig(a.mount(s3.Describe())))
			body := ""
			if tt.op == "DeleteObjects" {
				body = "<Delete><Object><Key>k</Key></Object></Delete>"
			}
			r := request(tt.method, tt.target, body, append(tt.headers, "Host: "+tt.host, signed("s3"))...)
			w := do(h, r)
			if w.Code != http.StatusNotImplemented && tt.op != a.operation {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			if a.operation != tt.op {
				t.Fatalf("got %s, want %s", a.operation, tt.op)
			}
			if got := stringField(a.input, "Bucket"); got != tt.bucket {
				t.Errorf("bucket %q", got)
			}
			if got := stringField(a.input, "Key"); got != tt.key {
				t.Errorf("key %q", got)
			}
		})
	}
}

func TestS3ObjectIn(t *testing.T) {
	a := &answering{output: &s3.PutObjectOutput{ETag: `"e"`}}
	h := New(testConfig(a.mount(s3.Describe())))
	r := request("PUT", "/b/k", "hello", signed("s3"), "Content-Type: text/plain", "x-amz-meta-Colour: Blue", "x-amz-tagging: a=b",
		"X-Amz-Content-Sha256: UNSIGNED-PAYLOAD", "If-None-Match: *", "Expires: Fri, 02 Jan 2026 03:04:05 GMT")
	w := do(h, r)
	in := a.input.(*s3.PutObjectInput)
	body, err := io.ReadAll(in.Body)
	if err != nil || string(body) != "hello" {
		t.Errorf("%q %v", body, err)
	}
	if in.ContentType != "text/plain" || in.Metadata["colour"] != "Blue" || in.Tagging != "a=b" || in.IfNoneMatch != "*" || *in.ContentLength != 5 {
		t.Errorf("%+v", in)
	}
	if w.Code != 200 || w.Header().Get("ETag") != `"e"` || w.Header().Get("x-amz-request-id") == "" || w.Body.Len() != 0 {
		t.Error(w.Code, w.Header(), w.Body)
	}
}

// aws-chunked bodies reach the operation decoded.
func TestS3ChunkedObject(t *testing.T) {
	a := &answering{output: &s3.PutObjectOutput{}}
	h := New(testConfig(a.mount(s3.Describe())))
	r := request("PUT", "/b/k", "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n", signed("s3"), "Content-Encoding: aws-chunked",
		"X-Amz-Content-Sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER", "X-Amz-Trailer: x-amz-checksum-crc32", "X-Amz-Decoded-Content-Length: 5")
	do(h, r)
	in := a.input.(*s3.PutObjectInput)
	body, err := io.ReadAll(in.Body)
	if err != nil || string(body) != "hello" || *in.ContentLength != 5 {
		t.Errorf("%q %v %v", body, err, in.ContentLength)
	}
}

func TestS3ObjectOut(t *testing.T) {
	a := &answering{output: &s3.GetObjectOutput{
		Body: io.NopCloser(strings.NewReader("ell")), ContentLength: ptr(int64(3)), ContentRange: "bytes 1-3/5",
		LastModified: ptr(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)), Metadata: map[string]string{"colour": "Blue"},
	}}
	h := New(testConfig(a.mount(s3.Describe())))
	w := do(h, request("GET", "/b/k", "", signed("s3"), "Range: bytes=1-3"))
	if w.Code != http.StatusPartialContent || w.Body.String() != "ell" {
		t.Error(w.Code, w.Body)
	}
	const metadata = "x-amz-meta-colour" // in lower case, as clients expect it back
	if got := map[string][]string(w.Header())[metadata]; len(got) != 1 || got[0] != "Blue" {
		t.Error("metadata:", w.Header())
	}
	for name, want := range map[string]string{
		"Content-Length": "3", "Content-Range": "bytes 1-3/5", "Last-Modified": "Fri, 02 Jan 2026 03:04:05 GMT",
		"Content-Type": "binary/octet-stream",
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestS3Documents(t *testing.T) {
	tests := []struct {
		name, method, target, body string
		output, want               any
		parts                      []string
	}{
		{"a list, flattened", "GET", "/b?list-type=2", "", &s3.ListObjectsV2Output{Name: "b", KeyCount: ptr(int32(2)), IsTruncated: ptr(false),
			Contents: []s3.Object{{Key: "k&1", Size: ptr(int64(1)), LastModified: ptr(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))}, {Key: "k2"}}},
			&s3.ListObjectsV2Input{Bucket: "b"},
			[]string{`<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">`, "<Contents><Key>k&amp;1</Key><LastModified>2026-01-02T03:04:05.000Z</LastModified><Size>1</Size></Contents><Contents><Key>k2</Key></Contents>"}},
		{"a list in an element", "GET", "/", "", &s3.ListBucketsOutput{Buckets: []s3.Bucket{{Name: "b"}}, Owner: &s3.Owner{ID: "o"}}, &s3.ListBucketsInput{},
			[]string{`<ListAllMyBucketsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">`, "<Buckets><Bucket><Name>b</Name></Bucket></Buckets>", "<Owner><ID>o</ID></Owner>"}},
		{"the value as root", "GET", "/b?location", "", &s3.GetBucketLocationOutput{LocationConstraint: "eu-west-1"}, &s3.GetBucketLocationInput{Bucket: "b"},
			[]string{`<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/">eu-west-1</LocationConstraint>`}},
		{"a payload document", "PUT", "/b?versioning", `<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Status>Enabled</Status></VersioningConfiguration>`,
			&s3.PutBucketVersioningOutput{}, &s3.PutBucketVersioningInput{Bucket: "b", VersioningConfiguration: &s3.VersioningConfiguration{Status: "Enabled"}}, nil},
		{"a flattened list in", "POST", "/b?delete", `<Delete><Object><Key>a</Key></Object><Object><Key>b</Key></Object><Quiet>true</Quiet></Delete>`,
			&s3.DeleteObjectsOutput{Deleted: []s3.DeletedObject{{Key: "a"}}},
			&s3.DeleteObjectsInput{Bucket: "b", Delete: &s3.Delete{Objects: []s3.ObjectIdentifier{{Key: "a"}, {Key: "b"}}, Quiet: ptr(true)}},
			[]string{"<DeleteResult xmlns=", "<Deleted><Key>a</Key></Deleted></DeleteResult>"}},
		{"a policy as it is", "PUT", "/b?policy", `{"Statement":[]}`, &s3.PutBucketPolicyOutput{}, &s3.PutBucketPolicyInput{Bucket: "b", Policy: `{"Statement":[]}`}, nil},
		{"a policy out", "GET", "/b?policy", "", &s3.GetBucketPolicyOutput{Policy: `{"Statement":[]}`}, &s3.GetBucketPolicyInput{Bucket: "b"}, []string{`{"Statement":[]}`}},
		{"attributes", "GET", "/b?acl", "", &s3.GetBucketAclOutput{Grants: []s3.Grant{{Permission: "READ", Grantee: &s3.Grantee{Type: "CanonicalUser", ID: "i"}}}},
			&s3.GetBucketAclInput{Bucket: "b"},
			[]string{`<AccessControlList><Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser"><ID>i</ID></Grantee>`}},
		{"attributes in", "PUT", "/b?acl", `<AccessControlPolicy><AccessControlList><Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="Group"><URI>u</URI></Grantee></Grant></AccessControlList></AccessControlPolicy>`,
			&s3.PutBucketAclOutput{}, &s3.PutBucketAclInput{Bucket: "b", AccessControlPolicy: &s3.AccessControlPolicy{Grants: []s3.Grant{{Grantee: &s3.Grantee{Type: "Group", URI: "u"}}}}}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := &answering{output: tt.output}
			h := New(testConfig(a.mount(s3.Describe())))
			w := do(h, request(tt.method, tt.target, tt.body, signed("s3")))
			if w.Code >= 300 {
				t.Fatal(w.Code, w.Body)
			}
			if diff := cmp.Diff(tt.want, a.input); diff != "" {
				t.Error(diff)
			}
			mustContain(t, w.Body.String(), tt.parts...)
		})
	}
}

func TestS3Errors(t *testing.T) {
	tests := []struct {
		name, method, target, body string
		err                        error
		headers                    []string
		status                     int
		parts                      []string
	}{
		{"with its resource and fields", "GET", "/b/k", "", fault.New("NoSuchKey", "The specified key does not exist.").With("Key", "k"), nil, 404,
			[]string{"<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message><Key>k</Key><Resource>/b/k</Resource><RequestId>", "</RequestId><HostId>"}},
		{"broken XML", "PUT", "/b?versioning", "<a><b></a>", nil, nil, 400, []string{"<Code>MalformedXML</Code>"}},
		{"a document type", "PUT", "/b?versioning", `<!DOCTYPE a [<!ENTITY x "y">]><VersioningConfiguration/>`, nil, nil, 400, []string{"<Code>MalformedXML</Code>"}},
		{"a wrong digest", "PUT", "/b?versioning", "<VersioningConfiguration/>", nil, []string{"Content-MD5: AAAAAAAAAAAAAAAAAAAAAA=="}, 400, []string{"<Code>BadDigest</Code>"}},
		{"missing in a body", "POST", "/b?delete", `<Delete><Object></Object></Delete>`, nil, nil, 400, []string{"<Code>MalformedXML</Code>"}},
		{"no such operation", "PATCH", "/b/k", "", nil, nil, 405, []string{"<Code>MethodNotAllowed</Code>"}},
		{"known, not built", "POST", "/b/k?select&select-type=2", "", nil, nil, 501, []string{"<Code>NotImplemented</Code>", "SelectObjectContent"}},
		{"not a number", "GET", "/b?max-keys=x", "", nil, nil, 400, []string{"<Code>InvalidArgument</Code>"}},
		{"internal", "GET", "/b/k", "", io.ErrUnexpectedEOF, nil, 500, []string{"<Code>InternalError</Code>"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := &answering{err: tt.err}
			h := New(testConfig(a.mount(s3.Describe())))
			w := do(h, request(tt.method, tt.target, tt.body, append(tt.headers, signed("s3"))...))
			if w.Code != tt.status {
				t.Errorf("status %d, want %d", w.Code, tt.status)
			}
			mustContain(t, w.Body.String(), tt.parts...)
		})
	}
	a := &answering{err: fault.New("NoSuchKey", "gone")}
	w := do(New(testConfig(a.mount(s3.Describe()))), request("HEAD", "/b/k", "", signed("s3")))
	if w.Code != 404 || w.Body.Len() != 0 {
		t.Errorf("HEAD: %d %q", w.Code, w.Body)
	}
}

// The endpoint of a call by a bucket's host is the host without the bucket.
func TestS3Endpoint(t *testing.T) {
	a := &answering{output: &s3.HeadBucketOutput{}}
	h := New(testConfig(a.mount(s3.Describe())))
	do(h, request("HEAD", "/", "", "Host: b.localhost:4566", signed("s3")))
	if got := auth.From(a.ctx); got.Endpoint != "http://localhost:4566" || got.Operation != "HeadBucket" || got.Service != "s3" || got.Scope.Region != "eu-west-1" {
		t.Errorf("%+v", got)
	}
}

func TestHeadersOfARefusal(t *testing.T) {
	for _, method := range []string{"GET", "HEAD"} {
		a := &answering{err: fault.New("NoSuchKey", "gone").WithHeader("x-amz-delete-marker", "true")}
		w := do(New(testConfig(a.mount(s3.Describe()))), request(method, "/b/k", "", signed("s3")))
		if w.Code != http.StatusNotFound || w.Header().Get("x-amz-delete-marker") != "true" {
			t.Errorf("%s: %d %v", method, w.Code, w.Header())
		}
	}
}
