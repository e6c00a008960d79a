package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// maxDownload bounds one file from elsewhere.
const maxDownload = 4 << 30

// authentication is one of AWS::CloudFormation::Authentication.
type authentication struct {
	Type        scalar  `json:"type"`
	Username    scalar  `json:"username"`
	Password    scalar  `json:"password"`
	AccessKeyID scalar  `json:"accessKeyId"`
	SecretKey   scalar  `json:"secretKey"`
	RoleName    scalar  `json:"roleName"`
	Buckets     scalars `json:"buckets"`
	URIs        scalars `json:"uris"`
}

// fetcher gets files over HTTP and from S3.
type fetcher struct {
	md     *imds
	region string
	auth   map[string]authentication
	tries  int // 0 is 5
}

// s3Host tells the hosts of S3's objects: the bucket, where it is in the host.
var s3Host = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(?:([a-z0-9][a-z0-9.-]*)\.)?s3(?:[.-][a-z0-9-]+)?\.amazonaws\.com(?:\.cn)?$`)
})

// object is one in S3, by the URL of a source.
func object(u *url.URL) (bucket, key string, ok bool) {
	if u.Scheme == "s3" {
		return u.Host, strings.TrimPrefix(u.Path, "/"), true
	}
	m := s3Host().FindStringSubmatch(u.Hostname())
	if m == nil {
		if e, err := url.Parse(s3Endpoint()); err != nil || e.Host == "" || e.Host != u.Host {
			return "", "", false
		}
		m = []string{"", ""}
	}
	path := strings.TrimPrefix(u.Path, "/")
	if m[1] != "" {
		return m[1], path, true
	}
	bucket, key, _ = strings.Cut(path, "/")
	return bucket, key, true
}

func s3Endpoint() string {
	return first(variable("AWS_ENDPOINT_URL_S3"), variable("AWS_ENDPOINT_URL"))
}

// chosen is the authentication by its name, or else by the bucket or the
// beginning of the URL.
func (f *fetcher) chosen(name string, u *url.URL, bucket string) (authentication, bool, error) {
	if name != "" {
		a, ok := f.auth[name]
		if !ok {
			return a, false, fmt.Errorf("%s has no %q", initAuthKey, name)
		}
		return a, true, nil
	}
	for _, a := range f.auth {
		if strings.EqualFold(string(a.Type), "S3") {
			if bucket != "" && slices.Contains(a.Buckets, scalar(bucket)) {
				return a, true, nil
			}
			continue
		}
		for _, prefix := range a.URIs {
			if prefix != "" && strings.HasPrefix(u.String(), string(prefix)) {
				return a, true, nil
			}
		}
	}
	return authentication{}, false, nil
}

// request is a GET of a source, with what the metadata says of who asks. Only
// Slipway's own S3 sees the instance's credentials.
func (f *fetcher) request(ctx context.Context, source, authName string) (*http.Request, error) {
	u, err := url.Parse(source)
	if err != nil {
		return nil, refused{errors.New("this is not a URL")}
	}
	if u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "s3" || u.Host == "" {
		return nil, refused{fmt.Errorf("%s: want a URL of http, https or s3", shorten(u.Redacted()))}
	}
	bucket, key, inS3 := object(u)
	a, ok, err := f.chosen(authName, u, bucket)
	if err != nil {
		return nil, refused{err}
	}
	if u.Scheme != "s3" && (!ok || !strings.EqualFold(string(a.Type), "S3")) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
		if err == nil && ok {
			req.SetBasicAuth(string(a.Username), string(a.Password))
		}
		return req, err
	}
	if !inS3 || bucket == "" || key == "" {
		return nil, refused{fmt.Errorf("%s is not an object in S3", shorten(u.Redacted()))}
	}
	endpoint := s3Endpoint()
	if endpoint == "" {
		return nil, refused{errors.New("no endpoint of S3: set AWS_ENDPOINT_URL")}
	}
	creds := credentials{AccessKeyID: string(a.AccessKeyID), SecretAccessKey: string(a.SecretKey)}
	if creds.AccessKeyID == "" {
		if creds, err = f.md.roleCredentials(ctx, string(a.RoleName)); err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(endpoint, "/")+"/"+escapeKey(bucket+"/"+key), nil)
	if err != nil {
		return nil, refused{err}
	}
	signGet(req, creds, defaultRegion(f.region), time.Now())
	return req, nil
}

// roleCredentials are those of the instance's role, whose name may be given.
func (c *imds) roleCredentials(ctx context.Context, role string) (credentials, error) {
	const path = "/latest/meta-data/iam/security-credentials/"
	if role == "" {
		b, err := c.get(ctx, path)
		if errors.Is(err, errNotFound) {
			return credentials{}, refused{errors.New("this instance has no role, so that it cannot read S3")}
		}
		if err != nil {
			return credentials{}, err
		}
		role, _, _ = strings.Cut(strings.TrimSpace(string(b)), "\n")
	}
	b, err := c.get(ctx, path+url.PathEscape(role))
	if errors.Is(err, errNotFound) {
		return credentials{}, refused{fmt.Errorf("this instance has no role %s", role)}
	}
	if err != nil {
		return credentials{}, err
	}
	var found credentials
	if err := json.Unmarshal(b, &found); err != nil || found.AccessKeyID == "" {
		return found, refused{fmt.Errorf("the metadata has no credentials of role %s", role)}
	}
	return found, nil
}

// download keeps a source in a file of its own; the caller removes it.
func (f *fetcher) download(ctx context.Context, source, authName string, limit int64) (*os.File, error) {
	file, err := os.CreateTemp("", "cfn-init-")
	if err != nil {
		return nil, err
	}
	tries := f.tries
	if tries == 0 {
		tries = 5
	}
	for try, pause := 1, 200*time.Millisecond; ; try, pause = try+1, 2*pause {
		err = f.once(ctx, file, source, authName, limit)
		if err == nil {
			return file, nil
		}
		if try == tries || errors.As(err, new(refused)) {
			break
		}
		select {
		case <-ctx.Done():
			err = errors.Join(ctx.Err(), err)
			try = tries
		case <-time.After(pause):
			continue
		}
		break
	}
	remove(file)
	return nil, fmt.Errorf("fetch: %w", err)
}

func remove(file *os.File) {
	_ = file.Close()
	_ = os.Remove(file.Name())
}

func (f *fetcher) once(ctx context.Context, file *os.File, source, authName string, limit int64) error {
	if err := file.Truncate(0); err != nil {
		return refused{err}
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return refused{err}
	}
	req, err := f.request(ctx, source, authName)
	if err != nil {
		return err
	}
	client := http.Client{Timeout: time.Hour}
	if req.Header.Get("Authorization") != "" {
		// What is signed for one host is not for another to see.
		client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	resp, err := client.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) { // its text has the URL, which may be presigned
			err = u.Err
		}
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
		err := refusal(resp.StatusCode, body)
		if resp.StatusCode >= 500 {
			return err
		}
		return refused{err}
	}
	n, err := io.Copy(file, io.LimitReader(resp.Body, limit+1))
	if err == nil && n > limit {
		return refused{fmt.Errorf("it is larger than %d bytes", limit)}
	}
	return err
}
