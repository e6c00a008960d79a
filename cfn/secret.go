package cfn

// sealedKey marks an attribute that is kept sealed. No template can make one: only
// attributes are looked at.
const sealedKey = "slipway:sealed"

// Sealed is how records and journals keep an attribute that Type.Secret names.
func Sealed(text string) map[string]any { return map[string]any{sealedKey: text} }

// SealedText is what Sealed was made of; false for any other value.
func SealedText(v any) (string, bool) {
	m, ok := v.(map[string]any)
	if !ok || len(m) != 1 {
		return "", false
	}
	text, ok := m[sealedKey].(string)
	return text, ok
}
