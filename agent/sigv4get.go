package agent

import (
	"net/http"
	"net/url"
	"strings"
	"time"
)

// signGet signs a GET of an S3 object without a query.
func signGet(r *http.Request, c credentials, region string, now time.Time) {
	stamp := now.UTC().Format("20060102T150405Z")
	empty := hash(nil)
	r.Header.Set("X-Amz-Date", stamp)
	r.Header.Set("X-Amz-Content-Sha256", empty)
	signed := "host;x-amz-content-sha256;x-amz-date"
	headers := "host:" + r.Host + "\nx-amz-content-sha256:" + empty + "\nx-amz-date:" + stamp + "\n"
	if c.Token != "" {
		r.Header.Set("X-Amz-Security-Token", c.Token)
		signed += ";x-amz-security-token"
		headers += "x-amz-security-token:" + c.Token + "\n"
	}
	canonical := r.Method + "\n" + r.URL.EscapedPath() + "\n\n" + headers + "\n" + signed + "\n" + empty
	r.Header.Set("Authorization", authorization(canonical, signed, c, "s3", region, stamp))
}

// escapeKey encodes an object's key as Signature Version 4 does: all but
// letters, digits, "-._~" and the slashes.
func escapeKey(key string) string {
	parts := strings.Split(key, "/")
	for i, p := range parts {
		parts[i] = strings.ReplaceAll(url.QueryEscape(p), "+", "%20")
	}
	return strings.Join(parts, "/")
}
