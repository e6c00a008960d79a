package policy

import (
	"fmt"
	"testing"
	"time"
)

// limit is how long a decision by ten policies may take.
const limit = 5 * time.Microsecond

const rounds = 50

// BenchmarkDecide decides by ten policies of eight statements with conditions and
// variables, of which the last allows the request, with a boundary, a session
// policy and a queue's policy. It fails where a decision takes longer than the
// limit, and tells how many decisions fit into the limit's time.
func BenchmarkDecide(b *testing.B) {
	q := Inquiry{
		Request: Request{Action: "sqs:SendMessage", Resource: queue, Context: Context{
			"aws:username": {"ann"}, "aws:sourceip": {"10.1.2.3"}, "aws:currenttime": {"2026-11-22T12:00:00Z"},
			"aws:principaltag/team": {"orders"}, "aws:requestedregion": {"us-east-1"}, "aws:securetransport": {"true"},
		}},
		Caller:   Caller{Account: home, ARN: "arn:aws:sts::" + home + ":assumed-role/r/s", RoleName: "r"},
		Boundary: parsed(b, Identity, `{"Effect":"Allow","NotAction":"iam:*","Resource":"*"}`),
		Session:  []*Document{parsed(b, Identity, `{"Effect":"Allow","Action":["sqs:*","s3:*"],"Resource":"*"}`)},
		Attached: parsed(b, Resource, `{"Effect":"Deny","Principal":"*","Action":"sqs:*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}`),
	}
	for i := range 10 {
		var text string
		for j := range 8 {
			if j > 0 {
				text += ","
			}
			text += fmt.Sprintf(`{"Sid":"S%d","Effect":"Allow","Action":["s3:Get%d*","s3:List*","ec2:Describe*","sqs:Receive%d"],"Resource":["arn:aws:s3:::bucket-%d/*","arn:aws:sqs:*:*:other-%d"],
				"Condition":{"StringLike":{"aws:username":["b*","c*"]},"IpAddress":{"aws:SourceIp":["192.0.2.0/24"]}}}`, j, j, j, i, j)
		}
		text += `,{"Effect":"Deny","Action":"sqs:*","Resource":"*","Condition":{"StringNotEquals":{"aws:RequestedRegion":["us-east-1","eu-west-1"]}}}`
		if i == 9 {
			text += `,{"Effect":"Allow","Action":"sqs:Send*","Resource":"arn:aws:sqs:*:*:${aws:PrincipalTag/team}","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"},"DateGreaterThan":{"aws:CurrentTime":"2026-01-01T00:00:00Z"}}}`
		}
		q.Identity = append(q.Identity, parsed(b, Identity, text))
	}
	b.ReportAllocs()
	best := time.Duration(1 << 62) // of many short rounds: other work on the machine is not to count
	for b.Loop() {
		begin := time.Now()
		for range rounds {
			if q.Decide().Decision != Allowed {
				b.Fatal("not allowed")
			}
		}
		best = min(best, time.Since(begin)/rounds)
	}
	b.ReportMetric(float64(best), "ns/decision")
	b.ReportMetric(float64(limit)/float64(best), "ratio-to-5us")
	if best > limit {
		b.Errorf("a decision by ten policies takes %v, more than %v", best, limit)
	}
}
