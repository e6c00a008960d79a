package cloudformation

import (
	"encoding/base64"
	"errors"
	"strconv"
	"strings"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// pageSize is how many entries one answer lists.
const pageSize = 100

// page cuts the part of a sorted list that a token asks for. A token names the
// last entry that was given, by its place in the order, so that nothing is
// missed or given twice while entries come and go. listing ties a token to what
// was listed.
func page[T any](all []T, listing, token string, place func(T) string) (part []T, next string, err error) {
	return pageOf(all, pageSize, listing, token, place)
}

// pageOf is page with a size of the caller's.
func pageOf[T any](all []T, size int, listing, token string, place func(T) string) (part []T, next string, err error) {
	from := 0
	if token != "" {
		last, err := openToken(listing, token)
		if err != nil {
			return nil, "", err
		}
		for from < len(all) && place(all[from]) <= last {
			from++
		}
	}
	to := min(from+size, len(all))
	if to < len(all) {
		next = makeToken(listing, place(all[to-1]))
	}
	return all[from:to], next, nil
}

func makeToken(listing, place string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(arn.Hash(listing)[:16] + place))
}

func openToken(listing, token string) (string, error) {
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err == nil {
		if place, ok := strings.CutPrefix(string(b), arn.Hash(listing)[:16]); ok {
			return place, nil
		}
	}
	return "", badToken(token)
}

func badToken(token string) error {
	if len(token) > 64 {
		token = token[:64]
	}
	return fault.New(fault.ValidationError, "Invalid value for parameter NextToken: %s", strconv.Quote(token))
}

// tokenError words a token that the store does not know.
func tokenError(err error, token string) error {
	if errors.Is(err, store.ErrBadToken) {
		return badToken(token)
	}
	return err
}
