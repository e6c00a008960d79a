package ec2

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/compute/fake"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/workflow"
	"github.com/slipway/slipway/workflow/workflowtest"
)

// flowWorld is what a scenario stands in: its driver outlives the crash, its
// service does not.
type flowWorld struct {
	driver  *fake.Driver
	service *Service
	id      string
}

func (w *flowWorld) register(s store.Store) func(e *workflow.Engine) {
	return func(e *workflow.Engine) {
		w.service = New(Config{Store: s, Engine: e, Driver: w.driver, Boot: "boot", Now: func() time.Time { return time.Unix(1_800_000_000, 0) }})
	}
}

// prepare puts a running instance with an elastic IP on record and on the host.
func (w *flowWorld) prepare(t testing.TB, s store.Store) {
	t.Helper()
	w.register(s)(workflow.New(workflow.Config{Store: s}))
	w.id = "i-0123456789abcdef0"
	err := s.Update(context.Background(), func(tx store.Tx) error {
		in := w.model()
		var err error
		sub := w.service.network(testScope).Subnets[0]
		if in.Private, err = w.service.takePrivate(tx, sub, netip.Addr{}, claim{testScope, in.ID}); err != nil {
			return err
		}
		if in.Automatic, err = w.service.takeAutomatic(tx, claim{testScope, in.ID}); err != nil {
			return err
		}
		h, err := w.driver.Launch(context.Background(), w.service.spec(&in))
		if err != nil {
			return err
		}
		in.State, in.Handle, in.Boot = running, &h, "boot"
		a := &address{Scope: testScope, ID: "eipalloc-0123456789abcdef0"}
		if a.IP, err = w.service.takeElastic(tx, a, ""); err != nil {
			return err
		}
		return firstError(w.driver.AssignAddress(context.Background(), h, in.Automatic, netip.Addr{}), a.save(tx), in.save(tx))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// model is an instance as RunInstances would have it.
func (w *flowWorld) model() instance {
	n := w.service.network(testScope)
	in := instance{
		Scope: testScope, ID: w.id, Reservation: "r-0123456789abcdef0", Image: BuiltinImage(testScope), Type: hostType(),
		VPC: n.VPC, Subnet: n.Subnets[0].ID, Zone: n.Subnets[0].Zone, Groups: []string{n.Group}, MapPublic: true, OnShutdown: onShutdownStop,
	}
	w.service.name(&in)
	return in
}

// load reads the instance that the scenario is about.
func (w *flowWorld) load(t testing.TB, s store.Store) *instance {
	t.Helper()
	var in *instance
	err := s.View(context.Background(), func(tx store.Tx) (err error) {
		in, err = loadInstance(tx, testScope, w.id)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// expect is a scenario's check: the state, and that host and records agree.
func (w *flowWorld) expect(want state, more func(t testing.TB, in *instance)) func(testing.TB, store.Store, workflow.Status) {
	return func(t testing.TB, s store.Store, st workflow.Status) {
		t.Helper()
		if st.State != workflow.Done {
			t.Errorf("the run is %s: %v", st.State, st.Err)
		}
		in := w.load(t, s)
		if in.State != want {
			t.Errorf("the instance is %s, want %s", in.State, want)
		}
		if err := s.View(context.Background(), func(tx store.Tx) error { return CheckInvariants(context.Background(), tx, w.driver) }); err != nil {
			t.Error(err)
		}
		if more != nil {
			more(t, in)
		}
	}
}

func TestLaunchSurvives(t *testing.T) {
	workflowtest.Check(t, workflowtest.Case{Setup: func(t testing.TB, s store.Store) workflowtest.Scenario {
		w := &flowWorld{driver: fake.New(fake.Config{})}
		call := auth.Call{Scope: testScope, Token: "stack/Web/create"}
		w.id = instanceID(call, launchTokenKey(call, ""), 0)
		return workflowtest.Scenario{
			Register: w.register(s),
			Begin: func(tx store.Tx, _ *workflow.Engine) (string, error) {
				r := &runRequest{min: 1, max: 1, model: w.model()}
				made, err := w.service.launch(tx, call, r, launchTokenKey(call, ""), "hash")
				if err != nil {
					return "", err
				}
				return flowID(flowLaunch, made[0].ID, made[0].Generation), nil
			},
			Check: w.expect(running, func(t testing.TB, in *instance) {
				if text, err := w.driver.Console(context.Background(), compute.Handle{ID: in.ID}); err != nil || string(text) != "fake: "+in.ID+": boot 1\n" {
					t.Errorf("console %q, %v", text, err)
				}
				if w.driver.Holder(in.Automatic) != in.ID {
					t.Errorf("the public address is on %q", w.driver.Holder(in.Automatic))
				}
			}),
		}
	}})
}

func TestTransitionsSurvive(t *testing.T) {
	for name, tc := range map[string]struct {
		ask   func(s *Service, tx store.Tx, in *instance) (flow string, err error)
		first func(w *flowWorld, in *instance) // before the transition
		want  state
	}{
		"stop": {ask: func(s *Service, tx store.Tx, in *instance) (string, error) {
			return flowStop, s.askStop(tx, in, &userStopped, "", false)
		}, want: stopped},
		"terminate": {ask: func(s *Service, tx store.Tx, in *instance) (string, error) {
			return flowTerminate, s.askTerminate(tx, in, &userStopped, "")
		}, want: terminated},
		"start": {first: func(w *flowWorld, in *instance) {
			_ = w.driver.Stop(context.Background(), *in.Handle, true)
			in.State = stopped
		}, ask: func(s *Service, tx store.Tx, in *instance) (string, error) {
			return flowStart, s.askStart(tx, in)
		}, want: running},
	} {
		t.Run(name, func(t *testing.T) {
			workflowtest.Check(t, workflowtest.Case{Setup: func(t testing.TB, s store.Store) workflowtest.Scenario {
				w := &flowWorld{driver: fake.New(fake.Config{})}
				w.prepare(t, s)
				return workflowtest.Scenario{
					Register: w.register(s),
					Begin: func(tx store.Tx, _ *workflow.Engine) (string, error) {
						in, err := loadInstance(tx, testScope, w.id)
						if err != nil {
							return "", err
						}
						if tc.first != nil {
							tc.first(w, in)
						}
						flow, err := tc.ask(w.service, tx, in)
						return flowID(flow, in.ID, in.Generation), err
					},
					Check: w.expect(tc.want, nil),
				}
			}})
		})
	}
}

func TestRebootSurvives(t *testing.T) {
	workflowtest.Check(t, workflowtest.Case{Setup: func(t testing.TB, s store.Store) workflowtest.Scenario {
		w := &flowWorld{driver: fake.New(fake.Config{})}
		w.prepare(t, s)
		return workflowtest.Scenario{
			Register: w.register(s),
			Begin: func(tx store.Tx, _ *workflow.Engine) (string, error) {
				in, err := loadInstance(tx, testScope, w.id)
				if err != nil {
					return "", err
				}
				return "reboot", w.service.askReboot(tx, in, "reboot")
			},
			Check: w.expect(running, func(t testing.TB, in *instance) {
				if in.Rebooting != "" {
					t.Errorf("the record still names %s", in.Rebooting)
				}
			}),
		}
	}})
}

func TestAddressesSurvive(t *testing.T) {
	workflowtest.Check(t, workflowtest.Case{Setup: func(t testing.TB, s store.Store) workflowtest.Scenario {
		w := &flowWorld{driver: fake.New(fake.Config{})}
		w.prepare(t, s)
		before := w.load(t, s).Automatic
		return workflowtest.Scenario{
			Register: w.register(s),
			Begin: func(tx store.Tx, e *workflow.Engine) (string, error) {
				in, err := loadInstance(tx, testScope, w.id)
				if err != nil {
					return "", err
				}
				a, err := addressByID(tx, testScope, "eipalloc-0123456789abcdef0")
				if err != nil {
					return "", err
				}
				list, err := w.service.attach(tx, auth.Call{Scope: arn.Scope{}}, a, association{in: in, private: in.Private}, true)
				if err != nil {
					return "", err
				}
				return "move", e.Begin(tx, flowAddress, "move", moves{list})
			},
			Check: w.expect(running, func(t testing.TB, in *instance) {
				if w.driver.Holder(in.Elastic.IP) != in.ID || w.driver.Holder(before) != "" {
					t.Errorf("the elastic IP is on %q, the automatic address on %q", w.driver.Holder(in.Elastic.IP), w.driver.Holder(before))
				}
			}),
		}
	}})
}
