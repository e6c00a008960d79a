package sts

import (
	"testing"

	iamapi "github.com/slipway/slipway/api/iam"
	api "github.com/slipway/slipway/api/sts"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/tests/corpus/replay"
)

const recordedTrust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + replay.Account + `"},"Action":`

// TestRecordedAnswers holds sessions of roles against AWS's.
func TestRecordedAnswers(t *testing.T) {
	b := newBench(t, false)
	records := replay.Open(t, "sts/test_sts", api.Describe(), b.Service)
	roles := replay.Open(t, "sts/test_sts", iamapi.Describe(), b.iam)
	ctx := b.as(auth.RootOf(replay.Account))

	const assumed = "TestSTSIntegrations::test_assume_role"
	made := roles.Case(t, assumed)
	made.Leave("role-session-name", "what the test chose")
	made.Leave("assume-role", "of STS")
	role := replay.As[iamapi.CreateRoleOutput](made.Call("create-role", ctx,
		&iamapi.CreateRoleInput{RoleName: "assumed", AssumeRolePolicyDocument: recordedTrust + `"sts:AssumeRole"}]}`})).Role
	c := records.Case(t, assumed)
	c.Leave("role-session-name", "what the test chose")
	c.Leave("create-role", "of IAM")
	c.Call("assume-role", ctx, &api.AssumeRoleInput{RoleArn: role.Arn, RoleSessionName: "recorded-session"})

	const tagged = "TestSTSAssumeRoleTagging::test_assume_role_tag_validation"
	made = roles.Case(t, tagged)
	made.Leave("invalid-transitive-tag-keys", "of STS")
	made.Leave("duplicate-tag-keys-different-casing", "of STS")
	role = replay.As[iamapi.CreateRoleOutput](made.Call("role-1", ctx,
		&iamapi.CreateRoleInput{RoleName: "tagged", AssumeRolePolicyDocument: recordedTrust + `["sts:AssumeRole","sts:TagSession"]}]}`})).Role
	c = records.Case(t, tagged)
	c.Leave("role-1", "of IAM")
	tags := func(pairs ...string) (out []api.Tag) {
		for _, key := range pairs {
			out = append(out, api.Tag{Key: key, Value: "v"})
		}
		return out
	}
	c.Call("invalid-transitive-tag-keys", ctx, &api.AssumeRoleInput{
		RoleArn: role.Arn, RoleSessionName: "recorded-session", Tags: tags("SessionTag1"), TransitiveTagKeys: []string{"InvalidKey"},
	})
	c.Call("duplicate-tag-keys-different-casing", ctx, &api.AssumeRoleInput{
		RoleArn: role.Arn, RoleSessionName: "recorded-session", Tags: tags("SessionTag", "sessiontag"),
	})
}
