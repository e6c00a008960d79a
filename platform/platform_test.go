package platform

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// start runs a platform in a folder of its own, in the process driver.
func start(t *testing.T, change func(*Config)) *Platform {
	t.Helper()
	cfg := Config{Dir: t.TempDir(), Listen: "127.0.0.1:0", Compute: "process", Version: "test"}
	if change != nil {
		change(&cfg)
	}
	p, err := New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := p.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p
}

func get(t *testing.T, url string, header ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestMetricsCountCalls(t *testing.T) {
	p := start(t, nil)
	for _, query := range []string{"Action=GetCallerIdentity&Version=2011-06-15", "Action=Nonsense&Version=2011-06-15"} {
		get(t, p.Endpoint()+"/?"+query)
	}
	status, body := get(t, p.Endpoint()+metricsPath)
	if status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
	for _, want := range []string{
		`slipway_calls_total{operation="GetCallerIdentity",service="sts",status="200"} 1`,
		`slipway_info{version="test"} 1`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	if strings.Contains(body, "Nonsense") {
		t.Error("a name that a caller made up became a series")
	}
	// Signed, the path is a bucket's.
	if _, body := get(t, p.Endpoint()+metricsPath, "Authorization", "AWS4-HMAC-SHA256 Credential=k/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=00"); !strings.Contains(body, "NoSuchBucket") {
		t.Errorf("a signed request for the bucket metrics was answered %q", body)
	}
}

func TestStopIsSafeTwiceAndFreesEverything(t *testing.T) {
	p := start(t, nil)
	for range 2 {
		if err := p.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	again, err := New(t.Context(), Config{Dir: p.Dir(), Listen: strings.TrimPrefix(p.Endpoint(), "http://"), Compute: "process"})
	if err != nil {
		t.Fatalf("the folder and the address are not free after Stop: %v", err)
	}
	if err := again.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestConfigurationsThatDoNotFit(t *testing.T) {
	for name, cfg := range map[string]Config{
		"no folder":     {},
		"wait scale":    {Dir: t.TempDir(), WaitScale: -1},
		"large scale":   {Dir: t.TempDir(), WaitScale: 1.5},
		"compute":       {Dir: t.TempDir(), Compute: "cloud"},
		"listen":        {Dir: t.TempDir(), Listen: "nowhere:port", Compute: "process"},
		"file for data": {Dir: "platform_test.go", Compute: "process"},
	} {
		if p, err := New(t.Context(), cfg); err == nil {
			t.Errorf("%s: New succeeded", name)
			_ = p.Stop(t.Context())
		}
	}
}

func TestLoopback(t *testing.T) {
	for listen, want := range map[string]bool{
		"127.0.0.1:4566": true, "[::1]:4566": true, "127.9.9.9:1": true,
		"0.0.0.0:4566": false, ":4566": false, "192.0.2.1:4566": false, "example.test:1": false, "nonsense": false,
	} {
		if got := loopback(listen); got != want {
			t.Errorf("loopback(%q) = %v, want %v", listen, got, want)
		}
	}
}

func TestSystemsWithoutADriverAreToldSo(t *testing.T) {
	for _, system := range []string{"linux", "darwin"} {
		if err := supported(system); err != nil {
			t.Error(err)
		}
	}
	for _, system := range []string{"windows", "freebsd"} {
		if err := supported(system); err == nil || !strings.Contains(err.Error(), "not supported on "+system) {
			t.Errorf("%s: %v", system, err)
		}
	}
}
