package ec2

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// Limits of network ACLs ("Amazon VPC quotas").
const (
	maxACLs       = 200 // of a VPC
	maxACLEntries = 40  // of one direction
	lastRule      = 32767
)

// networkACL is a network ACL. A VPC's default one has no record until its entries
// are changed. Which subnets have it stands in the subnets' records.
type networkACL struct {
	ID      string     `json:"id"`
	VPC     string     `json:"vpc"`
	Default bool       `json:"default,omitempty"`
	Entries []aclEntry `json:"entries"` // without the last of each direction, which denies
	Hash    string     `json:"hash,omitempty"`
}

var networkACLs = noun[networkACL]{
	prefix: prefixACL, kept: store.NewCollection[networkACL]("ec2/networkacl"), id: func(a *networkACL) string { return a.ID },
}

// allACLs lists a scope's network ACLs, the default ones of all VPCs too.
func (s *Service) allACLs(tx store.Tx, scope arn.Scope) ([]*networkACL, error) {
	out, err := networkACLs.all(s, tx, scope)
	if err != nil {
		return nil, err
	}
	all, err := vpcs.all(s, tx, scope)
	if err != nil {
		return nil, err
	}
	for _, v := range all {
		if !slices.ContainsFunc(out, func(a *networkACL) bool { return a.ID == v.ACL }) {
			out = append(out, defaultACL(v))
		}
	}
	return out, nil
}

// defaultACL lets everything pass, until someone changes it.
func defaultACL(v *vpc) *networkACL {
	a := &networkACL{ID: v.ACL, VPC: v.ID, Default: true}
	for _, egress := range []bool{true, false} {
		a.Entries = append(a.Entries, aclEntry{Number: 100, Egress: egress, Protocol: "-1", CIDR: "0.0.0.0/0", Allow: true})
	}
	return a
}

func (s *Service) aclByID(tx store.Tx, scope arn.Scope, id string) (*networkACL, error) {
	if err := checkID(prefixACL, id); err != nil {
		return nil, err
	}
	a, err := networkACLs.kept.Get(tx, networkACLs.key(scope, id))
	if !errors.Is(err, store.ErrNotFound) {
		return a, err
	}
	all, err := s.allACLs(tx, scope)
	if err != nil {
		return nil, err
	}
	for _, a := range all {
		if a.ID == id {
			return a, nil
		}
	}
	return nil, notFound(prefixACL, id)
}

// aclOf is the network ACL that a subnet has, and the id of its association.
func (n *subnet) aclOf(v *vpc) (acl, association string) {
	if n.ACL == "" {
		return v.ACL, arn.IDFrom(prefixACLAssoc, n.ID)
	}
	return n.ACL, n.ACLAssociation
}

// CreateNetworkAcl makes a network ACL that lets nothing pass.
func (s *Service) CreateNetworkAcl(ctx context.Context, in *api.CreateNetworkAclInput) (*api.CreateNetworkAclOutput, error) {
	call := auth.From(ctx)
	if err := s.routed(); err != nil {
		return nil, err
	}
	tags, err := specTags(call, in.TagSpecifications, "network-acl")
	if err != nil {
		return nil, err
	}
	a := &networkACL{ID: newID(call, prefixACL, "acl"), VPC: in.VpcId}
	if in.ClientToken != "" {
		a.ID, a.Hash = arn.IDFrom(prefixACL, call.Scope.Key()+"/client/"+in.ClientToken), arn.Hash(in.VpcId)
	}
	err = s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		if old, err := networkACLs.kept.Get(tx, networkACLs.key(call.Scope, a.ID)); in.ClientToken != "" && err == nil {
			if old.Hash != a.Hash {
				return fault.New(fault.IdempotentParameterMatch, "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).")
			}
			return nil
		}
		if _, err := vpcs.get(s, tx, call.Scope, in.VpcId); err != nil {
			return err
		}
		mates, err := networkACLs.which(s, tx, call.Scope, func(o *networkACL) bool { return o.VPC == in.VpcId })
		if err != nil {
			return err
		}
		if len(mates) >= maxACLs {
			return fault.New(fault.NetworkACLLimitExceeded, "The maximum number of network ACLs has been reached.")
		}
		_, err = networkACLs.made(tx, call, a, tags)
		return firstError(err, dryRun(in.DryRun))
	})
	if err != nil {
		return nil, err
	}
	out, err := s.DescribeNetworkAcls(ctx, &api.DescribeNetworkAclsInput{NetworkAclIds: []string{a.ID}})
	if err != nil {
		return nil, err
	}
	return &api.CreateNetworkAclOutput{NetworkAcl: &out.NetworkAcls[0], ClientToken: in.ClientToken}, nil
}

// DeleteNetworkAcl removes a network ACL that no subnet has.
func (s *Service) DeleteNetworkAcl(ctx context.Context, in *api.DeleteNetworkAclInput) (*api.DeleteNetworkAclOutput, error) {
	scope := auth.From(ctx).Scope
	err := s.update(ctx, func(tx store.Tx) error {
		a, err := s.aclByID(tx, scope, in.NetworkAclId)
		if err != nil {
			return err
		}
		if a.Default {
			return fault.New(fault.InvalidParameterValue, "cannot delete default network ACL %s", a.ID)
		}
		used, err := subnets.which(s, tx, scope, func(n *subnet) bool { return n.ACL == a.ID })
		if err != nil {
			return err
		}
		if len(used) > 0 {
			return fault.New(fault.DependencyViolation, "The networkAcl '%s' has dependencies and cannot be deleted.", a.ID)
		}
		return firstError(networkACLs.remove(tx, scope, a.ID), dryRun(in.DryRun))
	})
	if err != nil {
		return nil, err
	}
	return &api.DeleteNetworkAclOutput{}, nil
}

// ReplaceNetworkAclAssociation gives a subnet another network ACL, which is in
// force when it answers.
func (s *Service) ReplaceNetworkAclAssociation(ctx context.Context, in *api.ReplaceNetworkAclAssociationInput) (*api.ReplaceNetworkAclAssociationOutput, error) {
	call := auth.From(ctx)
	id := newID(call, prefixACLAssoc, in.AssociationId+in.NetworkAclId)
	err := s.update(ctx, func(tx store.Tx) error {
		a, err := s.aclByID(tx, call.Scope, in.NetworkAclId)
		if err != nil {
			return err
		}
		n, err := s.subnetByACL(tx, call.Scope, in.AssociationId, id)
		if err != nil {
			return err
		}
		if n.VPC != a.VPC {
			return fault.New(fault.InvalidParameterValue, "The network ACL '%s' and the subnet '%s' belong to different VPCs", a.ID, n.ID)
		}
		n.ACL, n.ACLAssociation = a.ID, id
		return firstError(subnets.put(tx, call.Scope, n), dryRun(in.DryRun))
	})
	if err != nil {
		return nil, err
	}
	return &api.ReplaceNetworkAclAssociationOutput{NewAssociationId: id}, nil
}

// subnetByACL finds a subnet by its association with a network ACL, or by the one
// that this step gave it the first time.
func (s *Service) subnetByACL(tx store.Tx, scope arn.Scope, association, again string) (*subnet, error) {
	if !wellFormed(prefixACLAssoc, association) {
		return nil, fault.New("InvalidNetworkAclAssociationId.Malformed", "Invalid id: %q", clip(association, 64))
	}
	all, err := subnets.all(s, tx, scope)
	if err != nil {
		return nil, err
	}
	for _, n := range all {
		if _, has := n.aclOf(&vpc{}); has == association || has == again {
			return n, nil
		}
	}
	return nil, fault.New(fault.InvalidAssociationIDNotFound, "The association ID '%s' does not exist", association)
}

// aclView is a network ACL with the subnets that have it.
type aclView struct {
	*networkACL
	subnets []*subnet
	tags    tagMap
}

func (s *Service) aclViews(tx store.Tx, scope arn.Scope) ([]aclView, error) {
	all, err := s.allACLs(tx, scope)
	if err != nil {
		return nil, err
	}
	subs, err := subnets.all(s, tx, scope)
	if err != nil {
		return nil, err
	}
	tags, err := allTags(tx, scope, prefixACL)
	if err != nil {
		return nil, err
	}
	var out []aclView
	for _, a := range all {
		o := aclView{networkACL: a, tags: tags[a.ID]}
		for _, n := range subs {
			if n.ACL == a.ID || n.ACL == "" && a.Default && n.VPC == a.VPC {
				o.subnets = append(o.subnets, n)
			}
		}
		out = append(out, o)
	}
	slices.SortFunc(out, func(a, b aclView) int { return cmp.Compare(a.ID, b.ID) })
	return out, nil
}

// DescribeNetworkAcls lists the caller's network ACLs.
func (s *Service) DescribeNetworkAcls(ctx context.Context, in *api.DescribeNetworkAclsInput) (*api.DescribeNetworkAclsOutput, error) {
	scope := auth.From(ctx).Scope
	page, next, err := list(ctx, s, listing[aclView]{
		prefix: prefixACL, ids: in.NetworkAclIds, filters: in.Filters, fields: owned(scope, aclFields), dry: in.DryRun, token: in.NextToken, max: in.MaxResults,
		limits: pagesOf1000, id: func(v aclView) string { return v.ID }, load: s.aclViews,
	})
	if err != nil {
		return nil, err
	}
	out := &api.DescribeNetworkAclsOutput{NextToken: next, NetworkAcls: []api.NetworkAcl{}}
	for _, v := range page {
		o := api.NetworkAcl{
			NetworkAclId: v.ID, VpcId: v.VPC, OwnerId: scope.Account, IsDefault: ptr(v.Default), Tags: v.tags.list(),
			Associations: []api.NetworkAclAssociation{},
		}
		for _, e := range v.ordered() {
			o.Entries = append(o.Entries, e.view())
		}
		for _, n := range v.subnets {
			_, association := n.aclOf(&vpc{})
			o.Associations = append(o.Associations, api.NetworkAclAssociation{NetworkAclAssociationId: association, NetworkAclId: v.ID, SubnetId: n.ID})
		}
		out.NetworkAcls = append(out.NetworkAcls, o)
	}
	return out, nil
}

func aclFields(v aclView, name string) ([]string, bool) {
	if v.networkACL == nil {
		v.networkACL = &networkACL{}
	}
	each := func(read func(aclEntry) string) ([]string, bool) {
		var out []string
		for _, e := range v.ordered() {
			if text := read(e); text != "" {
				out = append(out, text)
			}
		}
		return out, true
	}
	number := func(p *int32) string {
		if p == nil {
			return ""
		}
		return itoa(int(*p))
	}
	switch name {
	case "association.association-id", "association.subnet-id":
		var out []string
		for _, n := range v.subnets {
			_, id := n.aclOf(&vpc{})
			out = append(out, map[bool]string{true: n.ID, false: id}[name == "association.subnet-id"])
		}
		return out, true
	case "association.network-acl-id", "network-acl-id":
		return one(v.ID)
	case "default":
		return oneBool(v.Default)
	case "entry.cidr":
		return each(func(e aclEntry) string { return e.CIDR })
	case "entry.ipv6-cidr":
		return each(func(e aclEntry) string { return e.CIDR6 })
	case "entry.protocol":
		return each(func(e aclEntry) string { return e.Protocol })
	case "entry.rule-action":
		return each(aclEntry.action)
	case "entry.egress":
		return each(func(e aclEntry) string { return strconv.FormatBool(e.Egress) })
	case "entry.rule-number":
		return each(func(e aclEntry) string { return itoa(int(e.Number)) })
	case "entry.icmp.code":
		return each(func(e aclEntry) string { return number(e.Code) })
	case "entry.icmp.type":
		return each(func(e aclEntry) string { return number(e.Type) })
	case "entry.port-range.from":
		return each(func(e aclEntry) string { return number(e.From) })
	case "entry.port-range.to":
		return each(func(e aclEntry) string { return number(e.To) })
	case "vpc-id":
		return one(v.VPC)
	}
	return tagFields(v.tags, name)
}
