package cloudformation_test

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/service/cloudformation"
	"github.com/slipway/slipway/store"
)

// found puts things into the world that no stack has made.
func (c *cloud) found(typeName, id string, p cfn.Properties) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.listed == nil {
		c.listed = map[string][]string{}
	}
	c.listed[typeName] = append(c.listed[typeName], id)
	c.there[id] = p
}

// ends waits until fn gives another status than one in progress.
func (w *world) ends(fn func() string) string {
	w.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; {
		if status := fn(); !strings.HasSuffix(status, "IN_PROGRESS") {
			return status
		}
		if time.Now().After(deadline) {
			w.t.Fatal("it stays in progress")
		}
		time.Sleep(time.Millisecond)
	}
}

func (w *world) scan(filters ...string) *api.DescribeResourceScanOutput {
	w.t.Helper()
	in := &api.StartResourceScanInput{}
	if len(filters) > 0 {
		in.ScanFilters = []api.ScanFilter{{Types: filters}}
	}
	started, err := w.StartResourceScan(w.ctx, in)
	if err != nil {
		w.t.Fatal(err)
	}
	var out *api.DescribeResourceScanOutput
	status := w.ends(func() string {
		if out, err = w.DescribeResourceScan(w.ctx, &api.DescribeResourceScanInput{ResourceScanId: started.ResourceScanId}); err != nil {
			w.t.Fatal(err)
		}
		return out.Status
	})
	if status != "COMPLETE" || *out.PercentageCompleted != 100 || out.EndTime == nil {
		w.t.Fatalf("the scan is %s (%s)", status, out.StatusReason)
	}
	return out
}

func scanned(all []api.ScannedResource) string {
	var out []string
	for _, r := range all {
		line := r.ResourceType
		for k, v := range r.ResourceIdentifier {
			line += " " + k + "=" + v
		}
		if *r.ManagedByStack {
			line += " managed"
		}
		out = append(out, line)
	}
	return strings.Join(out, "\n")
}

// A scan finds what is there, and what has to do with what.
func TestScan(t *testing.T) {
	w := newWorld(t, nil)
	w.create("s", "Resources: {A: {Type: AWS::Test::Named, Properties: {Name: mine}}}")
	w.settle("s", "CREATE_COMPLETE")
	w.cloud.found("AWS::Test::Named", "mine", cfn.Properties{"Name": "mine"})
	w.cloud.found("AWS::Test::Thing", "box", cfn.Properties{"Name": "box", "Tags": []any{map[string]any{"Key": "team", "Value": "web"}}})
	w.cloud.found("AWS::Test::Named", "lid", cfn.Properties{"Name": "lid", "Value": "arn:box"})
	w.cloud.found("AWS::Test::Fixed", "apart", cfn.Properties{"Value": "x"})
	full := w.scan()
	if *full.ResourcesRead != 4 || *full.ResourcesScanned != 4 || !strings.Contains(strings.Join(full.ResourceTypes, " "), "AWS::Test::Named") {
		t.Errorf("%+v", full)
	}
	list := func(change func(in *api.ListResourceScanResourcesInput)) string {
		in := &api.ListResourceScanResourcesInput{ResourceScanId: full.ResourceScanId}
		change(in)
		out, err := w.ListResourceScanResources(w.ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		return scanned(out.Resources)
	}
	for _, c := range []struct {
		what   string
		change func(in *api.ListResourceScanResourcesInput)
		want   string
	}{
		{"all", func(*api.ListResourceScanResourcesInput) {}, "AWS::Test::Fixed Arn=arn:apart\nAWS::Test::Named Name=lid\nAWS::Test::Named Name=mine managed\nAWS::Test::Thing Arn=arn:box"},
		{"type", func(in *api.ListResourceScanResourcesInput) { in.ResourceTypePrefix = "AWS::Test::T" }, "AWS::Test::Thing Arn=arn:box"},
		{"identifier", func(in *api.ListResourceScanResourcesInput) { in.ResourceIdentifier = "li" }, "AWS::Test::Named Name=lid"},
		{"tag", func(in *api.ListResourceScanResourcesInput) { in.TagKey, in.TagValue = "team", "web" }, "AWS::Test::Thing Arn=arn:box"},
		{"other tag", func(in *api.ListResourceScanResourcesInput) { in.TagValue = "ops" }, ""},
	} {
		if got := list(c.change); got != c.want {
			t.Errorf("%s: got %s", c.what, got)
		}
	}
	related, err := w.ListResourceScanRelatedResources(w.ctx, &api.ListResourceScanRelatedResourcesInput{ResourceScanId: full.ResourceScanId,
		Resources: []api.ScannedResourceIdentifier{{ResourceType: "AWS::Test::Thing", ResourceIdentifier: map[string]string{"Arn": "arn:box"}}}})
	if err != nil || scanned(related.RelatedResources) != "AWS::Test::Named Name=lid" {
		t.Errorf("related: %v %v", related, err)
	}
	if part := w.scan("AWS::Test::F*"); *part.ResourcesRead != 1 {
		t.Errorf("of one type: %+v", part)
	}
	one := int32(1)
	page, err := w.ListResourceScans(w.ctx, &api.ListResourceScansInput{MaxResults: &one})
	if err != nil || len(page.ResourceScanSummaries) != 1 || page.ResourceScanSummaries[0].ScanType != "PARTIAL" || page.NextToken == "" {
		t.Errorf("%+v %v", page, err)
	}
	_, err = w.DescribeResourceScan(w.ctx, &api.DescribeResourceScanInput{ResourceScanId: "arn:aws:cloudformation:us-east-1:111111111111:resourceScan/x"})
	refused(t, err, "ResourceScanNotFound", "does not exist")
	_, err = w.StartResourceScan(w.ctx, &api.StartResourceScanInput{ScanFilters: []api.ScanFilter{{Types: []string{"AWS::No::Such"}}}})
	refused(t, err, "ValidationError", "Resource type AWS::No::Such is not known")
}

// A scan that is there keeps another from beginning, and expires.
func TestScanLimits(t *testing.T) {
	hold := make(chan struct{})
	var later atomic.Int64
	begun := time.Now()
	w := newWorld(t, func(c *cloudformation.Config) {
		c.Now = func() time.Time { return begun.Add(time.Duration(later.Load())) }
	})
	w.cloud.read = func(cfn.Request) error { <-hold; return nil }
	w.cloud.found("AWS::Test::Named", "a", cfn.Properties{"Name": "a"})
	first, err := w.StartResourceScan(w.ctx, &api.StartResourceScanInput{ClientRequestToken: "t"})
	if err != nil {
		t.Fatal(err)
	}
	again, err := w.StartResourceScan(w.ctx, &api.StartResourceScanInput{ClientRequestToken: "t"})
	if err != nil || again.ResourceScanId != first.ResourceScanId {
		t.Errorf("the token's scan: %v %v", again, err)
	}
	_, err = w.StartResourceScan(w.ctx, &api.StartResourceScanInput{})
	refused(t, err, "ResourceScanInProgress", first.ResourceScanId)
	_, err = w.ListResourceScanResources(w.ctx, &api.ListResourceScanResourcesInput{ResourceScanId: first.ResourceScanId})
	refused(t, err, "ResourceScanInProgress", "in progress")
	close(hold)
	status := func() string {
		out, err := w.DescribeResourceScan(w.ctx, &api.DescribeResourceScanInput{ResourceScanId: first.ResourceScanId})
		if err != nil {
			t.Fatal(err)
		}
		return out.Status
	}
	if got := w.ends(status); got != "COMPLETE" {
		t.Errorf("the scan is %s", got)
	}
	later.Store(int64(31 * 24 * time.Hour))
	if got := status(); got != "EXPIRED" {
		t.Errorf("after 31 days the scan is %s", got)
	}
	_, err = w.ListResourceScanResources(w.ctx, &api.ListResourceScanResourcesInput{ResourceScanId: first.ResourceScanId})
	refused(t, err, "ValidationError", "is EXPIRED")
	w.scan()
	kept := 0
	err = w.store.View(t.Context(), func(tx store.Tx) error {
		kept = 0
		for _, err := range tx.Scan("cloudformation/scanned/", store.PrefixEnd("cloudformation/scanned/")) {
			if err != nil {
				return err
			}
			kept++
		}
		return nil
	})
	if err != nil || kept != 1 {
		t.Errorf("%d resources of scans are kept, want the new one's: %v", kept, err)
	}
}

// A scan that cannot read tells so, and nothing of the error's text.
func TestScanFails(t *testing.T) {
	w := newWorld(t, nil)
	w.cloud.read = func(cfn.Request) error { return errors.New("the text") }
	w.cloud.found("AWS::Test::Named", "a", cfn.Properties{"Name": "a"})
	started, err := w.StartResourceScan(w.ctx, &api.StartResourceScanInput{})
	if err != nil {
		t.Fatal(err)
	}
	var out *api.DescribeResourceScanOutput
	w.ends(func() string {
		if out, err = w.DescribeResourceScan(w.ctx, &api.DescribeResourceScanInput{ResourceScanId: started.ResourceScanId}); err != nil {
			t.Fatal(err)
		}
		return out.Status
	})
	if out.Status != "FAILED" || out.StatusReason != "an internal error; Slipway's log has its text" {
		t.Errorf("%s (%s)", out.Status, out.StatusReason)
	}
}

func (w *world) generatedTemplate(name string) *api.DescribeGeneratedTemplateOutput {
	w.t.Helper()
	var out *api.DescribeGeneratedTemplateOutput
	w.ends(func() string {
		var err error
		if out, err = w.DescribeGeneratedTemplate(w.ctx, &api.DescribeGeneratedTemplateInput{GeneratedTemplateName: name}); err != nil {
			w.t.Fatal(err)
		}
		return out.Status
	})
	return out
}

// A template that was made of things imports them, and they are in sync.
func TestGeneratedTemplate(t *testing.T) {
	w := newWorld(t, nil)
	w.cloud.found("AWS::Test::Thing", "box", cfn.Properties{"Name": "box", "Size": int64(3), "Tags": []any{map[string]any{"Key": "team", "Value": "web"}}})
	w.cloud.found("AWS::Test::Named", "lid", cfn.Properties{"Name": "lid", "Value": "arn:box"})
	define := func(typeName, key, value, logical string) api.ResourceDefinition {
		return api.ResourceDefinition{ResourceType: typeName, ResourceIdentifier: map[string]string{key: value}, LogicalResourceId: logical}
	}
	made, err := w.CreateGeneratedTemplate(w.ctx, &api.CreateGeneratedTemplateInput{GeneratedTemplateName: "g",
		Resources: []api.ResourceDefinition{define("AWS::Test::Thing", "Arn", "arn:box", "Box")}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.CreateGeneratedTemplate(w.ctx, &api.CreateGeneratedTemplateInput{GeneratedTemplateName: "g"})
	refused(t, err, "AlreadyExistsException", "g already exists")
	if g := w.generatedTemplate(made.GeneratedTemplateId); g.Status != "COMPLETE" || *g.Progress.ResourcesSucceeded != 1 {
		t.Fatalf("%+v", g)
	}
	if _, err := w.UpdateGeneratedTemplate(w.ctx, &api.UpdateGeneratedTemplateInput{GeneratedTemplateName: "g", NewGeneratedTemplateName: "h",
		AddResources: []api.ResourceDefinition{define("AWS::Test::Named", "Name", "lid", ""), define("AWS::Test::Named", "Name", "nothing", "")}}); err != nil {
		t.Fatal(err)
	}
	g := w.generatedTemplate("h")
	if g.Status != "COMPLETE" || *g.Progress.ResourcesSucceeded != 2 || *g.Progress.ResourcesFailed != 1 || g.Resources[1].LogicalResourceId != "TestNamedLid" {
		t.Fatalf("%+v", g)
	}
	text, err := w.GetGeneratedTemplate(w.ctx, &api.GetGeneratedTemplateInput{GeneratedTemplateName: "h", Format: "YAML"})
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf(`Metadata:
  TemplateId: %s
Resources:
  Box:
    DeletionPolicy: Retain
    Properties:
      Name: box
      Size: 3
      Tags:
        - Key: team
          Value: web
    Type: AWS::Test::Thing
    UpdateReplacePolicy: Retain
  TestNamedLid:
    DeletionPolicy: Retain
    Properties:
      Name: lid
      Value:
        Fn::GetAtt:
          - Box
          - Arn
    Type: AWS::Test::Named
    UpdateReplacePolicy: Retain
`, made.GeneratedTemplateId)
	if text.TemplateBody != want {
		t.Errorf("got\n%s\nwant\n%s", text.TemplateBody, want)
	}
	var targets []api.ResourceToImport
	for _, r := range g.Resources[:2] {
		targets = append(targets, api.ResourceToImport{ResourceType: r.ResourceType, LogicalResourceId: r.LogicalResourceId, ResourceIdentifier: r.ResourceIdentifier})
	}
	cs, err := w.CreateChangeSet(w.ctx, &api.CreateChangeSetInput{StackName: "s", ChangeSetName: "i", ChangeSetType: "IMPORT", TemplateBody: text.TemplateBody, ResourcesToImport: targets})
	if err != nil {
		t.Fatal(err)
	}
	w.execute(cs.Id)
	w.settle("s", "IMPORT_COMPLETE")
	for _, id := range []string{"Box", "TestNamedLid"} {
		d, err := w.DetectStackResourceDrift(w.ctx, &api.DetectStackResourceDriftInput{StackName: "s", LogicalResourceId: id})
		if err != nil || d.StackResourceDrift.StackResourceDriftStatus != "IN_SYNC" {
			t.Errorf("%s: %+v %v", id, d.StackResourceDrift, err)
		}
	}
	if _, err := w.DeleteGeneratedTemplate(w.ctx, &api.DeleteGeneratedTemplateInput{GeneratedTemplateName: "h"}); err != nil {
		t.Fatal(err)
	}
	_, err = w.GetGeneratedTemplate(w.ctx, &api.GetGeneratedTemplateInput{GeneratedTemplateName: "h"})
	refused(t, err, "GeneratedTemplateNotFound", "h does not exist")
}
