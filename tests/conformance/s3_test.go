package conformance

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/s3/manager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// bucket makes a bucket that ends, emptied, with the test.
func bucket(t *testing.T, client *s3.Client, name string) string {
	t.Helper()
	ctx := context.Background()
	ok(client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &name}))(t)
	t.Cleanup(func() {
		pages := s3.NewListObjectVersionsPaginator(client, &s3.ListObjectVersionsInput{Bucket: &name})
		for pages.HasMorePages() {
			page := ok(pages.NextPage(ctx))(t)
			var ids []types.ObjectIdentifier
			for _, v := range page.Versions {
				ids = append(ids, types.ObjectIdentifier{Key: v.Key, VersionId: v.VersionId})
			}
			for _, m := range page.DeleteMarkers {
				ids = append(ids, types.ObjectIdentifier{Key: m.Key, VersionId: m.VersionId})
			}
			if len(ids) > 0 {
				ok(client.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: &name, Delete: &types.Delete{Objects: ids}}))(t)
			}
		}
		ok(client.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &name}))(t)
	})
	return name
}

// styles are the two ways in which clients name buckets.
func styles(t *testing.T) map[string]*s3.Client {
	path := s3.NewFromConfig(configured(t), func(o *s3.Options) { o.UsePathStyle = true })
	host := s3.NewFromConfig(configured(t), func(o *s3.Options) {
		// *.localhost leads to the loopback address, which not every resolver knows.
		o.BaseEndpoint = aws.String(strings.Replace(slipway.endpoint, "127.0.0.1", "s3.localhost", 1))
		o.HTTPClient = toLoopback()
	})
	return map[string]*s3.Client{"path": path, "host": host}
}

func TestObjects(t *testing.T) {
	ctx := context.Background()
	for style, client := range styles(t) {
		t.Run(style, func(t *testing.T) {
			b := bucket(t, client, "objects-"+style)
			for _, algorithm := range []types.ChecksumAlgorithm{"", types.ChecksumAlgorithmCrc32, types.ChecksumAlgorithmCrc32c, types.ChecksumAlgorithmCrc64nvme, types.ChecksumAlgorithmSha1, types.ChecksumAlgorithmSha256} {
				key := "dir/a b+ü-" + string(algorithm)
				text := "content " + string(algorithm)
				put := ok(client.PutObject(ctx, &s3.PutObjectInput{
					Bucket: &b, Key: &key, Body: strings.NewReader(text), ChecksumAlgorithm: algorithm, Metadata: map[string]string{"colour": "blue"}, ContentType: aws.String("text/x-note"),
				}))(t)
				got := ok(client.GetObject(ctx, &s3.GetObjectInput{Bucket: &b, Key: &key, ChecksumMode: types.ChecksumModeEnabled}))(t)
				body := ok(io.ReadAll(got.Body))(t) // the SDK checks the checksum here
				if string(body) != text || got.Metadata["colour"] != "blue" || *got.ContentType != "text/x-note" || *got.ETag != *put.ETag {
					t.Errorf("%s: %q %v %s %s", key, body, got.Metadata, *got.ContentType, *got.ETag)
				}
			}
			key := "dir/a b+ü-"
			part := ok(client.GetObject(ctx, &s3.GetObjectInput{Bucket: &b, Key: &key, Range: aws.String("bytes=3-6")}))(t)
			if body := ok(io.ReadAll(part.Body))(t); string(body) != "tent" || *part.ContentRange != "bytes 3-6/8" {
				t.Errorf("range %q %s", body, *part.ContentRange)
			}
			_, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: &b, Key: &key, Body: strings.NewReader("x"), IfNoneMatch: aws.String("*")})
			refused(t, err, "PreconditionFailed")
			_, err = client.GetObject(ctx, &s3.GetObjectInput{Bucket: &b, Key: aws.String("none")})
			typed[*types.NoSuchKey](t, err)
			_, err = client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &b, Key: aws.String("none")})
			typed[*types.NotFound](t, err)
			_, err = client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: aws.String("no-such-bucket-here")})
			typed[*types.NoSuchBucket](t, err)
			ok(client.CopyObject(ctx, &s3.CopyObjectInput{Bucket: &b, Key: aws.String("copy"), CopySource: aws.String(b + "/dir/a%20b%2B%C3%BC-")}))(t)
			listed := ok(client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &b, Delimiter: aws.String("/")}))(t)
			if len(listed.Contents) != 1 || len(listed.CommonPrefixes) != 1 || *listed.CommonPrefixes[0].Prefix != "dir/" {
				t.Errorf("listed %d and %d", len(listed.Contents), len(listed.CommonPrefixes))
			}
		})
	}
}

func TestPages(t *testing.T) {
	ctx := context.Background()
	client := styles(t)["path"]
	b := bucket(t, client, "pages")
	want := 25
	for i := range want {
		ok(client.PutObject(ctx, &s3.PutObjectInput{Bucket: &b, Key: aws.String(fmt.Sprintf("k%02d", i)), Body: strings.NewReader("x")}))(t)
	}
	var keys []string
	pages := s3.NewListObjectsV2Paginator(client, &s3.ListObjectsV2Input{Bucket: &b, MaxKeys: aws.Int32(10)})
	for pages.HasMorePages() {
		for _, o := range ok(pages.NextPage(ctx))(t).Contents {
			keys = append(keys, *o.Key)
		}
	}
	if len(keys) != want || keys[0] != "k00" || keys[want-1] != "k24" {
		t.Errorf("%v", keys)
	}
}

func TestMultipart(t *testing.T) {
	ctx := context.Background()
	client := styles(t)["path"]
	b := bucket(t, client, "multipart")
	data := bytes.Repeat([]byte("0123456789abcdef"), 12<<20/16) // three parts of the manager's 5 MiB
	key := aws.String("large")
	ok(manager.NewUploader(client).Upload(ctx, &s3.PutObjectInput{Bucket: &b, Key: key, Body: bytes.NewReader(data)}))(t)
	into := manager.NewWriteAtBuffer(nil)
	ok(manager.NewDownloader(client).Download(ctx, into, &s3.GetObjectInput{Bucket: &b, Key: key}))(t)
	if !bytes.Equal(into.Bytes(), data) {
		t.Errorf("got %d bytes back, or others", len(into.Bytes()))
	}
	attributes := ok(client.GetObjectAttributes(ctx, &s3.GetObjectAttributesInput{
		Bucket: &b, Key: key, ObjectAttributes: []types.ObjectAttributes{types.ObjectAttributesObjectParts, types.ObjectAttributesObjectSize},
	}))(t)
	if *attributes.ObjectSize != int64(len(data)) || *attributes.ObjectParts.TotalPartsCount != 3 {
		t.Errorf("%d bytes in %d parts", *attributes.ObjectSize, *attributes.ObjectParts.TotalPartsCount)
	}
	_, err := client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{Bucket: &b, Key: key, UploadId: aws.String("none"),
		MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{{ETag: aws.String("x"), PartNumber: aws.Int32(1)}}}})
	refused(t, err, "NoSuchUpload")
}

func TestPresigned(t *testing.T) {
	ctx := context.Background()
	client := styles(t)["path"]
	b := bucket(t, client, "presigned")
	sign := s3.NewPresignClient(client)
	put := ok(sign.PresignPutObject(ctx, &s3.PutObjectInput{Bucket: &b, Key: aws.String("k"), ContentType: aws.String("text/plain")}))(t)
	send := func(method, url string, header http.Header, body string) (int, string) {
		r := ok(http.NewRequest(method, url, strings.NewReader(body)))(t)
		for name, values := range header {
			r.Header[name] = values
		}
		w := ok(http.DefaultClient.Do(r))(t)
		defer w.Body.Close()
		return w.StatusCode, string(ok(io.ReadAll(w.Body))(t))
	}
	if code, body := send(put.Method, put.URL, put.SignedHeader, "by a link"); code != 200 {
		t.Errorf("put: %d %s", code, body)
	}
	get := ok(sign.PresignGetObject(ctx, &s3.GetObjectInput{Bucket: &b, Key: aws.String("k")}))(t)
	if code, body := send(get.Method, get.URL, nil, ""); code != 200 || body != "by a link" {
		t.Errorf("get: %d %s", code, body)
	}
	if code, body := send(get.Method, strings.Replace(get.URL, "/k?", "/other?", 1), nil, ""); code != 403 || !strings.Contains(body, "SignatureDoesNotMatch") {
		t.Errorf("another key: %d %s", code, body)
	}
}
