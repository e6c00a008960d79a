package wire

import (
	"testing"

	"github.com/slipway/slipway/api"
)

// unconverted are the patterns of the generated services that Go's engine
// cannot express (they look ahead): their values are not checked by pattern.
var unconverted = map[string]bool{
	`^[a-z0-9]([a-z0-9]|-(?!-)){1,61}[a-z0-9]$`: true, // iam accountAliasType
	`^([\-]?\d{4}(?!\d{2}\b))((-?)((0[1-9]|1[0-2])(\3([12]\d|0[1-9]|3[01]))?|W([0-4]\d|5[0-2])(-?[1-7])?|(00[1-9]|0[1-9]\d|[12]\d{2}|3([0-5]\d|6[1-6])))([T\s]((([01]\d|2[0-3])((:?)[0-5]\d)?|24\:?00)([\.,]\d(?!:))?)?(\17[0-5]\d([\.,]\d)?)?([zZ]|([\-])([01]\d|2[0-3]):?([0-5]\d)?)?)?)?$`: true, // ssm StringDateTime
}

func TestPatternsConvert(t *testing.T) {
	seen := 0
	for _, svc := range described {
		for i := range svc().Shapes {
			s := &svc().Shapes[i]
			if s.Pattern == "" || s.Kind != api.String {
				continue
			}
			seen++
			if _, err := convertPattern(s.Pattern); (err != nil) != unconverted[s.Pattern] {
				t.Errorf("%s %s: %q: %v", svc().Name, s.Name, s.Pattern, err)
			}
		}
	}
	if seen < 150 {
		t.Errorf("saw %d patterns, want those of seven services", seen)
	}
}

// What is said without looking ahead takes and refuses what the model's pattern does.
func TestPatternsThatLookAhead(t *testing.T) {
	for pattern, values := range map[string]map[string]bool{
		`^(?!\s*$).+`:                  {"a": true, " a ": true, "": false, "  ": false},
		`(?!^[0-9]+$)([a-zA-Z0-9-_]+)`: {"live": true, "1a": true, "1-2": true, "_": true, "12": false, "a.b": false, "$LATEST": false, "": false},
		`((?!^\d+$)^[0-9a-zA-Z-_]+$)`:  {"live": true, "2b": true, "2": false, "$LATEST": false},
	} {
		re, err := convertPattern(pattern)
		if err != nil {
			t.Errorf("%s: %v", pattern, err)
			continue
		}
		for value, want := range values {
			if re.MatchString(value) != want {
				t.Errorf("%s takes %q: %v", pattern, value, !want)
			}
		}
	}
}
