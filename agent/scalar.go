package agent

import (
	"encoding/json"
	"fmt"
	"strings"
)

// scalar is a value of a template, where text, numbers and booleans stand for
// one another.
type scalar string

// UnmarshalJSON takes what is not a list or an object.
func (s *scalar) UnmarshalJSON(b []byte) error {
	switch b[0] {
	case '"':
		return json.Unmarshal(b, (*string)(s))
	case '[', '{':
		return fmt.Errorf("want text, not %s", shorten(string(b)))
	case 'n':
		*s = ""
	default:
		*s = scalar(b)
	}
	return nil
}

// truth reads a boolean; nothing is false.
func (s scalar) truth() (bool, error) {
	switch strings.ToLower(strings.TrimSpace(string(s))) {
	case "true", "yes", "1":
		return true, nil
	case "", "false", "no", "0":
		return false, nil
	}
	return false, fmt.Errorf("%q: want true or false", shorten(string(s)))
}

func shorten(s string) string {
	if len(s) > 80 {
		return s[:80] + "..."
	}
	return s
}

// scalars are a list of values; one alone may stand without its list.
type scalars []scalar

// UnmarshalJSON takes a list or one value.
func (l *scalars) UnmarshalJSON(b []byte) error {
	if b[0] == '[' {
		return json.Unmarshal(b, (*[]scalar)(l))
	}
	var one scalar
	err := json.Unmarshal(b, &one)
	if err == nil && one != "" {
		*l = scalars{one}
	}
	return err
}
