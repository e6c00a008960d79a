package platform

import (
	"sync"
	"time"

	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
)

// Quota bounds what one account may ask of the API, so that one does not starve
// the others. The zero value bounds nothing.
type Quota struct {
	// Rate is the requests per second that an account may make on average. It
	// may save them up for two seconds and spend them at once.
	Rate float64
	// Concurrent is how many of an account's requests may be under way at once.
	Concurrent int
}

// burstSeconds is how long an account may save requests up.
const burstSeconds = 2

// maxAccounts bounds the memory for accounts that a caller in open mode makes up.
const maxAccounts = 10_000

// quotas count the requests of each account.
type quotas struct {
	quota Quota
	now   func() time.Time

	mu       sync.Mutex
	accounts map[string]*spending
}

type spending struct {
	saved float64 // requests that may be made at once
	at    time.Time
	busy  int
}

func newQuotas(q Quota, now func() time.Time) *quotas {
	return &quotas{quota: q, now: now, accounts: map[string]*spending{}}
}

// admit lets a call in, or refuses it as its service does. release ends it.
func (q *quotas) admit(call *auth.Call) (release func(), err error) {
	if q.quota == (Quota{}) {
		return nil, nil
	}
	now := q.now()
	q.mu.Lock()
	defer q.mu.Unlock()
	s := q.accounts[call.Scope.Account]
	if s == nil {
		if len(q.accounts) >= maxAccounts {
			q.forget(now)
		}
		s = &spending{saved: q.quota.Rate * burstSeconds, at: now}
		q.accounts[call.Scope.Account] = s
	}
	if q.quota.Concurrent > 0 && s.busy >= q.quota.Concurrent {
		return nil, throttled(call.Service)
	}
	if q.quota.Rate > 0 {
		s.saved = min(s.saved+now.Sub(s.at).Seconds()*q.quota.Rate, max(1, q.quota.Rate*burstSeconds))
		s.at = now
		if s.saved < 1 {
			return nil, throttled(call.Service)
		}
		s.saved--
	}
	s.busy++
	return func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		s.busy--
	}, nil
}

// forget drops the accounts that have nothing under way and nothing spent.
func (q *quotas) forget(now time.Time) {
	for account, s := range q.accounts {
		if s.busy == 0 && now.Sub(s.at) > burstSeconds*time.Second {
			delete(q.accounts, account)
		}
	}
}

// throttled is how each service says that an account asks too much ("Common
// errors" of its API reference).
func throttled(service string) *fault.Error {
	switch service {
	case "ec2":
		return fault.New(fault.RequestLimitExceeded, "Request limit exceeded.")
	case "s3":
		return fault.New(fault.SlowDown, "Please reduce your request rate.")
	case "sqs":
		return fault.New(fault.RequestThrottled, "Rate exceeded")
	case "iam", "sts", "cloudformation":
		return fault.New(fault.Throttling, "Rate exceeded")
	}
	return fault.New(fault.ThrottlingException, "Rate exceeded")
}
