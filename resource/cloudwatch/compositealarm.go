package cloudwatch

import (
	"context"

	api "github.com/slipway/slipway/api/cloudwatch"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/resource"
)

const compositeName = "AWS::CloudWatch::CompositeAlarm"

type compositeProperties struct {
	AlarmName               string         `json:"AlarmName,omitempty"`
	AlarmDescription        string         `json:"AlarmDescription,omitempty"`
	AlarmRule               string         `json:"AlarmRule"`
	ActionsEnabled          *bool          `json:"ActionsEnabled,omitempty"`
	OKActions               []string       `json:"OKActions,omitempty"`
	AlarmActions            []string       `json:"AlarmActions,omitempty"`
	InsufficientDataActions []string       `json:"InsufficientDataActions,omitempty"`
	Tags                    []resource.Tag `json:"Tags,omitempty"`
	Arn                     string         `json:"Arn,omitempty"`
}

type compositeHandler struct{ svc api.Service }

func compositeType(svc api.Service) cfn.Type {
	h := compositeHandler{svc}
	return cfn.Type{Name: compositeName, Create: h.put, Read: h.read, Update: h.put, Delete: h.delete, List: h.list}
}

func (h compositeHandler) put(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p compositeProperties
	if err := resource.Decode(compositeName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	name := nameOf(r, p.AlarmName)
	tags := resource.Tags(r, p.Tags)
	_, err := h.svc.PutCompositeAlarm(ctx, &api.PutCompositeAlarmInput{
		AlarmName: name, AlarmDescription: p.AlarmDescription, AlarmRule: p.AlarmRule, ActionsEnabled: p.ActionsEnabled, OKActions: p.OKActions,
		AlarmActions: p.AlarmActions, InsufficientDataActions: p.InsufficientDataActions, Tags: list(tags),
	})
	if err != nil {
		return cfn.Result{}, err
	}
	a, err := h.describe(ctx, name)
	if err != nil {
		return cfn.Result{PhysicalID: name}, err
	}
	res := cfn.Result{PhysicalID: name, Attributes: cfn.Properties{"Arn": a.AlarmArn}}
	return res, retag(ctx, h.svc, a.AlarmArn, tags)
}

func (h compositeHandler) describe(ctx context.Context, name string) (*api.CompositeAlarm, error) {
	out, err := h.svc.DescribeAlarms(ctx, &api.DescribeAlarmsInput{AlarmNames: []string{name}, AlarmTypes: []string{api.AlarmTypeCompositeAlarm}})
	if err != nil {
		return nil, err
	}
	if len(out.CompositeAlarms) == 0 {
		return nil, resource.Missing(compositeName, name)
	}
	return &out.CompositeAlarms[0], nil
}

func (h compositeHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	a, err := h.describe(ctx, r.PhysicalID)
	if err != nil {
		return nil, err
	}
	tags, err := tagsOf(ctx, h.svc, a.AlarmArn)
	if err != nil {
		return nil, err
	}
	return resource.Encode(compositeProperties{
		AlarmName: a.AlarmName, AlarmDescription: a.AlarmDescription, AlarmRule: a.AlarmRule, ActionsEnabled: a.ActionsEnabled, OKActions: a.OKActions,
		AlarmActions: a.AlarmActions, InsufficientDataActions: a.InsufficientDataActions, Tags: resource.OwnTags(tags), Arn: a.AlarmArn,
	})
}

func (h compositeHandler) delete(ctx context.Context, r cfn.Request) error {
	_, err := h.svc.DeleteAlarms(ctx, &api.DeleteAlarmsInput{AlarmNames: []string{r.PhysicalID}})
	return err
}

func (h compositeHandler) list(ctx context.Context) (names []string, err error) {
	err = each(ctx, h.svc, api.AlarmTypeCompositeAlarm, func(out *api.DescribeAlarmsOutput) {
		for _, a := range out.CompositeAlarms {
			names = append(names, a.AlarmName)
		}
	})
	return names, err
}
