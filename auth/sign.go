package auth

import (
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// clientKeys are the keys that this process signs with.
var clientKeys signingKeys

// Sign puts a Signature Version 4 into the Authorization header of a request
// that is about to be sent. The body, which may be nil, is hashed for the
// signature and set as the request's; S3 also gets X-Amz-Content-Sha256. A
// request whose X-Amz-Content-Sha256 is set already is signed with that.
func Sign(r *http.Request, body []byte, c Credentials, service, region string, now time.Time) {
	if body != nil {
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		r.ContentLength = int64(len(body))
	}
	hash := r.Header.Get("X-Amz-Content-Sha256")
	if hash == "" {
		hash = hexHash(body)
		if isS3(service) {
			r.Header.Set("X-Amz-Content-Sha256", hash)
		}
	}
	date := now.UTC().Format(timeForm)
	r.Header.Set("X-Amz-Date", date)
	if c.SessionToken != "" {
		r.Header.Set("X-Amz-Security-Token", c.SessionToken)
	}
	if r.Host == "" {
		r.Host = r.URL.Host
	}
	signed := claimOf(r, date, region, service)
	key := clientKeys.derive(signingKey{c.SecretAccessKey, date[:8], region, service})
	t := textsPool.Get().(*texts)
	defer t.free()
	r.Header.Set("Authorization", algorithm+" Credential="+c.AccessKeyID+"/"+signed.scope+
		", SignedHeaders="+strings.Join(signed.signed, ";")+", "+signatureMark+string(t.signatureOf(r, key, signed, date, false, hash)))
}

// Presign returns the URL of the request with a Signature Version 4 in its
// query, good for the given time (at most 7 days). The headers that the request
// has are signed, too, and must be sent with the URL.
func Presign(r *http.Request, c Credentials, service, region string, now time.Time, expires time.Duration) *url.URL {
	date := now.UTC().Format(timeForm)
	if r.Host == "" {
		r.Host = r.URL.Host
	}
	signed := claimOf(r, date, region, service)
	q := []string{
		"X-Amz-Algorithm=" + algorithm,
		"X-Amz-Credential=" + encode(c.AccessKeyID+"/"+signed.scope),
		"X-Amz-Date=" + date,
		"X-Amz-Expires=" + strconv.Itoa(int(expires.Seconds())),
		"X-Amz-SignedHeaders=" + encode(strings.Join(signed.signed, ";")),
	}
	if c.SessionToken != "" {
		q = append(q, "X-Amz-Security-Token="+encode(c.SessionToken))
	}
	if r.URL.RawQuery != "" {
		q = append([]string{r.URL.RawQuery}, q...)
	}
	u := *r.URL
	u.RawQuery = strings.Join(q, "&")
	hash := emptyHash
	if isS3(service) {
		hash = unsignedPayload
	}
	clone := *r
	clone.URL = &u
	key := clientKeys.derive(signingKey{c.SecretAccessKey, date[:8], region, service})
	t := textsPool.Get().(*texts)
	defer t.free()
	u.RawQuery += "&X-Amz-Signature=" + string(t.signatureOf(&clone, key, signed, date, true, hash))
	return &u
}

// claimOf is what the signature of a request that is about to be sent says.
func claimOf(r *http.Request, amzDate, region, service string) *claim {
	c := &claim{date: amzDate[:8], region: region, service: service, signed: headersToSign(r)}
	c.seal()
	return c
}

// headersToSign are all headers but those that proxies and transports change.
func headersToSign(r *http.Request) []string {
	names := []string{"host"}
	for name := range r.Header {
		name = strings.ToLower(name)
		switch name {
		case "authorization", "user-agent", "x-amzn-trace-id", "expect", "connection", "accept-encoding", "host",
			"content-length", "transfer-encoding":
		default:
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func credentialScope(date, region, service string) string {
	return date + "/" + region + "/" + service + "/aws4_request"
}
