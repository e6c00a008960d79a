package agent

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"strings"
	"testing"
)

func gz(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(s))
	_ = z.Close()
	return b.String()
}

const multi = `Content-Type: multipart/mixed; boundary="==B=="
MIME-Version: 1.0

--==B==
Content-Type: text/cloud-config; charset="us-ascii"

runcmd: [ls]
--==B==
Content-Type: text/x-shellscript
Content-Transfer-Encoding: base64

IyEvYmluL3NoCmVjaG8gb25lCg==
--==B==
Content-Type: text/plain

#!/bin/sh
echo two
--==B==--
`

func TestUserDataParts(t *testing.T) {
	for _, tt := range []struct {
		name, data string
		want       string // kinds and first lines
	}{
		{"script", "#!/bin/sh\n", "script:#!/bin/sh"},
		{"cloud-config", "#cloud-config\nruncmd: []\n", "cloud-config:#cloud-config"},
		{"cloud-config archive", "#cloud-config-archive\n- a\n", "unknown:#cloud-config-archive"},
		{"gzip", gz("#!/bin/sh\n"), "script:#!/bin/sh"},
		{"base64 of gzip", base64.StdEncoding.EncodeToString([]byte(gz("#!/bin/sh\n"))), "script:#!/bin/sh"},
		{"multipart", multi, "cloud-config:runcmd: [ls] script:#!/bin/sh script:#!/bin/sh"},
		{"multipart with a mailbox line and CRLF", "From nobody\r\n" + strings.ReplaceAll(multi, "\n", "\r\n"), "cloud-config:runcmd: [ls] script:#!/bin/sh script:#!/bin/sh"},
		{"gzipped multipart", gz(multi), "cloud-config:runcmd: [ls] script:#!/bin/sh script:#!/bin/sh"},
		{"boot hook", "#cloud-boothook\n#!/bin/sh\n", "cloud-boothook:#cloud-boothook"},
		{"include", "#include\nhttp://example.com/\n", "x-include-url:#include"},
		{"text", "hello there", "unknown:hello there"},
	} {
		parts, err := userDataParts([]byte(tt.data))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		var got []string
		for _, p := range parts {
			line, _, _ := strings.Cut(string(p.text), "\n")
			got = append(got, string(p.kind)+":"+strings.TrimSpace(line))
		}
		if s := strings.Join(got, " "); s != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, s, tt.want)
		}
	}
}

func TestBrokenUserDataIsRefused(t *testing.T) {
	bomb := strings.Repeat("\x00", maxUnpacked+1)
	many := "Content-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("--b\n\n#!/bin/sh\n", maxParts+1) + "--b--\n"
	for name, data := range map[string]string{
		"cut gzip":             gz("#!/bin/sh\n" + strings.Repeat("x", 1000))[:30],
		"gzip that blows up":   gz(bomb),
		"gzip in gzip in gzip": gz(gz(gz(gz(gz(gz("#!/bin/sh\n")))))),
		"no boundary":          "Content-Type: multipart/mixed\n\nx",
		"cut multipart":        multi[:len(multi)-20],
		"too many parts":       many,
	} {
		if parts, err := userDataParts([]byte(data)); err == nil {
			t.Errorf("%s: %d parts, want an error", name, len(parts))
		}
	}
}

func FuzzUserDataParts(f *testing.F) {
	for _, s := range []string{multi, "#!/bin/sh\n", gz("#cloud-config\n"), "From x\nContent-Type: multipart/mixed; boundary=\"\"\n\n--"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		parts, err := userDataParts(data)
		if err == nil && len(parts) > maxParts*maxParts {
			t.Errorf("%d parts", len(parts))
		}
	})
}

func TestDecodeContent(t *testing.T) {
	for _, tt := range []struct{ content, encoding, want string }{
		{"plain", "", "plain"},
		{"cGxhaW4=", "b64", "plain"},
		{"cGxh\naW4=", "base64", "plain"},
		{base64.StdEncoding.EncodeToString([]byte(gz("plain"))), "gz+base64", "plain"},
		{base64.StdEncoding.EncodeToString([]byte(gz("plain"))), "gzip+b64", "plain"},
	} {
		if got, err := decodeContent(tt.content, tt.encoding); err != nil || string(got) != tt.want {
			t.Errorf("%s: %q, %v", tt.encoding, got, err)
		}
	}
	for _, tt := range [][2]string{{"***", "b64"}, {"x", "rot13"}, {"x", "gz"}} {
		if got, err := decodeContent(tt[0], tt[1]); err == nil {
			t.Errorf("%s of %q gives %q", tt[1], tt[0], got)
		}
	}
}
