package iam

import (
	"context"
	"crypto/md5" //nolint:gosec // the fingerprint that the API is defined to give
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"time"

	api "github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// sshKey is a user's SSH public key, an RSA key.
type sshKey struct {
	ID       string
	Blob     []byte // as in an ssh-rsa line
	Status   string
	Uploaded time.Time
}

var sshKeys = credentials[sshKey]{
	store.NewCollection[sshKey]("iam/sshkey"), "The Public Key with id %s cannot be found.", "SSHPublicKeysPerUser", 5, "SSH public keys",
}

// parseSSHKey reads an ssh-rsa line or a PEM block, and gives the key in the
// form of the line's second field.
func parseSSHKey(text string) ([]byte, error) {
	text = strings.TrimSpace(text)
	unreadable := fault.New(fault.UnrecognizedPublicKeyEncoding, "The public key encoding is not recognized: it is neither ssh-rsa nor PEM.")
	if fields := strings.Fields(text); len(fields) >= 2 && fields[0] == "ssh-rsa" {
		blob, err := base64.StdEncoding.DecodeString(fields[1])
		if err != nil {
			return nil, unreadable
		}
		key, err := rsaOf(blob)
		if err != nil {
			return nil, err
		}
		return blob, checkRSA(key)
	}
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, unreadable
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		if key, err = x509.ParsePKCS1PublicKey(block.Bytes); err != nil {
			return nil, fault.New(fault.InvalidPublicKey, "The public key is malformed or otherwise invalid.")
		}
	}
	public, ok := key.(*rsa.PublicKey)
	if !ok {
		return nil, fault.New(fault.InvalidPublicKey, "The public key is not an RSA key.")
	}
	return sshBlob(public), checkRSA(public)
}

func checkRSA(key *rsa.PublicKey) error {
	if bits := key.N.BitLen(); bits < 2048 || bits > 16384 || key.E < 3 {
		return fault.New(fault.InvalidPublicKey, "The public key has %d bits; it must have at least 2048.", bits)
	}
	return nil
}

// sshBlob writes a key as RFC 4253, 6.6 says.
func sshBlob(key *rsa.PublicKey) []byte {
	var out []byte
	put := func(b []byte) {
		out = binary.BigEndian.AppendUint32(out, uint32(len(b))) //nolint:gosec // a few hundred
		out = append(out, b...)
	}
	integer := func(n *big.Int) []byte {
		b := n.Bytes()
		if len(b) > 0 && b[0] >= 0x80 {
			b = append([]byte{0}, b...)
		}
		return b
	}
	put([]byte("ssh-rsa"))
	put(integer(big.NewInt(int64(key.E))))
	put(integer(key.N))
	return out
}

func rsaOf(blob []byte) (*rsa.PublicKey, error) {
	invalid := fault.New(fault.InvalidPublicKey, "The public key is malformed or otherwise invalid.")
	var parts [][]byte
	for len(blob) >= 4 && len(parts) < 3 {
		n := binary.BigEndian.Uint32(blob)
		if uint64(n) > uint64(len(blob)-4) {
			return nil, invalid
		}
		parts = append(parts, blob[4:4+n])
		blob = blob[4+n:]
	}
	if len(parts) != 3 || len(blob) != 0 || string(parts[0]) != "ssh-rsa" || len(parts[1]) > 4 {
		return nil, invalid
	}
	return &rsa.PublicKey{E: int(new(big.Int).SetBytes(parts[1]).Int64()), N: new(big.Int).SetBytes(parts[2])}, nil
}

// api describes the key in an encoding, "SSH" or "PEM".
func (k *sshKey) api(name, encoding string) (*api.SSHPublicKey, error) {
	sum := md5.Sum(k.Blob) //nolint:gosec // see the import
	hex := make([]string, len(sum))
	for i, b := range sum {
		hex[i] = fmt.Sprintf("%02x", b)
	}
	body := "ssh-rsa " + base64.StdEncoding.EncodeToString(k.Blob)
	if encoding == "PEM" {
		key, err := rsaOf(k.Blob)
		if err != nil {
			return nil, err
		}
		der, err := x509.MarshalPKIXPublicKey(key)
		if err != nil {
			return nil, err
		}
		body = string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	}
	return &api.SSHPublicKey{
		UserName: name, SSHPublicKeyId: k.ID, Fingerprint: strings.Join(hex, ":"), SSHPublicKeyBody: body, Status: k.Status, UploadDate: &k.Uploaded,
	}, nil
}

// UploadSSHPublicKey gives a user an SSH public key.
func (s *Service) UploadSSHPublicKey(ctx context.Context, in *api.UploadSSHPublicKeyInput) (*api.UploadSSHPublicKeyOutput, error) {
	blob, err := parseSSHKey(in.SSHPublicKeyBody)
	if err != nil {
		return nil, err
	}
	k := &sshKey{ID: auth.UniqueID("APKA", 17), Blob: blob, Status: "Active", Uploaded: s.now().UTC().Truncate(time.Second)}
	err = addCredential(ctx, s, sshKeys, in.UserName, k.ID, k, func(have *sshKey) error {
		if string(have.Blob) == string(blob) {
			return fault.New(fault.DuplicateSSHPublicKey, "The SSH public key is already associated with the user %s.", in.UserName)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	out, err := k.api(in.UserName, "SSH")
	if err != nil {
		return nil, err
	}
	return &api.UploadSSHPublicKeyOutput{SSHPublicKey: out}, nil
}

// GetSSHPublicKey tells a key in one of two encodings.
func (s *Service) GetSSHPublicKey(ctx context.Context, in *api.GetSSHPublicKeyInput) (*api.GetSSHPublicKeyOutput, error) {
	if in.Encoding != "SSH" && in.Encoding != "PEM" {
		return nil, fault.New(fault.UnrecognizedPublicKeyEncoding, "The encoding %s is not SSH or PEM.", in.Encoding)
	}
	var k *sshKey
	err := s.store.View(ctx, func(tx store.Tx) error {
		account := auth.From(ctx).Scope.Account
		u, err := users.find(tx, account, in.UserName)
		if err != nil {
			return err
		}
		k, err = sshKeys.find(tx, account, u, in.SSHPublicKeyId)
		return err
	})
	if err != nil {
		return nil, err
	}
	out, err := k.api(in.UserName, in.Encoding)
	if err != nil {
		return nil, err
	}
	return &api.GetSSHPublicKeyOutput{SSHPublicKey: out}, nil
}

// ListSSHPublicKeys lists a user's keys.
func (s *Service) ListSSHPublicKeys(ctx context.Context, in *api.ListSSHPublicKeysInput) (*api.ListSSHPublicKeysOutput, error) {
	name, err := userName(ctx, "ListSSHPublicKeys", in.UserName)
	if err != nil {
		return nil, err
	}
	page, next, err := listCredentials(ctx, s, sshKeys, name, in.Marker, in.MaxItems, func(k *sshKey) string { return k.ID })
	if err != nil {
		return nil, err
	}
	out := &api.ListSSHPublicKeysOutput{SSHPublicKeys: []api.SSHPublicKeyMetadata{}, Marker: next, IsTruncated: new(next != "")}
	for _, k := range page {
		out.SSHPublicKeys = append(out.SSHPublicKeys, api.SSHPublicKeyMetadata{UserName: name, SSHPublicKeyId: k.ID, Status: k.Status, UploadDate: &k.Uploaded})
	}
	return out, nil
}

// UpdateSSHPublicKey switches a key on or off.
func (s *Service) UpdateSSHPublicKey(ctx context.Context, in *api.UpdateSSHPublicKeyInput) (*api.UpdateSSHPublicKeyOutput, error) {
	if err := checkStatus(in.Status); err != nil {
		return nil, err
	}
	return &api.UpdateSSHPublicKeyOutput{}, editCredential(ctx, s, sshKeys, in.UserName, in.SSHPublicKeyId, func(k *sshKey) error {
		k.Status = in.Status
		return nil
	})
}

// DeleteSSHPublicKey removes a key.
func (s *Service) DeleteSSHPublicKey(ctx context.Context, in *api.DeleteSSHPublicKeyInput) (*api.DeleteSSHPublicKeyOutput, error) {
	return &api.DeleteSSHPublicKeyOutput{}, removeCredential(ctx, s, sshKeys, in.UserName, in.SSHPublicKeyId)
}
