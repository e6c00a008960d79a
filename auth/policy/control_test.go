package policy

import "testing"

// TestControl looks at service control policies beside all others: every level must
// allow, whoever else does.
func TestControl(t *testing.T) {
	allow, none := `{"Effect":"Allow","Action":"sqs:*","Resource":"*"}`, `{"Effect":"Allow","Action":"s3:*","Resource":"*"}`
	deny := `{"Effect":"Deny","Action":"sqs:*","Resource":"*"}`
	ann := Caller{Account: home, ARN: "arn:aws:iam::" + home + ":user/ann"}
	named := `{"Effect":"Allow","Principal":{"AWS":"` + ann.ARN + `"},"Action":"sqs:*","Resource":"*"}`
	for _, c := range []struct {
		name     string
		control  [][]string
		identity string
		attached string
		unbound  bool
		want     Decision
		by       Source
	}{
		{name: "none", identity: allow, want: Allowed, by: ByIdentity},
		{name: "every level", control: [][]string{{allow}, {none, allow}}, identity: allow, want: Allowed, by: ByIdentity},
		{name: "every level, and nobody else", control: [][]string{{allow}}, want: NoMatch, by: ByIdentity},
		{name: "one level lacks it", control: [][]string{{allow}, {none}, {allow}}, identity: allow, want: NoMatch, by: ByControl},
		{name: "an empty level", control: [][]string{{allow}, {}}, identity: allow, want: NoMatch, by: ByControl},
		{name: "one level denies", control: [][]string{{none}, {allow, deny}}, identity: allow, want: Denied, by: ByControl},
		{name: "what the resource allows", control: [][]string{{none}}, attached: named, want: NoMatch, by: ByControl},
		{name: "the root user", control: [][]string{{deny}}, unbound: true, want: Denied, by: ByControl},
		{name: "an identity's Deny, at a level that lacks it", control: [][]string{{none}}, identity: deny, want: Denied, by: ByIdentity},
	} {
		q := Inquiry{
			Request: Request{Action: "sqs:SendMessage", Resource: "arn:aws:sqs:us-east-1:" + home + ":q", Context: Context{}},
			Caller:  ann, Owner: home, Unbound: c.unbound, Attached: parsed(t, Resource, c.attached),
		}
		if c.identity != "" {
			q.Identity = []*Document{parsed(t, Identity, c.identity)}
		}
		for _, level := range c.control {
			docs := []*Document{}
			for _, text := range level {
				docs = append(docs, parsed(t, Identity, text))
			}
			q.Control = append(q.Control, docs)
		}
		want := Verdict{c.want, c.by}
		if got := q.Decide(); got != want {
			t.Errorf("%s: %+v, want %+v", c.name, got, want)
		}
		if e := q.Explain(); e.Verdict != want || c.by == ByControl && c.want == Denied && len(e.Matched) == 0 {
			t.Errorf("%s: explained as %+v", c.name, e)
		}
	}
}
