package auth

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/slipway/slipway/arn"
)

// signature is what a request says of its own signature.
type signature struct {
	*claim
	text      string // by which the claim is to be kept once it is verified, or ""
	value     string // hexadecimal
	token     string // session token, or ""
	time      time.Time
	amzDate   string // the time as it was signed
	expires   time.Duration
	presigned bool
	legacy    bool // Signature Version 2, which is not verified
}

// flaw is a signature that cannot be read; refusals give it its code.
type flaw struct{ message string }

func (f *flaw) Error() string { return f.message }

func flawf(format string, args ...any) error { return &flaw{fmt.Sprintf(format, args...)} }

// SignatureScope is the service and region of a request's signature, before it
// is verified: a router asks them to find the service. ok is false for a
// request without a readable signature.
func SignatureScope(r *http.Request) (service, region string, ok bool) {
	s, err := parseSignature(r)
	if err != nil || s == nil {
		return "", "", false
	}
	return s.service, s.region, true
}

// parseSignature reads the Authorization header or the query. It returns nil
// and no error for a request that has no signature.
func parseSignature(r *http.Request) (*signature, error) {
	if s := parseLegacy(r); s != nil {
		return s, nil
	}
	if h := r.Header.Get("Authorization"); h != "" {
		return parseHeader(r, h)
	}
	if strings.Contains(r.URL.RawQuery, "X-Amz-Algorithm=") || strings.Contains(r.URL.RawQuery, "X-Amz-Signature=") {
		return parsePresigned(r.URL.Query())
	}
	return nil, nil
}

// parseLegacy reads a Signature Version 2 to S3, which some clients still put
// into presigned URLs: only whose it says that it is, and until when.
func parseLegacy(r *http.Request) *signature {
	rest, inHeader := strings.CutPrefix(r.Header.Get("Authorization"), "AWS ")
	if !inHeader && r.URL.RawQuery == "" {
		return nil
	}
	s := &signature{legacy: true, claim: &claim{region: arn.DefaultRegion, service: "s3"}}
	if inHeader {
		s.accessKeyID, s.value, _ = strings.Cut(rest, ":")
		return s
	}
	if !strings.Contains(r.URL.RawQuery, "AWSAccessKeyId=") || !strings.Contains(r.URL.RawQuery, "Expires=") {
		return nil
	}
	q := r.URL.Query()
	s.presigned, s.accessKeyID, s.value, s.token = true, q.Get("AWSAccessKeyId"), q.Get("Signature"), q.Get("x-amz-security-token")
	seconds, err := strconv.ParseInt(q.Get("Expires"), 10, 64)
	if err != nil || s.value == "" {
		return nil
	}
	s.time = time.Unix(seconds, 0)
	return s
}

func parseHeader(r *http.Request, h string) (*signature, error) {
	scheme, rest, _ := strings.Cut(strings.TrimSpace(h), " ")
	if scheme != algorithm {
		if strings.HasPrefix(scheme, "AWS") {
			return nil, flawf("Unsupported AWS 'algorithm': %q", scheme)
		}
		return nil, nil // a bearer token or the like: some other layer's
	}
	s := &signature{claim: &claim{}, token: r.Header.Get("X-Amz-Security-Token")}
	var credential, signed string
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "Credential":
			credential = value
		case "SignedHeaders":
			signed = value
		case "Signature":
			s.value = value
		}
	}
	for _, m := range []struct{ name, value string }{{"Credential", credential}, {"Signature", s.value}, {"SignedHeaders", signed}} {
		if m.value == "" {
			return nil, flawf("Authorization header requires '%s' parameter. Authorization=%s", m.name, scheme)
		}
	}
	if err := s.setCredential(credential); err != nil {
		return nil, err
	}
	if err := s.takeDate(r); err != nil {
		return nil, err
	}
	return s, s.finish(signed)
}

// takeDate reads when a signature in a header was made.
func (s *signature) takeDate(r *http.Request) error {
	s.amzDate = first(r.Header, "X-Amz-Date")
	if s.amzDate == "" {
		t, err := http.ParseTime(r.Header.Get("Date"))
		if err != nil {
			return flawf("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. Authorization=%s", algorithm)
		}
		s.amzDate = t.UTC().Format(timeForm)
	}
	return nil
}

// first is Header.Get of a name in the form of header keys.
func first(h http.Header, key string) string {
	if v := h[key]; len(v) > 0 {
		return v[0]
	}
	return ""
}

func parsePresigned(q url.Values) (*signature, error) {
	s := &signature{claim: &claim{}, presigned: true, token: q.Get("X-Amz-Security-Token"), amzDate: q.Get("X-Amz-Date"), value: q.Get("X-Amz-Signature")}
	for _, name := range []string{"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-Date", "X-Amz-SignedHeaders"} {
		if q.Get(name) == "" {
			return nil, flawf("Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.")
		}
	}
	if q.Get("X-Amz-Algorithm") != algorithm {
		return nil, flawf("X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\"")
	}
	s.expires = 15 * time.Minute // of services that do not ask for X-Amz-Expires
	if e := q.Get("X-Amz-Expires"); e != "" {
		seconds, err := strconv.Atoi(e)
		switch {
		case err != nil:
			return nil, flawf("X-Amz-Expires should be a number")
		case seconds < 0:
			return nil, flawf("X-Amz-Expires must be non-negative")
		case seconds > 7*24*3600:
			return nil, flawf("X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds")
		}
		s.expires = time.Duration(seconds) * time.Second
	}
	if err := s.setCredential(q.Get("X-Amz-Credential")); err != nil {
		return nil, err
	}
	return s, s.finish(q.Get("X-Amz-SignedHeaders"))
}

// setCredential splits key/date/region/service/aws4_request.
func (s *signature) setCredential(c string) error {
	parts := strings.Split(c, "/")
	n := len(parts)
	if n < 5 || parts[n-1] != "aws4_request" || slices.Contains(parts, "") {
		return flawf("Credential must have at least 5 slash-delimited elements: key, date, region, service and aws4_request")
	}
	// An access key id has no slash of its own, but older clients allow one.
	s.accessKeyID = strings.Join(parts[:n-4], "/")
	s.date, s.region, s.service = parts[n-4], parts[n-3], parts[n-2]
	return nil
}

func (s *signature) finish(signed string) error {
	if err := s.setTime(); err != nil {
		return err
	}
	s.signed = strings.Split(signed, ";")
	for i, name := range s.signed {
		if name == "" || name != strings.ToLower(name) || i > 0 && s.signed[i-1] >= name {
			return flawf("SignedHeaders must be lower-case header names in order")
		}
	}
	s.seal()
	return nil
}

// setTime reads the time, which must be of the scope's day.
func (s *signature) setTime() error {
	if m := s.last.Load(); m != nil && m.text == s.amzDate {
		s.time = m.time
		return nil
	}
	t, err := parseTime(s.amzDate)
	if err != nil {
		return flawf("Date must be in ISO-8601 'basic format'. Got '%s'. See http://en.wikipedia.org/wiki/ISO_8601", s.amzDate)
	}
	s.time = t
	if s.date != s.amzDate[:8] {
		return flawf("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '%s' != '%s', from '%s'.",
			s.date, s.amzDate[:8], s.amzDate)
	}
	s.last.Store(&moment{s.amzDate, t})
	return nil
}

// parseTime is time.Parse of timeForm, which every request needs: most of its
// texts are digits in their places.
func parseTime(text string) (time.Time, error) {
	if len(text) != len(timeForm) || text[8] != 'T' || text[15] != 'Z' {
		return time.Parse(timeForm, text)
	}
	var digits [14]int
	n := 0
	for i := range len(text) {
		if i == 8 || i == 15 {
			continue
		}
		if text[i] < '0' || text[i] > '9' {
			return time.Parse(timeForm, text)
		}
		digits[n] = int(text[i] - '0')
		n++
	}
	two := func(i int) int { return digits[i]*10 + digits[i+1] }
	month, day, hour, minute, second := two(4), two(6), two(8), two(10), two(12)
	if month < 1 || month > 12 || day < 1 || day > 28 || hour > 23 || minute > 59 || second > 59 {
		return time.Parse(timeForm, text)
	}
	return time.Date(two(0)*100+two(2), time.Month(month), day, hour, minute, second, 0, time.UTC), nil
}

// unsignedHeader names a header that the signature must cover and does not: the
// host and every x-amz-* header, without which a proxy could redirect the call.
func (s *signature) unsignedHeader(r *http.Request) string {
	has := func(name string) bool { _, ok := slices.BinarySearch(s.signed, name); return ok }
	if !has("host") {
		return "host"
	}
	for name := range r.Header {
		if len(name) < len("x-amz-") || !strings.EqualFold(name[:len("x-amz-")], "x-amz-") {
			continue
		}
		if s.covers(name) {
			continue
		}
		if name = strings.ToLower(name); !has(name) {
			return name
		}
	}
	return ""
}

// told is what condition keys tell of the signature.
func (s *signature) told(hash string) Signature {
	out := Signature{Type: "REST-HEADER", Time: s.time, Payload: hash}
	if s.presigned {
		out.Type = "REST-QUERY-STRING"
		if out.Payload == "" {
			out.Payload = unsignedPayload
		}
	}
	return out
}
