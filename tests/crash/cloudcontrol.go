package crash

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/slipway/slipway/arn"
)

// control is use of the Cloud Control API: a request that was acknowledged comes to
// its end, its client token stands for it, and its resource is there once.
type control struct {
	queue     controlled
	parameter controlled
	n         int
}

// controlled is a resource, and the request that was made of it last.
type controlled struct {
	kind, property string
	id             string // "": there is none
	value          string
	action         string
	input          map[string]any
	wants          string // value after the request, "" after a deletion
	given          string // the request's token
}

func newControl() *control {
	return &control{
		queue:     controlled{kind: "AWS::SQS::Queue", property: "DelaySeconds"},
		parameter: controlled{kind: "AWS::SSM::Parameter", property: "Value"},
	}
}

func (o *control) owned(i inventory) {
	for _, r := range []*controlled{&o.queue, &o.parameter} {
		if r.id != "" {
			i.add(r.kind, r.id)
		}
	}
}

func (o *control) flow(ctx context.Context, c *client) error {
	o.n++
	o.queue.next(o.n)
	o.parameter.next(o.n)
	return repeat(ctx, c, 1, o.queue.ask, o.parameter.ask)
}

// next decides what is asked of a resource: it is made, changed, and deleted.
func (r *controlled) next(n int) {
	r.wants, r.given = strconv.Itoa(n%900), ""
	var value any = r.wants
	if r.property == "DelaySeconds" {
		value = n % 900
	}
	r.input = map[string]any{"TypeName": r.kind, "ClientToken": arn.NewUUID()}
	switch {
	case r.id == "":
		r.action = "CreateResource"
		desired, _ := json.Marshal(map[string]any{r.property: value, "Type": "String"}) // of plain values
		if r.kind == "AWS::SQS::Queue" {
			desired, _ = json.Marshal(map[string]any{r.property: value}) // likewise
		}
		r.input["DesiredState"] = string(desired)
	case n%3 == 0:
		r.action, r.wants, r.input["Identifier"] = "DeleteResource", "", r.id
	default:
		r.action, r.input["Identifier"] = "UpdateResource", r.id
		patch, _ := json.Marshal([]map[string]any{{"op": "replace", "path": "/" + r.property, "value": value}}) // likewise
		r.input["PatchDocument"] = string(patch)
	}
}

type progress struct {
	ProgressEvent struct{ RequestToken, OperationStatus, Identifier, StatusMessage, ErrorCode string }
}

func (r *controlled) ask(ctx context.Context, c *client) error {
	var out progress
	if err := c.json(ctx, "cloudcontrolapi", r.action, r.input, &out); err != nil {
		return err
	}
	token := out.ProgressEvent.RequestToken
	if r.given != "" && r.given != token {
		return fmt.Errorf("%s of %s with one client token has two requests, %s and %s", r.action, r.kind, r.given, token)
	}
	r.given = token
	return nil
}

func (o *control) check(ctx context.Context, c *client) (wrong []string, err error) {
	for _, r := range []*controlled{&o.queue, &o.parameter} {
		if r.action == "" {
			continue
		}
		is, err := r.settle(ctx, c)
		if err != nil {
			return nil, err
		}
		wrong = append(wrong, is...)
	}
	return wrong, nil
}

// settle asks again, as clients do that have no answer, waits for the end of the
// request and compares the resource with what was asked for.
func (r *controlled) settle(ctx context.Context, c *client) (wrong []string, err error) {
	if err := r.ask(ctx, c); err != nil {
		return nil, err
	}
	var out progress
	err = poll(ctx, c, func() (bool, error) {
		err := c.json(ctx, "cloudcontrolapi", "GetResourceRequestStatus", map[string]string{"RequestToken": r.given}, &out)
		status := out.ProgressEvent.OperationStatus
		return status != "PENDING" && status != "IN_PROGRESS", err
	})
	if err != nil {
		return nil, err
	}
	event := out.ProgressEvent
	if event.OperationStatus != "SUCCESS" {
		return []string{fmt.Sprintf("%s of %s ended as %+v", r.action, r.kind, event)}, nil
	}
	if r.id != "" && r.id != event.Identifier {
		wrong = append(wrong, fmt.Sprintf("%s of %s %s was done to %s", r.action, r.kind, r.id, event.Identifier))
	}
	r.action, r.id = "", event.Identifier
	value, err := r.read(ctx, c)
	if err != nil {
		return nil, err
	}
	if value != r.wants {
		wrong = append(wrong, fmt.Sprintf("%s %s has value %q, and was to have %q", r.kind, r.id, value, r.wants))
	}
	if r.value = value; value == "" {
		r.id = ""
	}
	return wrong, nil
}

// read is the value of the resource, "" if it is not there.
func (r *controlled) read(ctx context.Context, c *client) (string, error) {
	var out struct{ ResourceDescription struct{ Properties string } }
	err := c.json(ctx, "cloudcontrolapi", "GetResource", map[string]string{"TypeName": r.kind, "Identifier": r.id}, &out)
	if refused(err, "ResourceNotFoundException") {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	p := map[string]any{}
	if err := json.Unmarshal([]byte(out.ResourceDescription.Properties), &p); err != nil {
		return "", err
	}
	return fmt.Sprint(p[r.property]), nil
}
