package ec2

import (
	"context"
	"strconv"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/store"
)

// Tags that an instance gets of the template that it was launched from.
const (
	templateIDTag      = "aws:ec2launchtemplate:id"
	templateVersionTag = "aws:ec2launchtemplate:version"
)

// templated is a launch with what its template gives, and the tags that tell of
// the template; without one it is the launch itself.
func (s *Service) templated(ctx context.Context, in *api.RunInstancesInput) (*api.RunInstancesInput, tagMap, error) {
	spec := in.LaunchTemplate
	if spec == nil {
		return in, nil, nil
	}
	var t *launchTemplate
	var v *templateVersion
	err := s.cfg.Store.View(ctx, func(tx store.Tx) (err error) {
		if t, err = s.template(tx, auth.From(ctx).Scope, templateRef{spec.LaunchTemplateId, spec.LaunchTemplateName}); err != nil {
			return err
		}
		v, err = versionOf(tx, t, spec.Version)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	merged, err := overTemplate(in, &v.Data)
	if err != nil {
		return nil, nil, err
	}
	merged.LaunchTemplate = nil
	return merged, tagMap{templateIDTag: t.ID, templateVersionTag: strconv.FormatInt(v.Number, 10)}, nil
}

// GetLaunchTemplateData tells an instance in the terms of a template.
func (s *Service) GetLaunchTemplateData(ctx context.Context, in *api.GetLaunchTemplateDataInput) (*api.GetLaunchTemplateDataOutput, error) {
	scope := auth.From(ctx).Scope
	var v instanceView
	err := s.cfg.Store.View(ctx, func(tx store.Tx) error {
		i, err := loadInstance(tx, scope, in.InstanceId)
		if err != nil {
			return err
		}
		if i.State.ending() {
			return wrongState(i, "described as a launch template")
		}
		views, err := s.views(tx, scope, []*instance{i})
		if err == nil {
			v = views[0]
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := dryRun(in.DryRun); err != nil {
		return nil, err
	}
	return &api.GetLaunchTemplateDataOutput{LaunchTemplateData: v.templateData()}, nil
}

func (v instanceView) templateData() *api.ResponseLaunchTemplateData {
	d := &api.ResponseLaunchTemplateData{
		ImageId: v.Image, InstanceType: v.Type, KeyName: v.Key, EbsOptimized: ptr(v.Optimized), UserData: encodeBase64(v.UserData),
		DisableApiTermination: ptr(v.KeepAlive), DisableApiStop: ptr(v.KeepRunning), InstanceInitiatedShutdownBehavior: v.OnShutdown,
		Monitoring:     &api.LaunchTemplatesMonitoring{Enabled: ptr(v.Monitored)},
		Placement:      &api.LaunchTemplatePlacement{AvailabilityZone: v.Zone, Tenancy: "default"},
		EnclaveOptions: &api.LaunchTemplateEnclaveOptions{Enabled: ptr(false)},
		NetworkInterfaces: []api.LaunchTemplateInstanceNetworkInterfaceSpecification{{
			DeviceIndex: ptr(int32(0)), SubnetId: v.Subnet, Groups: v.Groups, Description: v.Description, DeleteOnTermination: ptr(!v.keepsFirst()),
			AssociatePublicIpAddress: ptr(v.MapPublic), InterfaceType: "interface", NetworkCardIndex: ptr(int32(0)),
			PrivateIpAddresses: []api.PrivateIpAddressSpecification{{Primary: ptr(true), PrivateIpAddress: text(v.Private)}},
		}},
		HibernationOptions:               &api.LaunchTemplateHibernationOptions{Configured: ptr(false)},
		CapacityReservationSpecification: &api.LaunchTemplateCapacityReservationSpecificationResponse{CapacityReservationPreference: "open"},
		MetadataOptions: &api.LaunchTemplateInstanceMetadataOptions{
			HttpTokens: v.Metadata.Tokens, HttpEndpoint: v.Metadata.Endpoint, HttpPutResponseHopLimit: ptr(v.Metadata.HopLimit),
			InstanceMetadataTags: v.Metadata.Tags,
		},
	}
	if v.Profile != nil {
		d.IamInstanceProfile = &api.LaunchTemplateIamInstanceProfileSpecification{Arn: v.Profile.ARN}
	}
	if v.Credits != "" {
		d.CreditSpecification = &api.CreditSpecification{CpuCredits: v.Credits}
	}
	for _, disk := range v.disks {
		if disk.Attachment == nil {
			continue
		}
		d.BlockDeviceMappings = append(d.BlockDeviceMappings, api.LaunchTemplateBlockDeviceMapping{
			DeviceName: disk.Attachment.Device,
			Ebs: &api.LaunchTemplateEbsBlockDevice{
				DeleteOnTermination: ptr(disk.Attachment.Delete), Encrypted: ptr(false), SnapshotId: disk.Snapshot,
				VolumeSize: ptr(int32(disk.Kind.GiB)), VolumeType: disk.Kind.Type, Iops: disk.Kind.IOPS, Throughput: disk.Kind.Throughput,
			},
		})
	}
	own := tagMap{}
	for k, t := range v.tags {
		if len(k) < len(reservedPrefix) || k[:len(reservedPrefix)] != reservedPrefix {
			own[k] = t
		}
	}
	if len(own) > 0 {
		d.TagSpecifications = []api.LaunchTemplateTagSpecification{{ResourceType: "instance", Tags: own.list()}}
	}
	return d
}

// livingInstances counts a scope's instances that are not on their way out,
// without reading them.
func livingInstances(tx store.Tx, scope arn.Scope) (int, error) {
	return instances.Count(tx, "living", scope.Key())
}
