package conformance

import (
	"context"
	"net"
	"net/http"
	"net/url"
)

// toLoopback is a client for whose connections every *.localhost name leads to
// the server.
func toLoopback() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		u, err := url.Parse(slipway.endpoint)
		if err != nil {
			return nil, err
		}
		var d net.Dialer
		return d.DialContext(ctx, network, u.Host)
	}
	return &http.Client{Transport: transport}
}
