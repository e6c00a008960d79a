package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// imds is a client of the instance metadata service, version 2 ("Use the
// Instance Metadata Service to access instance metadata", EC2 User Guide).
type imds struct {
	base  string // http://169.254.169.254
	http  *http.Client
	token string
}

var errNotFound = errors.New("instance metadata: not found")

// maxUserData is AWS's 16 KB with room for what Slipway may allow later.
const maxUserData = 1 << 20

func newIMDS(base string) *imds {
	// No proxy: the address is this host's.
	return &imds{base: strings.TrimSuffix(base, "/"), http: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}}
}

func (c *imds) do(ctx context.Context, method, path, header, value string) ([]byte, int, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, nil)
	if err != nil {
		return nil, 0, err
	}
	req.Header.Set(header, value)
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxUserData+1))
	if err == nil && len(b) > maxUserData {
		err = fmt.Errorf("instance metadata: %s is larger than %d bytes", path, maxUserData)
	}
	return b, resp.StatusCode, err
}

// get reads one path, with a session of its own where the last has ended.
func (c *imds) get(ctx context.Context, path string) ([]byte, error) {
	for fresh := c.token == ""; ; fresh = true {
		if fresh {
			b, status, err := c.do(ctx, http.MethodPut, "/latest/api/token", "X-aws-ec2-metadata-token-ttl-seconds", "300")
			if err != nil {
				return nil, err
			}
			if status != http.StatusOK {
				return nil, fmt.Errorf("instance metadata: token: status %d", status)
			}
			c.token = string(b)
		}
		b, status, err := c.do(ctx, http.MethodGet, path, "X-aws-ec2-metadata-token", c.token)
		switch {
		case err != nil:
			return nil, err
		case status == http.StatusOK:
			return b, nil
		case status == http.StatusNotFound:
			return nil, errNotFound
		case status == http.StatusUnauthorized && !fresh:
			continue
		default:
			return nil, fmt.Errorf("instance metadata: %s: status %d", path, status)
		}
	}
}

// wait reads one path, however long Slipway takes to be there: it may be
// restarting.
func (c *imds) wait(ctx context.Context, path string) ([]byte, error) {
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		b, err := c.get(ctx, path)
		if err == nil || errors.Is(err, errNotFound) {
			return b, err
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), err)
		case <-time.After(pause):
		}
	}
}

// credentials are an instance's, in the form that the metadata service gives.
type credentials struct {
	Code            string
	AccessKeyID     string `json:"AccessKeyId"`
	SecretAccessKey string
	Token           string
}

// credentials reads the instance's identity credentials, or those of its role
// where it has no others.
func (c *imds) credentials(ctx context.Context) (credentials, error) {
	paths := []string{"/latest/meta-data/identity-credentials/ec2/security-credentials/ec2-instance"}
	if role, err := c.get(ctx, "/latest/meta-data/iam/security-credentials/"); err == nil {
		if name, _, _ := strings.Cut(string(role), "\n"); name != "" {
			paths = append(paths, "/latest/meta-data/iam/security-credentials/"+name)
		}
	}
	var last error
	for _, path := range paths {
		b, err := c.get(ctx, path)
		var found credentials
		if err == nil {
			err = json.Unmarshal(b, &found)
		}
		if err == nil && found.AccessKeyID != "" && found.SecretAccessKey != "" {
			return found, nil
		}
		last = errors.Join(err, last)
	}
	return credentials{}, fmt.Errorf("no credentials for this instance in its metadata: %w", last)
}
