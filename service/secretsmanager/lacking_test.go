package secretsmanager

import (
	"testing"

	"github.com/slipway/slipway/api"
	secretsapi "github.com/slipway/slipway/api/secretsmanager"
	"github.com/slipway/slipway/fault"
)

// TestWhatIsLackingIsNamed: each operation is built, or refused with what it waits
// for.
func TestWhatIsLackingIsNamed(t *testing.T) {
	b := newBench(t)
	refused := 0
	for _, op := range secretsapi.Describe().Operations {
		_, err := op.Call(b.ctx, b.Service, op.NewInput())
		not := fault.Is(err, fault.NotImplemented)
		if not == api.Built(b.Service, op.Name) {
			t.Errorf("%s: %v, but built: %v", op.Name, err, !not)
		}
		if not {
			refused++
			wants(t, err, fault.NotImplemented, op.Name+" is not implemented: ")
		}
	}
	if refused != len(lacking) {
		t.Errorf("%d operations are refused, want %d", refused, len(lacking))
	}
}
