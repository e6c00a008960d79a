package agent

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slipway/slipway/auth"
)

func TestSignaturesAreThoseOfPackageAuth(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	body := []byte("Action=SignalResource&Version=2010-05-15")
	for _, token := range []string{"", "a session/token+"} {
		var got [2]string
		for i := range got {
			r, err := http.NewRequest(http.MethodPost, "http://127.0.0.1:4566/", bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
			if i == 0 {
				signForm(r, body, credentials{AccessKeyID: "ASIA", SecretAccessKey: "secret", Token: token}, "cloudformation", "eu-west-1", now)
			} else {
				auth.Sign(r, body, auth.Credentials{AccessKeyID: "ASIA", SecretAccessKey: "secret", SessionToken: token}, "cloudformation", "eu-west-1", now)
			}
			got[i] = r.Header.Get("Authorization")
		}
		if got[0] != got[1] {
			t.Errorf("signed\n%s, package auth signs\n%s", got[0], got[1])
		}
	}
}

func TestParseSignal(t *testing.T) {
	for _, tt := range []struct {
		args    string
		status  string
		problem string
	}{
		{"-e 0 --stack s --resource r --region eu-west-1", "SUCCESS", ""},
		{"--exit-code 1 --stack s --resource r", "FAILURE", ""},
		{"--stack s --resource r", "SUCCESS", ""},
		{"-s true --stack s --resource r", "SUCCESS", ""},
		{"--success false --stack=s --resource=r", "FAILURE", ""},
		{"http://h/w?X=1 -e 0 -i me -d data", "SUCCESS", ""},
		{"-e 2 http://h/w?X=1", "FAILURE", ""},
		{"-s perhaps --stack s --resource r", "", "want true or false"},
		{"-e 0 --stack s", "", "--resource"},
		{"-e 0", "", "wait condition handle"},
		{"one two", "", "unexpected argument"},
		{"--wrong 1", "", "not defined"},
	} {
		s, err := parseSignal(strings.Fields(tt.args), io.Discard)
		switch {
		case tt.problem != "":
			if err == nil || !strings.Contains(err.Error(), tt.problem) {
				t.Errorf("%s: %v, want %q", tt.args, err, tt.problem)
			}
		case err != nil:
			t.Errorf("%s: %v", tt.args, err)
		case s.status() != tt.status:
			t.Errorf("%s: %s, want %s", tt.args, s.status(), tt.status)
		}
	}
}

// slipway answers as the metadata service and as CloudFormation.
type slipway struct {
	mu      sync.Mutex
	broken  int // requests that still get a 503
	forms   []url.Values
	handles []string
	signed  []string
}

func (s *slipway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	switch {
	case r.URL.Path == "/latest/api/token":
		_, _ = io.WriteString(w, "token")
	case r.Header.Get("X-Aws-Ec2-Metadata-Token") == "token" && strings.HasSuffix(r.URL.Path, "/instance-id"):
		_, _ = io.WriteString(w, "i-0123456789abcdef0")
	case r.Header.Get("X-Aws-Ec2-Metadata-Token") == "token" && strings.HasSuffix(r.URL.Path, "/ec2-instance"):
		_, _ = io.WriteString(w, `{"Code":"Success","AccessKeyId":"ASIAINSTANCE","SecretAccessKey":"x","Token":"t"}`)
	case s.broken > 0:
		s.broken--
		w.WriteHeader(http.StatusServiceUnavailable)
	case r.Method == http.MethodPut:
		s.handles = append(s.handles, string(body))
	case r.Method == http.MethodPost:
		form, _ := url.ParseQuery(string(body))
		if form.Get("StackName") == "gone" {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `<ErrorResponse><Error><Type>Sender</Type><Code>ValidationError</Code><Message>Stack gone does not exist</Message></Error></ErrorResponse>`)
			return
		}
		s.forms = append(s.forms, form)
		s.signed = append(s.signed, r.Header.Get("Authorization"))
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func TestCfnSignal(t *testing.T) {
	s := &slipway{broken: 2}
	server := httptest.NewServer(s)
	defer server.Close()
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.URL)
	t.Setenv("AWS_ENDPOINT_URL", server.URL)
	t.Setenv("AWS_REGION", "eu-west-1")
	run := func(args ...string) (int, string) {
		var out bytes.Buffer
		status := CfnSignal(args, &out, &out)
		return status, out.String()
	}
	if status, out := run("-e", "0", "--stack", "web", "--resource", "Server"); status != 0 {
		t.Fatalf("status %d: %s", status, out)
	}
	want := url.Values{
		"Action": {"SignalResource"}, "Version": {"2010-05-15"}, "StackName": {"web"},
		"LogicalResourceId": {"Server"}, "UniqueId": {"i-0123456789abcdef0"}, "Status": {"SUCCESS"},
	}
	if len(s.forms) != 1 || s.forms[0].Encode() != want.Encode() {
		t.Errorf("sent %v, want %v", s.forms, want)
	}
	if !strings.Contains(s.signed[0], "Credential=ASIAINSTANCE/") || !strings.Contains(s.signed[0], "/eu-west-1/cloudformation/") {
		t.Errorf("signed %s", s.signed[0])
	}
	if status, out := run("-e", "7", "-d", "more", server.URL+"/handle?X-Amz-Signature=1"); status != 0 {
		t.Errorf("handle: status %d: %s", status, out)
	}
	if want := `{"Data":"more","Reason":"the set-up exited with status 7","Status":"FAILURE","UniqueId":"i-0123456789abcdef0"}`; len(s.handles) != 1 || s.handles[0] != want {
		t.Errorf("put %v, want %s", s.handles, want)
	}
	if status, out := run("-e", "0", "--stack", "gone", "--resource", "Server"); status != 1 || !strings.Contains(out, "ValidationError: Stack gone does not exist") {
		t.Errorf("a refusal: status %d: %s", status, out)
	}
}

func TestTool(t *testing.T) {
	for _, name := range []string{"cfn-signal", "cfn-init", "cfn-get-metadata", "cfn-hup"} {
		if status, ok := Tool([]string{"/opt/aws/bin/" + name, "--no-such-flag"}); !ok || status != 1 {
			t.Errorf("%s with a flag that is none: %d, %v", name, status, ok)
		}
	}
	if _, ok := Tool([]string{"/usr/local/bin/slipway"}); ok {
		t.Error("slipway is taken for a helper")
	}
}
