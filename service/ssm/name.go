package ssm

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/fault"
)

var nameForm = regexp.MustCompile(`^[a-zA-Z0-9_.\-/]+$`)

const (
	maxName   = 1011 // with the ARN's other parts; the model's 2048 is an outer bound
	maxLevels = 15
)

// checkName applies the rules of names that users give ("PutParameter", AWS
// Systems Manager API Reference).
func checkName(name string) error {
	bare := strings.ToLower(strings.TrimPrefix(name, "/"))
	switch {
	case bare == "aws" || strings.HasPrefix(bare, "aws/"):
		return fault.New(fault.AccessDeniedException, "No access to reserved parameter name: %s.", name)
	case strings.HasPrefix(bare, "aws") || strings.HasPrefix(bare, "ssm"):
		return fault.New(fault.ValidationException, "Parameter name: can't be prefixed with \"aws\" or \"ssm\" (case-insensitive).")
	case !nameForm.MatchString(name) || strings.Contains(name, "//") || strings.HasSuffix(name, "/"):
		return fault.New(fault.ValidationException, "Parameter name: can't be prefixed with \"ssm\" (case-insensitive). "+
			"If formed as a path, it can consist of sub-paths divided by slash symbol; each sub-path can be formed as a mix of letters, "+
			"numbers and the following 3 symbols .-_")
	case strings.Contains(name, "/") && !strings.HasPrefix(name, "/"):
		return fault.New(fault.ValidationException, "Parameter name must be a fully qualified name.")
	case len(name) > maxName:
		return fault.New(fault.ValidationException, "Parameter name: %d characters are the most that a name can have.", maxName)
	case strings.Count(name, "/") > maxLevels:
		return fault.New(fault.HierarchyLevelLimit, "A hierarchy can have a maximum of %d levels.", maxLevels)
	}
	return nil
}

// reference is a parameter as a caller names it: a name or an ARN, and maybe a
// version or label behind a colon.
type reference struct {
	name     string
	alias    string // the other name that an ARN may stand for
	selector string // ":3", ":prod", ""
	number   int64
	label    string
	account  string // where it is not the caller's
}

// parseReference reads a name for the caller's scope. Names of other regions are
// not found.
func parseReference(scope arn.Scope, text string) (reference, error) {
	r := reference{name: text}
	if strings.HasPrefix(text, "arn:") {
		a, err := arn.Parse(text)
		rest, ok := strings.CutPrefix(a.Resource, "parameter/")
		public := a.Account == "" && strings.HasPrefix(rest, "aws/service/")
		if err != nil || !ok || a.Service != "ssm" || a.Region != scope.Region || !arn.IsAccount(a.Account) && !public {
			return r, notFound(text)
		}
		if a.Account != scope.Account && !public {
			r.account = a.Account
		}
		r.name, r.alias = "/"+rest, rest
	}
	name, selector, found := strings.Cut(r.name, ":")
	if !found {
		return r, nil
	}
	r.name, r.selector = name, ":"+selector
	r.alias, _, _ = strings.Cut(r.alias, ":")
	if n, err := strconv.ParseInt(selector, 10, 64); err == nil {
		r.number = n
	} else {
		r.label = selector
	}
	if selector == "" || strings.Contains(selector, ":") {
		return r, fault.New(fault.ValidationException, "Invalid parameter name. Please use correct syntax for referencing a version/label <name>:<version/label>")
	}
	return r, nil
}
