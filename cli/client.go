package cli

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
)

// client calls CloudFormation in the Query protocol, over HTTP, as any tool
// does: the demo uses no door that its user has not.
type client struct {
	endpoint string
	http     http.Client
}

func newClient(endpoint string) *client {
	return &client{endpoint: endpoint, http: http.Client{Timeout: time.Minute}}
}

func (c *client) call(ctx context.Context, action string, params map[string]string, out any) error {
	form := url.Values{"Action": {action}, "Version": {"2010-05-15"}}
	for k, v := range params {
		form.Set(k, v)
	}
	body := []byte(form.Encode())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.endpoint+"/", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	auth.Sign(req, body, auth.Credentials{AccessKeyID: arn.DefaultAccount, SecretAccessKey: "local"},
		"cloudformation", arn.DefaultRegion, time.Now())
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 8<<20))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		var failure struct {
			Code    string `xml:"Error>Code"`
			Message string `xml:"Error>Message"`
		}
		if xml.Unmarshal(answer, &failure) != nil || failure.Code == "" {
			return fmt.Errorf("%s: HTTP %d", action, resp.StatusCode)
		}
		return fmt.Errorf("%s: %s: %s", action, failure.Code, failure.Message)
	}
	if out == nil {
		return nil
	}
	return xml.Unmarshal(answer, out)
}

// stack is what the demo reads of a stack.
type stack struct {
	ID      string `xml:"StackId"`
	Status  string `xml:"StackStatus"`
	Reason  string `xml:"StackStatusReason"`
	Outputs []struct {
		Key   string `xml:"OutputKey"`
		Value string `xml:"OutputValue"`
	} `xml:"Outputs>member"`
}

func (s stack) output(key string) string {
	for _, o := range s.Outputs {
		if o.Key == key {
			return o.Value
		}
	}
	return ""
}

// event is what the demo shows of a stack's event.
type event struct {
	ID       string `xml:"EventId"`
	Logical  string `xml:"LogicalResourceId"`
	Physical string `xml:"PhysicalResourceId"`
	Type     string `xml:"ResourceType"`
	Status   string `xml:"ResourceStatus"`
	Reason   string `xml:"ResourceStatusReason"`
}

func (c *client) createStack(ctx context.Context, name, template string) (string, error) {
	var out struct {
		ID string `xml:"CreateStackResult>StackId"`
	}
	err := c.call(ctx, "CreateStack", map[string]string{
		"StackName": name, "TemplateBody": template, "Capabilities.member.1": "CAPABILITY_IAM",
	}, &out)
	return out.ID, err
}

func (c *client) deleteStack(ctx context.Context, id string) error {
	return c.call(ctx, "DeleteStack", map[string]string{"StackName": id}, nil)
}

func (c *client) stack(ctx context.Context, id string) (stack, error) {
	var out struct {
		Stacks []stack `xml:"DescribeStacksResult>Stacks>member"`
	}
	if err := c.call(ctx, "DescribeStacks", map[string]string{"StackName": id}, &out); err != nil {
		return stack{}, err
	}
	if len(out.Stacks) != 1 {
		return stack{}, fmt.Errorf("DescribeStacks tells of %d stacks, not 1", len(out.Stacks))
	}
	return out.Stacks[0], nil
}

// events returns the newest page of the stack's events, newest first.
func (c *client) events(ctx context.Context, id string) ([]event, error) {
	var out struct {
		Events []event `xml:"DescribeStackEventsResult>StackEvents>member"`
	}
	err := c.call(ctx, "DescribeStackEvents", map[string]string{"StackName": id}, &out)
	return out.Events, err
}
