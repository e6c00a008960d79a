package iam

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	api "github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// linkedPath begins the paths of service-linked roles.
const linkedPath = "/aws-service-role/"

var (
	suffixForm   = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[\w+=,.@-]{1,64}$`) })
	deletionForm = regexp.MustCompile(`^task/aws-service-role/([\w.-]+)/([\w+=,.@-]+)/[0-9a-f-]{36}$`)
)

// changeable: a service-linked role is its service's.
func (r *role) changeable() error {
	if r.Linked == "" {
		return nil
	}
	return fault.New(fault.UnmodifiableEntity, "Cannot perform the operation on the protected role '%s' - this role is only modifiable by AWS", r.Name)
}

// editRole is edit for what a service-linked role does not allow.
func editRole(ctx context.Context, s *Service, name string, fn func(tx store.Tx, r *role) error) error {
	return edit(ctx, s, roles, name, func(tx store.Tx, r *role) error {
		if err := r.changeable(); err != nil {
			return err
		}
		return fn(tx, r)
	})
}

// CreateServiceLinkedRole makes the role that a service acts by.
func (s *Service) CreateServiceLinkedRole(ctx context.Context, in *api.CreateServiceLinkedRoleInput) (*api.CreateServiceLinkedRoleOutput, error) {
	l, ok := linkedServices[in.AWSServiceName]
	if !ok {
		return nil, fault.New(fault.InvalidInput, "Service-linked role is not supported for service: %s", in.AWSServiceName)
	}
	name := "AWSServiceRoleFor" + l.role
	if in.CustomSuffix != "" {
		if !l.suffix {
			return nil, fault.New(fault.InvalidInput, "Custom suffix is not allowed for %s", in.AWSServiceName)
		}
		if !suffixForm().MatchString(in.CustomSuffix) || len(name)+1+len(in.CustomSuffix) > 64 {
			return nil, fault.New(fault.InvalidInput, "The custom suffix %s is too long or has characters that a role's name must not have.", in.CustomSuffix)
		}
		name += "_" + in.CustomSuffix
	}
	description := l.description
	if in.Description != "" {
		description = in.Description
	}
	call := auth.From(ctx)
	r := &role{
		Name: name, Path: linkedPath + in.AWSServiceName + "/", ID: auth.UniqueID("AROA", 17), Created: s.now().UTC().Truncate(time.Second),
		Trust:       fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":%q},"Action":"sts:AssumeRole"}]}`, in.AWSServiceName),
		Description: description, MaxSession: defaultSession, Linked: in.AWSServiceName, Token: call.Token,
		grants: grants{Attached: []string{awsManagedPrefix + linkedPath + l.policy}},
	}
	r, err := create(ctx, s, roles, name, r, func(r *role) string { return r.Token })
	if fault.Is(err, fault.EntityAlreadyExists) {
		return nil, fault.New(fault.InvalidInput, "Service role name %s has been taken in this account, please try a different suffix.", name)
	}
	if err != nil {
		return nil, err
	}
	out := r.api(call.Scope.Account)
	out.MaxSessionDuration = nil
	return &api.CreateServiceLinkedRoleOutput{Role: &out}, nil
}

// deletion is a service-linked role's deletion that was asked for. The services
// whose resources stand on such a role are not built here, so nothing holds it:
// it goes in the transaction that writes this record.
type deletion struct {
	Status string
	At     time.Time
}

var deletions = store.NewCollection[deletion]("iam/roledeletion") // by "account/task id"

// DeleteServiceLinkedRole removes a service-linked role.
func (s *Service) DeleteServiceLinkedRole(ctx context.Context, in *api.DeleteServiceLinkedRoleInput) (*api.DeleteServiceLinkedRoleOutput, error) {
	account := auth.From(ctx).Scope.Account
	out := &api.DeleteServiceLinkedRoleOutput{}
	err := s.store.Update(ctx, func(tx store.Tx) error {
		r, err := roles.find(tx, account, in.RoleName)
		if err != nil {
			return err
		}
		if r.Linked == "" {
			return fault.New(fault.InvalidInput, "The role %s is no service-linked role.", r.Name)
		}
		out.DeletionTaskId = "task" + r.Path + r.Name + "/" + arn.NewUUID()
		if err := s.forgetUse(tx, "role/"+r.ID); err != nil {
			return err
		}
		if err := roles.drop(tx, account, r.Name); err != nil {
			return err
		}
		return deletions.Put(tx, account+"/"+out.DeletionTaskId, &deletion{api.DeletionTaskStatusTypeSucceeded, s.now().UTC()})
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// GetServiceLinkedRoleDeletionStatus tells what became of a deletion.
func (s *Service) GetServiceLinkedRoleDeletionStatus(ctx context.Context, in *api.GetServiceLinkedRoleDeletionStatusInput) (*api.GetServiceLinkedRoleDeletionStatusOutput, error) {
	if !deletionForm.MatchString(in.DeletionTaskId) || strings.Contains(in.DeletionTaskId, "..") {
		return nil, fault.New(fault.InvalidInput, "The deletion task id %s is not valid.", in.DeletionTaskId)
	}
	var d *deletion
	err := s.store.View(ctx, func(tx store.Tx) (err error) {
		d, err = deletions.Get(tx, auth.From(ctx).Scope.Account+"/"+in.DeletionTaskId)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, fault.New(fault.NoSuchEntity, "The deletion task %s cannot be found.", in.DeletionTaskId)
	}
	if err != nil {
		return nil, err
	}
	return &api.GetServiceLinkedRoleDeletionStatusOutput{Status: d.Status}, nil
}
