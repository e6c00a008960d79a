package lambda

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"runtime"
	"slices"
	"strings"

	api "github.com/slipway/slipway/api/lambda"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/compute/function"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// Bounds of a function ("Lambda quotas", AWS Lambda Developer Guide).
const (
	maxEnvironment = 4 << 10 // bytes, as JSON
	maxLayers      = 5
	leastMemory    = 128 // MiB
	mostMemory     = 10240
	leastTmp       = 512
	mostTmp        = 10240
	maxTimeout     = 900 // seconds
)

// wanted are the members that CreateFunction and UpdateFunctionConfiguration share.
type wanted struct {
	operation                           string
	runtime, role, handler, description string
	timeout, memory                     *int32
	environment                         *api.Environment
	deadLetter                          *api.DeadLetterConfig
	layers                              []string
	ephemeral                           *api.EphemeralStorage
	logging                             *api.LoggingConfig
	tracing                             *api.TracingConfig
	vpc                                 *api.VpcConfig
	snapStart                           *api.SnapStart
	files                               []api.FileSystemConfig
	kmsKey                              string
	lacking                             map[string]bool // members that are not built, and are there
}

// refuse names what is asked for and not built.
func (w *wanted) refuse() error {
	for _, name := range slices.Sorted(maps.Keys(w.lacking)) {
		if w.lacking[name] {
			return notBuilt(w.operation, name)
		}
	}
	switch {
	case w.vpc != nil && len(w.vpc.SubnetIds)+len(w.vpc.SecurityGroupIds) > 0:
		return notBuilt(w.operation, "VpcConfig")
	case len(w.files) > 0:
		return notBuilt(w.operation, "FileSystemConfigs")
	case w.kmsKey != "":
		return notBuilt(w.operation, "KMSKeyArn")
	case w.tracing != nil && w.tracing.Mode == api.TracingModeActive:
		return notBuilt(w.operation, "TracingConfig of mode Active")
	case w.snapStart != nil && w.snapStart.ApplyOn == api.SnapStartApplyOnPublishedVersions:
		return notBuilt(w.operation, "SnapStart")
	}
	if l := w.logging; l != nil && (l.LogFormat == api.LogFormatJson || l.ApplicationLogLevel != "" || l.SystemLogLevel != "") {
		return notBuilt(w.operation, "LoggingConfig of format JSON")
	}
	return nil
}

// apply checks what is wanted, which was not to be refused, and puts it into
// settings. What is not said stays.
func (s *Service) apply(ctx context.Context, p place, w *wanted, to *settings) error {
	set := func(to *string, v string) {
		if v != "" {
			*to = v
		}
	}
	set(&to.Runtime, w.runtime)
	set(&to.Role, w.role)
	set(&to.Handler, w.handler)
	set(&to.Description, w.description)
	if w.runtime != "" {
		if err := s.runtimeKnown(w.runtime); err != nil {
			return err
		}
	}
	if to.Handler == "" {
		return invalid("Runtime and Handler are mandatory parameters for functions created with deployment packages.")
	}
	to.Timeout, to.Memory = or(w.timeout, to.Timeout), or(w.memory, to.Memory)
	if w.ephemeral != nil {
		to.Ephemeral = or(w.ephemeral.Size, to.Ephemeral)
	}
	if err := to.inBounds(); err != nil {
		return err
	}
	if w.logging != nil {
		to.LogGroup = w.logging.LogGroup
	}
	if err := to.setDeadLetter(w.deadLetter); err != nil {
		return err
	}
	return s.setEnvironment(p, w.environment, to)
}

func (s *settings) inBounds() error {
	switch {
	case s.Timeout < 1 || s.Timeout > maxTimeout:
		return constraint("timeout", fmt.Sprint(s.Timeout), "Member must have value less than or equal to 900")
	case s.Memory < leastMemory:
		return constraint("memorySize", fmt.Sprint(s.Memory), "Member must have value greater than or equal to 128")
	case s.Memory > mostMemory:
		return constraint("memorySize", fmt.Sprint(s.Memory), "Member must have value less than or equal to 10240")
	case s.Ephemeral < leastTmp:
		return constraint("ephemeralStorage.size", fmt.Sprint(s.Ephemeral), "Member must have value greater than or equal to 512")
	case s.Ephemeral > mostTmp:
		return constraint("ephemeralStorage.size", fmt.Sprint(s.Ephemeral), "Member must have value less than or equal to 10240")
	}
	return nil
}

func (s *settings) setDeadLetter(d *api.DeadLetterConfig) error {
	switch {
	case d == nil:
	case d.TargetArn == "":
		s.DeadLetter = nil
	default:
		a, err := arn.Parse(d.TargetArn)
		if err != nil || a.Service != "sqs" && a.Service != "sns" {
			return invalid("The provided dead letter target ARN %s is invalid: it must be that of an SQS queue or of an SNS topic.", d.TargetArn)
		}
		s.DeadLetter = new(d.TargetArn)
	}
	return nil
}

// reserved are the variables that the runtime sets ("Defined runtime environment
// variables", AWS Lambda Developer Guide).
var reserved = map[string]bool{
	"_HANDLER": true, "_X_AMZN_TRACE_ID": true, "AWS_DEFAULT_REGION": true, "AWS_REGION": true, "AWS_EXECUTION_ENV": true,
	"AWS_LAMBDA_FUNCTION_NAME": true, "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": true, "AWS_LAMBDA_FUNCTION_VERSION": true,
	"AWS_LAMBDA_INITIALIZATION_TYPE": true, "AWS_LAMBDA_LOG_GROUP_NAME": true, "AWS_LAMBDA_LOG_STREAM_NAME": true,
	"AWS_ACCESS_KEY": true, "AWS_ACCESS_KEY_ID": true, "AWS_SECRET_ACCESS_KEY": true, "AWS_SESSION_TOKEN": true,
	"AWS_LAMBDA_RUNTIME_API": true, "LAMBDA_TASK_ROOT": true, "LAMBDA_RUNTIME_DIR": true,
}

func (s *Service) setEnvironment(p place, e *api.Environment, to *settings) (err error) {
	if e == nil {
		return nil
	}
	var taken []string
	for name := range e.Variables {
		if reserved[name] {
			taken = append(taken, name)
		}
	}
	if len(taken) > 0 {
		slices.Sort(taken)
		return invalid("Lambda was unable to configure your environment variables because the environment variables you have provided contains reserved keys that are currently not supported for modification. Reserved keys used in this request: %s", strings.Join(taken, ", "))
	}
	vars := e.Variables
	if vars == nil {
		vars = map[string]string{}
	}
	text, err := json.Marshal(vars)
	if err != nil {
		return err
	}
	if len(text) > maxEnvironment {
		shown := slices.Sorted(maps.Keys(vars))
		return invalid("Lambda was unable to configure your environment variables because the environment variables you have provided exceeded the 4KB limit. Variables in this request: %s", strings.Join(shown, ", "))
	}
	to.Environment, err = s.sealEnvironment(p, vars)
	return err
}

// deprecated are the runtimes of which AWS makes no more functions.
var deprecated = []string{
	"nodejs", "nodejs4.3", "nodejs4.3-edge", "nodejs6.10", "nodejs8.10", "nodejs10.x", "nodejs12.x", "nodejs14.x", "nodejs16.x", "java8",
	"python2.7", "python3.6", "python3.7", "dotnetcore1.0", "dotnetcore2.0", "dotnetcore2.1", "dotnetcore3.1", "dotnet6", "go1.x",
	"ruby2.5", "ruby2.7", "provided",
}

// runtimeKnown refuses runtimes that are not to be had any more. What this host
// lacks for the others is told when the function is to become active.
func (s *Service) runtimeKnown(name string) error {
	if slices.Contains(deprecated, name) {
		return invalid("The runtime parameter of %s is no longer supported for creating or updating AWS Lambda functions. We recommend you use a supported runtime while creating or updating functions.", name)
	}
	return nil
}

// lacks says what the host lacks to run a runtime; "" is nothing.
func (s *Service) lacks(name string) (string, error) {
	_, err := s.cfg.Runner.Runtime(name)
	if missing, ok := errors.AsType[*function.RuntimeError](err); ok {
		return missing.Missing, nil
	}
	return "", err
}

// architecture is the host's own, the only one whose code runs here.
func architecture() string {
	if runtime.GOARCH == "arm64" {
		return api.ArchitectureArm64
	}
	return api.ArchitectureX8664
}

func checkArchitectures(operation string, asked []string) error {
	if len(asked) > 0 && asked[0] != architecture() {
		return fault.New(fault.NotImplemented, "%s: this host runs code for %s, not for %s.", operation, architecture(), asked[0])
	}
	return nil
}

var roleARN = regexp.MustCompile(`^arn:aws[a-zA-Z-]*:iam::(\d{12}):role/`)

// checkRole asks the role for a session, where policies bind the caller.
func (s *Service) checkRole(ctx context.Context, p place, role string, enforced bool) error {
	m := roleARN.FindStringSubmatch(role)
	if m == nil || m[1] != p.Account {
		return fail(fault.AccessDeniedException, "Cross-account pass role is not allowed.")
	}
	if !enforced || s.cfg.Credentials == nil {
		return nil
	}
	_, err := s.cfg.Credentials(ctx, p.Scope, role, sessionName(p.name))
	if _, known := fault.As(err); known {
		return invalid("The role defined for the function cannot be assumed by Lambda.")
	}
	return err
}

// setLayers finds the layers that a function names.
func (s *Service) setLayers(ctx context.Context, tx store.Tx, p place, names []string, to *settings) error {
	if names == nil {
		return nil
	}
	if len(names) > maxLayers {
		return invalid("Cannot reference more than %d layers.", maxLayers)
	}
	seen := map[string]string{}
	to.Layers = nil
	for _, name := range names {
		use, layer, err := s.layerFor(ctx, tx, p, name)
		if err != nil {
			return err
		}
		if seen[layer] != "" {
			return invalid("Two different versions of the same layer are not allowed to be referenced in the same function. %s and %s are versions of the same layer.", seen[layer], name)
		}
		seen[layer] = name
		to.Layers = append(to.Layers, use)
	}
	return nil
}
