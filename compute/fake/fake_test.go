package fake_test

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"testing"

	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/compute/computetest"
	"github.com/slipway/slipway/compute/fake"
)

func TestSuite(t *testing.T) {
	computetest.Run(t, computetest.Harness{
		InMemory: true,
		Open:     func(string, string, *slog.Logger) (compute.Driver, error) { return &fake.Driver{}, nil },
	})
}

func TestAMethodCanBeReplaced(t *testing.T) {
	failed := errors.New("the host is full")
	d := fake.New(fake.Config{Launch: func(context.Context, compute.Spec) (compute.Handle, error) { return compute.Handle{}, failed }})
	if _, err := d.Launch(t.Context(), compute.Spec{ID: "i-1"}); !errors.Is(err, failed) {
		t.Errorf("err = %v", err)
	}
	if _, err := d.RealLaunch(t.Context(), compute.Spec{ID: "i-1"}); err != nil {
		t.Errorf("the method behind it: %v", err)
	}
}

func TestKillPostsAnEvent(t *testing.T) {
	var d fake.Driver
	h, err := d.Launch(t.Context(), compute.Spec{ID: "i-1"})
	if err != nil {
		t.Fatal(err)
	}
	d.Kill("i-1", 137)
	if e := <-d.Events(); e.ID != "i-1" {
		t.Errorf("event of %s", e.ID)
	}
	if st, _ := d.Describe(t.Context(), h); st.State != compute.Stopped || st.Exit != 137 {
		t.Errorf("status %+v", st)
	}
	if err := errors.Join(d.Close(), d.Close()); err != nil {
		t.Error(err)
	}
	if _, ok := <-d.Events(); ok {
		t.Error("events after Close")
	}
}

func TestAnAddressHasOneHolder(t *testing.T) {
	var d fake.Driver
	one, _ := d.Launch(t.Context(), compute.Spec{ID: "i-1"})
	two, _ := d.Launch(t.Context(), compute.Spec{ID: "i-2"})
	ip := d.Network().Elastic.Addr().Next()
	for _, h := range []compute.Handle{one, two} {
		if err := d.AssignAddress(t.Context(), h, ip, netip.Addr{}); err != nil {
			t.Fatal(err)
		}
		if got := d.Holder(ip); got != h.ID {
			t.Errorf("%s has %s, want %s", got, ip, h.ID)
		}
	}
	if err := d.UnassignAddress(t.Context(), one, ip); err != nil || d.Holder(ip) != "i-2" {
		t.Errorf("unassigning from one that has it not: %v, holder %s", err, d.Holder(ip))
	}
}
