package ec2

import (
	"os"
	"reflect"
	"strings"
	"testing"

	api "github.com/slipway/slipway/api/ec2"
)

// TestDocumentedFiltersAreKnown calls each operation with each of its filters.
func TestDocumentedFiltersAreKnown(t *testing.T) {
	c := newCloud(t)
	c.run()
	text, err := os.ReadFile("testdata/filters.txt")
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for line := range strings.Lines(string(text)) {
		op, names, ok := strings.Cut(line, ":")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		call := reflect.ValueOf(c.Service).MethodByName(op)
		for _, name := range strings.Fields(names) {
			in := reflect.New(call.Type().In(1).Elem())
			set := func(member string, v any) bool {
				f := in.Elem().FieldByName(member)
				if f.IsValid() {
					f.Set(reflect.ValueOf(v))
				}
				return f.IsValid()
			}
			filters := []api.Filter{{Name: name, Values: []string{"x"}}}
			if !set("Filters", filters) && !set("Filter", filters) {
				t.Fatalf("%s has no filters", op)
			}
			set("VpcId", c.network(testScope).VPC)
			if op == "DescribeLaunchTemplateVersions" {
				set("Versions", []string{"$Latest"})
			}
			if err := call.Call([]reflect.Value{reflect.ValueOf(c.ctx), in})[1].Interface(); err != nil {
				t.Errorf("%s by %s: %v", op, name, err)
			}
			tried++
		}
	}
	if tried < 500 {
		t.Errorf("only %d filters were tried", tried)
	}
}

func TestInstancesAreFoundByFurtherInterfaces(t *testing.T) {
	c := newCloud(t)
	s := c.site(t)
	i := c.run(func(in *api.RunInstancesInput) {
		in.NetworkInterfaces = []api.InstanceNetworkInterfaceSpecification{
			{DeviceIndex: ptr(int32(0)), SubnetId: s.public, PrivateIpAddresses: []api.PrivateIpAddressSpecification{{PrivateIpAddress: "10.0.1.20", Primary: ptr(true)}, {PrivateIpAddress: "10.0.1.21"}}},
			{DeviceIndex: ptr(int32(1)), SubnetId: s.public, Description: "second", PrivateIpAddress: "10.0.1.30"},
		}
	})
	var ips []string
	for n, private := range []string{"10.0.1.21", "10.0.1.30"} {
		a := must(c.AllocateAddress(c.ctx, &api.AllocateAddressInput{}))(t)
		must(c.AssociateAddress(c.ctx, &api.AssociateAddressInput{AllocationId: a.AllocationId, NetworkInterfaceId: i.NetworkInterfaces[n].NetworkInterfaceId, PrivateIpAddress: private}))(t)
		ips = append(ips, a.PublicIp)
	}
	for name, value := range map[string]string{
		"addresses.association.public-ip": ips[0], "association.public-ip": ips[1], "description": "second", "attachment.device-index": "1",
		"addresses.private-ip-address": "10.0.1.21", "private-ip-address": "10.0.1.30", "network-interface-id": i.NetworkInterfaces[1].NetworkInterfaceId,
	} {
		out := must(c.DescribeInstances(c.ctx, &api.DescribeInstancesInput{Filters: []api.Filter{{Name: "network-interface." + name, Values: []string{value}}}}))(t)
		if len(out.Reservations) != 1 {
			t.Errorf("by %s=%s: %d found", name, value, len(out.Reservations))
		}
	}
}
