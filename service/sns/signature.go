package sns

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" // #nosec G505 -- SignatureVersion 1 is of SHA-1
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"math/big"
	"net/http"
	"strings"
	"time"

	"github.com/slipway/slipway/store"
)

// Messages are signed by a key of the data folder's own, whose certificate Slipway
// serves: SigningCertURL.

// CertificatePath begins the path of the certificate that messages are signed with.
const CertificatePath = "/SimpleNotificationService-"

const certificateSuffix = ".pem"

// signingKeys keeps the key, under "key".
var signingKeys = store.NewCollection[signingRecord]("sns/signing")

type signingRecord struct {
	Sealed      []byte // PKCS #8
	Certificate []byte // DER
}

// signer signs messages.
type signer struct {
	key  *rsa.PrivateKey
	path string
	pem  []byte
}

const (
	keyBits         = 2048
	certificateLife = 20 * 365 * 24 * time.Hour
	keyPurpose      = "sns/signing"
)

// signingKey is the key; the first message that needs one makes it.
func (s *Service) signingKey(ctx context.Context) (*signer, error) {
	s.signing.Lock()
	defer s.signing.Unlock()
	if s.signer != nil {
		return s.signer, nil
	}
	rec, err := s.keptKey(ctx)
	if errors.Is(err, store.ErrNotFound) {
		var fresh *signingRecord
		if fresh, err = s.newKey(); err != nil {
			return nil, err
		}
		err = s.store.Update(ctx, func(tx store.Tx) error { return signingKeys.Insert(tx, "key", fresh) })
		if err == nil || errors.Is(err, store.ErrExists) {
			rec, err = s.keptKey(ctx)
		}
	}
	if err != nil {
		return nil, err
	}
	plain, err := s.ring.Open(keyPurpose, rec.Sealed)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(plain)
	if err != nil {
		return nil, err
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return nil, errors.New("sns: the signing key is not RSA")
	}
	sum := sha256.Sum256(rec.Certificate)
	s.signer = &signer{
		key: key, path: CertificatePath + hex.EncodeToString(sum[:16]) + certificateSuffix,
		pem: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: rec.Certificate}),
	}
	return s.signer, nil
}

func (s *Service) keptKey(ctx context.Context) (rec *signingRecord, err error) {
	err = s.store.View(ctx, func(tx store.Tx) error {
		rec, err = signingKeys.Get(tx, "key")
		return err
	})
	return rec, err
}

func (s *Service) newKey() (*signingRecord, error) {
	key, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	now := s.now()
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: servicePrincipal, Organization: []string{"Slipway"}},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(certificateLife), KeyUsage: x509.KeyUsageDigitalSignature,
		DNSNames: []string{servicePrincipal},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	plain, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	sealed, err := s.ring.Seal(keyPurpose, plain)
	return &signingRecord{sealed, der}, err
}

// sign signs a text by a version of the signature: 1 is of SHA-1, 2 of SHA-256.
func (k *signer) sign(version string, text []byte) (string, error) {
	kind, digest := crypto.SHA1, []byte(nil)
	if version == "2" {
		sum := sha256.Sum256(text)
		kind, digest = crypto.SHA256, sum[:]
	} else {
		sum := sha1.Sum(text) // #nosec G401 -- what SignatureVersion 1 is
		digest = sum[:]
	}
	b, err := rsa.SignPKCS1v15(rand.Reader, k.key, kind, digest)
	return base64.StdEncoding.EncodeToString(b), err
}

// ServeCertificate serves the certificate that messages are signed with.
func (s *Service) ServeCertificate(w http.ResponseWriter, r *http.Request) {
	k, err := s.signingKey(r.Context())
	switch {
	case err != nil:
		s.log.Error("signing certificate", "error", err)
		http.Error(w, "the certificate cannot be read", http.StatusInternalServerError)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
	case r.URL.Path != k.path:
		http.NotFound(w, r)
	default:
		w.Header().Set("Content-Type", "application/x-pem-file")
		_, _ = w.Write(k.pem) // the client has gone if it fails
	}
}

// IsCertificate reports whether a path is that of a signing certificate.
func IsCertificate(path string) bool {
	return strings.HasPrefix(path, CertificatePath) && strings.HasSuffix(path, certificateSuffix)
}
