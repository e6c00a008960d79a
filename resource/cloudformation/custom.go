package cloudformation

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
)

// Providers is what custom resources need of the CloudFormation service.
type Providers interface {
	// OpenAnswer makes the URL that takes the answer to a request, once. The same
	// durable step gets the same request and URL.
	OpenAnswer(ctx context.Context, r cfn.Request, provider string, timeout time.Duration) (requestID, url string, err error)
	// SendRequest hands a request to a function or topic.
	SendRequest(ctx context.Context, provider string, request []byte) error
}

// How long a provider may take ("CustomResource", Template Reference): seconds.
const maxServiceTimeout = 3600

// CustomRequest is what a provider is told ("Custom resource request objects",
// CloudFormation User Guide).
type CustomRequest struct {
	RequestType           string
	ServiceToken          string `json:",omitempty"` // for functions
	TopicArn              string `json:",omitempty"` // for topics
	ResponseURL           string
	StackId               string //nolint:revive // the name on the wire
	RequestId             string //nolint:revive // the name on the wire
	LogicalResourceId     string //nolint:revive // the name on the wire
	PhysicalResourceId    string `json:",omitempty"` //nolint:revive // the name on the wire
	ResourceType          string
	ResourceProperties    any
	OldResourceProperties any `json:",omitempty"`
}

// custom is AWS::CloudFormation::CustomResource, and all types Custom::*. Its
// functions ask the provider; the engine waits for the answer.
func custom(providers Providers) cfn.Type {
	c := customs{providers}
	return cfn.Type{
		Name:       cfn.CustomResource,
		Bound:      true,
		Plain:      true,
		References: []string{"ssm"}, // AWS gives custom resources no secrets
		Create: func(ctx context.Context, r cfn.Request) (cfn.Result, error) {
			r.PhysicalID = r.Name // until the provider has said another
			wait, err := c.ask(ctx, r, "Create")
			if err != nil {
				return cfn.Result{}, err
			}
			return cfn.Result{PhysicalID: r.PhysicalID, Wait: wait}, nil
		},
		Update: func(ctx context.Context, r cfn.Request) (cfn.Result, error) {
			wait, err := c.ask(ctx, r, "Update")
			return cfn.Result{PhysicalID: r.PhysicalID, Wait: wait}, err
		},
		Remove: func(ctx context.Context, r cfn.Request) (*cfn.Wait, error) { return c.ask(ctx, r, "Delete") },
		Delete: func(context.Context, cfn.Request) error {
			return fault.New(fault.NotImplemented, "A custom resource is deleted by the operations of stacks alone")
		},
	}
}

type customs struct{ providers Providers }

// ask sends a request to the provider of a resource.
func (c customs) ask(ctx context.Context, r cfn.Request, kind string) (*cfn.Wait, error) {
	provider, _ := r.Properties["ServiceToken"].(string)
	timeout, err := serviceTimeout(r.Properties["ServiceTimeout"])
	if err != nil {
		return nil, err
	}
	id, url, err := c.providers.OpenAnswer(ctx, r, provider, timeout)
	if err != nil {
		return nil, err
	}
	req := CustomRequest{
		RequestType: kind, ServiceToken: provider, ResponseURL: url, StackId: r.StackID, RequestId: id,
		LogicalResourceId: r.LogicalID, ResourceType: r.Type, ResourceProperties: texts(r.Properties),
	}
	if strings.Contains(provider, ":sns:") {
		req.ServiceToken, req.TopicArn = "", provider
	}
	if kind != "Create" {
		req.PhysicalResourceId = r.PhysicalID
	}
	if kind == "Update" {
		req.OldResourceProperties = texts(r.Prior)
	}
	body, err := json.Marshal(req)
	if err != nil {
		return nil, err
	}
	if err := c.providers.SendRequest(ctx, provider, body); err != nil {
		return nil, err
	}
	return &cfn.Wait{Answer: id, Timeout: timeout}, nil
}

func serviceTimeout(v any) (time.Duration, error) {
	if v == nil {
		return maxServiceTimeout * time.Second, nil
	}
	seconds, err := strconv.Atoi(fmt.Sprint(v))
	if err != nil || seconds < 1 || seconds > maxServiceTimeout {
		return 0, fault.New(fault.ValidationError, "ServiceTimeout must be a number of seconds from 1 to %d, and is %v", maxServiceTimeout, v)
	}
	return time.Duration(seconds) * time.Second, nil
}

// texts makes every scalar a string, as providers get them.
func texts(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, x := range v {
			out[k] = texts(x)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = texts(x)
		}
		return out
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case nil, string:
		return v
	}
	return fmt.Sprint(v)
}
