package lambda

import (
	"testing"

	api "github.com/slipway/slipway/api/lambda"
	"github.com/slipway/slipway/fault"
)

func TestUpdatesVersionsAndAliases(t *testing.T) {
	w := newWorld(t)
	w.make("f")
	one, err := w.PublishVersion(w.ctx, &api.PublishVersionInput{FunctionName: "f", Description: "first"})
	if err != nil || one.Version != "1" || one.Description != "first" {
		t.Fatalf("published %+v, %v", one, err)
	}
	if again, err := w.PublishVersion(w.ctx, &api.PublishVersionInput{FunctionName: "f"}); err != nil || again.Version != "1" {
		t.Errorf("published again: %+v, %v", again, err)
	}
	up, err := w.UpdateFunctionConfiguration(w.ctx, &api.UpdateFunctionConfigurationInput{FunctionName: "f", MemorySize: new(int32(256)), Environment: &api.Environment{Variables: map[string]string{"V": "2"}}})
	if err != nil || up.LastUpdateStatus != api.LastUpdateStatusInProgress {
		t.Fatalf("updated: %+v, %v", up, err)
	}
	w.settled("f")
	_, err = w.UpdateFunctionConfiguration(w.ctx, &api.UpdateFunctionConfigurationInput{FunctionName: "f", RevisionId: up.RevisionId, Timeout: new(int32(5))})
	refused(t, err, fault.PreconditionFailedException, "Revision Id")
	two, err := w.UpdateFunctionCode(w.ctx, &api.UpdateFunctionCodeInput{FunctionName: "f", ZipFile: zipped(t, "index.py", "2"), Publish: new(true)})
	if err != nil || two.Version != "2" {
		t.Fatalf("updated: %+v, %v", two, err)
	}
	w.settled("f")
	if c := w.settled("f:2"); c.State != api.StateActive || *c.MemorySize != 256 {
		t.Errorf("version 2 is %+v", c)
	}
	if w.invoke("f:1", "{}"); func() string { spec, _ := w.runner.last(t); return spec.Environment["V"] }() != "" {
		t.Error("version 1 has the variables of version 2")
	}

	live, err := w.CreateAlias(w.ctx, &api.CreateAliasInput{FunctionName: "f", Name: "live", FunctionVersion: "1", RoutingConfig: &api.AliasRoutingConfiguration{AdditionalVersionWeights: map[string]float64{"2": 0.5}}})
	if err != nil {
		t.Fatal(err)
	}
	ran := map[string]int{}
	for range 60 {
		ran[w.invoke("f:live", "{}").ExecutedVersion]++
	}
	if ran["1"] == 0 || ran["2"] == 0 || ran["1"]+ran["2"] != 60 {
		t.Errorf("the alias's weights led to %v", ran)
	}
	if spec, inv := w.runner.last(t); inv.InvokedARN != live.AliasArn || spec.ARN+":live" != live.AliasArn {
		t.Errorf("invoked as %s", inv.InvokedARN)
	}
	_, err = w.DeleteFunction(w.ctx, &api.DeleteFunctionInput{FunctionName: "f:2"})
	refused(t, err, fault.ResourceConflictException, "used by an alias")
	if _, err := w.UpdateAlias(w.ctx, &api.UpdateAliasInput{FunctionName: "f", Name: "live", FunctionVersion: "2", RoutingConfig: &api.AliasRoutingConfiguration{}}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.DeleteFunction(w.ctx, &api.DeleteFunctionInput{FunctionName: "f", Qualifier: "1"}); err != nil {
		t.Fatal(err)
	}
	list, err := w.ListVersionsByFunction(w.ctx, &api.ListVersionsByFunctionInput{FunctionName: "f"})
	if err != nil || len(list.Versions) != 2 || list.Versions[0].Version != latest || list.Versions[1].Version != "2" {
		t.Errorf("versions: %+v, %v", list, err)
	}
}

// While an update is under way, what ran before goes on.
func TestAnUpdateThatFailsChangesNothingThatRuns(t *testing.T) {
	w := newWorld(t)
	w.make("f", func(in *api.CreateFunctionInput) {
		in.Environment = &api.Environment{Variables: map[string]string{"V": "1"}}
	})
	w.runner.lacking = map[string]string{"ruby3.3": "no ruby"}
	if _, err := w.UpdateFunctionConfiguration(w.ctx, &api.UpdateFunctionConfigurationInput{FunctionName: "f", Runtime: "ruby3.3", Environment: &api.Environment{Variables: map[string]string{"V": "2"}}}); err != nil {
		t.Fatal(err)
	}
	if c := w.settled("f"); c.LastUpdateStatus != api.LastUpdateStatusFailed || c.State != api.StateActive {
		t.Errorf("it is %s, %s", c.State, c.LastUpdateStatus)
	}
	w.invoke("f", "{}")
	if spec, _ := w.runner.last(t); spec.Environment["V"] != "1" || spec.Runtime != "python3.12" {
		t.Errorf("what runs is %s %v", spec.Runtime, spec.Environment)
	}
}
