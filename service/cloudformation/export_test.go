package cloudformation_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/fault"
)

const exporter = `
Resources:
  A: {Type: 'AWS::Test::Thing', Properties: {Name: first}}
Outputs:
  Out: {Value: !Ref A, Export: {Name: shared}}
`

const importer = `
Resources:
  B: {Type: 'AWS::Test::Thing', Properties: {Value: !ImportValue shared}}
`

func TestExportsAndImports(t *testing.T) {
	w := newWorld(t, nil)
	id := w.create("producer", exporter)
	w.settle("producer", "CREATE_COMPLETE")
	w.create("consumer", importer)
	w.settle("consumer", "CREATE_COMPLETE")

	exports, err := w.ListExports(w.ctx, &api.ListExportsInput{})
	want := []api.Export{{ExportingStackId: id, Name: "shared", Value: "first"}}
	if diff := cmp.Diff(want, exports.Exports); err != nil || diff != "" {
		t.Errorf("ListExports %v (-want +got):\n%s", err, diff)
	}
	imports, err := w.ListImports(w.ctx, &api.ListImportsInput{ExportName: "shared"})
	if err != nil || !slices.Equal(imports.Imports, []string{"consumer"}) {
		t.Errorf("ListImports: %v %v", err, imports)
	}
	_, err = w.ListImports(w.ctx, &api.ListImportsInput{ExportName: "other"})
	refused(t, err, fault.ValidationError, "Export 'other' is not imported by any stack.")

	// In use: neither changed, nor removed, nor deleted.
	w.updateTo("producer", strings.Replace(exporter, "first", "second", 1))
	w.settle("producer", "UPDATE_ROLLBACK_COMPLETE")
	w.drop("producer")
	if st := w.stack("producer"); st.StackStatus != "UPDATE_ROLLBACK_COMPLETE" {
		t.Errorf("status %s", st.StackStatus)
	}
	events := w.events("producer")
	if last := events[len(events)-1]; !strings.HasSuffix(last, "Delete canceled. Cannot delete export shared as it is in use by consumer.") {
		t.Errorf("last event %q", last)
	}
	if !slices.Contains(events, "(stack) UPDATE_ROLLBACK_IN_PROGRESS Cannot update export shared as it is in use by consumer.") {
		t.Errorf("events %v", events)
	}

	w.create("rival", strings.Replace(exporter, "first", "third", 1))
	w.settle("rival", "ROLLBACK_COMPLETE")
	if events := w.events("rival"); !slices.Contains(events, "(stack) ROLLBACK_IN_PROGRESS Export with name shared is already exported by stack producer. Rollback requested by user.") {
		t.Errorf("events %v", events)
	}

	w.updateTo("consumer", "Resources:\n  B: {Type: 'AWS::Test::Thing'}\n")
	w.settle("consumer", "UPDATE_COMPLETE")
	w.drop("producer")
	w.settle(id, "DELETE_COMPLETE")
	if exports, _ := w.ListExports(w.ctx, &api.ListExportsInput{}); len(exports.Exports) > 0 {
		t.Errorf("exports %v", exports.Exports)
	}
}

func TestImportOfNothing(t *testing.T) {
	w := newWorld(t, nil)
	w.create("consumer", importer)
	w.settle("consumer", "ROLLBACK_COMPLETE")
	if events := w.events("consumer"); !slices.ContainsFunc(events, func(e string) bool {
		return strings.HasPrefix(e, "(stack) ROLLBACK_IN_PROGRESS ") && strings.Contains(e, "No export named shared")
	}) {
		t.Errorf("events %v", events)
	}
}
