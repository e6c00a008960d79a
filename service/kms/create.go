package kms

import (
	"context"
	"slices"

	"github.com/slipway/slipway/api/kms"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// unbuilt refuses the members of CreateKey that this build does not honour.
func unbuilt(in *kms.CreateKeyInput, keySpec string) error {
	what := ""
	_, known := specs[keySpec]
	switch {
	case !known:
		what = "KeySpec " + keySpec
	case in.Origin != "" && in.Origin != kms.OriginTypeAwsKms && in.Origin != kms.OriginTypeExternal:
		what = "Origin " + in.Origin
	case yes(in.MultiRegion) && in.Origin == kms.OriginTypeExternal:
		what = "MultiRegion and Origin " + in.Origin
	case in.CustomKeyStoreId != "":
		what = "CustomKeyStoreId"
	case in.XksKeyId != "":
		what = "XksKeyId"
	default:
		return nil
	}
	return fault.New(fault.NotImplemented, "CreateKey with %s is not built", what)
}

// kind settles spec and usage, which must fit each other.
func kind(in *kms.CreateKeyInput) (keySpec, usage string, err error) {
	keySpec, usage = in.KeySpec, in.KeyUsage
	if in.CustomerMasterKeySpec != "" {
		if keySpec != "" {
			return "", "", fault.New(fault.ValidationException, "You cannot specify KeySpec and CustomerMasterKeySpec in the same request. CustomerMasterKeySpec is deprecated.")
		}
		keySpec = in.CustomerMasterKeySpec
	}
	if keySpec == "" {
		keySpec = kms.KeySpecSymmetricDefault
	}
	if err := unbuilt(in, keySpec); err != nil {
		return "", "", err
	}
	if usage == "" {
		if keySpec != kms.KeySpecSymmetricDefault {
			return "", "", fault.New(fault.ValidationException, "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.")
		}
		usage = kms.KeyUsageTypeEncryptDecrypt
	}
	if !slices.Contains(specs[keySpec].usages, usage) {
		return "", "", fault.New(fault.ValidationException, "KeyUsage %s is not compatible with KeySpec %s", usage, keySpec)
	}
	return keySpec, usage, nil
}

// CreateKey makes a key: symmetric, a pair, or of message authentication codes.
func (s *Service) CreateKey(ctx context.Context, in *kms.CreateKeyInput) (*kms.CreateKeyOutput, error) {
	keySpec, usage, err := kind(in)
	if err != nil {
		return nil, err
	}
	call := auth.From(ctx)
	k := &key{
		ID: newKeyID(call.Token, yes(in.MultiRegion)), Account: call.Scope.Account, Region: call.Scope.Region, Description: in.Description,
		Created: s.cfg.Now().UTC(), Spec: keySpec, Usage: usage, External: in.Origin == kms.OriginTypeExternal, Token: call.Token,
	}
	if yes(in.MultiRegion) {
		k.Family = &family{Primary: k.Region}
	}
	if k.Tags, err = mergeTags(ctx, nil, in.Tags); err != nil {
		return nil, err
	}
	if k.Policy, err = s.newPolicy(ctx, k, in.Policy, yes(in.BypassPolicyLockoutSafetyCheck)); err != nil {
		return nil, err
	}
	if !k.External {
		plain, err := generate(keySpec)
		if err != nil {
			return nil, err
		}
		if err := s.add(k, plain, material{Begun: k.Created}); err != nil {
			return nil, err
		}
	}
	err = s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		if call.Token != "" {
			if made, err := s.load(tx, k.path()); err == nil {
				k = made
				return nil
			}
		}
		return s.keys.Insert(tx, k.path(), k)
	})
	if err != nil {
		return nil, err
	}
	return &kms.CreateKeyOutput{KeyMetadata: k.metadata(s.cfg.Now())}, nil
}

func yes(b *bool) bool { return b != nil && *b }
