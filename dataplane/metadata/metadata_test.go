package metadata

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"
)

type source struct{ in Instance }

func (s *source) Lookup(_ context.Context, remote netip.Addr) (Instance, bool, error) {
	return s.in, remote == s.in.PrivateIP, nil
}

func (s *source) RoleCredentials(context.Context, string) (Credentials, error) {
	return Credentials{AccessKeyID: "ASIAROLE", SecretAccessKey: "role secret", SessionToken: "role token", Expiration: time.Unix(3600, 0)}, nil
}

func (s *source) IdentityCredentials(context.Context, string) (Credentials, error) {
	return Credentials{AccessKeyID: "ASIAIDENTITY"}, nil
}

type client struct {
	t       *testing.T
	handler *Handler
	now     time.Time
	remote  string
}

func newClient(t *testing.T, change func(*Instance)) *client {
	in := Instance{
		ID: "i-1", Account: "111111111111", Region: "us-east-1", Zone: "us-east-1a", ImageID: "ami-1", Type: "t3.micro",
		PrivateIP: netip.MustParseAddr("172.31.0.5"), PrivateDNS: "ip-172-31-0-5.ec2.internal", MAC: "02:00:00:00:00:01",
		SubnetID: "subnet-1", KeyName: "mine", PublicKey: "ssh-ed25519 AAAA mine", Role: "worker",
		ProfileARN: "arn:aws:iam::111111111111:instance-profile/p", UserData: []byte("#!/bin/sh\n"),
		Tags: map[string]string{"Name": "web"}, Enabled: true, TokensRequired: true,
	}
	if change != nil {
		change(&in)
	}
	c := &client{t: t, now: time.Unix(1000, 0), remote: "172.31.0.5:4000"}
	c.handler = NewHandler(&source{in}, slog.New(slog.DiscardHandler), func() time.Time { return c.now })
	return c
}

func (c *client) do(method, path string, header ...string) (int, string) {
	r := httptest.NewRequest(method, path, nil)
	r.RemoteAddr = c.remote
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	c.handler.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func (c *client) session(ttl string) string {
	c.t.Helper()
	status, token := c.do("PUT", "/latest/api/token", ttlHeader, ttl)
	if status != http.StatusOK {
		c.t.Fatalf("token: status %d", status)
	}
	return token
}

func TestItems(t *testing.T) {
	c := newClient(t, func(in *Instance) { in.TagsEnabled = true })
	token := c.session("60")
	for path, want := range map[string]string{
		"/latest/meta-data/instance-id":                                         "i-1",
		"/2021-07-15/meta-data/placement/availability-zone":                     "us-east-1a",
		"/latest/meta-data/placement/":                                          "availability-zone\nregion",
		"/latest/meta-data/iam/security-credentials/":                           "worker",
		"/latest/meta-data/public-keys/":                                        "0=mine",
		"/latest/meta-data/public-keys/0/openssh-key":                           "ssh-ed25519 AAAA mine",
		"/latest/meta-data/tags/instance/Name":                                  "web",
		"/latest/meta-data/network/interfaces/macs/":                            "02:00:00:00:00:01/",
		"/latest/meta-data/network/interfaces/macs/02:00:00:00:00:01/subnet-id": "subnet-1",
		"/latest/user-data":                                                     "#!/bin/sh\n",
		"/latest/":                                                              "dynamic/\nmeta-data/\nuser-data",
	} {
		if status, body := c.do("GET", path, tokenHeader, token); status != http.StatusOK || body != want {
			t.Errorf("GET %s: status %d, body %q, want %q", path, status, body, want)
		}
	}
	for _, path := range []string{"/latest/meta-data/none", "/latest/meta-data/public-ipv4", "/1999-01-01/meta-data/", "/latest/meta-data/../../etc/passwd"} {
		if status, _ := c.do("GET", path, tokenHeader, token); status != http.StatusNotFound {
			t.Errorf("GET %s: status %d, want 404", path, status)
		}
	}
	if _, list := c.do("GET", "/latest/meta-data/", tokenHeader, token); !strings.Contains(list, "\niam/\n") || !strings.Contains(list, "\ninstance-id\n") {
		t.Errorf("the listing of meta-data is %q", list)
	}
}

func TestCredentials(t *testing.T) {
	c := newClient(t, nil)
	token := c.session("60")
	for path, want := range map[string]string{
		"/latest/meta-data/iam/security-credentials/worker":                            "ASIAROLE",
		"/latest/meta-data/identity-credentials/ec2/security-credentials/ec2-instance": "ASIAIDENTITY",
	} {
		_, body := c.do("GET", path, tokenHeader, token)
		var doc struct{ Code, AccessKeyId string }
		if err := json.Unmarshal([]byte(body), &doc); err != nil || doc.Code != "Success" || doc.AccessKeyId != want {
			t.Errorf("GET %s: %q, error %v, want key %s", path, body, err, want)
		}
	}
}

func TestTokens(t *testing.T) {
	c := newClient(t, nil)
	get := func(header ...string) int {
		status, _ := c.do("GET", "/latest/meta-data/instance-id", header...)
		return status
	}
	token := c.session("60")
	other := newClient(t, nil).session("60")
	for name, tc := range map[string]struct{ got, want int }{
		"none":               {get(), 401},
		"noise":              {get(tokenHeader, "noise"), 401},
		"of another handler": {get(tokenHeader, other), 401},
		"good":               {get(tokenHeader, token), 200},
	} {
		if tc.got != tc.want {
			t.Errorf("%s: status %d, want %d", name, tc.got, tc.want)
		}
	}
	c.now = c.now.Add(time.Minute)
	if status := get(tokenHeader, token); status != 401 {
		t.Errorf("an old token: status %d, want 401", status)
	}
	for _, ttl := range []string{"", "0", "21601", "x"} {
		if status, _ := c.do("PUT", "/latest/api/token", ttlHeader, ttl); status != 400 {
			t.Errorf("time to live %q: status %d, want 400", ttl, status)
		}
	}
	if status, _ := c.do("PUT", "/latest/api/token", ttlHeader, "60", "X-Forwarded-For", "1.2.3.4"); status != 403 {
		t.Errorf("through a proxy: status %d, want 403", status)
	}
	if status, _ := c.do("GET", "/latest/api/token"); status != 405 {
		t.Errorf("GET of a token: status %d, want 405", status)
	}
}

func TestWhoIsAnswered(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*Instance)
		remote string
		want   int
	}{
		"version 1 where tokens are optional": {func(in *Instance) { in.TokensRequired = false }, "172.31.0.5:1", 200},
		"a stranger":                          {nil, "172.31.0.6:1", 403},
		"an instance that is switched off":    {func(in *Instance) { in.Enabled = false }, "172.31.0.5:1", 403},
	} {
		c := newClient(t, tc.change)
		c.remote = tc.remote
		if status, _ := c.do("GET", "/latest/meta-data/instance-id"); status != tc.want {
			t.Errorf("%s: status %d, want %d", name, status, tc.want)
		}
	}
}

func TestServerStops(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := Serve(l, newClient(t, nil).handler)
	resp, err := http.Get("http://" + l.Addr().String() + "/latest/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("status %d for a stranger, want 403", resp.StatusCode)
	}
	for range 2 {
		if err := s.Stop(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := net.Dial("tcp", l.Addr().String()); err == nil {
		t.Error("the server still listens after Stop")
	}
}
