package ec2

import (
	"context"
	"runtime"
	"slices"
	"strconv"
	"strings"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/fault"
)

// Architectures in EC2's terms.
const (
	x86 = "x86_64"
	arm = "arm64"
)

// hostArch is the architecture of this host, and so of its instances.
func hostArch() string {
	if runtime.GOARCH == "arm64" {
		return arm
	}
	return x86
}

// instanceType is a size of instances ("Amazon EC2 instance types").
type instanceType struct {
	Name   string
	VCPU   int32
	MiB    int64
	family *typeFamily
}

type typeFamily struct {
	name    string
	arch    string
	nitro   bool
	burst   bool
	current bool
	threads int32    // hardware threads of a core
	sizes   []string // "size vCPU MiB"
}

// general, compute and memory sizes of the current families: 4, 2 and 8 GiB for
// each vCPU.
func sizes(mibPerVCPU int, from ...string) []string {
	vcpu := map[string]int{"medium": 1, "large": 2, "xlarge": 4, "2xlarge": 8, "4xlarge": 16, "8xlarge": 32,
		"9xlarge": 36, "10xlarge": 40, "12xlarge": 48, "16xlarge": 64, "18xlarge": 72, "24xlarge": 96}
	out := make([]string, 0, len(from))
	for _, size := range from {
		n := vcpu[size]
		out = append(out, size+" "+strconv.Itoa(n)+" "+strconv.Itoa(n*mibPerVCPU))
	}
	return out
}

var (
	intelSizes    = []string{"large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge", "24xlarge"}
	gravitonSizes = []string{"medium", "large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge"}
	burstSizes    = []string{"nano 2 512", "micro 2 1024", "small 2 2048", "medium 2 4096", "large 2 8192", "xlarge 4 16384", "2xlarge 8 32768"}
)

var typeFamilies = []*typeFamily{
	{"m1", x86, false, false, false, 1, []string{"small 1 1740", "medium 1 3788", "large 2 7680", "xlarge 4 15360"}},
	{"t1", x86, false, true, false, 1, []string{"micro 1 627"}},
	{"t2", x86, false, true, true, 1, []string{"nano 1 512", "micro 1 1024", "small 1 2048", "medium 2 4096", "large 2 8192", "xlarge 4 16384", "2xlarge 8 32768"}},
	{"t3", x86, true, true, true, 2, burstSizes},
	{"t3a", x86, true, true, true, 2, burstSizes},
	{"t4g", arm, true, true, true, 1, burstSizes},
	{"m3", x86, false, false, false, 2, []string{"medium 1 3840", "large 2 7680", "xlarge 4 15360", "2xlarge 8 30720"}},
	{"m4", x86, false, false, true, 2, []string{"large 2 8192", "xlarge 4 16384", "2xlarge 8 32768", "4xlarge 16 65536", "10xlarge 40 163840", "16xlarge 64 262144"}},
	{"m5", x86, true, false, true, 2, sizes(4096, intelSizes...)},
	{"m5a", x86, true, false, true, 2, sizes(4096, intelSizes...)},
	{"m6i", x86, true, false, true, 2, sizes(4096, intelSizes...)},
	{"m6a", x86, true, false, true, 2, sizes(4096, intelSizes...)},
	{"m7i", x86, true, false, true, 2, sizes(4096, intelSizes...)},
	{"m6g", arm, true, false, true, 1, sizes(4096, gravitonSizes...)},
	{"m7g", arm, true, false, true, 1, sizes(4096, gravitonSizes...)},
	{"c4", x86, false, false, true, 2, []string{"large 2 3840", "xlarge 4 7680", "2xlarge 8 15360", "4xlarge 16 30720", "8xlarge 36 61440"}},
	{"c5", x86, true, false, true, 2, sizes(2048, "large", "xlarge", "2xlarge", "4xlarge", "9xlarge", "12xlarge", "18xlarge", "24xlarge")},
	{"c5a", x86, true, false, true, 2, sizes(2048, intelSizes...)},
	{"c6i", x86, true, false, true, 2, sizes(2048, intelSizes...)},
	{"c7i", x86, true, false, true, 2, sizes(2048, intelSizes...)},
	{"c6g", arm, true, false, true, 1, sizes(2048, gravitonSizes...)},
	{"c7g", arm, true, false, true, 1, sizes(2048, gravitonSizes...)},
	{"r4", x86, false, false, true, 2, []string{"large 2 15616", "xlarge 4 31232", "2xlarge 8 62464", "4xlarge 16 124928"}},
	{"r5", x86, true, false, true, 2, sizes(8192, intelSizes...)},
	{"r6i", x86, true, false, true, 2, sizes(8192, intelSizes...)},
	{"r7i", x86, true, false, true, 2, sizes(8192, intelSizes...)},
	{"r6g", arm, true, false, true, 1, sizes(8192, gravitonSizes...)},
	{"r7g", arm, true, false, true, 1, sizes(8192, gravitonSizes...)},
}

// findType looks up a type by name.
func findType(name string) (instanceType, bool) {
	family, size, ok := strings.Cut(name, ".")
	if !ok {
		return instanceType{}, false
	}
	for _, f := range typeFamilies {
		if f.name != family {
			continue
		}
		for _, line := range f.sizes {
			if t := f.parse(line); t.Name == family+"."+size {
				return t, true
			}
		}
	}
	return instanceType{}, false
}

func (f *typeFamily) parse(line string) instanceType {
	parts := strings.Fields(line)
	vcpu, _ := strconv.Atoi(parts[1])
	mib, _ := strconv.ParseInt(parts[2], 10, 64)
	return instanceType{Name: f.name + "." + parts[0], VCPU: int32(vcpu), MiB: mib, family: f}
}

// offered are the types that this host can run, by name.
func offered() []instanceType {
	var out []instanceType
	for _, f := range typeFamilies {
		if f.arch != hostArch() {
			continue
		}
		for _, line := range f.sizes {
			out = append(out, f.parse(line))
		}
	}
	slices.SortFunc(out, func(a, b instanceType) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// processesPerVCPU keeps one instance from using up the host's process table.
const processesPerVCPU = 2048

// limits are what the driver holds an instance of this type to.
func (t instanceType) limits(diskGiB int64) compute.Limits {
	return compute.Limits{
		MilliCPU:  int64(t.VCPU) * 1000,
		Memory:    t.MiB << 20,
		Processes: int64(t.VCPU) * processesPerVCPU,
		Disk:      diskGiB << 30,
	}
}

func (t instanceType) hypervisor() string {
	if t.family.nitro {
		return "nitro"
	}
	return "xen"
}

func typeFields(t instanceType, name string) ([]string, bool) {
	f := t.family
	if f == nil {
		f = &typeFamily{}
	}
	switch name {
	case "instance-type":
		return one(t.Name)
	case "bare-metal":
		return oneBool(false)
	case "burstable-performance-supported":
		return oneBool(f.burst)
	case "current-generation":
		return oneBool(f.current)
	case "free-tier-eligible":
		return oneBool(t.Name == "t2.micro" || t.Name == "t3.micro")
	case "hypervisor":
		return []string{t.hypervisorOrNone()}, true
	case "memory-info.size-in-mib":
		return oneInt(t.MiB)
	case "processor-info.supported-architecture":
		return one(f.arch)
	case "vcpu-info.default-vcpus":
		return oneInt(t.VCPU)
	case "vcpu-info.default-cores":
		return oneInt(max(1, t.VCPU/max(1, f.threads)))
	case "vcpu-info.default-threads-per-core":
		return oneInt(f.threads)
	case "supported-root-device-type":
		return one("ebs")
	case "supported-usage-class":
		return one("on-demand")
	case "supported-virtualization-type":
		return one("hvm")
	case "instance-storage-supported", "hibernation-supported", "dedicated-hosts-supported":
		return oneBool(false)
	}
	values, ok := alikeTypes[name]
	return values, ok
}

// alikeTypes are filters that all types answer alike, nil what no type tells:
// the host's own hardware decides it.
var alikeTypes = map[string][]string{
	"auto-recovery-supported": {"false"}, "nitro-enclaves-support": {"unsupported"}, "nitro-tpm-support": {"unsupported"},
	"network-info.ipv6-supported": {"false"}, "network-info.maximum-network-cards": {"1"},
	"network-info.ipv4-addresses-per-interface": {"1"}, "network-info.maximum-network-interfaces": {"1"},
	"network-info.efa-supported": nil, "network-info.ena-support": nil, "network-info.bandwidth-weightings": nil,
	"network-info.efa-info.maximum-efa-interfaces": nil, "network-info.encryption-in-transit-supported": nil,
	"network-info.flexible-ena-queues-support": nil, "network-info.ipv6-addresses-per-interface": nil, "network-info.network-performance": nil,
	"ebs-info.attachment-limit-type": nil, "ebs-info.maximum-ebs-attachments": nil, "ebs-info.ebs-optimized-support": nil,
	"ebs-info.encryption-support": nil, "ebs-info.nvme-support": nil,
	"ebs-info.ebs-optimized-info.baseline-bandwidth-in-mbps": nil, "ebs-info.ebs-optimized-info.baseline-iops": nil,
	"ebs-info.ebs-optimized-info.baseline-throughput-in-mbps": nil, "ebs-info.ebs-optimized-info.maximum-bandwidth-in-mbps": nil,
	"ebs-info.ebs-optimized-info.maximum-iops": nil, "ebs-info.ebs-optimized-info.maximum-throughput-in-mbps": nil,
	"instance-storage-info.disk.count": nil, "instance-storage-info.disk.size-in-gb": nil, "instance-storage-info.disk.type": nil,
	"instance-storage-info.encryption-support": nil, "instance-storage-info.nvme-support": nil, "instance-storage-info.total-size-in-gb": nil,
	"nitro-tpm-info.supported-versions": nil, "processor-info.supported-features": nil, "processor-info.sustained-clock-speed-in-ghz": nil,
	"reboot-migration-support": nil, "supported-boot-mode": nil, "vcpu-info.valid-cores": nil, "vcpu-info.valid-threads-per-core": nil,
}

func (t instanceType) hypervisorOrNone() string {
	if t.family == nil {
		return ""
	}
	return t.hypervisor()
}

func (t instanceType) view() api.InstanceTypeInfo {
	f := t.family
	return api.InstanceTypeInfo{
		InstanceType: t.Name, CurrentGeneration: ptr(f.current),
		FreeTierEligible:             ptr(t.Name == "t2.micro" || t.Name == "t3.micro"),
		SupportedUsageClasses:        []string{"on-demand"},
		SupportedRootDeviceTypes:     []string{"ebs"},
		SupportedVirtualizationTypes: []string{"hvm"},
		BareMetal:                    ptr(false), Hypervisor: t.hypervisor(),
		ProcessorInfo: &api.ProcessorInfo{SupportedArchitectures: []string{f.arch}},
		VCpuInfo: &api.VCpuInfo{
			DefaultVCpus: ptr(t.VCPU), DefaultCores: ptr(max(1, t.VCPU/f.threads)), DefaultThreadsPerCore: ptr(f.threads),
		},
		MemoryInfo:               &api.MemoryInfo{SizeInMiB: ptr(t.MiB)},
		InstanceStorageSupported: ptr(false),
		NetworkInfo: &api.NetworkInfo{
			MaximumNetworkInterfaces: ptr(int32(1)), MaximumNetworkCards: ptr(int32(1)),
			Ipv4AddressesPerInterface: ptr(int32(1)), Ipv6Supported: ptr(false),
		},
		HibernationSupported:          ptr(false),
		BurstablePerformanceSupported: ptr(f.burst),
		DedicatedHostsSupported:       ptr(false),
		AutoRecoverySupported:         ptr(false),
		NitroEnclavesSupport:          "unsupported",
		NitroTpmSupport:               "unsupported",
	}
}

// DescribeInstanceTypes lists the types that this host's architecture can run.
func (s *Service) DescribeInstanceTypes(_ context.Context, in *api.DescribeInstanceTypesInput) (*api.DescribeInstanceTypesOutput, error) {
	m, err := newMatcher(in.Filters, typeFields)
	if err != nil {
		return nil, err
	}
	if err := dryRun(in.DryRun); err != nil {
		return nil, err
	}
	var found []instanceType
	known := map[string]bool{}
	for _, t := range offered() {
		known[t.Name] = true
		if (len(in.InstanceTypes) == 0 || contains(in.InstanceTypes, t.Name)) && m.match(t) {
			found = append(found, t)
		}
	}
	if lost := missing(in.InstanceTypes, func(n string) bool { return known[n] }); len(lost) > 0 {
		return nil, fault.New(fault.InvalidInstanceType, "The following supplied instance types do not exist: [%s]", clip(strings.Join(lost, ", "), 512))
	}
	page, next, err := paginate(found, func(t instanceType) string { return t.Name }, in.NextToken, in.MaxResults, pagesOf100)
	if err != nil {
		return nil, err
	}
	out := &api.DescribeInstanceTypesOutput{NextToken: next}
	for _, t := range page {
		out.InstanceTypes = append(out.InstanceTypes, t.view())
	}
	return out, nil
}

type offering struct{ kind, location, locationType string }

func offeringFields(o offering, name string) ([]string, bool) {
	switch name {
	case "instance-type":
		return one(o.kind)
	case "location":
		return one(o.location)
	}
	return nil, false
}

// DescribeInstanceTypeOfferings says which types a region or zone has.
func (s *Service) DescribeInstanceTypeOfferings(ctx context.Context, in *api.DescribeInstanceTypeOfferingsInput) (*api.DescribeInstanceTypeOfferingsOutput, error) {
	region := auth.From(ctx).Scope.Region
	m, err := newMatcher(in.Filters, offeringFields)
	if err != nil {
		return nil, err
	}
	var places []string
	kind := in.LocationType
	switch kind {
	case "", "region":
		kind, places = "region", []string{region}
	case "availability-zone":
		for _, z := range zonesOf(region) {
			places = append(places, z.Name)
		}
	case "availability-zone-id":
		for _, z := range zonesOf(region) {
			places = append(places, z.ID)
		}
	default:
		return nil, fault.New(fault.InvalidParameterValue, "Value (%s) for parameter locationType is invalid.", clip(kind, 64))
	}
	if err := dryRun(in.DryRun); err != nil {
		return nil, err
	}
	var found []offering
	for _, t := range offered() {
		for _, p := range places {
			if o := (offering{t.Name, p, kind}); m.match(o) {
				found = append(found, o)
			}
		}
	}
	page, next, err := paginate(found, func(o offering) string { return o.kind + "\x00" + o.location }, in.NextToken, in.MaxResults, pagesOf1000)
	if err != nil {
		return nil, err
	}
	out := &api.DescribeInstanceTypeOfferingsOutput{NextToken: next}
	for _, o := range page {
		out.InstanceTypeOfferings = append(out.InstanceTypeOfferings, api.InstanceTypeOffering{InstanceType: o.kind, Location: o.location, LocationType: o.locationType})
	}
	return out, nil
}
