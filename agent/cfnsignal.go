package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/slipway/slipway/compute/boot"
)

// outcome is what one run of cfn-signal has to say.
type outcome struct {
	stack, resource string // of a creation policy or update policy
	handle          string // presigned URL of a wait condition handle
	region          string
	endpoint        string
	id, reason      string
	data            string
	success         bool
}

// CfnSignal is the helper that tells CloudFormation how an instance's set-up
// went ("cfn-signal", CloudFormation User Guide). It exits with 0 when
// CloudFormation has accepted the signal, whatever the signal says.
func CfnSignal(args []string, stdout, stderr io.Writer) int {
	s, err := parseSignal(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(stderr, "cfn-signal:", err)
		return 1
	}
	// Long enough for a Slipway that is restarting.
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	if err := s.send(ctx); err != nil {
		fmt.Fprintln(stderr, "cfn-signal:", err)
		return 1
	}
	fmt.Fprintf(stdout, "cfn-signal: %s sent\n", s.status())
	return 0
}

// parseSignal reads the flags of AWS's helper, which may stand in any order.
func parseSignal(args []string, stderr io.Writer) (outcome, error) {
	var s outcome
	var exitCode, success string
	f := flag.NewFlagSet("cfn-signal", flag.ContinueOnError)
	f.SetOutput(stderr)
	text := func(p *string, usage string, names ...string) { textFlag(f, p, usage, names...) }
	text(&exitCode, "exit `status` of the set-up: 0 is success", "e", "exit-code")
	text(&success, "`true` or false: how the set-up went", "s", "success")
	text(&s.stack, "`name` or id of the stack", "stack")
	text(&s.resource, "logical `id` of the resource that waits", "resource")
	text(&s.region, "`region` of the stack", "region")
	text(&s.endpoint, "CloudFormation's endpoint `URL`", "u", "url")
	text(&s.id, "unique `id` of the signal; the instance's id by default", "i", "id")
	text(&s.reason, "`reason`, for a wait condition", "r", "reason")
	text(&s.data, "`data`, for a wait condition", "d", "data")
	var unused string
	text(&unused, "accepted and not needed: the instance's own credentials are used", "role", "credential-file", "access-key", "secret-key", "http-proxy", "https-proxy", "f")
	verbose := f.Bool("v", false, "accepted")
	f.BoolVar(verbose, "verbose", false, "accepted")
	f.Usage = func() {
		fmt.Fprintln(stderr, "usage: cfn-signal [-e STATUS | -s true|false] --stack STACK --resource ID [--region REGION]\n       cfn-signal [-e STATUS | -s true|false] [-i ID] [-r REASON] [-d DATA] WAIT-CONDITION-HANDLE-URL\n\nflags:")
		f.PrintDefaults()
	}
	for rest := args; ; rest = f.Args()[1:] {
		if err := f.Parse(rest); err != nil {
			return s, err
		}
		if f.NArg() == 0 {
			break
		}
		if s.handle != "" {
			return s, fmt.Errorf("unexpected argument %q", f.Arg(0))
		}
		s.handle = f.Arg(0)
	}
	switch strings.ToLower(success) {
	case "", "true", "1", "yes":
		s.success = exitCode == "" || exitCode == "0"
	case "false", "0", "no":
		s.success = false
	default:
		return s, fmt.Errorf("--success %q: want true or false", success)
	}
	if s.reason == "" && exitCode != "" && exitCode != "0" {
		s.reason = "the set-up exited with status " + exitCode
	}
	if s.handle == "" && (s.stack == "" || s.resource == "") {
		return s, errors.New("give --stack and --resource, or the URL of a wait condition handle")
	}
	return s, nil
}

func (s outcome) status() string {
	if s.success {
		return "SUCCESS"
	}
	return "FAILURE"
}

// send sends the signal, again and again while nobody answers.
func (s outcome) send(ctx context.Context) error {
	md := newIMDS(metadataBase())
	if s.id == "" {
		// Outside an instance there is no metadata, and the host's name will do.
		short, cancel := context.WithTimeout(ctx, 5*time.Second)
		id, err := md.get(short, "/latest/meta-data/instance-id")
		cancel()
		if s.id = string(id); err != nil {
			if s.id, err = os.Hostname(); err != nil {
				return err
			}
		}
	}
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 10*time.Second) {
		again, err := s.try(ctx, md)
		if err == nil || !again {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
	}
}

// try sends it once; again says whether another try may go better.
func (s outcome) try(ctx context.Context, md *imds) (again bool, err error) {
	var req *http.Request
	if s.handle != "" {
		req, err = s.handleRequest(ctx)
	} else {
		var c credentials
		if c, err = md.credentials(ctx); err != nil {
			return true, err
		}
		req, err = s.resourceRequest(ctx, c)
	}
	if err != nil {
		return false, err
	}
	resp, err := (&http.Client{Timeout: 30 * time.Second}).Do(req)
	if err != nil {
		return true, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return true, err
	}
	if resp.StatusCode/100 == 2 {
		return false, nil
	}
	return resp.StatusCode >= 500 && resp.StatusCode != http.StatusNotImplemented, refusal(resp.StatusCode, body)
}

// refusal tells a Query or S3 error's code and message.
func refusal(status int, body []byte) error {
	var e struct {
		Code    string `xml:"Error>Code"`
		Message string `xml:"Error>Message"`
		Plain   string `xml:"Code"`
		Text    string `xml:"Message"`
	}
	if xml.Unmarshal(body, &e) == nil && e.Code+e.Plain != "" {
		return fmt.Errorf("refused: %s%s: %s%s", e.Code, e.Plain, e.Message, e.Text)
	}
	return fmt.Errorf("refused with HTTP status %d", status)
}

// handleRequest is what a wait condition handle takes: JSON, by PUT, to its
// presigned URL, with no type that the signature does not know.
func (s outcome) handleRequest(ctx context.Context) (*http.Request, error) {
	reason := s.reason
	if reason == "" {
		reason = "Configuration Complete"
	}
	body, err := json.Marshal(map[string]string{"Status": s.status(), "UniqueId": s.id, "Data": s.data, "Reason": reason})
	if err != nil {
		return nil, err
	}
	return http.NewRequestWithContext(ctx, http.MethodPut, s.handle, bytes.NewReader(body))
}

// resourceRequest calls SignalResource.
func (s outcome) resourceRequest(ctx context.Context, c credentials) (*http.Request, error) {
	form := url.Values{
		"Action": {"SignalResource"}, "Version": {"2010-05-15"},
		"StackName": {s.stack}, "LogicalResourceId": {s.resource}, "UniqueId": {s.id}, "Status": {s.status()},
	}
	return cfnRequest(ctx, form, s.endpoint, s.region, c)
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// metadataBase is where the metadata service is: another place than usual in
// process instances.
func metadataBase() string {
	return first(variable("AWS_EC2_METADATA_SERVICE_ENDPOINT"), "http://169.254.169.254")
}

// variable reads the environment, and what Slipway wrote down of it for those
// who were started without, such as cron jobs.
func variable(name string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	b, err := os.ReadFile(boot.Environ)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), name+"="); ok {
			return strings.ReplaceAll(strings.Trim(v, "'"), `'\''`, "'")
		}
	}
	return ""
}
