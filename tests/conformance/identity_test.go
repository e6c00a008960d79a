package conformance

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

const trustAccount = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"000000000000"},"Action":["sts:AssumeRole","sts:TagSession"]}]}`

func TestSignatures(t *testing.T) {
	ctx := context.Background()
	caller := ok(sts.NewFromConfig(configured(t)).GetCallerIdentity(ctx, nil))(t)
	if *caller.Arn != "arn:aws:iam::000000000000:root" {
		t.Errorf("the root is %s", *caller.Arn)
	}
	_, err := sts.NewFromConfig(as(t, slipway.keyID, "wrong", "")).GetCallerIdentity(ctx, nil)
	refused(t, err, "SignatureDoesNotMatch")
	_, err = sts.NewFromConfig(as(t, "AKIAIOSFODNN7EXAMPLE", "wrong", "")).GetCallerIdentity(ctx, nil)
	refused(t, err, "InvalidClientTokenId")
}

// A user with a policy, a key, and what it may and may not do.
func TestUsers(t *testing.T) {
	ctx := context.Background()
	client := iam.NewFromConfig(configured(t))
	name := aws.String("Clara")
	user := ok(client.CreateUser(ctx, &iam.CreateUserInput{UserName: name, Path: aws.String("/staff/")}))(t)
	if *user.User.Arn != "arn:aws:iam::000000000000:user/staff/Clara" || !strings.HasPrefix(*user.User.UserId, "AIDA") {
		t.Errorf("%s %s", *user.User.Arn, *user.User.UserId)
	}
	_, err := client.CreateUser(ctx, &iam.CreateUserInput{UserName: name})
	typed[*iamtypes.EntityAlreadyExistsException](t, err)
	_, err = client.PutUserPolicy(ctx, &iam.PutUserPolicyInput{UserName: name, PolicyName: aws.String("p"), PolicyDocument: aws.String(`{"Version":"2012-10-17"}`)})
	typed[*iamtypes.MalformedPolicyDocumentException](t, err)
	ok(client.PutUserPolicy(ctx, &iam.PutUserPolicyInput{UserName: name, PolicyName: aws.String("p"), PolicyDocument: aws.String(
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"ssm:GetParameter","Resource":"arn:aws:ssm:us-east-1:000000000000:parameter/open/*"}}`)}))(t)
	key := ok(client.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: name}))(t).AccessKey
	clara := as(t, *key.AccessKeyId, *key.SecretAccessKey, "")
	root := ssm.NewFromConfig(configured(t))
	for _, parameter := range []string{"/open/a", "/shut/a"} {
		ok(root.PutParameter(ctx, &ssm.PutParameterInput{Name: &parameter, Value: aws.String("v"), Type: "String"}))(t)
	}
	ok(ssm.NewFromConfig(clara).GetParameter(ctx, &ssm.GetParameterInput{Name: aws.String("/open/a")}))(t)
	_, err = ssm.NewFromConfig(clara).GetParameter(ctx, &ssm.GetParameterInput{Name: aws.String("/shut/a")})
	refused(t, err, "AccessDeniedException")
	if err != nil && !strings.Contains(err.Error(), "user/staff/Clara is not authorized to perform: ssm:GetParameter on resource: arn:aws:ssm:us-east-1:000000000000:parameter/shut/a") {
		t.Error(err)
	}
	_, err = client.DeleteUser(ctx, &iam.DeleteUserInput{UserName: name})
	typed[*iamtypes.DeleteConflictException](t, err)
}

// The SDK's own provider assumes a role, with a session policy that narrows it.
func TestAssumedRoles(t *testing.T) {
	ctx := context.Background()
	client := iam.NewFromConfig(configured(t))
	role := ok(client.CreateRole(ctx, &iam.CreateRoleInput{RoleName: aws.String("operator"), AssumeRolePolicyDocument: aws.String(trustAccount)}))(t).Role
	ok(client.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: role.RoleName, PolicyArn: aws.String("arn:aws:iam::aws:policy/AdministratorAccess")}))(t)
	name := aws.String("nightwatch")
	ok(client.CreateUser(ctx, &iam.CreateUserInput{UserName: name}))(t)
	ok(client.PutUserPolicy(ctx, &iam.PutUserPolicyInput{UserName: name, PolicyName: aws.String("p"), PolicyDocument: aws.String(
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"` + *role.Arn + `"}}`)}))(t)
	key := ok(client.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: name}))(t).AccessKey
	cfg := configured(t)
	watch := sts.NewFromConfig(as(t, *key.AccessKeyId, *key.SecretAccessKey, ""))
	cfg.Credentials = aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(watch, *role.Arn, func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName = "night"
		o.Policy = aws.String(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iam:List*","Resource":"*"}}`)
	}))
	caller := ok(sts.NewFromConfig(cfg).GetCallerIdentity(ctx, nil))(t)
	if *caller.Arn != "arn:aws:sts::000000000000:assumed-role/operator/night" {
		t.Errorf("%s", *caller.Arn)
	}
	ok(iam.NewFromConfig(cfg).ListRoles(ctx, nil))(t)
	_, err := iam.NewFromConfig(cfg).CreateGroup(ctx, &iam.CreateGroupInput{GroupName: aws.String("g")})
	refused(t, err, "AccessDenied")
	_, err = sts.NewFromConfig(configured(t)).AssumeRole(ctx, &sts.AssumeRoleInput{RoleArn: role.Arn, RoleSessionName: aws.String("root")})
	refused(t, err, "AccessDenied")
}

func TestRolePages(t *testing.T) {
	ctx := context.Background()
	client := iam.NewFromConfig(configured(t))
	for i := range 7 {
		ok(client.CreateRole(ctx, &iam.CreateRoleInput{RoleName: aws.String(fmt.Sprintf("paged-%d", i)), Path: aws.String("/paged/"), AssumeRolePolicyDocument: aws.String(trustAccount)}))(t)
	}
	seen := 0
	pages := iam.NewListRolesPaginator(client, &iam.ListRolesInput{PathPrefix: aws.String("/paged/"), MaxItems: aws.Int32(3)})
	for pages.HasMorePages() {
		seen += len(ok(pages.NextPage(ctx))(t).Roles)
	}
	if seen != 7 {
		t.Errorf("%d roles", seen)
	}
}
