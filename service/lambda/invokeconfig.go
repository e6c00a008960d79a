package lambda

import (
	"context"
	"errors"
	"time"

	api "github.com/slipway/slipway/api/lambda"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/store"
)

// invokeConfig is what becomes of a function's events.
type invokeConfig struct {
	Retries   *int32 `json:",omitempty"`
	Age       *int32 `json:",omitempty"` // seconds
	OnSuccess string `json:",omitempty"`
	OnFailure string `json:",omitempty"`
	Modified  time.Time
}

var invokeConfigs = store.NewCollection[invokeConfig]("lambda/invokeconfig")

func qualified(qualifier string) string {
	if qualifier == "" {
		return latest
	}
	return qualifier
}

// getInvokeConfig reads a config; one that is not there says nothing.
func getInvokeConfig(tx store.Tx, p place, qualifier string) (*invokeConfig, error) {
	c, err := invokeConfigs.Get(tx, p.versionKey(qualified(qualifier)))
	if errors.Is(err, store.ErrNotFound) {
		return &invokeConfig{}, nil
	}
	return c, err
}

func (c *invokeConfig) config(p place, qualifier string) *api.FunctionEventInvokeConfig {
	return &api.FunctionEventInvokeConfig{
		FunctionArn: p.arn(qualified(qualifier)), LastModified: &c.Modified, MaximumRetryAttempts: c.Retries, MaximumEventAgeInSeconds: c.Age,
		DestinationConfig: &api.DestinationConfig{OnSuccess: &api.OnSuccess{Destination: c.OnSuccess}, OnFailure: &api.OnFailure{Destination: c.OnFailure}},
	}
}

// invokeSettings are what a Put or an Update gives.
type invokeSettings struct {
	name, qualifier string
	retries, age    *int32
	destinations    *api.DestinationConfig
}

// setInvokeConfig writes a config: anew, or over what is there.
func (s *Service) setInvokeConfig(ctx context.Context, in any, want invokeSettings, over bool) (out *api.FunctionEventInvokeConfig, err error) {
	p, qualifier, err := named(ctx, want.name, want.qualifier)
	if err != nil {
		return nil, err
	}
	if want.retries == nil && want.age == nil && want.destinations == nil {
		return nil, invalid("You must specify at least one of error handling or destination setting.")
	}
	err = s.store.Update(ctx, func(tx store.Tx) error {
		if err := s.permit(ctx, tx, p, qualifier, in); err != nil {
			return err
		}
		if _, err := resolve(tx, p, qualifier); err != nil {
			return noFunction(err)
		}
		c := &invokeConfig{}
		if over {
			was, err := invokeConfigs.Get(tx, p.versionKey(qualified(qualifier)))
			if errors.Is(err, store.ErrNotFound) {
				return noInvokeConfig(p, qualifier)
			}
			if err != nil {
				return err
			}
			c = was
		}
		if want.retries != nil {
			c.Retries = want.retries
		}
		if want.age != nil {
			c.Age = want.age
		}
		if err := s.setDestinations(tx, p, want.destinations, c); err != nil {
			return err
		}
		c.Modified = s.now().UTC().Truncate(time.Millisecond)
		out = c.config(p, qualifier)
		return invokeConfigs.Put(tx, p.versionKey(qualified(qualifier)), c)
	})
	return out, err
}

func noFunction(err error) error {
	if isBad(err) {
		return notFound("The function doesn't exist.")
	}
	return err
}

func noInvokeConfig(p place, qualifier string) error {
	return notFound("The function %s doesn't have an EventInvokeConfig", p.arn(qualified(qualifier)))
}

func (s *Service) setDestinations(tx store.Tx, p place, want *api.DestinationConfig, to *invokeConfig) error {
	if want == nil {
		return nil
	}
	if d := want.OnSuccess; d != nil {
		if err := s.checkDestination(tx, p, want, d.Destination); err != nil {
			return err
		}
		to.OnSuccess = d.Destination
	}
	if d := want.OnFailure; d != nil {
		if err := s.checkDestination(tx, p, want, d.Destination); err != nil {
			return err
		}
		to.OnFailure = d.Destination
	}
	return nil
}

// shown is a destination config as Lambda's errors write it.
func shown(c *api.DestinationConfig) string {
	text := func(name, destination string, set bool) string {
		if !set {
			return "null"
		}
		return name + "(destination=" + destination + ")"
	}
	success, failure := "", ""
	if c.OnSuccess != nil {
		success = c.OnSuccess.Destination
	}
	if c.OnFailure != nil {
		failure = c.OnFailure.Destination
	}
	return "DestinationConfig(onSuccess=" + text("OnSuccess", success, c.OnSuccess != nil) + ", onFailure=" + text("OnFailure", failure, c.OnFailure != nil) + ")"
}

func (s *Service) checkDestination(tx store.Tx, p place, all *api.DestinationConfig, to string) error {
	if to == "" {
		return nil
	}
	a, err := arn.Parse(to)
	if err != nil {
		return invalid("The provided destination config %s is invalid.", shown(all))
	}
	switch a.Service {
	case "sqs", "sns":
		return nil
	case "lambda":
		other, qualifier, ok := functionAt(to)
		switch {
		case !ok:
			return invalid("The destination ARN %s is invalid.", to)
		case other == p:
			return invalid("You can't specify the function as a destination for itself.")
		}
		if _, err := resolve(tx, other, qualifier); err != nil {
			if isBad(err) {
				return invalid("The destination ARN %s is invalid.", to)
			}
			return err
		}
		return nil
	case "events", "s3":
		return notBuilt("PutFunctionEventInvokeConfig", "a destination of "+a.Service)
	}
	return invalid("The provided destination config %s is invalid.", shown(all))
}

// PutFunctionEventInvokeConfig says what becomes of a function's events.
func (s *Service) PutFunctionEventInvokeConfig(ctx context.Context, in *api.PutFunctionEventInvokeConfigInput) (*api.PutFunctionEventInvokeConfigOutput, error) {
	out, err := s.setInvokeConfig(ctx, in, invokeSettings{in.FunctionName, in.Qualifier, in.MaximumRetryAttempts, in.MaximumEventAgeInSeconds, in.DestinationConfig}, false)
	return (*api.PutFunctionEventInvokeConfigOutput)(out), err
}

// UpdateFunctionEventInvokeConfig changes a part of that.
func (s *Service) UpdateFunctionEventInvokeConfig(ctx context.Context, in *api.UpdateFunctionEventInvokeConfigInput) (*api.UpdateFunctionEventInvokeConfigOutput, error) {
	out, err := s.setInvokeConfig(ctx, in, invokeSettings{in.FunctionName, in.Qualifier, in.MaximumRetryAttempts, in.MaximumEventAgeInSeconds, in.DestinationConfig}, true)
	return (*api.UpdateFunctionEventInvokeConfigOutput)(out), err
}

// GetFunctionEventInvokeConfig tells it.
func (s *Service) GetFunctionEventInvokeConfig(ctx context.Context, in *api.GetFunctionEventInvokeConfigInput) (*api.GetFunctionEventInvokeConfigOutput, error) {
	p, qualifier, err := named(ctx, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	var out *api.FunctionEventInvokeConfig
	err = s.store.View(ctx, func(tx store.Tx) error {
		if err := s.permit(ctx, tx, p, qualifier, in); err != nil {
			return err
		}
		c, err := invokeConfigs.Get(tx, p.versionKey(qualified(qualifier)))
		if errors.Is(err, store.ErrNotFound) {
			return noInvokeConfig(p, qualifier)
		}
		if err == nil {
			out = c.config(p, qualifier)
		}
		return err
	})
	return (*api.GetFunctionEventInvokeConfigOutput)(out), err
}

// DeleteFunctionEventInvokeConfig takes it away.
func (s *Service) DeleteFunctionEventInvokeConfig(ctx context.Context, in *api.DeleteFunctionEventInvokeConfigInput) (*api.DeleteFunctionEventInvokeConfigOutput, error) {
	p, qualifier, err := named(ctx, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	return &api.DeleteFunctionEventInvokeConfigOutput{}, s.store.Update(ctx, func(tx store.Tx) error {
		if err := s.permit(ctx, tx, p, qualifier, in); err != nil {
			return err
		}
		key := p.versionKey(qualified(qualifier))
		if _, err := invokeConfigs.Get(tx, key); errors.Is(err, store.ErrNotFound) {
			return noInvokeConfig(p, qualifier)
		} else if err != nil {
			return err
		}
		return invokeConfigs.Delete(tx, key)
	})
}

// ListFunctionEventInvokeConfigs lists those of a function's versions and aliases.
func (s *Service) ListFunctionEventInvokeConfigs(ctx context.Context, in *api.ListFunctionEventInvokeConfigsInput) (*api.ListFunctionEventInvokeConfigsOutput, error) {
	p, _, err := named(ctx, in.FunctionName, "")
	if err != nil {
		return nil, err
	}
	out := &api.ListFunctionEventInvokeConfigsOutput{FunctionEventInvokeConfigs: []api.FunctionEventInvokeConfig{}}
	err = s.store.View(ctx, func(tx store.Tx) error {
		if err := s.permit(ctx, tx, p, "", in); err != nil {
			return err
		}
		if f, err := getFunction(tx, p); err != nil || f == nil {
			if err == nil {
				err = notFound("The function doesn't exist.")
			}
			return err
		}
		found, next, err := invokeConfigs.Page(tx, p.key()+"|", in.Marker, limitOf(in.MaxItems, maxPage), nil)
		out.NextMarker, out.FunctionEventInvokeConfigs = next, out.FunctionEventInvokeConfigs[:0]
		for _, e := range found {
			out.FunctionEventInvokeConfigs = append(out.FunctionEventInvokeConfigs, *e.Value.config(p, versionOf(e.Key)))
		}
		return err
	})
	if err != nil {
		return nil, badMarker(err)
	}
	return out, nil
}
