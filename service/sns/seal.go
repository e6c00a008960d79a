package sns

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"time"

	kms "github.com/slipway/slipway/api/kms"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/keyring"
	"github.com/slipway/slipway/fault"
)

// A message that waits is sealed: under the data folder's master key or, where the
// topic has a KMS key, under a data key that KMS makes for the publisher and reopens
// for it ("Data encryption", Amazon SNS Developer Guide).

// sealer seals a message.
type sealer func(m *message) (*delivery, error)

func purpose(id string) string { return "sns/" + id }

// sealing is how the messages of a publication are sealed.
func (s *Service) sealing(ctx context.Context, a *addressed) (sealer, error) {
	ring, key := s.ring, []byte(nil)
	var by *auth.Call
	if id := a.topic.Attributes.KeyID; id != "" {
		k, err := s.dataKey(ctx, a.place, id, nil)
		if err != nil {
			return nil, err
		}
		call := auth.From(ctx)
		ring, key = k.ring, k.blob
		by = &auth.Call{Principal: call.Principal, Scope: call.Scope}
	}
	return func(m *message) (*delivery, error) {
		plain, err := json.Marshal(m)
		if err != nil {
			return nil, err
		}
		sealed, err := ring.Seal(purpose(m.ID), plain)
		if err != nil {
			return nil, err
		}
		return &delivery{ID: m.ID, Topic: a.key(), Sealed: sealed, Key: key, By: by}, nil
	}, nil
}

// open opens a message, as its publisher where KMS has to.
func (s *Service) open(ctx context.Context, d *delivery) (*message, error) {
	ring := s.ring
	if len(d.Key) > 0 {
		call := *d.By
		call.Service, call.Time, call.RequestID = "sns", s.now(), arn.NewID("req-")
		p, err := placeOfKey(d.Topic)
		if err != nil {
			return nil, err
		}
		k, err := s.dataKey(auth.With(ctx, call), p, "", d.Key)
		if err != nil {
			return nil, err
		}
		ring = k.ring
	}
	plain, err := ring.Open(purpose(d.ID), d.Sealed)
	if err != nil {
		return nil, err
	}
	m := &message{}
	return m, json.Unmarshal(plain, m)
}

// dataKey is a key in the clear, with its ciphertext.
type dataKey struct {
	ring  *keyring.Ring
	blob  []byte
	until time.Time
}

// dataKeys are those in use, by caller, topic, and key or ciphertext.
type dataKeys struct {
	mu   sync.Mutex
	kept map[string]dataKey
}

const (
	reuse       = 5 * time.Minute
	maxDataKeys = 4096 // a full cache starts afresh
)

// dataKey has KMS make a data key under a key, or open one, as the caller.
func (s *Service) dataKey(ctx context.Context, p place, keyID string, blob []byte) (dataKey, error) {
	name := strings.Join([]string{auth.From(ctx).Principal.ARN, p.key(), keyID, string(blob)}, "\x00")
	s.dataKeys.mu.Lock()
	k, ok := s.dataKeys.kept[name]
	s.dataKeys.mu.Unlock()
	if ok && s.now().Before(k.until) {
		return k, nil
	}
	about := map[string]string{"aws:sns:topicArn": p.arn()}
	k = dataKey{blob: blob, until: s.now().Add(reuse)}
	var plain []byte
	if keyID != "" {
		out, err := s.kms.GenerateDataKey(ctx, &kms.GenerateDataKeyInput{KeyId: p.keyName(keyID), KeySpec: kms.DataKeySpecAes256, EncryptionContext: about})
		if err != nil {
			return k, keyError(err)
		}
		plain, k.blob = out.Plaintext, out.CiphertextBlob
	} else {
		out, err := s.kms.Decrypt(ctx, &kms.DecryptInput{CiphertextBlob: blob, EncryptionContext: about})
		if err != nil {
			return k, keyError(err)
		}
		plain = out.Plaintext
	}
	var err error
	if k.ring, err = keyring.New(plain); err != nil {
		return k, err
	}
	s.dataKeys.mu.Lock()
	defer s.dataKeys.mu.Unlock()
	if s.dataKeys.kept == nil || len(s.dataKeys.kept) >= maxDataKeys {
		s.dataKeys.kept = map[string]dataKey{}
	}
	s.dataKeys.kept[name] = k
	return k, nil
}

// keyName is a key as KMS finds it for callers of any account.
func (p place) keyName(id string) string {
	switch {
	case strings.HasPrefix(id, "arn:"):
		return id
	case strings.HasPrefix(id, "alias/"):
		return p.ARN("kms", id).String()
	}
	return p.ARN("kms", "key/"+id).String()
}

// keyError tells of a key in the words of SNS.
func keyError(err error) error {
	f, ok := fault.As(err)
	if !ok {
		return err
	}
	code, ok := map[string]string{
		fault.AccessDeniedException: fault.TopicKMSAccessDenied, fault.DisabledException: fault.TopicKMSDisabled,
		fault.KMSInvalidState: fault.TopicKMSInvalidState, fault.NotFoundException: fault.TopicKMSNotFound,
		fault.InvalidKeyUsage: fault.TopicKMSInvalidState, fault.InvalidArn: fault.TopicKMSNotFound,
		fault.ValidationException: fault.TopicKMSNotFound,
	}[f.Code]
	if !ok {
		return err
	}
	return fault.New(code, "%s (Service: AWSKMS; Status Code: 400; Error Code: %s)", f.Message, f.Code)
}
