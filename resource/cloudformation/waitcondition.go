package cloudformation

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
)

// Handles is what wait conditions need of the CloudFormation service.
type Handles interface {
	// OpenHandle makes a URL that takes signals. The same durable step gets the
	// same URL.
	OpenHandle(ctx context.Context, stackID, logicalID string) (url string, err error)
	// CloseHandle forgets a URL. One that is gone is no error.
	CloseHandle(ctx context.Context, url string) error
	// HandleSource names the signals that come to a URL of the stack, and the
	// handle that the URL is of.
	HandleSource(ctx context.Context, stackID, url string) (source, logicalID string, err error)
}

// maxTimeout bounds a wait condition's Timeout: 12 hours.
const maxTimeout = 43_200

// waitConditionHandle is AWS::CloudFormation::WaitConditionHandle: its physical
// id is the URL that signals are put to.
func waitConditionHandle(handles Handles) cfn.Type {
	return cfn.Type{
		Name:  "AWS::CloudFormation::WaitConditionHandle",
		Bound: true,
		Create: func(ctx context.Context, r cfn.Request) (cfn.Result, error) {
			url, err := handles.OpenHandle(ctx, r.StackID, r.LogicalID)
			return cfn.Result{PhysicalID: url, Attributes: cfn.Properties{"Id": url}}, err
		},
		Read: func(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
			if _, _, err := handles.HandleSource(ctx, r.StackID, r.PhysicalID); err != nil {
				return nil, notFound(err, r)
			}
			return cfn.Properties{"Id": r.PhysicalID}, nil
		},
		Update: func(_ context.Context, r cfn.Request) (cfn.Result, error) {
			return cfn.Result{PhysicalID: r.PhysicalID, Attributes: cfn.Properties{"Id": r.PhysicalID}}, nil
		},
		Delete: func(ctx context.Context, r cfn.Request) error {
			return handles.CloseHandle(ctx, r.PhysicalID)
		},
	}
}

// waitCondition is AWS::CloudFormation::WaitCondition. The engine does the
// waiting: for the handle's signals, or by the resource's CreationPolicy.
func waitCondition(handles Handles) cfn.Type {
	return cfn.Type{
		Name:    "AWS::CloudFormation::WaitCondition",
		Bound:   true,
		Signals: true,
		Create: func(ctx context.Context, r cfn.Request) (cfn.Result, error) {
			wait, name, err := waitFor(ctx, handles, r)
			if err != nil {
				return cfn.Result{}, err
			}
			id := r.StackID + "/" + name
			return cfn.Result{PhysicalID: id, Attributes: cfn.Properties{"Id": id, "Data": "{}"}, Wait: wait}, nil
		},
		// There is no Read: it is nothing but its place in the stack, and cannot drift.
		Update: func(_ context.Context, r cfn.Request) (cfn.Result, error) {
			if fmt.Sprint(r.Properties) == fmt.Sprint(r.Prior) {
				return cfn.Result{PhysicalID: r.PhysicalID, Attributes: cfn.Properties{"Id": r.PhysicalID, "Data": "{}"}}, nil
			}
			return cfn.Result{}, fault.New(fault.ValidationError, "Update to resource type AWS::CloudFormation::WaitCondition is not supported.")
		},
		Delete: func(context.Context, cfn.Request) error { return nil },
	}
}

// waitFor is what a wait condition waits for by its properties, nil where it
// names no handle, and the name it goes by in its stack: the handle's, where it
// has one (recorded answers).
func waitFor(ctx context.Context, handles Handles, r cfn.Request) (wait *cfn.Wait, name string, err error) {
	url, _ := r.Properties["Handle"].(string)
	if url == "" {
		return nil, r.LogicalID, nil
	}
	source, name, err := handles.HandleSource(ctx, r.StackID, url)
	if err != nil {
		return nil, "", err
	}
	count, err := number(r.Properties, "Count", 1)
	if err != nil {
		return nil, "", err
	}
	if r.Properties["Timeout"] == nil {
		return nil, "", fault.New(fault.ValidationError, "Timeout is required with Handle")
	}
	seconds, err := number(r.Properties, "Timeout", 0)
	if err != nil {
		return nil, "", err
	}
	if seconds > maxTimeout {
		return nil, "", fault.New(fault.ValidationError, "Timeout %d is longer than %d seconds", seconds, maxTimeout)
	}
	return &cfn.Wait{Source: source, Count: count, Timeout: time.Duration(seconds) * time.Second}, name, nil
}

func number(p cfn.Properties, name string, absent int) (int, error) {
	v, ok := p[name]
	if !ok || v == nil {
		return absent, nil
	}
	n, err := strconv.Atoi(fmt.Sprint(v))
	if err != nil || n < 0 {
		return 0, fault.New(fault.ValidationError, "%s must be a number that is not negative, and is %v", name, v)
	}
	return n, nil
}

func notFound(err error, r cfn.Request) error {
	if fault.Is(err, fault.ValidationError) {
		return fault.New(cfn.NotFound, "The wait condition handle %s is gone", r.LogicalID)
	}
	return err
}
