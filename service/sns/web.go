package sns

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Deliveries by HTTP go where their subscribers say, so they are kept from what is not
// theirs: a cloud's metadata service and its like, for owners whom policies bind the
// host itself, and redirects. Times and sizes are bounded.

const (
	postTime  = 15 * time.Second // "HTTP/HTTPS notifications", Developer Guide
	maxAnswer = 64 << 10
	userAgent = "Amazon Simple Notification Service Agent"
	// maxThrottled is how many subscriptions are remembered before those are forgotten
	// that need not wait.
	maxThrottled = 1024
)

// web holds the connections, for owners that are bound by policies and for others.
type web struct {
	once        sync.Once
	free, bound *http.Client
	mu          sync.Mutex
	next        map[string]time.Time // by subscription: when its throttle policy lets the next one go
}

func (w *web) client(bound bool) *http.Client {
	w.once.Do(func() {
		client := func(control func(network, address string, c syscall.RawConn) error) *http.Client {
			dialer := &net.Dialer{Timeout: postTime, Control: control}
			return &http.Client{
				Timeout: postTime,
				Transport: &http.Transport{
					DialContext: dialer.DialContext, TLSHandshakeTimeout: postTime, MaxResponseHeaderBytes: maxAnswer, MaxIdleConnsPerHost: webPerLane,
					MaxIdleConns: webSlots, IdleConnTimeout: 30 * time.Second, DisableCompression: true,
				},
				CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			}
		}
		w.free, w.bound, w.next = client(reachable), client(reachableWhenBound), map[string]time.Time{}
	})
	if bound {
		return w.bound
	}
	return w.free
}

// blocked is an address that no notification goes to.
type blocked struct{ address netip.Addr }

func (b *blocked) Error() string { return fmt.Sprintf("notifications are not sent to %s", b.address) }

// reachable looks at an address before it is connected to: after names were resolved,
// so that no name can stand for another address the second time.
func reachable(_, address string, _ syscall.RawConn) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if ip := a.Addr().Unmap(); !ip.IsValid() || ip.IsLinkLocalUnicast() || ip.IsMulticast() || ip.IsUnspecified() {
		return &blocked{ip}
	}
	return nil
}

// reachableWhenBound is reachable for those who are not to reach the host's own ports.
func reachableWhenBound(network, address string, c syscall.RawConn) error {
	if err := reachable(network, address, c); err != nil {
		return err
	}
	ip := netip.MustParseAddrPort(address).Addr().Unmap()
	if ip.IsLoopback() {
		return &blocked{ip}
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		return err
	}
	for _, o := range own {
		if n, ok := o.(*net.IPNet); ok {
			if mine, ok := netip.AddrFromSlice(n.IP); ok && mine.Unmap() == ip {
				return &blocked{ip}
			}
		}
	}
	return nil
}

// post posts a message to a subscription's endpoint.
func (s *Service) post(ctx context.Context, t *topic, sub *subscription, m *message) (verdict, error) {
	policy := sub.Attributes.Delivery.over(t.Attributes.Delivery)
	s.throttle(ctx, sub, policy)
	raw := sub.Attributes.Raw && m.Kind == kindNotification
	body := m.Body
	if !raw {
		var err error
		if body, err = s.envelope(ctx, sub, m); err != nil {
			return failed, err
		}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, sub.Endpoint, strings.NewReader(body))
	if err != nil {
		return refused, errors.New("the endpoint is no URL")
	}
	h := r.Header
	h.Set("Content-Type", defaultContentType)
	if m.Kind == kindNotification {
		h.Set("Content-Type", policy.Request.ContentType)
		h.Set("X-Amz-Sns-Subscription-Arn", sub.arn())
	}
	if raw {
		h.Set("X-Amz-Sns-Rawdelivery", "true")
	}
	h.Set("X-Amz-Sns-Message-Type", m.Kind.text())
	h.Set("X-Amz-Sns-Message-Id", m.ID)
	h.Set("X-Amz-Sns-Topic-Arn", m.Topic)
	h.Set("User-Agent", userAgent)
	h.Set("Accept-Encoding", "gzip,deflate")
	resp, err := s.web.client(sub.Bound).Do(r)
	if err != nil {
		var no *blocked
		if errors.As(err, &no) {
			return refused, no
		}
		return failed, unwrapped(err) // its text has the URL, which may have a password
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer)) // so that the connection can be used again
	switch {
	case resp.StatusCode/100 == 2:
		return delivered, nil
	case resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests:
		return failed, fmt.Errorf("the endpoint answers %d", resp.StatusCode)
	}
	return refused, fmt.Errorf("the endpoint answers %d", resp.StatusCode)
}

// unwrapped is an error without what http.Client puts before it.
func unwrapped(err error) error {
	if inner := errors.Unwrap(err); inner != nil {
		return inner
	}
	return err
}

// throttle waits until the subscription's policy lets the next delivery go.
func (s *Service) throttle(ctx context.Context, sub *subscription, policy *subscriptionDelivery) {
	if policy.Throttle == nil || policy.Throttle.PerSecond == nil {
		return
	}
	s.web.client(false)
	now, step := time.Now(), time.Second/time.Duration(*policy.Throttle.PerSecond)
	s.web.mu.Lock()
	at := s.web.next[sub.ID]
	if at.Before(now) {
		at = now
	}
	if len(s.web.next) >= maxThrottled { // those whose time has come wait no longer
		maps.DeleteFunc(s.web.next, func(_ string, t time.Time) bool { return t.Before(now) })
	}
	s.web.next[sub.ID] = at.Add(step)
	s.web.mu.Unlock()
	s.pause(ctx, at.Sub(now))
}

func (w *web) close() {
	w.client(false).CloseIdleConnections()
	w.client(true).CloseIdleConnections()
}
