package cloudformation_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource/cloudformation"
)

// handles is a service whose functions are optional.
type handles struct {
	cloudformation.Macros
	cloudformation.Providers
	cloudformation.Stacks

	open   func(stackID, logicalID string) (string, error)
	closed []string
}

func (h *handles) OpenHandle(_ context.Context, stackID, logicalID string) (string, error) {
	if h.open != nil {
		return h.open(stackID, logicalID)
	}
	return "http://here/" + logicalID, nil
}

func (h *handles) CloseHandle(_ context.Context, url string) error {
	h.closed = append(h.closed, url)
	return nil
}

func (h *handles) HandleSource(_ context.Context, stackID, url string) (source, logicalID string, err error) {
	name, ok := strings.CutPrefix(url, "http://here/")
	if !ok || stackID != "stack" {
		return "", "", fault.New(fault.ValidationError, "no handle of this stack")
	}
	return "handle." + name, name, nil
}

func typeOf(t *testing.T, h *handles, name string) cfn.Type {
	t.Helper()
	var r cfn.Registry
	r.Add(cloudformation.Types(h, nil)...)
	typ, ok := r.Lookup(name)
	if !ok {
		t.Fatalf("no type %s", name)
	}
	return typ
}

func TestWaitConditionHandle(t *testing.T) {
	h := &handles{}
	typ := typeOf(t, h, "AWS::CloudFormation::WaitConditionHandle")
	r := cfn.Request{StackID: "stack", LogicalID: "H"}
	res, err := typ.Create(t.Context(), r)
	if err != nil || res.PhysicalID != "http://here/H" || res.Wait != nil {
		t.Fatalf("Create: %v %+v", err, res)
	}
	r.PhysicalID = res.PhysicalID
	if p, err := typ.Read(t.Context(), r); err != nil || p["Id"] != res.PhysicalID {
		t.Errorf("Read: %v %v", err, p)
	}
	if _, err := typ.Read(t.Context(), cfn.Request{StackID: "other", PhysicalID: res.PhysicalID}); !fault.Is(err, cfn.NotFound) {
		t.Errorf("Read of nothing: %v", err)
	}
	if err := typ.Delete(t.Context(), r); err != nil || len(h.closed) != 1 || h.closed[0] != res.PhysicalID {
		t.Errorf("Delete: %v, closed %v", err, h.closed)
	}
}

func TestWaitCondition(t *testing.T) {
	typ := typeOf(t, &handles{}, "AWS::CloudFormation::WaitCondition")
	for _, c := range []struct {
		name    string
		props   cfn.Properties
		wait    *cfn.Wait
		problem string
	}{
		{"handle", cfn.Properties{"Handle": "http://here/H", "Timeout": "60"}, &cfn.Wait{Source: "handle.H", Count: 1, Timeout: time.Minute}, ""},
		{"count", cfn.Properties{"Handle": "http://here/H", "Timeout": int64(1), "Count": int64(3)}, &cfn.Wait{Source: "handle.H", Count: 3, Timeout: time.Second}, ""},
		{"creation policy", cfn.Properties{}, nil, ""},
		{"foreign handle", cfn.Properties{"Handle": "http://there/H", "Timeout": "60"}, nil, "no handle of this stack"},
		{"no timeout", cfn.Properties{"Handle": "http://here/H"}, nil, "Timeout is required"},
		{"too long", cfn.Properties{"Handle": "http://here/H", "Timeout": "43201"}, nil, "longer than 43200"},
		{"bad count", cfn.Properties{"Handle": "http://here/H", "Timeout": "1", "Count": "-1"}, nil, "Count must be a number"},
	} {
		t.Run(c.name, func(t *testing.T) {
			res, err := typ.Create(t.Context(), cfn.Request{StackID: "stack", LogicalID: "W", Properties: c.props})
			if c.problem != "" {
				if e, ok := fault.As(err); !ok || !strings.Contains(e.Message, c.problem) {
					t.Errorf("error %v, want …%s…", err, c.problem)
				}
				return
			}
			id := "stack/W"
			if c.wait != nil {
				id = "stack/H"
			}
			if diff := cmp.Diff(c.wait, res.Wait); err != nil || diff != "" || res.PhysicalID != id {
				t.Errorf("%v %+v (-want +got):\n%s", err, res, diff)
			}
		})
	}
	before := cfn.Properties{"Handle": "http://here/H", "Timeout": "60"}
	_, err := typ.Update(t.Context(), cfn.Request{PhysicalID: "stack/W", Prior: before, Properties: cfn.Properties{"Handle": "http://here/H", "Timeout": "61"}})
	if !fault.Is(err, fault.ValidationError) {
		t.Errorf("Update: %v", err)
	}
}
