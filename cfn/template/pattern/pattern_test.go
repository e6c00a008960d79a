package pattern

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestMatchWhole(t *testing.T) {
	const bucket = `^$|^(?=^.{3,63}$)(?!.*[.-]{2})(?!.*[--]{2})(?!^(?:(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(\.(?!$)|$)){4}$)(^(([a-z0-9]|[a-z0-9][a-z0-9\-]*[a-z0-9])\.)*([a-z0-9]|[a-z0-9][a-z0-9\-]*[a-z0-9])$)`
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{`[a-z]+`, "abc", true},
		{`[a-z]+`, "abc1", false},
		{bucket, "", true},
		{bucket, "my-bucket.example", true},
		{bucket, "ab", false},
		{bucket, "192.168.0.1", false},
		{bucket, "a--b", false},
		{`(?=.*[A-Z])(?=.*\d).{8,}`, "Passw0rdX", true},
		{`(?=.*[A-Z])(?=.*\d).{8,}`, "password1", false},
		{`^(?!aws:).*$`, "aws:x", false},
		{`^(?!aws:).*$`, "mine", true},
		{`\u0061b`, "ab", true},
		{`(a|b)\1`, "aa", true},
		{`(a|b)\1`, "ab", false},
		{`(?<=a)b`, "b", false},
		{`a(?<=a)b`, "ab", true},
		{`a(?<!a)b`, "ab", false},
		{`(?!x)[\w-]{2,3}?c`, "a-c", true},
		{`(?!x)(?:ab)+?c`, "ababc", true},
		{`(?!x)(?:ab){3}c`, "ababc", false},
		{`(?!x)\p{Lu}\P{Lu}\p{Alpha}`, "Aab", true},
		{`(?i)(?!x)ABC`, "abc", true},
		{`(?!x)a++b`, "aaab", true},
	} {
		p, err := Compile(c.pattern)
		if err != nil {
			t.Errorf("%s: %v", c.pattern, err)
			continue
		}
		if got := p.MatchWhole(c.text); got != c.want {
			t.Errorf("%s on %q: %v, want %v", c.pattern, c.text, got, c.want)
		}
	}
}

func TestCompileRefuses(t *testing.T) {
	for _, bad := range []string{`(?=`, `(?!a`, `(?!a)[`, `(?!a)\`, `(?!a)\p{Nope}`, `(?!a)[b-a]`, `(?!a))`, `(?!a)a{99999}`, `(?!` + strings.Repeat("(", 200)} {
		if _, err := Compile(bad); err == nil {
			t.Errorf("%s is a pattern", bad)
		}
	}
}

// A pattern that would backtrack without end gives up.
func TestBounded(t *testing.T) {
	p, err := Compile(`(?!x)(a|a)*b`)
	if err != nil {
		t.Fatal(err)
	}
	if p.MatchWhole(strings.Repeat("a", 4000)) {
		t.Error("matched a text without b")
	}
}

// On patterns that both can do, the matcher agrees with package regexp.
func TestAgreesWithRegexp(t *testing.T) {
	atoms := rapid.SampledFrom([]string{"a", "b", ".", "[ab]", "[^a]", "(a|b)", "(?:ab)", `\w`, "^", "$", `\b`})
	quantifiers := rapid.SampledFrom([]string{"", "", "*", "+", "?", "{2}", "{1,2}", "*?", "+?"})
	rapid.Check(t, func(t *rapid.T) {
		var b strings.Builder
		for range rapid.IntRange(1, 4).Draw(t, "parts") {
			atom := atoms.Draw(t, "atom")
			b.WriteString(atom)
			if atom != "^" && atom != "$" && atom != `\b` {
				b.WriteString(quantifiers.Draw(t, "quantifier"))
			}
		}
		text := rapid.StringMatching(`[abc]{0,6}`).Draw(t, "text")
		tree, err := parse(b.String())
		if err != nil {
			t.Fatalf("%s: %v", b.String(), err)
		}
		ours, theirs := &Pattern{tree: tree}, regexp.MustCompile(b.String())
		if ours.Match(text) != theirs.MatchString(text) {
			t.Fatalf("%s on %q: %v", b.String(), text, ours.Match(text))
		}
	})
}

func FuzzCompile(f *testing.F) {
	f.Add(`(?=a)b`, "b")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if p, err := Compile(pattern); err == nil && len(text) < 100 {
			p.MatchWhole(text)
			p.Match(text)
		}
	})
}
