package store

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
)

// Page lists a part of the documents whose keys begin with keyPrefix, those
// that keep accepts (nil: all). limit <= 0 stands for all of them. next is ""
// at the end; otherwise it is the token of the next part. A token stays good
// while documents come and go: the next part begins behind the last key given.
// A token of another listing is ErrBadToken.
func (c *Collection[T]) Page(tx Tx, keyPrefix, token string, limit int, keep func(*T) bool) (items []Entry[T], next string, err error) {
	from := c.docKey(keyPrefix)
	to := PrefixEnd(from)
	if token != "" {
		last, err := c.openToken(keyPrefix, token)
		if err != nil {
			return nil, "", err
		}
		from = c.docKey(last) + "\x00"
	}
	for e, err := range c.scan(tx, from, to) {
		if err != nil {
			return nil, "", err
		}
		if keep != nil && !keep(e.Value) {
			continue
		}
		if limit > 0 && len(items) == limit {
			return items, c.makeToken(keyPrefix, items[limit-1].Key), nil
		}
		items = append(items, e)
	}
	return items, "", nil
}

const tokenSum = 6 // bytes that tie a token to its listing

func (c *Collection[T]) tokenSum(keyPrefix, last string) string {
	sum := sha256.Sum256([]byte(c.prefix + "\x00" + keyPrefix + "\x00" + last))
	return string(sum[:tokenSum])
}

func (c *Collection[T]) makeToken(keyPrefix, last string) string {
	rest := strings.TrimPrefix(last, keyPrefix)
	return base64.RawURLEncoding.EncodeToString([]byte(c.tokenSum(keyPrefix, last) + rest))
}

func (c *Collection[T]) openToken(keyPrefix, token string) (string, error) {
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(b) < tokenSum || len(b) > MaxKey+tokenSum {
		return "", fmt.Errorf("%w: malformed", ErrBadToken)
	}
	last := keyPrefix + string(b[tokenSum:])
	if c.tokenSum(keyPrefix, last) != string(b[:tokenSum]) {
		return "", fmt.Errorf("%w: of another listing", ErrBadToken)
	}
	return last, nil
}
