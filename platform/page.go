package platform

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/slipway/slipway/fault"
)

// An open API is everybody's who reaches the loopback address, and every page
// that the user's browser shows reaches it. So what a page of another site sends
// is refused, unless a signature proves that somebody else made it.

// foreignPage tells the site of a page that a request comes from, where that is
// not one of this machine: by its Origin, by the browser's own word, or by a
// host name that anybody can let point here (DNS rebinding). allowed says that
// the owner of what it asks for lets the page's site in: CORS rules of a bucket.
func foreignPage(r *http.Request, service string, allowed bool) (site string, foreign bool) {
	if host := hostname(r.Host); !ownName(host) {
		return host, true
	}
	if allowed {
		return "", false
	}
	if origin := r.Header.Get("Origin"); origin != "" {
		u, err := url.Parse(origin)
		return origin, err != nil || !local(u.Hostname())
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "cross-site", "same-site":
		// Links and images may show objects: their page does not see them.
		read := r.Method == http.MethodGet || r.Method == http.MethodHead
		return "another site", !read || service != "s3"
	}
	return "", false
}

func hostname(hostport string) string {
	u := url.URL{Host: strings.ToLower(hostport)}
	return strings.TrimSuffix(u.Hostname(), ".")
}

// ownName reports whether a host name is one that no stranger's DNS server
// answers for: an address, a name without a dot, one of a domain that is
// reserved, or AWS's own, by which clients with a proxy ask.
func ownName(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil || !strings.Contains(host, ".") {
		return true
	}
	for _, domain := range []string{".localhost", ".internal", ".test", ".amazonaws.com"} {
		if strings.HasSuffix(host, domain) {
			return true
		}
	}
	return false
}

// local reports whether a page's host is this machine.
func local(host string) bool {
	host = strings.ToLower(host)
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

func pageRefused(site string) error {
	return fault.New(fault.AccessDenied, "The request comes from a web page of %s, and Slipway runs without authentication: call it as localhost or by its address, from a page of this machine or from no page, or start it with --auth.", site)
}
