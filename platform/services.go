package platform

import (
	"context"
	"path/filepath"
	"slices"

	"github.com/slipway/slipway/api"
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
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/cfn/schema"
	"github.com/slipway/slipway/model"
	"github.com/slipway/slipway/service/cloudcontrol"
	"github.com/slipway/slipway/service/cloudformation"
	"github.com/slipway/slipway/service/cloudformation/stackset"
	"github.com/slipway/slipway/service/cloudwatch"
	"github.com/slipway/slipway/service/ec2"
	"github.com/slipway/slipway/service/iam"
	"github.com/slipway/slipway/service/kms"
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

// services are the AWS services of this build, and what stands on them.
type services struct {
	implementations
	apis       apis
	types      *cfn.Registry
	mounts     []wire.Mount
	keys       *auth.KeyCache
	policies   *auth.PolicyCache
	sessions   *auth.Sessions
	authorizer auth.Authorizer
	know       func(ctx context.Context, p auth.Principal) (auth.Principal, error)
	insiders   insiders
	functions  functionHost
	metrics    *metrics
	quotas     *quotas
}

// wire makes the services and ties them together. A service reaches another
// one through its api interface, behind the interceptor that authorizes.
func (p *Platform) wire() (*services, error) {
	s := &services{sessions: auth.NewSessions(p.ring), types: &cfn.Registry{}}
	policies := p.wireIdentity(s)
	p.wireKeys(s)
	p.wireLogs(s)
	p.wireMessages(s)
	if err := p.wireObjects(s); err != nil {
		return nil, err
	}
	p.wireInstances(s)
	if err := p.wireFunctions(s); err != nil {
		return nil, err
	}
	p.wireAlarms(s)
	p.wireStacks(s)

	policies.Resources, policies.Tags, policies.Effects = s.resourcePolicies(), s.resourceTags(), map[string]auth.Effects{"ec2": s.ec2}
	s.types.Add(s.apis.types()...)
	s.mounts = s.implementations.mounts()
	s.quotas = newQuotas(p.cfg.Quota, p.cfg.Now)
	s.metrics = newMetrics(p.cfg.Version, s.mounts)
	return s, nil
}

// guard is what stands before each api interface: a call from service to
// service is authorized like one from outside.
func (s *services) guard() api.Interceptor { return auth.Guard(s.authorizer) }

// wireIdentity makes the services that say who calls and what they may do.
func (p *Platform) wireIdentity(s *services) *auth.IAM {
	s.iam = iam.New(iam.Config{Store: p.store, Ring: p.ring, Now: p.cfg.Now, Logger: p.cfg.Logger})
	s.keys = auth.NewKeyCache(auth.KeysOf(auth.RootKeys{Store: p.store, Ring: p.ring}, s.iam), p.store, "auth/", "iam/")
	s.policies = auth.NewPolicyCache(s.iam, p.store, "iam/")
	policies := &auth.IAM{Policies: s.policies, Ring: p.ring}
	s.authorizer, s.know = enforcement{policies}, policies.Know
	s.apis.iam = iamapi.Intercept(s.iam, s.guard())
	s.sts = sts.New(sts.Config{IAM: s.apis.iam, Sessions: s.sessions, Trust: policies, Devices: s.iam, Keys: s.keys, Ring: p.ring, Now: p.cfg.Now})
	s.insiders = insiders{sts: s.sts, sessions: s.sessions, now: p.cfg.Now}
	s.organizations = organizations.New(organizations.Config{Store: p.store, Workflows: p.engine, IAM: s.apis.iam, Now: p.cfg.Now})
	s.apis.orgs = organizationsapi.Intercept(s.organizations, s.guard())
	s.policies.Ask(s.organizations, p.store, organizations.Records)
	policies.Organizations = s.policies
	return policies
}

// wireKeys makes the keys that other services encrypt under, the parameters and the
// secrets.
func (p *Platform) wireKeys(s *services) {
	s.kms = kms.New(kms.Config{Store: p.store, Ring: p.ring, Now: p.cfg.Now, Logger: p.cfg.Logger})
	s.apis.kms = kmsapi.Intercept(s.kms, s.guard())
	s.ssm = ssm.New(ssm.Config{
		Store: p.store, Ring: p.ring, KMS: s.apis.kms, Now: p.cfg.Now, Logger: p.cfg.Logger, BuiltinImage: ec2.BuiltinImage,
		Secrets: func(ctx context.Context, in *secretsapi.GetSecretValueInput) (*secretsapi.GetSecretValueOutput, error) {
			return s.apis.secrets.GetSecretValue(ctx, in)
		},
		Image: func(ctx context.Context, id string) error {
			_, err := s.apis.ec2.DescribeImages(ctx, &ec2api.DescribeImagesInput{ImageIds: []string{id}})
			return err
		},
	})
	s.apis.ssm = ssmapi.Intercept(s.ssm, s.guard())
	s.secretsmanager = secretsmanager.New(secretsmanager.Config{
		Store: p.store, KMS: s.apis.kms, Authorizer: s.authorizer, Now: p.cfg.Now, Logger: p.cfg.Logger, Workflows: p.engine,
		Invoke: func(ctx context.Context, in *lambdaapi.InvokeInput) (*lambdaapi.InvokeOutput, error) {
			return s.apis.lambda.Invoke(ctx, in)
		},
	})
	s.apis.secrets = secretsapi.Intercept(s.secretsmanager, s.guard())
}

// wireLogs makes the service that keeps what others have to say.
func (p *Platform) wireLogs(s *services) {
	s.logs = logs.New(logs.Config{
		Store: p.store, Ring: p.ring, KMS: s.apis.kms, Now: p.cfg.Now, Logger: p.cfg.Logger,
		Lambda: func() lambdaapi.Service { return s.apis.lambda },
	})
	s.apis.logs = logsapi.Intercept(s.logs, s.guard())
}

// wireAlarms makes the alarms, whose actions call other services.
func (p *Platform) wireAlarms(s *services) {
	s.cloudwatch = cloudwatch.New(cloudwatch.Config{
		Store: p.store, Now: p.cfg.Now, Logger: p.cfg.Logger,
		Actions: map[string]cloudwatch.Action{"sns": cloudwatch.Topics{SNS: s.apis.sns}, "lambda": cloudwatch.Functions{Lambda: s.apis.lambda}},
	})
	s.apis.cloudwatch = cloudwatchapi.Intercept(s.cloudwatch, s.guard())
}

// wireMessages makes the services that carry messages.
func (p *Platform) wireMessages(s *services) {
	s.sqs = sqs.New(sqs.Config{Store: p.store, Ring: p.ring, KMS: s.apis.kms, Now: p.cfg.Now, Logger: p.cfg.Logger})
	s.apis.sqs = sqsapi.Intercept(s.sqs, s.guard())
	s.sns = sns.New(sns.Config{
		Store: p.store, Ring: p.ring, KMS: s.apis.kms, SQS: s.apis.sqs, Lambda: func() lambdaapi.Service { return s.apis.lambda },
		Endpoint: p.instanceEndpoint, WaitScale: p.cfg.WaitScale,
		Now: p.cfg.Now, Logger: p.cfg.Logger,
	})
	s.apis.sns = snsapi.Intercept(s.sns, s.guard())
}

// wireObjects makes the objects' service, and opens its folder.
func (p *Platform) wireObjects(s *services) (err error) {
	s.s3, err = s3.New(s3.Config{
		Store: p.store, Dir: filepath.Join(p.cfg.Dir, "objects"), Clock: p.cfg.Now, Logger: p.cfg.Logger,
		KMS: s.apis.kms, Authorizer: s.authorizer,
		Destinations: map[string]s3.Destination{
			"sqs": s3.Queues{SQS: s.apis.sqs}, "sns": s3.Topics{SNS: s.apis.sns},
			"lambda": s3.Functions{Lambda: func() lambdaapi.Service { return s.apis.lambda }},
		},
	})
	if err == nil {
		s.apis.s3 = s3api.Intercept(s.s3.API(), s.guard())
	}
	return err
}

// wireInstances makes the service that runs instances.
func (p *Platform) wireInstances(s *services) {
	s.ec2 = ec2.New(ec2.Config{
		Store: p.store, Engine: p.engine, Driver: p.driver, IAM: s.apis.iam, S3: s.apis.s3, Authorizer: s.authorizer,
		Logger: p.cfg.Logger, Now: p.cfg.Now, DNS: resolvers(resolverFiles), Endpoint: p.instanceEndpoint(),
		Credentials: s.insiders.roleCredentials, Identity: s.insiders.instanceCredentials,
	})
	s.apis.ec2 = ec2api.Intercept(s.ec2, s.guard())
	s.insiders.ec2 = s.apis.ec2
}

// wireStacks makes CloudFormation, whose resource types call all others.
func (p *Platform) wireStacks(s *services) {
	s.cloudformation = cloudformation.New(cloudformation.Config{
		Store: p.store, Workflows: p.engine, Types: s.types, S3: s.apis.s3, SSM: s.apis.ssm, Secrets: s.apis.secrets, SNS: s.apis.sns, Ring: p.ring,
		Alarms: s.apis.cloudwatch, WaitScale: p.cfg.WaitScale, ExecutionCredentials: s.insiders.handlerCredentials,
		Logger: p.cfg.Logger, Now: p.cfg.Now,
		Schemas: schema.New(model.ResourceTypeNames(), model.Schema, func(name string) bool {
			_, ok := s.types.Lookup(name)
			return ok
		}),
		Authorizer:    s.authorizer,
		Enqueue:       providers{&s.apis}.enqueue,
		Publish:       providers{&s.apis}.publish,
		AssumeRole:    s.insiders.assumeRole,
		Invoke:        s.answerMacro,
		AssumeAs:      s.insiders.assumeAs,
		Lambda:        s.apis.lambda,
		Local:         p.localHandlers(s),
		InstanceStack: s.insiders.instanceStack,
		SignalURL:     func(context.Context) string { return p.instanceEndpoint() },
		StackSets: stackset.Config{
			Stacks: func() cloudformationapi.Service { return s.apis.cfn },
			STS:    s.sts, IAM: s.apis.iam, Lambda: s.apis.lambda, Organizations: s.apis.orgs,
			Watch: func(ctx context.Context) <-chan struct{} { return p.store.Watch(ctx, organizations.Records) },
		},
	})
	s.apis.stacks, s.apis.cfn = s.cloudformation, cloudformationapi.Intercept(s.cloudformation, s.guard())
	s.cloudcontrol = cloudcontrol.New(cloudcontrol.Config{
		Store: p.store, Workflows: p.engine, Ring: p.ring, Logger: p.cfg.Logger, Now: p.cfg.Now,
		Types: s.cloudformation.TypesIn, Known: s.cloudformation.Known, AssumeRole: s.insiders.assumeRole, Hooks: s.cloudformation,
	})
}

// start begins the services' loops. The engine runs already.
func (s *services) start(ctx context.Context) {
	for _, l := range s.loops() {
		l.Start(ctx)
	}
}

// stop ends the loops, also those that never started, and waits for them.
func (s *services) stop() {
	for _, l := range slices.Backward(s.loops()) {
		l.Stop()
	}
	s.functions.Stop()
	s.keys.Close()
	s.policies.Close()
}
