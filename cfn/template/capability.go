package template

import (
	"sort"
	"strings"
)

// namedIAM maps the IAM types that need a capability to the property that,
// where a template sets it, needs CAPABILITY_NAMED_IAM ("Acknowledging IAM
// resources in CloudFormation templates").
var namedIAM = map[string]string{
	"AWS::IAM::AccessKey":           "",
	"AWS::IAM::Group":               "GroupName",
	"AWS::IAM::InstanceProfile":     "InstanceProfileName",
	"AWS::IAM::ManagedPolicy":       "ManagedPolicyName",
	"AWS::IAM::Policy":              "",
	"AWS::IAM::Role":                "RoleName",
	"AWS::IAM::User":                "UserName",
	"AWS::IAM::UserToGroupAddition": "",
}

// Capabilities are those that a request must acknowledge, in AWS's order, the
// reason for them as AWS words it, and the resource types of the template.
func (t *Template) Capabilities() (capabilities []string, reason string, resourceTypes []string) {
	iam, named := false, false
	var because []string
	for i := range t.Resources {
		r := &t.Resources[i]
		if r.Type != "" && !contains(resourceTypes, r.Type) {
			resourceTypes = append(resourceTypes, r.Type)
		}
		property, is := namedIAM[r.Type]
		if !is {
			continue
		}
		iam = true
		if property != "" && r.Properties.Get(property) != nil {
			named = true
		}
		if !contains(because, r.Type) {
			because = append(because, r.Type)
		}
	}
	sort.Strings(resourceTypes)
	sort.Strings(because)
	switch {
	case named:
		capabilities = append(capabilities, "CAPABILITY_NAMED_IAM")
	case iam:
		capabilities = append(capabilities, "CAPABILITY_IAM")
	}
	if len(because) > 0 {
		reason = "The following resource(s) require capabilities: [" + strings.Join(because, ", ") + "]"
	}
	if len(t.Transform) > 0 {
		capabilities = append(capabilities, "CAPABILITY_AUTO_EXPAND")
	}
	return capabilities, reason, resourceTypes
}
