package iam

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

	api "github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/store"
)

// detailing fills one page of GetAccountAuthorizationDetails. The kinds follow
// one another; a marker is the number of a kind and a token of its listing.
type detailing struct {
	*Service
	tx      store.Tx
	account string
	room    int
	out     *api.GetAccountAuthorizationDetailsOutput
}

// detailKinds are the filters' values, in the order of the pages.
var detailKinds = []string{"User", "Group", "Role", "LocalManagedPolicy", "AWSManagedPolicy"}

// GetAccountAuthorizationDetails tells who there is and what they may do.
func (s *Service) GetAccountAuthorizationDetails(ctx context.Context, in *api.GetAccountAuthorizationDetailsInput) (*api.GetAccountAuthorizationDetailsOutput, error) {
	from, token := 0, ""
	if in.Marker != "" {
		kind, rest, ok := strings.Cut(in.Marker, ".")
		n, err := strconv.Atoi(kind)
		if !ok || err != nil || n < 0 || n >= len(detailKinds) {
			return nil, badMarker(in.Marker)
		}
		from, token = n, rest
	}
	var out *api.GetAccountAuthorizationDetailsOutput
	err := s.store.View(ctx, func(tx store.Tx) error {
		out = &api.GetAccountAuthorizationDetailsOutput{
			UserDetailList: []api.UserDetail{}, GroupDetailList: []api.GroupDetail{}, RoleDetailList: []api.RoleDetail{}, Policies: []api.ManagedPolicyDetail{},
		}
		d := &detailing{s, tx, auth.From(ctx).Scope.Account, pageSize(in.MaxItems), out}
		after := token
		for kind := from; kind < len(detailKinds); kind++ {
			if len(in.Filter) > 0 && !slices.Contains(in.Filter, detailKinds[kind]) {
				continue
			}
			if d.room == 0 {
				out.Marker = strconv.Itoa(kind) + "."
				break
			}
			next, err := d.fill(detailKinds[kind], after)
			if errors.Is(err, store.ErrBadToken) {
				return badMarker(in.Marker)
			}
			if err != nil {
				return err
			}
			if after = ""; next != "" {
				out.Marker = strconv.Itoa(kind) + "." + next
				break
			}
		}
		out.IsTruncated = new(out.Marker != "")
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (d *detailing) fill(kind, after string) (next string, err error) {
	switch kind {
	case "User":
		return each(d, users, after, d.user)
	case "Group":
		return each(d, groups, after, d.group)
	case "Role":
		return each(d, roles, after, d.role)
	case "LocalManagedPolicy":
		return each(d, policies, after, func(p *managed) error { return d.policy(known{managed: p}) })
	}
	return d.awsPolicies(after)
}

// each fills the page with entities of one noun.
func each[T any](d *detailing, n noun[T], after string, add func(*T) error) (next string, err error) {
	entries, next, err := n.Page(d.tx, d.account+"/", after, d.room, nil)
	if err != nil {
		return "", err
	}
	d.room -= len(entries)
	for _, e := range entries {
		if err := add(e.Value); err != nil {
			return "", err
		}
	}
	return next, nil
}

func (g *grants) details() (inline []api.PolicyDetail, attached []api.AttachedPolicy) {
	inline, attached = []api.PolicyDetail{}, []api.AttachedPolicy{}
	for _, name := range slices.Sorted(maps.Keys(g.Inline)) {
		inline = append(inline, api.PolicyDetail{PolicyName: name, PolicyDocument: escaped(g.Inline[name])})
	}
	for _, a := range g.Attached {
		_, name := splitPolicyARN(a)
		attached = append(attached, api.AttachedPolicy{PolicyArn: a, PolicyName: name})
	}
	return inline, attached
}

func (d *detailing) user(u *user) error {
	inline, attached := u.details()
	d.out.UserDetailList = append(d.out.UserDetailList, api.UserDetail{
		Path: u.Path, UserName: u.Name, UserId: u.ID, Arn: u.arn(d.account), CreateDate: &u.Created, UserPolicyList: inline,
		GroupList: append([]string{}, u.Groups...), AttachedManagedPolicies: attached, PermissionsBoundary: boundaryOf(u.Boundary), Tags: u.Tags,
	})
	return nil
}

func (d *detailing) group(g *group) error {
	inline, attached := g.details()
	o := g.api(d.account)
	d.out.GroupDetailList = append(d.out.GroupDetailList, api.GroupDetail{
		Path: o.Path, GroupName: o.GroupName, GroupId: o.GroupId, Arn: o.Arn, CreateDate: o.CreateDate, GroupPolicyList: inline, AttachedManagedPolicies: attached,
	})
	return nil
}

func (d *detailing) role(r *role) error {
	inline, attached := r.details()
	used, err := d.roleLastUsed(d.tx, r)
	if err != nil {
		return err
	}
	in := []api.InstanceProfile{}
	for e, err := range profiles.ByIndex(d.tx, "role", nounKey(d.account, r.Name)) {
		if err != nil {
			return err
		}
		p, err := e.Value.api(d.tx, d.account)
		if err != nil {
			return err
		}
		in = append(in, p)
	}
	d.out.RoleDetailList = append(d.out.RoleDetailList, api.RoleDetail{
		Path: r.Path, RoleName: r.Name, RoleId: r.ID, Arn: r.arn(d.account), CreateDate: &r.Created, AssumeRolePolicyDocument: escaped(r.Trust),
		InstanceProfileList: in, RolePolicyList: inline, AttachedManagedPolicies: attached, PermissionsBoundary: boundaryOf(r.Boundary),
		Tags: r.Tags, RoleLastUsed: used,
	})
	return nil
}

func (d *detailing) policy(k known) error {
	p, err := k.describe(d.tx, d.account)
	if err != nil {
		return err
	}
	versions := []api.PolicyVersion{}
	for i := len(k.Versions) - 1; i >= 0; i-- {
		v := k.Versions[i].api(k.Versions[i].ID == k.Default)
		v.Document = escaped(k.Versions[i].Document)
		versions = append(versions, *v)
	}
	d.out.Policies = append(d.out.Policies, api.ManagedPolicyDetail{
		PolicyName: p.PolicyName, PolicyId: p.PolicyId, Arn: p.Arn, Path: p.Path, DefaultVersionId: p.DefaultVersionId,
		AttachmentCount: p.AttachmentCount, PermissionsBoundaryUsageCount: p.PermissionsBoundaryUsageCount, IsAttachable: p.IsAttachable,
		Description: p.Description, CreateDate: p.CreateDate, UpdateDate: p.UpdateDate, PolicyVersionList: versions,
	})
	return nil
}

// awsPolicies adds those of AWS's policies that something in the account uses.
// The marker is the last ARN of the page before.
func (d *detailing) awsPolicies(after string) (next string, err error) {
	used := map[string]bool{}
	note := func(g *grants, boundary string) {
		for _, a := range append([]string{boundary}, g.Attached...) {
			if isAWSManaged(a) {
				used[a] = true
			}
		}
	}
	err = errors.Join(
		scan(d, users, func(u *user) { note(&u.grants, u.Boundary) }),
		scan(d, roles, func(r *role) { note(&r.grants, r.Boundary) }),
		scan(d, groups, func(g *group) { note(&g.grants, "") }))
	if err != nil {
		return "", err
	}
	arns, next := pageOf(sortedNames(used), after, new(int32(d.room))) //nolint:gosec // at most 1000
	for _, a := range arns {
		if err := d.policy(awsPolicy(a)); err != nil {
			return "", err
		}
	}
	return next, nil
}

func scan[T any](d *detailing, n noun[T], fn func(*T)) error {
	for e, err := range n.Scan(d.tx, d.account+"/") {
		if err != nil {
			return err
		}
		fn(e.Value)
	}
	return nil
}
