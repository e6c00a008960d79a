package ec2

import (
	"context"
	"testing"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
)

// passing lets what it holds, and keeps what it was asked.
type passing struct {
	roles map[string]bool
	asked []auth.Request
}

func (p *passing) Authorize(_ context.Context, r auth.Request) error {
	p.asked = append(p.asked, r)
	if r.Action == "iam:PassRole" && p.roles[r.Resources[0]] {
		return nil
	}
	return auth.Denied(r, r.Resources[0], 0)
}

func TestAProfileNeedsLeaveToPassItsRole(t *testing.T) {
	const role = "arn:aws:iam::111111111111:role/app/web-role"
	spec := &api.IamInstanceProfileSpecification{Name: "web"}
	c := newCloud(t)
	plain := c.run()
	p := &passing{roles: map[string]bool{}}
	c.cfg.Authorizer = p
	call := auth.From(c.ctx)
	call.Service = "ec2"
	c.ctx = auth.With(c.ctx, call)
	launch := func() error {
		_, err := c.RunInstances(c.ctx, func() *api.RunInstancesInput { in := request(); in.IamInstanceProfile = spec; return in }())
		return err
	}
	associate := func() error {
		_, err := c.AssociateIamInstanceProfile(c.ctx, &api.AssociateIamInstanceProfileInput{InstanceId: plain.InstanceId, IamInstanceProfile: spec})
		return err
	}
	replace := func() error {
		list := must(c.DescribeIamInstanceProfileAssociations(c.ctx, &api.DescribeIamInstanceProfileAssociationsInput{}))(t)
		id := "iip-assoc-00000000000000000"
		if len(list.IamInstanceProfileAssociations) > 0 {
			id = list.IamInstanceProfileAssociations[0].AssociationId
		}
		_, err := c.ReplaceIamInstanceProfileAssociation(c.ctx, &api.ReplaceIamInstanceProfileAssociationInput{AssociationId: id, IamInstanceProfile: spec})
		return err
	}
	calls := []struct {
		name string
		call func() error
	}{{"RunInstances", launch}, {"AssociateIamInstanceProfile", associate}, {"ReplaceIamInstanceProfileAssociation", replace}}
	for _, tc := range calls {
		if err := tc.call(); !fault.Is(err, fault.UnauthorizedOperation) {
			t.Errorf("%s without leave: %v", tc.name, err)
		}
	}
	all := must(c.DescribeInstances(c.ctx, &api.DescribeInstancesInput{}))(t)
	if n := len(all.Reservations); n != 1 || all.Reservations[0].Instances[0].IamInstanceProfile != nil {
		t.Errorf("refused calls left %d reservations, profile %+v", n, all.Reservations[0].Instances[0].IamInstanceProfile)
	}
	p.roles[role] = true
	for _, tc := range calls {
		if err := tc.call(); err != nil {
			t.Errorf("%s with leave: %v", tc.name, err)
		}
	}
	for _, r := range p.asked {
		if got, _ := r.Context.Lookup("iam:passedtoservice"); r.Principal.Kind != auth.Root || len(got) != 1 || got[0] != "ec2.amazonaws.com" {
			t.Errorf("asked %+v", r)
		}
	}
	if len(p.asked) != 6 {
		t.Errorf("asked %d times, want once for each call", len(p.asked))
	}
}
