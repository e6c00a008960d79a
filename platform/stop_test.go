package platform

import (
	"context"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"testing"
	"time"
)

// up starts a Slipway on a folder of its own.
func up(t *testing.T, change ...func(*Config)) *Platform {
	t.Helper()
	cfg := Config{Dir: t.TempDir(), Listen: "127.0.0.1:0", Compute: "process"}
	for _, f := range change {
		f(&cfg)
	}
	p, err := New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := p.StopAndClean(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p
}

// query calls an operation of SQS in the Query protocol.
func query(ctx context.Context, t *testing.T, p *Platform, parameters ...string) (string, error) {
	t.Helper()
	form := url.Values{"Version": {"2012-11-05"}}
	for i := 0; i < len(parameters); i += 2 {
		form.Set(parameters[i], parameters[i+1])
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.Endpoint(), strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=000000000000/20261122/us-east-1/sqs/aws4_request, SignedHeaders=host, Signature=0")
	r.Header.Set("Expect", "100-continue")
	// A client of its own, which sends the body only once the server reads it.
	transport := &http.Transport{DisableKeepAlives: true, ExpectContinueTimeout: time.Minute}
	resp, err := (&http.Client{Transport: transport}).Do(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.Status + " " + string(body), err
}

func TestStopEndsLongPolls(t *testing.T) {
	p := up(t)
	if out, err := query(t.Context(), t, p, "Action", "CreateQueue", "QueueName", "q"); err != nil || !strings.HasPrefix(out, "200 ") {
		t.Fatalf("%s %v", out, err)
	}
	type answer struct {
		out string
		err error
	}
	polled := make(chan answer, 1)
	arrived := make(chan struct{}) // closed when the server has the request and asks for its body
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got100Continue: func() { close(arrived) }})
	go func() {
		out, err := query(ctx, t, p, "Action", "ReceiveMessage", "QueueUrl", p.Endpoint()+"/000000000000/q", "WaitTimeSeconds", "20")
		polled <- answer{out, err}
	}()
	<-arrived
	// Less than the poll asks for: a stop that waits for it fails.
	stop, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	if err := p.Stop(stop); err != nil {
		t.Errorf("stop: %v", err)
	}
	if err := stop.Err(); err != nil {
		t.Error("the stop has waited for the poll")
	}
	if a := <-polled; a.err != nil || !strings.HasPrefix(a.out, "200 ") || !strings.Contains(a.out, "<ReceiveMessageResult></ReceiveMessageResult>") {
		t.Errorf("the poll was answered %q, %v", a.out, a.err)
	}
	if err := p.Stop(stop); err != nil {
		t.Errorf("a second stop: %v", err)
	}
}
