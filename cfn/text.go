package cfn

import (
	"encoding/json"
	"fmt"
)

// Text is a property's value as the API tells it: a string as it is, and anything
// else as JSON ("null" for none).
func Text(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}
