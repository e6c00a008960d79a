// Package hook reads the configurations of CloudFormation Hooks and decides which
// hooks a target meets ("CloudFormation Hooks", AWS CloudFormation Hooks User
// Guide). It is pure and starts no goroutine. It may import fault, and
// auth/policy for the matching of its patterns.
package hook

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/slipway/slipway/auth/policy"
	"github.com/slipway/slipway/fault"
)

// What hooks are asked about ("TargetOperations").
const (
	Resource     = "RESOURCE"
	Stack        = "STACK"
	ChangeSet    = "CHANGE_SET"
	CloudControl = "CLOUD_CONTROL" // a resource of the Cloud Control API
)

// Actions of targets.
const (
	Create = "CREATE"
	Update = "UPDATE"
	Delete = "DELETE"
)

// Failure modes.
const (
	Fail = "FAIL"
	Warn = "WARN"
)

// PreProvision is the one invocation point that there is.
const PreProvision = "PRE_PROVISION"

// Config is a hook's configuration: HookConfiguration.
type Config struct {
	HookInvocationStatus string          // ENABLED or DISABLED
	TargetStacks         string          // ALL or NONE, the older way to say the same
	TargetOperations     []string        // RESOURCE where there is none
	FailureMode          string          // FAIL or WARN
	Properties           json.RawMessage // the hook's own
	TargetFilters        *TargetFilters
	StackFilters         *StackFilters
}

// TargetFilters say which resources a hook is asked about: Targets by themselves, or
// the rest.
type TargetFilters struct {
	Actions          []string
	TargetNames      []string
	InvocationPoints []string
	Targets          []struct{ TargetName, Action, InvocationPoint string }
}

// StackFilters say of which stacks.
type StackFilters struct {
	FilteringCriteria string // ALL or ANY
	StackNames        *Filter
	StackRoles        *Filter
}

// Filter has patterns in which * and ? stand for any characters or character.
type Filter struct{ Include, Exclude []string }

// Target is what a hook may be asked about.
type Target struct {
	Operation string
	Name      string // the resource's type
	Action    string
	Stack     string // name
	Role      string // ARN of the stack's, "" for none
}

// Parse reads the text that SetTypeConfiguration takes.
func Parse(text string) (*Config, error) {
	var doc struct {
		CloudFormationConfiguration *struct{ HookConfiguration *Config }
	}
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.DisallowUnknownFields()
	err := d.Decode(&doc)
	if err == nil {
		if _, end := d.Token(); !errors.Is(end, io.EOF) {
			err = errors.New("there is something behind the JSON object")
		}
	}
	switch {
	case err != nil:
		return nil, invalid("%s", strings.TrimPrefix(err.Error(), "json: "))
	case doc.CloudFormationConfiguration == nil || doc.CloudFormationConfiguration.HookConfiguration == nil:
		return nil, invalid("required key [CloudFormationConfiguration/HookConfiguration] not found")
	}
	c := doc.CloudFormationConfiguration.HookConfiguration
	return c, c.check()
}

func invalid(format string, args ...any) error {
	e := fault.New(fault.CFNRegistry, format, args...)
	e.Message = "Configuration validation failed: " + e.Message
	return e
}

func (c *Config) check() error {
	for _, rule := range []struct {
		member, value string
		allowed       []string
	}{
		{"HookInvocationStatus", c.HookInvocationStatus, []string{"", "ENABLED", "DISABLED"}},
		{"TargetStacks", c.TargetStacks, []string{"", "ALL", "NONE"}},
		{"FailureMode", c.FailureMode, []string{Fail, Warn}},
	} {
		if !slices.Contains(rule.allowed, rule.value) {
			return invalid("%s is not a valid value of %s: it must be one of [%s]", rule.value, rule.member, strings.TrimPrefix(strings.Join(rule.allowed, ", "), ", "))
		}
	}
	if c.HookInvocationStatus == "" && c.TargetStacks == "" {
		return invalid("required key [HookInvocationStatus] not found")
	}
	for _, o := range c.TargetOperations {
		switch o {
		case Resource, Stack, ChangeSet, CloudControl:
		default:
			return invalid("%s is not a valid value of TargetOperations", o)
		}
	}
	if f := c.TargetFilters; f != nil && len(f.Targets) > 0 && len(f.Actions)+len(f.TargetNames)+len(f.InvocationPoints) > 0 {
		return invalid("TargetFilters have either Targets or Actions, TargetNames and InvocationPoints")
	}
	if f := c.StackFilters; f != nil && f.FilteringCriteria != "ALL" && f.FilteringCriteria != "ANY" {
		return invalid("%s is not a valid value of FilteringCriteria: it must be one of [ALL, ANY]", f.FilteringCriteria)
	}
	return nil
}

// Enabled reports whether the hook is asked at all.
func (c *Config) Enabled() bool {
	return c.HookInvocationStatus == "ENABLED" || c.HookInvocationStatus == "" && c.TargetStacks == "ALL"
}

// Meets reports whether the hook is asked about a target. Filters of stacks say
// nothing of what has none.
func (c *Config) Meets(t Target) bool {
	operations := c.TargetOperations
	if len(operations) == 0 {
		operations = []string{Resource}
	}
	return c.Enabled() && slices.Contains(operations, t.Operation) && c.TargetFilters.meets(t) && (t.Operation == CloudControl || c.StackFilters.meets(t))
}

// ofType reports whether a target is a resource, which has a type.
func (t *Target) ofType() bool { return t.Operation == Resource || t.Operation == CloudControl }

func (f *TargetFilters) meets(t Target) bool {
	if f == nil {
		return true
	}
	if len(f.Targets) > 0 {
		for _, x := range f.Targets {
			if (!t.ofType() || Match(x.TargetName, t.Name)) && (x.Action == "" || x.Action == t.Action) && (x.InvocationPoint == "" || x.InvocationPoint == PreProvision) {
				return true
			}
		}
		return false
	}
	return (len(f.Actions) == 0 || slices.Contains(f.Actions, t.Action)) &&
		(len(f.InvocationPoints) == 0 || slices.Contains(f.InvocationPoints, PreProvision)) &&
		(len(f.TargetNames) == 0 || !t.ofType() || anyMatch(f.TargetNames, t.Name))
}

func (f *StackFilters) meets(t Target) bool {
	if f == nil {
		return true
	}
	var said []bool
	if f.StackNames != nil {
		said = append(said, f.StackNames.meets(t.Stack))
	}
	if f.StackRoles != nil {
		said = append(said, f.StackRoles.meets(t.Role))
	}
	if f.FilteringCriteria == "ANY" && len(said) > 0 {
		return slices.Contains(said, true)
	}
	return !slices.Contains(said, false)
}

func (f *Filter) meets(value string) bool {
	return !anyMatch(f.Exclude, value) && (len(f.Include) == 0 || anyMatch(f.Include, value))
}

func anyMatch(patterns []string, value string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return Match(p, value) })
}

// Match reports whether a value has the form of a pattern, in which * and ? stand
// for any characters or character.
func Match(pattern, value string) bool { return policy.Match(pattern, value) }
