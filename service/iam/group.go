package iam

import (
	"context"
	"slices"
	"strings"
	"time"

	api "github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// group is a stored group; its members are kept with the users.
type group struct {
	Name    string
	Path    string
	ID      string
	Created time.Time
	Token   string `json:",omitempty"`
	grants
}

var groups = noun[group]{
	store.NewCollection("iam/group", store.Index[group]{Name: "policy", Keys: func(key string, g *group) []string { return g.policyKeys(key, "") }}),
	"Group", "The group with name %s cannot be found.", "groupName", 128,
	func(g *group) string { return g.Name }, "GroupsPerAccount", 300,
}

const maxGroups = 10

func groupKeys(userKey string, names []string) []string {
	account, _, _ := strings.Cut(userKey, "/")
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = nounKey(account, n)
	}
	return out
}

func (g *group) api(account string) *api.Group {
	return &api.Group{Path: g.Path, GroupName: g.Name, GroupId: g.ID, Arn: globalARN(account, "group"+g.Path+g.Name), CreateDate: &g.Created}
}

// CreateGroup makes a group.
func (s *Service) CreateGroup(ctx context.Context, in *api.CreateGroupInput) (*api.CreateGroupOutput, error) {
	path, err := checkPath(in.Path)
	if err != nil {
		return nil, err
	}
	call := auth.From(ctx)
	g := &group{Name: in.GroupName, Path: path, ID: auth.UniqueID("AGPA", 17), Created: s.now().UTC().Truncate(time.Second), Token: call.Token}
	g, err = create(ctx, s, groups, in.GroupName, g, func(g *group) string { return g.Token })
	if err != nil {
		return nil, err
	}
	return &api.CreateGroupOutput{Group: g.api(call.Scope.Account)}, nil
}

func members(tx store.Tx, account, name string) ([]*user, error) {
	var out []*user
	for e, err := range users.ByIndex(tx, "group", nounKey(account, name)) {
		if err != nil {
			return nil, err
		}
		out = append(out, e.Value)
	}
	return out, nil
}

// GetGroup describes a group and its members.
func (s *Service) GetGroup(ctx context.Context, in *api.GetGroupInput) (*api.GetGroupOutput, error) {
	account := auth.From(ctx).Scope.Account
	out := &api.GetGroupOutput{}
	byName := map[string]*user{}
	err := s.store.View(ctx, func(tx store.Tx) error {
		clear(byName)
		g, err := groups.find(tx, account, in.GroupName)
		if err != nil {
			return err
		}
		out.Group = g.api(account)
		us, err := members(tx, account, g.Name)
		for _, u := range us {
			byName[u.Name] = u
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	page, next := pageOf(sortedNames(byName), in.Marker, in.MaxItems)
	out.Users, out.Marker, out.IsTruncated = []api.User{}, next, new(next != "")
	for _, n := range page {
		o := byName[n].api(account)
		o.Tags, o.PermissionsBoundary = nil, nil
		out.Users = append(out.Users, *o)
	}
	return out, nil
}

// ListGroups lists the account's groups.
func (s *Service) ListGroups(ctx context.Context, in *api.ListGroupsInput) (*api.ListGroupsOutput, error) {
	items, next, err := list(ctx, s, groups, in.Marker, in.MaxItems, func(g *group) bool { return underPath(in.PathPrefix, g.Path) })
	if err != nil {
		return nil, err
	}
	out := &api.ListGroupsOutput{Groups: []api.Group{}, Marker: next, IsTruncated: new(next != "")}
	for _, g := range items {
		out.Groups = append(out.Groups, *g.api(auth.From(ctx).Scope.Account))
	}
	return out, nil
}

// ListGroupsForUser lists the groups that a user is in.
func (s *Service) ListGroupsForUser(ctx context.Context, in *api.ListGroupsForUserInput) (*api.ListGroupsForUserOutput, error) {
	account := auth.From(ctx).Scope.Account
	out := &api.ListGroupsForUserOutput{Groups: []api.Group{}}
	err := s.store.View(ctx, func(tx store.Tx) error {
		out.Groups = out.Groups[:0]
		u, err := users.find(tx, account, in.UserName)
		if err != nil {
			return err
		}
		page, next := pageOf(u.Groups, in.Marker, in.MaxItems)
		out.Marker, out.IsTruncated = next, new(next != "")
		for _, n := range page {
			g, err := groups.find(tx, account, n)
			if err != nil {
				return err
			}
			out.Groups = append(out.Groups, *g.api(account))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// AddUserToGroup makes a user a member; a member stays one.
func (s *Service) AddUserToGroup(ctx context.Context, in *api.AddUserToGroupInput) (*api.AddUserToGroupOutput, error) {
	account := auth.From(ctx).Scope.Account
	return &api.AddUserToGroupOutput{}, edit(ctx, s, users, in.UserName, func(tx store.Tx, u *user) error {
		g, err := groups.find(tx, account, in.GroupName)
		if err != nil {
			return err
		}
		i, found := slices.BinarySearch(u.Groups, g.Name)
		if found {
			return nil
		}
		if len(u.Groups) == maxGroups {
			return fault.New(fault.LimitExceeded, "Cannot exceed quota for GroupsPerUser: %d", maxGroups)
		}
		u.Groups = slices.Insert(u.Groups, i, g.Name)
		return nil
	})
}

// RemoveUserFromGroup ends a membership.
func (s *Service) RemoveUserFromGroup(ctx context.Context, in *api.RemoveUserFromGroupInput) (*api.RemoveUserFromGroupOutput, error) {
	account := auth.From(ctx).Scope.Account
	return &api.RemoveUserFromGroupOutput{}, edit(ctx, s, users, in.UserName, func(tx store.Tx, u *user) error {
		if _, err := groups.find(tx, account, in.GroupName); err != nil {
			return err
		}
		u.Groups = slices.DeleteFunc(u.Groups, func(n string) bool { return n == in.GroupName })
		return nil
	})
}

// DeleteGroup removes a group without members and policies.
func (s *Service) DeleteGroup(ctx context.Context, in *api.DeleteGroupInput) (*api.DeleteGroupOutput, error) {
	account := auth.From(ctx).Scope.Account
	return &api.DeleteGroupOutput{}, remove(ctx, s, groups, in.GroupName, func(tx store.Tx, g *group) error {
		us, err := members(tx, account, g.Name)
		if err != nil {
			return err
		}
		if len(us) > 0 {
			return fault.New(fault.DeleteConflict, "Cannot delete entity, must remove users from group first.")
		}
		return g.mayGo()
	})
}
