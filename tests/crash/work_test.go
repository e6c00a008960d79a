package crash

import (
	"context"
	"path/filepath"
	"testing"
)

// TestWorkKills kills the server while functions provide custom resources, a macro, a
// registered type, hooks and rotations, and while it works on change sets, refactorings,
// scans, requests of Cloud Control and the accounts of an organization: some of these in
// each round.
func TestWorkKills(t *testing.T) {
	h := newHarness(t, 2)
	h.most = 4
	h.start()
	p, err := newProvider(t.Context(), h.client, filepath.Join(t.TempDir(), "provider"))
	h.must(err)
	h.provider = p
	all, err := workLoads(t.Context(), h.client, p)
	h.must(err)
	h.loads, h.slots = all, providedSlots()
	h.run(int(setting(t, "SLIPWAY_CRASH_KILLS", 8)))
}

// workLoads are what the harness does in TestWorkKills beside its stacks.
func workLoads(ctx context.Context, c *client, p *provider) ([]load, error) {
	registry, err := newRegistration(ctx, c, p)
	if err != nil {
		return nil, err
	}
	rotated, err := newRotation(ctx, c, p)
	if err != nil {
		return nil, err
	}
	changed, err := newChanges(ctx, c)
	if err != nil {
		return nil, err
	}
	moved, err := newRefactoring(ctx, c)
	if err != nil {
		return nil, err
	}
	followed, err := newAccounts(ctx, c)
	if err != nil {
		return nil, err
	}
	scanned, err := newScans(ctx, c)
	if err != nil {
		return nil, err
	}
	return []load{registry, rotated, newControl(), changed, moved, followed, scanned}, nil
}
