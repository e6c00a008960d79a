package lambda

import (
	"context"
	"time"

	api "github.com/slipway/slipway/api/lambda"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/store"
)

// settled refuses to change a function that is being changed.
func settled(p place, v *version) error {
	switch {
	case v.State.Is == api.StatePending:
		return conflict("The operation cannot be performed at this time. The function is currently in the following state: Pending")
	case v.Update.Is == api.LastUpdateStatusInProgress:
		return conflict("The operation cannot be performed at this time. An update is in progress for resource: %s", p.arn(""))
	}
	return nil
}

// begin notes that a version is being changed: until it is through, invocations run
// what ran before.
func (s *Service) begin(ctx context.Context, v *version, was settings) {
	v.Modified, v.Revision = s.now().UTC().Truncate(time.Millisecond), arn.NewUUID()
	v.Enforced = auth.From(ctx).Principal.Enforced
	v.Update = inProgress
	if v.State.Is == api.StateFailed {
		v.State, v.Update = pendingState, status{}
		return
	}
	if v.Serving == nil {
		v.Serving = &was
	}
}

// UpdateFunctionCode gives $LATEST other code.
func (s *Service) UpdateFunctionCode(ctx context.Context, in *api.UpdateFunctionCodeInput) (*api.UpdateFunctionCodeOutput, error) {
	switch {
	case in.ImageUri != "":
		return nil, notBuilt("UpdateFunctionCode", "ImageUri")
	case in.SourceKMSKeyArn != "":
		return nil, notBuilt("UpdateFunctionCode", "SourceKMSKeyArn")
	case in.PublishTo != "":
		return nil, notBuilt("UpdateFunctionCode", "PublishTo")
	}
	if err := checkArchitectures("UpdateFunctionCode", in.Architectures); err != nil {
		return nil, err
	}
	code, release, err := s.take(ctx, source{
		zip: in.ZipFile, bucket: in.S3Bucket, key: in.S3Key, version: in.S3ObjectVersion,
	})
	if err != nil {
		return nil, err
	}
	defer release()
	var made *version
	l, err := s.change(ctx, in.FunctionName, in, func(tx store.Tx, l *looked) (err error) {
		v := l.version
		made = v
		if err := s.changeable(l, in.RevisionId); err != nil {
			return err
		}
		was := v.settings
		v.Code = code
		if err := s.checkSize(tx, l.Scope, &v.settings); err != nil || yes(in.DryRun) {
			return err
		}
		s.begin(ctx, v, was)
		if yes(in.Publish) {
			if made, err = s.publish(tx, l.place, l.function, v, publishing{}); err != nil {
				return err
			}
			if err := functions.Put(tx, l.place.key(), l.function); err != nil {
				return err
			}
		}
		return versions.Put(tx, l.place.versionKey(latest), v)
	})
	if err != nil {
		return nil, err
	}
	s.activate.Wake()
	out, err := s.configuration(l.place, made, qualifierOf(made))
	return (*api.UpdateFunctionCodeOutput)(out), err
}

// qualifierOf is what the ARN of a version ends with that a call has changed.
func qualifierOf(v *version) string {
	if v.Version == latest {
		return ""
	}
	return v.Version
}

func (s *Service) changeable(l *looked, revision string) error {
	if revision != "" && revision != l.version.Revision {
		return stale("GetFunction/GetFunctionConfiguration")
	}
	return settled(l.place, l.version)
}

// UpdateFunctionConfiguration gives $LATEST another configuration.
func (s *Service) UpdateFunctionConfiguration(ctx context.Context, in *api.UpdateFunctionConfigurationInput) (*api.UpdateFunctionConfigurationOutput, error) {
	w := &wanted{
		operation: "UpdateFunctionConfiguration", runtime: in.Runtime, role: in.Role, handler: in.Handler, description: in.Description,
		timeout: in.Timeout, memory: in.MemorySize, environment: in.Environment, deadLetter: in.DeadLetterConfig, layers: in.Layers,
		ephemeral: in.EphemeralStorage, logging: in.LoggingConfig, tracing: in.TracingConfig, vpc: in.VpcConfig,
		snapStart: in.SnapStart, files: in.FileSystemConfigs, kmsKey: in.KMSKeyArn,
		lacking: map[string]bool{
			"CapacityProviderConfig": in.CapacityProviderConfig != nil, "DurableConfig": in.DurableConfig != nil, "ImageConfig": in.ImageConfig != nil,
		},
	}
	if err := w.refuse(); err != nil {
		return nil, err
	}
	if in.Role != "" {
		p, _, err := named(ctx, in.FunctionName, "")
		if err == nil {
			err = s.checkRole(ctx, p, in.Role, auth.From(ctx).Principal.Enforced)
		}
		if err != nil {
			return nil, err
		}
	}
	l, err := s.change(ctx, in.FunctionName, in, func(tx store.Tx, l *looked) error {
		v := l.version
		if err := s.changeable(l, in.RevisionId); err != nil {
			return err
		}
		was := v.settings
		if err := s.apply(ctx, l.place, w, &v.settings); err != nil {
			return err
		}
		if err := s.setLayers(ctx, tx, l.place, in.Layers, &v.settings); err != nil {
			return err
		}
		if err := s.checkSize(tx, l.Scope, &v.settings); err != nil {
			return err
		}
		s.begin(ctx, v, was)
		return versions.Put(tx, l.place.versionKey(latest), v)
	})
	if err != nil {
		return nil, err
	}
	s.activate.Wake()
	out, err := s.configuration(l.place, l.version, "")
	return (*api.UpdateFunctionConfigurationOutput)(out), err
}
