package ec2

import (
	"context"
	"encoding/base64"
	"errors"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/fault"
)

func encodeBase64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// gone explains a driver's error about an instance to the caller.
func (s *Service) gone(in *instance, err error) error {
	if errors.Is(err, compute.ErrGone) {
		s.loop.Wake()
		return fault.New(fault.IncorrectInstanceState, "The instance '%s' is no longer on its host.", in.ID).Because(err)
	}
	return err
}

// check is what was found of a running instance.
type check string

const (
	checkOK            check = "ok"
	checkImpaired      check = "impaired"
	checkInitializing  check = "initializing"
	checkNoData        check = "insufficient-data"
	checkNotApplicable check = "not-applicable"
)

func (c check) reachability() string {
	switch c {
	case checkOK:
		return "passed"
	case checkImpaired:
		return "failed"
	case checkInitializing:
		return "initializing"
	case checkNoData:
		return "insufficient-data"
	}
	return ""
}

// statusView is an instance with what its host says of it now.
type statusView struct {
	instanceView
	system, check check // of the host, and of the instance
}

func statusFields(v statusView, name string) ([]string, bool) {
	if v.instance == nil {
		v.instance = &instance{}
	}
	switch name {
	case "availability-zone", "availability-zone-id", "instance-state-code", "instance-state-name":
		return instanceFields(v.instanceView, name)
	case "instance-status.status":
		return one(string(v.check))
	case "instance-status.reachability":
		return one(v.check.reachability())
	case "system-status.status", "attached-ebs-status.status":
		return one(string(v.system))
	case "system-status.reachability":
		return one(v.system.reachability())
	case "operator.managed":
		return oneBool(false)
	case "operator.principal":
		return nil, true
	case "event.code", "event.description", "event.instance-event-id", "event.not-after", "event.not-before", "event.not-before-deadline":
		return nil, true
	}
	return nil, false
}

// DescribeInstanceStatus asks the host about each instance.
func (s *Service) DescribeInstanceStatus(ctx context.Context, in *api.DescribeInstanceStatusInput) (*api.DescribeInstanceStatusOutput, error) {
	scope := auth.From(ctx).Scope
	m, err := newMatcher(in.Filters, statusFields)
	if err != nil {
		return nil, err
	}
	if err := noPagesOfIDs("instancesSet", in.InstanceIds, in.MaxResults); err != nil {
		return nil, err
	}
	if err := dryRun(in.DryRun); err != nil {
		return nil, err
	}
	all, err := s.selectInstances(ctx, scope, in.InstanceIds, matcher[instanceView]{fields: instanceFields})
	if err != nil {
		return nil, err
	}
	var found []statusView
	for _, v := range all {
		if v.State != running && !value(in.IncludeAllInstances, false) {
			continue
		}
		system, c := s.look(ctx, v.instance)
		if sv := (statusView{v, system, c}); m.match(sv) {
			found = append(found, sv)
		}
	}
	page, next, err := paginate(found, func(v statusView) string { return v.order() }, in.NextToken, in.MaxResults, pagesOf1000)
	if err != nil {
		return nil, err
	}
	out := &api.DescribeInstanceStatusOutput{NextToken: next, InstanceStatuses: []api.InstanceStatus{}}
	for _, v := range page {
		out.InstanceStatuses = append(out.InstanceStatuses, v.view())
	}
	return out, nil
}

// look asks the driver about one instance. A driver that cannot say is the
// host's fault; that the instance's first process has ended is its own.
func (s *Service) look(ctx context.Context, in *instance) (system, own check) {
	switch {
	case in.State == pending:
		return checkInitializing, checkInitializing
	case in.State != running || in.Handle == nil:
		return checkNotApplicable, checkNotApplicable
	}
	st, err := s.cfg.Driver.Describe(ctx, *in.Handle)
	switch {
	case err != nil:
		s.log.Warn("an instance's host does not answer", "instance", in.ID, "error", err)
		return checkImpaired, checkNoData
	case st.State != compute.Running:
		return checkOK, checkImpaired
	}
	return checkOK, checkOK
}

func (v statusView) view() api.InstanceStatus {
	summary := func(c check) *api.InstanceStatusSummary {
		o := &api.InstanceStatusSummary{Status: string(c)}
		if r := c.reachability(); r != "" {
			o.Details = []api.InstanceStatusDetails{{Name: "reachability", Status: r}}
		}
		return o
	}
	return api.InstanceStatus{
		InstanceId: v.ID, AvailabilityZone: v.Zone, AvailabilityZoneId: zoneID(v.Zone), InstanceState: v.State.view(),
		InstanceStatus: summary(v.check), SystemStatus: summary(v.system),
	}
}
