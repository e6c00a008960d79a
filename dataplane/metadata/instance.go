package metadata

import (
	"context"
	"encoding/json"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/slipway/slipway/arn"
)

// Instance is all that the service says of one instance.
type Instance struct {
	ID             string
	Account        string
	Region         string
	Zone           string // us-east-1a
	ZoneID         string // use1-az1
	ImageID        string
	Type           string
	Reservation    string
	LaunchIndex    int
	Launched       time.Time
	PrivateIP      netip.Addr
	PrivateDNS     string
	PublicIP       netip.Addr // invalid without one
	PublicDNS      string
	MAC            string
	Interface      string // eni-…
	SubnetID       string
	SubnetCIDR     netip.Prefix
	VPCID          string
	VPCCIDR        netip.Prefix
	GroupIDs       []string
	GroupNames     []string
	KeyName        string // empty without a key pair
	PublicKey      string // in OpenSSH's form
	ProfileARN     string // of the instance profile; empty without one
	ProfileID      string
	Role           string // name of the profile's role; empty without one
	Tags           map[string]string
	UserData       []byte
	Enabled        bool // the metadata service answers this instance
	TokensRequired bool // version 1, without tokens, is refused
	HopLimit       int  // how many hosts pass a token on; 0 is no bound
	TagsEnabled    bool
}

// items are the paths that hold a value, below the version.
func (in Instance) items() map[string]string {
	items := map[string]string{}
	put := func(path, value string) {
		if value != "" {
			items[path] = value
		}
	}
	meta := func(path, value string) { put("meta-data/"+path, value) }
	meta("ami-id", in.ImageID)
	meta("ami-launch-index", strconv.Itoa(in.LaunchIndex))
	meta("hostname", in.PrivateDNS)
	meta("instance-action", "none")
	meta("instance-id", in.ID)
	meta("instance-life-cycle", "on-demand")
	meta("instance-type", in.Type)
	meta("local-hostname", in.PrivateDNS)
	meta("local-ipv4", in.PrivateIP.String())
	meta("mac", in.MAC)
	meta("placement/availability-zone", in.Zone)
	meta("placement/availability-zone-id", in.ZoneID)
	meta("placement/region", in.Region)
	meta("profile", "default-hvm")
	meta("reservation-id", in.Reservation)
	meta("security-groups", strings.Join(in.GroupNames, "\n"))
	meta("services/domain", "amazonaws.com")
	meta("services/partition", arn.Partition)
	meta("public-hostname", in.PublicDNS)
	if in.PublicIP.IsValid() {
		meta("public-ipv4", in.PublicIP.String())
	}
	in.networkItems(meta)
	if in.KeyName != "" {
		meta("public-keys", "0="+in.KeyName)
		meta("public-keys/0", "openssh-key")
		meta("public-keys/0/openssh-key", in.PublicKey)
	}
	if in.TagsEnabled {
		for k, v := range in.Tags {
			items["meta-data/tags/instance/"+k] = v
		}
	}
	if in.ProfileARN != "" {
		meta("iam/info", document(struct {
			Code               string
			LastUpdated        string
			InstanceProfileArn string
			InstanceProfileId  string
		}{"Success", stamp(in.Launched), in.ProfileARN, in.ProfileID}))
	}
	if in.Role != "" {
		meta("iam/security-credentials", in.Role)
	}
	meta("identity-credentials/ec2/info", document(struct {
		Code        string
		LastUpdated string
		AccountId   string
	}{"Success", stamp(in.Launched), in.Account}))
	meta("identity-credentials/ec2/security-credentials", "ec2-instance")
	put("dynamic/instance-identity/document", in.identityDocument())
	return items
}

func (in Instance) networkItems(meta func(path, value string)) {
	if in.MAC == "" {
		return
	}
	card := "network/interfaces/macs/" + in.MAC + "/"
	meta(card+"device-number", "0")
	meta(card+"interface-id", in.Interface)
	meta(card+"local-hostname", in.PrivateDNS)
	meta(card+"local-ipv4s", in.PrivateIP.String())
	meta(card+"mac", in.MAC)
	meta(card+"owner-id", in.Account)
	meta(card+"security-group-ids", strings.Join(in.GroupIDs, "\n"))
	meta(card+"security-groups", strings.Join(in.GroupNames, "\n"))
	meta(card+"subnet-id", in.SubnetID)
	meta(card+"vpc-id", in.VPCID)
	if in.SubnetCIDR.IsValid() {
		meta(card+"subnet-ipv4-cidr-block", in.SubnetCIDR.String())
	}
	if in.VPCCIDR.IsValid() {
		meta(card+"vpc-ipv4-cidr-block", in.VPCCIDR.String())
		meta(card+"vpc-ipv4-cidr-blocks", in.VPCCIDR.String())
	}
	if in.PublicIP.IsValid() {
		meta(card+"public-ipv4s", in.PublicIP.String())
		meta(card+"public-hostname", in.PublicDNS)
	}
}

// identityDocument is what software reads its account and region from. It is
// not signed: the paths of its signatures do not exist.
func (in Instance) identityDocument() string {
	return document(struct {
		AccountID        string `json:"accountId"`
		Architecture     string `json:"architecture"`
		AvailabilityZone string `json:"availabilityZone"`
		ImageID          string `json:"imageId"`
		InstanceID       string `json:"instanceId"`
		InstanceType     string `json:"instanceType"`
		PendingTime      string `json:"pendingTime"`
		PrivateIP        string `json:"privateIp"`
		Region           string `json:"region"`
		Version          string `json:"version"`
	}{in.Account, architecture, in.Zone, in.ImageID, in.ID, in.Type, stamp(in.Launched), in.PrivateIP.String(), in.Region, "2017-09-30"})
}

func document(v any) string {
	b, _ := json.MarshalIndent(v, "", "  ") // structs of strings always encode
	return string(b)
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// credentials are the paths whose values are made when they are asked for.
func (h *Handler) credentials(in Instance) map[string]func(context.Context) (string, error) {
	paths := map[string]func(context.Context) (string, error){
		"meta-data/identity-credentials/ec2/security-credentials/ec2-instance": func(ctx context.Context) (string, error) {
			return credentialDocument(h.source.IdentityCredentials(ctx, in.ID))
		},
	}
	if in.Role != "" {
		paths["meta-data/iam/security-credentials/"+in.Role] = func(ctx context.Context) (string, error) {
			return credentialDocument(h.source.RoleCredentials(ctx, in.ID))
		}
	}
	return paths
}

func credentialDocument(c Credentials, err error) (string, error) {
	if err != nil {
		return "", err
	}
	return document(struct {
		Code            string
		LastUpdated     string
		Type            string
		AccessKeyId     string
		SecretAccessKey string
		Token           string
		Expiration      string
	}{"Success", stamp(c.Issued), "AWS-HMAC", c.AccessKeyID, c.SecretAccessKey, c.SessionToken, stamp(c.Expiration)}), nil
}

// listing names what is directly below a path; a name that holds more ends
// with a slash.
func listing(items map[string]string, path string) string {
	prefix := path + "/"
	if path == "" {
		return "dynamic/\nmeta-data/\nuser-data"
	}
	names := map[string]bool{}
	for item := range items {
		rest, ok := strings.CutPrefix(item, prefix)
		if !ok {
			continue
		}
		name, below, more := strings.Cut(rest, "/")
		if more && below != "" {
			name += "/"
		}
		names[name] = true
	}
	list := make([]string, 0, len(names))
	for name := range names {
		if !names[name+"/"] {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return strings.Join(list, "\n")
}
