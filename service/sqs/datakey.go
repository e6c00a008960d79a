package sqs

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"time"

	kms "github.com/slipway/slipway/api/kms"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/keyring"
	"github.com/slipway/slipway/fault"
)

// A queue with a KMS key (SSE-KMS) has its messages sealed under data keys of
// that key, which are reused for a time and never shared between callers ("Key
// management", Amazon SQS Developer Guide). KMS has transactions of its own, so
// one that lacks a data key ends with lacking; the key is fetched, and it is
// tried again.

// Bounds of KmsDataKeyReusePeriodSeconds.
const (
	minReuse     = 60
	maxReuse     = 86400
	defaultReuse = 300
)

// lacking is a data key that a transaction needs.
type lacking struct {
	queue string // ARN: the encryption context
	keyID string // to make one under; "" to open one
	blob  []byte
	reuse time.Duration
}

func (lacking) Error() string { return "sqs: a data key is not here yet" }

// dataKey is a key in the clear, with its ciphertext.
type dataKey struct {
	ring  *keyring.Ring
	blob  []byte
	until time.Time
}

// dataKeys are those in use. Its keys name the caller.
type dataKeys struct {
	mu   sync.Mutex
	keys map[[32]byte]dataKey
}

// maxDataKeys bounds them; a full cache starts afresh.
const maxDataKeys = 4096

func dataKeyName(who string, l lacking) [32]byte {
	h := sha256.New()
	for _, part := range []string{who, l.queue, l.keyID, string(l.blob)} {
		sum := sha256.Sum256([]byte(part))
		h.Write(sum[:])
	}
	return [32]byte(h.Sum(nil))
}

// get gives a data key, or what is lacking.
func (d *dataKeys) get(who string, l lacking, now time.Time) (dataKey, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	k, ok := d.keys[dataKeyName(who, l)]
	if !ok || !now.Before(k.until) {
		return dataKey{}, l
	}
	return k, nil
}

func (d *dataKeys) put(who string, l lacking, k dataKey) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.keys == nil || len(d.keys) >= maxDataKeys {
		d.keys = map[[32]byte]dataKey{}
	}
	d.keys[dataKeyName(who, l)] = k
}

// caller is whose data keys a call uses.
func caller(ctx context.Context) string { return auth.From(ctx).Principal.ARN }

// withDataKeys runs a transaction, and again for each data key that it lacks: a
// receive may meet one for each message.
func (s *Service) withDataKeys(ctx context.Context, fn func() error) error {
	for range maxScanned {
		var l lacking
		err := fn()
		if !errors.As(err, &l) {
			return err
		}
		if err := s.fetch(ctx, l); err != nil {
			return err
		}
	}
	return fault.New(fault.KmsThrottled, "The messages have too many data keys.")
}

// fetch has KMS make or open a data key, as the caller.
func (s *Service) fetch(ctx context.Context, l lacking) error {
	about := map[string]string{"aws:sqs:arn": l.queue}
	k := dataKey{blob: l.blob, until: s.now().Add(l.reuse)}
	var plain []byte
	if l.keyID != "" {
		out, err := s.kms.GenerateDataKey(ctx, &kms.GenerateDataKeyInput{KeyId: l.keyID, KeySpec: kms.DataKeySpecAes256, EncryptionContext: about})
		if err != nil {
			return keyError(err)
		}
		plain, k.blob = out.Plaintext, out.CiphertextBlob
	} else {
		out, err := s.kms.Decrypt(ctx, &kms.DecryptInput{CiphertextBlob: l.blob, EncryptionContext: about})
		if err != nil {
			return keyError(err)
		}
		plain = out.Plaintext
	}
	var err error
	if k.ring, err = keyring.New(plain); err != nil {
		return err
	}
	s.dataKeys.put(caller(ctx), l, k)
	return nil
}

// keyError tells of a key in the words of SQS.
func keyError(err error) error {
	f, ok := fault.As(err)
	if !ok {
		return err
	}
	code, ok := map[string]string{
		fault.AccessDeniedException: fault.KmsAccessDenied, fault.DisabledException: fault.KmsDisabled,
		fault.KMSInvalidState: fault.KmsInvalidState, fault.NotFoundException: fault.KmsNotFound,
		fault.InvalidKeyUsage: fault.KmsInvalidKeyUsage,
	}[f.Code]
	if !ok {
		return err
	}
	return fault.New(code, "%s (Service: Kms, Status Code: 400)", f.Message)
}

// sealUnderKey seals a message of a queue with a KMS key. It keeps the seal when
// it moves to another queue or id, so it names both as they were.
func (s *Service) sealUnderKey(ctx context.Context, q *queue, id string, plain []byte) (kept, error) {
	l := lacking{queue: q.at.arn(), keyID: q.Attributes.KeyID, reuse: time.Duration(q.Attributes.Reuse) * time.Second}
	k, err := s.dataKeys.get(caller(ctx), l, s.now())
	if err != nil {
		return kept{}, err
	}
	sealed, err := k.ring.Seal("sqs/"+id, plain)
	return kept{Sealed: sealed, Key: k.blob, Queue: l.queue, ID: id}, err
}

func (s *Service) openUnderKey(who string, k kept) ([]byte, error) {
	d, err := s.dataKeys.get(who, lacking{queue: k.Queue, blob: k.Key, reuse: defaultReuse * time.Second}, s.now())
	if err != nil {
		return nil, err
	}
	return d.ring.Open("sqs/"+k.ID, k.Sealed)
}
