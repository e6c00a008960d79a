package secretsmanager

import (
	"math"
	"strings"
	"testing"

	api "github.com/slipway/slipway/api/secretsmanager"
	"github.com/slipway/slipway/fault"
)

func TestPasswords(t *testing.T) {
	b := newBench(t)
	no, yes := new(false), new(true)
	for name, c := range map[string]struct {
		in     api.GetRandomPasswordInput
		length int
		of     string   // the characters that it may have
		each   []string // it has one of each
	}{
		"default":     {api.GetRandomPasswordInput{}, 32, uppercase + lowercase + digits + punctuation, []string{uppercase, lowercase, digits, punctuation}},
		"shortest":    {api.GetRandomPasswordInput{PasswordLength: new(int64(4))}, 4, uppercase + lowercase + digits + punctuation, []string{uppercase, lowercase, digits, punctuation}},
		"of digits":   {api.GetRandomPasswordInput{PasswordLength: new(int64(100)), ExcludeUppercase: yes, ExcludeLowercase: yes, ExcludePunctuation: yes}, 100, digits, []string{digits}},
		"of spaces":   {api.GetRandomPasswordInput{PasswordLength: new(int64(9)), ExcludeUppercase: yes, ExcludeLowercase: yes, ExcludePunctuation: yes, ExcludeNumbers: yes, IncludeSpace: yes}, 9, " ", nil},
		"without":     {api.GetRandomPasswordInput{PasswordLength: new(int64(4096)), ExcludeCharacters: "abcdefghijklmnopqrstuvwxyz!é"}, 4096, uppercase + digits + punctuation[1:], []string{uppercase, digits}},
		"of any type": {api.GetRandomPasswordInput{PasswordLength: new(int64(1)), RequireEachIncludedType: no}, 1, uppercase + lowercase + digits + punctuation, nil},
	} {
		for range 20 {
			out, err := b.GetRandomPassword(b.ctx, &c.in)
			if err != nil {
				t.Fatal(name, err)
			}
			p := out.RandomPassword
			if len(p) != c.length || strings.Trim(p, c.of) != "" || !hasEach(p, c.each) {
				t.Fatalf("%s: %q", name, p)
			}
		}
	}
	for says, in := range map[string]api.GetRandomPasswordInput{
		"at least 4":        {PasswordLength: new(int64(3))},
		"between 1 and":     {PasswordLength: new(int64(1 << 40))},
		"all characters":    {ExcludeCharacters: digits, ExcludeUppercase: yes, ExcludeLowercase: yes, ExcludePunctuation: yes},
		"between 1 and 409": {PasswordLength: new(int64(0)), RequireEachIncludedType: no},
	} {
		_, err := b.GetRandomPassword(b.ctx, &in)
		wants(t, err, fault.InvalidParameterException, says)
	}
}

// TestPasswordsAreUnbiased: of all passwords of two letters or digits that have one
// of each, 10 + 10 of a and a digit, each comes as often.
func TestPasswordsAreUnbiased(t *testing.T) {
	b := newBench(t)
	const draws = 20000
	in := &api.GetRandomPasswordInput{
		PasswordLength: new(int64(2)), ExcludeUppercase: new(true), ExcludePunctuation: new(true), ExcludeCharacters: lowercase[1:],
	}
	count := map[string]int{}
	for range draws {
		out, err := b.GetRandomPassword(b.ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		count[out.RandomPassword]++
	}
	if len(count) != 20 {
		t.Fatalf("%d passwords, want 20", len(count))
	}
	const mean = draws / 20.0
	for p, n := range count {
		if math.Abs(float64(n)-mean) > 7*math.Sqrt(mean) { // by chance in one of 10^10 runs
			t.Errorf("%s came %d times, want about %.0f", p, n, mean)
		}
	}
}
