package platform

import (
	"context"
	"slices"

	cloudcontrolapi "github.com/slipway/slipway/api/cloudcontrol"
	cloudformationapi "github.com/slipway/slipway/api/cloudformation"
	cloudwatchapi "github.com/slipway/slipway/api/cloudwatch"
	ec2api "github.com/slipway/slipway/api/ec2"
	iamapi "github.com/slipway/slipway/api/iam"
	kmsapi "github.com/slipway/slipway/api/kms"
	lambdaapi "github.com/slipway/slipway/api/lambda"
	logsapi "github.com/slipway/slipway/api/logs"
	organizationsapi "github.com/slipway/slipway/api/organizations"
	s3api "github.com/slipway/slipway/api/s3"
	secretsapi "github.com/slipway/slipway/api/secretsmanager"
	snsapi "github.com/slipway/slipway/api/sns"
	sqsapi "github.com/slipway/slipway/api/sqs"
	ssmapi "github.com/slipway/slipway/api/ssm"
	stsapi "github.com/slipway/slipway/api/sts"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/cfn"
	cloudformationtypes "github.com/slipway/slipway/resource/cloudformation"
	cloudwatchtypes "github.com/slipway/slipway/resource/cloudwatch"
	ec2types "github.com/slipway/slipway/resource/ec2"
	iamtypes "github.com/slipway/slipway/resource/iam"
	kmstypes "github.com/slipway/slipway/resource/kms"
	lambdatypes "github.com/slipway/slipway/resource/lambda"
	logtypes "github.com/slipway/slipway/resource/logs"
	organizationstypes "github.com/slipway/slipway/resource/organizations"
	s3types "github.com/slipway/slipway/resource/s3"
	secretstypes "github.com/slipway/slipway/resource/secretsmanager"
	snstypes "github.com/slipway/slipway/resource/sns"
	sqstypes "github.com/slipway/slipway/resource/sqs"
	ssmtypes "github.com/slipway/slipway/resource/ssm"
	"github.com/slipway/slipway/service/cloudcontrol"
	"github.com/slipway/slipway/service/cloudformation"
	"github.com/slipway/slipway/service/cloudwatch"
	"github.com/slipway/slipway/service/ec2"
	"github.com/slipway/slipway/service/iam"
	"github.com/slipway/slipway/service/kms"
	"github.com/slipway/slipway/service/lambda"
	"github.com/slipway/slipway/service/logs"
	"github.com/slipway/slipway/service/organizations"
	"github.com/slipway/slipway/service/s3"
	"github.com/slipway/slipway/service/secretsmanager"
	"github.com/slipway/slipway/service/sns"
	"github.com/slipway/slipway/service/sqs"
	"github.com/slipway/slipway/service/ssm"
	"github.com/slipway/slipway/service/sts"
	"github.com/slipway/slipway/wire"
)

// apis are the services as resource types call them: behind the interceptor
// that authorizes.
type apis struct {
	stacks  cloudformationtypes.Service
	cfn     cloudformationapi.Service
	ec2     ec2api.Service
	iam     iamapi.Service
	kms     kmsapi.Service
	lambda  lambdaapi.Service
	logs    logsapi.Service
	orgs    organizationsapi.Service
	s3      s3api.Service
	secrets secretsapi.Service
	sns     snsapi.Service
	sqs     sqsapi.Service
	ssm     ssmapi.Service

	cloudwatch cloudwatchapi.Service
}

// types are the resource types of this build.
func (a apis) types() []cfn.Type {
	return slices.Concat(
		cloudwatchtypes.Types(a.cloudwatch),
		cloudformationtypes.Types(a.stacks, a.cfn),
		ec2types.Types(a.ec2, a.ssm),
		iamtypes.Types(a.iam),
		kmstypes.Types(a.kms),
		lambdatypes.Types(a.lambda),
		logtypes.Types(a.logs),
		organizationstypes.Types(a.orgs),
		s3types.Types(a.s3),
		secretstypes.Types(a.secrets),
		snstypes.Types(a.sns),
		sqstypes.Types(a.sqs),
		ssmtypes.Types(a.ssm),
	)
}

// implementations are the services of this build.
type implementations struct {
	cloudcontrol   *cloudcontrol.Service
	cloudformation *cloudformation.Service
	cloudwatch     *cloudwatch.Service
	ec2            *ec2.Service
	iam            *iam.Service
	kms            *kms.Service
	lambda         *lambda.Service
	logs           *logs.Service
	organizations  *organizations.Service
	s3             *s3.Service
	secretsmanager *secretsmanager.Service
	sns            *sns.Service
	sqs            *sqs.Service
	ssm            *ssm.Service
	sts            *sts.Service
}

// mounts puts every service behind its description.
func (i implementations) mounts() []wire.Mount {
	return []wire.Mount{
		{Desc: cloudcontrolapi.Describe(), Impl: i.cloudcontrol},
		{Desc: cloudformationapi.Describe(), Impl: i.cloudformation},
		{Desc: cloudwatchapi.Describe(), Impl: i.cloudwatch},
		{Desc: ec2api.Describe(), Impl: i.ec2},
		{Desc: iamapi.Describe(), Impl: i.iam},
		{Desc: kmsapi.Describe(), Impl: i.kms},
		{Desc: lambdaapi.Describe(), Impl: i.lambda, Bodies: lambda.Bodies},
		{Desc: logsapi.Describe(), Impl: i.logs},
		{Desc: organizationsapi.Describe(), Impl: i.organizations},
		{Desc: s3api.Describe(), Impl: i.s3.API()},
		{Desc: secretsapi.Describe(), Impl: i.secretsmanager},
		{Desc: snsapi.Describe(), Impl: i.sns},
		{Desc: sqsapi.Describe(), Impl: i.sqs},
		{Desc: ssmapi.Describe(), Impl: i.ssm},
		{Desc: stsapi.Describe(), Impl: i.sts},
	}
}

// resourcePolicies are the services whose resources have policies of their own.
func (i implementations) resourcePolicies() map[string]auth.ResourcePolicies {
	return map[string]auth.ResourcePolicies{
		"cloudformation": i.cloudformation, "ec2": i.ec2, "kms": i.kms, "lambda": i.lambda, "organizations": i.organizations, "s3": i.s3,
		"secretsmanager": i.secretsmanager, "sns": i.sns, "sqs": i.sqs,
	}
}

// resourceTags are the services whose resources have tags that policies see.
func (i implementations) resourceTags() map[string]auth.ResourceTags {
	return map[string]auth.ResourceTags{
		"cloudformation": i.cloudformation, "cloudwatch": i.cloudwatch, "ec2": i.ec2, "iam": i.iam, "kms": i.kms, "lambda": i.lambda, "logs": i.logs, "organizations": i.organizations, "s3": i.s3,
		"secretsmanager": i.secretsmanager, "sns": i.sns, "sqs": i.sqs, "ssm": i.ssm,
	}
}

// loop is a service with work of its own beside requests and workflows.
type loop interface {
	Start(ctx context.Context)
	Stop()
}

// loops are the services with work of their own, in the order of their starts.
func (i implementations) loops() []loop {
	return []loop{i.iam, i.ec2, i.s3, i.sqs, i.kms, i.ssm, i.secretsmanager, i.lambda, i.logs, i.sns, i.cloudformation, i.cloudcontrol, i.cloudwatch}
}

// drain ends the requests that only wait.
func (i implementations) drain() { i.sqs.Drain() }

// Built tells what this build has, without starting it: the services, whose
// implementations are not to be called, and the names of the resource types.
func Built() ([]wire.Mount, []string) {
	types := &cfn.Registry{}
	types.Add(apis{}.types()...)
	return implementations{
		cloudcontrol: &cloudcontrol.Service{}, cloudwatch: &cloudwatch.Service{},
		cloudformation: &cloudformation.Service{}, ec2: &ec2.Service{}, iam: &iam.Service{}, kms: &kms.Service{}, lambda: &lambda.Service{}, logs: &logs.Service{},
		organizations: &organizations.Service{}, s3: &s3.Service{}, secretsmanager: &secretsmanager.Service{}, sns: &sns.Service{}, sqs: &sqs.Service{}, ssm: &ssm.Service{}, sts: &sts.Service{},
	}.mounts(), types.Names()
}
