package organizations

import (
	"context"
	"errors"
	"strings"

	api "github.com/slipway/slipway/api/organizations"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// maxDepth is how many units may lie in one another ("Quotas for AWS Organizations").
const (
	maxDepth    = 5
	maxUnits    = 2000
	maxAccounts = 5000
)

// CreateOrganizationalUnit makes a unit.
func (s *Service) CreateOrganizationalUnit(ctx context.Context, in *api.CreateOrganizationalUnitInput) (*api.CreateOrganizationalUnitOutput, error) {
	call := auth.From(ctx)
	tags, err := mergeTags(ctx, nil, in.Tags)
	if err != nil {
		return nil, err
	}
	var out *api.OrganizationalUnit
	err = s.update(ctx, managed, func(tx store.Tx, o *organization) error {
		path, err := pathOf(tx, o, in.ParentId)
		if err != nil {
			return missing(err, fault.ParentNotFound, "You specified a parent that doesn't exist.")
		}
		u := &unit{
			ID:   "ou-" + strings.TrimPrefix(o.Root, "r-") + "-" + idFrom(call.Token, 8),
			Name: in.Name, Parent: in.ParentId, Tags: tags, Token: call.Token,
		}
		out = u.api(o, path)
		if have, err := units.Get(tx, o.ID+"/"+u.ID); err == nil && have.Token == call.Token && call.Token != "" {
			return nil
		}
		if len(path) > maxDepth {
			return breaks("OU_DEPTH_LIMIT_EXCEEDED", "You have exceeded the allowed depth of organizational units.")
		}
		if err := nameIsFree(tx, o, in.ParentId, in.Name, ""); err != nil {
			return err
		}
		if err := units.Put(tx, o.ID+"/"+u.ID, u); err != nil {
			return err
		}
		return attachDefault(tx, o, u.ID)
	})
	if err != nil {
		return nil, err
	}
	return &api.CreateOrganizationalUnitOutput{OrganizationalUnit: out}, nil
}

func nameIsFree(tx store.Tx, o *organization, parent, name, but string) error {
	n := 0
	for e, err := range units.Scan(tx, o.ID+"/") {
		if err != nil {
			return err
		}
		if n++; e.Value.Parent == parent && e.Value.Name == name && e.Value.ID != but {
			return fault.New(fault.DuplicateOrganizationalUnit, "An OU with the same name already exists.")
		}
	}
	if but == "" && n >= maxUnits {
		return breaks("OU_NUMBER_LIMIT_EXCEEDED", "You have exceeded the number of organizational units in an organization.")
	}
	return nil
}

// api describes a unit below the path of its parents.
func (u *unit) api(o *organization, path []string) *api.OrganizationalUnit {
	return &api.OrganizationalUnit{Id: u.ID, Arn: o.arnOf("ou", u.ID), Name: u.Name, Path: pathText(o, path, u.ID)}
}

func unitOf(tx store.Tx, o *organization, id string) (*unit, error) {
	u, err := units.Get(tx, o.ID+"/"+id)
	return u, missing(err, fault.OrganizationalUnitNotFound, "You specified an organizational unit that doesn't exist.")
}

// DescribeOrganizationalUnit describes a unit.
func (s *Service) DescribeOrganizationalUnit(ctx context.Context, in *api.DescribeOrganizationalUnitInput) (*api.DescribeOrganizationalUnitOutput, error) {
	out := &api.DescribeOrganizationalUnitOutput{}
	err := s.view(ctx, readable, func(tx store.Tx, o *organization) error {
		u, err := unitOf(tx, o, in.OrganizationalUnitId)
		if err != nil {
			return err
		}
		path, err := pathOf(tx, o, u.Parent)
		out.OrganizationalUnit = u.api(o, path)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// UpdateOrganizationalUnit renames a unit.
func (s *Service) UpdateOrganizationalUnit(ctx context.Context, in *api.UpdateOrganizationalUnitInput) (*api.UpdateOrganizationalUnitOutput, error) {
	out := &api.UpdateOrganizationalUnitOutput{}
	err := s.update(ctx, managed, func(tx store.Tx, o *organization) error {
		u, err := unitOf(tx, o, in.OrganizationalUnitId)
		if err != nil {
			return err
		}
		path, err := pathOf(tx, o, u.Parent)
		if err != nil {
			return err
		}
		if in.Name != "" {
			if err := nameIsFree(tx, o, u.Parent, in.Name, u.ID); err != nil {
				return err
			}
			u.Name = in.Name
		}
		out.OrganizationalUnit = u.api(o, path)
		return units.Put(tx, o.ID+"/"+u.ID, u)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// DeleteOrganizationalUnit removes a unit that has nothing in it.
func (s *Service) DeleteOrganizationalUnit(ctx context.Context, in *api.DeleteOrganizationalUnitInput) (*api.DeleteOrganizationalUnitOutput, error) {
	err := s.update(ctx, managed, func(tx store.Tx, o *organization) error {
		u, err := unitOf(tx, o, in.OrganizationalUnitId)
		if err != nil {
			return err
		}
		notEmpty := fault.New(fault.OrganizationalUnitNotEmpty, "The specified OU is not empty. Move all accounts to another root or to other OUs, remove all child OUs, and try the operation again.")
		for e, err := range units.Scan(tx, o.ID+"/") {
			if err != nil {
				return err
			}
			if e.Value.Parent == u.ID {
				return notEmpty
			}
		}
		for e, err := range accounts.Scan(tx, o.ID+"/") {
			if err != nil {
				return err
			}
			if e.Value.Parent == u.ID {
				return notEmpty
			}
		}
		if err := detachAll(tx, o, u.ID); err != nil {
			return err
		}
		return units.Delete(tx, o.ID+"/"+u.ID)
	})
	if err != nil {
		return nil, err
	}
	return &api.DeleteOrganizationalUnitOutput{}, nil
}

// ListOrganizationalUnitsForParent lists the units directly in a parent.
func (s *Service) ListOrganizationalUnitsForParent(ctx context.Context, in *api.ListOrganizationalUnitsForParentInput) (*api.ListOrganizationalUnitsForParentOutput, error) {
	out := &api.ListOrganizationalUnitsForParentOutput{OrganizationalUnits: []api.OrganizationalUnit{}}
	err := s.view(ctx, readable, func(tx store.Tx, o *organization) error {
		path, err := pathOf(tx, o, in.ParentId)
		if err != nil {
			return missing(err, fault.ParentNotFound, "You specified parent that doesn't exist.")
		}
		page, next, err := pageOf(tx, units, o.ID+"/", in.NextToken, in.MaxResults, func(u *unit) bool { return u.Parent == in.ParentId })
		for _, u := range page {
			out.OrganizationalUnits = append(out.OrganizationalUnits, *u.api(o, path))
		}
		out.NextToken = next
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// ListParents tells the parent of a unit or account.
func (s *Service) ListParents(ctx context.Context, in *api.ListParentsInput) (*api.ListParentsOutput, error) {
	out := &api.ListParentsOutput{}
	err := s.view(ctx, readable, func(tx store.Tx, o *organization) error {
		parent, err := parentOf(tx, o, in.ChildId)
		if errors.Is(err, store.ErrNotFound) || parent == "" && err == nil {
			return fault.New(fault.ChildNotFound, "You specified a child that doesn't exist.")
		}
		kind := api.ParentTypeOrganizationalUnit
		if parent == o.Root {
			kind = api.ParentTypeRoot
		}
		out.Parents = []api.Parent{{Id: parent, Type: kind}}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// parentOf is the parent of a unit or an account; "" of the root.
func parentOf(tx store.Tx, o *organization, child string) (string, error) {
	switch {
	case child == o.Root:
		return "", nil
	case strings.HasPrefix(child, "ou-"):
		u, err := units.Get(tx, o.ID+"/"+child)
		if err != nil {
			return "", err
		}
		return u.Parent, nil
	}
	a, err := accounts.Get(tx, o.ID+"/"+child)
	if err != nil {
		return "", err
	}
	return a.Parent, nil
}

// ListChildren lists the units or the accounts directly in a parent.
func (s *Service) ListChildren(ctx context.Context, in *api.ListChildrenInput) (*api.ListChildrenOutput, error) {
	out := &api.ListChildrenOutput{Children: []api.Child{}}
	err := s.view(ctx, readable, func(tx store.Tx, o *organization) error {
		if ok, err := isParent(tx, o, in.ParentId); err != nil || !ok {
			return missing(cmpErr(err, ok), fault.ParentNotFound, "You specified parent that doesn't exist.")
		}
		var err error
		if in.ChildType == api.ChildTypeAccount {
			var page []*account
			page, out.NextToken, err = pageOf(tx, accounts, o.ID+"/", in.NextToken, in.MaxResults, func(a *account) bool { return a.Parent == in.ParentId })
			for _, a := range page {
				out.Children = append(out.Children, api.Child{Id: a.ID, Type: in.ChildType})
			}
			return err
		}
		var page []*unit
		page, out.NextToken, err = pageOf(tx, units, o.ID+"/", in.NextToken, in.MaxResults, func(u *unit) bool { return u.Parent == in.ParentId })
		for _, u := range page {
			out.Children = append(out.Children, api.Child{Id: u.ID, Type: in.ChildType})
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// cmpErr is err, or ErrNotFound where a look-up found nothing.
func cmpErr(err error, found bool) error {
	if err == nil && !found {
		return store.ErrNotFound
	}
	return err
}
