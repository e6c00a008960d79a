package sns

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"mime"
	"slices"
	"strings"
	"time"
)

// Delivery policies say how often and after what waits a delivery by HTTP is tried
// again ("Amazon SNS message delivery retries", Developer Guide). Delays are in seconds.

// retryPolicy is what a policy names; what it does not has a default.
type retryPolicy struct {
	Min         *int   `json:"minDelayTarget,omitempty"`
	Max         *int   `json:"maxDelayTarget,omitempty"`
	Retries     *int   `json:"numRetries,omitempty"`
	MaxRetries  *int   `json:"numMaxDelayRetries,omitempty"`
	NoDelay     *int   `json:"numNoDelayRetries,omitempty"`
	MinRetries  *int   `json:"numMinDelayRetries,omitempty"`
	BackoffName string `json:"backoffFunction,omitempty"`
}

type throttlePolicy struct {
	PerSecond *int `json:"maxReceivesPerSecond,omitempty"`
}

type requestPolicy struct {
	ContentType string `json:"headerContentType,omitempty"`
}

// topicDelivery is a topic's DeliveryPolicy, under "http".
type topicDelivery struct {
	Healthy         *retryPolicy    `json:"defaultHealthyRetryPolicy,omitempty"`
	Sickly          *retryPolicy    `json:"defaultSicklyRetryPolicy,omitempty"`
	DisableOverride bool            `json:"disableSubscriptionOverrides"`
	Throttle        *throttlePolicy `json:"defaultThrottlePolicy,omitempty"`
	Request         *requestPolicy  `json:"defaultRequestPolicy,omitempty"`
}

// subscriptionDelivery is a subscription's DeliveryPolicy.
type subscriptionDelivery struct {
	Healthy    *retryPolicy    `json:"healthyRetryPolicy"`
	Sickly     *retryPolicy    `json:"sicklyRetryPolicy"`
	Throttle   *throttlePolicy `json:"throttlePolicy"`
	Request    *requestPolicy  `json:"requestPolicy"`
	Guaranteed bool            `json:"guaranteed"`
}

const defaultContentType = "text/plain; charset=UTF-8"

// Bounds of a policy.
const (
	maxDelay       = 3600
	maxHTTPRetries = 100
)

var contentTypes = []string{
	"application/atom+xml", "application/json", "application/octet-stream", "application/soap+xml", "application/x-www-form-urlencoded",
	"application/xhtml+xml", "application/xml", "text/css", "text/csv", "text/html", "text/plain", "text/xml",
}

var backoffs = []string{"arithmetic", "exponential", "geometric", "linear"}

// read parses a policy; what it does not know is refused.
func read(text string, into any) error {
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil || !json.Valid([]byte(text)) { // one value, and nothing behind it
		return errors.New("failed to parse JSON")
	}
	return nil
}

// parseTopicDelivery reads a topic's policy; nil is for none.
func parseTopicDelivery(text string) (*topicDelivery, error) {
	if text == "" {
		return nil, nil
	}
	var doc struct {
		HTTP *topicDelivery `json:"http"`
	}
	if err := read(text, &doc); err != nil {
		return nil, err
	}
	d := doc.HTTP
	if d == nil {
		return nil, nil
	}
	return d, errors.Join(d.Healthy.check("http.defaultHealthyRetryPolicy"), d.Sickly.check("http.defaultSicklyRetryPolicy"),
		d.Throttle.check(), d.Request.check())
}

// parseSubscriptionDelivery reads a subscription's policy; nil is for none.
func parseSubscriptionDelivery(text string) (*subscriptionDelivery, error) {
	if text == "" {
		return nil, nil
	}
	d := &subscriptionDelivery{}
	if err := read(text, d); err != nil {
		return nil, err
	}
	if d.Healthy != nil { // shown with all that it leaves open
		whole := d.Healthy.resolved()
		d.Healthy = &whole
	}
	return d, errors.Join(d.Healthy.check("healthyRetryPolicy"), d.Sickly.check("sicklyRetryPolicy"), d.Throttle.check(), d.Request.check())
}

func (p *requestPolicy) check() error {
	if p == nil || p.ContentType == "" {
		return nil
	}
	kind, _, err := mime.ParseMediaType(p.ContentType)
	if err != nil || !slices.Contains(contentTypes, kind) {
		return fmt.Errorf("headerContentType %q is not supported", p.ContentType)
	}
	return nil
}

func (p *throttlePolicy) check() error {
	if p != nil && p.PerSecond != nil && *p.PerSecond < 1 {
		return errors.New("throttlePolicy.maxReceivesPerSecond must be at least 1")
	}
	return nil
}

func (p *retryPolicy) check(name string) error {
	if p == nil {
		return nil
	}
	r := p.resolved()
	switch {
	case *r.Min < 1 || *r.Min > maxDelay:
		return fmt.Errorf("%s.minDelayTarget must be between 1 and %d", name, maxDelay)
	case *r.Max < *r.Min || *r.Max > maxDelay:
		return fmt.Errorf("%s.maxDelayTarget must be between minDelayTarget and %d", name, maxDelay)
	case *r.Retries < 0 || *r.Retries > maxHTTPRetries:
		return fmt.Errorf("%s.numRetries must be between 0 and %d", name, maxHTTPRetries)
	case min(*r.NoDelay, *r.MinRetries, *r.MaxRetries) < 0 || max(*r.NoDelay, *r.MinRetries, *r.MaxRetries) > *r.Retries, // which their sum may hide
		*r.NoDelay+*r.MinRetries+*r.MaxRetries > *r.Retries:
		return fmt.Errorf("%s: the retries of its phases must be none below 0 and together at most numRetries", name)
	case !slices.Contains(backoffs, r.BackoffName):
		return fmt.Errorf("%s.backoffFunction must be one of %s", name, strings.Join(backoffs, ", "))
	}
	total := 0
	for n := 1; n <= *r.Retries; n++ {
		total += int(r.delay(n) / time.Second)
	}
	if total > maxDelay {
		return fmt.Errorf("%s: the retries take %d seconds together, at most %d are allowed", name, total, maxDelay)
	}
	return nil
}

// resolved is the policy with its defaults; that of none is the default one.
func (p *retryPolicy) resolved() retryPolicy {
	if p == nil {
		p = &retryPolicy{}
	}
	or := func(v *int, fallback int) *int {
		if v == nil {
			return &fallback
		}
		return v
	}
	out := retryPolicy{
		Min: or(p.Min, 20), Max: or(p.Max, 20), Retries: or(p.Retries, 3), MaxRetries: or(p.MaxRetries, 0), NoDelay: or(p.NoDelay, 0),
		MinRetries: or(p.MinRetries, 0), BackoffName: p.BackoffName,
	}
	if out.BackoffName == "" {
		out.BackoffName = "linear"
	}
	return out
}

// delay is the wait before the nth retry, which begin at 1, of a resolved policy:
// at once, then at the least delay, then backing off, then at the longest.
func (p *retryPolicy) delay(n int) time.Duration {
	backing := *p.Retries - *p.NoDelay - *p.MinRetries - *p.MaxRetries
	n -= *p.NoDelay
	if n <= 0 {
		return 0
	}
	least, most := float64(*p.Min), float64(*p.Max)
	n -= *p.MinRetries
	switch {
	case n <= 0:
		return time.Duration(*p.Min) * time.Second
	case n > backing:
		return time.Duration(*p.Max) * time.Second
	case backing == 1:
		return time.Duration(*p.Min) * time.Second
	}
	return time.Duration(backoff(p.BackoffName, n-1, backing-1, least, most) * float64(time.Second))
}

// backoff is the ith of the steps 0 to last between two delays. AWS gives the
// functions as curves: all begin at the least and end at the most.
func backoff(name string, i, last int, least, most float64) float64 {
	x, n := float64(i), float64(last)
	switch name {
	case "arithmetic": // the steps grow by one step each
		return least + (most-least)*x*(x+1)/(n*(n+1))
	case "exponential":
		return least + (most-least)*(math.Exp2(x)-1)/(math.Exp2(n)-1)
	case "geometric":
		return least * math.Pow(most/least, x/n)
	}
	return least + (most-least)*x/n
}

// effective is a topic's policy with its defaults.
func (d *topicDelivery) effective() *topicDelivery {
	out := topicDelivery{}
	if d != nil {
		out = *d
	}
	healthy := out.Healthy.resolved()
	out.Healthy = &healthy
	if out.Request == nil || out.Request.ContentType == "" {
		out.Request = &requestPolicy{defaultContentType}
	}
	return &out
}

func (d *topicDelivery) text() string {
	b, _ := json.Marshal(map[string]*topicDelivery{"http": d}) // of scalars: it never fails
	return string(b)
}

func (d *subscriptionDelivery) text() string {
	b, _ := json.Marshal(d) // of scalars: it never fails
	return string(b)
}

// over is what counts for a subscription: its own policy, where the topic lets it
// have one, over the topic's.
func (d *subscriptionDelivery) over(t *topicDelivery) *subscriptionDelivery {
	base := t.effective()
	out := &subscriptionDelivery{Healthy: base.Healthy, Sickly: base.Sickly, Throttle: base.Throttle, Request: base.Request}
	if d == nil || base.DisableOverride {
		return out
	}
	if d.Healthy != nil {
		healthy := d.Healthy.resolved()
		out.Healthy = &healthy
	}
	if d.Sickly != nil {
		out.Sickly = d.Sickly
	}
	if d.Throttle != nil {
		out.Throttle = d.Throttle
	}
	if d.Request != nil && d.Request.ContentType != "" {
		out.Request = d.Request
	}
	out.Guaranteed = d.Guaranteed
	return out
}

// insideDelay is the wait before the nth retry of a delivery to AWS's own services,
// whose policy is not the user's to change: 3 at once, 2 after a second each, 10
// backing off to 20 seconds, and 100,000 after 20 seconds each. ok is false after that.
func insideDelay(n int) (d time.Duration, ok bool) {
	switch {
	case n <= 3:
		return 0, true
	case n <= 5:
		return time.Second, true
	case n <= 15:
		return time.Duration(backoff("exponential", n-6, 9, 1, 20) * float64(time.Second)), true
	}
	return 20 * time.Second, n <= 100015
}
