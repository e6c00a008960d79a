package iam

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"

	api "github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// serviceCredential is a user name and password for one service.
type serviceCredential struct {
	ID       string
	Service  string
	UserName string // of the credential: "ann-at-123456789012"
	Password []byte // SHA-256; it is long and random, so no slower hash is needed
	Status   string
	Created  time.Time
	Expires  *time.Time `json:",omitempty"`
}

var serviceCredentials = credentials[serviceCredential]{
	store.NewCollection[serviceCredential]("iam/servicecredential"), "No such credential %s exists", "ServiceSpecificCredentialsPerUser", 2,
	"service specific credentials",
}

// credentialServices are the services that have such credentials. Bedrock's are
// API keys, which are not built.
var credentialServices = []string{"cassandra.amazonaws.com", "codecommit.amazonaws.com"}

func checkCredentialService(operation, service string) error {
	if service == "bedrock.amazonaws.com" {
		return fault.New(fault.NotImplemented, "%s for %s is not built.", operation, service)
	}
	if !slices.Contains(credentialServices, service) {
		return fault.New(fault.NoSuchEntity, "No such service %s is supported for Service Specific Credentials", service)
	}
	return nil
}

func (c *serviceCredential) api(name, password string) *api.ServiceSpecificCredential {
	return &api.ServiceSpecificCredential{
		CreateDate: &c.Created, ExpirationDate: c.Expires, ServiceName: c.Service, ServiceUserName: c.UserName, ServicePassword: password,
		ServiceSpecificCredentialId: c.ID, UserName: name, Status: c.Status,
	}
}

func newServicePassword() (plain string, hash []byte) {
	plain = strings.TrimRight(auth.NewSecret(), "=") + "="
	sum := sha256.Sum256([]byte(plain))
	return plain, sum[:]
}

// CreateServiceSpecificCredential makes a user name and a password, which is
// told this once.
func (s *Service) CreateServiceSpecificCredential(ctx context.Context, in *api.CreateServiceSpecificCredentialInput) (*api.CreateServiceSpecificCredentialOutput, error) {
	if err := checkCredentialService("CreateServiceSpecificCredential", in.ServiceName); err != nil {
		return nil, err
	}
	if in.CredentialAgeDays != nil {
		return nil, fault.New(fault.InvalidInput, "Credentials for %s have no age.", in.ServiceName)
	}
	plain, sum := newServicePassword()
	c := &serviceCredential{
		ID: auth.UniqueID("ACCA", 17), Service: in.ServiceName, Password: sum, Status: "Active", Created: s.now().UTC().Truncate(time.Second),
	}
	err := inUser(ctx, s, in.UserName, func(tx store.Tx, account string, u *user) error {
		all, err := serviceCredentials.of(tx, account, u)
		if err != nil {
			return err
		}
		taken := map[string]bool{}
		for _, have := range all {
			if have.Service == in.ServiceName {
				taken[have.UserName] = true
			}
		}
		if len(taken) >= serviceCredentials.limit {
			return overQuota(serviceCredentials.quota, serviceCredentials.limit)
		}
		c.UserName = fmt.Sprintf("%s-at-%s", u.Name, account)
		for n := 1; taken[c.UserName]; n++ {
			c.UserName = fmt.Sprintf("%s+%d-at-%s", u.Name, n, account)
		}
		return serviceCredentials.Put(tx, userKey(account, u)+"/"+c.ID, c)
	})
	if err != nil {
		return nil, err
	}
	return &api.CreateServiceSpecificCredentialOutput{ServiceSpecificCredential: c.api(in.UserName, plain)}, nil
}

// ListServiceSpecificCredentials lists a user's, without their passwords.
func (s *Service) ListServiceSpecificCredentials(ctx context.Context, in *api.ListServiceSpecificCredentialsInput) (*api.ListServiceSpecificCredentialsOutput, error) {
	if truth(in.AllUsers) {
		return nil, fault.New(fault.NotImplemented, "ListServiceSpecificCredentials with AllUsers is not built.")
	}
	if in.ServiceName != "" {
		if err := checkCredentialService("ListServiceSpecificCredentials", in.ServiceName); err != nil {
			return nil, err
		}
	}
	name, err := userName(ctx, "ListServiceSpecificCredentials", in.UserName)
	if err != nil {
		return nil, err
	}
	all, _, err := listCredentials(ctx, s, serviceCredentials, name, "", new(int32(1000)), func(c *serviceCredential) string { return c.ID })
	if err != nil {
		return nil, err
	}
	byID := map[string]*serviceCredential{}
	for _, c := range all {
		if in.ServiceName == "" || c.Service == in.ServiceName {
			byID[c.ID] = c
		}
	}
	page, next := pageOf(sortedNames(byID), in.Marker, in.MaxItems)
	out := &api.ListServiceSpecificCredentialsOutput{ServiceSpecificCredentials: []api.ServiceSpecificCredentialMetadata{}, Marker: next}
	if next != "" {
		out.IsTruncated = new(true) // this operation says nothing of a whole list
	}
	for _, id := range page {
		c := byID[id]
		out.ServiceSpecificCredentials = append(out.ServiceSpecificCredentials, api.ServiceSpecificCredentialMetadata{
			UserName: name, Status: c.Status, ServiceUserName: c.UserName, CreateDate: &c.Created, ExpirationDate: c.Expires,
			ServiceSpecificCredentialId: c.ID, ServiceName: c.Service,
		})
	}
	return out, nil
}

// UpdateServiceSpecificCredential switches a credential on or off.
func (s *Service) UpdateServiceSpecificCredential(ctx context.Context, in *api.UpdateServiceSpecificCredentialInput) (*api.UpdateServiceSpecificCredentialOutput, error) {
	if err := checkStatus(in.Status); err != nil {
		return nil, err
	}
	name, err := userName(ctx, "UpdateServiceSpecificCredential", in.UserName)
	if err != nil {
		return nil, err
	}
	return &api.UpdateServiceSpecificCredentialOutput{}, editCredential(ctx, s, serviceCredentials, name, in.ServiceSpecificCredentialId, func(c *serviceCredential) error {
		c.Status = in.Status
		return nil
	})
}

// ResetServiceSpecificCredential makes a new password, which is told this once.
func (s *Service) ResetServiceSpecificCredential(ctx context.Context, in *api.ResetServiceSpecificCredentialInput) (*api.ResetServiceSpecificCredentialOutput, error) {
	name, err := userName(ctx, "ResetServiceSpecificCredential", in.UserName)
	if err != nil {
		return nil, err
	}
	plain, sum := newServicePassword()
	out := &api.ResetServiceSpecificCredentialOutput{}
	err = editCredential(ctx, s, serviceCredentials, name, in.ServiceSpecificCredentialId, func(c *serviceCredential) error {
		c.Password = sum
		out.ServiceSpecificCredential = c.api(name, plain)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// DeleteServiceSpecificCredential removes a credential.
func (s *Service) DeleteServiceSpecificCredential(ctx context.Context, in *api.DeleteServiceSpecificCredentialInput) (*api.DeleteServiceSpecificCredentialOutput, error) {
	name, err := userName(ctx, "DeleteServiceSpecificCredential", in.UserName)
	if err != nil {
		return nil, err
	}
	return &api.DeleteServiceSpecificCredentialOutput{}, removeCredential(ctx, s, serviceCredentials, name, in.ServiceSpecificCredentialId)
}
