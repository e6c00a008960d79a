// Package function is where Lambda functions run: a Host makes execution
// environments out of a compute driver's parts, serves each the Lambda Runtime
// API, and hands invocations to those that are idle. It knows no service and no
// store: it is told everything, and environments are disposable. They end with
// the host, or are found and removed by the next one.
//
// It may import compute and what is below it. A Host owns the goroutines of its
// environments and their processes; Stop ends all of them.
package function

import (
	"errors"
	"log/slog"
	"net/netip"
	"time"

	"github.com/slipway/slipway/compute"
)

// Spec is all that a host is told about a function's version.
type Spec struct {
	// Key says which environments are interchangeable: the function's ARN, its
	// version, and the revisions of its code and its configuration. Whatever else
	// of a Spec changes, the Key must, too.
	Key     string
	ARN     string // of the function, without a qualifier
	Account string
	Region  string
	Name    string
	Version string // "$LATEST", "1" ...
	Handler string // "index.handler"; provided runtimes see it in _HANDLER
	Runtime string // "provided.al2023", "python3.12", "nodejs20.x"
	// Code is the host's folder with the function's unpacked files. The function
	// sees it, read-only, as /var/task (LAMBDA_TASK_ROOT). It has to stay until no
	// environment of the Key is left: see Retire.
	Code string
	// Layers are folders with unpacked layers. The function sees them merged, later
	// ones on top, as /opt.
	Layers []string
	// Environment are the function's own variables, and those that the service
	// gives it: AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID ... The names that
	// the runtime sets for itself are not to be had from here.
	Environment map[string]string
	Memory      int64         // bytes of all the function's processes
	Timeout     time.Duration // of an invocation
	Ephemeral   int64         // bytes of /tmp; 0 is 512 MiB
	LogGroup    string        // "/aws/lambda/NAME"
}

// Invocation is one call of a function.
type Invocation struct {
	RequestID  string // a UUID
	InvokedARN string // with the qualifier that the caller used
	Payload    []byte // JSON
	// ClientContext and Identity are JSON, from a mobile SDK; mostly empty.
	ClientContext string
	Identity      string
	Trace         string // X-Ray trace header
}

// Result is what an invocation came to. A function that failed is a Result,
// too; Invoke's error says that the host could not run it.
type Result struct {
	Payload []byte
	// FunctionError is empty, or "Unhandled": what X-Amz-Function-Error says.
	FunctionError string
	// Tail is the last 4 KB of the invocation's log, with its START, END and
	// REPORT lines.
	Tail        []byte
	Version     string
	Stream      string        // of the log
	Cold        bool          // its environment was made for it
	Duration    time.Duration // of the handler
	Billed      time.Duration // Duration, in whole milliseconds
	Init        time.Duration // of the init phase, where Cold
	MaxMemory   int64         // bytes, the most that the environment used at the end of an invocation
	Environment string        // id of the environment
}

// Log takes a line that an environment printed, without its line feed, or one
// of the platform's own: START, END, REPORT, INIT_REPORT. Stream is the
// environment's, YYYY/MM/DD/[VERSION]HEX. It is called in the order of the lines
// of an environment, by one goroutine for each environment, and must not block for long.
// The line is the callee's to keep.
type Log func(spec Spec, stream string, at time.Time, line []byte)

// Config says where and how much a host runs.
type Config struct {
	// Driver makes environments: it has to be compute.Enclosures, as both drivers
	// of this house are.
	Driver compute.Driver
	// Dir is the host's folder, for the runtimes' programs; made when missing.
	Dir string
	// Log takes what functions print. Nil drops it.
	Log    Log
	Logger *slog.Logger
	// DNS are the name servers of environments that have a network of their own.
	DNS []netip.Addr
	// Environments and Memory bound all environments together; 0 is a bound by
	// what the host has. Idle ones make room for those that are asked for.
	Environments int
	Memory       int64 // bytes
	// Ready is how many blank environments are kept ready, once any was needed; 0 is
	// 2, and less than 0 is none.
	Ready int
	// Idle is how long an environment stays without an invocation; 0 is 10 minutes.
	Idle time.Duration
}

// Errors of a host.
var (
	// ErrThrottled says that all environments that the host may run are busy.
	ErrThrottled = errors.New("function: no room for another execution environment")
	// ErrStopped says that the host was stopped. The function may have run.
	ErrStopped = errors.New("function: the host of functions has stopped")
)

// RuntimeError says what this host lacks to run a runtime.
type RuntimeError struct {
	Runtime string
	Missing string // "no java on this host ..."
}

func (e *RuntimeError) Error() string {
	return "function: runtime " + e.Runtime + " cannot run here: " + e.Missing
}

// Runtime is what runs a function's handler.
type Runtime struct {
	Name string // as AWS names it, "python3.12"
	// Program is the interpreter on this host, empty for provided ones.
	Program string
	// Version is the interpreter's own, which may differ from the one in Name.
	Version string
}
