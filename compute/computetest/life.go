package computetest

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"testing"

	"github.com/slipway/slipway/compute"
)

func testLife(t *testing.T, w *World) {
	spec := w.Spec("")
	h := w.Launch(spec)
	if h.ID != spec.ID || h.Driver != w.Driver.Name() {
		t.Errorf("handle %+v", h)
	}
	w.Want(h, compute.Running)
	w.Do(w.Driver.Stop(t.Context(), h, false))
	w.Want(h, compute.Stopped)
	w.Do(w.Driver.Stop(t.Context(), h, false)) // again: nothing to do
	h, err := w.Driver.Start(t.Context(), spec, h)
	w.Do(err)
	w.Want(h, compute.Running)
	h, err = w.Driver.Start(t.Context(), spec, h)
	w.Do(err)
	h, err = w.Driver.Reboot(t.Context(), spec, h)
	w.Do(err)
	st, err := w.Driver.Describe(t.Context(), h)
	if err != nil || st.State != compute.Running || st.Address != spec.Address {
		t.Errorf("after the reboot: %+v, %v", st, err)
	}
	w.Do(w.Driver.Stop(t.Context(), h, true))
	w.Want(h, compute.Stopped)
	w.Do(w.Driver.Terminate(t.Context(), h))
	w.Want(h, compute.Gone)
	w.Do(w.Driver.Terminate(t.Context(), h))
	select {
	case e := <-w.Driver.Events():
		t.Errorf("event %+v for what was asked for", e)
	default:
	}
}

func testLaunchTwice(t *testing.T, w *World) {
	spec := w.Spec("")
	first := w.Launch(spec)
	second := w.Launch(spec)
	if first.ID != second.ID {
		t.Errorf("%s and %s", first.ID, second.ID)
	}
	hs, err := w.Driver.List(t.Context())
	if err != nil || len(hs) != 1 {
		t.Errorf("list %v, %v", hs, err)
	}
}

func testGone(t *testing.T, w *World) {
	spec := w.Spec("")
	h := w.Launch(spec)
	w.Do(w.Driver.Terminate(t.Context(), h))
	for what, err := range map[string]error{
		"start":   second(w.Driver.Start(t.Context(), spec, h)),
		"stop":    w.Driver.Stop(t.Context(), h, false),
		"reboot":  second(w.Driver.Reboot(t.Context(), spec, h)),
		"console": second(w.Driver.Console(t.Context(), h)),
		"assign":  w.Driver.AssignAddress(t.Context(), h, w.elastic(1), netip.Addr{}),
	} {
		if !errors.Is(err, compute.ErrGone) {
			t.Errorf("%s: %v, want ErrGone", what, err)
		}
	}
	w.Do(w.Driver.UnassignAddress(t.Context(), h, w.elastic(1)))
}

func second[T any](_ T, err error) error { return err }

func (w *World) elastic(n int) netip.Addr {
	ip := w.Driver.Network().Elastic.Masked().Addr()
	for range n {
		ip = ip.Next()
	}
	return ip
}

func testBusyAddress(t *testing.T, w *World) {
	one, two := w.Spec(""), w.Spec("")
	h := w.Launch(one)
	two.Address = one.Address
	if _, err := w.Driver.Launch(t.Context(), two); !errors.Is(err, compute.ErrAddressBusy) {
		t.Fatalf("err = %v, want ErrAddressBusy", err)
	}
	w.Do(w.Driver.Terminate(t.Context(), h))
	w.Launch(two)
}

func testListAndClean(t *testing.T, w *World) {
	var want []string
	for range 3 {
		want = append(want, w.Launch(w.Spec("")).ID)
	}
	hs, err := w.Driver.List(t.Context())
	w.Do(err)
	if len(hs) != 3 || hs[0].ID != want[0] || hs[2].ID != want[2] {
		t.Errorf("list %v, want %v", hs, want)
	}
	removed, err := w.Driver.Clean(t.Context())
	if err != nil || len(removed) < 3 {
		t.Errorf("clean: %v, %v", removed, err)
	}
	for _, h := range hs {
		w.Want(h, compute.Gone)
	}
}

func testTenAtOnce(t *testing.T, w *World) {
	var all sync.WaitGroup
	handles := make([]compute.Handle, 10)
	for i := range handles {
		spec := w.Spec("")
		all.Go(func() {
			var err error
			if handles[i], err = w.Driver.Launch(t.Context(), spec); err != nil {
				t.Errorf("launch %d: %v", i, err)
			}
		})
	}
	all.Wait()
	if t.Failed() {
		return
	}
	for _, h := range handles {
		w.Want(h, compute.Running)
		all.Go(func() {
			if err := w.Driver.Terminate(t.Context(), h); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if hs, err := w.Driver.List(t.Context()); err != nil || len(hs) != 0 {
		t.Errorf("left over: %v, %v", hs, err)
	}
}

func testConsole(t *testing.T, w *World) {
	spec := w.Spec("#!/bin/sh\necho printed by user data\n")
	h := w.Launch(spec)
	w.Console(h, spec.ID)
	if !w.H.InMemory {
		w.Console(h, "printed by user data\n")
	}
}

func testGivenUp(t *testing.T, w *World) {
	spec := w.Spec("")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.Driver.Launch(ctx, spec); !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v, want Canceled", err)
	}
	w.Want(w.Launch(spec), compute.Running)
}
