package ec2

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/workflow"
)

// The workflows of an instance. Each belongs to one generation of the record: it
// looks again under the instance's lock before it acts, and does nothing where
// a later call has overtaken it.
const (
	flowLaunch    = "ec2.launch"
	flowStart     = "ec2.start"
	flowStop      = "ec2.stop"
	flowReboot    = "ec2.reboot"
	flowTerminate = "ec2.terminate"
	flowAddress   = "ec2.address"
)

// transition is what a workflow of an instance is told.
type transition struct {
	Scope      arn.Scope
	ID         string
	Generation int64
	Force      bool `json:",omitempty"`
}

// outcome is what an act on the driver came to.
type outcome struct {
	Overtaken bool            `json:",omitempty"` // by a later call; nothing was done
	Busy      bool            `json:",omitempty"` // the address is in use on the host
	Gone      bool            `json:",omitempty"` // the host has lost the instance
	Elastic   bool            `json:",omitempty"` // it is to have elastic IPs
	Refused   string          `json:",omitempty"` // why the host cannot do it
	Handle    *compute.Handle `json:",omitempty"`
}

func (s *Service) register(e *workflow.Engine) {
	workflow.Register(e, flowLaunch, s.launchFlow)
	workflow.Register(e, flowStart, s.startFlow)
	workflow.Register(e, flowStop, s.stopFlow)
	workflow.Register(e, flowReboot, s.rebootFlow)
	workflow.Register(e, flowTerminate, s.terminateFlow)
	workflow.Register(e, flowAddress, s.addressFlow)
	s.registerVolumes(e)
	s.registerSnapshots(e)
	s.registerImages(e)
}

func flowID(flow, id string, generation int64) string {
	return fmt.Sprintf("%s/%s/%d", flow, id, generation)
}

// transition begins the workflow of an instance's present generation.
func (s *Service) transition(tx store.Tx, flow string, in *instance) error {
	return s.transitionWith(tx, flow, in, false)
}

func (s *Service) transitionWith(tx store.Tx, flow string, in *instance, force bool) error {
	p := transition{Scope: in.Scope, ID: in.ID, Generation: in.Generation, Force: force}
	return s.cfg.Engine.Begin(tx, flow, flowID(flow, in.ID, in.Generation), p)
}

// A launch or start that fails this often has failed for good: a user waits.
var fewTries = []workflow.Option{workflow.Attempts(5), workflow.Backoff(50*time.Millisecond, time.Second)}

// maxMoves is how often a launch takes another address when its own is busy.
const maxMoves = 3

func (s *Service) launchFlow(f *workflow.Flow, p transition) error {
	for try := range maxMoves + 1 {
		out, err := workflow.Step(f, fmt.Sprintf("launch-%d", try), func(ctx context.Context, _ string) (outcome, error) {
			return s.acting(ctx, p, s.driverLaunch)
		}, fewTries...)
		if errors.Is(err, workflow.ErrInterrupted) {
			return err
		}
		if err != nil {
			s.log.Error("an instance cannot be launched", "instance", p.ID, "error", err)
			return s.abandon(f, p, onHost("launch"))
		}
		if out.Overtaken {
			return nil
		}
		if out.Refused != "" {
			return s.abandon(f, p, out.Refused)
		}
		if !out.Busy {
			if out.Elastic {
				if err := s.assertElastic(f, p, out.Handle); err != nil {
					return err
				}
			}
			return s.reached(f, p, out)
		}
		moved, err := workflow.Tx(f, fmt.Sprintf("move-%d", try), func(tx store.Tx) (bool, error) { return s.moveAddress(tx, p) })
		if err != nil {
			return err
		}
		if !moved {
			break
		}
	}
	return s.abandon(f, p, "Internal error on launch: its private address is in use on the host")
}

// current reads the record for a workflow, nil where it was overtaken.
func current(tx store.Tx, p transition) (*instance, error) {
	in, err := instances.Get(tx, instanceKey(p.Scope, p.ID))
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil || in.Generation != p.Generation {
		return nil, err
	}
	return in, nil
}

// acting runs an act on the driver under the instance's lock, if the workflow
// was not overtaken.
func (s *Service) acting(ctx context.Context, p transition, act func(context.Context, *instance) (outcome, error)) (outcome, error) {
	unlock, err := s.locks.lock(ctx, p.ID)
	if err != nil {
		return outcome{}, err
	}
	defer unlock()
	var in *instance
	err = s.cfg.Store.View(ctx, func(tx store.Tx) error {
		if in, err = current(tx, p); err != nil || in == nil {
			return err
		}
		in.volumes, err = volumesOf(tx, in.Scope, in.ID)
		return err
	})
	if err != nil {
		return outcome{}, err
	}
	if in == nil {
		return outcome{Overtaken: true}, nil
	}
	return act(ctx, in)
}

// spec is all that the driver is told of an instance.
func (s *Service) spec(in *instance) compute.Spec {
	host := s.cfg.Driver.Network()
	t, _ := findType(in.Type)
	spec := compute.Spec{
		ID: in.ID, Hostname: privateDNS(in.Scope.Region, in.Private), Image: lowerOf(in),
		Address: in.Private, Subnet: vpcPrefix(host), Gateway: host.Gateway, DNS: s.cfg.DNS,
		Limits: t.limits(in.Root.GiB),
		Environment: map[string]string{
			"AWS_REGION": in.Scope.Region, "AWS_DEFAULT_REGION": in.Scope.Region,
		},
	}
	if s.cfg.Endpoint != "" {
		spec.Environment["AWS_ENDPOINT_URL"] = s.cfg.Endpoint
	}
	for k, v := range s.cfg.Environment {
		spec.Environment[k] = v
	}
	s.specVolumes(&spec, in)
	return spec
}

func (s *Service) driverLaunch(ctx context.Context, in *instance) (outcome, error) {
	spec, err := s.placed(ctx, in)
	if err != nil {
		return outcome{}, err
	}
	if err := s.makeVolumes(ctx, in); err != nil {
		return outcome{}, err
	}
	h, err := s.cfg.Driver.Launch(ctx, spec)
	switch {
	case errors.Is(err, compute.ErrAddressBusy):
		return outcome{Busy: true}, nil
	case lasting("launch", err) != "":
		s.log.Error("an instance cannot be launched", "instance", in.ID, "error", err)
		return outcome{Refused: lasting("launch", err)}, nil
	case err != nil:
		return outcome{}, final(err)
	}
	if in.Automatic.IsValid() {
		if err := s.cfg.Driver.AssignAddress(ctx, h, in.Automatic, in.Private); err != nil {
			return outcome{}, err
		}
	}
	var publics []place
	err = s.cfg.Store.View(ctx, func(tx store.Tx) (err error) {
		publics, err = publicsOf(tx, in)
		return err
	})
	elastic := slices.ContainsFunc(publics, func(p place) bool { return p.public != in.Automatic })
	return outcome{Handle: &h, Elastic: elastic}, err
}

// reached records that an instance runs.
func (s *Service) reached(f *workflow.Flow, p transition, out outcome) error {
	_, err := workflow.Tx(f, "running", func(tx store.Tx) (struct{}, error) {
		in, err := current(tx, p)
		if err != nil || in == nil {
			return struct{}{}, err
		}
		in.State, in.Handle, in.Boot = running, out.Handle, s.cfg.Boot
		return struct{}{}, firstError(in.save(tx), s.plugged(tx, in))
	})
	return err
}

// abandon ends an instance that cannot be had, and says why.
func (s *Service) abandon(f *workflow.Flow, p transition, why string) error {
	_, err := workflow.Tx(f, "abandon", func(tx store.Tx) (struct{}, error) {
		in, err := current(tx, p)
		if err != nil || in == nil {
			return struct{}{}, err
		}
		in.enter(shuttingDown, serverError(why), "Server.InternalError")
		if err := in.save(tx); err != nil {
			return struct{}{}, err
		}
		return struct{}{}, s.transition(tx, flowTerminate, in)
	})
	return err
}

func (s *Service) startFlow(f *workflow.Flow, p transition) error {
	if err := s.readdress(f, p); err != nil {
		return err
	}
	out, err := workflow.Step(f, "start", func(ctx context.Context, _ string) (outcome, error) {
		return s.acting(ctx, p, s.driverStart)
	}, fewTries...)
	switch {
	case errors.Is(err, workflow.ErrInterrupted):
		return err
	case err != nil:
		s.log.Error("an instance cannot be started", "instance", p.ID, "error", err)
		return s.startFailed(f, p, onHost("start"))
	case out.Overtaken:
		return nil
	case out.Gone:
		return s.abandon(f, p, "the instance's root volume is gone from the host")
	case out.Refused != "":
		return s.startFailed(f, p, out.Refused)
	}
	if err := s.assertElastic(f, p, out.Handle); err != nil {
		return err
	}
	return s.reached(f, p, out)
}

func (s *Service) driverStart(ctx context.Context, in *instance) (outcome, error) {
	h, err := s.handle(ctx, in)
	if err != nil {
		return outcome{}, err
	}
	if h == nil {
		return outcome{Gone: true}, nil
	}
	spec, err := s.placed(ctx, in)
	if err != nil {
		return outcome{}, err
	}
	started, err := s.cfg.Driver.Start(ctx, spec, *h)
	if errors.Is(err, compute.ErrGone) {
		return outcome{Gone: true}, nil
	}
	if why := lasting("start", err); why != "" {
		s.log.Error("an instance cannot be started", "instance", in.ID, "error", err)
		return outcome{Refused: why}, nil
	}
	if err != nil {
		return outcome{}, err
	}
	if in.Automatic.IsValid() {
		if err := s.cfg.Driver.AssignAddress(ctx, started, in.Automatic, in.Private); err != nil {
			return outcome{}, err
		}
	}
	return outcome{Handle: &started}, nil
}

// assertElastic puts the instance's elastic IPs back on it after a start.
func (s *Service) assertElastic(f *workflow.Flow, p transition, h *compute.Handle) error {
	_, err := workflow.Step(f, "elastic", func(ctx context.Context, _ string) (struct{}, error) {
		var in *instance
		var publics []place
		err := s.cfg.Store.View(ctx, func(tx store.Tx) (err error) {
			if in, err = current(tx, p); in != nil {
				publics, err = publicsOf(tx, in)
			}
			return err
		})
		for _, a := range publics {
			if err == nil && !s.cfg.Driver.Network().Elastic.Contains(a.public) {
				s.log.Warn("ec2: a public address does not answer: it is not of this host's range", "instance", in.ID, "address", a.public)
				continue
			}
			if err == nil && a.public != in.Automatic {
				err = s.assertAddress(ctx, move{IP: a.public}, h)
			}
		}
		return struct{}{}, err
	})
	return err
}

// startFailed leaves the instance stopped, as it was before.
func (s *Service) startFailed(f *workflow.Flow, p transition, why string) error {
	_, err := workflow.Step(f, "stop", func(ctx context.Context, _ string) (outcome, error) {
		return s.acting(ctx, p, func(ctx context.Context, in *instance) (outcome, error) { return s.driverStop(ctx, in, true) })
	})
	if err != nil {
		return err
	}
	return s.stoppedTx(f, p, serverError(why))
}

func (s *Service) stopFlow(f *workflow.Flow, p transition) error {
	out, err := workflow.Step(f, "stop", func(ctx context.Context, _ string) (outcome, error) {
		return s.acting(ctx, p, func(ctx context.Context, in *instance) (outcome, error) { return s.driverStop(ctx, in, p.Force) })
	})
	switch {
	case err != nil:
		return err // the reconcile loop begins again
	case out.Overtaken:
		return nil
	case out.Gone:
		return s.abandon(f, p, "the instance's root volume is gone from the host")
	}
	return s.stoppedTx(f, p, nil)
}

func (s *Service) driverStop(ctx context.Context, in *instance, force bool) (outcome, error) {
	h, err := s.handle(ctx, in)
	if err != nil {
		return outcome{}, err
	}
	if h == nil {
		return outcome{Gone: true}, nil
	}
	if err := s.cfg.Driver.Stop(ctx, *h, force); errors.Is(err, compute.ErrGone) {
		return outcome{Gone: true}, nil
	} else if err != nil {
		return outcome{}, err
	}
	return outcome{Handle: h}, s.dropAddresses(ctx, in, *h)
}

func (s *Service) stoppedTx(f *workflow.Flow, p transition, why *reason) error {
	_, err := workflow.Tx(f, "stopped", func(tx store.Tx) (struct{}, error) {
		in, err := current(tx, p)
		if err != nil || in == nil {
			return struct{}{}, err
		}
		in.State = stopped
		if why != nil {
			in.Reason = why
		}
		if err := release(tx, in.Automatic, in.ID); err != nil {
			return struct{}{}, err
		}
		in.Automatic = netip.Addr{}
		return struct{}{}, in.save(tx)
	})
	return err
}

func (s *Service) rebootFlow(f *workflow.Flow, p transition) error {
	out, err := workflow.Step(f, "reboot", func(ctx context.Context, _ string) (outcome, error) {
		return s.acting(ctx, p, s.driverReboot)
	}, fewTries...)
	if errors.Is(err, workflow.ErrInterrupted) {
		return err
	}
	if err == nil && out.Handle != nil {
		if err := s.assertElastic(f, p, out.Handle); err != nil {
			return err
		}
	}
	_, txErr := workflow.Tx(f, "rebooted", func(tx store.Tx) (struct{}, error) { return struct{}{}, s.rebooted(tx, f.ID(), p, out) })
	s.loop.Wake() // what a failed reboot has left is for the loop to find
	return firstError(txErr, err)
}

// rebooted records the end of a reboot, whatever it came to.
func (s *Service) rebooted(tx store.Tx, flow string, p transition, out outcome) error {
	in, err := instances.Get(tx, instanceKey(p.Scope, p.ID))
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if in.Rebooting == flow {
		in.Rebooting = ""
	}
	if out.Handle != nil && in.Generation == p.Generation {
		in.Handle, in.Boot = out.Handle, s.cfg.Boot
	}
	return in.save(tx)
}

func (s *Service) driverReboot(ctx context.Context, in *instance) (outcome, error) {
	if in.State != running {
		return outcome{Overtaken: true}, nil
	}
	h, err := s.handle(ctx, in)
	if err != nil || h == nil {
		return outcome{Gone: true}, err
	}
	spec, err := s.placed(ctx, in)
	if err != nil {
		return outcome{}, err
	}
	started, err := s.cfg.Driver.Reboot(ctx, spec, *h)
	if errors.Is(err, compute.ErrGone) {
		return outcome{Gone: true}, nil
	}
	if err != nil {
		return outcome{}, err
	}
	if in.Automatic.IsValid() {
		err = s.cfg.Driver.AssignAddress(ctx, started, in.Automatic, in.Private)
	}
	return outcome{Handle: &started}, err
}

func (s *Service) terminateFlow(f *workflow.Flow, p transition) error {
	out, err := workflow.Step(f, "terminate", func(ctx context.Context, _ string) (outcome, error) {
		return s.acting(ctx, p, func(ctx context.Context, in *instance) (outcome, error) {
			h, err := s.handle(ctx, in)
			if err != nil {
				return outcome{}, err
			}
			if h != nil {
				if err := s.dropAddresses(ctx, in, *h); err != nil {
					return outcome{}, err
				}
				if err := s.cfg.Driver.Terminate(ctx, *h); err != nil {
					return outcome{}, err
				}
			}
			return outcome{}, s.deleteWith(ctx, in)
		})
	})
	if err != nil || out.Overtaken {
		return err
	}
	_, err = workflow.Tx(f, "terminated", func(tx store.Tx) (struct{}, error) {
		in, err := current(tx, p)
		if err != nil || in == nil {
			return struct{}{}, err
		}
		return struct{}{}, s.bury(tx, in)
	})
	return err
}

// handle finds an instance on the host: by its record or, where a crash or a
// later call came before the record, by what the driver lists. nil is gone.
func (s *Service) handle(ctx context.Context, in *instance) (*compute.Handle, error) {
	if in.Handle != nil {
		return in.Handle, nil
	}
	all, err := s.cfg.Driver.List(ctx)
	if err != nil {
		return nil, err
	}
	for _, h := range all {
		if h.ID == in.ID {
			return &h, nil
		}
	}
	return nil, nil
}
