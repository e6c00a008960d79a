package ec2

import (
	"context"
	"errors"
	"net/netip"
	"strings"

	"github.com/slipway/slipway/dataplane/metadata"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

var _ metadata.Source = (*Service)(nil)

// errNoInstance is what the metadata service asks about and is not there.
var errNoInstance = errors.New("ec2: no such instance")

// Lookup finds the instance that has a private address, for the metadata
// service. An instance asks before its record says that it runs.
func (s *Service) Lookup(ctx context.Context, remote netip.Addr) (metadata.Instance, bool, error) {
	if !remote.Is4() {
		return metadata.Instance{}, false, nil
	}
	var out metadata.Instance
	var in *instance
	err := s.cfg.Store.View(ctx, func(tx store.Tx) error {
		in = nil
		c, err := claimOf(tx, remote)
		if err != nil || c == nil || !strings.HasPrefix(c.Owner, prefixInstance) {
			return err
		}
		found, err := instances.Get(tx, instanceKey(c.Scope, c.Owner))
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil || found.Private != remote || found.State == terminated {
			return err
		}
		views, err := s.views(tx, c.Scope, []*instance{found})
		if err != nil {
			return err
		}
		in, out = found, s.metadataOf(views[0])
		return nil
	})
	if err != nil || in == nil {
		return metadata.Instance{}, false, err
	}
	if in.Profile != nil {
		role, err := s.roleOf(ctx, in)
		if err != nil {
			return metadata.Instance{}, false, err
		}
		out.Role = role[strings.LastIndexByte(role, '/')+1:]
	}
	return out, true, nil
}

// metadataOf is all that the metadata service says of an instance, but for the role.
func (s *Service) metadataOf(v instanceView) metadata.Instance {
	out := metadata.Instance{
		ID: v.ID, Account: v.Scope.Account, Region: v.Scope.Region, Zone: v.Zone, ZoneID: zoneID(v.Zone),
		ImageID: v.Image, Type: v.Type, Reservation: v.Reservation, LaunchIndex: int(v.Index), Launched: v.Launched,
		PrivateIP: v.Private, PrivateDNS: privateDNS(v.Scope.Region, v.Private),
		PublicIP: v.public(), PublicDNS: publicDNS(v.Scope.Region, v.public()),
		MAC: macOf(v.Private), Interface: v.Interface, SubnetID: v.Subnet, SubnetCIDR: v.subnetCIDR, VPCID: v.VPC, VPCCIDR: v.vpcCIDR,
		KeyName: v.Key, PublicKey: v.PublicKey, UserData: v.UserData, Tags: map[string]string{},
		Enabled: v.Metadata.Endpoint == "enabled", TokensRequired: v.Metadata.Tokens == "required", HopLimit: int(v.Metadata.HopLimit), TagsEnabled: v.Metadata.Tags == "enabled",
	}
	for _, g := range v.groups {
		out.GroupIDs, out.GroupNames = append(out.GroupIDs, g.GroupId), append(out.GroupNames, g.GroupName)
	}
	for k, t := range v.tags {
		out.Tags[k] = t
	}
	if v.Profile != nil {
		out.ProfileARN, out.ProfileID = v.Profile.ARN, v.Profile.ID
	}
	return out
}

// roleOf is the ARN of the role that the instance's profile has now, "" where
// profile or role are gone.
func (s *Service) roleOf(ctx context.Context, in *instance) (string, error) {
	_, role, err := s.findProfile(ctx, in.Scope, "", in.Profile.ARN)
	if _, refused := fault.As(err); refused {
		return "", nil
	}
	return role, err
}

// RoleCredentials are those of the role in an instance's profile.
func (s *Service) RoleCredentials(ctx context.Context, instanceID string) (metadata.Credentials, error) {
	in, err := s.living(ctx, instanceID)
	if err != nil {
		return metadata.Credentials{}, err
	}
	if in.Profile == nil || s.cfg.Credentials == nil {
		return metadata.Credentials{}, errors.New("ec2: the instance has no role")
	}
	role, err := s.roleOf(ctx, in)
	if err != nil {
		return metadata.Credentials{}, err
	}
	if role == "" {
		return metadata.Credentials{}, errors.New("ec2: the instance's profile has no role")
	}
	return s.cfg.Credentials(ctx, in.Scope, role, in.ID)
}

// IdentityCredentials prove which instance calls.
func (s *Service) IdentityCredentials(ctx context.Context, instanceID string) (metadata.Credentials, error) {
	in, err := s.living(ctx, instanceID)
	if err != nil {
		return metadata.Credentials{}, err
	}
	if s.cfg.Identity == nil {
		return metadata.Credentials{}, errors.New("ec2: no source of identity credentials")
	}
	return s.cfg.Identity(ctx, in.Scope, in.ID)
}

// living finds an instance that is not terminated, in whatever scope.
func (s *Service) living(ctx context.Context, id string) (*instance, error) {
	var in *instance
	err := s.cfg.Store.View(ctx, func(tx store.Tx) error {
		in = nil
		for e, err := range instances.ByIndex(tx, "id", id) {
			if err != nil {
				return err
			}
			if e.Value.State != terminated {
				in = e.Value
			}
		}
		return nil
	})
	if err == nil && in == nil {
		err = errNoInstance
	}
	return in, err
}
