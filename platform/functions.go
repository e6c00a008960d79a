package platform

import (
	"context"
	"errors"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	lambdaapi "github.com/slipway/slipway/api/lambda"
	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/compute/function"
	"github.com/slipway/slipway/service/lambda"
)

// functionHost is where functions run, until it is stopped.
type functionHost interface {
	lambda.Runner
	Stop()
}

// wireFunctions makes the service of functions, and the host that runs them.
func (p *Platform) wireFunctions(s *services) (err error) {
	dir := filepath.Join(p.cfg.Dir, functionsDir)
	s.functions, err = function.New(function.Config{
		Driver: p.driver, Dir: filepath.Join(dir, "host"), Logger: p.cfg.Logger, DNS: resolvers(resolverFiles),
		Log: func(spec function.Spec, stream string, at time.Time, line []byte) {
			if !strings.HasPrefix(spec.Key, localKey) { // local handlers have no log
				s.lambda.Line(spec, stream, at, line)
			}
		},
	})
	if errors.Is(err, compute.ErrUnsupported) {
		s.functions, err = noFunctions{err}, nil
	}
	if err != nil {
		return err
	}
	s.lambda, err = lambda.New(lambda.Config{
		Store: p.store, Ring: p.ring, Dir: dir, Runner: s.functions, S3: s.apis.s3, Credentials: s.insiders.executionCredentials,
		SQS: s.apis.sqs, SNS: s.apis.sns, Logs: s.apis.logs, Self: func() lambdaapi.Service { return s.apis.lambda }, Assume: s.insiders.executionRole, WaitScale: p.cfg.WaitScale, Public: p.public, Authorizer: s.authorizer,
		Endpoint: p.instanceEndpoint, Now: p.cfg.Now, Logger: p.cfg.Logger,
		Answered: func(ctx context.Context, payload []byte) (bool, error) {
			return s.cloudformation.Answered(ctx, payload)
		},
	})
	if err == nil {
		s.apis.lambda = lambdaapi.Intercept(s.lambda, s.guard())
	}
	return err
}

// localHandlers runs the handlers of registered types that are no functions.
func (p *Platform) localHandlers(s *services) *localHandlers {
	return &localHandlers{
		host: s.functions, dir: filepath.Join(p.cfg.Dir, functionsDir, "local"), binary: p.cfg.Binary,
		endpoint: p.instanceEndpoint, folders: map[string]string{},
	}
}

// answerMacro has a function answer for a macro, as the caller.
func (s *services) answerMacro(ctx context.Context, name string, payload []byte) ([]byte, error) {
	out, err := s.apis.lambda.Invoke(ctx, &lambdaapi.InvokeInput{FunctionName: name, Payload: payload})
	if err != nil {
		return nil, err
	}
	return out.Payload, nil
}

// public is the scheme and the port at which the API is reached.
func (p *Platform) public() (scheme, port string) {
	u, err := url.Parse(p.endpoint)
	if err != nil {
		return "http", ""
	}
	return u.Scheme, u.Port()
}

// noFunctions is the host where the compute driver runs none: it says so.
type noFunctions struct{ why error }

// Runtime says what is missing for any runtime.
func (n noFunctions) Runtime(name string) (function.Runtime, error) {
	return function.Runtime{}, &function.RuntimeError{Runtime: name, Missing: n.why.Error()}
}

// Invoke says it, too.
func (n noFunctions) Invoke(_ context.Context, spec function.Spec, _ function.Invocation) (function.Result, error) {
	_, err := n.Runtime(spec.Runtime)
	return function.Result{}, err
}

// Prepare has nothing to prepare.
func (noFunctions) Prepare() {}

// Retire has nothing to wait for.
func (noFunctions) Retire(string) func(context.Context) error {
	return func(context.Context) error { return nil }
}

// Stop ends nothing.
func (noFunctions) Stop() {}
