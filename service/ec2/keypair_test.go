package ec2

import (
	"crypto/sha1"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
)

func TestCreatedKeysHaveRealMaterial(t *testing.T) {
	c := newCloud(t)
	out := must(c.CreateKeyPair(c.ctx, &api.CreateKeyPairInput{KeyName: "main"}))(t)
	block, _ := pem.Decode([]byte(out.KeyMaterial))
	if block == nil || block.Type != "RSA PRIVATE KEY" {
		t.Fatalf("material begins %q", clip(out.KeyMaterial, 40))
	}
	key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha1.Sum(der); out.KeyFingerprint != colons(sum[:]) {
		t.Errorf("fingerprint %s", out.KeyFingerprint)
	}
	_, err = c.CreateKeyPair(c.ctx, &api.CreateKeyPairInput{KeyName: "main"})
	wantFault(t, err, fault.InvalidKeyPairDuplicate, "The keypair already exists")
	got := must(c.DescribeKeyPairs(c.ctx, &api.DescribeKeyPairsInput{KeyNames: []string{"main"}, IncludePublicKey: ptr(true)}))(t)
	if k := got.KeyPairs[0]; k.KeyPairId != out.KeyPairId || k.KeyType != "rsa" || !strings.HasPrefix(k.PublicKey, "ssh-rsa AAAA") || !strings.HasSuffix(k.PublicKey, " main") {
		t.Errorf("got %+v", k)
	}
	if deleted := must(c.DeleteKeyPair(c.ctx, &api.DeleteKeyPairInput{KeyName: "main"}))(t); deleted.KeyPairId != out.KeyPairId {
		t.Errorf("deleted %q", deleted.KeyPairId)
	}
	must(c.DeleteKeyPair(c.ctx, &api.DeleteKeyPairInput{KeyName: "main"}))(t)
	_, err = c.DescribeKeyPairs(c.ctx, &api.DescribeKeyPairsInput{KeyNames: []string{"main"}})
	wantFault(t, err, fault.InvalidKeyPairNotFound, "The key pair 'main' does not exist")
}

func TestARepeatedStepGetsANewKey(t *testing.T) {
	c := newCloud(t)
	step := auth.WithToken(c.ctx, "stack/Key/create")
	in := &api.CreateKeyPairInput{KeyName: "k", KeyType: "ed25519"}
	one, two := must(c.CreateKeyPair(step, in))(t), must(c.CreateKeyPair(step, in))(t)
	if one.KeyPairId != two.KeyPairId || one.KeyMaterial == two.KeyMaterial {
		t.Errorf("ids %s and %s", one.KeyPairId, two.KeyPairId)
	}
	got := must(c.DescribeKeyPairs(c.ctx, &api.DescribeKeyPairsInput{}))(t)
	if len(got.KeyPairs) != 1 || got.KeyPairs[0].KeyFingerprint != two.KeyFingerprint {
		t.Errorf("got %+v", got.KeyPairs)
	}
}

// The public half of a generated key is what the private half leads to, in
// OpenSSH's own reading.
func TestOpenSSHReadsTheKeys(t *testing.T) {
	keygen, err := exec.LookPath("ssh-keygen")
	if err != nil {
		t.Skip("ssh-keygen is not installed")
	}
	for _, kind := range []string{"rsa", "ed25519"} {
		m, err := generateKey(kind)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(file, []byte(m.private), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), keygen, "-y", "-f", file).CombinedOutput()
		if err != nil || strings.TrimSpace(string(out)) != m.public {
			t.Errorf("%s: ssh-keygen says %q, %v; want %q", kind, out, err, m.public)
		}
		if kind != "ed25519" {
			continue // EC2's fingerprint of an RSA key is not OpenSSH's
		}
		out, err = exec.CommandContext(t.Context(), keygen, "-l", "-E", "sha256", "-f", file).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "SHA256:"+strings.TrimRight(m.fingerprint, "=")+" ") {
			t.Errorf("ssh-keygen says %q, %v; want %s", out, err, m.fingerprint)
		}
	}
}

func TestImportKeyPair(t *testing.T) {
	for _, kind := range []string{"rsa", "ed25519"} {
		m, err := generateKey(kind)
		if err != nil {
			t.Fatal(err)
		}
		blob := strings.Fields(m.public)[1]
		wrapped := "---- BEGIN SSH2 PUBLIC KEY ----\nComment: \"a \\\nlong one\"\n" + blob[:40] + "\n" + blob[40:] + "\n---- END SSH2 PUBLIC KEY ----\n"
		for form, text := range map[string]string{"line": m.public + " me@host\n", "rfc4716": wrapped} {
			got, err := importKey([]byte(text))
			if err != nil || got.public != m.public || got.kind != kind || got.private != "" {
				t.Errorf("%s %s: got %+v, %v", kind, form, got, err)
			}
			if same := got.fingerprint == m.fingerprint; same != (kind == "ed25519") {
				t.Errorf("%s: imported %s, created %s", kind, got.fingerprint, m.fingerprint)
			}
		}
	}
	const public = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPWKPfoDGcF/WmAB9ksKkNQnSnYcKBN7KHJRxPZhP9Xr"
	for name, text := range map[string]string{
		"empty": "", "words": "hello", "no blob": "ssh-rsa", "short blob": "ssh-rsa AAAA", "other kind": "ssh-dss " + base64.StdEncoding.EncodeToString(sshString([]byte("ssh-dss"))),
		"mismatch": "ssh-rsa " + strings.Fields(public)[1], "huge": strings.Repeat("A", maxPublicKey+1), "cut": "---- BEGIN SSH2 PUBLIC KEY ----\nAAAA",
		"long length": "ssh-rsa " + base64.StdEncoding.EncodeToString([]byte{255, 255, 255, 255, 1}),
	} {
		if _, err := importKey([]byte(text)); !fault.Is(err, fault.InvalidKeyFormat) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func FuzzImportKey(f *testing.F) {
	f.Add([]byte("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPWKPfoDGcF/WmAB9ksKkNQnSnYcKBN7KHJRxPZhP9Xr"))
	f.Add([]byte("---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n---- END SSH2 PUBLIC KEY ----"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if m, err := importKey(raw); err == nil && (m.public == "" || m.fingerprint == "") {
			t.Errorf("taken without a key: %q", raw)
		}
	})
}
