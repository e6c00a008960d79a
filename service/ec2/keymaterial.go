package ec2

import (
	"bytes"
	"crypto/ed25519"
	"crypto/md5"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"strings"

	"github.com/slipway/slipway/fault"
)

// keyMaterial is a key in the forms that EC2 gives out ("Amazon EC2 key pairs
// and Amazon EC2 instances"; fingerprints after "Verify the fingerprint of your
// key pair").
type keyMaterial struct {
	kind        string // "rsa" or "ed25519"
	public      string // "ssh-rsa AAAA…", without a comment
	private     string // PEM; empty for an imported key
	fingerprint string
}

const rsaBits = 2048

const (
	sshRSA     = "ssh-rsa"
	sshEd25519 = "ssh-ed25519"
)

// maxPublicKey bounds what ImportKeyPair reads.
const maxPublicKey = 16 << 10

func generateKey(kind string) (keyMaterial, error) {
	if kind == "ed25519" {
		return generateEd25519()
	}
	key, err := rsa.GenerateKey(rand.Reader, rsaBits)
	if err != nil {
		return keyMaterial{}, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return keyMaterial{}, err
	}
	sum := sha1.Sum(der)
	return keyMaterial{
		kind:        "rsa",
		public:      authorizedKey(sshRSA, rsaBlob(&key.PublicKey)),
		private:     string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})),
		fingerprint: colons(sum[:]),
	}, nil
}

func generateEd25519() (keyMaterial, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return keyMaterial{}, err
	}
	var check [4]byte
	_, _ = rand.Read(check[:]) // crypto/rand.Read never fails
	blob := sshEd25519Blob(public)
	return keyMaterial{
		kind:        "ed25519",
		public:      authorizedKey(sshEd25519, blob),
		private:     string(pem.EncodeToMemory(&pem.Block{Type: "OPENSSH PRIVATE KEY", Bytes: opensshPrivate(private, blob, check[:])})),
		fingerprint: opensshFingerprint(blob),
	}, nil
}

// opensshPrivate writes an unencrypted key in OpenSSH's own format, version 1
// (PROTOCOL.key of OpenSSH).
func opensshPrivate(key ed25519.PrivateKey, public, check []byte) []byte {
	var inner bytes.Buffer
	inner.Write(check)
	inner.Write(check)
	inner.Write(sshString([]byte(sshEd25519)))
	inner.Write(sshString(key.Public().(ed25519.PublicKey)))
	inner.Write(sshString(key))
	inner.Write(sshString(nil)) // comment
	for i := byte(1); inner.Len()%8 != 0; i++ {
		inner.WriteByte(i)
	}
	var out bytes.Buffer
	out.WriteString("openssh-key-v1\x00")
	out.Write(sshString([]byte("none"))) // cipher
	out.Write(sshString([]byte("none"))) // key derivation
	out.Write(sshString(nil))
	out.Write([]byte{0, 0, 0, 1})
	out.Write(sshString(public))
	out.Write(sshString(inner.Bytes()))
	return out.Bytes()
}

func sshString(b []byte) []byte {
	out := binary.BigEndian.AppendUint32(nil, uint32(len(b)))
	return append(out, b...)
}

func rsaBlob(key *rsa.PublicKey) []byte {
	e, n := big.NewInt(int64(key.E)).Bytes(), key.N.Bytes()
	out := sshString([]byte(sshRSA))
	out = append(out, sshString(positive(e))...)
	return append(out, sshString(positive(n))...)
}

// positive puts the zero before a number whose first bit is set, as SSH's mpint wants.
func positive(b []byte) []byte {
	if len(b) > 0 && b[0]&0x80 != 0 {
		return append([]byte{0}, b...)
	}
	return b
}

func sshEd25519Blob(key ed25519.PublicKey) []byte {
	return append(sshString([]byte(sshEd25519)), sshString(key)...)
}

func authorizedKey(kind string, blob []byte) string {
	return kind + " " + base64.StdEncoding.EncodeToString(blob)
}

func colons(sum []byte) string {
	parts := make([]string, len(sum))
	for i, b := range sum {
		parts[i] = hex.EncodeToString([]byte{b})
	}
	return strings.Join(parts, ":")
}

func opensshFingerprint(blob []byte) string {
	sum := sha256.Sum256(blob)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// importKey reads a public key: a line of an authorized_keys file, the SSH
// public key file format (RFC 4716), or DER in base64, with PEM's lines or without.
func importKey(raw []byte) (keyMaterial, error) {
	bad := fault.New(fault.InvalidKeyFormat, "Key is not in valid OpenSSH public key format")
	if len(raw) > maxPublicKey {
		return keyMaterial{}, bad
	}
	text := strings.TrimSpace(string(raw))
	switch {
	case strings.HasPrefix(text, "ssh-"):
		fields := strings.Fields(text)
		if len(fields) < 2 {
			return keyMaterial{}, bad
		}
		blob, err := base64.StdEncoding.DecodeString(fields[1])
		if err != nil {
			return keyMaterial{}, bad
		}
		m, err := fromBlob(blob)
		if err == nil && !strings.HasPrefix(m.public, fields[0]+" ") {
			err = bad
		}
		return m, err
	case strings.HasPrefix(text, "---- BEGIN SSH2 PUBLIC KEY ----"):
		blob, ok := rfc4716(text)
		if !ok {
			return keyMaterial{}, bad
		}
		return fromBlob(blob)
	}
	der := []byte(nil)
	if block, _ := pem.Decode([]byte(text)); block != nil {
		der = block.Bytes
	} else if b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), "")); err == nil {
		der = b
	}
	if key, err := x509.ParsePKIXPublicKey(der); err == nil {
		return fromKey(key)
	}
	if key, err := x509.ParsePKCS1PublicKey(der); err == nil {
		return fromKey(key)
	}
	return keyMaterial{}, bad
}

// rfc4716 takes the body from between the marker lines, without its headers.
func rfc4716(text string) ([]byte, bool) {
	var body strings.Builder
	header, ended := false, false
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		switch {
		case i == 0:
		case line == "---- END SSH2 PUBLIC KEY ----":
			ended = true
		case header || strings.Contains(line, ":"):
			header = strings.HasSuffix(line, `\`) // a header goes on in the next line
		default:
			body.WriteString(line)
		}
	}
	blob, err := base64.StdEncoding.DecodeString(body.String())
	return blob, ended && err == nil
}

func fromBlob(blob []byte) (keyMaterial, error) {
	bad := fault.New(fault.InvalidKeyFormat, "Key is not in valid OpenSSH public key format")
	kind, rest, ok := cutString(blob)
	if !ok {
		return keyMaterial{}, bad
	}
	switch string(kind) {
	case sshEd25519:
		key, rest, ok := cutString(rest)
		if !ok || len(rest) != 0 || len(key) != ed25519.PublicKeySize {
			return keyMaterial{}, bad
		}
		return fromKey(ed25519.PublicKey(key))
	case sshRSA:
		e, rest, ok1 := cutString(rest)
		n, rest, ok2 := cutString(rest)
		exponent := new(big.Int).SetBytes(e)
		if !ok1 || !ok2 || len(rest) != 0 || !exponent.IsInt64() || exponent.Int64() > 1<<31-1 || exponent.Int64() < 3 {
			return keyMaterial{}, bad
		}
		return fromKey(&rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(exponent.Int64())})
	}
	return keyMaterial{}, bad
}

func cutString(b []byte) (s, rest []byte, ok bool) {
	if len(b) < 4 {
		return nil, nil, false
	}
	n := binary.BigEndian.Uint32(b)
	if uint64(n) > uint64(len(b)-4) {
		return nil, nil, false
	}
	return b[4 : 4+n], b[4+n:], true
}

func fromKey(key any) (keyMaterial, error) {
	switch key := key.(type) {
	case ed25519.PublicKey:
		blob := sshEd25519Blob(key)
		return keyMaterial{kind: "ed25519", public: authorizedKey(sshEd25519, blob), fingerprint: opensshFingerprint(blob)}, nil
	case *rsa.PublicKey:
		switch key.N.BitLen() {
		case 1024, 2048, 4096:
		default:
			return keyMaterial{}, fault.New(fault.InvalidKeyFormat, "The key has %d bits; RSA keys of 1024, 2048 and 4096 bits can be imported", key.N.BitLen())
		}
		der, err := x509.MarshalPKIXPublicKey(key)
		if err != nil {
			return keyMaterial{}, err
		}
		sum := md5.Sum(der)
		return keyMaterial{kind: "rsa", public: authorizedKey(sshRSA, rsaBlob(key)), fingerprint: colons(sum[:])}, nil
	}
	return keyMaterial{}, fault.New(fault.InvalidKeyFormat, "Only RSA and ED25519 keys can be imported")
}
