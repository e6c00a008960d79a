package platform

import (
	"context"
	"path/filepath"
	"slices"

	"github.com/slipway/slipway/api"
	cloudformationapi "github.com/slipway/slipway/api/cloudformation"
	ec2api "github.com/slipway/slipway/api/ec2"
	iamapi "github.com/slipway/slipway/api/iam"
	kmsapi "github.com/slipway/slipway/api/kms"
	s3api "github.com/slipway/slipway/api/s3"
	sqsapi "github.com/slipway/slipway/api/sqs"
	ssmapi "github.com/slipway/slipway/api/ssm"
	stsapi "github.com/slipway/slipway/api/sts"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/cfn/schema"
	"github.com/slipway/slipway/model"
	cloudformationtypes "github.com/slipway/slipway/resource/cloudformation"
	ec2types "github.com/slipway/slipway/resource/ec2"
	iamtypes "github.com/slipway/slipway/resource/iam"
	kmstypes "github.com/slipway/slipway/resource/kms"
	s3types "github.com/slipway/slipway/resource/s3"
	sqstypes "github.com/slipway/slipway/resource/sqs"
	ssmtypes "github.com/slipway/slipway/resource/ssm"
	"github.com/slipway/slipway/service/cloudformation"
	"github.com/slipway/slipway/service/ec2"
	"github.com/slipway/slipway/service/iam"
	"github.com/slipway/slipway/service/kms"
	"github.com/slipway/slipway/service/s3"
	"github.com/slipway/slipway/service/sqs"
	"github.com/slipway/slipway/service/ssm"
	"github.com/slipway/slipway/service/sts"
	"github.com/slipway/slipway/wire"
)

// services are the AWS services of this build, and what stands on them.
type services struct {
	cloudformation *cloudformation.Service
	ec2            *ec2.Service
	s3             *s3.Service
	iam            *iam.Service
	types          *cfn.Registry
	mounts         []wire.Mount
	keys           *auth.KeyCache
	policies       *auth.PolicyCache
	sessions       *auth.Sessions
	authorizer     auth.Authorizer
	metrics        *metrics
	quotas         *quotas
	loops          []loop // in the order of their starts
	drain          func() // ends the requests that only wait
}

// loop is a service with work of its own beside requests and workflows.
type loop interface {
	Start(ctx context.Context)
	Stop()
}

// wire makes the services and ties them together. A service reaches another
// one through its api interface, behind the interceptor that authorizes.
func (p *Platform) wire() (*services, error) {
	cfg := p.cfg
	s := &services{sessions: auth.NewSessions(p.ring), types: &cfn.Registry{}}

	stsService, policies := p.wireIdentity(s)
	guard := api.Interceptor(auth.Guard(s.authorizer))
	iams := iamapi.Intercept(s.iam, guard)
	in := insiders{sts: stsService, sessions: s.sessions, now: cfg.Now}

	kmsService := kms.New(kms.Config{Store: p.store, Ring: p.ring, Now: cfg.Now, Logger: cfg.Logger})
	kmss := kmsapi.Intercept(kmsService, guard)
	policies.Resources = map[string]auth.ResourcePolicies{"kms": kmsService}
	ssmService := ssm.New(ssm.Config{
		Store: p.store, Ring: p.ring, KMS: kmss, Now: cfg.Now, Logger: cfg.Logger, BuiltinImage: ec2.BuiltinImage,
		Image: func(ctx context.Context, id string) error {
			_, err := in.ec2.DescribeImages(ctx, &ec2api.DescribeImagesInput{ImageIds: []string{id}})
			return err
		},
	})
	ssms := ssmapi.Intercept(ssmService, guard)
	sqsService := sqs.New(sqs.Config{Store: p.store, Ring: p.ring, KMS: kmss, Now: cfg.Now, Logger: cfg.Logger})
	var err error
	sqss := sqsapi.Intercept(sqsService, guard)
	s.s3, err = s3.New(s3.Config{
		Store: p.store, Dir: filepath.Join(cfg.Dir, "objects"), Clock: cfg.Now, Logger: cfg.Logger, KMS: kmss, Authorizer: s.authorizer,
		Destinations: map[string]s3.Destination{"sqs": s3.Queues{SQS: sqss}},
	})
	if err != nil {
		return nil, err
	}
	s3s := s3api.Intercept(s.s3.API(), guard)
	s.ec2 = ec2.New(ec2.Config{
		Store: p.store, Engine: p.engine, Driver: p.driver, IAM: iams, S3: s3s, Authorizer: s.authorizer, Logger: cfg.Logger, Now: cfg.Now,
		DNS: resolvers(resolverFiles), Endpoint: p.instanceEndpoint(), Credentials: in.roleCredentials, Identity: in.instanceCredentials,
	})
	ec2s := ec2api.Intercept(s.ec2, guard)
	in.ec2 = ec2s

	s.cloudformation = cloudformation.New(cloudformation.Config{
		Store: p.store, Workflows: p.engine, Types: s.types, S3: s3s, SSM: ssms, Ring: p.ring, Logger: cfg.Logger, Now: cfg.Now,
		Schemas: schema.New(model.ResourceTypeNames(), model.Schema, func(name string) bool {
			_, ok := s.types.Lookup(name)
			return ok
		}),
		AssumeRole:    in.assumeRole,
		InstanceStack: in.instanceStack,
		SignalURL:     func(context.Context) string { return p.instanceEndpoint() },
	})
	policies.Resources["s3"], policies.Resources["sqs"], policies.Resources["ec2"] = s.s3, sqsService, s.ec2
	policies.Resources["cloudformation"] = s.cloudformation
	policies.Tags = map[string]auth.ResourceTags{"cloudformation": s.cloudformation, "ec2": s.ec2, "iam": s.iam, "kms": kmsService, "s3": s.s3, "sqs": sqsService, "ssm": ssmService}
	addTypes(s.types, s.cloudformation, ec2s, iams, kmss, s3s, sqss, ssms)
	s.loops = []loop{s.iam, s.ec2, s.s3, sqsService, kmsService, ssmService}
	s.drain = sqsService.Drain
	s.mounts = mounts(s.cloudformation, s.ec2, s.iam, kmsService, s.s3, sqsService, ssmService, stsService)
	s.quotas = newQuotas(cfg.Quota, cfg.Now)
	s.metrics = newMetrics(cfg.Version, s.mounts)
	return s, nil
}

// wireIdentity makes the services that say who calls and what they may do.
func (p *Platform) wireIdentity(s *services) (*sts.Service, *auth.IAM) {
	s.iam = iam.New(iam.Config{Store: p.store, Ring: p.ring, Now: p.cfg.Now, Logger: p.cfg.Logger})
	s.keys = auth.NewKeyCache(auth.KeysOf(auth.RootKeys{Store: p.store, Ring: p.ring}, s.iam), p.store, "auth/", "iam/")
	s.policies = auth.NewPolicyCache(s.iam, p.store, "iam/")
	policies := &auth.IAM{Policies: s.policies, Ring: p.ring}
	s.authorizer = enforcement{policies}
	asked := iamapi.Intercept(s.iam, api.Interceptor(auth.Guard(s.authorizer)))
	return sts.New(sts.Config{IAM: asked, Sessions: s.sessions, Trust: policies, Keys: s.keys, Ring: p.ring, Now: p.cfg.Now}), policies
}

// addTypes registers every resource type of this build.
func addTypes(to *cfn.Registry, handles cloudformationtypes.Handles, ec2s ec2api.Service, iams iamapi.Service,
	kmss kmsapi.Service, s3s s3api.Service, sqss sqsapi.Service, ssms ssmapi.Service) {
	to.Add(cloudformationtypes.Types(handles)...)
	to.Add(ec2types.Types(ec2s, ssms)...)
	to.Add(iamtypes.Types(iams)...)
	to.Add(kmstypes.Types(kmss)...)
	to.Add(s3types.Types(s3s)...)
	to.Add(sqstypes.Types(sqss)...)
	to.Add(ssmtypes.Types(ssms)...)
}

// mounts puts every service of this build behind its description.
func mounts(cf *cloudformation.Service, ec2s *ec2.Service, iams *iam.Service, kmss *kms.Service,
	s3s *s3.Service, sqss *sqs.Service, ssms *ssm.Service, stss *sts.Service) []wire.Mount {
	return []wire.Mount{
		{Desc: cloudformationapi.Describe(), Impl: cf},
		{Desc: ec2api.Describe(), Impl: ec2s},
		{Desc: iamapi.Describe(), Impl: iams},
		{Desc: kmsapi.Describe(), Impl: kmss},
		{Desc: s3api.Describe(), Impl: s3s.API()},
		{Desc: sqsapi.Describe(), Impl: sqss},
		{Desc: ssmapi.Describe(), Impl: ssms},
		{Desc: stsapi.Describe(), Impl: stss},
	}
}

// Built tells what this build has, without starting it: the services, whose
// implementations are not to be called, and the names of the resource types.
func Built() ([]wire.Mount, []string) {
	types := &cfn.Registry{}
	addTypes(types, nil, nil, nil, nil, nil, nil, nil)
	return mounts(&cloudformation.Service{}, &ec2.Service{}, &iam.Service{}, &kms.Service{},
		&s3.Service{}, &sqs.Service{}, &ssm.Service{}, &sts.Service{}), types.Names()
}

// start begins the services' loops. The engine runs already.
func (s *services) start(ctx context.Context) {
	for _, l := range s.loops {
		l.Start(ctx)
	}
}

// stop ends the loops, also those that never started, and waits for them.
func (s *services) stop() {
	for _, l := range slices.Backward(s.loops) {
		l.Stop()
	}
	s.keys.Close()
	s.policies.Close()
}
