package kms

import (
	"context"
	"strings"
	"testing"
	"time"

	api "github.com/slipway/slipway/api/kms"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/keyring"
	"github.com/slipway/slipway/store/storetest"
	"github.com/slipway/slipway/tests/corpus/replay"
)

// recorded is the service that AWS's answers are held against, and its caller.
func recorded(t *testing.T) (*replay.Records, context.Context) {
	t.Helper()
	s := New(Config{Store: storetest.New(t), Ring: keyring.Ephemeral(), Now: time.Now})
	return replay.Open(t, "kms/test_kms", api.Describe(), s),
		auth.With(t.Context(), auth.Call{Principal: auth.RootOf(replay.Account), Scope: arn.Scope{Account: replay.Account, Region: "us-east-1"}})
}

func created(c *replay.Case, ctx context.Context, in *api.CreateKeyInput) *api.KeyMetadata {
	c.Helper()
	return replay.As[api.CreateKeyOutput](c.Call("", ctx, in)).KeyMetadata
}

func TestRecordedRefusals(t *testing.T) {
	records, ctx := recorded(t)
	for n, name := range map[int32]string{0: "0", 1025: "1025"} {
		c := records.Case(t, "TestKMS::test_generate_random_invalid_number_of_bytes["+name+"]")
		c.Call("generate-random-exc", ctx, &api.GenerateRandomInput{NumberOfBytes: &n})
	}

	c := records.Case(t, "TestKMS::test_encrypt_validate_plaintext_size_per_key_type[RSA_2048-RSAES_OAEP_SHA_1]")
	k := created(c, ctx, &api.CreateKeyInput{KeySpec: "RSA_2048", KeyUsage: "ENCRYPT_DECRYPT"})
	c.Call("generate-random-exc", ctx, &api.EncryptInput{KeyId: k.KeyId, Plaintext: make([]byte, 215), EncryptionAlgorithm: "RSAES_OAEP_SHA_1"})

	c = records.Case(t, "TestKMS::test_get_key_does_not_exist")
	id, mrk := "134f2428-cec1-4b25-a1ae-9048164dba47", "mrk-d3b95762d3b95762d3b95762d3b95762"
	c.Bind("<key-arn>", "arn:aws:kms:us-east-1:111111111111:key/"+id)
	c.Bind("<mrk-key-arn>", "arn:aws:kms:us-east-1:111111111111:key/"+mrk)
	c.Call("describe-nonexistent-key-with-id", ctx, &api.DescribeKeyInput{KeyId: id})
	c.Call("describe-nonexistent-with-arn", ctx, &api.DescribeKeyInput{KeyId: "arn:aws:kms:us-east-1:111111111111:key/" + id})
	c.Call("describe-key-with-valid-id-mrk", ctx, &api.DescribeKeyInput{KeyId: mrk})

	c = records.Case(t, "TestKMS::test_get_key_invalid_uuid")
	c.Call("describe-key-with-invalid-uuid", ctx, &api.DescribeKeyInput{KeyId: "fake-key-id"})
	c.Call("describe-key-with-invalid-uuid-2", ctx, &api.DescribeKeyInput{KeyId: strings.ReplaceAll(id, "-", "")})
	c.Call("describe-key-with-invalid-uuid-mrk", ctx, &api.DescribeKeyInput{KeyId: "mrk-fake-key-id"})

	c = records.Case(t, "TestKMS::test_create_alias")
	k = created(c, ctx, &api.CreateKeyInput{})
	c.Call("create_alias", ctx, &api.CreateAliasInput{AliasName: "no-prefix", TargetKeyId: k.KeyId})

	c = records.Case(t, "TestKMS::test_get_parameters_for_import")
	c.Bind("<key-arn>", k.Arn)
	c.Call("response-error", ctx, &api.GetParametersForImportInput{KeyId: k.KeyId, WrappingAlgorithm: "RSAES_OAEP_SHA_256", WrappingKeySpec: "RSA_2048"})

	c = records.Case(t, "TestKMSGenerateKeys::test_generate_data_key_pair_without_plaintext_dry_run")
	c.Call("dryrun_exception", ctx, &api.GenerateDataKeyPairWithoutPlaintextInput{KeyId: k.KeyId, KeyPairSpec: "RSA_2048", DryRun: new(true)})

	c = records.Case(t, "TestKMS::test_get_key_in_different_region")
	c.Bind("<secondary-region>", "us-west-2")
	there := auth.From(ctx)
	there.Scope.Region = "us-west-2"
	west := auth.With(ctx, there)
	k = created(c, west, &api.CreateKeyInput{Description: "test key 123"})
	c.Call("describe-key-diff-region-with-id", ctx, &api.DescribeKeyInput{KeyId: k.KeyId})
	c.Call("describe-key-diff-region-with-arn", ctx, &api.DescribeKeyInput{KeyId: k.Arn})
	c.Call("describe-key-same-specific-region-with-id", west, &api.DescribeKeyInput{KeyId: k.KeyId})
	c.Call("describe-key-same-specific-region-with-arn", west, &api.DescribeKeyInput{KeyId: k.Arn})
}

func TestRecordedSignaturesAndMACs(t *testing.T) {
	records, ctx := recorded(t)
	for _, algorithm := range []string{"RSA_2048-RSASSA_PSS_SHA_512", "RSA_4096-RSASSA_PKCS1_V1_5_SHA_256"} {
		spec, algorithm, _ := strings.Cut(algorithm, "-")
		c := records.Case(t, "TestKMS::test_sign_verify["+spec+"-"+algorithm+"]")
		k := created(c, ctx, &api.CreateKeyInput{KeySpec: spec, KeyUsage: "SIGN_VERIFY"})
		c.Bind("<key-id:1>", k.Arn)
		message := []byte("test message")
		out := replay.As[api.SignOutput](c.Call("signature", ctx, &api.SignInput{KeyId: k.KeyId, Message: message, MessageType: "RAW", SigningAlgorithm: algorithm}))
		c.Call("verification", ctx, &api.VerifyInput{KeyId: k.KeyId, Message: message, MessageType: "RAW", SigningAlgorithm: algorithm, Signature: out.Signature})
		c.Call("bad-digest", ctx, &api.VerifyInput{KeyId: k.KeyId, Message: []byte("short"), MessageType: "DIGEST", SigningAlgorithm: algorithm, Signature: out.Signature})
		c.Call("bad-signature", ctx, &api.VerifyInput{KeyId: k.KeyId, Message: message, MessageType: "RAW", SigningAlgorithm: algorithm, Signature: []byte("bad")})
	}

	c := records.Case(t, "TestKMS::test_invalid_generate_mac[HMAC_224-HMAC_SHA_256]")
	k := created(c, ctx, &api.CreateKeyInput{KeySpec: "HMAC_224", KeyUsage: "GENERATE_VERIFY_MAC"})
	c.Call("generate-mac", ctx, &api.GenerateMacInput{KeyId: k.KeyId, Message: []byte("m"), MacAlgorithm: "HMAC_SHA_256"})
	c = records.Case(t, "TestKMS::test_invalid_generate_mac[HMAC_256-INVALID]")
	k = created(c, ctx, &api.CreateKeyInput{KeySpec: "HMAC_256", KeyUsage: "GENERATE_VERIFY_MAC"})
	c.Except("generate-mac/Error/Message", "AWS has the values in no order")
	c.Call("generate-mac", ctx, &api.GenerateMacInput{KeyId: k.KeyId, Message: []byte("m"), MacAlgorithm: "INVALID"})
	c = records.Case(t, "TestKMS::test_invalid_verify_mac[HMAC_256-HMAC_SHA_256-some different important message]")
	c.Bind("<key-id:1>", k.Arn)
	out := replay.As[api.GenerateMacOutput](c.Call("generate-mac", ctx, &api.GenerateMacInput{KeyId: k.KeyId, Message: []byte("some important message"), MacAlgorithm: "HMAC_SHA_256"}))
	c.Call("verify-mac", ctx, &api.VerifyMacInput{KeyId: k.KeyId, Message: []byte("some different important message"), MacAlgorithm: "HMAC_SHA_256", Mac: out.Mac})
}

func TestRecordedTags(t *testing.T) {
	records, ctx := recorded(t)
	two := []api.Tag{{TagKey: "tag1", TagValue: "value1"}, {TagKey: "tag2", TagValue: "value2"}}
	list := func(c *replay.Case, id string) any {
		out := []any{}
		for _, tag := range replay.As[api.ListResourceTagsOutput](c.Call("", ctx, &api.ListResourceTagsInput{KeyId: id})).Tags {
			out = append(out, map[string]any{"TagKey": tag.TagKey, "TagValue": tag.TagValue})
		}
		return out
	}
	for _, name := range []string{"test_tag_existing_key_and_untag", "test_create_key_with_tag_and_untag"} {
		c := records.Case(t, "TestKMS::"+name)
		in := &api.CreateKeyInput{}
		if strings.HasPrefix(name, "test_create") {
			in.Tags = two
		}
		k := created(c, ctx, in)
		if in.Tags == nil {
			c.Call("", ctx, &api.TagResourceInput{KeyId: k.KeyId, Tags: two})
		}
		c.Hold("list-resource-tags", list(c, k.KeyId))
		c.Call("", ctx, &api.UntagResourceInput{KeyId: k.KeyId, TagKeys: []string{"tag1", "tag2"}})
		c.Hold("list-resource-tags-after-all-untagged", list(c, k.KeyId))
	}
	for parameter, key := range map[string]string{"lowercase_prefix": "aws:key1", "uppercase_prefix": "AWS:key1", "too_long_key": strings.Repeat("a", 129)} {
		c := records.Case(t, "TestKMS::test_create_key_with_invalid_tag_key["+parameter+"]")
		c.Call("invalid-tag-key", ctx, &api.CreateKeyInput{Tags: []api.Tag{{TagKey: key, TagValue: "value1"}}})
	}
	c := records.Case(t, "TestKMS::test_tag_existing_key_with_invalid_tag_key")
	k := created(c, ctx, &api.CreateKeyInput{})
	c.Call("invalid-tag-key", ctx, &api.TagResourceInput{KeyId: k.KeyId, Tags: []api.Tag{{TagKey: "aws:key1", TagValue: "value1"}}})
}

func TestRecordedImportsAndRotations(t *testing.T) {
	records, ctx := recorded(t)
	c := records.Case(t, "TestKMS::test_rotate_key_on_demand_on_external_key_with_no_key_material[SYMMETRIC_DEFAULT]")
	out, err := c.Call("", ctx, &api.CreateKeyInput{Origin: "EXTERNAL", Description: "test-key"})
	k := replay.As[api.CreateKeyOutput](out, err).KeyMetadata
	c.Leave("create-kms-external-key", "the same as describe-before-import below")
	c.Bind("<key-id:1>", k.KeyId)
	c.Call("rotate-key-on-demand-error-response-SYMMETRIC_DEFAULT", ctx, &api.RotateKeyOnDemandInput{KeyId: k.KeyId})

	c = records.Case(t, "TestKMS::test_rotate_on_demand_returns_arn_for_key_id")
	k = created(c, ctx, &api.CreateKeyInput{Description: "test-key"})
	c.Bind("<key-id:1>", k.KeyId)
	c.Call("rotate-on-demand-aws-key", ctx, &api.RotateKeyOnDemandInput{KeyId: k.KeyId})

	for _, spec := range []string{"ECC_NIST_P256", "ECC_NIST_P521"} {
		c = records.Case(t, "TestKMS::test_import_key_ecc_keys["+spec+"]")
		k = created(c, ctx, &api.CreateKeyInput{Origin: "EXTERNAL", KeySpec: spec, KeyUsage: "SIGN_VERIFY", Description: "test ecc key import"})
		c.Call("describe-key-before-import", ctx, &api.DescribeKeyInput{KeyId: k.KeyId})
		for _, entry := range []string{"describe-key-after-import", "sign-result", "verify-result", "describe-key-after-deleted-import"} {
			c.Leave(entry, "import_test.go imports keys")
		}
	}

	c = records.Case(t, "TestKMS::test_key_rotation_updates_current_key_material_id_for_aws_symmetric_keys")
	k = created(c, ctx, &api.CreateKeyInput{Description: "test-key"})
	c.Call("describe-key-before-rotation", ctx, &api.DescribeKeyInput{KeyId: k.KeyId})
	c.Call("", ctx, &api.RotateKeyOnDemandInput{KeyId: k.KeyId})
	c.Call("describe-key-after-rotation", ctx, &api.DescribeKeyInput{KeyId: k.KeyId})
}
