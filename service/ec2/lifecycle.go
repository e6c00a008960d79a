package ec2

import (
	"context"
	"fmt"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// maxNamed bounds how many instances one call changes.
const maxNamed = 1000

func checkNamed(ids []string) error {
	if len(ids) == 0 {
		return fault.New(fault.MissingParameter, "The request must contain the parameter InstanceId")
	}
	if len(ids) > maxNamed {
		return fault.New(fault.InvalidParameterValue, "A call can name at most %d instances.", maxNamed)
	}
	return nil
}

// change asks each instance for a new state, all of them or none.
func (s *Service) change(ctx context.Context, ids []string, dry *bool, ask func(store.Tx, *instance) error) ([]api.InstanceStateChange, error) {
	if err := checkNamed(ids); err != nil {
		return nil, err
	}
	scope := auth.From(ctx).Scope
	var out []api.InstanceStateChange
	err := s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		out = nil
		list, err := loadInstances(tx, scope, ids)
		if err != nil {
			return err
		}
		for _, in := range list {
			before := in.State
			if err := ask(tx, in); err != nil {
				return err
			}
			out = append(out, api.InstanceStateChange{InstanceId: in.ID, PreviousState: before.view(), CurrentState: in.State.view()})
		}
		return dryRun(dry)
	})
	return out, err
}

func wrongState(in *instance, verb string) error {
	return fault.New(fault.IncorrectInstanceState, "The instance '%s' is not in a state from which it can be %s.", in.ID, verb)
}

// userAsked is a transition's note of when a user asked for it.
func (s *Service) userAsked() string {
	return fmt.Sprintf("User initiated (%s GMT)", s.now().Format("2006-01-02 15:04:05"))
}

// StartInstances starts stopped instances; one that runs or starts is left alone.
func (s *Service) StartInstances(ctx context.Context, in *api.StartInstancesInput) (*api.StartInstancesOutput, error) {
	if in.AdditionalInfo != "" {
		return nil, notBuilt("AdditionalInfo")
	}
	changes, err := s.change(ctx, in.InstanceIds, in.DryRun, func(tx store.Tx, i *instance) error {
		switch i.State {
		case running, pending:
			return nil
		case stopped:
			return s.askStart(tx, i)
		}
		return wrongState(i, "started")
	})
	if err != nil {
		return nil, err
	}
	return &api.StartInstancesOutput{StartingInstances: changes}, nil
}

// askStart puts a stopped instance on its way up.
func (s *Service) askStart(tx store.Tx, in *instance) error {
	in.enter(pending, nil, "")
	in.Launched = s.now()
	if err := s.renewAutomatic(tx, in); err != nil {
		return err
	}
	if err := in.save(tx); err != nil {
		return err
	}
	return s.transition(tx, flowStart, in)
}

// renewAutomatic gives an instance that starts its public address, unless an
// elastic IP stands for it.
func (s *Service) renewAutomatic(tx store.Tx, in *instance) (err error) {
	if in.MapPublic && in.Elastic == nil && !in.Automatic.IsValid() {
		in.Automatic, err = s.takeAutomatic(tx, claim{in.Scope, in.ID})
	}
	return err
}

// StopInstances stops running instances and keeps their root volumes.
func (s *Service) StopInstances(ctx context.Context, in *api.StopInstancesInput) (*api.StopInstancesOutput, error) {
	if value(in.Hibernate, false) {
		return nil, fault.New(fault.UnsupportedOperation, "Hibernation is not built in this version of Slipway; stop without it.")
	}
	force := value(in.Force, false) || value(in.SkipOsShutdown, false)
	changes, err := s.change(ctx, in.InstanceIds, in.DryRun, func(tx store.Tx, i *instance) error {
		switch i.State {
		case stopping, stopped:
			return nil
		case running:
			if i.KeepRunning {
				return fault.New(fault.OperationNotPermitted,
					"The instance '%s' may not be stopped. Modify its 'disableApiStop' instance attribute and try again.", i.ID)
			}
			return s.askStop(tx, i, &userStopped, s.userAsked(), force)
		}
		return wrongState(i, "stopped")
	})
	if err != nil {
		return nil, err
	}
	return &api.StopInstancesOutput{StoppingInstances: changes}, nil
}

func (s *Service) askStop(tx store.Tx, in *instance, why *reason, note string, force bool) error {
	in.enter(stopping, why, note)
	if err := in.save(tx); err != nil {
		return err
	}
	return s.transitionWith(tx, flowStop, in, force)
}

// RebootInstances queues a reboot of running instances.
func (s *Service) RebootInstances(ctx context.Context, in *api.RebootInstancesInput) (*api.RebootInstancesOutput, error) {
	_, err := s.change(ctx, in.InstanceIds, in.DryRun, func(tx store.Tx, i *instance) error {
		switch i.State {
		case terminated, shuttingDown:
			return nil // AWS ignores these
		case running:
			return s.askReboot(tx, i, flowReboot+"/"+i.ID+"/"+arn.NewID(""))
		}
		return wrongState(i, "rebooted")
	})
	if err != nil {
		return nil, err
	}
	return &api.RebootInstancesOutput{}, nil
}

// askReboot begins a reboot under the workflow's id.
func (s *Service) askReboot(tx store.Tx, in *instance, flow string) error {
	in.Rebooting = flow
	if err := in.save(tx); err != nil {
		return err
	}
	return s.cfg.Engine.Begin(tx, flowReboot, flow, transition{Scope: in.Scope, ID: in.ID, Generation: in.Generation})
}

// TerminateInstances ends instances for good. Where one is protected, those of
// the same zone stay, the others are terminated, and the call fails, as in AWS.
func (s *Service) TerminateInstances(ctx context.Context, in *api.TerminateInstancesInput) (*api.TerminateInstancesOutput, error) {
	if err := checkNamed(in.InstanceIds); err != nil {
		return nil, err
	}
	keep, protected, err := s.protection(ctx, in.InstanceIds)
	if err != nil {
		return nil, err
	}
	ids := in.InstanceIds
	if protected != nil {
		ids = nil
		for _, id := range in.InstanceIds {
			if !keep[id] {
				ids = append(ids, id)
			}
		}
		if len(ids) == 0 {
			return nil, protected
		}
	}
	changes, err := s.change(ctx, ids, in.DryRun, func(tx store.Tx, i *instance) error {
		switch {
		case i.State.ending():
			return nil
		case i.KeepAlive:
			return mayNotTerminate(i)
		}
		return s.askTerminate(tx, i, &userStopped, s.userAsked())
	})
	if err == nil {
		err = protected
	}
	if err != nil {
		return nil, err
	}
	return &api.TerminateInstancesOutput{TerminatingInstances: changes}, nil
}

func mayNotTerminate(in *instance) error {
	return fault.New(fault.OperationNotPermitted,
		"The instance '%s' may not be terminated. Modify its 'disableApiTermination' instance attribute and try again.", in.ID)
}

// protection lists the instances that termination protection keeps: the
// protected ones and those beside them in their zones.
func (s *Service) protection(ctx context.Context, ids []string) (keep map[string]bool, protected error, err error) {
	err = s.cfg.Store.View(ctx, func(tx store.Tx) error {
		list, err := loadInstances(tx, auth.From(ctx).Scope, ids)
		if err != nil {
			return err
		}
		zones := map[string]bool{}
		for _, in := range list {
			if in.KeepAlive && !in.State.ending() {
				zones[in.Zone] = true
				if protected == nil {
					protected = mayNotTerminate(in)
				}
			}
		}
		keep = map[string]bool{}
		for _, in := range list {
			keep[in.ID] = zones[in.Zone]
		}
		return nil
	})
	return keep, protected, err
}

// askTerminate puts an instance on its way out.
func (s *Service) askTerminate(tx store.Tx, in *instance, why *reason, note string) error {
	in.enter(shuttingDown, why, note)
	if err := in.save(tx); err != nil {
		return err
	}
	return s.transition(tx, flowTerminate, in)
}

// GetConsoleOutput gives the last of what an instance wrote to its console.
func (s *Service) GetConsoleOutput(ctx context.Context, in *api.GetConsoleOutputInput) (*api.GetConsoleOutputOutput, error) {
	i, err := s.oneInstance(ctx, in.InstanceId)
	if err != nil {
		return nil, err
	}
	if err := dryRun(in.DryRun); err != nil {
		return nil, err
	}
	out := &api.GetConsoleOutputOutput{InstanceId: i.ID, Timestamp: ptr(s.now())}
	if i.Handle == nil {
		return out, nil // nothing was written yet, or no more
	}
	text, err := s.cfg.Driver.Console(ctx, *i.Handle)
	if err != nil {
		return nil, s.gone(i, err)
	}
	out.Output = encodeBase64(text)
	return out, nil
}

// oneInstance reads one of the caller's instances.
func (s *Service) oneInstance(ctx context.Context, id string) (*instance, error) {
	scope := auth.From(ctx).Scope
	var in *instance
	err := s.cfg.Store.View(ctx, func(tx store.Tx) (err error) {
		if in, err = loadInstance(tx, scope, id); err != nil {
			return err
		}
		in.volumes, err = volumesOf(tx, scope, id)
		return err
	})
	return in, err
}
