package ec2

import (
	"encoding/base64"
	"reflect"
	"strings"
	"testing"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
)

func (c *cloud) newTemplate(name string, data api.RequestLaunchTemplateData) *api.LaunchTemplate {
	c.t.Helper()
	return must(c.CreateLaunchTemplate(c.ctx, &api.CreateLaunchTemplateInput{
		LaunchTemplateName: name, LaunchTemplateData: &data, VersionDescription: "first",
		TagSpecifications: []api.TagSpecification{{ResourceType: "launch-template", Tags: []api.Tag{{Key: "team", Value: "web"}}}},
	}))(c.t).LaunchTemplate
}

func webData() api.RequestLaunchTemplateData {
	return api.RequestLaunchTemplateData{
		ImageId: BuiltinImage(testScope), InstanceType: hostType(), DisableApiStop: ptr(true),
		UserData: base64.StdEncoding.EncodeToString([]byte("#!/bin/sh\n")),
		BlockDeviceMappings: []api.LaunchTemplateBlockDeviceMappingRequest{
			{DeviceName: "/dev/xvda", Ebs: &api.LaunchTemplateEbsBlockDeviceRequest{VolumeSize: ptr(int32(9)), SnapshotId: "snap-00000000"}},
		},
		MetadataOptions:   &api.LaunchTemplateInstanceMetadataOptionsRequest{HttpTokens: "optional", InstanceMetadataTags: "enabled"},
		TagSpecifications: []api.LaunchTemplateTagSpecificationRequest{{ResourceType: "instance", Tags: []api.Tag{{Key: "Name", Value: "web"}, {Key: "tier", Value: "front"}}}},
	}
}

func TestLaunchTemplateVersions(t *testing.T) {
	c := newCloud(t)
	lt := c.newTemplate("web", webData())
	if *lt.DefaultVersionNumber != 1 || *lt.LatestVersionNumber != 1 || len(lt.Tags) != 1 || lt.CreatedBy == "" || !strings.HasPrefix(lt.LaunchTemplateId, "lt-") {
		t.Errorf("made %+v", lt)
	}
	second := must(c.CreateLaunchTemplateVersion(c.ctx, &api.CreateLaunchTemplateVersionInput{
		LaunchTemplateName: "web", SourceVersion: "$Latest", LaunchTemplateData: &api.RequestLaunchTemplateData{KeyName: "ops"},
	}))(t).LaunchTemplateVersion
	d := second.LaunchTemplateData
	if *second.VersionNumber != 2 || *second.DefaultVersion || d.KeyName != "ops" || d.InstanceType != hostType() || d.BlockDeviceMappings[0].Ebs.SnapshotId != "" || *d.BlockDeviceMappings[0].Ebs.VolumeSize != 9 {
		t.Errorf("version over another: %+v, %+v", second, d)
	}
	plain := must(c.CreateLaunchTemplateVersion(c.ctx, &api.CreateLaunchTemplateVersionInput{
		LaunchTemplateId: lt.LaunchTemplateId, LaunchTemplateData: &api.RequestLaunchTemplateData{KeyName: "alone"},
	}))(t).LaunchTemplateVersion
	if *plain.VersionNumber != 3 || plain.LaunchTemplateData.InstanceType != "" {
		t.Errorf("version by itself: %+v", plain)
	}
	must(c.ModifyLaunchTemplate(c.ctx, &api.ModifyLaunchTemplateInput{LaunchTemplateName: "web", DefaultVersion: "2"}))(t)
	must(c.CreateLaunchTemplate(c.ctx, &api.CreateLaunchTemplateInput{LaunchTemplateName: "other", LaunchTemplateData: &api.RequestLaunchTemplateData{KeyName: "k"}}))(t)

	for name, tc := range map[string]struct {
		in   api.DescribeLaunchTemplateVersionsInput
		want []int64
	}{
		"all, newest first":  {api.DescribeLaunchTemplateVersionsInput{LaunchTemplateName: "web"}, []int64{3, 2, 1}},
		"by name of version": {api.DescribeLaunchTemplateVersionsInput{LaunchTemplateName: "web", Versions: []string{"$Default", "$Latest", "2"}}, []int64{3, 2}},
		"a range":            {api.DescribeLaunchTemplateVersionsInput{LaunchTemplateName: "web", MinVersion: "2", MaxVersion: "2"}, []int64{2}},
		"default of all":     {api.DescribeLaunchTemplateVersionsInput{Versions: []string{"$Default"}, Filters: []api.Filter{{Name: "instance-type", Values: []string{hostType()}}}}, []int64{2}},
		"filter":             {api.DescribeLaunchTemplateVersionsInput{LaunchTemplateName: "web", Filters: []api.Filter{{Name: "http-tokens", Values: []string{"optional"}}}}, []int64{2, 1}},
	} {
		out, err := c.DescribeLaunchTemplateVersions(c.ctx, &tc.in)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got []int64
		for _, v := range out.LaunchTemplateVersions {
			got = append(got, *v.VersionNumber)
		}
		if !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: versions %v, want %v", name, got, tc.want)
		}
	}

	gone := must(c.DeleteLaunchTemplateVersions(c.ctx, &api.DeleteLaunchTemplateVersionsInput{LaunchTemplateName: "web", Versions: []string{"2", "3", "9"}}))(t)
	if n := gone.SuccessfullyDeletedLaunchTemplateVersions; len(n) != 1 || *n[0].VersionNumber != 3 {
		t.Errorf("deleted %+v", n)
	}
	var codes []string
	for _, f := range gone.UnsuccessfullyDeletedLaunchTemplateVersions {
		codes = append(codes, f.ResponseError.Code)
	}
	if want := []string{"unexpectedError", "launchTemplateVersionDoesNotExist"}; !reflect.DeepEqual(codes, want) {
		t.Errorf("not deleted: %v, want %v", codes, want)
	}
	next := must(c.CreateLaunchTemplateVersion(c.ctx, &api.CreateLaunchTemplateVersionInput{LaunchTemplateName: "web", LaunchTemplateData: &api.RequestLaunchTemplateData{}}))(t)
	if *next.LaunchTemplateVersion.VersionNumber != 4 {
		t.Errorf("a number was given twice: %d", *next.LaunchTemplateVersion.VersionNumber)
	}
	must(c.DeleteLaunchTemplate(c.ctx, &api.DeleteLaunchTemplateInput{LaunchTemplateId: lt.LaunchTemplateId}))(t)
	left := must(c.DescribeLaunchTemplates(c.ctx, &api.DescribeLaunchTemplatesInput{}))(t)
	if len(left.LaunchTemplates) != 1 || left.LaunchTemplates[0].LaunchTemplateName != "other" {
		t.Errorf("left %+v", left.LaunchTemplates)
	}
}

func TestLaunchTemplatesRefuse(t *testing.T) {
	c := newCloud(t)
	lt := c.newTemplate("web", webData())
	create := func(in api.CreateLaunchTemplateInput) error {
		if in.LaunchTemplateData == nil {
			in.LaunchTemplateData = &api.RequestLaunchTemplateData{}
		}
		_, err := c.CreateLaunchTemplate(c.ctx, &in)
		return err
	}
	describe := func(in api.DescribeLaunchTemplatesInput) error {
		_, err := c.DescribeLaunchTemplates(c.ctx, &in)
		return err
	}
	versions := func(in api.DescribeLaunchTemplateVersionsInput) error {
		_, err := c.DescribeLaunchTemplateVersions(c.ctx, &in)
		return err
	}
	launch := func(spec api.LaunchTemplateSpecification) error {
		_, err := c.RunInstances(c.ctx, &api.RunInstancesInput{MinCount: ptr(int32(1)), MaxCount: ptr(int32(1)), LaunchTemplate: &spec})
		return err
	}
	for name, tc := range map[string]struct {
		err           error
		code, message string
	}{
		"name in use":   {create(api.CreateLaunchTemplateInput{LaunchTemplateName: "web"}), fault.InvalidTemplateNameExists, "Launch template name already in use."},
		"short name":    {create(api.CreateLaunchTemplateInput{LaunchTemplateName: "ab"}), fault.InvalidTemplateNameMalformed, ""},
		"odd name":      {create(api.CreateLaunchTemplateInput{LaunchTemplateName: "a b c"}), fault.InvalidTemplateNameMalformed, ""},
		"long text":     {create(api.CreateLaunchTemplateInput{LaunchTemplateName: "new", VersionDescription: strings.Repeat("x", 256)}), fault.InvalidParameterValue, ""},
		"bad user data": {create(api.CreateLaunchTemplateInput{LaunchTemplateName: "new", LaunchTemplateData: &api.RequestLaunchTemplateData{UserData: "%"}}), fault.InvalidUserDataMalformed, ""},
		"type and requirements": {create(api.CreateLaunchTemplateInput{LaunchTemplateName: "new", LaunchTemplateData: &api.RequestLaunchTemplateData{
			InstanceType: "t3.micro", InstanceRequirements: &api.InstanceRequirementsRequest{}}}), fault.InvalidParameterCombination, ""},
		"dry run":        {create(api.CreateLaunchTemplateInput{LaunchTemplateName: "new", DryRun: ptr(true)}), fault.DryRunOperation, ""},
		"unknown id":     {describe(api.DescribeLaunchTemplatesInput{LaunchTemplateIds: []string{"lt-00000000"}}), fault.InvalidTemplateIDNotFound, ""},
		"malformed id":   {describe(api.DescribeLaunchTemplatesInput{LaunchTemplateIds: []string{"web"}}), fault.InvalidTemplateIDMalformed, ""},
		"unknown name":   {describe(api.DescribeLaunchTemplatesInput{LaunchTemplateNames: []string{"none"}}), fault.InvalidTemplateNameNotFound, "At least one of the launch templates specified in the request does not exist."},
		"unknown filter": {describe(api.DescribeLaunchTemplatesInput{Filters: []api.Filter{{Name: "color", Values: []string{"red"}}}}), fault.InvalidParameterValue, "The filter 'color' is invalid"},
		"page of 201":    {describe(api.DescribeLaunchTemplatesInput{MaxResults: ptr(int32(201))}), fault.InvalidParameterValue, ""},
		"no template":    {versions(api.DescribeLaunchTemplateVersionsInput{}), fault.MissingParameter, ""},
		"id and name":    {versions(api.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: lt.LaunchTemplateId, LaunchTemplateName: "web"}), fault.InvalidParameterCombination, ""},
		"no version 7":   {versions(api.DescribeLaunchTemplateVersionsInput{LaunchTemplateName: "web", Versions: []string{"7"}}), fault.InvalidTemplateVersion, "Could not find the specified version 7 for the launch template with ID " + lt.LaunchTemplateId + "."},
		"launch nothing": {launch(api.LaunchTemplateSpecification{}), fault.MissingParameter, ""},
		"launch unknown": {launch(api.LaunchTemplateSpecification{LaunchTemplateName: "none"}), fault.InvalidTemplateNameNotFound, "The specified launch template, with template name none, does not exist."},
		"launch version": {launch(api.LaunchTemplateSpecification{LaunchTemplateName: "web", Version: "x"}), fault.InvalidParameterValue, ""},
	} {
		t.Run(name, func(t *testing.T) { wantFault(t, tc.err, tc.code, tc.message) })
	}
}

func TestLaunchTemplatesAreIdempotent(t *testing.T) {
	c := newCloud(t)
	in := &api.CreateLaunchTemplateInput{LaunchTemplateName: "web", ClientToken: "once", LaunchTemplateData: &api.RequestLaunchTemplateData{KeyName: "k"}}
	one, two := must(c.CreateLaunchTemplate(c.ctx, in))(t), must(c.CreateLaunchTemplate(c.ctx, in))(t)
	if one.LaunchTemplate.LaunchTemplateId != two.LaunchTemplate.LaunchTemplateId {
		t.Error("a repeated call made a second template")
	}
	in.LaunchTemplateData = &api.RequestLaunchTemplateData{KeyName: "other"}
	_, err := c.CreateLaunchTemplate(c.ctx, in)
	wantFault(t, err, fault.IdempotentParameterMatch, "")
	version := &api.CreateLaunchTemplateVersionInput{LaunchTemplateName: "web", ClientToken: "v", LaunchTemplateData: in.LaunchTemplateData}
	for range 2 {
		if v := must(c.CreateLaunchTemplateVersion(c.ctx, version))(t).LaunchTemplateVersion; *v.VersionNumber != 2 {
			t.Errorf("version %d", *v.VersionNumber)
		}
	}
	version.VersionDescription = "other"
	_, err = c.CreateLaunchTemplateVersion(c.ctx, version)
	wantFault(t, err, fault.IdempotentParameterMatch, "")
	step := auth.WithToken(c.ctx, "stack/Template/create")
	for range 2 {
		must(c.CreateLaunchTemplate(step, &api.CreateLaunchTemplateInput{LaunchTemplateName: "step", LaunchTemplateData: &api.RequestLaunchTemplateData{}}))(t)
	}
}

func TestRunInstancesFromALaunchTemplate(t *testing.T) {
	c := newCloud(t)
	data := webData()
	data.BlockDeviceMappings[0].Ebs.SnapshotId = ""
	lt := c.newTemplate("web", data)
	out := must(c.RunInstances(c.ctx, &api.RunInstancesInput{
		MinCount: ptr(int32(1)), MaxCount: ptr(int32(1)),
		LaunchTemplate:    &api.LaunchTemplateSpecification{LaunchTemplateName: "web"},
		MetadataOptions:   &api.InstanceMetadataOptionsRequest{HttpTokens: "required"},
		TagSpecifications: []api.TagSpecification{{ResourceType: "instance", Tags: []api.Tag{{Key: "Name", Value: "mine"}}}},
	}))(t)
	got := c.await(out.Instances[0].InstanceId, running)
	tags := map[string]string{}
	for _, tag := range got.Tags {
		tags[tag.Key] = tag.Value
	}
	want := map[string]string{"Name": "mine", "tier": "front", templateIDTag: lt.LaunchTemplateId, templateVersionTag: "1"}
	if !reflect.DeepEqual(tags, want) {
		t.Errorf("tags %v, want %v", tags, want)
	}
	if got.MetadataOptions.HttpTokens != "required" || got.MetadataOptions.InstanceMetadataTags != "enabled" {
		t.Errorf("metadata options %+v", got.MetadataOptions)
	}
	told := must(c.GetLaunchTemplateData(c.ctx, &api.GetLaunchTemplateDataInput{InstanceId: got.InstanceId}))(t).LaunchTemplateData
	if told.UserData != data.UserData || !*told.DisableApiStop || *told.BlockDeviceMappings[0].Ebs.VolumeSize != 9 || told.NetworkInterfaces[0].SubnetId != got.SubnetId || len(told.TagSpecifications[0].Tags) != 2 {
		t.Errorf("data of the instance: %+v", told)
	}
	spot := api.RequestLaunchTemplateData{ImageId: BuiltinImage(testScope), InstanceMarketOptions: &api.LaunchTemplateInstanceMarketOptionsRequest{MarketType: "spot"}}
	c.newTemplate("spot", spot)
	_, err := c.RunInstances(c.ctx, &api.RunInstancesInput{MinCount: ptr(int32(1)), MaxCount: ptr(int32(1)), LaunchTemplate: &api.LaunchTemplateSpecification{LaunchTemplateName: "spot"}})
	wantFault(t, err, fault.NotImplemented, "The parameter InstanceMarketOptions.MarketType=spot is not built in this version of Slipway: a host has no market of spare capacity. Launch on demand.")
	c.sound()
}

// Every member of a template reaches its answer and, but for what only a fleet
// can use, a launch.
func TestTemplateDataIsWhole(t *testing.T) {
	whole := reflect.New(reflect.TypeFor[api.RequestLaunchTemplateData]()).Elem()
	fill(whole, 0)
	data := whole.Interface().(api.RequestLaunchTemplateData)
	data.Operator = nil // refused
	if err := recast(&api.ResponseLaunchTemplateData{}, &data); err != nil {
		t.Errorf("to the answer: %v", err)
	}
	_, err := overTemplate(&api.RunInstancesInput{}, &data)
	wantFault(t, err, fault.NotImplemented, "The parameter LaunchTemplateData.InstanceRequirements is not built in this version of Slipway.")
	data.InstanceRequirements = nil
	if _, err := overTemplate(&api.RunInstancesInput{}, &data); err != nil {
		t.Errorf("to a launch: %v", err)
	}
}

// fill sets every member to something.
func fill(v reflect.Value, depth int) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), depth+1)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), depth+1)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				fill(v.Field(i), depth+1)
			}
		}
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int32, reflect.Int64:
		v.SetInt(1)
	case reflect.Float64:
		v.SetFloat(1)
	}
}
