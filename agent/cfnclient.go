package agent

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// maxAnswer bounds what CloudFormation answers. A template has at most 1 MB.
const maxAnswer = 8 << 20

// cfnFlags are those that the helpers which read a stack's metadata share.
type cfnFlags struct {
	stack, resource, region, endpoint string
	verbose                           bool
}

// register adds the flags by AWS's names.
func (c *cfnFlags) register(f *flag.FlagSet) {
	textFlag(f, &c.stack, "`name` or id of the stack", "s", "stack")
	textFlag(f, &c.resource, "logical `id` of the resource that has the metadata", "r", "resource")
	textFlag(f, &c.region, "`region` of the stack", "region")
	textFlag(f, &c.endpoint, "CloudFormation's endpoint `URL`", "u", "url")
	var unused string
	textFlag(f, &unused, "accepted and not needed: the instance's own credentials are used", "role", "f", "credential-file", "access-key", "secret-key", "http-proxy", "https-proxy")
	f.BoolVar(&c.verbose, "v", false, "say more")
	f.BoolVar(&c.verbose, "verbose", false, "say more")
}

func textFlag(f *flag.FlagSet, p *string, usage string, names ...string) {
	for _, n := range names {
		f.StringVar(p, n, "", usage)
	}
}

// parse reads the flags and refuses what is left.
func (c *cfnFlags) parse(f *flag.FlagSet, args []string) error {
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	return nil
}

func (c *cfnFlags) client() *cfnClient {
	return &cfnClient{stack: c.stack, region: c.region, endpoint: c.endpoint, md: newIMDS(metadataBase())}
}

// cfnClient asks CloudFormation about one stack with the instance's own
// credentials.
type cfnClient struct {
	stack, region, endpoint string
	md                      *imds
}

// stackResource is what DescribeStackResource tells of one.
type stackResource struct {
	LogicalID   string `xml:"LogicalResourceId"`
	PhysicalID  string `xml:"PhysicalResourceId"`
	Status      string `xml:"ResourceStatus"`
	LastUpdated string `xml:"LastUpdatedTimestamp"`
	Metadata    string `xml:"Metadata"`
}

// metadata is the resource's, nil where it has none.
func (r *stackResource) metadata() (map[string]any, error) {
	if strings.TrimSpace(r.Metadata) == "" {
		return nil, nil
	}
	var m map[string]any
	d := json.NewDecoder(strings.NewReader(r.Metadata))
	d.UseNumber()
	if err := d.Decode(&m); err != nil {
		return nil, fmt.Errorf("metadata of %s is not a JSON object: %w", r.LogicalID, err)
	}
	return m, nil
}

// refused is an answer that another try does not change.
type refused struct{ error }

// describe reads a resource, again and again while nobody answers.
func (c *cfnClient) describe(ctx context.Context, logicalID string) (*stackResource, error) {
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 10*time.Second) {
		r, err := c.describeOnce(ctx, logicalID)
		if err == nil || errors.As(err, new(refused)) {
			return r, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(pause):
		}
	}
}

func (c *cfnClient) describeOnce(ctx context.Context, logicalID string) (*stackResource, error) {
	creds, err := c.md.credentials(ctx)
	if err != nil {
		return nil, err
	}
	form := url.Values{
		"Action": {"DescribeStackResource"}, "Version": {"2010-05-15"},
		"StackName": {c.stack}, "LogicalResourceId": {logicalID},
	}
	req, err := cfnRequest(ctx, form, c.endpoint, c.region, creds)
	if err != nil {
		return nil, refused{err}
	}
	resp, err := (&http.Client{Timeout: 30 * time.Second}).Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, err
	case len(body) > maxAnswer:
		return nil, refused{fmt.Errorf("the answer is larger than %d bytes", maxAnswer)}
	case resp.StatusCode/100 != 2:
		err := refusal(resp.StatusCode, body)
		if resp.StatusCode >= 500 && resp.StatusCode != http.StatusNotImplemented {
			return nil, err
		}
		return nil, refused{err}
	}
	var answer struct {
		Resource *stackResource `xml:"DescribeStackResourceResult>StackResourceDetail"`
	}
	if err := xml.Unmarshal(body, &answer); err != nil || answer.Resource == nil {
		return nil, refused{errors.Join(errors.New("CloudFormation's answer describes no resource"), err)}
	}
	return answer.Resource, nil
}

// cfnRequest is a signed call of CloudFormation.
func cfnRequest(ctx context.Context, form url.Values, endpoint, region string, c credentials) (*http.Request, error) {
	endpoint = first(endpoint, variable("AWS_ENDPOINT_URL_CLOUDFORMATION"), variable("AWS_ENDPOINT_URL"))
	if endpoint == "" {
		return nil, errors.New("no endpoint: give --url, or set AWS_ENDPOINT_URL")
	}
	body := []byte(form.Encode())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(endpoint, "/")+"/", strings.NewReader(string(body)))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	signForm(req, body, c, "cloudformation", defaultRegion(region), time.Now())
	return req, nil
}

func defaultRegion(region string) string {
	return first(region, variable("AWS_REGION"), variable("AWS_DEFAULT_REGION"), "us-east-1")
}

// lookUp walks a path of keys, whose parts are apart by dots. A key may have
// dots itself: the longest one that is there counts.
func lookUp(v any, path string) (any, bool) {
	if path == "" {
		return v, true
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, false
	}
	for end := len(path); end > 0; end = strings.LastIndexByte(path[:end], '.') {
		if sub, ok := m[path[:end]]; ok {
			return lookUp(sub, strings.TrimPrefix(path[end:], "."))
		}
	}
	return nil, false
}
