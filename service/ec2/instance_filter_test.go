package ec2

import (
	"strings"
	"testing"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// The filters that the API reference has for each operation.
const (
	instanceFilters = `affinity architecture availability-zone availability-zone-id block-device-mapping.attach-time
		block-device-mapping.delete-on-termination block-device-mapping.device-name block-device-mapping.status block-device-mapping.volume-id
		boot-mode capacity-reservation-id capacity-reservation-specification.capacity-reservation-preference
		capacity-reservation-specification.capacity-reservation-target.capacity-reservation-id
		capacity-reservation-specification.capacity-reservation-target.capacity-reservation-resource-group-arn client-token
		current-instance-boot-mode dns-name ebs-optimized ena-support enclave-options.enabled hibernation-options.configured host-id
		hypervisor iam-instance-profile.arn iam-instance-profile.id image-id instance-id instance-lifecycle instance-state-code
		instance-state-name instance-type instance.group-id instance.group-name ip-address ipv6-address kernel-id key-name launch-index
		launch-time maintenance-options.auto-recovery metadata-options.http-endpoint metadata-options.http-protocol-ipv4
		metadata-options.http-protocol-ipv6 metadata-options.http-put-response-hop-limit metadata-options.http-tokens
		metadata-options.instance-metadata-tags metadata-options.state monitoring-state
		network-interface.addresses.association.allocation-id network-interface.addresses.association.association-id
		network-interface.addresses.association.carrier-ip network-interface.addresses.association.customer-owned-ip
		network-interface.addresses.association.ip-owner-id network-interface.addresses.association.public-dns-name
		network-interface.addresses.association.public-ip network-interface.addresses.primary network-interface.addresses.private-dns-name
		network-interface.addresses.private-ip-address network-interface.association.allocation-id network-interface.association.association-id
		network-interface.association.carrier-ip network-interface.association.customer-owned-ip network-interface.association.ip-owner-id
		network-interface.association.public-dns-name network-interface.association.public-ip network-interface.attachment.attach-time
		network-interface.attachment.attachment-id network-interface.attachment.delete-on-termination
		network-interface.attachment.device-index network-interface.attachment.instance-id network-interface.attachment.instance-owner-id
		network-interface.attachment.network-card-index network-interface.attachment.status network-interface.availability-zone
		network-interface.deny-all-igw-traffic network-interface.description network-interface.group-id network-interface.group-name
		network-interface.ipv4-prefixes.ipv4-prefix network-interface.ipv6-address network-interface.ipv6-addresses.ipv6-address
		network-interface.ipv6-addresses.is-primary-ipv6 network-interface.ipv6-native network-interface.ipv6-prefixes.ipv6-prefix
		network-interface.mac-address network-interface.network-interface-id network-interface.operator.managed
		network-interface.operator.principal network-interface.outpost-arn network-interface.owner-id network-interface.private-dns-name
		network-interface.private-ip-address network-interface.public-dns-name network-interface.requester-id
		network-interface.requester-managed network-interface.status network-interface.source-dest-check network-interface.subnet-id
		network-interface.tag-key network-interface.tag-value network-interface.vpc-id network-performance-options.bandwidth-weighting
		operator.managed operator.principal outpost-arn owner-id placement-group-name placement-partition-number platform platform-details
		private-dns-name private-dns-name-options.enable-resource-name-dns-a-record
		private-dns-name-options.enable-resource-name-dns-aaaa-record private-dns-name-options.hostname-type private-ip-address product-code
		product-code.type ramdisk-id reason requester-id reservation-id root-device-name root-device-type source-dest-check
		spot-instance-request-id state-reason-code state-reason-message subnet-id tag:Name tag-key tenancy tpm-support usage-operation
		usage-operation-update-time virtualization-type vpc-id`
	statusFilters = `availability-zone availability-zone-id event.code event.description event.instance-event-id event.not-after
		event.not-before event.not-before-deadline instance-state-code instance-state-name instance-status.reachability
		instance-status.status operator.managed operator.principal system-status.reachability system-status.status attached-ebs-status.status`
	typeFilters = `auto-recovery-supported bare-metal burstable-performance-supported current-generation dedicated-hosts-supported
		ebs-info.attachment-limit-type ebs-info.maximum-ebs-attachments ebs-info.ebs-optimized-info.baseline-bandwidth-in-mbps
		ebs-info.ebs-optimized-info.baseline-iops ebs-info.ebs-optimized-info.baseline-throughput-in-mbps
		ebs-info.ebs-optimized-info.maximum-bandwidth-in-mbps ebs-info.ebs-optimized-info.maximum-iops
		ebs-info.ebs-optimized-info.maximum-throughput-in-mbps ebs-info.ebs-optimized-support ebs-info.encryption-support
		ebs-info.nvme-support free-tier-eligible hibernation-supported hypervisor instance-storage-info.disk.count
		instance-storage-info.disk.size-in-gb instance-storage-info.disk.type instance-storage-info.encryption-support
		instance-storage-info.nvme-support instance-storage-info.total-size-in-gb instance-storage-supported instance-type
		memory-info.size-in-mib network-info.bandwidth-weightings network-info.efa-info.maximum-efa-interfaces network-info.efa-supported
		network-info.ena-support network-info.flexible-ena-queues-support network-info.encryption-in-transit-supported
		network-info.ipv4-addresses-per-interface network-info.ipv6-addresses-per-interface network-info.ipv6-supported
		network-info.maximum-network-cards network-info.maximum-network-interfaces network-info.network-performance nitro-enclaves-support
		nitro-tpm-support nitro-tpm-info.supported-versions processor-info.supported-architecture
		processor-info.sustained-clock-speed-in-ghz processor-info.supported-features reboot-migration-support supported-boot-mode
		supported-root-device-type supported-usage-class supported-virtualization-type vcpu-info.default-cores
		vcpu-info.default-threads-per-core vcpu-info.default-vcpus vcpu-info.valid-cores vcpu-info.valid-threads-per-core`
	versionFilters = `create-time ebs-optimized http-endpoint http-protocol-ipv4 host-resource-group-arn http-tokens iam-instance-profile
		image-id instance-type is-default-version kernel-id license-configuration-arn network-card-index ram-disk-id`
)

// Each documented filter is known where there is no resource, and keeps what it
// was read from; no other is known.
func TestEveryDocumentedFilterOfInstances(t *testing.T) {
	c := newCloud(t)
	c.run(func(in *api.RunInstancesInput) {
		in.KeyName = must(c.CreateKeyPair(c.ctx, &api.CreateKeyPairInput{KeyName: "k", KeyType: "ed25519"}))(t).KeyName
		in.TagSpecifications = []api.TagSpecification{{ResourceType: "instance", Tags: []api.Tag{{Key: "Name", Value: "web"}}}, {ResourceType: "network-interface", Tags: []api.Tag{{Key: "net", Value: "one"}}}}
	})
	all, err := c.selectInstances(c.ctx, testScope, nil, matcher[instanceView]{fields: instanceFields})
	if err != nil || len(all) != 1 {
		t.Fatal(len(all), err)
	}
	answered := 0
	for name := range strings.FieldsSeq(instanceFilters) {
		if _, ok := instanceFields(instanceView{}, name); !ok {
			t.Errorf("DescribeInstances does not know %s", name)
		}
		values, _ := instanceFields(all[0], name)
		ask := func(v string) int {
			out := must(c.DescribeInstances(c.ctx, &api.DescribeInstancesInput{Filters: []api.Filter{{Name: name, Values: []string{v}}}}))(t)
			return len(out.Reservations)
		}
		if len(values) > 0 {
			answered++
			if ask(values[0]) != 1 {
				t.Errorf("%s=%s does not find the instance it was read from", name, values[0])
			}
		}
		if ask("no such value") != 0 {
			t.Errorf("%s=no such value finds an instance", name)
		}
	}
	if answered < 75 {
		t.Errorf("only %d filters have a value of a running instance", answered)
	}
	for name := range strings.FieldsSeq(statusFilters) {
		if _, ok := statusFields(statusView{}, name); !ok {
			t.Errorf("DescribeInstanceStatus does not know %s", name)
		}
	}
	for name := range strings.FieldsSeq(typeFilters) {
		if _, ok := typeFields(instanceType{}, name); !ok {
			t.Errorf("DescribeInstanceTypes does not know %s", name)
		}
	}
	for name := range strings.FieldsSeq(versionFilters) {
		if _, ok := versionFields(versionView{}, name); !ok {
			t.Errorf("DescribeLaunchTemplateVersions does not know %s", name)
		}
	}
	_, err = c.DescribeInstances(c.ctx, &api.DescribeInstancesInput{Filters: []api.Filter{{Name: "network-interface.colour", Values: []string{"red"}}}})
	wantFault(t, err, fault.InvalidParameterValue, "The filter 'network-interface.colour' is invalid")
}

func TestPagesOfInstancesHaveBounds(t *testing.T) {
	c := newCloud(t)
	for _, n := range []int32{-1, 0, 4, 1001} {
		_, err := c.DescribeInstances(c.ctx, &api.DescribeInstancesInput{MaxResults: ptr(n)})
		wantFault(t, err, fault.InvalidParameterValue, "")
		_, err = c.DescribeInstanceStatus(c.ctx, &api.DescribeInstanceStatusInput{MaxResults: ptr(n)})
		wantFault(t, err, fault.InvalidParameterValue, "")
	}
	_, err := c.DescribeInstances(c.ctx, &api.DescribeInstancesInput{MaxResults: ptr(int32(5)), InstanceIds: []string{"i-00000000"}})
	wantFault(t, err, fault.InvalidParameterCombination, "")
	_, err = c.DescribeInstances(c.ctx, &api.DescribeInstancesInput{MaxResults: ptr(int32(5)), NextToken: "x"})
	wantFault(t, err, fault.InvalidNextToken, "")
}

func TestStatusTellsTheHostFromTheInstance(t *testing.T) {
	c := newCloud(t)
	id := c.run().InstanceId
	statuses := func() (system, own string) {
		out := must(c.DescribeInstanceStatus(c.ctx, &api.DescribeInstanceStatusInput{InstanceIds: []string{id}}))(t)
		if len(out.InstanceStatuses) != 1 {
			t.Fatalf("%d statuses", len(out.InstanceStatuses))
		}
		s := out.InstanceStatuses[0]
		return s.SystemStatus.Status, s.InstanceStatus.Status
	}
	if system, own := statuses(); system != "ok" || own != "ok" {
		t.Errorf("a running instance: %s, %s", system, own)
	}
	var in *instance
	if err := c.store.View(c.ctx, func(tx store.Tx) (err error) { in, err = loadInstance(tx, testScope, id); return err }); err != nil {
		t.Fatal(err)
	}
	deaf := &Service{cfg: Config{Driver: silent{c.driver}}, log: c.log}
	if system, own := deaf.look(c.ctx, in); system != checkImpaired || own != checkNoData {
		t.Errorf("a host that does not answer: %s, %s", system, own)
	}
}

func TestSettingsOfAccountsAndInstances(t *testing.T) {
	c := newCloud(t)
	must(c.ModifyInstanceMetadataDefaults(c.ctx, &api.ModifyInstanceMetadataDefaultsInput{
		HttpTokens: "optional", HttpPutResponseHopLimit: ptr(int32(5)), InstanceMetadataTags: "enabled",
	}))(t)
	got := c.run()
	if o := got.MetadataOptions; o.HttpTokens != "optional" || *o.HttpPutResponseHopLimit != 5 || o.InstanceMetadataTags != "enabled" || o.HttpEndpoint != "enabled" {
		t.Errorf("launched with %+v", o)
	}
	must(c.ModifyInstanceMetadataDefaults(c.ctx, &api.ModifyInstanceMetadataDefaultsInput{HttpTokensEnforced: "enabled", HttpPutResponseHopLimit: ptr(int32(-1))}))(t)
	_, err := c.RunInstances(c.ctx, request())
	wantFault(t, err, fault.UnsupportedOperation, "")
	_, err = c.ModifyInstanceMetadataOptions(c.ctx, &api.ModifyInstanceMetadataOptionsInput{InstanceId: got.InstanceId, HttpTokens: "optional"})
	wantFault(t, err, fault.UnsupportedOperation, "")
	_, err = c.ModifyInstanceMetadataDefaults(c.ctx, &api.ModifyInstanceMetadataDefaultsInput{HttpTokens: "maybe"})
	wantFault(t, err, fault.InvalidParameterValue, "")
	own := must(c.GetInstanceMetadataDefaults(c.ctx, &api.GetInstanceMetadataDefaultsInput{}))(t).AccountLevel
	if own.HttpTokens != "optional" || own.HttpTokensEnforced != "enabled" || own.HttpPutResponseHopLimit != nil {
		t.Errorf("defaults %+v", own)
	}

	must(c.ModifyInstanceAttribute(c.ctx, &api.ModifyInstanceAttributeInput{InstanceId: got.InstanceId, BlockDeviceMappings: []api.InstanceBlockDeviceMappingSpecification{
		{DeviceName: "/dev/xvda", Ebs: &api.EbsInstanceBlockDeviceSpecification{DeleteOnTermination: ptr(false)}},
	}}))(t)
	if d := c.describe(got.InstanceId).BlockDeviceMappings[0]; *d.Ebs.DeleteOnTermination {
		t.Error("the root volume is to go with the instance still")
	}
	_, err = c.ModifyInstanceAttribute(c.ctx, &api.ModifyInstanceAttributeInput{InstanceId: got.InstanceId, BlockDeviceMappings: []api.InstanceBlockDeviceMappingSpecification{
		{DeviceName: "/dev/sdq", Ebs: &api.EbsInstanceBlockDeviceSpecification{DeleteOnTermination: ptr(false)}},
	}})
	wantFault(t, err, fault.InvalidInstanceAttributeValue, "No device is currently mapped at /dev/sdq")
	for _, in := range []*api.ModifyInstanceAttributeInput{
		{SourceDestCheck: &api.AttributeBooleanValue{Value: ptr(false)}}, {Attribute: "sourceDestCheck", Value: "false"},
	} {
		in.InstanceId = got.InstanceId
		_, err = c.ModifyInstanceAttribute(c.ctx, in)
		wantFault(t, err, fault.NotImplemented, "The parameter SourceDestCheck=false (instances pass on no packets of others) is not built in this version of Slipway.")
	}
	must(c.ModifyInstanceAttribute(c.ctx, &api.ModifyInstanceAttributeInput{InstanceId: got.InstanceId, SourceDestCheck: &api.AttributeBooleanValue{Value: ptr(true)}}))(t)
	must(c.ResetInstanceAttribute(c.ctx, &api.ResetInstanceAttributeInput{InstanceId: got.InstanceId, Attribute: "sourceDestCheck"}))(t)
	if !*c.describe(got.InstanceId).SourceDestCheck {
		t.Error("sourceDestCheck was not reset")
	}

	changed := must(c.ModifyInstanceCreditSpecification(c.ctx, &api.ModifyInstanceCreditSpecificationInput{InstanceCreditSpecifications: []api.InstanceCreditSpecificationRequest{
		{InstanceId: got.InstanceId, CpuCredits: "standard"}, {InstanceId: "i-00000000", CpuCredits: "standard"},
	}}))(t)
	if len(changed.SuccessfulInstanceCreditSpecifications) != 1 || changed.UnsuccessfulInstanceCreditSpecifications[0].Error.Code != fault.InvalidInstanceIDNotFound {
		t.Errorf("changed %+v", changed)
	}
	must(c.ModifyDefaultCreditSpecification(c.ctx, &api.ModifyDefaultCreditSpecificationInput{InstanceFamily: "t3", CpuCredits: "standard"}))(t)
	if v := must(c.GetDefaultCreditSpecification(c.ctx, &api.GetDefaultCreditSpecificationInput{InstanceFamily: "t3"}))(t); v.InstanceFamilyCreditSpecification.CpuCredits != "standard" {
		t.Errorf("default %+v", v.InstanceFamilyCreditSpecification)
	}
	c.sound()
}
