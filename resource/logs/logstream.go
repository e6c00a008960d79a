package logs

import (
	"context"

	api "github.com/slipway/slipway/api/logs"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource"
)

const streamName = "AWS::Logs::LogStream"

type streamProperties struct {
	LogGroupName  string `json:"LogGroupName"`
	LogStreamName string `json:"LogStreamName,omitempty"`
}

// streamHandler makes streams. Ref is a stream's name, so its group is known from the
// properties.
type streamHandler struct{ svc api.Service }

func streamType(svc api.Service) cfn.Type {
	h := streamHandler{svc}
	return cfn.Type{
		Name: streamName, Create: h.create, Read: h.read, Delete: h.delete,
		Identify: func(id map[string]string) string { return id["LogStreamName"] },
	}
}

func (h streamHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p streamProperties
	if err := resource.Decode(streamName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	name := resource.Name(r, p.LogStreamName, maxGroupName)
	if _, err := h.svc.CreateLogStream(ctx, &api.CreateLogStreamInput{LogGroupName: p.LogGroupName, LogStreamName: name}); err != nil {
		return cfn.Result{}, err
	}
	return cfn.Result{PhysicalID: name}, nil
}

func (h streamHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	group, _ := r.Properties["LogGroupName"].(string)
	out, err := h.svc.DescribeLogStreams(ctx, &api.DescribeLogStreamsInput{LogGroupName: group, LogStreamNamePrefix: r.PhysicalID, Limit: new(int32(1))})
	if err != nil {
		return nil, resource.Found(err, streamName, r.PhysicalID, fault.ResourceNotFoundException)
	}
	// The first of a prefix is the one that it names whole.
	if len(out.LogStreams) == 0 || out.LogStreams[0].LogStreamName != r.PhysicalID {
		return nil, resource.Missing(streamName, r.PhysicalID)
	}
	return resource.Encode(streamProperties{group, r.PhysicalID})
}

func (h streamHandler) delete(ctx context.Context, r cfn.Request) error {
	group, _ := r.Properties["LogGroupName"].(string)
	_, err := h.svc.DeleteLogStream(ctx, &api.DeleteLogStreamInput{LogGroupName: group, LogStreamName: r.PhysicalID})
	return resource.Gone(err, fault.ResourceNotFoundException)
}
