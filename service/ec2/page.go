package ec2

import (
	"encoding/base64"
	"sort"
	"strings"

	"github.com/slipway/slipway/fault"
)

// pageLimits are the bounds of MaxResults of one operation.
type pageLimits struct{ min, max int32 }

var (
	pagesOf1000 = pageLimits{5, 1000}
	pagesOf100  = pageLimits{5, 100}
)

const tokenPrefix = "slipway1:"

// paginate orders items by key and cuts the page that follows token. Without
// maxResults the page is the rest. The token names the last key of the page
// before, so that what is made or deleted between two calls moves nothing.
func paginate[T any](items []T, key func(T) string, token string, maxResults *int32, limits pageLimits) ([]T, string, error) {
	after := ""
	if token != "" {
		raw, err := base64.RawURLEncoding.DecodeString(token)
		rest, ok := strings.CutPrefix(string(raw), tokenPrefix)
		if err != nil || !ok {
			return nil, "", fault.New(fault.InvalidNextToken, "The token '%s' is invalid", clip(token, 64))
		}
		after = rest
	}
	size := len(items)
	if maxResults != nil {
		if *maxResults < limits.min || *maxResults > limits.max {
			return nil, "", fault.New(fault.InvalidParameterValue,
				"Value ( %d ) for parameter maxResults is invalid. Expecting a value between %d and %d.", *maxResults, limits.min, limits.max)
		}
		size = int(*maxResults)
	}
	sort.SliceStable(items, func(i, j int) bool { return key(items[i]) < key(items[j]) })
	from := 0
	if after != "" {
		from = sort.Search(len(items), func(i int) bool { return key(items[i]) > after })
	}
	items = items[from:]
	if len(items) <= size {
		return items, "", nil
	}
	items = items[:size]
	next := base64.RawURLEncoding.EncodeToString([]byte(tokenPrefix + key(items[size-1])))
	return items, next, nil
}

// clip bounds what of a caller's text goes into a message.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n] + "..."
}
