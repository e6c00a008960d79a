package ec2

import (
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/fault"
)

// hostile makes inputs of an operation's own type with odd contents.
type hostile struct {
	r     *rand.Rand
	names []string // that exist
}

var oddStrings = []string{"", "x", "i-", "sg-zz", "*", "?", `\`, "0.0.0.0", "999.1.1.1", "10.0.0.0/99", "::/0", "-1", "tcp", "true",
	"default", "us-east-1a", "a/b/c", "\x00", "é", strings.Repeat("A", 5000), "arn:aws:iam::1:x", "instance", "vpc", "userData", "tag:", "ami-00000000"}

func (h *hostile) fill(v reflect.Value, depth int) {
	switch v.Kind() {
	case reflect.Pointer:
		if depth > 5 || h.r.IntN(3) == 0 {
			return
		}
		v.Set(reflect.New(v.Type().Elem()))
		h.fill(v.Elem(), depth+1)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Unix(h.r.Int64N(1<<33), 0)))
			return
		}
		for i := range v.NumField() {
			if h.r.IntN(3) != 0 {
				h.fill(v.Field(i), depth+1)
			}
		}
	case reflect.Slice:
		n := h.r.IntN(3)
		s := reflect.MakeSlice(v.Type(), n, n)
		for i := range n {
			h.fill(s.Index(i), depth+1)
		}
		v.Set(s)
	case reflect.String:
		if h.r.IntN(2) == 0 && len(h.names) > 0 {
			v.SetString(h.names[h.r.IntN(len(h.names))])
		} else {
			v.SetString(oddStrings[h.r.IntN(len(oddStrings))])
		}
	case reflect.Bool:
		v.SetBool(h.r.IntN(2) == 0)
	case reflect.Int32, reflect.Int64:
		v.SetInt([]int64{-1, 0, 1, 5, 22, 65535, 70000, 1<<31 - 1}[h.r.IntN(8)])
	case reflect.Uint8:
		v.SetUint(uint64(h.r.IntN(256)))
	case reflect.Float32, reflect.Float64:
		v.SetFloat(h.r.Float64())
	}
}

// Whatever an operation is asked, it answers or refuses with a fault of its own,
// and what it leaves behind is sound.
func TestHostileInput(t *testing.T) {
	c := newCloud(t)
	i := c.run()
	n := c.network(testScope)
	address := must(c.AllocateAddress(c.ctx, &api.AllocateAddressInput{}))(t)
	names := []string{i.InstanceId, n.VPC, n.Subnets[0].ID, n.Group, n.RouteTable, i.NetworkInterfaces[0].NetworkInterfaceId,
		BuiltinImage(testScope), hostType(), address.AllocationId, address.PublicIp, i.PrivateIpAddress, "web", "k", "rsa", "instance-id", "0.0.0.0/0"}
	names = append(names, c.group("web"))
	seed := uint64(2026)
	for _, op := range api.Describe().Operations {
		if op.Name == "RunInstances" {
			continue // below: it launches what passes
		}
		h := &hostile{rand.New(rand.NewPCG(seed, uint64(len(op.Name)))), names}
		for range 60 {
			in := op.NewInput()
			h.fill(reflect.ValueOf(in).Elem(), 0)
			if _, err := op.Call(c.ctx, c.Service, in); err != nil {
				if f, ok := fault.As(err); !ok || f.Message == "" {
					t.Fatalf("%s(%+v): %v", op.Name, in, err)
				}
			}
		}
	}
	h := &hostile{rand.New(rand.NewPCG(seed, 1)), names}
	for range 300 {
		in := &api.RunInstancesInput{}
		h.fill(reflect.ValueOf(in).Elem(), 0)
		in.ImageId, in.InstanceType, in.MaxCount, in.MinCount = BuiltinImage(testScope), hostType(), ptr(int32(1)), ptr(int32(1))
		if _, err := c.RunInstances(c.ctx, in); err != nil {
			if _, ok := fault.As(err); !ok {
				t.Fatalf("RunInstances(%+v): %v", in, err)
			}
		}
	}
	c.until("every instance is settled", func() bool {
		out, err := c.DescribeInstances(c.ctx, &api.DescribeInstancesInput{Filters: []api.Filter{{Name: "instance-state-name", Values: []string{"pending", "stopping", "shutting-down"}}}})
		return err == nil && len(out.Reservations) == 0
	})
	c.sound()
}
