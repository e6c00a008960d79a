package secretsmanager

import (
	"bufio"
	"context"
	"crypto/rand"
	"io"
	"strings"

	api "github.com/slipway/slipway/api/secretsmanager"
)

const (
	uppercase      = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	lowercase      = "abcdefghijklmnopqrstuvwxyz"
	digits         = "0123456789"
	punctuation    = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
	passwordLength = 32
	maxPassword    = 4096
)

// GetRandomPassword makes a password: each one that the options allow is as likely
// as any other.
func (s *Service) GetRandomPassword(_ context.Context, in *api.GetRandomPasswordInput) (*api.GetRandomPasswordOutput, error) {
	length := int64(passwordLength)
	if in.PasswordLength != nil {
		length = *in.PasswordLength
	}
	var types []string
	for _, t := range []struct {
		characters string
		excluded   *bool
	}{{uppercase, in.ExcludeUppercase}, {lowercase, in.ExcludeLowercase}, {digits, in.ExcludeNumbers}, {punctuation, in.ExcludePunctuation}} {
		if left := without(t.characters, in.ExcludeCharacters); left != "" && !yes(t.excluded) {
			types = append(types, left)
		}
	}
	alphabet := strings.Join(types, "")
	if yes(in.IncludeSpace) {
		alphabet += without(" ", in.ExcludeCharacters)
	}
	if in.RequireEachIncludedType != nil && !*in.RequireEachIncludedType {
		types = nil
	}
	switch {
	case alphabet == "":
		return nil, invalid("The password can't be generated: all characters are excluded.")
	case length < 1 || length > maxPassword:
		return nil, invalid("PasswordLength must be between 1 and %d.", maxPassword)
	case length < int64(len(types)):
		return nil, invalid("The password length must be at least %d to have a character of each included type.", len(types))
	}
	password, err := draw(bufio.NewReader(rand.Reader), alphabet, types, length)
	return &api.GetRandomPasswordOutput{RandomPassword: password}, err
}

func without(characters, excluded string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(excluded, r) {
			return -1
		}
		return r
	}, characters)
}

// draw draws passwords until one has a character of each type. Putting the types'
// characters in place would make some passwords likelier than others.
func draw(random io.Reader, alphabet string, types []string, length int64) (string, error) {
	b := make([]byte, length)
	for {
		for i := range b {
			n, err := below(random, len(alphabet))
			if err != nil {
				return "", err
			}
			b[i] = alphabet[n]
		}
		if hasEach(string(b), types) {
			return string(b), nil
		}
	}
}

func hasEach(password string, types []string) bool {
	for _, t := range types {
		if !strings.ContainsAny(password, t) {
			return false
		}
	}
	return true
}

// below is a random number below n, which is at most 256: bytes that would favour
// the first numbers are drawn again.
func below(random io.Reader, n int) (int, error) {
	var b [1]byte
	for {
		if _, err := io.ReadFull(random, b[:]); err != nil {
			return 0, err
		}
		if int(b[0]) < 256-256%n {
			return int(b[0]) % n, nil
		}
	}
}
