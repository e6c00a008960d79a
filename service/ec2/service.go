// Package ec2 is Amazon EC2 over compute.Driver: instances, key pairs, security
// groups, elastic IPs, tags, and the default VPC that they stand in.
//
// Requests check, write records and begin workflows in one transaction, and are
// not retried. Workflows (flow.go) act on the driver; their steps are retried.
// One reconcile loop (reconcile.go) compares records with the driver; it reruns
// whole. It may import the seams, workflow, reconcile, dataplane/metadata and
// other services' api packages. A Service owns the reconcile loop and the
// goroutine that reads the driver's events; Stop waits for both.
package ec2

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/dataplane/metadata"
	"github.com/slipway/slipway/reconcile"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/workflow"
)

// Config is what the service is made of. Store, Engine and Driver are needed.
type Config struct {
	Store  store.Store
	Engine *workflow.Engine
	Driver compute.Driver
	// IAM answers for instance profiles. Without it, naming one is refused.
	IAM iam.Service
	// S3 has the archives that images are registered from. Without it, naming one
	// is refused.
	S3 s3.Service
	// Scratch is a folder for archives that are being read; empty is the system's.
	Scratch string
	// Authorizer decides whether a caller may pass a profile's role to EC2. The
	// default lets everyone.
	Authorizer auth.Authorizer
	// Credentials gives the temporary credentials of an instance's role.
	Credentials func(ctx context.Context, scope arn.Scope, roleARN, instanceID string) (metadata.Credentials, error)
	// Identity gives the credentials by which an instance proves which one it is.
	Identity func(ctx context.Context, scope arn.Scope, instanceID string) (metadata.Credentials, error)
	// Endpoint is the base URL by which instances reach the API; empty tells
	// them none.
	Endpoint string
	// DNS are the resolvers of instances; none leaves it to the driver.
	DNS []netip.Addr
	// Environment is added to that of every instance's first process.
	Environment map[string]string
	Logger      *slog.Logger
	Now         func() time.Time
	// Boot names the present run of the host: it changes when the host's
	// processes were all lost. The default reads it from the kernel.
	Boot string
}

// Service implements api/ec2.
type Service struct {
	api.Unimplemented
	cfg    Config
	log    *slog.Logger
	locks  locks
	loop   *reconcile.Loop
	watch  watch
	fabric fabric
}

var _ api.Service = (*Service)(nil)

// New makes the service and registers its workflows; Start it after the engine.
func New(cfg Config) *Service {
	if cfg.Store == nil || cfg.Engine == nil || cfg.Driver == nil {
		panic("ec2: a store, a workflow engine and a compute driver are needed")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Authorizer == nil {
		cfg.Authorizer = auth.Everyone{}
	}
	if cfg.Boot == "" {
		cfg.Boot = bootOfHost()
	}
	s := &Service{cfg: cfg, log: cfg.Logger.With("service", "ec2")}
	s.loop = reconcile.New("ec2", s.reconcile, reconcile.Options{Logger: s.log})
	s.register(cfg.Engine)
	return s
}

// bootOfHost joins the kernel's boot id to the start of process 1, which is
// another one after a container was started again.
func bootOfHost() string {
	id, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	stat, _ := os.ReadFile("/proc/1/stat")
	const startTime = 19 // field 22, counted behind the command's closing bracket
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	if len(fields) <= startTime {
		return strings.TrimSpace(string(id))
	}
	return strings.TrimSpace(string(id)) + "/" + fields[startTime]
}

func (s *Service) now() time.Time { return s.cfg.Now().UTC().Truncate(time.Millisecond) }

// newID makes a resource id: a durable step's token always leads to the same
// one, told apart by what.
func newID(call auth.Call, prefix, what string) string {
	if call.Token == "" {
		return arn.NewID(prefix)
	}
	return arn.IDFrom(prefix, call.Scope.Key()+"/"+call.Token+"/"+what)
}

func itoa(n int) string { return strconv.Itoa(n) }

// maxInstances bounds the instances of one account and region that are not
// terminated.
func (s *Service) maxInstances() int { return 512 }

// maxElastic is how many elastic IPs an account can have in a region. AWS's
// quota is 5; here the host's own range is the limit.
func (s *Service) maxElastic() int {
	p := s.cfg.Driver.Network().Elastic
	if !p.IsValid() {
		return 0
	}
	return int(min(size(p), 1<<16)) - 2
}

// callAs is a context for a call into another service that EC2 itself makes for
// an account.
func (s *Service) callAs(ctx context.Context, scope arn.Scope, service, operation string) context.Context {
	return auth.With(ctx, auth.Call{
		Principal: auth.Principal{
			Kind: auth.Service, Account: scope.Account, Name: "ec2.amazonaws.com",
			ARN: fmt.Sprintf("arn:%s:iam::%s:root", arn.Partition, scope.Account), UserID: scope.Account,
		},
		Scope: scope, Service: service, Operation: operation, Time: s.now(),
		RequestID: arn.NewID("req-"), SourceIP: "ec2.amazonaws.com", UserAgent: "ec2.amazonaws.com",
	})
}
