package iam

import (
	"context"
	"errors"
	"strings"
	"time"

	api "github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// accessKey is a stored access key of a user. Keys are found by their id alone,
// in any account: that is all that a request tells.
type accessKey struct {
	ID      string
	Account string
	User    string
	Status  string // "Active", "Inactive"
	Created time.Time
	Secret  []byte // sealed
	Token   string `json:",omitempty"`
}

var accessKeys = store.NewCollection("iam/accesskey", store.Index[accessKey]{Name: "user", Keys: func(_ string, k *accessKey) []string {
	return []string{nounKey(k.Account, k.User)}
}})

const maxAccessKeys = 2

func keyPurpose(id string) string { return "iam/accesskey/" + id }

func keysOf(tx store.Tx, account, name string) ([]*accessKey, error) {
	var out []*accessKey
	for e, err := range accessKeys.ByIndex(tx, "user", nounKey(account, name)) {
		if err != nil {
			return nil, err
		}
		out = append(out, e.Value)
	}
	return out, nil
}

// CreateAccessKey makes an access key and tells its secret, this once.
func (s *Service) CreateAccessKey(ctx context.Context, in *api.CreateAccessKeyInput) (*api.CreateAccessKeyOutput, error) {
	name, err := userName(ctx, "CreateAccessKey", in.UserName)
	if err != nil {
		return nil, err
	}
	call := auth.From(ctx)
	secret := auth.NewSecret()
	k := &accessKey{
		ID: auth.NewAccessKeyID("AKIA"), Account: call.Scope.Account, User: name, Status: api.StatusTypeActive,
		Created: s.now().UTC().Truncate(time.Second), Token: call.Token,
	}
	if k.Secret, err = s.ring.Seal(keyPurpose(k.ID), []byte(secret)); err != nil {
		return nil, err
	}
	made := k
	err = s.store.Update(ctx, func(tx store.Tx) error {
		made = k
		if _, err := users.find(tx, call.Scope.Account, name); err != nil {
			return err
		}
		have, err := keysOf(tx, call.Scope.Account, name)
		if err != nil {
			return err
		}
		for _, h := range have {
			if call.Token != "" && h.Token == call.Token {
				made = h
				return nil
			}
		}
		if len(have) >= maxAccessKeys {
			return fault.New(fault.LimitExceeded, "Cannot exceed quota for AccessKeysPerUser: %d", maxAccessKeys)
		}
		return accessKeys.Insert(tx, k.ID, k)
	})
	if err != nil {
		return nil, err
	}
	plain, err := s.ring.Open(keyPurpose(made.ID), made.Secret)
	if err != nil {
		return nil, err
	}
	return &api.CreateAccessKeyOutput{AccessKey: &api.AccessKey{
		UserName: made.User, AccessKeyId: made.ID, Status: made.Status, SecretAccessKey: string(plain), CreateDate: &made.Created,
	}}, nil
}

// ListAccessKeys lists a user's access keys without their secrets.
func (s *Service) ListAccessKeys(ctx context.Context, in *api.ListAccessKeysInput) (*api.ListAccessKeysOutput, error) {
	name, err := userName(ctx, "ListAccessKeys", in.UserName)
	if err != nil {
		return nil, err
	}
	account := auth.From(ctx).Scope.Account
	byID := map[string]*accessKey{}
	err = s.store.View(ctx, func(tx store.Tx) error {
		clear(byID)
		if _, err := users.find(tx, account, name); err != nil {
			return err
		}
		keys, err := keysOf(tx, account, name)
		for _, k := range keys {
			byID[k.ID] = k
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	page, next := pageOf(sortedNames(byID), in.Marker, in.MaxItems)
	out := &api.ListAccessKeysOutput{AccessKeyMetadata: []api.AccessKeyMetadata{}, Marker: next, IsTruncated: new(next != "")}
	for _, id := range page {
		k := byID[id]
		out.AccessKeyMetadata = append(out.AccessKeyMetadata, api.AccessKeyMetadata{UserName: k.User, AccessKeyId: k.ID, Status: k.Status, CreateDate: &k.Created})
	}
	return out, nil
}

func (s *Service) findAccessKey(ctx context.Context, tx store.Tx, operation, name, id string) (*accessKey, error) {
	name, err := userName(ctx, operation, name)
	if err != nil {
		return nil, err
	}
	account := auth.From(ctx).Scope.Account
	if _, err := users.find(tx, account, name); err != nil {
		return nil, err
	}
	k, err := accessKeys.Get(tx, id)
	if errors.Is(err, store.ErrNotFound) || err == nil && (k.Account != account || !strings.EqualFold(k.User, name)) {
		return nil, fault.New(fault.NoSuchEntity, "The Access Key with id %s cannot be found.", id)
	}
	return k, err
}

// UpdateAccessKey switches a key on or off.
func (s *Service) UpdateAccessKey(ctx context.Context, in *api.UpdateAccessKeyInput) (*api.UpdateAccessKeyOutput, error) {
	if in.Status != api.StatusTypeActive && in.Status != api.StatusTypeInactive {
		return nil, fault.New(fault.ValidationError, "The status of an access key is Active or Inactive, not %s.", in.Status)
	}
	return &api.UpdateAccessKeyOutput{}, s.store.Update(ctx, func(tx store.Tx) error {
		k, err := s.findAccessKey(ctx, tx, "UpdateAccessKey", in.UserName, in.AccessKeyId)
		if err != nil {
			return err
		}
		k.Status = in.Status
		return accessKeys.Put(tx, k.ID, k)
	})
}

// DeleteAccessKey removes a key, from the next request on.
func (s *Service) DeleteAccessKey(ctx context.Context, in *api.DeleteAccessKeyInput) (*api.DeleteAccessKeyOutput, error) {
	return &api.DeleteAccessKeyOutput{}, s.store.Update(ctx, func(tx store.Tx) error {
		k, err := s.findAccessKey(ctx, tx, "DeleteAccessKey", in.UserName, in.AccessKeyId)
		if err != nil {
			return err
		}
		if err := s.forgetUse(tx, "key/"+k.ID); err != nil {
			return err
		}
		return accessKeys.Delete(tx, k.ID)
	})
}
