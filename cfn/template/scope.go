package template

import (
	"strings"

	"github.com/slipway/slipway/cfn"
)

// Unknown stands for a value that only exists once the stack was deployed, alone
// or within a longer string. It is the text that AWS's change sets show.
const Unknown = "{{changeSet:KNOWN_AFTER_APPLY}}"

// HasUnknown reports whether v, or anything in it, is not known yet.
func HasUnknown(v any) bool {
	switch v := v.(type) {
	case string:
		return strings.Contains(v, Unknown)
	case []any:
		for _, x := range v {
			if HasUnknown(x) {
				return true
			}
		}
	case map[string]any:
		for _, x := range v {
			if HasUnknown(x) {
				return true
			}
		}
	}
	return false
}

// Pseudo are the pseudo parameters.
type Pseudo struct {
	AccountID        string
	Region           string
	StackName        string
	StackID          string
	Partition        string // "aws" if empty
	URLSuffix        string // "amazonaws.com" if empty
	NotificationARNs []string
}

// Live is what Ref and Fn::GetAtt find of a resource. A property that is no
// attribute is found in Properties.
type Live struct {
	PhysicalID string // "" : not known yet
	Attributes cfn.Properties
	Properties cfn.Properties
}

// Env is what a template is evaluated in. All functions may be nil: then what
// they would answer is Unknown.
type Env struct {
	Parameters Values
	Pseudo     Pseudo
	// Resource finds a resource of the stack; false: it does not exist yet.
	Resource func(logicalID string) (Live, bool)
	// Export finds the value of an export; false: no such export.
	Export func(name string) (string, bool)
	// Zones are the names of a region's availability zones.
	Zones func(region string) []string
	// Dynamic resolves {{resolve:ssm:name:version}} and ssm-secure.
	Dynamic func(service, reference string) (string, error)
}

// Scope is a template in an environment: its conditions are evaluated.
type Scope struct {
	t          *Template
	env        Env
	conditions map[string]bool
}
