package policy

import "strings"

// fixedKeys are the condition keys that bound who may use a policy, so that it
// is not public ("The meaning of public", S3 User Guide).
var fixedKeys = map[string]bool{
	"aws:principalarn": true, "aws:principalorgid": true, "aws:principalaccount": true,
	"aws:sourcearn": true, "aws:sourceaccount": true, "aws:sourceowner": true, "aws:sourcevpc": true,
	"aws:sourcevpce": true, "aws:sourceip": true, "aws:userid": true, "aws:sourceorgid": true,
	"s3:dataaccesspointarn": true, "s3:dataaccesspointaccount": true,
}

// Public reports whether a resource policy lets anybody in.
func (d *Document) Public() bool {
	for i := range d.Statements {
		if st := &d.Statements[i]; !st.Deny && anybody(st) && !bounded(st) {
			return true
		}
	}
	return false
}

func anybody(st *Statement) bool {
	if st.NotPrincipal {
		return true
	}
	for _, p := range st.Principals {
		if p.Type == "AWS" && strings.Contains(p.ID, "*") {
			return true
		}
	}
	return false
}

func bounded(st *Statement) bool {
	for _, c := range st.Conditions {
		operator := strings.ToLower(c.Operator)
		if strings.Contains(operator, "not") || strings.HasSuffix(operator, "ifexists") || operator == "null" || !fixedKeys[c.Key] {
			continue
		}
		fixed := true
		for _, v := range c.Values {
			fixed = fixed && !strings.ContainsAny(v, "*?$") && v != "0.0.0.0/0" && v != "::/0"
		}
		if fixed {
			return true
		}
	}
	return false
}
