package lambda

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"time"

	api "github.com/slipway/slipway/api/lambda"
)

// timeForm is how Lambda writes most of its times.
const timeForm = "2006-01-02T15:04:05.000-0700"

func stamp(t time.Time) string { return t.UTC().Format(timeForm) }

// sum is a code file's SHA-256 as Lambda gives it.
func (c codeFile) sum() string {
	b, _ := hex.DecodeString(c.ID)
	return base64.StdEncoding.EncodeToString(b)
}

func environmentPurpose(p place) string { return "lambda/environment/" + p.key() }

// sealEnvironment keeps a function's variables. Those that are given as none are
// not the same as none given.
func (s *Service) sealEnvironment(p place, vars map[string]string) ([]byte, error) {
	plain, err := json.Marshal(vars)
	if err != nil {
		return nil, err
	}
	return s.cfg.Ring.Seal(environmentPurpose(p), plain)
}

func (s *Service) openEnvironment(p place, sealed []byte) (map[string]string, error) {
	if sealed == nil {
		return nil, nil
	}
	plain, err := s.cfg.Ring.Open(environmentPurpose(p), sealed)
	if err != nil {
		return nil, err
	}
	vars := map[string]string{}
	return vars, json.Unmarshal(plain, &vars)
}

// configuration is a version as the API shows it. qualifier is what its ARN ends
// with; "" for $LATEST where the caller named none.
func (s *Service) configuration(p place, v *version, qualifier string) (*api.FunctionConfiguration, error) {
	out, err := s.listed(p, v, qualifier)
	if err != nil {
		return nil, err
	}
	out.State, out.StateReason, out.StateReasonCode = v.State.Is, v.State.Reason, v.State.Code
	out.LastUpdateStatus, out.LastUpdateStatusReason, out.LastUpdateStatusReasonCode = v.Update.Is, v.Update.Reason, v.Update.Code
	out.RuntimeVersionConfig = &api.RuntimeVersionConfig{RuntimeVersionArn: runtimeARN(p.Region, v.Runtime)}
	return out, nil
}

// listed is a version as lists show it: without its state.
func (s *Service) listed(p place, v *version, qualifier string) (*api.FunctionConfiguration, error) {
	out := &api.FunctionConfiguration{
		FunctionName: p.name, FunctionArn: p.arn(qualifier), Runtime: v.Runtime, Role: v.Role, Handler: v.Handler,
		CodeSize: new(v.Code.Size), Description: v.Description, Timeout: new(v.Timeout), MemorySize: new(v.Memory),
		LastModified: stamp(v.Modified), CodeSha256: v.Code.sum(), Version: v.Version, RevisionId: v.Revision,
		TracingConfig: &api.TracingConfigResponse{Mode: api.TracingModePassThrough}, PackageType: api.PackageTypeZip,
		Architectures: []string{v.Architecture}, EphemeralStorage: &api.EphemeralStorage{Size: new(v.Ephemeral)},
		SnapStart:     &api.SnapStartResponse{ApplyOn: api.SnapStartApplyOnNone, OptimizationStatus: api.SnapStartOptimizationStatusOff},
		LoggingConfig: &api.LoggingConfig{LogFormat: api.LogFormatText, LogGroup: v.logGroup(p)},
	}
	if v.DeadLetter != nil {
		out.DeadLetterConfig = &api.DeadLetterConfig{TargetArn: *v.DeadLetter}
	}
	for _, l := range v.Layers {
		out.Layers = append(out.Layers, api.Layer{Arn: l.ARN, CodeSize: new(l.Code.Size)})
	}
	if v.Environment != nil {
		vars, err := s.openEnvironment(p, v.Environment)
		if err != nil {
			return nil, err
		}
		out.Environment = &api.EnvironmentResponse{Variables: vars}
	}
	return out, nil
}

func (s *settings) logGroup(p place) string {
	if s.LogGroup != "" {
		return s.LogGroup
	}
	return "/aws/lambda/" + p.name
}

// runtimeARN names the version of a runtime. AWS's is an opaque id; this one tells
// what the host's interpreter answers for.
func runtimeARN(region, runtime string) string {
	return "arn:aws:lambda:" + region + "::runtime:" + runtime
}

// GetFunction tells a version's configuration, and where its code can be had.
func (s *Service) GetFunction(ctx context.Context, in *api.GetFunctionInput) (*api.GetFunctionOutput, error) {
	l, err := s.look(ctx, in.FunctionName, in.Qualifier, in)
	if err != nil {
		return nil, err
	}
	out := &api.GetFunctionOutput{}
	if out.Configuration, err = s.configuration(l.place, l.version, l.qualifier); err != nil {
		return nil, err
	}
	if out.Code, err = s.location(ctx, l.version.Code); err != nil {
		return nil, err
	}
	if len(l.function.Tags) > 0 {
		out.Tags = l.function.Tags
	}
	if l.function.Reserved != nil {
		out.Concurrency = &api.Concurrency{ReservedConcurrentExecutions: l.function.Reserved}
	}
	return out, nil
}

// GetFunctionConfiguration tells a version's configuration.
func (s *Service) GetFunctionConfiguration(ctx context.Context, in *api.GetFunctionConfigurationInput) (*api.GetFunctionConfigurationOutput, error) {
	l, err := s.look(ctx, in.FunctionName, in.Qualifier, in)
	if err != nil {
		return nil, err
	}
	out, err := s.configuration(l.place, l.version, l.qualifier)
	return (*api.GetFunctionConfigurationOutput)(out), err
}
