package logs

import (
	"context"
	"slices"
	"strings"

	lambda "github.com/slipway/slipway/api/lambda"
	api "github.com/slipway/slipway/api/logs"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/service/logs/pattern"
	"github.com/slipway/slipway/store"
)

// subscription is a stored subscription filter: it sends what matches on to a
// function. A group holds its own.
type subscription struct {
	Name        string
	Pattern     string
	Destination string
	Created     int64
}

// maxSubscriptions is how many a group may have ("CloudWatch Logs quotas").
const maxSubscriptions = 2

// PutSubscriptionFilter makes or changes a subscription filter of a group.
func (s *Service) PutSubscriptionFilter(ctx context.Context, in *api.PutSubscriptionFilterInput) (*api.PutSubscriptionFilterOutput, error) {
	p := here(ctx, in.LogGroupName)
	if err := s.checkSubscription(ctx, p, in); err != nil {
		return nil, err
	}
	f := subscription{Name: in.FilterName, Pattern: in.FilterPattern, Destination: in.DestinationArn, Created: s.now().UnixMilli()}
	err := s.change(ctx, p, func(_ store.Tx, g *group) error {
		at := slices.IndexFunc(g.Subscriptions, func(o subscription) bool { return o.Name == f.Name })
		switch {
		case at >= 0:
			f.Created = g.Subscriptions[at].Created
			g.Subscriptions[at] = f
		case len(g.Subscriptions) >= maxSubscriptions:
			return fault.New(fault.LimitExceededException, "Resource limit exceeded.")
		default:
			g.Subscriptions = append(g.Subscriptions, f)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &api.PutSubscriptionFilterOutput{}, nil
}

func (s *Service) checkSubscription(ctx context.Context, p place, in *api.PutSubscriptionFilterInput) error {
	a, err := arn.Parse(in.DestinationArn)
	switch {
	case err != nil:
		return invalid("destinationArn %s is not a valid ARN", in.DestinationArn)
	case a.Service != "lambda" && a.Service != "logs" && in.RoleArn == "":
		return invalid("destinationArn for vendor %s cannot be used without roleArn", a.Service)
	case a.Service != "lambda" || s.lambda == nil:
		return fault.New(fault.NotImplemented, "PutSubscriptionFilter: destinations of %s are not built", a.Service)
	case in.RoleArn != "":
		return invalid("destinationArn for vendor lambda cannot be used with roleArn")
	case a.Account != p.Account:
		return fault.New(fault.AccessDeniedException, "Cross-account lambda invocation passing is not allowed. You must use DestinationPolicies to create cross account lambda triggers.")
	case in.Distribution == api.DistributionRandom:
		return fault.New(fault.NotImplemented, "PutSubscriptionFilter: distribution is not built: there are no streams of Kinesis")
	case yes(in.ApplyOnTransformedLogs) || in.FieldSelectionCriteria != "" || len(in.EmitSystemFields) > 0:
		return fault.New(fault.NotImplemented, "PutSubscriptionFilter: applyOnTransformedLogs, fieldSelectionCriteria and emitSystemFields are not built")
	case in.FilterName == "" || len(in.FilterName) > maxName || strings.ContainsAny(in.FilterName, ":*"): // of callers within Slipway
		return invalid("A subscription filter has a name of at most %d characters without ':' and '*'.", maxName)
	}
	if _, err := pattern.Parse(in.FilterPattern); err != nil {
		return badPattern(err)
	}
	if err := s.store.View(ctx, func(tx store.Tx) error { _, err := find(tx, p); return err }); err != nil {
		return err
	}
	// The function's own policy is asked before anything depends on it.
	_, err = s.lambda().Invoke(s.forFunctions(ctx, p), &lambda.InvokeInput{FunctionName: in.DestinationArn, InvocationType: lambda.InvocationTypeDryRun})
	if _, known := fault.As(err); known {
		return invalid("Could not execute the lambda function. Make sure you have given CloudWatch Logs permission to execute your function.")
	}
	return err
}

// DescribeSubscriptionFilters lists a group's subscription filters.
func (s *Service) DescribeSubscriptionFilters(ctx context.Context, in *api.DescribeSubscriptionFiltersInput) (*api.DescribeSubscriptionFiltersOutput, error) {
	if in.NextToken != "" {
		return nil, badToken() // a page holds all that there can be
	}
	out := &api.DescribeSubscriptionFiltersOutput{}
	err := s.store.View(ctx, func(tx store.Tx) error {
		g, err := find(tx, here(ctx, in.LogGroupName))
		if err != nil {
			return err
		}
		out.SubscriptionFilters = []api.SubscriptionFilter{}
		for _, f := range g.Subscriptions {
			if strings.HasPrefix(f.Name, in.FilterNamePrefix) {
				out.SubscriptionFilters = append(out.SubscriptionFilters, api.SubscriptionFilter{
					FilterName: f.Name, LogGroupName: g.Name, FilterPattern: f.Pattern, DestinationArn: f.Destination, CreationTime: &f.Created,
					Distribution: api.DistributionByLogStream, ApplyOnTransformedLogs: new(false),
				})
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// DeleteSubscriptionFilter deletes a subscription filter. What waits to be sent by it
// is not sent any more.
func (s *Service) DeleteSubscriptionFilter(ctx context.Context, in *api.DeleteSubscriptionFilterInput) (*api.DeleteSubscriptionFilterOutput, error) {
	err := s.change(ctx, here(ctx, in.LogGroupName), func(_ store.Tx, g *group) error {
		at := slices.IndexFunc(g.Subscriptions, func(o subscription) bool { return o.Name == in.FilterName })
		if at < 0 {
			return fault.New(fault.ResourceNotFoundException, "The specified subscription filter does not exist.")
		}
		g.Subscriptions = slices.Delete(g.Subscriptions, at, at+1)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &api.DeleteSubscriptionFilterOutput{}, nil
}
