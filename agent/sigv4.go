package agent

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"time"
)

// signForm signs a POST of a form to "/" with Signature Version 4 ("Signature
// Version 4 signing process", IAM User Guide). Package auth signs any request,
// but stands on the store, which an instance must not carry.
func signForm(r *http.Request, body []byte, c credentials, service, region string, now time.Time) {
	stamp := now.UTC().Format("20060102T150405Z")
	r.Header.Set("X-Amz-Date", stamp)
	signed := "content-type;host;x-amz-date"
	headers := "content-type:" + r.Header.Get("Content-Type") + "\nhost:" + r.Host + "\nx-amz-date:" + stamp + "\n"
	if c.Token != "" {
		r.Header.Set("X-Amz-Security-Token", c.Token)
		signed += ";x-amz-security-token"
		headers += "x-amz-security-token:" + c.Token + "\n"
	}
	canonical := r.Method + "\n/\n\n" + headers + "\n" + signed + "\n" + hash(body)
	r.Header.Set("Authorization", authorization(canonical, signed, c, service, region, stamp))
}

func authorization(canonical, signed string, c credentials, service, region, stamp string) string {
	day := stamp[:8]
	scope := day + "/" + region + "/" + service + "/aws4_request"
	key := []byte("AWS4" + c.SecretAccessKey)
	for _, part := range []string{day, region, service, "aws4_request"} {
		key = mac(key, part)
	}
	signature := hex.EncodeToString(mac(key, "AWS4-HMAC-SHA256\n"+stamp+"\n"+scope+"\n"+hash([]byte(canonical))))
	return "AWS4-HMAC-SHA256 Credential=" + c.AccessKeyID + "/" + scope + ", SignedHeaders=" + signed + ", Signature=" + signature
}

func hash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func mac(key []byte, text string) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(text))
	return m.Sum(nil)
}
