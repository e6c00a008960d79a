package iam

import (
	"context"
	"slices"

	api "github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource"
)

const (
	userTypeName = "AWS::IAM::User"
	maxUserName  = 64
)

type loginProperties struct {
	Password              string `json:"Password"`
	PasswordResetRequired bool   `json:"PasswordResetRequired,omitempty"`
}

type userProperties struct {
	UserName            string           `json:"UserName,omitempty"`
	Path                string           `json:"Path,omitempty"`
	Groups              []string         `json:"Groups,omitempty"`
	LoginProfile        *loginProperties `json:"LoginProfile,omitempty"`
	PermissionsBoundary string           `json:"PermissionsBoundary,omitempty"`
	Tags                []resource.Tag   `json:"Tags,omitempty"`
	granted
}

type userHandler struct{ svc api.Service }

func userType(svc api.Service) cfn.Type {
	h := userHandler{svc}
	return cfn.Type{Name: userTypeName, Create: h.create, Read: h.read, Update: h.update, Delete: h.delete, List: h.list}
}

func userResult(u *api.User) cfn.Result {
	return cfn.Result{PhysicalID: u.UserName, Attributes: cfn.Properties{"Arn": u.Arn}}
}

func (h userHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p userProperties
	if err := resource.Decode(userTypeName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	out, err := h.svc.CreateUser(ctx, &api.CreateUserInput{
		UserName: resource.Name(r, p.UserName, maxUserName), Path: p.Path, PermissionsBoundary: p.PermissionsBoundary, Tags: tags(resource.Tags(r, p.Tags)),
	})
	if err != nil {
		return cfn.Result{}, err
	}
	result := userResult(out.User)
	return result, h.equip(ctx, result.PhysicalID, userProperties{}, p)
}

// equip turns what one set of properties gives a user into what another does.
func (h userHandler) equip(ctx context.Context, name string, from, to userProperties) error {
	for _, g := range to.Groups {
		if _, err := h.svc.AddUserToGroup(ctx, &api.AddUserToGroupInput{UserName: name, GroupName: g}); err != nil {
			return err
		}
	}
	for _, g := range from.Groups {
		if slices.Contains(to.Groups, g) {
			continue
		}
		_, err := h.svc.RemoveUserFromGroup(ctx, &api.RemoveUserFromGroupInput{UserName: name, GroupName: g})
		if err := resource.Gone(err, fault.NoSuchEntity); err != nil {
			return err
		}
	}
	if err := h.login(ctx, name, from.LoginProfile, to.LoginProfile); err != nil {
		return err
	}
	return userSubject(h.svc).grant(ctx, name, from.granted, to.granted)
}

func (h userHandler) login(ctx context.Context, name string, from, to *loginProperties) error {
	switch {
	case to == nil && from == nil:
		return nil
	case to == nil:
		_, err := h.svc.DeleteLoginProfile(ctx, &api.DeleteLoginProfileInput{UserName: name})
		return resource.Gone(err, fault.NoSuchEntity)
	case from == nil:
		_, err := h.svc.CreateLoginProfile(ctx, &api.CreateLoginProfileInput{UserName: name, Password: to.Password, PasswordResetRequired: &to.PasswordResetRequired})
		return err
	case *from == *to:
		return nil
	}
	in := &api.UpdateLoginProfileInput{UserName: name, PasswordResetRequired: &to.PasswordResetRequired}
	if from.Password != to.Password {
		in.Password = to.Password
	}
	_, err := h.svc.UpdateLoginProfile(ctx, in)
	return err
}

func (h userHandler) get(ctx context.Context, name string) (*api.User, error) {
	out, err := h.svc.GetUser(ctx, &api.GetUserInput{UserName: name})
	if err != nil {
		return nil, resource.Found(err, userTypeName, name, fault.NoSuchEntity)
	}
	return out.User, nil
}

// read leaves the password out: nobody can read it.
func (h userHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	u, err := h.get(ctx, r.PhysicalID)
	if err != nil {
		return nil, err
	}
	p := userProperties{UserName: u.UserName, Path: u.Path, Tags: resource.OwnTags(tagMap(u.Tags))}
	if u.PermissionsBoundary != nil {
		p.PermissionsBoundary = u.PermissionsBoundary.PermissionsBoundaryArn
	}
	in := &api.ListGroupsForUserInput{UserName: u.UserName}
	for {
		page, err := h.svc.ListGroupsForUser(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, g := range page.Groups {
			p.Groups = append(p.Groups, g.GroupName)
		}
		if in.Marker = page.Marker; in.Marker == "" {
			break
		}
	}
	if p.granted, err = userSubject(h.svc).read(ctx, u.UserName); err != nil {
		return nil, err
	}
	out, err := resource.Encode(p)
	if err != nil {
		return nil, err
	}
	out["Arn"] = u.Arn
	return out, nil
}

func (h userHandler) update(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p, prior userProperties
	if err := resource.Decode(userTypeName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	if err := resource.Decode(userTypeName, r.Prior, &prior); err != nil {
		return cfn.Result{}, err
	}
	path := p.Path
	if path == "" {
		path = "/"
	}
	if _, err := h.svc.UpdateUser(ctx, &api.UpdateUserInput{UserName: r.PhysicalID, NewPath: path}); err != nil {
		return cfn.Result{}, resource.Found(err, userTypeName, r.PhysicalID, fault.NoSuchEntity)
	}
	if err := h.bound(ctx, r.PhysicalID, p.PermissionsBoundary, prior.PermissionsBoundary); err != nil {
		return cfn.Result{}, err
	}
	if err := h.equip(ctx, r.PhysicalID, prior, p); err != nil {
		return cfn.Result{}, err
	}
	u, err := h.get(ctx, r.PhysicalID)
	if err != nil {
		return cfn.Result{}, err
	}
	set, remove := resource.Retag(tagMap(u.Tags), resource.Tags(r, p.Tags))
	if len(set) > 0 {
		if _, err := h.svc.TagUser(ctx, &api.TagUserInput{UserName: r.PhysicalID, Tags: tags(set)}); err != nil {
			return cfn.Result{}, err
		}
	}
	if len(remove) > 0 {
		if _, err := h.svc.UntagUser(ctx, &api.UntagUserInput{UserName: r.PhysicalID, TagKeys: remove}); err != nil {
			return cfn.Result{}, err
		}
	}
	return userResult(u), nil
}

func (h userHandler) bound(ctx context.Context, name, want, had string) error {
	switch {
	case want != "":
		_, err := h.svc.PutUserPermissionsBoundary(ctx, &api.PutUserPermissionsBoundaryInput{UserName: name, PermissionsBoundary: want})
		return err
	case had != "":
		_, err := h.svc.DeleteUserPermissionsBoundary(ctx, &api.DeleteUserPermissionsBoundaryInput{UserName: name})
		return resource.Gone(err, fault.NoSuchEntity)
	}
	return nil
}

// delete takes away what the template gave the user; IAM refuses to delete one
// that has more, and the stack says so.
func (h userHandler) delete(ctx context.Context, r cfn.Request) error {
	var p userProperties
	if err := resource.Decode(userTypeName, r.Properties, &p); err != nil {
		return err
	}
	if err := h.equip(ctx, r.PhysicalID, p, userProperties{}); err != nil {
		return err
	}
	_, err := h.svc.DeleteUser(ctx, &api.DeleteUserInput{UserName: r.PhysicalID})
	return resource.Gone(err, fault.NoSuchEntity)
}

func (h userHandler) list(ctx context.Context) ([]string, error) { return userNames(ctx, h.svc) }

func userNames(ctx context.Context, svc api.Service) ([]string, error) {
	in := &api.ListUsersInput{}
	var names []string
	for {
		out, err := svc.ListUsers(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, u := range out.Users {
			names = append(names, u.UserName)
		}
		if in.Marker = out.Marker; in.Marker == "" {
			return names, nil
		}
	}
}
