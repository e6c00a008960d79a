package policy

import (
	"slices"
	"strings"
	"testing"
)

const (
	home  = "123456789012"
	other = "999999999999"
)

func parsed(t testing.TB, kind Kind, statements string) *Document {
	t.Helper()
	if statements == "" {
		return nil
	}
	d, err := Parse(`{"Version":"2012-10-17","Statement":[`+statements+`]}`, kind)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestInquiries follows the tables of "Policy evaluation logic": which policies
// must allow, in one account and across two.
func TestInquiries(t *testing.T) {
	allow, none := `{"Effect":"Allow","Action":"sqs:*","Resource":"*"}`, `{"Effect":"Allow","Action":"s3:*","Resource":"*"}`
	deny := `{"Effect":"Deny","Action":"sqs:*","Resource":"*"}`
	names := func(effect, principal string) string {
		return `{"Effect":"` + effect + `","Principal":` + principal + `,"Action":"sqs:*","Resource":"*"}`
	}
	ann := Caller{Account: home, ARN: "arn:aws:iam::" + home + ":user/ann"}
	session := Caller{Account: home, ARN: "arn:aws:sts::" + home + ":assumed-role/r/s", RoleName: "r"}
	federated := Caller{Account: home, ARN: "arn:aws:sts::" + home + ":federated-user/eve", UserARN: ann.ARN}
	user, role := `{"AWS":"`+ann.ARN+`"}`, `{"AWS":"arn:aws:iam::`+home+`:role/r"}`
	theSession, account, everybody := `{"AWS":"`+session.ARN+`"}`, `{"AWS":"`+home+`"}`, `"*"`
	for _, c := range []struct {
		name                                  string
		who                                   Caller
		identity, boundary, session, attached string
		owner                                 string
		delegates, unbound                    bool
		want                                  Decision
		by                                    Source
	}{
		{name: "nothing", who: ann, want: NoMatch, by: ByIdentity},
		{name: "identity", who: ann, identity: allow, want: Allowed, by: ByIdentity},
		{name: "boundary lacks it", who: ann, identity: allow, boundary: none, want: NoMatch, by: ByBoundary},
		{name: "boundary alone", who: ann, boundary: allow, want: NoMatch, by: ByIdentity},
		{name: "both", who: ann, identity: allow, boundary: allow, want: Allowed, by: ByIdentity},
		{name: "session lacks it", who: session, identity: allow, session: none, want: NoMatch, by: BySession},
		{name: "session denies", who: session, identity: allow, session: deny, want: Denied, by: BySession},
		{name: "boundary denies", who: session, identity: allow, boundary: deny, want: Denied, by: ByBoundary},
		{name: "identity denies what the resource allows", who: ann, identity: deny, attached: names("Allow", user), want: Denied, by: ByIdentity},
		{name: "resource denies", who: ann, identity: allow, attached: names("Deny", everybody), want: Denied, by: ByResource},
		{name: "user named", who: ann, attached: names("Allow", user), want: Allowed, by: ByResource},
		{name: "user named, past the boundary", who: ann, boundary: none, attached: names("Allow", user), want: Allowed, by: ByResource},
		{name: "everybody", who: ann, boundary: none, attached: names("Allow", everybody), want: Allowed, by: ByResource},
		{name: "account named", who: ann, attached: names("Allow", account), want: NoMatch, by: ByIdentity},
		{name: "account named, identity allows", who: ann, identity: allow, attached: names("Allow", account), want: Allowed, by: ByIdentity},
		{name: "role named", who: session, attached: names("Allow", role), want: Allowed, by: ByResource},
		{name: "role named, boundary lacks it", who: session, boundary: none, attached: names("Allow", role), want: NoMatch, by: ByBoundary},
		{name: "role named, session lacks it", who: session, session: none, attached: names("Allow", role), want: NoMatch, by: BySession},
		{name: "session named, past both", who: session, boundary: none, session: none, attached: names("Allow", theSession), want: Allowed, by: ByResource},
		{name: "federated user's user named", who: federated, session: none, attached: names("Allow", user), want: NoMatch, by: BySession},
		{name: "federated user's user named, session allows", who: federated, session: allow, attached: names("Allow", user), want: Allowed, by: ByResource},
		{name: "across, both", who: ann, identity: allow, attached: names("Allow", user), owner: other, want: Allowed, by: ByIdentity},
		{name: "across, by account", who: ann, identity: allow, attached: names("Allow", account), owner: other, want: Allowed, by: ByIdentity},
		{name: "across, resource alone", who: ann, attached: names("Allow", user), owner: other, want: NoMatch, by: ByIdentity},
		{name: "across, identity alone", who: ann, identity: allow, attached: names("Allow", role), owner: other, want: NoMatch, by: ByResource},
		{name: "across, no policy", who: ann, identity: allow, owner: other, want: NoMatch, by: ByResource},
		{name: "across, boundary lacks it", who: ann, identity: allow, boundary: none, attached: names("Allow", user), owner: other, want: NoMatch, by: ByBoundary},
		{name: "across, the session named does not help", who: session, identity: allow, session: none, attached: names("Allow", theSession), owner: other, want: NoMatch, by: BySession},
		{name: "key policy leaves it to the account", who: ann, identity: allow, attached: names("Allow", account), delegates: true, want: Allowed, by: ByIdentity},
		{name: "key policy names another", who: ann, identity: allow, attached: names("Allow", role), delegates: true, want: NoMatch, by: ByResource},
		{name: "key policy names the user", who: ann, attached: names("Allow", user), delegates: true, want: Allowed, by: ByResource},
		{name: "root", who: Caller{Account: home, ARN: "arn:aws:iam::" + home + ":root"}, unbound: true, want: Allowed, by: ByIdentity},
		{name: "root, denied", who: Caller{Account: home, ARN: "arn:aws:iam::" + home + ":root"}, unbound: true, attached: names("Deny", everybody), want: Denied, by: ByResource},
		{name: "root of another account", who: Caller{Account: home}, unbound: true, owner: other, want: NoMatch, by: ByResource},
		{name: "anybody", attached: names("Allow", everybody), owner: home, want: Allowed, by: ByResource},
		{name: "anybody, of an account", attached: names("Allow", account), owner: home, want: NoMatch, by: ByIdentity},
		{name: "resource denies the user", who: ann, identity: allow, attached: names("Deny", user), want: Denied, by: ByResource},
		{name: "resource denies another", who: ann, identity: allow, attached: names("Deny", role), want: Allowed, by: ByIdentity},
	} {
		q := Inquiry{
			Request: Request{Action: "sqs:SendMessage", Resource: queue, Context: Given{}}, Caller: c.who, Owner: c.owner,
			Delegates: c.delegates, Unbound: c.unbound, Boundary: parsed(t, Identity, c.boundary), Attached: parsed(t, Resource, c.attached),
		}
		if c.identity != "" {
			q.Identity = []*Document{parsed(t, Identity, c.identity)}
		}
		if c.session != "" {
			q.Session = []*Document{parsed(t, Identity, c.session)}
		}
		got := q.Decide()
		if got.Decision != c.want || got.By != c.by {
			t.Errorf("%s: %+v, want %d by %d", c.name, got, c.want, c.by)
		}
		if e := q.Explain(); e.Verdict != got {
			t.Errorf("%s: explained as %+v, decided as %+v", c.name, e.Verdict, got)
		}
	}
}

func TestExplain(t *testing.T) {
	const text = `{
  "Version": "2012-10-17",
  "Statement": [
    {"Sid": "Send", "Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "*"},
    {"Effect": "Deny", "Action": "sqs:*", "Resource": "arn:aws:sqs:*:*:${aws:PrincipalTag/Team}",
     "Condition": {"StringEquals": {"aws:SourceVpc": "vpc-1"}}}
  ]
}`
	doc, err := Parse(text, Identity)
	if err != nil {
		t.Fatal(err)
	}
	if got := doc.Keys(); !slices.Equal(got, []string{"aws:PrincipalTag/Team", "aws:SourceVpc"}) {
		t.Errorf("keys %q", got)
	}
	q := Inquiry{Request: Request{Action: "sqs:SendMessage", Resource: queue, Context: Given{"aws:principaltag/team": {"orders"}}}, Identity: []*Document{doc}}
	e := q.Explain()
	if e.Decision != Allowed || len(e.Matched) != 1 || !slices.Equal(e.Missing, []string{"aws:SourceVpc"}) || e.Boundary != nil || *e.Identity != Allowed {
		t.Errorf("%+v", e)
	}
	m := e.Matched[0]
	if m.Statement.Sid != "Send" || m.Document != doc || m.Source != ByIdentity || m.Statement.Start != (Position{4, 5}) || m.Statement.End != (Position{4, 85}) {
		t.Errorf("%+v, from %v to %v", m, m.Statement.Start, m.Statement.End)
	}
	q.Context = Given{"aws:principaltag/team": {"orders"}, "aws:sourcevpc": {"vpc-1"}}
	if e := q.Explain(); e.Decision != Denied || e.By != ByIdentity || len(e.Matched) != 1 || !e.Matched[0].Statement.Deny || e.Missing != nil {
		t.Errorf("%+v", e)
	}
	if start := doc.Statements[1].Start; start.Line != 5 || !strings.HasPrefix(strings.Split(text, "\n")[start.Line-1][start.Column-1:], "{") {
		t.Errorf("second statement begins at %v", start)
	}
}
