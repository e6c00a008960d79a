package ec2

import (
	"context"
	"encoding/base64"
	"maps"
	"net/netip"
	"regexp"
	"strings"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
)

// maxUserData bounds user data before it is coded in base64.
const maxUserData = 16 << 10

// defaultType is AWS's default for a request that names no instance type.
const defaultType = "m1.small"

// runRequest is what RunInstances asks for, checked as far as the request alone
// allows. Deciding ends here; run.go acts.
type runRequest struct {
	min, max    int32
	model       instance // what all instances of the request have in common
	asked       netip.Addr
	others      []netip.Addr // secondary addresses
	secondary   int          // how many more are asked for
	subnet      string       // "" is the default one of the zone
	first       nic          // where the request has network interfaces
	further     []nic
	zone        string // "" is any
	public      *bool  // AssociatePublicIpAddress
	groupIDs    []string
	groupNames  []string
	profileName string
	profileARN  string
	tags        map[string]tagMap
	settings    *settings // the account's own defaults
	image       *image    // found in resolveModel
	mappings    []mapping // of the request; the image's come in resolveModel
	disks       []mapping // both together
}

// refusal names a parameter that is not built, where the request uses it.
type refusal struct {
	parameter string
	used      bool
}

func refuse(list []refusal) error {
	for _, r := range list {
		if r.used {
			return notBuilt(r.parameter)
		}
	}
	return nil
}

func notBuilt(parameter string) error {
	return fault.New(fault.NotImplemented, "The parameter %s is not built in this version of Slipway.", parameter)
}

func (s *Service) checkRun(ctx context.Context, call auth.Call, in *api.RunInstancesInput) (*runRequest, error) {
	if err := firstError(refuse(unbuiltRun(in)), checkMarket(in)); err != nil {
		return nil, err
	}
	r := &runRequest{min: value(in.MinCount, 1), max: value(in.MaxCount, 1)}
	var err error
	if r.settings, err = s.readSettings(ctx); err != nil {
		return nil, err
	}
	if err := checkCounts(r.min, r.max); err != nil {
		return nil, err
	}
	if len(in.ClientToken) > 64 {
		return nil, fault.New(fault.InvalidParameterValue, "Value for parameter clientToken is invalid. It must be at most 64 characters long.")
	}
	m := &r.model
	m.Scope, m.ClientToken, m.Requester = call.Scope, in.ClientToken, call.Principal.UserID
	m.KeepAlive, m.KeepRunning = value(in.DisableApiTermination, false), value(in.DisableApiStop, false)
	m.Optimized, m.SourceCheck = value(in.EbsOptimized, false), true
	m.Key = in.KeyName
	for _, check := range []func(*api.RunInstancesInput, *runRequest) error{
		s.checkImageAndType, s.checkPlace, checkUserData, checkShutdown, checkMetadata, checkDisks, checkCredits, checkProfile,
	} {
		if err := check(in, r); err != nil {
			return nil, err
		}
	}
	r.tags, err = specTags(call, in.TagSpecifications, "instance", "volume", "network-interface")
	return r, err
}

// originate adds the tags that tell of the launch template.
func (r *runRequest) originate(tags tagMap) {
	if len(tags) == 0 {
		return
	}
	all := maps.Clone(tags)
	maps.Copy(all, r.tags["instance"])
	r.tags["instance"] = all
}

func value[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}

func checkCounts(least, most int32) error {
	if least < 1 {
		return fault.New(fault.InvalidParameterValue, "Value (%d) for parameter minCount is invalid. Minimum allowed value is 1", least)
	}
	if most < 1 {
		return fault.New(fault.InvalidParameterValue, "Value (%d) for parameter maxCount is invalid. Minimum allowed value is 1", most)
	}
	if least > most {
		return fault.New(fault.InvalidParameterCombination, "MinCount (%d) may not exceed MaxCount (%d)", least, most)
	}
	return nil
}

// unbuiltRun lists what RunInstances of AWS has and this one has not. A value
// that asks for what happens anyway is let through.
func unbuiltRun(in *api.RunInstancesInput) []refusal {
	list := []refusal{
		{"AdditionalInfo", in.AdditionalInfo != ""},
		{"CpuOptions", in.CpuOptions != nil},
		{"ElasticGpuSpecification", len(in.ElasticGpuSpecification) > 0},
		{"ElasticInferenceAccelerator", len(in.ElasticInferenceAccelerators) > 0},
		{"EnablePrimaryIpv6", value(in.EnablePrimaryIpv6, false)},
		{"EnclaveOptions.Enabled", in.EnclaveOptions != nil && value(in.EnclaveOptions.Enabled, false)},
		{"HibernationOptions.Configured", in.HibernationOptions != nil && value(in.HibernationOptions.Configured, false)},
		{"Ipv6AddressCount", value(in.Ipv6AddressCount, 0) != 0},
		{"Ipv6Address", len(in.Ipv6Addresses) > 0},
		{"KernelId", in.KernelId != ""},
		{"MaintenanceOptions.AutoRecovery=disabled", in.MaintenanceOptions != nil && in.MaintenanceOptions.AutoRecovery == "disabled"},
		{"LicenseSpecification", len(in.LicenseSpecifications) > 0},
		{"Monitoring.Enabled", in.Monitoring != nil && value(in.Monitoring.Enabled, false)},
		{"NetworkPerformanceOptions", in.NetworkPerformanceOptions != nil},
		{"Operator", in.Operator != nil},
		{"RamdiskId", in.RamdiskId != ""},
		{"SecondaryInterface", len(in.SecondaryInterfaces) > 0},
	}
	if c := in.CapacityReservationSpecification; c != nil {
		list = append(list, refusal{"CapacityReservationSpecification.CapacityReservationTarget", c.CapacityReservationTarget != nil},
			refusal{"CapacityReservationSpecification.CapacityReservationPreference", contains([]string{"capacity-reservations-only"}, c.CapacityReservationPreference)})
	}
	if o := in.PrivateDnsNameOptions; o != nil {
		list = append(list,
			refusal{"PrivateDnsNameOptions.HostnameType", o.HostnameType != "" && o.HostnameType != "ip-name"},
			refusal{"PrivateDnsNameOptions.EnableResourceNameDnsARecord", value(o.EnableResourceNameDnsARecord, false)},
			refusal{"PrivateDnsNameOptions.EnableResourceNameDnsAAAARecord", value(o.EnableResourceNameDnsAAAARecord, false)})
	}
	if p := in.Placement; p != nil {
		list = append(list,
			refusal{"Placement.Affinity", p.Affinity != ""}, refusal{"Placement.GroupName", p.GroupName != ""},
			refusal{"Placement.GroupId", p.GroupId != ""}, refusal{"Placement.HostId", p.HostId != ""},
			refusal{"Placement.HostResourceGroupArn", p.HostResourceGroupArn != ""},
			refusal{"Placement.PartitionNumber", p.PartitionNumber != nil},
			refusal{"Placement.SpreadDomain", p.SpreadDomain != ""},
		)
	}
	return list
}

// checkMarket says plainly what one host cannot sell: capacity by auction, and
// hardware that nobody else is on.
func checkMarket(in *api.RunInstancesInput) error {
	if o := in.InstanceMarketOptions; o != nil && (o.MarketType != "" || o.SpotOptions != nil) {
		market := o.MarketType
		if market == "" {
			market = "spot"
		}
		return fault.New(fault.NotImplemented, "The parameter InstanceMarketOptions.MarketType=%s is not built in this version of Slipway: a host has no market of spare capacity. Launch on demand.", clip(market, 64))
	}
	if p := in.Placement; p != nil && p.Tenancy != "" && p.Tenancy != "default" {
		return fault.New(fault.NotImplemented, "The parameter Placement.Tenancy=%s is not built in this version of Slipway: all instances share their host.", clip(p.Tenancy, 64))
	}
	return nil
}

func (s *Service) checkImageAndType(in *api.RunInstancesInput, r *runRequest) error {
	if in.ImageId == "" {
		return fault.New(fault.MissingParameter, "The request must contain the parameter ImageId")
	}
	if strings.HasPrefix(in.ImageId, "resolve:ssm:") {
		return notBuilt("ImageId=resolve:ssm (a parameter for an image id)")
	}
	if err := checkID(prefixImage, in.ImageId); err != nil {
		return err
	}
	name := in.InstanceType
	if name == "" {
		name = defaultType
		if hostArch() == arm {
			name = "t4g.small"
		}
	}
	if err := checkType(name); err != nil {
		return err
	}
	r.model.Image, r.model.Type = in.ImageId, name
	return nil
}

func checkType(name string) error {
	t, ok := findType(name)
	if !ok {
		return fault.New(fault.InvalidParameterValue, "Invalid value '%s' for InstanceType.", clip(name, 64))
	}
	if t.family.arch != hostArch() {
		return fault.New(fault.InvalidParameterValue,
			"The architecture '%s' of the specified instance type does not match the architecture '%s' of the specified AMI. Specify an instance type and an AMI that have matching architectures, and try again.",
			t.family.arch, hostArch())
	}
	return nil
}

// checkPlace decides subnet, address and security groups, from the request
// itself or from its first network interface.
func (s *Service) checkPlace(in *api.RunInstancesInput, r *runRequest) error {
	zoneName := ""
	if p := in.Placement; p != nil {
		zoneName = p.AvailabilityZone
		for _, z := range zonesOf(r.model.Scope.Region) {
			if zoneName == "" && p.AvailabilityZoneId == z.ID {
				zoneName = z.Name
			}
		}
		if zoneName == "" && p.AvailabilityZoneId != "" {
			return fault.New(fault.InvalidParameterValue, "Invalid availability zone-id: [%s]", clip(p.AvailabilityZoneId, 64))
		}
	}
	r.subnet, r.zone = in.SubnetId, zoneName
	r.groupIDs, r.groupNames = in.SecurityGroupIds, in.SecurityGroups
	if len(in.NetworkInterfaces) > 0 {
		if err := s.checkInterfaces(in, r); err != nil {
			return err
		}
	}
	if r.subnet != "" {
		if err := checkID(prefixSubnet, r.subnet); err != nil {
			return err
		}
	} else if _, err := s.network(r.model.Scope).pickSubnet(zoneName); err != nil && r.first.id == "" {
		return err
	}
	if in.PrivateIpAddress == "" {
		return nil
	}
	a, err := askedAddress(in.PrivateIpAddress)
	if err != nil {
		return err
	}
	if r.max > 1 {
		return fault.New(fault.InvalidParameterCombination, "The parameter privateIpAddress may not be used when launching more than one instance")
	}
	r.asked = a
	return nil
}

func checkUserData(in *api.RunInstancesInput, r *runRequest) error {
	var err error
	r.model.UserData, err = decodeUserData(in.UserData)
	return err
}

func decodeUserData(s string) ([]byte, error) {
	if s == "" {
		return nil, nil
	}
	if base64.StdEncoding.DecodedLen(len(s)) > 2*maxUserData {
		return nil, fault.New(fault.InvalidParameterValue, "User data is limited to %d bytes", maxUserData)
	}
	clean := strings.Map(func(c rune) rune {
		if c == '\n' || c == '\r' {
			return -1
		}
		return c
	}, s)
	b, err := base64.StdEncoding.DecodeString(clean)
	if err != nil {
		return nil, fault.New(fault.InvalidUserDataMalformed, "Invalid BASE64 encoding of user data.")
	}
	return b, checkUserDataSize(b)
}

func checkUserDataSize(b []byte) error {
	if len(b) > maxUserData {
		return fault.New(fault.InvalidParameterValue, "User data is limited to %d bytes", maxUserData)
	}
	return nil
}

func checkShutdown(in *api.RunInstancesInput, r *runRequest) error {
	r.model.OnShutdown = in.InstanceInitiatedShutdownBehavior
	switch r.model.OnShutdown {
	case "":
		r.model.OnShutdown = onShutdownStop
	case onShutdownStop, onShutdownTerminate:
	default:
		return badShutdown(r.model.OnShutdown)
	}
	return nil
}

func badShutdown(s string) error {
	return fault.New(fault.InvalidParameterValue, "Value (%s) for parameter instanceInitiatedShutdownBehavior is invalid. Expecting stop or terminate.", clip(s, 64))
}

func checkMetadata(in *api.RunInstancesInput, r *runRequest) error {
	r.model.Metadata = r.settings.metadataOfLaunch()
	if o := in.MetadataOptions; o != nil {
		if err := r.model.Metadata.set(o.HttpTokens, o.HttpEndpoint, o.InstanceMetadataTags, o.HttpProtocolIpv6, o.HttpPutResponseHopLimit); err != nil {
			return err
		}
	}
	return r.settings.permits(r.model.Metadata)
}

// set changes what the caller named.
func (m *metadataOptions) set(tokens, endpoint, tags, ipv6 string, hops *int32) error {
	choose := func(field *string, parameter, asked string, choices ...string) error {
		if asked == "" {
			return nil
		}
		if !contains(choices, asked) {
			return fault.New(fault.InvalidParameterValue, "Value (%s) for parameter %s is invalid. Expecting %s.", clip(asked, 64), parameter, strings.Join(choices, " or "))
		}
		*field = asked
		return nil
	}
	if ipv6 == "enabled" {
		return notBuilt("MetadataOptions.HttpProtocolIpv6=enabled")
	}
	if hops != nil {
		if *hops < 1 || *hops > 64 {
			return fault.New(fault.InvalidParameterValue, "Value (%d) for parameter HttpPutResponseHopLimit is invalid. Expecting a value between 1 and 64.", *hops)
		}
		m.HopLimit = *hops
	}
	if err := choose(&m.Tokens, "HttpTokens", tokens, "required", "optional"); err != nil {
		return err
	}
	if err := choose(&m.Endpoint, "HttpEndpoint", endpoint, "enabled", "disabled"); err != nil {
		return err
	}
	return choose(&m.Tags, "InstanceMetadataTags", tags, "enabled", "disabled")
}

// rootDevices are the names that images give their root device.
var rootDevices = []string{"/dev/xvda", "/dev/sda1"}

// instanceStore are the virtual names of instance store volumes. No instance type
// here has any (InstanceStorageSupported), and a mapping of more volumes than the
// type has is ignored ("Add instance store volumes to an EC2 instance").
var instanceStore = regexp.MustCompile(`^ephemeral(1?[0-9]|2[0-3])$`)

// checkDisks reads the block device mappings.
func checkDisks(in *api.RunInstancesInput, r *runRequest) (err error) {
	r.mappings, err = checkMappings(in.BlockDeviceMappings)
	return err
}

func checkCredits(in *api.RunInstancesInput, r *runRequest) error {
	r.model.Credits = r.settings.creditsOfLaunch(r.model.Type)
	if in.CreditSpecification == nil {
		return nil
	}
	if r.model.Credits == "" {
		return fault.New(fault.InvalidParameterCombination, "CreditSpecification is not supported with instance type '%s'", r.model.Type)
	}
	c := in.CreditSpecification.CpuCredits
	if err := checkCreditOption("CreditSpecification.CpuCredits", c); err != nil {
		return err
	}
	r.model.Credits = c
	return nil
}

func checkProfile(in *api.RunInstancesInput, r *runRequest) error {
	if in.IamInstanceProfile == nil {
		return nil
	}
	r.profileName, r.profileARN = in.IamInstanceProfile.Name, in.IamInstanceProfile.Arn
	if r.profileName != "" && r.profileARN != "" {
		return fault.New(fault.InvalidParameterCombination, "The parameter 'iamInstanceProfile.name' may not be used in combination with 'iamInstanceProfile.arn'")
	}
	return nil
}
