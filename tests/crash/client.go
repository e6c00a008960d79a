// Package crash is the kill -9 harness. It runs the real binary, has stacks
// created, updated and deleted through the public protocols, kills the server
// with SIGKILL at random instants, starts it again, and checks that everything
// acknowledged is there, that every operation reaches the end it would have
// reached, and that nothing is left without an owner or made twice, both by what
// the API tells and by what is on the host.
//
// It may import auth (to sign), arn, the compute drivers (to look at the host)
// and tests/server. Its goroutines are those of one round; the round waits for
// them.
package crash

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
)

// client calls a server in AWS's protocols, signed.
type client struct {
	endpoint string
	region   string // "": the default one
	account  string // likewise
	http     http.Client
	waited   atomic.Int32 // how much was under way when it was looked at first
}

func newClient(endpoint string) *client {
	return &client{endpoint: endpoint, http: http.Client{
		Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 8},
	}}
}

func (c *client) close() { c.http.CloseIdleConnections() }

// refusal is an answer that says no. Any other error of a call means that
// nobody knows whether it was done.
type refusal struct {
	Status        int
	Code, Message string
}

func (r *refusal) Error() string {
	return fmt.Sprintf("HTTP %d %s: %s", r.Status, r.Code, r.Message)
}

// refused reports whether the server said no, with one of the codes if any are
// given. A 5xx is never a refusal: it must not happen.
func refused(err error, codes ...string) bool {
	var r *refusal
	if !errors.As(err, &r) || r.Status >= http.StatusInternalServerError {
		return false
	}
	for _, code := range codes {
		if r.Code == code {
			return true
		}
	}
	return len(codes) == 0
}

// failed reports whether the server answered with a 5xx.
func failed(err error) bool {
	var r *refusal
	return errors.As(err, &r) && r.Status >= http.StatusInternalServerError
}

// node is any XML element.
type node struct {
	XMLName xml.Name
	Text    string `xml:",chardata"`
	Nodes   []node `xml:",any"`
}

// all finds the elements at a path of names: "Reservations/item".
func (n *node) all(path string) []*node {
	if path == "" {
		return []*node{n}
	}
	name, rest, _ := strings.Cut(path, "/")
	var found []*node
	for i := range n.Nodes {
		if n.Nodes[i].XMLName.Local == name {
			found = append(found, n.Nodes[i].all(rest)...)
		}
	}
	return found
}

// text is that of the first element at a path, or "".
func (n *node) text(path string) string {
	if found := n.all(path); len(found) > 0 {
		return strings.TrimSpace(found[0].Text)
	}
	return ""
}

func (n *node) texts(path string) (list []string) {
	for _, f := range n.all(path) {
		list = append(list, strings.TrimSpace(f.Text))
	}
	return list
}

func (c *client) send(ctx context.Context, service, method, path string, header map[string]string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.endpoint+path, nil)
	if err != nil {
		return nil, err
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	if body == nil {
		body = []byte{}
	}
	auth.Sign(req, body, auth.Credentials{AccessKeyID: cmp.Or(c.account, arn.DefaultAccount), SecretAccessKey: "local"}, service, cmp.Or(c.region, arn.DefaultRegion), time.Now())
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= http.StatusMultipleChoices {
		return nil, readRefusal(resp.StatusCode, resp.Header.Get("X-Amzn-Errortype"), answer)
	}
	return answer, nil
}

// readRefusal reads an error. In REST JSON its code stands in a header.
func readRefusal(status int, code string, answer []byte) error {
	r := &refusal{Status: status}
	if bytes.HasPrefix(bytes.TrimSpace(answer), []byte("{")) {
		var body struct {
			Type    string `json:"__type"`
			Message string `json:"message"`
		}
		if err := json.Unmarshal(answer, &body); err == nil {
			r.Code, r.Message = body.Type[strings.LastIndexByte(body.Type, '#')+1:], body.Message
			if r.Code == "" {
				r.Code = code
			}
		}
		return r
	}
	var root node
	if err := xml.Unmarshal(answer, &root); err == nil {
		for _, path := range []string{"", "Error", "Errors/Error"} {
			for _, n := range root.all(path) {
				if code := n.text("Code"); code != "" {
					r.Code, r.Message = code, n.text("Message")
				}
			}
		}
	}
	return r
}

var versions = map[string]string{"cloudformation": "2010-05-15", "ec2": "2016-11-15", "iam": "2010-05-08", "sns": "2010-03-31"}

// query calls an operation of a service in the Query protocol.
func (c *client) query(ctx context.Context, service, action string, params ...string) (*node, error) {
	form := url.Values{"Action": {action}, "Version": {versions[service]}}
	for i := 0; i+1 < len(params); i += 2 {
		form.Set(params[i], params[i+1])
	}
	answer, err := c.send(ctx, service, http.MethodPost, "/", map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, []byte(form.Encode()))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", action, err)
	}
	root := new(node)
	if err := xml.Unmarshal(answer, root); err != nil {
		return nil, fmt.Errorf("%s: %w", action, err)
	}
	if result := root.all(action + "Result"); len(result) == 1 {
		return result[0], nil
	}
	return root, nil
}

var targets = map[string]string{
	"sqs": "AmazonSQS", "ssm": "AmazonSSM", "cloudcontrolapi": "CloudApiService", "secretsmanager": "secretsmanager", "organizations": "AWSOrganizationsV20161128",
}

// json calls an operation of a service in the JSON protocol.
func (c *client) json(ctx context.Context, service, action string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	answer, err := c.send(ctx, service, http.MethodPost, "/", map[string]string{
		"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": targets[service] + "." + action,
	}, body)
	if err != nil {
		return fmt.Errorf("%s: %w", action, err)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(answer, out)
}

// s3 makes a request for a path of S3.
func (c *client) s3(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	answer, err := c.send(ctx, "s3", method, path, nil, body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	return answer, nil
}
