package s3

import (
	"context"
	"crypto/md5"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"strings"
	"testing"

	kmsapi "github.com/slipway/slipway/api/kms"
	api "github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/fault"
)

// fakeKMS keeps what it wrapped, and for which key and context.
type fakeKMS struct {
	kmsapi.Unimplemented
	wrapped map[string]kmsapi.GenerateDataKeyInput
	plain   map[string][]byte
	denied  bool
}

func newFakeKMS() *fakeKMS {
	return &fakeKMS{wrapped: map[string]kmsapi.GenerateDataKeyInput{}, plain: map[string][]byte{}}
}

const fakeKeyARN = "arn:aws:kms:us-east-1:" + account + ":key/"

func (k *fakeKMS) GenerateDataKey(_ context.Context, in *kmsapi.GenerateDataKeyInput) (*kmsapi.GenerateDataKeyOutput, error) {
	if in.KeyId == "missing" {
		return nil, fault.New("NotFoundException", "Invalid keyId %s", in.KeyId)
	}
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	id := fmt.Sprint("wrapped-", len(k.plain))
	k.wrapped[id], k.plain[id] = *in, key
	return &kmsapi.GenerateDataKeyOutput{KeyId: fakeKeyARN + strings.TrimPrefix(in.KeyId, fakeKeyARN), Plaintext: key, CiphertextBlob: []byte(id)}, nil
}

func (k *fakeKMS) Decrypt(_ context.Context, in *kmsapi.DecryptInput) (*kmsapi.DecryptOutput, error) {
	if k.denied {
		return nil, fault.New(fault.AccessDeniedException, "no kms:Decrypt")
	}
	of, ok := k.wrapped[string(in.CiphertextBlob)]
	if !ok || !maps.Equal(of.EncryptionContext, in.EncryptionContext) {
		return nil, fault.New("InvalidCiphertextException", "")
	}
	return &kmsapi.DecryptOutput{Plaintext: k.plain[string(in.CiphertextBlob)]}, nil
}

func customer(fill byte) customerKey {
	key := []byte(strings.Repeat(string(fill), 32))
	sum := md5.Sum(key)
	return customerKey{sseS3, base64.StdEncoding.EncodeToString(key), base64.StdEncoding.EncodeToString(sum[:])}
}

func TestObjectsUnderKeysOfKMS(t *testing.T) {
	f := newFixture(t).bucket("bkt")
	keys := newFakeKMS()
	f.Service.kms = keys
	for _, size := range []int{0, 10, 20_000, 600_000} {
		key := fmt.Sprint("of-", size)
		put, err := f.PutObject(f.ctx, &api.PutObjectInput{Bucket: "bkt", Key: key, Body: text(large(size)), ServerSideEncryption: sseKMS, SSEKMSKeyId: "k",
			SSEKMSEncryptionContext: base64.StdEncoding.EncodeToString([]byte(`{"a":"b"}`))})
		noError(t, err)
		if put.ServerSideEncryption != sseKMS || put.SSEKMSKeyId != fakeKeyARN+"k" || put.SSEKMSEncryptionContext == "" {
			t.Fatalf("put tells %+v", put)
		}
		sum := md5.Sum([]byte(large(size)))
		if put.ETag == quote(fmt.Sprintf("%x", sum)) {
			t.Error("the entity tag is the content's MD5")
		}
		if got := f.body("bkt", key); got != large(size) {
			t.Fatalf("%d bytes came back of %d", len(got), size)
		}
		head, err := f.HeadObject(f.ctx, &api.HeadObjectInput{Bucket: "bkt", Key: key})
		noError(t, err)
		if head.ServerSideEncryption != sseKMS || head.SSEKMSKeyId != fakeKeyARN+"k" || head.ETag != put.ETag {
			t.Fatalf("head tells %+v", head)
		}
	}
	if got := keys.wrapped["wrapped-1"].EncryptionContext; got["aws:s3:arn"] != "arn:aws:s3:::bkt/of-10" || got["a"] != "b" {
		t.Errorf("context = %v", got)
	}
	keys.denied = true
	_, err := f.GetObject(f.ctx, &api.GetObjectInput{Bucket: "bkt", Key: "of-10"})
	wantFault(t, err, fault.AccessDenied, "")
}

func TestABucketsDefaultKey(t *testing.T) {
	f := newFixture(t).bucket("bkt")
	keys := newFakeKMS()
	f.Service.kms = keys
	_, err := f.PutBucketEncryption(f.ctx, &api.PutBucketEncryptionInput{Bucket: "bkt", ServerSideEncryptionConfiguration: &api.ServerSideEncryptionConfiguration{
		Rules: []api.ServerSideEncryptionRule{{ApplyServerSideEncryptionByDefault: &api.ServerSideEncryptionByDefault{SSEAlgorithm: sseKMS, KMSMasterKeyID: "dflt"}, BucketKeyEnabled: ptr(true)}},
	}})
	noError(t, err)
	put, err := f.PutObject(f.ctx, &api.PutObjectInput{Bucket: "bkt", Key: "k", Body: text("x")})
	noError(t, err)
	if put.SSEKMSKeyId != fakeKeyARN+"dflt" || !value(put.BucketKeyEnabled) || keys.wrapped["wrapped-0"].EncryptionContext["aws:s3:arn"] != "arn:aws:s3:::bkt" {
		t.Fatalf("put tells %+v", put)
	}
	plain, err := f.PutObject(f.ctx, &api.PutObjectInput{Bucket: "bkt", Key: "plain", Body: text("x"), ServerSideEncryption: sseS3})
	noError(t, err)
	if plain.ServerSideEncryption != sseS3 || plain.SSEKMSKeyId != "" {
		t.Fatalf("put tells %+v", plain)
	}
	part := large(100)
	u := f.begin("m", "", "").part(1, part)
	_, err = u.complete(nil, 1)
	noError(t, err)
	if got := f.body("bkt", "m"); got != part {
		t.Fatalf("%d bytes", len(got))
	}
	_, err = f.CopyObject(f.ctx, &api.CopyObjectInput{Bucket: "bkt", Key: "copy", CopySource: "bkt/m"})
	noError(t, err)
	if got := f.body("bkt", "copy"); got != part {
		t.Fatalf("%d bytes", len(got))
	}
}

func TestObjectsUnderAKeyOfTheCustomers(t *testing.T) {
	f := newFixture(t).bucket("bkt")
	a, b := customer('a'), customer('b')
	content := large(300_000)
	put, err := f.PutObject(f.ctx, &api.PutObjectInput{Bucket: "bkt", Key: "k", Body: text(content), SSECustomerAlgorithm: a.algorithm, SSECustomerKey: a.key, SSECustomerKeyMD5: a.md5})
	noError(t, err)
	if put.SSECustomerAlgorithm != sseS3 || put.SSECustomerKeyMD5 != a.md5 || put.ServerSideEncryption != "" {
		t.Fatalf("put tells %+v", put)
	}
	get := func(c customerKey) (string, error) {
		out, err := f.GetObject(f.ctx, &api.GetObjectInput{Bucket: "bkt", Key: "k", SSECustomerAlgorithm: c.algorithm, SSECustomerKey: c.key, SSECustomerKeyMD5: c.md5})
		if err != nil {
			return "", err
		}
		defer out.Body.Close()
		all, err := io.ReadAll(out.Body)
		return string(all), err
	}
	if got, err := get(a); err != nil || got != content {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	_, err = get(customerKey{})
	wantFault(t, err, fault.InvalidRequest, "")
	_, err = get(b)
	wantFault(t, err, fault.AccessDenied, "")
	_, err = f.HeadObject(f.ctx, &api.HeadObjectInput{Bucket: "bkt", Key: "k"})
	wantFault(t, err, fault.InvalidRequest, "")
	f.put("bkt", "plain", "x")
	_, err = f.GetObject(f.ctx, &api.GetObjectInput{Bucket: "bkt", Key: "plain", SSECustomerAlgorithm: a.algorithm, SSECustomerKey: a.key, SSECustomerKeyMD5: a.md5})
	wantFault(t, err, fault.InvalidRequest, "")
	_, err = f.CopyObject(f.ctx, &api.CopyObjectInput{Bucket: "bkt", Key: "copy", CopySource: "bkt/k",
		CopySourceSSECustomerAlgorithm: a.algorithm, CopySourceSSECustomerKey: a.key, CopySourceSSECustomerKeyMD5: a.md5})
	noError(t, err)
	if got := f.body("bkt", "copy"); got != content {
		t.Fatalf("the copy has %d bytes", len(got))
	}
}

func TestEncryptionsThatAreRefused(t *testing.T) {
	f := newFixture(t).bucket("bkt")
	f.Service.kms = newFakeKMS()
	good := customer('a')
	tests := map[string]struct {
		in   api.PutObjectInput
		code string
	}{
		"dsse":            {api.PutObjectInput{ServerSideEncryption: sseDSSE}, fault.NotImplemented},
		"unknown":         {api.PutObjectInput{ServerSideEncryption: "rot13"}, fault.InvalidEncryptionAlgorithm},
		"key without kms": {api.PutObjectInput{ServerSideEncryption: sseS3, SSEKMSKeyId: "k"}, fault.InvalidArgument},
		"bad context":     {api.PutObjectInput{ServerSideEncryption: sseKMS, SSEKMSEncryptionContext: "%"}, fault.InvalidArgument},
		"missing key":     {api.PutObjectInput{ServerSideEncryption: sseKMS, SSEKMSKeyId: "missing"}, "KMS.NotFoundException"},
		"other algorithm": {api.PutObjectInput{SSECustomerAlgorithm: "AES128", SSECustomerKey: good.key, SSECustomerKeyMD5: good.md5}, fault.InvalidEncryptionAlgorithm},
		"no key":          {api.PutObjectInput{SSECustomerAlgorithm: sseS3, SSECustomerKeyMD5: good.md5}, fault.InvalidArgument},
		"no md5":          {api.PutObjectInput{SSECustomerAlgorithm: sseS3, SSECustomerKey: good.key}, fault.InvalidArgument},
		"other md5":       {api.PutObjectInput{SSECustomerAlgorithm: sseS3, SSECustomerKey: good.key, SSECustomerKeyMD5: customer('b').md5}, fault.InvalidArgument},
		"short key":       {api.PutObjectInput{SSECustomerAlgorithm: sseS3, SSECustomerKey: "YQ==", SSECustomerKeyMD5: good.md5}, fault.InvalidArgument},
		"both":            {api.PutObjectInput{ServerSideEncryption: sseKMS, SSECustomerAlgorithm: sseS3, SSECustomerKey: good.key, SSECustomerKeyMD5: good.md5}, fault.InvalidArgument},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tt.in.Bucket, tt.in.Key, tt.in.Body = "bkt", "k", text("x")
			_, err := f.PutObject(f.ctx, &tt.in)
			wantFault(t, err, tt.code, "")
		})
	}
}
