package platform

import (
	"testing"

	"github.com/slipway/slipway/cfn"
)

// TestTypesWithSnapshotsMakeThem: templates may give them the policy Snapshot.
func TestTypesWithSnapshotsMakeThem(t *testing.T) {
	for _, typ := range (apis{}).types() {
		if has := typ.Snapshot != nil; has != cfn.HasSnapshots(typ.Name) {
			t.Errorf("%s makes snapshots: %v; templates may ask for them: %v", typ.Name, has, !has)
		}
	}
}
