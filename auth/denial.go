package auth

import (
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/slipway/slipway/auth/keyring"
	"github.com/slipway/slipway/auth/policy"
	"github.com/slipway/slipway/fault"
)

// Denied is the refusal of a request on one of its resources, by the caller's
// identity-based policies.
func Denied(r Request, resource string, d policy.Decision) *fault.Error {
	return deniedBy(&r, resource, policy.Verdict{Decision: d, By: policy.ByIdentity}, "")
}

// deniers and lackings are the kinds of policies in a refusal's words ("Troubleshoot
// access denied error messages", IAM User Guide).
var deniers = map[policy.Source]string{
	policy.ByIdentity: "an identity-based policy", policy.ByResource: "a resource-based policy",
	policy.ByBoundary: "a permissions boundary", policy.BySession: "a session policy",
	policy.ByControl: "a service control policy",
}

func deniedBy(r *Request, resource string, v policy.Verdict, encoded string) *fault.Error {
	if resource == policy.Unknown {
		resource = "*"
	}
	f := familyOf(r.Service)
	if f == familyS3 {
		resource = `"` + resource + `"`
	}
	var b strings.Builder
	if f == familyEC2 {
		b.WriteString("You are not authorized to perform this operation. ")
	}
	action := r.Action
	if rest, ok := strings.CutPrefix(action, "sns:"); ok {
		action = "SNS:" + rest // as it writes them
	}
	b.WriteString("User: " + r.Principal.ARN + " is not authorized to perform: " + action + " on resource: " + resource)
	if v.Decision == policy.Denied {
		b.WriteString(" with an explicit deny in " + deniers[v.By])
	} else {
		_, kind, _ := strings.Cut(deniers[v.By], " ")
		b.WriteString(" because no " + kind + " allows the " + action + " action")
	}
	if encoded != "" {
		b.WriteString(". Encoded authorization failure message: " + encoded)
	}
	if r.Service == "sns" {
		return fault.New(fault.AuthorizationError, "%s", b.String())
	}
	code := f.code(fault.AccessDenied, fault.AccessDeniedException, fault.UnauthorizedOperation, fault.AccessDenied)
	return fault.New(code, "%s", b.String())
}

// denied is the refusal of a verdict.
func (a *IAM) denied(r *Request, resource string, v policy.Verdict, keys policy.Keys) error {
	encoded := ""
	if a.Ring != nil && familyOf(r.Service) == familyEC2 {
		var err error
		if encoded, err = encodeDenial(a.Ring, r, resource, v, keys); err != nil {
			return err
		}
	}
	return deniedBy(r, resource, v, encoded)
}

// denial is what an encoded authorization message holds, in AWS's form
// ("DecodeAuthorizationMessage", AWS STS API Reference).
type denial struct {
	Allowed           bool            `json:"allowed"`
	ExplicitDeny      bool            `json:"explicitDeny"`
	MatchedStatements items[struct{}] `json:"matchedStatements"`
	Failures          items[struct{}] `json:"failures"`
	Context           denialContext   `json:"context"`
}

type items[T any] struct {
	Items []T `json:"items"`
}

type denialContext struct {
	Principal struct {
		ID   string `json:"id"`
		Name string `json:"name,omitempty"`
		ARN  string `json:"arn"`
	} `json:"principal"`
	Action     string            `json:"action"`
	Resource   string            `json:"resource"`
	Conditions items[denialPair] `json:"conditions"`
}

type denialPair struct {
	Key    string             `json:"key"`
	Values items[denialValue] `json:"values"`
}

type denialValue struct {
	Value string `json:"value"`
}

// toldKeys are the condition keys that an encoded message tells.
var toldKeys = []string{"aws:RequestedRegion", "aws:SourceIp", "ec2:InstanceType", "ec2:ImageID", "ec2:Region"}

func encodeDenial(ring *keyring.Ring, r *Request, resource string, v policy.Verdict, keys policy.Keys) (string, error) {
	d := denial{ExplicitDeny: v.Decision == policy.Denied}
	d.MatchedStatements.Items, d.Failures.Items = []struct{}{}, []struct{}{}
	d.Context.Principal.ID, d.Context.Principal.Name, d.Context.Principal.ARN = r.Principal.UserID, r.Principal.Name, r.Principal.ARN
	d.Context.Action, d.Context.Resource = r.Action, resource
	d.Context.Conditions.Items = []denialPair{}
	for _, name := range toldKeys {
		if keys == nil {
			break
		}
		values, _ := keys.Lookup(strings.ToLower(name))
		if len(values) == 0 {
			continue
		}
		p := denialPair{Key: name}
		for _, v := range values {
			p.Values.Items = append(p.Values.Items, denialValue{v})
		}
		d.Context.Conditions.Items = append(d.Context.Conditions.Items, p)
	}
	plain, err := json.Marshal(d)
	if err != nil {
		return "", err
	}
	sealed, err := ring.Seal(denialPurpose(r.Principal.Account), plain)
	return base64.RawURLEncoding.EncodeToString(sealed), err
}

func denialPurpose(account string) string { return "auth/denial/" + account }

// DecodeDenial opens the encoded message of a refusal of the account. ok is false
// for anything else.
func DecodeDenial(ring *keyring.Ring, account, message string) (text string, ok bool) {
	sealed, err := base64.RawURLEncoding.DecodeString(message)
	if err != nil {
		return "", false
	}
	plain, err := ring.Open(denialPurpose(account), sealed)
	return string(plain), err == nil
}
