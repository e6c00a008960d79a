package load

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/slipway/slipway/auth"
)

// queueLimit is the issue's, for each of send, receive and delete.
const queueLimit = 0.6

// queueClients ask at once, of both servers: as many as the store's writers. With
// few of them the time of one fdatasync would bound the rate, whatever the calls
// cost; with these the machine does.
const queueClients = 64

// queueClient drives a queue of a closed Slipway.
type queueClient struct {
	b        *testing.B
	http     *http.Client
	endpoint string
	keys     auth.Credentials
}

func (q *queueClient) request(operation string, body []byte) *http.Request {
	q.b.Helper()
	return signedCall{http.MethodPost, q.endpoint + "/", "sqs",
		http.Header{"Content-Type": {"application/x-amz-json-1.0"}, "X-Amz-Target": {"AmazonSQS." + operation}}, body}.sign(q.b, q.keys)
}

func (q *queueClient) call(operation string, in, out any) {
	q.b.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		q.b.Fatal(err)
	}
	resp, err := q.http.Do(q.request(operation, body))
	if err != nil {
		q.b.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		q.b.Fatalf("%s: %d %s %v", operation, resp.StatusCode, answer, err)
	}
	if err := json.Unmarshal(answer, out); err != nil {
		q.b.Fatal(err)
	}
}

// all answers each request once, from all clients, and tells how long it took and
// what was answered.
func (q *queueClient) all(requests []*http.Request, bodies [][]byte) (time.Duration, [][]byte) {
	q.b.Helper()
	answers := make([][]byte, len(requests))
	var next atomic.Int64
	var wg sync.WaitGroup
	begun := time.Now()
	for range queueClients {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(requests); i = int(next.Add(1)) - 1 {
				r := requests[i].Clone(q.b.Context())
				r.Body = io.NopCloser(bytes.NewReader(bodies[i]))
				resp, err := q.http.Do(r)
				if err != nil {
					q.b.Error(err)
					return
				}
				answers[i], err = io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if err != nil || resp.StatusCode != http.StatusOK {
					q.b.Errorf("status %d, error %v: %s", resp.StatusCode, err, answers[i])
					return
				}
			}
		})
	}
	wg.Wait()
	return time.Since(begun), answers
}

// same is a request n times.
func same(r *http.Request, body []byte, n int) ([]*http.Request, [][]byte) {
	requests, bodies := make([]*http.Request, n), make([][]byte, n)
	for i := range requests {
		requests[i], bodies[i] = r, body
	}
	return requests, bodies
}

// BenchmarkQueueRate compares durable sends, receives and deletes, one message
// each, with an empty net/http handler that is sent the same.
func BenchmarkQueueRate(b *testing.B) {
	s, keys := startClosed(b)
	peer, peerPID := runPeer(b)
	c := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: queueClients, DisableCompression: true}}
	defer c.CloseIdleConnections()
	q := &queueClient{b, c, s.Endpoint, keys}
	theirs := &queueClient{b, c, peer, keys}
	var made struct{ QueueUrl string }
	q.call("CreateQueue", map[string]string{"QueueName": "bench"}, &made)
	send, err := json.Marshal(map[string]string{"QueueUrl": made.QueueUrl, "MessageBody": "a message of no great length"})
	if err != nil {
		b.Fatal(err)
	}
	receive, err := json.Marshal(map[string]any{"QueueUrl": made.QueueUrl, "MaxNumberOfMessages": 1})
	if err != nil {
		b.Fatal(err)
	}
	const share = 1000 // of each call in a round
	took, spent := map[string]time.Duration{}, map[string]time.Duration{}
	all := func(q *queueClient, pid int, name string, requests []*http.Request, bodies [][]byte) [][]byte {
		before := processorTime(b, pid)
		passed, answers := q.all(requests, bodies)
		took[name] += passed
		spent[name] += processorTime(b, pid) - before
		return answers
	}
	for b.Loop() {
		for round := range rateRounds {
			if round <= 1 {
				clear(took) // the first warms up
				clear(spent)
			}
			requests, bodies := same(theirs.request("SendMessage", send), send, share)
			all(theirs, peerPID, "empty", requests, bodies)
			requests, bodies = same(q.request("SendMessage", send), send, share)
			all(q, s.PID, "SendMessage", requests, bodies)
			requests, bodies = same(q.request("ReceiveMessage", receive), receive, share)
			answers := all(q, s.PID, "ReceiveMessage", requests, bodies)
			requests, bodies = nil, nil
			for _, answer := range answers {
				var got struct {
					Messages []struct{ ReceiptHandle string }
				}
				if err := json.Unmarshal(answer, &got); err != nil || len(got.Messages) != 1 {
					b.Fatalf("received %s, %v", answer, err)
				}
				body, err := json.Marshal(map[string]string{"QueueUrl": made.QueueUrl, "ReceiptHandle": got.Messages[0].ReceiptHandle})
				if err != nil {
					b.Fatal(err)
				}
				requests, bodies = append(requests, q.request("DeleteMessage", body)), append(bodies, body)
			}
			all(q, s.PID, "DeleteMessage", requests, bodies)
			if b.Failed() {
				return
			}
		}
	}
	calls := float64(share * (rateRounds - 1))
	b.ReportMetric(calls/took["empty"].Seconds(), "rps-empty")
	b.ReportMetric(float64(spent["empty"].Microseconds())/calls, "us-cpu-empty")
	for _, name := range []string{"SendMessage", "ReceiveMessage", "DeleteMessage"} {
		ratio := took["empty"].Seconds() / took[name].Seconds()
		b.ReportMetric(calls/took[name].Seconds(), "rps-"+name)
		b.ReportMetric(ratio, "ratio-"+name)
		b.ReportMetric(float64(spent[name].Microseconds())/calls, "us-cpu-"+name)
		b.Logf("%s: %.0f a second, %.2f of an empty handler's %.0f; processors %s and %s for a call", name, calls/took[name].Seconds(), ratio,
			calls/took["empty"].Seconds(), spent[name]/time.Duration(calls), spent["empty"]/time.Duration(calls))
		if ratio < queueLimit {
			b.Errorf("%s: %.2f of the rate of an empty handler, limit %.2f", name, ratio, queueLimit)
		}
	}
}
