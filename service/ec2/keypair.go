package ec2

import (
	"context"
	"errors"
	"sort"
	"strings"
	"time"
	"unicode/utf8"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// Limits of key pairs.
const (
	maxKeyName  = 255
	maxKeyPairs = 5000
)

// keyPair is the public half of a key pair. The private half is given out once
// and never kept.
type keyPair struct {
	Scope       arn.Scope `json:"scope"`
	ID          string    `json:"id"`
	Name        string    `json:"name"`
	Type        string    `json:"type"` // "rsa" or "ed25519"
	Fingerprint string    `json:"fingerprint"`
	Public      string    `json:"public"` // a line of an authorized_keys file
	Created     time.Time `json:"created"`
	Token       string    `json:"token,omitempty"`
}

var keyPairs = store.NewCollection("ec2/keypair",
	store.Index[keyPair]{Name: "id", Keys: func(_ string, k *keyPair) []string { return []string{k.Scope.Key() + "/" + k.ID} }},
)

func keyPairKey(scope arn.Scope, name string) string { return scope.Key() + "/" + name }

func checkKeyName(name string) error {
	if name == "" || len(name) > maxKeyName || !utf8.ValidString(name) || strings.TrimSpace(name) != name || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r > '~' }) {
		return fault.New(fault.InvalidParameterValue, "Value for parameter KeyName is invalid. It must be 1 to %d ASCII characters, without leading or trailing spaces.", maxKeyName)
	}
	return nil
}

// keyPairByName finds a key pair.
func keyPairByName(tx store.Tx, scope arn.Scope, name string) (*keyPair, error) {
	k, err := keyPairs.Get(tx, keyPairKey(scope, name))
	if errors.Is(err, store.ErrNotFound) {
		return nil, fault.New(fault.InvalidKeyPairNotFound, "The key pair '%s' does not exist", clip(name, maxKeyName))
	}
	return k, err
}

func keyPairByID(tx store.Tx, scope arn.Scope, id string) (*keyPair, error) {
	if err := checkID(prefixKey, id); err != nil {
		return nil, err
	}
	for e, err := range keyPairs.ByIndex(tx, "id", scope.Key()+"/"+id) {
		return e.Value, err
	}
	return nil, notFound(prefixKey, id)
}

// CreateKeyPair makes a key and hands its private half out. A durable step that
// asks again gets a new key under the same name: nobody has seen the old one.
func (s *Service) CreateKeyPair(ctx context.Context, in *api.CreateKeyPairInput) (*api.CreateKeyPairOutput, error) {
	kind, format := in.KeyType, in.KeyFormat
	if kind == "" {
		kind = "rsa"
	}
	if format == "" {
		format = "pem"
	}
	if format == "ppk" {
		return nil, fault.New(fault.NotImplemented, "KeyFormat ppk is not built in this version; use pem.")
	}
	if format != "pem" {
		return nil, fault.New(fault.InvalidParameterValue, "Value (%s) for parameter KeyFormat is invalid. Invalid key format.", clip(format, 64))
	}
	if kind != "rsa" && kind != "ed25519" {
		return nil, fault.New(fault.InvalidParameterValue, "Value (%s) for parameter KeyType is invalid. Invalid key type.", clip(kind, 64))
	}
	if err := s.mayCreateKey(ctx, in.KeyName); err != nil {
		return nil, err
	}
	if err := dryRun(in.DryRun); err != nil {
		return nil, err
	}
	material, err := generateKey(kind)
	if err != nil {
		return nil, err
	}
	k, tags, err := s.saveKey(ctx, in.KeyName, material, in.TagSpecifications)
	if err != nil {
		return nil, err
	}
	return &api.CreateKeyPairOutput{
		KeyName: k.Name, KeyPairId: k.ID, KeyFingerprint: k.Fingerprint, KeyMaterial: material.private, Tags: tags.list(),
	}, nil
}

// mayCreateKey looks whether the name is free, before the work of making a key.
func (s *Service) mayCreateKey(ctx context.Context, name string) error {
	call := auth.From(ctx)
	if err := checkKeyName(name); err != nil {
		return err
	}
	return s.cfg.Store.View(ctx, func(tx store.Tx) error { return keyNameFree(tx, call, name) })
}

func keyNameFree(tx store.Tx, call auth.Call, name string) error {
	old, err := keyPairByName(tx, call.Scope, name)
	if fault.Is(err, fault.InvalidKeyPairNotFound) || err == nil && call.Token != "" && old.Token == call.Token {
		return nil
	}
	if err != nil {
		return err
	}
	return fault.New(fault.InvalidKeyPairDuplicate, "The keypair already exists")
}

// ImportKeyPair keeps a public key that the caller made.
func (s *Service) ImportKeyPair(ctx context.Context, in *api.ImportKeyPairInput) (*api.ImportKeyPairOutput, error) {
	material, err := importKey(in.PublicKeyMaterial)
	if err != nil {
		return nil, err
	}
	if err := s.mayCreateKey(ctx, in.KeyName); err != nil {
		return nil, err
	}
	if err := dryRun(in.DryRun); err != nil {
		return nil, err
	}
	k, tags, err := s.saveKey(ctx, in.KeyName, material, in.TagSpecifications)
	if err != nil {
		return nil, err
	}
	return &api.ImportKeyPairOutput{KeyName: k.Name, KeyPairId: k.ID, KeyFingerprint: k.Fingerprint, Tags: tags.list()}, nil
}

func (s *Service) saveKey(ctx context.Context, name string, m keyMaterial, specs []api.TagSpecification) (*keyPair, tagMap, error) {
	call := auth.From(ctx)
	tags, err := specTags(call, specs, "key-pair")
	if err != nil {
		return nil, nil, err
	}
	k := &keyPair{
		Scope: call.Scope, ID: newID(call, prefixKey, "key"), Name: name, Type: m.kind, Fingerprint: m.fingerprint,
		Public: m.public + " " + name, Created: s.now(), Token: call.Token,
	}
	err = s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		if err := keyNameFree(tx, call, name); err != nil {
			return err
		}
		if err := keyPairs.Put(tx, keyPairKey(k.Scope, name), k); err != nil {
			return err
		}
		return putTags(tx, k.Scope, "key-pair", k.ID, tags["key-pair"])
	})
	return k, tags["key-pair"], err
}

// DeleteKeyPair forgets a key; that it is not there is no error. Instances that
// run with it keep it.
func (s *Service) DeleteKeyPair(ctx context.Context, in *api.DeleteKeyPairInput) (*api.DeleteKeyPairOutput, error) {
	scope := auth.From(ctx).Scope
	if in.KeyName == "" && in.KeyPairId == "" {
		return nil, fault.New(fault.MissingParameter, "The request must contain the parameter KeyName or KeyPairId")
	}
	out := &api.DeleteKeyPairOutput{Return: ptr(true)}
	err := s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		var k *keyPair
		var err error
		if in.KeyPairId != "" {
			k, err = keyPairByID(tx, scope, in.KeyPairId)
		} else {
			k, err = keyPairByName(tx, scope, in.KeyName)
		}
		if fault.Is(err, fault.InvalidKeyPairNotFound) {
			return dryRun(in.DryRun)
		}
		if err != nil {
			return err
		}
		if in.KeyName != "" && in.KeyName != k.Name {
			return fault.New(fault.InvalidParameterCombination, "The parameters KeyName and KeyPairId name different key pairs")
		}
		out.KeyPairId = k.ID
		if err := errors.Join(dropTags(tx, scope, k.ID), keyPairs.Delete(tx, keyPairKey(scope, k.Name))); err != nil {
			return err
		}
		return dryRun(in.DryRun)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

type keyPairView struct {
	keyPair
	tags tagMap
}

func keyPairFields(v keyPairView, name string) ([]string, bool) {
	switch name {
	case "key-pair-id":
		return one(v.ID)
	case "fingerprint":
		return one(v.Fingerprint)
	case "key-name":
		return one(v.Name)
	}
	return tagFields(v.tags, name)
}

// DescribeKeyPairs lists the caller's key pairs; it has no pages.
func (s *Service) DescribeKeyPairs(ctx context.Context, in *api.DescribeKeyPairsInput) (*api.DescribeKeyPairsOutput, error) {
	scope := auth.From(ctx).Scope
	m, err := newMatcher(in.Filters, keyPairFields)
	if err != nil {
		return nil, err
	}
	ids, err := newIDSet(prefixKey, in.KeyPairIds)
	if err != nil {
		return nil, err
	}
	if err := dryRun(in.DryRun); err != nil {
		return nil, err
	}
	var found []keyPairView
	err = s.cfg.Store.View(ctx, func(tx store.Tx) error {
		found = found[:0]
		tags, err := allTags(tx, scope, prefixKey)
		if err != nil {
			return err
		}
		known := map[string]bool{}
		for e, err := range keyPairs.Scan(tx, scope.Key()+"/") {
			if err != nil {
				return err
			}
			v := keyPairView{*e.Value, tags[e.Value.ID]}
			known[v.Name], known[v.ID] = true, true
			named := ids == nil && len(in.KeyNames) == 0 || ids[v.ID] || contains(in.KeyNames, v.Name)
			if named && m.match(v) {
				found = append(found, v)
			}
		}
		if lost := missing(in.KeyNames, func(n string) bool { return known[n] }); len(lost) > 0 {
			return fault.New(fault.InvalidKeyPairNotFound, "The key pair '%s' does not exist", clip(lost[0], maxKeyName))
		}
		if lost := missing(in.KeyPairIds, func(n string) bool { return known[n] }); len(lost) > 0 {
			return notFound(prefixKey, lost...)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	sort.Slice(found, func(i, j int) bool { return found[i].Name < found[j].Name })
	out := &api.DescribeKeyPairsOutput{}
	for _, v := range found {
		k := api.KeyPairInfo{
			KeyName: v.Name, KeyPairId: v.ID, KeyType: v.Type, KeyFingerprint: v.Fingerprint,
			CreateTime: ptr(v.Created), Tags: v.tags.list(),
		}
		if in.IncludePublicKey != nil && *in.IncludePublicKey {
			k.PublicKey = v.Public
		}
		out.KeyPairs = append(out.KeyPairs, k)
	}
	return out, nil
}
