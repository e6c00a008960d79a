package secretsmanager

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	api "github.com/slipway/slipway/api/secretsmanager"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store/storetest"
	"github.com/slipway/slipway/tests/corpus/replay"
)

// recorded is one case, and a caller.
type recorded struct {
	*replay.Case
	s   *Service
	ctx context.Context
	n   int // versions made
}

// record begins a case with a service of its own.
func record(t *testing.T, name string) *recorded {
	t.Helper()
	s := New(Config{Store: storetest.New(t), KMS: newKeys(), Now: time.Now})
	records := replay.Open(t, "secretsmanager/test_secretsmanager", api.Describe(), s)
	return &recorded{
		Case: records.Case(t, "TestSecretsManager::"+name), s: s,
		ctx: auth.With(t.Context(), auth.Call{Principal: auth.RootOf(replay.Account), Scope: arn.Scope{Account: replay.Account, Region: region}}),
	}
}

func (c *recorded) token() string {
	c.n++
	return id(c.n)
}

// create makes a secret, and tells the record its name and the end of its ARN.
func (c *recorded) create(entry, name, description, text string, i int) string {
	c.Helper()
	in := &api.CreateSecretInput{Name: name, Description: description, SecretString: text}
	if text != "" {
		in.ClientRequestToken = c.token()
	}
	c.Bind("<SecretId-"+strconv.Itoa(i)+"idx>", name)
	out := replay.As[api.CreateSecretOutput](c.Call(entry, c.ctx, in))
	if _, suffix, ok := strings.Cut(out.ARN, "secret:"+name); ok {
		c.Bind("<ArnPart-"+strconv.Itoa(i)+"idx>", suffix)
	}
	if entry == "" && text != "" {
		c.Bind("<version_uuid:"+strconv.Itoa(c.n)+">", out.VersionId)
	}
	return out.ARN
}

func (c *recorded) put(entry, name, text string, stages ...string) string {
	c.Helper()
	out := replay.As[api.PutSecretValueOutput](c.Call(entry, c.ctx, &api.PutSecretValueInput{SecretId: name, ClientRequestToken: c.token(), SecretString: text, VersionStages: stages}))
	return out.VersionId
}

func (c *recorded) get(entry, name, versionID, stage string) {
	c.Helper()
	_, _ = c.Call(entry, c.ctx, &api.GetSecretValueInput{SecretId: name, VersionId: versionID, VersionStage: stage})
}

func (c *recorded) versions(entry, name string, deprecated bool) {
	c.Helper()
	_, _ = c.Call(entry, c.ctx, &api.ListSecretVersionIdsInput{SecretId: name, IncludeDeprecated: &deprecated})
}

func (c *recorded) remove(entry, name string) {
	c.Helper()
	_, _ = c.Call(entry, c.ctx, &api.DeleteSecretInput{SecretId: name, ForceDeleteWithoutRecovery: new(true)})
}

// hold holds an answer against an entry that was recorded without its status.
func (c *recorded) hold(entry, operation string, in any) {
	c.Helper()
	out, err := c.Call("", c.ctx, in)
	if err != nil {
		c.Fatal(err)
	}
	c.Hold(entry, replay.Tree(api.Describe(), operation, out))
}

func TestRecordedSecrets(t *testing.T) {
	for _, name := range []string{"s-c64bdc03", "s-c64bdc03-True", "Valid/_+=.@-Name", "Valid/_+=.@-Name-a1b2c3-", "Valid/_+=.@-Name-a1b2c3--True"} {
		c := record(t, "test_create_and_update_secret["+name+"]")
		name, byPart := strings.CutSuffix(name, "-True")
		full := c.create("create_secret_rs_1", name, "Testing secret creation.", "my_secret", 0)
		ref := full
		if byPart {
			ref = full[:len(full)-suffixLength-1]
		}
		c.get("get_secret_value_rs_1", name, "", "")
		_, _ = c.Call("describe_secret_rs_1", c.ctx, &api.DescribeSecretInput{SecretId: name})
		c.get("get_secret_value_rs_2", name, "", "")
		c.get("get_secret_value_rs_3", ref, "", "")
		c.put("put_secret_value_rs_1", name, "new_secret")
		c.get("get_secret_value_rs_4", name, "", "")
		_, _ = c.Call("update_secret_res_1", c.ctx, &api.UpdateSecretInput{SecretId: ref, ClientRequestToken: c.token(), SecretString: "updated", Description: "New"})
		c.remove("delete_secret_res_1", name)
	}

	c := record(t, "test_can_recreate_delete_secret")
	in := &api.CreateSecretInput{Name: "again", SecretString: "x", ClientRequestToken: c.token()}
	c.hold("create_secret_res_0", "CreateSecret", in)
	c.hold("delete_res_1", "DeleteSecret", &api.DeleteSecretInput{SecretId: "again", ForceDeleteWithoutRecovery: new(true)})
	in.ClientRequestToken = c.token()
	c.hold("create_secret_res_1", "CreateSecret", in)

	c = record(t, "test_exp_raised_on_creation_of_secret_scheduled_for_deletion")
	c.create("", "gone", "", "x", 0)
	c.hold("delete_res", "DeleteSecret", &api.DeleteSecretInput{SecretId: "gone"})
	_, _ = c.Call("invalid_req_ex", c.ctx, &api.CreateSecretInput{Name: "gone", SecretString: "x", ClientRequestToken: c.token()})

	c = record(t, "test_force_delete_deleted_secret")
	c.create("create_secret_response", "forced", "", "x", 0)
	_, _ = c.Call("delete_secret_response", c.ctx, &api.DeleteSecretInput{SecretId: "forced", RecoveryWindowInDays: new(int64(7))})
	_, _ = c.Call("describe_secret_response", c.ctx, &api.DescribeSecretInput{SecretId: "forced"})
	c.remove("force_delete_secret_response", "forced")

	c = record(t, "test_change_secret_value_after_creation[footest-updated1]")
	for entry, text := range map[string]string{"put_secret_value_secret_response": "initial", "put_secret_binary_response_updated": "footest", "update_secret_binary_response_updated": "updated1"} {
		c.Except(entry+"/SecretBinary", "the record has Python's form of bytes: b'"+text+"'")
	}
	c.Bind("<SecretId-0idx>", "binary")
	_, _ = c.Call("", c.ctx, &api.CreateSecretInput{Name: "binary", SecretBinary: []byte("initial"), ClientRequestToken: c.token()})
	c.get("put_secret_value_secret_response", "binary", "", "")
	_, _ = c.Call("", c.ctx, &api.PutSecretValueInput{SecretId: "binary", SecretBinary: []byte("footest"), ClientRequestToken: c.token()})
	c.get("put_secret_binary_response_updated", "binary", "", "")
	_, _ = c.Call("", c.ctx, &api.UpdateSecretInput{SecretId: "binary", SecretBinary: []byte("updated1"), ClientRequestToken: c.token()})
	c.get("update_secret_binary_response_updated", "binary", "", "")
}

func TestRecordedLists(t *testing.T) {
	c := record(t, "test_call_lists_secrets_multiple_times_snapshots")
	c.create("create_secret_rs_1", "listed", "testing creation of secrets", "x", 0)
	for _, entry := range []string{"list_secrets_res_0", "list_secrets_res_1", "list_secrets_res_2"} {
		_, _ = c.Call(entry, c.ctx, &api.ListSecretsInput{})
	}
	c.remove("delete_secret_res_1", "listed")

	c = record(t, "test_create_multi_secrets_snapshot")
	names := []string{"multi-0", "multi-1", "multi-2"}
	for i, name := range names {
		c.create("", name, "Testing secrets creation.", "x", i)
	}
	_, _ = c.Call("list_secrets_res", c.ctx, &api.ListSecretsInput{})
	for i, name := range names {
		c.remove("delete_secret_res"+strconv.Itoa(i), name)
	}
}

func TestRecordedStages(t *testing.T) {
	c := record(t, "test_put_secret_value_with_version_stages")
	c.create("create_secret_rs_0", "staged", "", "secret_string_v0", 0)
	c.get("get_secret_value_res_0", "staged", "", "")
	for n, stages := range [][]string{{"SAMPLESTAGE1", "SAMPLESTAGE0"}, {"SAMPLESTAGE0", "SAMPLESTAGE1"}, {pending}, {current}} {
		at := strconv.Itoa(n + 1)
		c.put("put_secret_value_res_"+at, "staged", "secret_string_v"+at, stages...)
		c.get("get_secret_value_res_"+at, "staged", "", "")
	}
	c.remove("delete_secret_res_1", "staged")

	for test, again := range map[string][]string{
		"test_non_versioning_version_stages_replacement":    {"one", "two", "three", "four"},
		"test_non_versioning_version_stages_no_replacement": {"one", "two", "four"},
	} {
		c = record(t, test)
		c.create("create_secret_rs_0", "moved", "", "x", 0)
		c.put("put_secret_value_res_0", "moved", "y", "one", "two", "three")
		c.versions("list_secret_version_ids_res_0", "moved", false)
		c.put("put_secret_value_res_1", "moved", "z", again...)
		c.versions("list_secret_version_ids_res_1", "moved", false)
		c.remove("delete_secret_res_0", "moved")
	}

	c = record(t, "test_update_secret_version_stages_return_type")
	c.create("create_secret_rs_0", "returned", "", "x", 0)
	second := c.put("put_secret_value_res_0", "returned", "y", pending)
	_, _ = c.Call("update_secret_version_stage_res_0", c.ctx, &api.UpdateSecretVersionStageInput{SecretId: "returned", VersionStage: pending, RemoveFromVersionId: second, MoveToVersionId: id(1)})
	c.remove("delete_secret_res_0", "returned")

	c = record(t, "test_update_secret_version_stages_current_pending_cycle_custom_stages_3")
	c.create("create_secret_rs", "cycle", "", "SS", 0)
	second = c.put("put_secret_value_res_0", "cycle", "S1", "PENDING")
	c.versions("list_secret_version_ids_rs", "cycle", false)
	both := func(suffix string) {
		c.get("get_secret_value_v1_rs"+suffix, "cycle", id(1), "")
		c.get("get_secret_value_v2_rs"+suffix, "cycle", second, "")
	}
	both("")
	_, _ = c.Call("update_secret_version_stage_res_1", c.ctx, &api.UpdateSecretVersionStageInput{SecretId: "cycle", VersionStage: current, RemoveFromVersionId: id(1), MoveToVersionId: second})
	both("_1")
	_, _ = c.Call("update_secret_version_stage_res_2", c.ctx, &api.UpdateSecretVersionStageInput{SecretId: "cycle", VersionStage: "PENDING", RemoveFromVersionId: second})
	both("_2")
	c.remove("delete_secret_res_0", "cycle")

	c = record(t, "test_deprecated_secret_version_stage")
	c.create("create_secret", "old", "", "x", 0)
	c.versions("list_secret_version_ids", "old", false)
	c.put("put_secret_value_1", "old", "y")
	c.versions("list_secret_version_ids_1", "old", false)
	c.put("put_secret_value_2", "old", "z")
	c.versions("list_secret_version_ids_2", "old", false)
	c.versions("list_secret_version_ids_3", "old", true)
	c.put("put_secret_value_3", "old", "a")
	c.versions("list_secret_version_ids_4", "old", false)
	c.versions("list_secret_version_ids_5", "old", true)
}

func TestRecordedTags(t *testing.T) {
	c := record(t, "test_secret_tags")
	c.create("create_secret", "tagged", "", "", 0)
	describe := func(entry string) { _, _ = c.Call(entry, c.ctx, &api.DescribeSecretInput{SecretId: "tagged"}) }
	tag := func(entry string, tags ...api.Tag) {
		_, _ = c.Call(entry, c.ctx, &api.TagResourceInput{SecretId: "tagged", Tags: tags})
	}
	untag := func(entry string, names ...string) {
		_, _ = c.Call(entry, c.ctx, &api.UntagResourceInput{SecretId: "tagged", TagKeys: names})
	}
	describe("describe_secret")
	tag("tag_resource_1", api.Tag{Key: "tag1", Value: "value1"})
	describe("describe_secret_1")
	tag("tag_resource_2", api.Tag{Key: "tag2", Value: "value2"})
	describe("describe_secret_2")
	untag("untag_resource_1", "tag1")
	describe("describe_secret_3")
	untag("untag_resource_2", "tag2")
	describe("describe_secret_4")
	tag("", api.Tag{Key: "tag3", Value: "value3"}, api.Tag{Key: "tag4", Value: "value4"})
	describe("describe_secret_5")
	untag("", "tag3", "tag4")
	describe("describe_secret_6")

	c = record(t, "test_tag_untag_resource_on_deleted_secret")
	c.create("create_secret", "deleted", "", "x", 0)
	_, _ = c.Call("delete_secret", c.ctx, &api.DeleteSecretInput{SecretId: "deleted"})
	_, _ = c.Call("tag_deleted_secret_error", c.ctx, &api.TagResourceInput{SecretId: "deleted", Tags: []api.Tag{{Key: "a", Value: "b"}}})
	_, _ = c.Call("untag_deleted_secret_error", c.ctx, &api.UntagResourceInput{SecretId: "deleted", TagKeys: []string{"a"}})
}

func TestRecordedRefusals(t *testing.T) {
	for _, name := range []string{` Inv*Name? `, ` Inv *?!]Name\\-`} {
		c := record(t, "test_invalid_secret_name["+name+"]")
		for i, in := range []any{
			&api.CreateSecretInput{Name: name, SecretString: "x", ClientRequestToken: id(1)},
			&api.DeleteSecretInput{SecretId: name, ForceDeleteWithoutRecovery: new(true)},
			&api.DescribeSecretInput{SecretId: name},
			&api.GetSecretValueInput{SecretId: name},
			&api.ListSecretVersionIdsInput{SecretId: name},
			&api.PutSecretValueInput{SecretId: name, SecretString: "x", ClientRequestToken: id(1)},
			&api.TagResourceInput{SecretId: name, Tags: []api.Tag{{Key: "a", Value: "b"}}},
			&api.UntagResourceInput{SecretId: name, TagKeys: []string{"a"}},
			&api.UpdateSecretInput{SecretId: name, Description: "d"},
			&api.ValidateResourcePolicyInput{SecretId: name, ResourcePolicy: `{"Version":"2012-10-17","Statement":[]}`},
		} {
			_, _ = c.Call("ex_log_"+strconv.Itoa(i+1), c.ctx, in)
		}
	}

	c := record(t, "test_secret_not_found")
	c.get("get_secret_value_not_found_ex", "none", "", "")
	c.versions("list_secret_version_ids_not_found_ex", "none", false)

	c = record(t, "test_secret_version_not_found")
	c.create("", "empty", "", "", 0)
	c.Bind("<version-id>", id(7))
	for entry, in := range map[string]*api.GetSecretValueInput{
		"get_secret_value_no_version_ex":        {SecretId: "empty"},
		"get_secret_value_version_not_found_ex": {SecretId: "empty", VersionId: id(7)},
		"get_secret_value_stage_not_found_ex":   {SecretId: "empty", VersionStage: pending},
	} {
		_, err := c.s.GetSecretValue(c.ctx, in)
		f, ok := fault.As(err)
		if !ok {
			t.Fatal(err)
		}
		c.Hold(entry, "An error occurred ("+f.Code+") when calling the GetSecretValue operation: "+f.Message)
	}

	for name, in := range map[string]any{
		"UpdateSecret":   &api.UpdateSecretInput{SecretId: "a", SecretString: "x"},
		"PutSecretValue": &api.PutSecretValueInput{SecretId: "a", SecretString: "x"},
	} {
		c = record(t, "test_no_client_request_token["+name+"]")
		_, err := api.Describe().Operation(name).Call(c.ctx, c.s, in)
		f, ok := fault.As(err)
		if !ok {
			t.Fatal(err)
		}
		c.Hold("no-client-request-exc", map[string]any{
			"Error": map[string]any{"Message": f.Message, "__type": f.Code}, "Metadata": map[string]any{"StatusCode": 400.0},
		})
	}

	c = record(t, "test_create_secret_version_from_empty_secret")
	out := replay.As[api.CreateSecretOutput](c.Call("create-empty-secret", c.ctx, &api.CreateSecretInput{Name: "first"}))
	_, _ = c.Call("describe-secret", c.ctx, &api.DescribeSecretInput{SecretId: out.ARN})
	c.put("put-secret-value", out.ARN, "x")
}
