package policy

import (
	"regexp"
	"slices"
	"strings"
)

// check refuses what the grammar or AWS's own rules forbid, in the order in which
// IAM finds it, for a document may be wrong in several ways.
func check(raw *rawDocument, statements []rawStatement, kind Kind) error {
	if raw.Version != "" && raw.Version != version2012 && raw.Version != version2008 {
		return errSyntax
	}
	steps := []func(*rawStatement, Kind) error{checkForm, checkVersion(raw.Version), checkLegacy, checkActions, checkResources, checkVendors}
	for i, step := range steps {
		for j := range statements {
			if err := step(&statements[j], kind); err != nil {
				return err
			}
		}
		if i == 2 {
			if err := checkSids(statements, kind); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkVersion(version string) func(*rawStatement, Kind) error {
	return func(_ *rawStatement, kind Kind) error {
		if kind == Managed && version != version2012 {
			return malformed("Policy document must be version 2012-10-17 or greater.")
		}
		return nil
	}
}

// checkForm is what IAM calls syntax.
func checkForm(raw *rawStatement, kind Kind) error {
	switch {
	case raw.Effect == nil && kind.ofIdentity():
		return errSyntax
	case raw.Effect == nil:
		return malformed("Missing required field Effect")
	case !strings.EqualFold(*raw.Effect, "Allow") && !strings.EqualFold(*raw.Effect, "Deny"), *raw.Effect != "Allow" && *raw.Effect != "Deny" && !kind.ofIdentity():
		if kind.ofIdentity() {
			return errSyntax
		}
		return malformed("Invalid effect: %s", *raw.Effect)
	case raw.Action.present && raw.NotAction.present, raw.Resource.present && raw.NotResource.present:
		return errSyntax
	}
	if err := checkPrincipal(raw, kind); err != nil {
		return err
	}
	conditions, err := rawConditions(raw.Condition)
	if err != nil {
		return err
	}
	for _, name := range sortedKeys(conditions) {
		if _, ok := operatorOf(name); !ok && len(conditions[name]) > 0 {
			if kind.ofIdentity() {
				return errSyntax
			}
			return malformed("Invalid Condition type : %s.", name)
		}
	}
	return nil
}

func checkPrincipal(raw *rawStatement, kind Kind) error {
	has, hasNot := len(raw.Principal) > 0, len(raw.NotPrincipal) > 0
	switch {
	case kind.ofIdentity() && (has || hasNot):
		return malformed("Policy document should not specify a principal.")
	case kind.ofIdentity():
		return nil
	case !has && !hasNot:
		return malformed("Missing required field Principal")
	case has && hasNot:
		return errSyntax
	case hasNot && *raw.Effect == "Allow" && kind == Trust:
		return malformed("AssumeRolepolicy contained an invalid principal: \"STAR\":\"NOT\"")
	}
	return nil
}

var errLegacy = malformed("The policy failed legacy parsing")

// checkLegacy is IAM's older parser: of effects in another case, of dates, and of
// ARNs that lack parts.
func checkLegacy(raw *rawStatement, kind Kind) error {
	if !kind.ofIdentity() {
		return nil
	}
	if *raw.Effect != "Allow" && *raw.Effect != "Deny" {
		return errLegacy
	}
	conditions, err := rawConditions(raw.Condition)
	if err != nil {
		return err
	}
	for name, keys := range conditions {
		o, _ := operatorOf(name)
		for _, values := range keys {
			if o.date && slices.ContainsFunc(values, func(v string) bool { _, ok := pointInTime(v); return !ok }) {
				return errLegacy
			}
		}
	}
	for _, r := range allOf(raw.Resource, raw.NotResource) {
		parts := strings.Split(r, ":")
		if parts[0] != "arn" || strings.Contains(r, "*") {
			continue
		}
		if len(parts) > 3 && len(parts) < arnParts || len(parts) > 2 && parts[1] == "aws" && parts[2] == "" {
			return errLegacy
		}
	}
	return nil
}

func allOf(a, b oneOrMany) []string {
	return append(a.values[:len(a.values):len(a.values)], b.values...)
}

var sidForm = regexp.MustCompile(`^[0-9A-Za-z]*$`)

func checkSids(statements []rawStatement, kind Kind) error {
	seen := map[string]bool{}
	for i := range statements {
		if statements[i].Sid == nil || *statements[i].Sid == "" {
			continue
		}
		sid := *statements[i].Sid
		if seen[sid] {
			return malformed("Statement IDs (SID) in a single policy must be unique.")
		}
		if kind.ofIdentity() && !sidForm.MatchString(sid) {
			return malformed("Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*")
		}
		seen[sid] = true
	}
	return nil
}

func checkActions(raw *rawStatement, kind Kind) error {
	actions := allOf(raw.Action, raw.NotAction)
	if len(actions) == 0 {
		if kind == Trust {
			return malformed("Missing required field Action")
		}
		return malformed("Policy statement must contain actions.")
	}
	for _, a := range actions {
		vendor, name, ok := strings.Cut(a, ":")
		if (a != "*" || kind == Trust) && (!ok || vendor == "" || name == "") {
			return malformed("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
		}
	}
	return nil
}

var vendorForm = regexp.MustCompile(`^[A-Za-z0-9.-]+$`)

// checkVendors looks at the parts of the actions.
func checkVendors(raw *rawStatement, kind Kind) error {
	for _, a := range allOf(raw.Action, raw.NotAction) {
		if a == "*" {
			continue
		}
		vendor, name, _ := strings.Cut(a, ":")
		switch {
		case strings.Contains(name, ":"):
			return malformed("Actions/Condition can contain only one colon.")
		case !vendorForm.MatchString(vendor):
			return malformed("Vendor %s is not valid", vendor)
		case kind == Trust && !strings.EqualFold(vendor, "sts"):
			return malformed("AssumeRole policy may only specify STS AssumeRole actions.")
		}
	}
	return nil
}

func checkResources(raw *rawStatement, kind Kind) error {
	if kind == Trust {
		if raw.Resource.present || raw.NotResource.present {
			return malformed("Has prohibited field Resource")
		}
		return nil
	}
	resources := allOf(raw.Resource, raw.NotResource)
	if len(resources) == 0 {
		return malformed("Policy statement must contain resources.")
	}
	for _, r := range resources {
		if kind == Resource || strings.HasPrefix(r, "*") {
			continue
		}
		if err := checkARN(r); err != nil {
			return err
		}
	}
	return nil
}

var partitions = []string{"aws", "aws-cn", "aws-us-gov", "*"}

// iamPaths begin the resources of IAM.
var iamPaths = []string{
	"user/", "federated-user/", "role/", "group/", "instance-profile/", "mfa/", "server-certificate/", "policy/",
	"sms-mfa/", "saml-provider/", "oidc-provider/", "report/", "access-report/",
}

func checkARN(r string) error {
	parts := splitARN(r)
	if len(parts) == 1 {
		return malformed("Resource %s must be in ARN format or \"*\".", r)
	}
	if !slices.Contains(partitions, parts[1]) {
		for len(parts) < arnParts {
			parts = append(parts, "*")
		}
		return malformed("Partition %q is not valid for resource %q.", parts[1], "arn:"+strings.Join(parts[1:], ":"))
	}
	if len(parts) == 2 {
		return malformed("Resource vendor must be fully qualified and cannot contain regexes.")
	}
	for len(parts) < arnParts {
		parts = append(parts, "*")
	}
	region, path := parts[3], parts[5]
	switch {
	case parts[2] == "iam" && region != "" && region != "*":
		return malformed("IAM resource %s cannot contain region information.", r)
	case parts[2] == "s3" && region != "" && region != "*":
		return malformed("Resource %s can not contain region information.", r)
	case parts[2] == "iam" && path != "root" && !strings.HasPrefix(path, "*") && !strings.HasPrefix(path, "$") &&
		!slices.ContainsFunc(iamPaths, func(p string) bool { return strings.HasPrefix(path, p) || wildPrefix(path, p) }):
		return malformed("IAM resource path must either be \"*\" or start with %s.", strings.Join(iamPaths, ", "))
	}
	return nil
}

// wildPrefix reports whether a wildcard in a path may stand for the rest of p.
func wildPrefix(path, p string) bool {
	i := strings.IndexAny(path, "*?")
	return i >= 0 && i < len(p) && strings.HasPrefix(p, path[:i])
}
