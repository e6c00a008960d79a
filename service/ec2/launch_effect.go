package ec2

import (
	"context"
	"strconv"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

var _ auth.Effects = (*Service)(nil)

// Effect tells package auth what a launch comes to. One that fails before it makes
// anything is authorized as it was sent.
func (s *Service) Effect(ctx context.Context, operation string, input any) (any, error) {
	in, ok := input.(*api.RunInstancesInput)
	if !ok || operation != "RunInstances" {
		return input, nil
	}
	l, err := s.launchEffect(ctx, in)
	if _, refused := fault.As(err); refused {
		return input, nil
	}
	if err != nil {
		return nil, err
	}
	return l, nil
}

func (s *Service) launchEffect(ctx context.Context, in *api.RunInstancesInput) (*auth.Launch, error) {
	merged, origin, err := s.templated(ctx, in)
	if err != nil {
		return nil, err
	}
	return s.launchOf(ctx, in, merged, origin)
}

// mayLaunch authorizes a launch by a template as what this very call makes of it:
// the template may have got another version, or another default one, since the call
// was let in.
func (s *Service) mayLaunch(ctx context.Context, in, merged *api.RunInstancesInput, origin tagMap) error {
	if origin == nil {
		return nil
	}
	l, err := s.launchOf(ctx, in, merged, origin)
	if err != nil {
		return err
	}
	call := auth.From(ctx)
	return auth.Ask(ctx, s.cfg.Authorizer, &call, l)
}

// launchOf is what a request comes to, with its template's data.
func (s *Service) launchOf(ctx context.Context, in, merged *api.RunInstancesInput, origin tagMap) (*auth.Launch, error) {
	call := auth.From(ctx)
	r, err := s.checkRun(ctx, call, merged)
	if err != nil {
		return nil, err
	}
	p, _, err := s.findProfile(ctx, call.Scope, r.profileName, r.profileARN)
	if err != nil {
		return nil, err
	}
	m := r.model
	l := &auth.Launch{Input: merged, Asked: in, Template: origin[templateIDTag]}
	err = s.cfg.Store.View(ctx, func(tx store.Tx) error {
		l.Resources = nil
		if err := s.resolveModel(tx, call.Scope, r, &m); err != nil {
			return err
		}
		l.Common = map[string]string{"availabilityzone": m.Zone, "availabilityzoneid": zoneID(m.Zone)}
		l.Resources = append(l.Resources, imageEffect(r.image), instanceEffect(&m, p))
		if m.Key != "" {
			k, err := keyPairByName(tx, call.Scope, m.Key)
			if err != nil {
				return err
			}
			l.Resources = append(l.Resources, auth.LaunchResource{Kind: "key-pair", ID: m.Key, Keys: map[string]string{"keypairname": m.Key, "keypairtype": k.Type}})
		}
		if l.Template != "" {
			l.Resources = append(l.Resources, auth.LaunchResource{Kind: "launch-template", ID: l.Template})
		}
		more, err := s.interfaceEffects(tx, r, &m)
		if err != nil {
			return err
		}
		disks, err := diskEffects(tx, s, call.Scope, r)
		l.Resources = append(append(l.Resources, more...), disks...)
		return err
	})
	return l, err
}

func imageEffect(img *image) auth.LaunchResource {
	owner := img.Scope.Account
	if owner == "" {
		owner = "amazon"
	}
	return auth.LaunchResource{Kind: "image", ID: img.ID, Keys: map[string]string{
		"imageid": img.ID, "imagetype": "machine", "owner": owner, "public": strconv.FormatBool(img.Shared.Public), "rootdevicetype": "ebs",
	}}
}

func instanceEffect(m *instance, p *profile) auth.LaunchResource {
	keys := map[string]string{
		"instancetype": m.Type, "tenancy": "default", "ebsoptimized": strconv.FormatBool(m.Optimized), "rootdevicetype": "ebs",
		"instancemarkettype": "on-demand", "metadatahttptokens": m.Metadata.Tokens, "metadatahttpendpoint": m.Metadata.Endpoint,
		"metadatahttpputresponsehoplimit": itoa(int(m.Metadata.HopLimit)),
	}
	if p != nil {
		keys["instanceprofile"] = p.ARN
	}
	return auth.LaunchResource{Kind: "instance", ID: "*", Keys: keys}
}

// interfaceEffects are a launch's interfaces with their subnets and groups.
func (s *Service) interfaceEffects(tx store.Tx, r *runRequest, m *instance) ([]auth.LaunchResource, error) {
	scope := m.Scope
	first := r.first
	first.subnet, first.groups = m.Subnet, m.Groups
	seen := map[string]bool{}
	var out []auth.LaunchResource
	add := func(kind, id string, keys map[string]string) {
		if id == "*" || !seen[id] {
			seen[id] = true
			out = append(out, auth.LaunchResource{Kind: kind, ID: id, Keys: keys})
		}
	}
	for n, w := range append([]nic{first}, r.further...) {
		id := "*"
		if w.subnet == "" {
			w.subnet = m.Subnet
		}
		if w.id != "" {
			i, err := s.freeInterface(tx, scope, w.id)
			if err != nil {
				return nil, err
			}
			id, w.subnet, w.groups = i.ID, i.Subnet, i.Groups
		}
		sub, err := subnets.get(s, tx, scope, w.subnet)
		if err != nil {
			return nil, err
		}
		if w.groups, err = s.resolveGroups(tx, scope, sub.VPC, w.groups, nil); err != nil {
			return nil, err
		}
		vpc, subnetARN := scope.ARN("ec2", "vpc/"+sub.VPC).String(), scope.ARN("ec2", "subnet/"+sub.ID).String()
		keys := map[string]string{"vpc": vpc, "subnet": subnetARN, "associatepublicipaddress": strconv.FormatBool(n == 0 && m.MapPublic && w.id == "")}
		if w.id != "" {
			keys["networkinterfaceid"] = w.id
		}
		add("network-interface", id, keys)
		add("subnet", sub.ID, map[string]string{"vpc": vpc, "subnetid": sub.ID})
		for _, g := range w.groups {
			add("security-group", g, map[string]string{"vpc": vpc, "securitygroupid": g})
		}
	}
	return out, nil
}

// diskEffects are a launch's volumes, and the snapshots that the request names for
// them. Those of the image come with the leave to use it.
func diskEffects(tx store.Tx, s *Service, scope arn.Scope, r *runRequest) ([]auth.LaunchResource, error) {
	var out []auth.LaunchResource
	for _, d := range r.disks {
		keys := map[string]string{"volumetype": d.Kind.Type, "volumesize": strconv.FormatInt(d.Kind.GiB, 10), "encrypted": "false"}
		if d.Kind.IOPS != nil {
			keys["volumeiops"] = itoa(int(*d.Kind.IOPS))
		}
		if d.Kind.Throughput != nil {
			keys["volumethroughput"] = itoa(int(*d.Kind.Throughput))
		}
		if d.Snapshot != "" {
			keys["parentsnapshot"] = arn.Scope{Region: scope.Region}.ARN("ec2", "snapshot/"+d.Snapshot).String()
		}
		out = append(out, auth.LaunchResource{Kind: "volume", ID: "*", Keys: keys})
	}
	for _, d := range r.mappings {
		if d.Snapshot == "" {
			continue
		}
		snap, err := s.usableSnapshot(tx, scope, d.Snapshot)
		if err != nil {
			return nil, err
		}
		out = append(out, auth.LaunchResource{Kind: "snapshot", ID: snap.ID, Keys: map[string]string{
			"snapshotid": snap.ID, "owner": snap.Scope.Account, "volumesize": strconv.FormatInt(snap.GiB, 10), "encrypted": "false",
			"parentvolume": scope.ARN("ec2", "volume/"+snap.Volume).String(),
		}})
	}
	return out, nil
}
