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

const materialSize = 32 // AES-256

// multiRegionID is the form of the ids of multi-Region keys. Others are UUIDs.
var multiRegionID = regexp.MustCompile(`^mrk-[0-9a-f]{32}$`)

// key is a KMS key.
type key struct {
	ID          string
	Account     string
	Region      string
	Description string
	Created     time.Time
	Disabled    bool
	Deletion    *time.Time        // when it is, or was, to be destroyed
	Spec        string            `json:",omitempty"`
	Usage       string            `json:",omitempty"`
	External    bool              `json:",omitempty"` // its material is imported
	Service     string            `json:",omitempty"` // of an AWS managed key: "ssm"
	Policy      string            `json:",omitempty"`
	Tags        map[string]string `json:",omitempty"`
	Rotation    *rotation         `json:",omitempty"`
	OnDemand    int               `json:",omitempty"` // rotations that were asked for
	Materials   []material        `json:",omitempty"`
	Family      *family           `json:",omitempty"` // of a multi-Region key
	Window      int               `json:",omitempty"` // days that a primary waits once its replicas have gone
	Token       string            // of the durable step that made it

	Material []byte `json:",omitempty"` // of keys written before there was rotation
}

// upgrade gives a key of an older build the form of today's.
func (k *key) upgrade() {
	if k.Spec == "" {
		k.Spec, k.Usage = kms.KeySpecSymmetricDefault, kms.KeyUsageTypeEncryptDecrypt
	}
	if k.Material != nil {
		k.Materials = []material{{ID: materialID(k.ID, []byte(k.ID)), Sealed: k.Material, Begun: k.Created}}
		k.Material = nil
	}
	if k.Policy == "" {
		k.Policy = defaultPolicy(k.Account)
	}
}

func (k *key) scope() arn.Scope { return arn.Scope{Account: k.Account, Region: k.Region} }
func (k *key) name() string     { return k.scope().ARN("kms", "key/"+k.ID).String() }
func (k *key) path() string     { return k.scope().Key() + "/" + k.ID }

func (k *key) state(now time.Time) string {
	switch {
	case k.Deletion != nil:
		return kms.KeyStatePendingDeletion
	case k.Window > 0:
		return kms.KeyStatePendingReplicaDeletion
	case !k.hasMaterial(now):
		return kms.KeyStatePendingImport
	case k.Disabled:
		return kms.KeyStateDisabled
	default:
		return kms.KeyStateEnabled
	}
}

func (k *key) origin() string {
	if k.External {
		return kms.OriginTypeExternal
	}
	return kms.OriginTypeAwsKms
}

// hasMaterial is false for keys whose material is still to be imported, was
// deleted, or has expired.
func (k *key) hasMaterial(now time.Time) bool {
	for _, m := range k.Materials {
		if m.Sealed == nil || m.ValidTo != nil && !now.Before(*m.ValidTo) {
			return false
		}
	}
	return len(k.Materials) > 0
}

// expired reports whether the waiting period before deletion is over.
func (k *key) expired(now time.Time) bool { return k.Deletion != nil && !now.Before(*k.Deletion) }

func (k *key) metadata(now time.Time) *kms.KeyMetadata {
	state, multiRegion := k.state(now), k.Family != nil
	enabled := state == kms.KeyStateEnabled
	m := &kms.KeyMetadata{
		AWSAccountId: k.Account, KeyId: k.ID, Arn: k.name(), CreationDate: &k.Created, Enabled: &enabled,
		Description: k.Description, KeyUsage: k.Usage, KeyState: state, DeletionDate: k.Deletion,
		Origin: k.origin(), KeyManager: kms.KeyManagerTypeCustomer, MultiRegion: &multiRegion,
		CustomerMasterKeySpec: k.Spec, KeySpec: k.Spec, MultiRegionConfiguration: k.configuration(),
	}
	if k.Window > 0 {
		m.PendingDeletionWindowInDays = new(int32(k.Window)) // #nosec G115 -- 30 at most
	}
	if k.Service != "" {
		m.KeyManager = kms.KeyManagerTypeAws
	}
	switch k.Usage {
	case kms.KeyUsageTypeEncryptDecrypt:
		m.EncryptionAlgorithms = k.algorithms()
	case kms.KeyUsageTypeSignVerify:
		m.SigningAlgorithms = k.algorithms()
	case kms.KeyUsageTypeGenerateVerifyMac:
		m.MacAlgorithms = k.algorithms()
	case kms.KeyUsageTypeKeyAgreement:
		m.KeyAgreementAlgorithms = k.algorithms()
	}
	if state == kms.KeyStatePendingImport || len(k.Materials) == 0 {
		return m
	}
	newest := k.Materials[k.current()]
	if k.symmetric() {
		m.CurrentKeyMaterialId = newest.ID
	}
	if k.External {
		m.ExpirationModel, m.ValidTo = kms.ExpirationModelTypeKeyMaterialDoesNotExpire, newest.ValidTo
		if newest.ValidTo != nil {
			m.ExpirationModel = kms.ExpirationModelTypeKeyMaterialExpires
		}
	}
	return m
}

// present refuses keys whose waiting period is over.
func (k *key) present(now time.Time) error {
	if k.expired(now) {
		return fault.New(fault.NotFoundException, "Key '%s' does not exist", k.name())
	}
	return nil
}

// usable refuses keys that must not encrypt or decrypt now.
func (k *key) usable(now time.Time) error {
	if err := k.present(now); err != nil {
		return err
	}
	switch k.state(now) {
	case kms.KeyStatePendingDeletion, kms.KeyStatePendingReplicaDeletion:
		return k.pendingDeletion()
	case kms.KeyStatePendingImport:
		return fault.New(fault.KMSInvalidState, "%s is pending import.", k.name())
	case kms.KeyStateDisabled:
		return fault.New(fault.DisabledException, "%s is disabled.", k.name())
	}
	return nil
}

func (k *key) pendingDeletion() error {
	return fault.New(fault.KMSInvalidState, "%s is pending deletion.", k.name())
}

// alive refuses keys that wait to be destroyed.
func (k *key) alive() error {
	if k.Deletion != nil || k.Window > 0 {
		return k.pendingDeletion()
	}
	return nil
}

func newKeyID(token string, multiRegion bool) string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // crypto/rand.Read never fails (Go 1.24)
	h := fmt.Sprintf("%x", b)
	if token != "" {
		h = arn.Hash(token)
	}
	if multiRegion {
		return "mrk-" + h[:32]
	}
	return h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-a" + h[17:20] + "-" + h[20:32]
}

// DescribeKey tells of a key; one whose waiting period is over is gone.
func (s *Service) DescribeKey(ctx context.Context, in *kms.DescribeKeyInput) (*kms.DescribeKeyOutput, error) {
	k, err := s.read(ctx, in.KeyId, request{operation: "DescribeKey", tokens: in.GrantTokens, in: in})
	if err != nil {
		return nil, err
	}
	return &kms.DescribeKeyOutput{KeyMetadata: k.metadata(s.cfg.Now())}, nil
}

// ListKeys lists the keys of the account and region.
func (s *Service) ListKeys(ctx context.Context, in *kms.ListKeysInput) (*kms.ListKeysOutput, error) {
	limit, marker := page(in.Limit, in.Marker)
	now := s.cfg.Now()
	var out *kms.ListKeysOutput
	err := s.cfg.Store.View(ctx, func(tx store.Tx) error {
		out = &kms.ListKeysOutput{Keys: []kms.KeyListEntry{}}
		items, next, err := s.keys.Page(tx, auth.From(ctx).Scope.Key()+"/", marker, limit, func(k *key) bool { return !k.expired(now) })
		for _, e := range items {
			out.Keys = append(out.Keys, kms.KeyListEntry{KeyId: e.Value.ID, KeyArn: e.Value.name()})
		}
		out.NextMarker, out.Truncated = next, new(next != "")
		return pageError(err)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// UpdateKeyDescription changes what a key says of itself.
func (s *Service) UpdateKeyDescription(ctx context.Context, in *kms.UpdateKeyDescriptionInput) (*kms.UpdateKeyDescriptionOutput, error) {
	_, err := s.change(ctx, in.KeyId, request{operation: "UpdateKeyDescription", in: in}, func(_ store.Tx, k *key) error {
		if err := k.alive(); err != nil {
			return err
		}
		k.Description = in.Description
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &kms.UpdateKeyDescriptionOutput{}, nil
}
