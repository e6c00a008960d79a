package iam

import (
	"strings"
	"testing"

	api "github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/keyring"
	"github.com/slipway/slipway/store/storetest"
	"github.com/slipway/slipway/tests/corpus/replay"
)

// recorded is the root of the account that AWS's answers were recorded in.
func recorded(t *testing.T) (*replay.Records, auth.Call) {
	t.Helper()
	s := New(Config{Store: storetest.New(t), Ring: keyring.Ephemeral()})
	return replay.Open(t, "iam/test_iam", api.Describe(), s),
		auth.Call{Principal: auth.RootOf(replay.Account), Scope: arn.Scope{Account: replay.Account, Region: "us-east-1"}}
}

func TestRecordedServiceCredentials(t *testing.T) {
	records, call := recorded(t)
	ctx := auth.With(t.Context(), call)
	const class = "TestIAMServiceSpecificCredentials::"
	create := func(c *replay.Case, user, service string) string {
		c.Call("create-user-response", ctx, &api.CreateUserInput{UserName: user})
		out := replay.As[api.CreateServiceSpecificCredentialOutput](c.Call("create-service-specific-credential-response", ctx,
			&api.CreateServiceSpecificCredentialInput{UserName: user, ServiceName: service}))
		return out.ServiceSpecificCredential.ServiceSpecificCredentialId
	}
	for i, service := range []string{"codecommit.amazonaws.com", "cassandra.amazonaws.com"} {
		c := records.Case(t, class+"test_service_specific_credential_lifecycle["+service+"]")
		user := "lifecycle-" + string(rune('a'+i))
		id := create(c, user, service)
		c.Call("list-service-specific-credentials-response-before-update", ctx, &api.ListServiceSpecificCredentialsInput{UserName: user, ServiceName: service})
		c.Call("update-service-specific-credential-response", ctx, &api.UpdateServiceSpecificCredentialInput{UserName: user, ServiceSpecificCredentialId: id, Status: "Inactive"})
		c.Call("list-service-specific-credentials-response-after-update", ctx, &api.ListServiceSpecificCredentialsInput{UserName: user, ServiceName: service})
		c.Call("reset-service-specific-credential-response", ctx, &api.ResetServiceSpecificCredentialInput{UserName: user, ServiceSpecificCredentialId: id})
		c.Call("delete-service-specific-credentials-response", ctx, &api.DeleteServiceSpecificCredentialInput{UserName: user, ServiceSpecificCredentialId: id})
	}

	c := records.Case(t, class+"test_create_service_specific_credential_invalid_service")
	c.Call("create-user-response", ctx, &api.CreateUserInput{UserName: "invalid"})
	for entry, service := range map[string]string{
		"invalid-service-exception": "nonexistentservice.amazonaws.com", "invalid-service-completely-malformed-exception": "o3on3n3onosneo",
		"invalid-service-existing-but-unsupported-exception": "lambda.amazonaws.com",
	} {
		c.Call(entry, ctx, &api.CreateServiceSpecificCredentialInput{UserName: "invalid", ServiceName: service})
	}

	c = records.Case(t, class+"test_list_service_specific_credential_different_service")
	create(c, "different", "codecommit.amazonaws.com")
	c.Call("list-service-specific-credentials-invalid-service", ctx, &api.ListServiceSpecificCredentialsInput{UserName: "different", ServiceName: "nonexistentservice.amazonaws.com"})
	c.Call("list-service-specific-credentials-response-wrong-service", ctx, &api.ListServiceSpecificCredentialsInput{UserName: "different", ServiceName: "cassandra.amazonaws.com"})

	const wrong = "totally-wrong-credential-id-with-hyphens"
	c = records.Case(t, class+"test_user_match_id_mismatch["+wrong+"]")
	for _, entry := range []string{"update-wrong-id", "reset-wrong-id", "delete-wrong-id"} {
		c.Except(entry+"/Error/Message", "IAM leaves the value out of its message, other services of AWS do not, and neither does package wire")
	}
	create(c, "mismatch", "codecommit.amazonaws.com")
	c.Call("update-wrong-id", ctx, &api.UpdateServiceSpecificCredentialInput{UserName: "mismatch", ServiceSpecificCredentialId: wrong, Status: "Inactive"})
	c.Call("reset-wrong-id", ctx, &api.ResetServiceSpecificCredentialInput{UserName: "mismatch", ServiceSpecificCredentialId: wrong})
	c.Call("delete-wrong-id", ctx, &api.DeleteServiceSpecificCredentialInput{UserName: "mismatch", ServiceSpecificCredentialId: wrong})

	c = records.Case(t, class+"test_id_match_user_mismatch")
	id := create(c, "owner", "codecommit.amazonaws.com")
	c.Call("update-wrong-user-name", ctx, &api.UpdateServiceSpecificCredentialInput{UserName: "wrong-user-name", ServiceSpecificCredentialId: id, Status: "Inactive"})
	c.Call("reset-wrong-user-name", ctx, &api.ResetServiceSpecificCredentialInput{UserName: "wrong-user-name", ServiceSpecificCredentialId: id})
	c.Call("delete-wrong-user-name", ctx, &api.DeleteServiceSpecificCredentialInput{UserName: "wrong-user-name", ServiceSpecificCredentialId: id})
}

func TestRecordedServiceLinkedRoles(t *testing.T) {
	records, call := recorded(t)
	ctx := auth.With(t.Context(), call)
	used := map[string][]string{}
	for _, service := range []string{"kafka.amazonaws.com", "rds.amazonaws.com", "sso.amazonaws.com"} {
		used["test_service_role_lifecycle["+service+"]"] = []string{"LastUsedDate", "Region"}
	}
	follow := func(name, suffix string) {
		c := records.Case(t, name)
		for _, member := range used[name] {
			c.Except("describe-response/Role/RoleLastUsed/"+member, "the service itself had used its role by then")
		}
		service := strings.TrimSuffix(name[strings.IndexByte(name, '[')+1:], "]")
		if suffix != "" {
			c.Bind("<suffix>", suffix)
		}
		role := replay.As[api.CreateServiceLinkedRoleOutput](c.Call("", ctx, &api.CreateServiceLinkedRoleInput{AWSServiceName: service, CustomSuffix: suffix})).Role.RoleName
		c.Call("describe-response", ctx, &api.GetRoleInput{RoleName: role})
		c.Call("inline-role-policies", ctx, &api.ListRolePoliciesInput{RoleName: role})
		c.Call("attached-role-policies", ctx, &api.ListAttachedRolePoliciesInput{RoleName: role})
	}
	replayed := 0
	for _, name := range records.Names("test_service_role_lifecycle") {
		_, short, _ := strings.Cut(name, "TestIAMServiceRoles::")
		switch {
		case strings.HasPrefix(short, "test_service_role_lifecycle["):
			follow(short, "")
		case strings.HasPrefix(short, "test_service_role_lifecycle_custom_suffix["):
			follow(short, "acme")
		default:
			service := strings.TrimSuffix(short[strings.IndexByte(short, '[')+1:], "]")
			records.Case(t, short).Call("custom-suffix-not-allowed", ctx, &api.CreateServiceLinkedRoleInput{AWSServiceName: service, CustomSuffix: "acme"})
		}
		replayed++
	}
	if replayed < 70 {
		t.Errorf("replayed %d cases, want the more than 70 that there were", replayed)
	}

	c := records.Case(t, "TestIAMServiceRoles::test_service_role_deletion")
	out := replay.As[api.DeleteServiceLinkedRoleOutput](c.Call("service-linked-role-deletion-response", ctx, &api.DeleteServiceLinkedRoleInput{RoleName: "AWSServiceRoleForBatch"}))
	c.Call("service-linked-role-deletion-status-response", ctx, &api.GetServiceLinkedRoleDeletionStatusInput{DeletionTaskId: out.DeletionTaskId})
}

func TestRecordedRolesAndPolicies(t *testing.T) {
	records, call := recorded(t)
	ctx := auth.With(t.Context(), call)

	c := records.Case(t, "TestRoles::test_role_with_tags")
	c.Call("create-role-response", ctx, &api.CreateRoleInput{RoleName: "tagged", Path: "/role-with-tags/", AssumeRolePolicyDocument: ec2Trust, Tags: []api.Tag{{Key: "test", Value: "value"}}})
	c.Call("get-role-response", ctx, &api.GetRoleInput{RoleName: "tagged"})
	c.Call("list-role-response", ctx, &api.ListRolesInput{PathPrefix: "/role-with-tags/"})

	c = records.Case(t, "TestIAMIntegrations::test_delete_non_existent_policy_returns_no_such_entity")
	c.Call("delete-non-existent-policy-exc", ctx, &api.DeletePolicyInput{PolicyArn: "arn:aws:iam::" + replay.Account + ":policy/non-existent-policy"})

	c = records.Case(t, "TestIAMPolicyEncoding::test_put_user_policy_encoding")
	c.Call("", ctx, &api.CreateUserInput{UserName: "encoded"})
	c.Call("", ctx, &api.PutUserPolicyInput{UserName: "encoded", PolicyName: "p", PolicyDocument: `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", ` +
		`"Action": ["apigatway:PUT"], "Resource": ["arn:aws:apigateway:us-east-1::/tags/arn%3Aaws%3Aapigateway%3Aus-east-1%3A%3A%2Frestapis%2Faaeeieije"]}]}`})
	c.Call("get-policy-response", ctx, &api.GetUserPolicyInput{UserName: "encoded", PolicyName: "p"})
}

func TestRecordedSimulations(t *testing.T) {
	records, call := recorded(t)
	ctx := auth.With(t.Context(), call)
	const class = "TestIAMIntegrations::test_simulate_principle_policy"
	prepare := records.Case(t, class+"[user]")
	made := replay.As[api.CreatePolicyOutput](prepare.Call("", ctx, &api.CreatePolicyInput{PolicyName: "put", PolicyDocument: `{"Version": "2012-10-17", ` +
		`"Statement": {"Sid": "", "Effect": "Allow", "Action": "s3:PutObject", "Resource": "*"}}`}))
	prepare.Call("", ctx, &api.CreateUserInput{UserName: "u"})
	prepare.Call("", ctx, &api.CreateGroupInput{GroupName: "g"})
	prepare.Call("", ctx, &api.AttachUserPolicyInput{UserName: "u", PolicyArn: made.Policy.Arn})
	prepare.Call("", ctx, &api.AttachGroupPolicyInput{GroupName: "g", PolicyArn: made.Policy.Arn})
	for c, source := range map[*replay.Case]string{prepare: "user/u", records.Case(t, class+"[group]"): "group/g"} {
		for _, i := range []string{"0", "1"} {
			c.Except("response/EvaluationResults/"+i+"/OrganizationsDecisionDetail", "the recorded account was in an organization")
		}
		c.Call("response", ctx, &api.SimulatePrincipalPolicyInput{
			PolicySourceArn: "arn:aws:iam::" + replay.Account + ":" + source,
			ActionNames:     []string{"s3:PutObject", "s3:GetObjectVersion"}, ResourceArns: []string{"arn:aws:s3:::bucket"},
		})
	}
}
