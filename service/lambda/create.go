package lambda

import (
	"context"
	"time"

	api "github.com/slipway/slipway/api/lambda"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// Defaults of a function.
const (
	defaultTimeout = 3
	defaultMemory  = 128
	defaultTmp     = 512
)

func wantedOf(in *api.CreateFunctionInput) *wanted {
	return &wanted{
		operation: "CreateFunction", runtime: in.Runtime, role: in.Role, handler: in.Handler, description: in.Description,
		timeout: in.Timeout, memory: in.MemorySize, environment: in.Environment, deadLetter: in.DeadLetterConfig, layers: in.Layers,
		ephemeral: in.EphemeralStorage, logging: in.LoggingConfig, tracing: in.TracingConfig, vpc: in.VpcConfig,
		snapStart: in.SnapStart, files: in.FileSystemConfigs, kmsKey: in.KMSKeyArn,
		lacking: map[string]bool{
			"CapacityProviderConfig": in.CapacityProviderConfig != nil, "Code.ImageUri": in.Code != nil && in.Code.ImageUri != "",
			"Code.SourceKMSKeyArn": in.Code != nil && in.Code.SourceKMSKeyArn != "", "CodeSigningConfigArn": in.CodeSigningConfigArn != "",
			"DurableConfig": in.DurableConfig != nil, "ImageConfig": in.ImageConfig != nil, "PackageType Image": in.PackageType == api.PackageTypeImage,
			"PublishTo": in.PublishTo != "", "TenancyConfig": in.TenancyConfig != nil,
		},
	}
}

// CreateFunction makes a function. It is Pending until its code is unpacked and its
// runtime was found.
func (s *Service) CreateFunction(ctx context.Context, in *api.CreateFunctionInput) (*api.CreateFunctionOutput, error) {
	call := auth.From(ctx)
	p, err := s.newName(ctx, in.FunctionName)
	if err != nil {
		return nil, err
	}
	w := wantedOf(in)
	if err := w.refuse(); err != nil {
		return nil, err
	}
	if in.Runtime == "" {
		return nil, invalid("Runtime and Handler are mandatory parameters for functions created with deployment packages.")
	}
	v := &version{Version: latest, State: pendingState, Enforced: call.Principal.Enforced, settings: settings{
		Timeout: defaultTimeout, Memory: defaultMemory, Ephemeral: defaultTmp, Architecture: architecture(),
	}}
	if err := checkArchitectures("CreateFunction", in.Architectures); err != nil {
		return nil, err
	}
	if err := s.apply(ctx, p, w, &v.settings); err != nil {
		return nil, err
	}
	if err := checkTags(ctx, in.Tags); err != nil {
		return nil, err
	}
	if err := s.checkRole(ctx, p, in.Role, call.Principal.Enforced); err != nil {
		return nil, err
	}
	code, release, err := s.take(ctx, source{
		zip: in.Code.ZipFile, bucket: in.Code.S3Bucket, key: in.Code.S3Key, version: in.Code.S3ObjectVersion,
	})
	if err != nil {
		return nil, err
	}
	defer release()
	v.Code = code
	made, err := s.create(ctx, p, v, in)
	if err != nil {
		return nil, err
	}
	s.activate.Wake()
	s.cfg.Runner.Prepare()
	out, err := s.configuration(p, made, "")
	return (*api.CreateFunctionOutput)(out), err
}

// newName reads the name of a function that is to be made.
func (s *Service) newName(ctx context.Context, name string) (place, error) {
	p, qualifier, err := named(ctx, name, "")
	switch {
	case err != nil:
		return p, err
	case p.Account != scopeOf(ctx).Account:
		return p, fault.New(fault.AccessDeniedException, "A function can be created in the caller's own account only.")
	case len(p.name) > maxName:
		return p, constraint("functionName", p.name, "Member must have length less than or equal to 64")
	case qualifier != "" && qualifier != latest:
		return p, invalid("A function is created without a qualifier, or with $LATEST.")
	}
	return p, nil
}

// create writes the records of a function, and answers a repetition with what the
// first call made. made is the version that the caller is shown.
func (s *Service) create(ctx context.Context, p place, v *version, in *api.CreateFunctionInput) (made *version, err error) {
	call := auth.From(ctx)
	now := s.now().UTC().Truncate(time.Millisecond)
	err = s.store.Update(ctx, func(tx store.Tx) error {
		was, err := getFunction(tx, p)
		if err != nil {
			return err
		}
		if was != nil {
			if call.Token == "" || was.Token != call.Token {
				return conflict("Function already exist: %s", p.name)
			}
			made, err = getVersion(tx, p, latest)
			return err
		}
		if err := s.setLayers(ctx, tx, p, in.Layers, &v.settings); err != nil {
			return err
		}
		if err := s.checkSize(tx, p.Scope, &v.settings); err != nil {
			return err
		}
		v.Modified, v.Revision = now, arn.NewUUID()
		f := &record{Tags: in.Tags, Next: 1, Token: call.Token, Created: now, ID: arn.NewUUID()}
		made = v
		if yes(in.Publish) {
			if made, err = s.publish(tx, p, f, v, publishing{}); err != nil {
				return err
			}
		}
		if err := functions.Put(tx, p.key(), f); err != nil {
			return err
		}
		return versions.Put(tx, p.versionKey(latest), v)
	})
	return made, err
}
