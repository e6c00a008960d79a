package lambda

import (
	"context"
	"regexp"
	"strings"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
)

const (
	latest  = "$LATEST"
	maxName = 64
)

// functionName is the form of everything that a call may name a function by: a name,
// a partial ARN or a whole one, each with a qualifier or without.
var functionName = regexp.MustCompile(`^(?:arn:aws[a-zA-Z-]*:lambda:)?(?:([a-z]{2}(?:-[a-z]+)+-\d):)?(?:(\d{12}):)?(?:function:)?([a-zA-Z0-9-_.]+)(?::(\$LATEST(?:\.PUBLISHED)?|[a-zA-Z0-9-_]+))?$`)

// place is where a function is kept.
type place struct {
	arn.Scope
	name string
}

func (p place) key() string { return p.Scope.Key() + "/" + p.name }

// arn is the function's ARN, with a qualifier where there is one.
func (p place) arn(qualifier string) string {
	resource := "function:" + p.name
	if qualifier != "" {
		resource += ":" + qualifier
	}
	return p.ARN("lambda", resource).String()
}

// placeOf tells the place of a key that begins with a function's.
func placeOf(key string) place {
	account, rest, _ := strings.Cut(key, "/")
	region, name, _ := strings.Cut(rest, "/")
	name, _, _ = strings.Cut(name, "|")
	return place{arn.Scope{Account: account, Region: region}, name}
}

// named reads what a call names a function by, and its qualifier, "" for none. A
// name in another account than the caller's own is for permit to decide.
func named(ctx context.Context, name, qualifier string) (place, string, error) {
	call := auth.From(ctx)
	p, own, err := parseName(call.Scope, name)
	if err != nil {
		return p, "", err
	}
	if own != "" && qualifier != "" && own != qualifier {
		return p, "", invalid("The derived qualifier from the function name does not match the specified qualifier.")
	}
	if qualifier == "" {
		qualifier = own
	}
	return p, qualifier, nil
}

func parseName(scope arn.Scope, name string) (place, string, error) {
	m := functionName.FindStringSubmatch(name)
	if m == nil {
		return place{}, "", fault.New(fault.ValidationException, "1 validation error detected: Value '%s' at 'functionName' failed to satisfy constraint: Member must satisfy regular expression pattern: %s", name, namePattern)
	}
	if m[1] != "" && m[1] != scope.Region {
		return place{}, "", notFound("Functions from '%s' are not reachable in this region ('%s')", m[1], scope.Region)
	}
	if m[2] != "" {
		scope.Account = m[2]
	}
	return place{scope, m[3]}, m[4], nil
}

const namePattern = `(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_\.]+)(:(\$LATEST(\.PUBLISHED)?|[a-zA-Z0-9-_]+))?`

// isVersion reports whether a qualifier is a version's number.
func isVersion(qualifier string) bool {
	return qualifier != "" && strings.Trim(qualifier, "0123456789") == ""
}
