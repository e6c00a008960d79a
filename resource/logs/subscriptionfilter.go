package logs

import (
	"context"

	api "github.com/slipway/slipway/api/logs"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource"
)

const subscriptionName = "AWS::Logs::SubscriptionFilter"

type subscriptionProperties struct {
	FilterName     string `json:"FilterName,omitempty"`
	FilterPattern  string `json:"FilterPattern"`
	LogGroupName   string `json:"LogGroupName"`
	DestinationArn string `json:"DestinationArn"`
	RoleArn        string `json:"RoleArn,omitempty"`
	Distribution   string `json:"Distribution,omitempty"`
}

// subscriptionHandler makes subscription filters. Ref is a filter's name, so its group
// is known from the properties.
type subscriptionHandler struct{ svc api.Service }

func subscriptionType(svc api.Service) cfn.Type {
	h := subscriptionHandler{svc}
	return cfn.Type{
		Name: subscriptionName, Create: h.put, Read: h.read, Update: h.put, Delete: h.delete,
		Identify: func(id map[string]string) string { return id["FilterName"] },
	}
}

// put makes or changes a filter; repeated, it changes nothing.
func (h subscriptionHandler) put(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p subscriptionProperties
	if err := resource.Decode(subscriptionName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	name := r.PhysicalID
	if name == "" {
		name = resource.Name(r, p.FilterName, maxGroupName)
	}
	_, err := h.svc.PutSubscriptionFilter(ctx, &api.PutSubscriptionFilterInput{
		LogGroupName: p.LogGroupName, FilterName: name, FilterPattern: p.FilterPattern, DestinationArn: p.DestinationArn, RoleArn: p.RoleArn,
		Distribution: p.Distribution,
	})
	if err != nil {
		return cfn.Result{}, err
	}
	return cfn.Result{PhysicalID: name}, nil
}

func (h subscriptionHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	group, _ := r.Properties["LogGroupName"].(string)
	out, err := h.svc.DescribeSubscriptionFilters(ctx, &api.DescribeSubscriptionFiltersInput{LogGroupName: group, FilterNamePrefix: r.PhysicalID})
	if err != nil {
		return nil, resource.Found(err, subscriptionName, r.PhysicalID, fault.ResourceNotFoundException)
	}
	for _, f := range out.SubscriptionFilters {
		if f.FilterName == r.PhysicalID {
			return resource.Encode(subscriptionProperties{
				FilterName: f.FilterName, FilterPattern: f.FilterPattern, LogGroupName: group, DestinationArn: f.DestinationArn, RoleArn: f.RoleArn,
				Distribution: f.Distribution,
			})
		}
	}
	return nil, resource.Missing(subscriptionName, r.PhysicalID)
}

func (h subscriptionHandler) delete(ctx context.Context, r cfn.Request) error {
	group, _ := r.Properties["LogGroupName"].(string)
	_, err := h.svc.DeleteSubscriptionFilter(ctx, &api.DeleteSubscriptionFilterInput{LogGroupName: group, FilterName: r.PhysicalID})
	return resource.Gone(err, fault.ResourceNotFoundException)
}
