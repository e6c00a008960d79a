package ec2

import (
	"context"
	"errors"
	"strings"
	"unicode/utf8"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// Limits of security groups ("Amazon VPC quotas").
const (
	maxGroups             = 2500
	maxGroupName          = 255
	maxGroupsPerInterface = 5
	defaultGroupName      = "default"
)

// group is a security group.
type group struct {
	Scope       arn.Scope `json:"scope"`
	ID          string    `json:"id"`
	Name        string    `json:"name"`
	Description string    `json:"description"`
	VPC         string    `json:"vpc"`
	Rules       []rule    `json:"rules,omitempty"`
	Token       string    `json:"token,omitempty"`
}

var groups = store.NewCollection("ec2/group",
	store.Index[group]{Name: "name", Keys: func(_ string, g *group) []string { return []string{g.Scope.Key() + "/" + g.Name} }},
	store.Index[group]{Name: "rule", Keys: func(_ string, g *group) []string {
		var ids []string
		for _, r := range g.Rules {
			ids = append(ids, g.Scope.Key()+"/"+r.ID)
		}
		return ids
	}},
	// "refers": the groups that the rules let in or out.
	store.Index[group]{Name: "refers", Keys: func(_ string, g *group) []string {
		seen := map[string]bool{}
		var ids []string
		for _, r := range g.Rules {
			if r.Group != "" && r.Group != g.ID && !seen[r.Group] {
				seen[r.Group] = true
				ids = append(ids, g.Scope.Key()+"/"+r.Group)
			}
		}
		return ids
	}},
)

func groupKey(scope arn.Scope, id string) string { return scope.Key() + "/" + id }

// standardGroup is a VPC's default group: its members reach each other, and
// everything outside.
func standardGroup(scope arn.Scope, id, vpc string) *group {
	return &group{
		Scope: scope, ID: id, Name: defaultGroupName, Description: "default VPC security group", VPC: vpc,
		Rules: []rule{
			{ID: arn.IDFrom(prefixRule, id+"/in"), Protocol: "-1", From: -1, To: -1, Group: id},
			{ID: arn.IDFrom(prefixRule, id+"/out"), Egress: true, Protocol: "-1", From: -1, To: -1, CIDR: "0.0.0.0/0"},
		},
	}
}

// defaultGroup is the default VPC's default group before anyone changed it: its
// members reach each other, and everything outside.
func (n network) defaultGroup() *group {
	seed := "ec2/default/" + n.Scope.Key() + "/sgr/"
	g := standardGroup(n.Scope, n.Group, n.VPC)
	g.Rules[0].ID, g.Rules[1].ID = arn.IDFrom(prefixRule, seed+"in"), arn.IDFrom(prefixRule, seed+"out")
	return g
}

// groupByID finds a group, the default one included.
func (s *Service) groupByID(tx store.Tx, scope arn.Scope, id string) (*group, error) {
	if err := checkID(prefixGroup, id); err != nil {
		return nil, err
	}
	g, err := groups.Get(tx, groupKey(scope, id))
	if errors.Is(err, store.ErrNotFound) {
		if n := s.network(scope); id == n.Group {
			return n.defaultGroup(), nil
		}
		return nil, notFound(prefixGroup, id)
	}
	return g, err
}

// groupByName finds a group of a VPC; "" is the default VPC.
func (s *Service) groupByName(tx store.Tx, scope arn.Scope, vpc, name string) (*group, error) {
	n := s.network(scope)
	if vpc == "" {
		vpc = n.VPC
	}
	for e, err := range groups.ByIndex(tx, "name", scope.Key()+"/"+name) {
		if err != nil || e.Value.VPC == vpc {
			return e.Value, err
		}
	}
	if name == defaultGroupName && vpc == n.VPC {
		return n.defaultGroup(), nil
	}
	which := "VPC"
	if vpc == n.VPC {
		which = "default VPC"
	}
	return nil, fault.New(fault.InvalidGroupNotFound, "The security group '%s' does not exist in %s '%s'", clip(name, maxGroupName), which, vpc)
}

// groupBy finds a group by id or, where that is empty, by name.
func (s *Service) groupBy(tx store.Tx, scope arn.Scope, id, name string) (*group, error) {
	switch {
	case id != "":
		return s.groupByID(tx, scope, id)
	case name != "":
		return s.groupByName(tx, scope, "", name)
	}
	return nil, fault.New(fault.MissingParameter, "The request must contain the parameter groupName or groupId")
}

// allGroups lists the groups of a scope, the default one first.
func (s *Service) allGroups(tx store.Tx, scope arn.Scope) ([]*group, error) {
	n := s.network(scope)
	out := []*group{n.defaultGroup()}
	for e, err := range groups.Scan(tx, scope.Key()+"/") {
		if err != nil {
			return nil, err
		}
		if e.Value.ID == n.Group {
			out[0] = e.Value
			continue
		}
		out = append(out, e.Value)
	}
	return out, nil
}

func checkGroupText(parameter, s string) error {
	if n := utf8.RuneCountInString(s); n == 0 || n > maxGroupName {
		return fault.New(fault.InvalidParameterValue, "Value (%s) for parameter %s is invalid. It must be 1 to %d characters long.", clip(s, 64), parameter, maxGroupName)
	}
	for _, c := range s {
		ok := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune(" ._-:/()#,@[]+=&;{}!$*", c)
		if !ok {
			return fault.New(fault.InvalidParameterValue,
				"Value (%s) for parameter %s is invalid. Character sets beyond ASCII are not supported.", clip(s, 64), parameter)
		}
	}
	return nil
}

// CreateSecurityGroup makes a group that lets everything out and nothing in.
func (s *Service) CreateSecurityGroup(ctx context.Context, in *api.CreateSecurityGroupInput) (*api.CreateSecurityGroupOutput, error) {
	call := auth.From(ctx)
	vpc := s.network(call.Scope).VPC
	if in.VpcId != "" {
		vpc = in.VpcId
	}
	if err := checkGroupText("GroupName", in.GroupName); err != nil {
		return nil, err
	}
	if err := checkGroupText("GroupDescription", in.Description); err != nil {
		return nil, err
	}
	if strings.HasPrefix(strings.ToLower(in.GroupName), "sg-") {
		return nil, fault.New(fault.InvalidParameterValue, "Value (%s) for parameter GroupName is invalid. Group names may not be in the format sg-*.", in.GroupName)
	}
	tags, err := specTags(call, in.TagSpecifications, "security-group")
	if err != nil {
		return nil, err
	}
	g := &group{Scope: call.Scope, Name: in.GroupName, Description: in.Description, VPC: vpc, Token: call.Token}
	g.ID = newID(call, prefixGroup, "group")
	g.Rules = []rule{{ID: newID(call, prefixRule, "egress"), Egress: true, Protocol: "-1", From: -1, To: -1, CIDR: "0.0.0.0/0"}}
	err = s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		if _, err := vpcs.get(s, tx, call.Scope, vpc); err != nil {
			return err
		}
		if done, err := s.checkNewGroup(tx, g); done || err != nil {
			return err
		}
		if err := groups.Insert(tx, groupKey(g.Scope, g.ID), g); err != nil {
			return err
		}
		if err := putTags(tx, g.Scope, "security-group", g.ID, tags["security-group"]); err != nil {
			return err
		}
		return dryRun(in.DryRun)
	})
	if err != nil {
		return nil, err
	}
	return &api.CreateSecurityGroupOutput{
		GroupId: g.ID, SecurityGroupArn: g.arn(), Tags: tags["security-group"].list(),
	}, nil
}

// checkNewGroup refuses a second group of one name. done says that this durable
// step made the group already.
func (s *Service) checkNewGroup(tx store.Tx, g *group) (done bool, err error) {
	old, err := s.groupByName(tx, g.Scope, g.VPC, g.Name)
	switch {
	case err == nil && g.Token != "" && old.Token == g.Token:
		return true, nil
	case err == nil:
		return false, fault.New(fault.InvalidGroupDuplicate, "The security group '%s' already exists for VPC '%s'", g.Name, g.VPC)
	case !fault.Is(err, fault.InvalidGroupNotFound):
		return false, err
	}
	all, err := s.allGroups(tx, g.Scope)
	if err != nil {
		return false, err
	}
	if len(all) >= maxGroups {
		return false, fault.New(fault.SecurityGroupLimitExceeded, "The maximum number of security groups (%d) has been reached.", maxGroups)
	}
	return false, nil
}

func (g *group) arn() string { return g.Scope.ARN("ec2", "security-group/"+g.ID).String() }

// DeleteSecurityGroup removes a group that no instance and no other group uses.
func (s *Service) DeleteSecurityGroup(ctx context.Context, in *api.DeleteSecurityGroupInput) (*api.DeleteSecurityGroupOutput, error) {
	call := auth.From(ctx)
	var id string
	err := s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		g, err := s.groupBy(tx, call.Scope, in.GroupId, in.GroupName)
		if err != nil {
			return err
		}
		id = g.ID
		if g.Name == defaultGroupName {
			return fault.New(fault.CannotDelete, `the specified group: "%s" name: "default" cannot be deleted by a user`, g.ID)
		}
		used, err := s.groupUsed(tx, g)
		if err != nil {
			return err
		}
		if used {
			return fault.New(fault.DependencyViolation, "resource %s has a dependent object", g.ID)
		}
		for _, r := range g.Rules {
			if err := dropTags(tx, g.Scope, r.ID); err != nil {
				return err
			}
		}
		if err := errors.Join(dropTags(tx, g.Scope, g.ID), groups.Delete(tx, groupKey(g.Scope, g.ID))); err != nil {
			return err
		}
		return dryRun(in.DryRun)
	})
	if err != nil {
		return nil, err
	}
	return &api.DeleteSecurityGroupOutput{Return: ptr(true), GroupId: id}, nil
}

func (s *Service) groupUsed(tx store.Tx, g *group) (bool, error) {
	for _, err := range instances.ByIndex(tx, "group", groupKey(g.Scope, g.ID)) {
		return true, err
	}
	for _, err := range interfaces.kept.ByIndex(tx, "group", groupKey(g.Scope, g.ID)) {
		return true, err
	}
	for _, err := range groups.ByIndex(tx, "refers", groupKey(g.Scope, g.ID)) {
		return true, err
	}
	return false, nil
}
