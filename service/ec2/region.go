package ec2

import (
	"context"
	"strings"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
)

// regionInfo is one region ("Regions and Zones", EC2 User Guide). Every region is
// the same host under another name: a place to keep things apart.
type regionInfo struct {
	Name, Long, Short string
	OptIn             bool
}

var regions = []regionInfo{
	{"af-south-1", "Africa (Cape Town)", "afs1", true},
	{"ap-east-1", "Asia Pacific (Hong Kong)", "ape1", true},
	{"ap-northeast-1", "Asia Pacific (Tokyo)", "apne1", false},
	{"ap-northeast-2", "Asia Pacific (Seoul)", "apne2", false},
	{"ap-northeast-3", "Asia Pacific (Osaka)", "apne3", false},
	{"ap-south-1", "Asia Pacific (Mumbai)", "aps1", false},
	{"ap-south-2", "Asia Pacific (Hyderabad)", "aps2", true},
	{"ap-southeast-1", "Asia Pacific (Singapore)", "apse1", false},
	{"ap-southeast-2", "Asia Pacific (Sydney)", "apse2", false},
	{"ap-southeast-3", "Asia Pacific (Jakarta)", "apse3", true},
	{"ap-southeast-4", "Asia Pacific (Melbourne)", "apse4", true},
	{"ca-central-1", "Canada (Central)", "cac1", false},
	{"eu-central-1", "Europe (Frankfurt)", "euc1", false},
	{"eu-central-2", "Europe (Zurich)", "euc2", true},
	{"eu-north-1", "Europe (Stockholm)", "eun1", false},
	{"eu-south-1", "Europe (Milan)", "eus1", true},
	{"eu-south-2", "Europe (Spain)", "eus2", true},
	{"eu-west-1", "Europe (Ireland)", "euw1", false},
	{"eu-west-2", "Europe (London)", "euw2", false},
	{"eu-west-3", "Europe (Paris)", "euw3", false},
	{"il-central-1", "Israel (Tel Aviv)", "ilc1", true},
	{"me-central-1", "Middle East (UAE)", "mec1", true},
	{"me-south-1", "Middle East (Bahrain)", "mes1", true},
	{"sa-east-1", "South America (Sao Paulo)", "sae1", false},
	{"us-east-1", "US East (N. Virginia)", "use1", false},
	{"us-east-2", "US East (Ohio)", "use2", false},
	{"us-west-1", "US West (N. California)", "usw1", false},
	{"us-west-2", "US West (Oregon)", "usw2", false},
}

func regionNamed(name string) regionInfo {
	for _, r := range regions {
		if r.Name == name {
			return r
		}
	}
	return regionInfo{Name: name, Long: name, Short: name} // a region of the user's own naming
}

func (r regionInfo) endpoint() string { return "ec2." + r.Name + ".amazonaws.com" }

func (r regionInfo) optIn() string {
	if r.OptIn {
		return "opted-in"
	}
	return "opt-in-not-required"
}

func regionFields(r regionInfo, name string) ([]string, bool) {
	switch name {
	case "endpoint":
		return []string{r.endpoint()}, true
	case "opt-in-status":
		return []string{r.optIn()}, true
	case "region-name":
		return one(r.Name)
	}
	return nil, false
}

// DescribeRegions lists the regions; all are enabled.
func (s *Service) DescribeRegions(_ context.Context, in *api.DescribeRegionsInput) (*api.DescribeRegionsOutput, error) {
	m, err := newMatcher(in.Filters, regionFields)
	if err != nil {
		return nil, err
	}
	known := func(name string) bool { return regionNamed(name).Long != name }
	if lost := missing(in.RegionNames, known); len(lost) > 0 {
		return nil, fault.New(fault.InvalidParameterValue, "Invalid region: [%s]", clip(strings.Join(lost, ", "), 256))
	}
	if err := dryRun(in.DryRun); err != nil {
		return nil, err
	}
	out := &api.DescribeRegionsOutput{}
	for _, r := range regions {
		if (len(in.RegionNames) == 0 || contains(in.RegionNames, r.Name)) && m.match(r) {
			out.Regions = append(out.Regions, api.Region{RegionName: r.Name, Endpoint: r.endpoint(), OptInStatus: r.optIn()})
		}
	}
	return out, nil
}

// zone is an availability zone.
type zone struct {
	Name, ID string
	region   regionInfo
}

// zonesOf are a region's zones. The ids of a region's zones differ between AWS
// accounts; here zone a is always az1.
func zonesOf(region string) []zone {
	r := regionNamed(region)
	out := make([]zone, 0, len(zoneLetters))
	for i, letter := range zoneLetters {
		out = append(out, zone{region + letter, r.Short + "-az" + string(rune('1'+i)), r})
	}
	return out
}

func zoneID(name string) string {
	if name == "" {
		return ""
	}
	for _, z := range zonesOf(name[:len(name)-1]) {
		if z.Name == name {
			return z.ID
		}
	}
	return ""
}

func zoneFields(z zone, name string) ([]string, bool) {
	switch name {
	case "group-name":
		return one(z.groupName())
	case "group-long-name":
		return one(z.region.Long + " 1")
	case "opt-in-status":
		return one("opt-in-not-required")
	case "region-name":
		return one(z.region.Name)
	case "state":
		return one("available")
	case "zone-id":
		return one(z.ID)
	case "zone-name":
		return one(z.Name)
	case "zone-type":
		return one("availability-zone")
	case "message", "parent-zone-id", "parent-zone-name":
		return nil, true
	}
	return nil, false
}

func (z zone) groupName() string { return z.region.Name + "-zg-1" }

// DescribeAvailabilityZones lists the zones of the call's region.
func (s *Service) DescribeAvailabilityZones(ctx context.Context, in *api.DescribeAvailabilityZonesInput) (*api.DescribeAvailabilityZonesOutput, error) {
	region := auth.From(ctx).Scope.Region
	m, err := newMatcher(in.Filters, zoneFields)
	if err != nil {
		return nil, err
	}
	names, ids := map[string]bool{}, map[string]bool{}
	for _, z := range zonesOf(region) {
		names[z.Name], ids[z.ID] = true, true
	}
	if lost := missing(in.ZoneNames, func(n string) bool { return names[n] }); len(lost) > 0 {
		return nil, fault.New(fault.InvalidParameterValue, "Invalid availability zones: [%s]", clip(strings.Join(lost, ", "), 256))
	}
	if lost := missing(in.ZoneIds, func(n string) bool { return ids[n] }); len(lost) > 0 {
		return nil, fault.New(fault.InvalidParameterValue, "Invalid availability zone-id: [%s]", clip(strings.Join(lost, ", "), 256))
	}
	if err := dryRun(in.DryRun); err != nil {
		return nil, err
	}
	out := &api.DescribeAvailabilityZonesOutput{}
	for _, z := range zonesOf(region) {
		named := len(in.ZoneNames) == 0 && len(in.ZoneIds) == 0 || contains(in.ZoneNames, z.Name) || contains(in.ZoneIds, z.ID)
		if named && m.match(z) {
			out.AvailabilityZones = append(out.AvailabilityZones, z.view())
		}
	}
	return out, nil
}

func (z zone) view() api.AvailabilityZone {
	return api.AvailabilityZone{
		ZoneName: z.Name, ZoneId: z.ID, RegionName: z.region.Name, State: "available", ZoneType: "availability-zone",
		OptInStatus: "opt-in-not-required", GroupName: z.groupName(), GroupLongName: z.region.Long + " 1",
		NetworkBorderGroup: z.region.Name, Messages: []api.AvailabilityZoneMessage{},
	}
}

// accountAttributes are what DescribeAccountAttributes knows.
func (s *Service) accountAttributes(scope arn.Scope) []api.AccountAttribute {
	value := func(v string) []api.AccountAttributeValue { return []api.AccountAttributeValue{{AttributeValue: v}} }
	return []api.AccountAttribute{
		{AttributeName: "supported-platforms", AttributeValues: value("VPC")},
		{AttributeName: "default-vpc", AttributeValues: value(s.network(scope).VPC)},
		{AttributeName: "max-instances", AttributeValues: value(itoa(s.maxInstances()))},
		{AttributeName: "vpc-max-security-groups-per-interface", AttributeValues: value(itoa(maxGroupsPerInterface))},
		{AttributeName: "max-elastic-ips", AttributeValues: value(itoa(s.maxElastic()))},
		{AttributeName: "vpc-max-elastic-ips", AttributeValues: value(itoa(s.maxElastic()))},
	}
}

// DescribeAccountAttributes tells the account's limits and its default VPC.
func (s *Service) DescribeAccountAttributes(ctx context.Context, in *api.DescribeAccountAttributesInput) (*api.DescribeAccountAttributesOutput, error) {
	if err := dryRun(in.DryRun); err != nil {
		return nil, err
	}
	all := s.accountAttributes(auth.From(ctx).Scope)
	out := &api.DescribeAccountAttributesOutput{}
	known := map[string]bool{}
	for _, a := range all {
		known[a.AttributeName] = true
		if len(in.AttributeNames) == 0 || contains(in.AttributeNames, a.AttributeName) {
			out.AccountAttributes = append(out.AccountAttributes, a)
		}
	}
	if lost := missing(in.AttributeNames, func(n string) bool { return known[n] }); len(lost) > 0 {
		return nil, fault.New(fault.InvalidParameterValue, "Value (%s) for parameter attributeName is invalid.", clip(lost[0], 64))
	}
	return out, nil
}
