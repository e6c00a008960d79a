package lambda

import (
	"os"
	"path/filepath"
	"testing"

	api "github.com/slipway/slipway/api/lambda"
	"github.com/slipway/slipway/fault"
)

func TestLayers(t *testing.T) {
	w := newWorld(t)
	publish := func(name, text string) *api.PublishLayerVersionOutput {
		out, err := w.PublishLayerVersion(w.ctx, &api.PublishLayerVersionInput{LayerName: name, Content: &api.LayerVersionContentInput{ZipFile: zipped(t, "python/m.py", text)}})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	a1, a2, b := publish("a", "1"), publish("a", "2"), publish("b", "3")
	if *a2.Version != 2 {
		t.Errorf("the second version is %d", *a2.Version)
	}
	w.make("f", func(in *api.CreateFunctionInput) { in.Layers = []string{a1.LayerVersionArn, b.LayerVersionArn} })
	if _, err := w.DeleteLayerVersion(w.ctx, &api.DeleteLayerVersionInput{LayerName: "a", VersionNumber: new(int64(1))}); err != nil {
		t.Fatal(err)
	}
	w.invoke("f", "{}")
	spec, _ := w.runner.last(t)
	if len(spec.Layers) != 2 {
		t.Fatalf("layers: %v", spec.Layers)
	}
	if text, err := os.ReadFile(filepath.Join(spec.Layers[0], "python", "m.py")); err != nil || string(text) != "1" {
		t.Errorf("the deleted layer has %q, %v", text, err)
	}
	in := w.creation("g")
	in.Layers = []string{a1.LayerVersionArn}
	_, err := w.CreateFunction(w.ctx, in)
	refused(t, err, fault.InvalidParameterValueException, "does not exist")
	list, err := w.ListLayers(w.ctx, &api.ListLayersInput{})
	if err != nil || len(list.Layers) != 2 || *list.Layers[0].LatestMatchingVersion.Version != 2 {
		t.Errorf("listed %+v, %v", list, err)
	}
}
