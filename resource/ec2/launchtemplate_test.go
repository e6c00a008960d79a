package ec2

import (
	"testing"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/service/ec2"
)

func templateOf(instanceType, tier string) cfn.Properties {
	return cfn.Properties{
		"LaunchTemplateData": map[string]any{
			"ImageId": ec2.BuiltinImage(scope), "InstanceType": instanceType,
			"MetadataOptions": map[string]any{"HttpPutResponseHopLimit": int64(3)},
		},
		"TagSpecifications": []any{map[string]any{"ResourceType": "launch-template", "Tags": []any{map[string]any{"Key": "tier", "Value": tier}}}},
	}
}

func TestLaunchTemplate(t *testing.T) {
	f := newFixture(t)
	before := templateOf(micro, "front")
	made := f.create("LaunchTemplate", before)
	if made.Attributes["LatestVersionNumber"] != "1" || made.Attributes["LaunchTemplateId"] != made.PhysicalID {
		t.Errorf("made %+v", made)
	}
	if p := f.read("LaunchTemplate", made.PhysicalID); p["LaunchTemplateName"] != "web-Thing-1" {
		t.Errorf("read %v", p)
	}
	after := f.update("LaunchTemplate", made.PhysicalID, before, templateOf(small, "back"))
	if after.PhysicalID != made.PhysicalID || after.Attributes["LatestVersionNumber"] != "2" || after.Attributes["DefaultVersionNumber"] != "1" {
		t.Errorf("updated to %+v", after)
	}
	i := f.create("Instance", cfn.Properties{"LaunchTemplate": map[string]any{"LaunchTemplateId": made.PhysicalID, "Version": after.Attributes["LatestVersionNumber"]}})
	if got := f.describe(i.PhysicalID); got.InstanceType != small || *got.MetadataOptions.HttpPutResponseHopLimit != 3 {
		t.Errorf("launched %+v", got)
	}
	out, err := f.svc.DescribeLaunchTemplates(f.ctx, &api.DescribeLaunchTemplatesInput{Filters: []api.Filter{{Name: "tag:tier", Values: []string{"back"}}}})
	if err != nil || len(out.LaunchTemplates) != 1 {
		t.Errorf("%+v, %v", out, err)
	}
	f.delete("Instance", i.PhysicalID)
	f.delete("LaunchTemplate", made.PhysicalID)
	if ids, err := f.kind("LaunchTemplate").List(f.ctx); err != nil || len(ids) != 0 {
		t.Errorf("left %v, %v", ids, err)
	}
	ctx, r := f.request(nil)
	r.PhysicalID = made.PhysicalID
	if _, err := f.kind("LaunchTemplate").Read(ctx, r); !fault.Is(err, cfn.NotFound) {
		t.Errorf("read of what is gone: %v", err)
	}
	f.sound()
}
