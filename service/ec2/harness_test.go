package ec2

import (
	"context"
	"errors"
	"testing"
	"time"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/compute/fake"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/store/storetest"
	"github.com/slipway/slipway/workflow"
)

var testScope = arn.Scope{Account: "111111111111", Region: "us-east-1"}

// cloud is a service with all that it needs, in memory.
type cloud struct {
	*Service
	t      *testing.T
	ctx    context.Context
	store  store.Store
	engine *workflow.Engine
	driver *fake.Driver
	clock  time.Time
}

func newCloud(t *testing.T) *cloud {
	t.Helper()
	return newCloudOn(t, fake.Config{})
}

// newCloudOn is a cloud whose driver is another.
func newCloudOn(t *testing.T, driver fake.Config) *cloud {
	t.Helper()
	c := &cloud{t: t, store: storetest.New(t), driver: fake.New(driver)}
	c.clock = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	c.ctx = auth.With(t.Context(), auth.Call{
		Principal: auth.Principal{Kind: auth.Root, Account: testScope.Account, UserID: testScope.Account}, Scope: testScope,
	})
	c.boot("boot-1")
	return c
}

// boot starts engine and service, as after a start of Slipway on a host in the
// run that boot names.
func (c *cloud) boot(boot string) {
	c.t.Helper()
	c.engine = workflow.New(workflow.Config{Store: c.store, Server: "test"})
	c.Service = New(Config{
		Store: c.store, Engine: c.engine, Driver: c.driver, IAM: profiles{}, Boot: boot, Endpoint: "http://172.31.0.1:4566",
		Now: func() time.Time { return c.clock },
	})
	if err := c.engine.Start(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
	c.Service.Start(c.t.Context())
	engine, service := c.engine, c.Service
	c.t.Cleanup(func() { service.Stop(); engine.Stop() })
}

// restart stops Slipway and starts it again; instances go on.
func (c *cloud) restart(boot string) {
	c.t.Helper()
	c.Service.Stop()
	c.engine.Stop()
	c.boot(boot)
}

// profiles is an IAM with one instance profile.
type profiles struct{ iam.Unimplemented }

func (profiles) GetInstanceProfile(ctx context.Context, in *iam.GetInstanceProfileInput) (*iam.GetInstanceProfileOutput, error) {
	if auth.From(ctx).Principal.Kind != auth.Service {
		return nil, fault.New(fault.AccessDenied, "only EC2 itself asks")
	}
	if in.InstanceProfileName != "web" {
		return nil, fault.New("NoSuchEntity", "Instance Profile %s cannot be found.", in.InstanceProfileName)
	}
	return &iam.GetInstanceProfileOutput{InstanceProfile: &iam.InstanceProfile{
		InstanceProfileName: "web", InstanceProfileId: "AIPAEXAMPLE", Arn: "arn:aws:iam::111111111111:instance-profile/app/web",
		Roles: []iam.Role{{RoleName: "web-role", Arn: "arn:aws:iam::111111111111:role/app/web-role"}},
	}}, nil
}

// request is the least that RunInstances needs.
func request() *api.RunInstancesInput {
	return &api.RunInstancesInput{ImageId: BuiltinImage(testScope), InstanceType: hostType(), MinCount: ptr(int32(1)), MaxCount: ptr(int32(1))}
}

func hostType() string {
	if hostArch() == arm {
		return "t4g.micro"
	}
	return "t3.micro"
}

// run launches one instance and waits until it runs.
func (c *cloud) run(change ...func(*api.RunInstancesInput)) api.Instance {
	c.t.Helper()
	in := request()
	for _, f := range change {
		f(in)
	}
	out, err := c.RunInstances(c.ctx, in)
	if err != nil {
		c.t.Fatalf("RunInstances: %v", err)
	}
	return c.await(out.Instances[0].InstanceId, running)
}

// await waits until an instance is in a state.
func (c *cloud) await(id string, want state) api.Instance {
	c.t.Helper()
	var got api.Instance
	c.until("instance "+id+" is "+string(want), func() bool {
		got = c.describe(id)
		return got.State.Name == string(want)
	})
	return got
}

// until waits for a condition, whichever way it comes about.
func (c *cloud) until(what string, cond func() bool) {
	c.t.Helper()
	ctx, stop := context.WithTimeout(c.ctx, 20*time.Second)
	defer stop()
	changed := c.store.Watch(ctx, "")
	tick := time.NewTicker(20 * time.Millisecond) // the host changes without the store
	defer tick.Stop()
	for !cond() {
		select {
		case <-changed:
		case <-tick.C:
		case <-ctx.Done():
			c.t.Fatalf("not reached: %s", what)
		}
	}
}

func (c *cloud) describe(id string) api.Instance {
	c.t.Helper()
	out, err := c.DescribeInstances(c.ctx, &api.DescribeInstancesInput{InstanceIds: []string{id}})
	if err != nil {
		c.t.Fatalf("DescribeInstances: %v", err)
	}
	return out.Reservations[0].Instances[0]
}

// sound checks the invariants.
func (c *cloud) sound() {
	c.t.Helper()
	if err := c.store.View(c.ctx, func(tx store.Tx) error { return CheckInvariants(c.ctx, tx, c.driver) }); err != nil {
		c.t.Errorf("invariants: %v", err)
	}
}

// wantFault checks an error's code and, where it is not empty, its message.
func wantFault(t *testing.T, err error, code, message string) {
	t.Helper()
	f, ok := fault.As(err)
	if !ok || f.Code != code {
		t.Errorf("got error %v, want code %s", err, code)
		return
	}
	if message != "" && f.Message != message {
		t.Errorf("got message %q, want %q", f.Message, message)
	}
}

func must[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// silent is a driver that cannot say how its instances are.
type silent struct{ compute.Driver }

func (silent) Describe(context.Context, compute.Handle) (compute.Status, error) {
	return compute.Status{}, errors.New("the host does not answer")
}
