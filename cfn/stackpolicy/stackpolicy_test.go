package stackpolicy

import (
	"strings"
	"testing"

	"github.com/slipway/slipway/fault"
)

const allowAll = `{"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*"}`

func policy(t *testing.T, statements ...string) *Policy {
	t.Helper()
	p, err := Parse(`{"Statement": [` + strings.Join(statements, ",") + `]}`)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestDenial(t *testing.T) {
	const queue, role = "AWS::SQS::Queue", "AWS::IAM::Role"
	for _, c := range []struct {
		name             string
		statements       []string
		action, id, kind string
		denied           string
	}{
		{"everything", []string{allowAll}, Replace, "A", queue, ""},
		{"nothing said", []string{`{"Effect": "Allow", "Action": "Update:Modify", "Principal": "*", "Resource": "*"}`}, Replace, "A", queue, "no statement allows [Update:Replace]"},
		{"one resource", []string{allowAll, `{"Effect": "Deny", "Action": ["Update:Replace", "Update:Delete"], "Principal": "*", "Resource": "LogicalResourceId/A"}`}, Delete, "A", queue,
			"Action denied by stack policy: Statement [#2] does not allow [Update:Delete] for resource [LogicalResourceId/A]"},
		{"another resource", []string{allowAll, `{"Effect": "Deny", "Action": "Update:*", "Principal": "*", "Resource": "LogicalResourceId/A"}`}, Modify, "AB", queue, ""},
		{"a pattern", []string{allowAll, `{"Effect": "Deny", "Action": "Update:*", "Principal": "*", "Resource": "LogicalResourceId/Prod*"}`}, Modify, "ProdDB", queue, "denied"},
		{"a type", []string{allowAll, `{"Effect": "Deny", "Action": "Update:*", "Principal": "*", "Resource": "*", "Condition": {"StringEquals": {"ResourceType": ["AWS::SQS::Queue"]}}}`}, Modify, "A", queue, "denied"},
		{"another type", []string{allowAll, `{"Effect": "Deny", "Action": "Update:*", "Principal": "*", "Resource": "*", "Condition": {"StringLike": {"ResourceType": "AWS::SQS::*"}}}`}, Modify, "A", role, ""},
		{"not this action", []string{allowAll, `{"Effect": "Deny", "NotAction": "Update:Modify", "Principal": "*", "Resource": "*"}`}, Modify, "A", queue, ""},
		{"not this resource", []string{allowAll, `{"Effect": "Deny", "Action": "Update:*", "Principal": "*", "NotResource": "LogicalResourceId/A"}`}, Modify, "B", queue, "denied"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := policy(t, c.statements...).Denial(c.action, c.id, c.kind)
			if (got == "") != (c.denied == "") || !strings.Contains(got, c.denied) {
				t.Errorf("denied %q, want %q", got, c.denied)
			}
		})
	}
	if got := (*Policy)(nil).Denial(Modify, "A", queue); got != "" {
		t.Errorf("without a policy: %q", got)
	}
}

func TestBrokenPolicies(t *testing.T) {
	for text, want := range map[string]string{
		``:   "not valid JSON",
		`[]`: "not valid JSON",
		`{"Statement": [{"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*", "Other": 1}]}`:                                  "Other",
		`{"Statement": {"Effect": "Maybe", "Action": "Update:*", "Principal": "*", "Resource": "*"}}`:                                                "Effect",
		`{"Statement": {"Effect": "Allow", "Action": "Update:*", "Principal": {"AWS": "*"}, "Resource": "*"}}`:                                       "Principal",
		`{"Statement": {"Effect": "Allow", "Action": "s3:Get*", "Principal": "*", "Resource": "*"}}`:                                                 "s3:Get*",
		`{"Statement": {"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "arn:x"}}`:                                            "arn:x",
		`{"Statement": {"Effect": "Allow", "Action": "Update:*", "NotAction": "Update:*", "Principal": "*", "Resource": "*"}}`:                       "either Action or NotAction",
		`{"Statement": {"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*", "Condition": {"StringEquals": {"aws:x": "y"}}}}`: "aws:x",
		`{"Statement": {"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*", "Condition": {"Bool": {"ResourceType": "y"}}}}`:  "Bool",
		`{"Statement": [` + allowAll + strings.Repeat(","+allowAll, 300) + `]}`:                                                                      "16384",
	} {
		if _, err := Parse(text); !fault.Is(err, fault.ValidationError) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.120s: %v, want …%s…", text, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`{"Statement": [` + allowAll + `]}`)
	f.Fuzz(func(t *testing.T, text string) {
		p, err := Parse(text)
		if err == nil {
			_ = p.Denial(Modify, "A", "AWS::SQS::Queue")
		}
	})
}
