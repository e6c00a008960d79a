package cloudformation

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
)

// attributePurpose is what secret attributes are sealed for.
const attributePurpose = "cloudformation/attribute"

// seal is the function that seals secret attributes; nil without a key.
func (s *Service) seal() func(text string) (string, error) {
	if s.cfg.Ring == nil {
		return nil
	}
	return func(text string) (string, error) {
		b, err := s.cfg.Ring.Seal(attributePurpose, []byte(text))
		return base64.StdEncoding.EncodeToString(b), err
	}
}

func (s *Service) open(sealed string) (string, bool) {
	if s.cfg.Ring == nil {
		return "", false
	}
	b, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil {
		return "", false
	}
	plain, err := s.cfg.Ring.Open(attributePurpose, b)
	return string(plain), err == nil
}

// knows reports whether a caller knows the secret of a URL. The time it takes tells
// nothing of the secret, nor how long it is.
func knows(given, want string) bool {
	g, w := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(want))
	return subtle.ConstantTimeCompare(g[:], w[:]) == 1
}
