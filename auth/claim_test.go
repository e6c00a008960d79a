package auth

import (
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"
)

// A signature reads the same, or is refused the same, whether its claim is known
// or not.
func FuzzKnownClaim(f *testing.F) {
	const value = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
	good := algorithm + " Credential=" + exID + "/20150830/us-east-1/sqs/aws4_request, SignedHeaders=host;x-amz-date, Signature=" + value
	for _, h := range []string{
		good, good + ", SignedHeaders=host", good + ",", good + "0", strings.Replace(good, "20150830", "20150831", 1), strings.ToUpper(good), " " + good,
		strings.Replace(good, ", Signature", ",Signature", 1), strings.Replace(good, "Signed", "Signature=x, Signed", 1),
		strings.Replace(good, "Credential", "X=1, Credential", 1), strings.Replace(good, "host", "", 1), strings.Replace(good, ", Signature=", ", Signature=, Signature=", 1),
	} {
		f.Add(h, "20150830T123600Z")
	}
	f.Add(good, "20150831T123600Z")
	f.Add(good, "20150230T123600Z")
	f.Add(good, "")
	f.Fuzz(func(t *testing.T, header, date string) {
		r := &http.Request{Header: http.Header{"Authorization": {header}, "X-Amz-Date": {date}, "X-Amz-Security-Token": {"t"}}, URL: &url.URL{Path: "/"}}
		want, wantErr := parseSignature(r)
		a := &Authenticator{}
		// Known from any day on which the header could be read.
		for _, day := range []string{date, "20150830T000000Z", "20150831T000000Z"} {
			then := r.Clone(t.Context())
			then.Header.Set("X-Amz-Date", day)
			if s, err := a.parse(then); err == nil && s != nil && s.text != "" {
				a.claims.keep(s.text, s.claim)
			}
		}
		got, err := a.parse(r)
		if (err == nil) != (wantErr == nil) || err != nil && err.Error() != wantErr.Error() {
			t.Fatalf("%q at %q: %v, known: %v", header, date, wantErr, err)
		}
		if err != nil || want == nil {
			return
		}
		got.text, want.text = "", ""
		got.last.Store(nil)
		want.last.Store(nil)
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%q at %q: %+v, known: %+v", header, date, want, got)
		}
	})
}

// Who knows a claim that verified has nothing yet: the signature counts.
func TestKnownClaimNeedsItsSignature(t *testing.T) {
	now := at(t, "20150830T123600Z")
	a := closedAt(now)
	send := func(change func(r *http.Request)) error {
		r := newRequest(t, "POST", "http://h/", "body", map[string]string{"X-Amz-Target": "AmazonSQS.SendMessage"})
		Sign(r, []byte("body"), Credentials{AccessKeyID: exID, SecretAccessKey: exSecret}, "sqs", "us-east-1", now)
		change(r)
		_, err := a.Authenticate(r, "sqs")
		return err
	}
	if err := send(func(*http.Request) {}); err != nil || len(a.claims.known) != 1 {
		t.Fatalf("%v, %d claims known", err, len(a.claims.known))
	}
	for name, change := range map[string]func(r *http.Request){
		"another body":     func(r *http.Request) { r.Body = http.NoBody },
		"another target":   func(r *http.Request) { r.Header.Set("X-Amz-Target", "AmazonSQS.PurgeQueue") },
		"another host":     func(r *http.Request) { r.Host = "other" },
		"another time":     func(r *http.Request) { r.Header.Set("X-Amz-Date", "20150830T123601Z") },
		"another day":      func(r *http.Request) { r.Header.Set("X-Amz-Date", "20150831T123600Z") },
		"a header more":    func(r *http.Request) { r.Header.Set("X-Amz-Security-Token2", "t") },
		"a query":          func(r *http.Request) { r.URL.RawQuery = "a=b" },
		"no signature":     func(r *http.Request) { cutSignature(r, "") },
		"zeros":            func(r *http.Request) { cutSignature(r, strings.Repeat("0", 64)) },
		"a claim reworded": func(r *http.Request) { replace(r, "us-east-1", "us-east-2") },
		"fewer headers":    func(r *http.Request) { replace(r, ";x-amz-target", "") },
	} {
		if err := send(change); err == nil {
			t.Errorf("%s: let in", name)
		}
		if len(a.claims.known) != 1 {
			t.Errorf("%s: %d claims known", name, len(a.claims.known))
		}
	}
	a.Keys = fixedKeys{exID: s3Secret}
	if err := send(func(*http.Request) {}); err == nil {
		t.Error("let in by a secret that was replaced")
	}
}

func cutSignature(r *http.Request, value string) {
	text, _, _ := strings.Cut(r.Header.Get("Authorization"), signatureMark)
	r.Header.Set("Authorization", text+signatureMark+value)
}

func replace(r *http.Request, old, text string) {
	r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), old, text, 1))
}

// parseTime reads what time.Parse does.
func FuzzParseTime(f *testing.F) {
	for _, text := range []string{
		"20150830T123600Z", "20150229T000000Z", "20160229T000000Z", "20151331T000000Z", "20150000T000000Z", "20150101T240000Z", "20150101T236000Z",
		"20150101T235960Z", "00000101T000000Z", "20150101t000000Z", "20150101T000000+", "2015010xT000000Z", "", "20150101T000000.1Z", "20150101T0000001Z",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		want, wantErr := time.Parse(timeForm, text)
		got, err := parseTime(text)
		if (err == nil) != (wantErr == nil) || !got.Equal(want) || got.Location() != want.Location() {
			t.Fatalf("%q: %v, %v; time.Parse: %v, %v", text, got, err, want, wantErr)
		}
	})
}

// A plain header value is its own canonical form.
func FuzzPlainValue(f *testing.F) {
	for _, v := range []string{"", " ", "a", "a b", " a", "a ", "a  b", "a\tb", "a\u00a0b", "é", "a\x7f"} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, v string) {
		if plainValue(v) && strings.Join(strings.Fields(v), " ") != v {
			t.Fatalf("%q is plain", v)
		}
	})
}
