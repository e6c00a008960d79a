package platform

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
)

func TestQuotasBoundEachAccount(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	q := newQuotas(Quota{Rate: 1, Concurrent: 2}, func() time.Time { return now })
	ask := func(account, service string) (func(), error) {
		return q.admit(&auth.Call{Service: service, Scope: arn.Scope{Account: account}})
	}
	end, err := ask("111111111111", "sts")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ask("111111111111", "sts"); err != nil {
		t.Fatal(err)
	}
	end()
	for service, code := range map[string]string{
		"ec2": fault.RequestLimitExceeded, "s3": fault.SlowDown, "sqs": fault.RequestThrottled,
		"iam": fault.Throttling, "ssm": fault.ThrottlingException,
	} {
		if _, err := ask("111111111111", service); !fault.Is(err, code) {
			t.Errorf("%s: %v, want %s", service, err, code)
		}
	}
	if _, err := ask("222222222222", "sts"); err != nil {
		t.Errorf("another account: %v", err)
	}
	now = now.Add(time.Second)
	if _, err := ask("111111111111", "sts"); err != nil {
		t.Errorf("a second later: %v", err)
	}
	now = now.Add(time.Minute)
	if _, err := ask("111111111111", "sts"); !fault.Is(err, fault.Throttling) {
		t.Errorf("with two under way: %v", err)
	}
}

func TestAccountsOverTheirQuotaAreTold(t *testing.T) {
	p := start(t, func(c *Config) { c.Quota.Rate = 1 })
	seen := map[int]bool{}
	for range 10 {
		status, body := get(t, p.Endpoint()+"/?Action=GetCallerIdentity&Version=2011-06-15")
		if seen[status] = true; status == http.StatusBadRequest && !strings.Contains(body, "<Code>Throttling</Code>") {
			t.Errorf("refused with %s", body)
		}
	}
	if !seen[http.StatusOK] || !seen[http.StatusBadRequest] {
		t.Errorf("statuses %v, want 200 and 400", seen)
	}
}
