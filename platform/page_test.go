package platform

import (
	"net/http/httptest"
	"testing"

	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
)

func TestPagesOfOtherSitesAreRefused(t *testing.T) {
	for _, c := range []struct {
		name, method, host, service string
		headers                     map[string]string
		refused                     bool
	}{
		{"a client", "POST", "127.0.0.1:4566", "ec2", nil, false},
		{"a client by name", "POST", "localhost:4566", "ec2", nil, false},
		{"IPv6", "POST", "[::1]:4566", "ec2", nil, false},
		{"a bucket's name", "PUT", "my.bucket.s3.localhost:4566", "s3", nil, false},
		{"a container's name", "POST", "slipway:4566", "sqs", nil, false},
		{"the host's name in a container", "POST", "host.docker.internal:4566", "sqs", nil, false},
		{"AWS's name", "POST", "sqs.us-east-1.amazonaws.com", "sqs", nil, false},
		{"a page of this machine", "POST", "127.0.0.1:4566", "sqs", map[string]string{"Origin": "http://localhost:3000", "Sec-Fetch-Site": "cross-site"}, false},
		{"a form on a page", "POST", "127.0.0.1:4566", "ec2", map[string]string{"Origin": "https://example.com"}, true},
		{"a page in a sandbox", "POST", "127.0.0.1:4566", "ec2", map[string]string{"Origin": "null"}, true},
		{"a name like ours", "POST", "127.0.0.1:4566", "ec2", map[string]string{"Origin": "https://localhost.example.com"}, true},
		{"an image on a page", "GET", "127.0.0.1:4566", "ec2", map[string]string{"Sec-Fetch-Site": "cross-site"}, true},
		{"an object on a page", "GET", "127.0.0.1:4566", "s3", map[string]string{"Sec-Fetch-Site": "cross-site"}, false},
		{"typed by the user", "GET", "127.0.0.1:4566", "ec2", map[string]string{"Sec-Fetch-Site": "none"}, false},
		{"a name that points here", "GET", "evil.example.com:4566", "ec2", nil, true},
		{"a name that points here, with a dot", "GET", "evil.example.com.:4566", "ec2", nil, true},
	} {
		r := httptest.NewRequest(c.method, "/", nil)
		r.Host = c.host
		for k, v := range c.headers {
			r.Header.Set(k, v)
		}
		a, err := gate{Authenticator: &auth.Authenticator{Open: true}}.Authenticate(r, c.service)
		if fault.Is(err, fault.AccessDenied) != c.refused || !c.refused && err != nil {
			t.Errorf("%s: %v, want refused %v", c.name, err, c.refused)
		}
		if c.refused && a.Principal.Kind != "" {
			t.Errorf("%s: refused, and %+v", c.name, a.Principal)
		}
	}
}

// TestWhereSignaturesCount: only a loopback address is open.
func TestWhereSignaturesCount(t *testing.T) {
	for address, open := range map[string]bool{
		"127.0.0.1:4566": true, "127.3.2.1:1": true, "[::1]:4566": true,
		"0.0.0.0:4566": false, "[::]:4566": false, "192.0.2.1:4566": false, "example.com:4566": false, "nonsense": false,
	} {
		if loopback(address) != open {
			t.Errorf("%s: open %v, want %v", address, !open, open)
		}
	}
}
