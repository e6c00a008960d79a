package policy

import (
	"strings"
	"testing"
)

const queue = "arn:aws:sqs:us-east-1:123456789012:orders"

func statement(body string) string {
	return `{"Version":"2012-10-17","Statement":[{` + body + `}]}`
}

func TestEvaluate(t *testing.T) {
	known := Context{"aws:username": {"ann"}, "aws:sourceip": {"10.1.2.3"}, "aws:principaltag/x": nil, "aws:securetransport": {"false"}}
	for _, c := range []struct {
		name string
		docs []string
		want Decision
	}{
		{"nothing", nil, NoMatch},
		{"exact", []string{`"Effect":"Allow","Action":"sqs:SendMessage","Resource":"` + queue + `"`}, Allowed},
		{"action in another case", []string{`"Effect":"Allow","Action":"SQS:sendmessage","Resource":"*"`}, Allowed},
		{"wildcards", []string{`"Effect":"Allow","Action":["s3:*","sqs:Send*"],"Resource":["arn:aws:sqs:*:123456789012:ord?rs"]`}, Allowed},
		{"resource in another case", []string{`"Effect":"Allow","Action":"*","Resource":"arn:aws:sqs:us-east-1:123456789012:Orders"`}, NoMatch},
		{"other action", []string{`"Effect":"Allow","Action":"sqs:ReceiveMessage","Resource":"*"`}, NoMatch},
		{"deny wins, later", []string{`"Effect":"Allow","Action":"*","Resource":"*"`, `"Effect":"Deny","Action":"sqs:*","Resource":"*"`}, Denied},
		{"deny wins, earlier", []string{`"Effect":"Deny","Action":"sqs:*","Resource":"*"`, `"Effect":"Allow","Action":"*","Resource":"*"`}, Denied},
		{"NotAction", []string{`"Effect":"Allow","NotAction":"iam:*","Resource":"*"`}, Allowed},
		{"NotAction excepts", []string{`"Effect":"Allow","NotAction":"sqs:*","Resource":"*"`}, NoMatch},
		{"NotResource excepts", []string{`"Effect":"Allow","Action":"*","NotResource":"` + queue + `"`}, NoMatch},
		{"NotResource", []string{`"Effect":"Deny","Action":"*","NotResource":"arn:aws:s3:::b"`}, Denied},
		{"condition met", []string{`"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:username":"ann"}}`}, Allowed},
		{"condition not met", []string{`"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:username":["bob","eve"]}}`}, NoMatch},
		{"both conditions", []string{`"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringLike":{"aws:UserName":"a*"},"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}`}, Allowed},
		{"one condition fails", []string{`"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringLike":{"aws:UserName":"a*"},"NotIpAddress":{"aws:SourceIp":"10.0.0.0/8"}}`}, NoMatch},
		{"Bool", []string{`"Effect":"Deny","Action":"*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":false}}`}, Denied},
		{"absent key", []string{`"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/x":"1"}}`}, NoMatch},
		{"absent key, IfExists", []string{`"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEqualsIfExists":{"aws:PrincipalTag/x":"1"}}`}, Allowed},
		{"absent key, negated", []string{`"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringNotEquals":{"aws:PrincipalTag/x":"1"}}`}, Allowed},
		{"Null", []string{`"Effect":"Allow","Action":"*","Resource":"*","Condition":{"Null":{"aws:PrincipalTag/x":"true"}}`}, Allowed},
		{"unknown key: allow does not apply", []string{`"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringNotEquals":{"sqs:Mystery":"1"}}`}, NoMatch},
		{"unknown key: deny applies", []string{`"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringEquals":{"sqs:Mystery":"1"}}`}, Denied},
		{"variable", []string{`"Effect":"Allow","Action":"*","Resource":"arn:aws:sqs:*:*:${aws:username}"`}, NoMatch},
		{"variable without value: allow", []string{`"Effect":"Allow","Action":"*","Resource":"*${aws:PrincipalTag/x}"`}, NoMatch},
		{"variable without value: deny", []string{`"Effect":"Deny","Action":"*","Resource":"arn:aws:s3:::${aws:PrincipalTag/x}"`}, NoMatch},
		{"variable of an unknown key: deny", []string{`"Effect":"Deny","Action":"*","Resource":"arn:aws:s3:::${sqs:Mystery}"`}, Denied},
		{"incomplete ARN", []string{`"Effect":"Allow","Action":"*","Resource":"arn:aws:sqs"`}, Allowed},
	} {
		var docs []*Document
		for _, d := range c.docs {
			doc, err := Parse(statement(d), Identity)
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			docs = append(docs, doc)
		}
		if got := Evaluate(docs, Request{Action: "sqs:SendMessage", Resource: queue, Context: known}); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

func TestUnknownResourceFailsClosed(t *testing.T) {
	for body, want := range map[string]Decision{
		`"Effect":"Allow","Action":"*","Resource":"*"`:                 Allowed,
		`"Effect":"Allow","Action":"*","Resource":"arn:aws:sqs:*:*:*"`: NoMatch,
		`"Effect":"Allow","Action":"*","NotResource":"arn:aws:s3:::b"`: NoMatch,
		`"Effect":"Deny","Action":"*","Resource":"arn:aws:s3:::b"`:     Denied,
	} {
		doc, err := Parse(statement(body), Identity)
		if err != nil {
			t.Fatal(err)
		}
		if got := Evaluate([]*Document{doc}, Request{Action: "sqs:SendMessage", Resource: Unknown}); got != want {
			t.Errorf("%s: %d, want %d", body, got, want)
		}
	}
}

func TestMalformedDocuments(t *testing.T) {
	for _, c := range []struct {
		name string
		kind Kind
		text string
		want string
	}{
		{"not JSON", Identity, `{`, "Syntax errors in policy."},
		{"not JSON", Trust, `{`, "This policy contains invalid Json"},
		{"two values", Identity, statement(`"Effect":"Allow","Action":"*","Resource":"*"`) + `{}`, "Syntax errors in policy."},
		{"empty", Resource, ``, "This policy contains invalid Json"},
		{"no statement", Identity, `{"Version":"2012-10-17"}`, "Syntax errors in policy."},
		{"no statements", Identity, `{"Statement":[]}`, "Syntax errors in policy."},
		{"other version", Identity, `{"Version":"2020-01-01","Statement":[]}`, "Syntax errors in policy."},
		{"unknown element", Identity, statement(`"Effect":"Allow","Action":"*","Resource":"*","Resources":"*"`), "Syntax errors in policy."},
		{"a number for an action", Identity, statement(`"Effect":"Allow","Action":1,"Resource":"*"`), "Syntax errors in policy."},
		{"no effect", Identity, statement(`"Action":"*","Resource":"*"`), "Syntax errors in policy."},
		{"other effect", Identity, statement(`"Effect":"allow","Action":"*","Resource":"*"`), "The policy failed legacy parsing"},
		{"no action", Identity, statement(`"Effect":"Allow","Resource":"*"`), "Policy statement must contain actions."},
		{"no resource", Identity, statement(`"Effect":"Allow","Action":"s3:*"`), "Policy statement must contain resources."},
		{"no vendor", Identity, statement(`"Effect":"Allow","Action":"GetObject","Resource":"*"`), "Actions/Conditions must be prefaced by a vendor"},
		{"resource without ARN", Identity, statement(`"Effect":"Allow","Action":"s3:*","Resource":"bucket"`), `Resource bucket must be in ARN format or "*".`},
		{"principal in identity policy", Identity, statement(`"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*"`), "Policy document should not specify a principal."},
		{"trust without principal", Trust, statement(`"Effect":"Allow","Action":"sts:AssumeRole"`), "Missing required field Principal"},
		{"trust with resource", Trust, statement(`"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole","Resource":"*"`), "Has prohibited field Resource"},
		{"trust of another action", Trust, statement(`"Effect":"Allow","Principal":"*","Action":"s3:GetObject"`), "AssumeRole policy may only specify STS AssumeRole actions."},
		{"bad principal", Trust, statement(`"Effect":"Allow","Principal":{"AWS":"nobody"},"Action":"sts:AssumeRole"`), `Invalid principal in policy: "AWS":"nobody"`},
		{"bad operator", Identity, statement(`"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringIs":{"a":"b"}}`), "Syntax errors in policy."},
		{"twice the same Sid", Identity, `{"Statement":[{"Sid":"a","Effect":"Allow","Action":"*","Resource":"*"},{"Sid":"a","Effect":"Deny","Action":"*","Resource":"*"}]}`, "must be unique"},
	} {
		_, err := Parse(c.text, c.kind)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func TestTrust(t *testing.T) {
	ann := Caller{Account: "123456789012", ARN: "arn:aws:iam::123456789012:user/ann", UniqueID: "AIDAANN"}
	session := Caller{Account: "123456789012", ARN: "arn:aws:sts::123456789012:assumed-role/deploy/s", RoleName: "deploy", UniqueID: "AROADEPLOY"}
	ec2 := Caller{Account: "123456789012", Service: "ec2.amazonaws.com"}
	web := Caller{Provider: "arn:aws:iam::123456789012:oidc-provider/issuer.example"}
	const refused Named = -1
	for _, c := range []struct {
		name string
		body string
		who  Caller
		want Named
	}{
		{"service", `"Effect":"Allow","Principal":{"Service":["ec2.amazonaws.com"]},"Action":"sts:AssumeRole"`, ec2, ByName},
		{"other service", `"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"`, ec2, NotNamed},
		{"user is no service", `"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"`, ann, NotNamed},
		{"service is nobody", `"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"`, ec2, NotNamed},
		{"provider", `"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::123456789012:oidc-provider/issuer.example"},"Action":"sts:AssumeRole"`, web, ByName},
		{"other provider", `"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::123456789012:oidc-provider/other.example"},"Action":"sts:AssumeRole"`, web, NotNamed},
		{"a provider's caller is nobody", `"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"`, web, NotNamed},
		{"everybody", `"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"`, ann, ByName},
		{"account id", `"Effect":"Allow","Principal":{"AWS":"123456789012"},"Action":"sts:AssumeRole"`, ann, ByAccount},
		{"account root", `"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:root"},"Action":"sts:AssumeRole"`, ann, ByAccount},
		{"other account", `"Effect":"Allow","Principal":{"AWS":"999999999999"},"Action":"sts:AssumeRole"`, ann, NotNamed},
		{"user", `"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:user/ann"},"Action":"sts:*"`, ann, ByName},
		{"user by id", `"Effect":"Allow","Principal":{"AWS":"AIDAANN"},"Action":"sts:*"`, ann, ByName},
		{"session", `"Effect":"Allow","Principal":{"AWS":"arn:aws:sts::123456789012:assumed-role/deploy/s"},"Action":"sts:AssumeRole"`, session, ByName},
		{"other session", `"Effect":"Allow","Principal":{"AWS":"arn:aws:sts::123456789012:assumed-role/deploy/t"},"Action":"sts:AssumeRole"`, session, NotNamed},
		{"role with a path", `"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:role/a/b/deploy"},"Action":"sts:AssumeRole"`, session, ByRole},
		{"role by id", `"Effect":"Allow","Principal":{"AWS":"AROADEPLOY"},"Action":"sts:AssumeRole"`, session, ByRole},
		{"the most direct counts", `"Effect":"Allow","Principal":{"AWS":["123456789012","arn:aws:iam::123456789012:role/deploy"]},"Action":"sts:AssumeRole"`, session, ByRole},
		{"other role", `"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:role/deploys"},"Action":"sts:AssumeRole"`, session, NotNamed},
		{"role of another account", `"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::999999999999:role/deploy"},"Action":"sts:AssumeRole"`, session, NotNamed},
		{"deny", `"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"},{"Effect":"Deny","Principal":{"AWS":"123456789012"},"Action":"sts:AssumeRole"`, ann, refused},
		{"not principal", `"Effect":"Deny","NotPrincipal":{"AWS":"arn:aws:iam::123456789012:user/bob"},"Action":"sts:AssumeRole"`, ann, refused},
		{"excepted", `"Effect":"Deny","NotPrincipal":{"AWS":"arn:aws:iam::123456789012:user/ann"},"Action":"sts:AssumeRole"`, ann, NotNamed},
		{"other action", `"Effect":"Allow","Principal":"*","Action":"sts:TagSession"`, ann, NotNamed},
		{"external id", `"Effect":"Allow","Principal":{"AWS":"123456789012"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"42"}}`, ann, ByAccount},
		{"other external id", `"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"43"}}`, ann, NotNamed},
	} {
		doc, err := Parse(statement(c.body), Trust)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		r := Request{Action: "sts:AssumeRole", Context: Context{"sts:externalid": {"42"}}}
		r.fold()
		decision, how := doc.decide(&c.who, &r)
		if decision == Denied {
			how = refused
		}
		if how != c.want {
			t.Errorf("%s: %d, want %d", c.name, how, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(statement(`"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole","Resource":"a${x}","Condition":{"StringLike":{"a":["b",1,true]}}`))
	f.Fuzz(func(t *testing.T, text string) {
		for _, kind := range []Kind{Identity, Trust, Resource} {
			doc, err := Parse(text, kind)
			if err != nil {
				continue
			}
			if len(doc.Statements) == 0 {
				t.Fatal("a policy without statements was accepted")
			}
			Evaluate([]*Document{doc}, Request{Action: "s3:GetObject", Resource: "arn:aws:s3:::b/k"})
			doc.Decide(Caller{Account: "123456789012"}, Request{Action: "sts:AssumeRole"})
		}
	})
}

func FuzzMatch(f *testing.F) {
	f.Add("a*b?c", "axxbyc")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if !strings.ContainsAny(pattern, "*?") && Match(pattern, text) != (pattern == text) {
			t.Fatal("a literal pattern must match itself alone")
		}
		if !Match("*"+pattern+"*", text) && Match(pattern, text) {
			t.Fatal("a wider pattern matches less")
		}
	})
}

// TestDecide reads a queue's policy as a queue does.
func TestDecide(t *testing.T) {
	const ann, other = "arn:aws:iam::123456789012:user/ann", "999999999999"
	doc, err := Parse(`{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Principal":{"AWS":"`+other+`"},"Action":"sqs:*","Resource":"`+queue+`"},
		{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"*"},
		{"Effect":"Deny","NotPrincipal":{"AWS":["`+ann+`","`+other+`"]},"Action":"sqs:DeleteQueue","Resource":"*"},
		{"Effect":"Deny","Principal":"*","Action":"sqs:*","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}}]}`, Resource)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name         string
		who          Caller
		action, from string
		want         Decision
	}{
		{"own user", Caller{Account: "123456789012", ARN: ann}, "sqs:SendMessage", "192.0.2.1", NoMatch},
		{"other account", Caller{Account: other, ARN: "arn:aws:iam::999999999999:user/eve"}, "sqs:SendMessage", "192.0.2.1", Allowed},
		{"other account, other place", Caller{Account: other, ARN: "arn:aws:iam::999999999999:user/eve"}, "sqs:SendMessage", "10.1.1.1", Denied},
		{"third account", Caller{Account: "888888888888", ARN: "arn:aws:iam::888888888888:root"}, "sqs:SendMessage", "192.0.2.1", NoMatch},
		{"a service", Caller{Account: "123456789012", Service: "sns.amazonaws.com"}, "sqs:SendMessage", "192.0.2.1", Allowed},
		{"the excepted user", Caller{Account: "123456789012", ARN: ann}, "sqs:DeleteQueue", "192.0.2.1", NoMatch},
		{"not excepted", Caller{Account: "123456789012", ARN: "arn:aws:iam::123456789012:user/bob"}, "sqs:DeleteQueue", "192.0.2.1", Denied},
	} {
		got := doc.Decide(c.who, Request{Action: c.action, Resource: queue, Context: Context{"aws:sourceip": {c.from}}})
		if got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
