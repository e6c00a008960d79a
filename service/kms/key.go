package kms

import (
	"context"
	"crypto/rand"
	"fmt"
	"regexp"
	"time"

	"github.com/slipway/slipway/api/kms"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

const (
	materialSize = 32 // AES-256

	// "ScheduleKeyDeletion", AWS KMS API Reference: days.
	minDeletionWindow     = 7
	maxDeletionWindow     = 30
	defaultDeletionWindow = 30
)

var keyID = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// key is a symmetric encryption key.
type key struct {
	ID          string
	Account     string
	Region      string
	Description string
	Created     time.Time
	Disabled    bool
	Deletion    *time.Time // when it is, or was, to be destroyed
	Material    []byte     // sealed
	Token       string     // of the durable step that made it
}

func (k *key) scope() arn.Scope { return arn.Scope{Account: k.Account, Region: k.Region} }
func (k *key) name() string     { return k.scope().ARN("kms", "key/"+k.ID).String() }

func (k *key) state() string {
	switch {
	case k.Deletion != nil:
		return kms.KeyStatePendingDeletion
	case k.Disabled:
		return kms.KeyStateDisabled
	default:
		return kms.KeyStateEnabled
	}
}

// expired reports whether the waiting period before deletion is over.
func (k *key) expired(now time.Time) bool { return k.Deletion != nil && !now.Before(*k.Deletion) }

func (k *key) metadata() *kms.KeyMetadata {
	enabled, multiRegion := k.state() == kms.KeyStateEnabled, false
	return &kms.KeyMetadata{
		AWSAccountId: k.Account, KeyId: k.ID, Arn: k.name(), CreationDate: &k.Created, Enabled: &enabled,
		Description: k.Description, KeyUsage: kms.KeyUsageTypeEncryptDecrypt, KeyState: k.state(), DeletionDate: k.Deletion,
		Origin: kms.OriginTypeAwsKms, KeyManager: kms.KeyManagerTypeCustomer, MultiRegion: &multiRegion,
		CustomerMasterKeySpec: kms.CustomerMasterKeySpecSymmetricDefault, KeySpec: kms.KeySpecSymmetricDefault,
		EncryptionAlgorithms: []string{kms.EncryptionAlgorithmSpecSymmetricDefault},
	}
}

// usable refuses keys that must not encrypt or decrypt now.
func (k *key) usable(now time.Time) error {
	switch {
	case k.expired(now):
		return fault.New(fault.NotFoundException, "Key '%s' does not exist", k.name())
	case k.Deletion != nil:
		return fault.New(fault.KMSInvalidState, "%s is pending deletion.", k.name())
	case k.Disabled:
		return fault.New(fault.DisabledException, "%s is disabled.", k.name())
	}
	return nil
}

func newKeyID(token string) string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // crypto/rand.Read never fails (Go 1.24)
	h := fmt.Sprintf("%x", b)
	if token != "" {
		h = arn.Hash(token)
	}
	return h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-a" + h[17:20] + "-" + h[20:32]
}

// unbuilt refuses the members of CreateKey that this build does not honour.
func unbuilt(in *kms.CreateKeyInput) error {
	what := ""
	switch {
	case in.KeySpec != "" && in.KeySpec != kms.KeySpecSymmetricDefault:
		what = "KeySpec " + in.KeySpec
	case in.CustomerMasterKeySpec != "" && in.CustomerMasterKeySpec != kms.CustomerMasterKeySpecSymmetricDefault:
		what = "CustomerMasterKeySpec " + in.CustomerMasterKeySpec
	case in.KeyUsage != "" && in.KeyUsage != kms.KeyUsageTypeEncryptDecrypt:
		what = "KeyUsage " + in.KeyUsage
	case in.Origin != "" && in.Origin != kms.OriginTypeAwsKms:
		what = "Origin " + in.Origin
	case in.MultiRegion != nil && *in.MultiRegion:
		what = "MultiRegion"
	case in.CustomKeyStoreId != "":
		what = "CustomKeyStoreId"
	case in.XksKeyId != "":
		what = "XksKeyId"
	case in.Policy != "":
		what = "Policy"
	case len(in.Tags) > 0:
		what = "Tags"
	default:
		return nil
	}
	return fault.New(fault.NotImplemented, "CreateKey with %s is not built yet; symmetric encryption keys are", what)
}

// CreateKey makes a symmetric encryption key.
func (s *Service) CreateKey(ctx context.Context, in *kms.CreateKeyInput) (*kms.CreateKeyOutput, error) {
	if err := unbuilt(in); err != nil {
		return nil, err
	}
	call := auth.From(ctx)
	k := &key{
		ID: newKeyID(call.Token), Account: call.Scope.Account, Region: call.Scope.Region,
		Description: in.Description, Created: s.cfg.Now().UTC(), Token: call.Token,
	}
	material := make([]byte, materialSize)
	_, _ = rand.Read(material)
	var err error
	if k.Material, err = s.cfg.Ring.Seal("kms/key/"+k.ID, material); err != nil {
		return nil, err
	}
	err = s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		path := call.Scope.Key() + "/" + k.ID
		if call.Token != "" {
			if made, err := s.keys.Get(tx, path); err == nil {
				k = made
				return nil
			}
		}
		return s.keys.Insert(tx, path, k)
	})
	if err != nil {
		return nil, err
	}
	return &kms.CreateKeyOutput{KeyMetadata: k.metadata()}, nil
}

// DescribeKey tells of a key; one whose waiting period is over is gone.
func (s *Service) DescribeKey(ctx context.Context, in *kms.DescribeKeyInput) (*kms.DescribeKeyOutput, error) {
	var k *key
	err := s.cfg.Store.View(ctx, func(tx store.Tx) (err error) {
		k, err = s.resolve(ctx, tx, in.KeyId)
		return err
	})
	if err != nil {
		return nil, err
	}
	if k.expired(s.cfg.Now()) {
		return nil, k.usable(s.cfg.Now())
	}
	return &kms.DescribeKeyOutput{KeyMetadata: k.metadata()}, nil
}

// ListKeys lists the keys of the account and region.
func (s *Service) ListKeys(ctx context.Context, in *kms.ListKeysInput) (*kms.ListKeysOutput, error) {
	out := &kms.ListKeysOutput{Keys: []kms.KeyListEntry{}}
	limit, marker := page(in.Limit, in.Marker)
	now := s.cfg.Now()
	err := s.cfg.Store.View(ctx, func(tx store.Tx) error {
		items, next, err := s.keys.Page(tx, auth.From(ctx).Scope.Key()+"/", marker, limit, func(k *key) bool { return !k.expired(now) })
		for _, e := range items {
			out.Keys = append(out.Keys, kms.KeyListEntry{KeyId: e.Value.ID, KeyArn: e.Value.name()})
		}
		truncated := next != ""
		out.NextMarker, out.Truncated = next, &truncated
		return pageError(err)
	})
	return out, err
}

// change applies fn to a key in one update.
func (s *Service) change(ctx context.Context, name string, fn func(*key) error) (*key, error) {
	var k *key
	err := s.cfg.Store.Update(ctx, func(tx store.Tx) (err error) {
		if k, err = s.resolve(ctx, tx, name); err != nil {
			return err
		}
		if k.expired(s.cfg.Now()) {
			return k.usable(s.cfg.Now())
		}
		if err := fn(k); err != nil {
			return err
		}
		return s.keys.Put(tx, k.scope().Key()+"/"+k.ID, k)
	})
	return k, err
}

// EnableKey lets a key encrypt and decrypt again.
func (s *Service) EnableKey(ctx context.Context, in *kms.EnableKeyInput) (*kms.EnableKeyOutput, error) {
	return &kms.EnableKeyOutput{}, s.enable(ctx, in.KeyId, true)
}

// DisableKey keeps a key from encrypting and decrypting.
func (s *Service) DisableKey(ctx context.Context, in *kms.DisableKeyInput) (*kms.DisableKeyOutput, error) {
	return &kms.DisableKeyOutput{}, s.enable(ctx, in.KeyId, false)
}

func (s *Service) enable(ctx context.Context, name string, on bool) error {
	_, err := s.change(ctx, name, func(k *key) error {
		if k.Deletion != nil {
			return k.usable(s.cfg.Now())
		}
		k.Disabled = !on
		return nil
	})
	return err
}

// ScheduleKeyDeletion sets the day on which a key is gone; until then it can
// be saved, and does not encrypt or decrypt.
func (s *Service) ScheduleKeyDeletion(ctx context.Context, in *kms.ScheduleKeyDeletionInput) (*kms.ScheduleKeyDeletionOutput, error) {
	days := int32(defaultDeletionWindow)
	if in.PendingWindowInDays != nil {
		days = *in.PendingWindowInDays
	}
	if days < minDeletionWindow || days > maxDeletionWindow {
		return nil, fault.New(fault.ValidationException, "PendingWindowInDays %d: want %d to %d", days, minDeletionWindow, maxDeletionWindow)
	}
	at := s.cfg.Now().UTC().AddDate(0, 0, int(days))
	k, err := s.change(ctx, in.KeyId, func(k *key) error {
		if k.Deletion != nil {
			return k.usable(s.cfg.Now())
		}
		k.Deletion = &at
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &kms.ScheduleKeyDeletionOutput{KeyId: k.name(), DeletionDate: k.Deletion, KeyState: k.state(), PendingWindowInDays: &days}, nil
}

// CancelKeyDeletion saves a key; it comes back disabled.
func (s *Service) CancelKeyDeletion(ctx context.Context, in *kms.CancelKeyDeletionInput) (*kms.CancelKeyDeletionOutput, error) {
	k, err := s.change(ctx, in.KeyId, func(k *key) error {
		if k.Deletion == nil {
			return fault.New(fault.KMSInvalidState, "%s is not pending deletion.", k.name())
		}
		k.Deletion, k.Disabled = nil, true
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &kms.CancelKeyDeletionOutput{KeyId: k.name()}, nil
}
