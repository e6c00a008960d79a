package logs

import (
	"context"
	"fmt"
	"sync"
	"time"

	kms "github.com/slipway/slipway/api/kms"
	api "github.com/slipway/slipway/api/logs"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/keyring"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// dataKey is a data key of a KMS key: its ciphertext, which KMS alone opens.
type dataKey struct {
	KeyARN string
	Blob   []byte
}

// dataKeys are the data keys in the clear, for a time: a key that was disabled since
// is asked for again then ("Encrypt log data in CloudWatch Logs using AWS Key
// Management Service", Amazon CloudWatch Logs User Guide: within 5 minutes).
type dataKeys struct {
	mu   sync.Mutex
	keys map[dataKeyID]openKey
}

type dataKeyID struct {
	group string // its id
	key   int    // its place in Keys, from 1
}

type openKey struct {
	ring  *keyring.Ring
	until time.Time
}

const (
	maxDataKeys   = 4096 // a full memory starts afresh
	dataKeyReuse  = 5 * time.Minute
	contextMember = "aws:logs:arn"
)

func (d *dataKeys) get(id dataKeyID, now time.Time) *keyring.Ring {
	d.mu.Lock()
	defer d.mu.Unlock()
	if k, ok := d.keys[id]; ok && now.Before(k.until) {
		return k.ring
	}
	return nil
}

func (d *dataKeys) put(id dataKeyID, k openKey) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.keys == nil || len(d.keys) >= maxDataKeys {
		d.keys = map[dataKeyID]openKey{}
	}
	d.keys[id] = k
}

// lacking is the data key that a transaction needs, which is not open. KMS has
// transactions of its own, so the one that lacks it ends, and is tried again.
type lacking struct{ key int }

func (l lacking) Error() string { return fmt.Sprintf("logs: data key %d is not open yet", l.key) }

// ringOf is what seals a group's events under one of its keys.
func (s *Service) ringOf(g *group, key int) (*keyring.Ring, error) {
	if key == 0 {
		return s.ring, nil
	}
	if key > len(g.Keys) {
		return nil, fmt.Errorf("logs: group %s has no data key %d", g.Name, key)
	}
	if r := s.dataKeys.get(dataKeyID{g.ID, key}, s.now()); r != nil {
		return r, nil
	}
	return nil, lacking{key}
}

// asLogs is the context in which CloudWatch Logs itself calls for a group. It acts in
// no account, so that a key's own policy is asked.
func (s *Service) asLogs(ctx context.Context, p place) context.Context {
	name := "logs." + p.Region + ".amazonaws.com"
	return auth.With(ctx, auth.Call{
		Principal: auth.Principal{Kind: auth.Service, Name: name, ARN: name, UserID: name},
		Scope:     arn.Scope{Region: p.Region}, Service: "logs", Time: s.now(), RequestID: arn.NewID("req-"),
		SourceIP: name, UserAgent: name, SourceARN: p.arn(), SourceAccount: p.Account,
	})
}

// forFunctions is asLogs towards functions, whose policies name it otherwise.
func (s *Service) forFunctions(ctx context.Context, p place) context.Context {
	as := s.asLogs(ctx, p)
	call := auth.From(as)
	const name = "logs.amazonaws.com"
	call.Principal = auth.Principal{Kind: auth.Service, Name: name, ARN: name, UserID: name}
	call.SourceARN = p.arn() + ":*"
	return auth.With(as, call)
}

// newDataKey makes a data key for a group.
func (s *Service) newDataKey(ctx context.Context, p place, key string) (dataKey, error) {
	if a, err := arn.Parse(key); err != nil || a.Service != "kms" {
		return dataKey{}, invalid("Invalid KMS Key Id: %s is not the ARN of a KMS key.", key)
	}
	out, err := s.kms.GenerateDataKey(s.asLogs(ctx, p), &kms.GenerateDataKeyInput{
		KeyId: key, KeySpec: kms.DataKeySpecAes256, EncryptionContext: map[string]string{contextMember: p.arn()},
	})
	if _, known := fault.As(err); known {
		return dataKey{}, invalid("The specified KMS key does not exist or is not allowed to be used with Arn '%s'", p.arn())
	}
	if err != nil {
		return dataKey{}, err
	}
	return dataKey{KeyARN: out.KeyId, Blob: out.CiphertextBlob}, nil
}

// openDataKey has KMS open a data key of a group.
func (s *Service) openDataKey(ctx context.Context, p place, g *group, key int) error {
	out, err := s.kms.Decrypt(s.asLogs(ctx, p), &kms.DecryptInput{
		CiphertextBlob: g.Keys[key-1].Blob, EncryptionContext: map[string]string{contextMember: p.arn()},
	})
	if f, known := fault.As(err); known {
		return invalid("The KMS key %s of the log group cannot be used: %s", g.Keys[key-1].KeyARN, f.Message)
	}
	if err != nil {
		return err
	}
	ring, err := keyring.New(out.Plaintext)
	if err != nil {
		return err
	}
	s.dataKeys.put(dataKeyID{g.ID, key}, openKey{ring, s.now().Add(dataKeyReuse)})
	return nil
}

// keyed is the place of the group that an association of a key names.
func keyed(ctx context.Context, operation, name, identifier string) (place, error) {
	switch {
	case name != "" && identifier != "":
		return place{}, invalid("LogGroup name and resource identifier are mutually exclusive parameters.")
	case name != "":
		return here(ctx, name), nil
	case identifier == "":
		return place{}, invalid("Either LogGroup name or resource identifier must be specified.")
	}
	if a, err := arn.Parse(identifier); err == nil && a.Resource == "query-result:*" {
		return place{}, fault.New(fault.NotImplemented, "%s: query results are not built.", operation)
	}
	return fromARN(ctx, identifier)
}

// maxKeys bounds the data keys that a group remembers.
const maxKeys = 100

// AssociateKmsKey has a group's new events sealed under a KMS key. Older ones stay
// under the keys that they have.
func (s *Service) AssociateKmsKey(ctx context.Context, in *api.AssociateKmsKeyInput) (*api.AssociateKmsKeyOutput, error) {
	p, err := keyed(ctx, "AssociateKmsKey", in.LogGroupName, in.ResourceIdentifier)
	if err != nil {
		return nil, err
	}
	if err := s.store.View(ctx, func(tx store.Tx) error { _, err := find(tx, p); return err }); err != nil {
		return nil, err
	}
	k, err := s.newDataKey(ctx, p, in.KmsKeyId)
	if err != nil {
		return nil, err
	}
	err = s.change(ctx, p, func(_ store.Tx, g *group) error {
		if g.Key > 0 && g.Keys[g.Key-1].KeyARN == k.KeyARN {
			return nil
		}
		for i := range g.Keys {
			if g.Keys[i].KeyARN == k.KeyARN {
				g.Key = i + 1
				return nil
			}
		}
		if len(g.Keys) >= maxKeys {
			return fault.New(fault.LimitExceededException, "The log group has had %d KMS keys.", maxKeys)
		}
		g.Keys = append(g.Keys, k)
		g.Key = len(g.Keys)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &api.AssociateKmsKeyOutput{}, nil
}

// DisassociateKmsKey has a group's new events sealed under Slipway's own key again.
func (s *Service) DisassociateKmsKey(ctx context.Context, in *api.DisassociateKmsKeyInput) (*api.DisassociateKmsKeyOutput, error) {
	p, err := keyed(ctx, "DisassociateKmsKey", in.LogGroupName, in.ResourceIdentifier)
	if err != nil {
		return nil, err
	}
	err = s.change(ctx, p, func(_ store.Tx, g *group) error {
		g.Key = 0
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &api.DisassociateKmsKeyOutput{}, nil
}
