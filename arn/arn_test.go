package arn

import (
	"regexp"
	"strings"
	"testing"
)

// An ARN is what stands between its first five colons, and the rest.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"", "arn", "arn:aws:s3:::bucket", "arn:aws:sqs:us-east-1:123456789012:q", "arn:aws:iam::123456789012:role/path/name", "arn:aws:x:r:a:b:c:d",
		"arn:aws:x:r:a", "arn:aws:x:r:a:", "arn::x:r:a:b", "arn:aws::r:a:b", "urn:aws:x:r:a:b", ":::::", "arn:aws:s3:::",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := Parse(s)
		p := strings.SplitN(s, ":", 6)
		ok := len(p) == 6 && p[0] == "arn" && p[1] != "" && p[2] != "" && p[5] != ""
		if ok != (err == nil) || ok && a != (ARN{p[2], p[3], p[4], p[5]}) {
			t.Fatalf("%q: %+v, %v", s, a, err)
		}
	})
}

func TestUUIDs(t *testing.T) {
	form := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	for _, id := range []string{NewUUID(), UUIDFrom("a token"), UUIDFrom("")} {
		if !form.MatchString(id) || !IsUUID(id) {
			t.Errorf("%s is no version 4 UUID", id)
		}
		for _, other := range []string{"", id[1:], id + "0", "A" + id[1:], strings.ReplaceAll(id, "-", "0"), id[:35] + "g"} {
			if IsUUID(other) {
				t.Errorf("%q is taken for a UUID", other)
			}
		}
	}
	first, again, other := UUIDFrom("a"), UUIDFrom("a"), UUIDFrom("b")
	if first != again || first == other {
		t.Errorf("a token has one UUID of its own: %s, %s; another: %s", first, again, other)
	}
	one, two := NewUUID(), NewUUID()
	if one == two {
		t.Errorf("%s was made twice", one)
	}
}
