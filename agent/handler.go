package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// runtimeClient speaks the Lambda Runtime API for the program of a local handler,
// which is run for each request: it reads the request, and prints the answer.
type runtimeClient struct {
	base    string // http://HOST/2018-06-01/runtime
	http    *http.Client
	program string
}

// maxHandled bounds what a handler's program prints, as Lambda bounds answers.
const maxHandled = 6 << 20

// maxComplaint bounds what is told of why it failed.
const maxComplaint = 1 << 10

// Handler serves requests with the program that _HANDLER names, below
// LAMBDA_TASK_ROOT. It ends when its environment does.
func Handler(complaints io.Writer) int {
	c := &runtimeClient{
		base: "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime",
		http: &http.Client{Transport: &http.Transport{}}, // no proxy, and no time-out: it waits for work
		// What _HANDLER says cannot lead out of the folder.
		program: filepath.Join(os.Getenv("LAMBDA_TASK_ROOT"), filepath.Join("/", os.Getenv("_HANDLER"))),
	}
	for {
		if err := c.serve(context.Background(), complaints); err != nil {
			fmt.Fprintln(complaints, err)
			return 1
		}
	}
}

// serve answers one request.
func (c *runtimeClient) serve(ctx context.Context, complaints io.Writer) error {
	body, head, err := c.call(ctx, http.MethodGet, "/invocation/next", nil)
	if err != nil {
		return err
	}
	at := "/invocation/" + head.Get("Lambda-Runtime-Aws-Request-Id")
	answer, err := c.run(ctx, body, complaints)
	if err != nil {
		text, merr := json.Marshal(map[string]string{"errorType": "Handler.Error", "errorMessage": err.Error()})
		if merr != nil {
			return merr
		}
		_, _, err = c.call(ctx, http.MethodPost, at+"/error", text)
		return err
	}
	_, _, err = c.call(ctx, http.MethodPost, at+"/response", answer)
	return err
}

func (c *runtimeClient) call(ctx context.Context, method, path string, body []byte) ([]byte, http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxHandled+1))
	if err == nil && (resp.StatusCode >= http.StatusMultipleChoices || len(text) > maxHandled) {
		err = fmt.Errorf("runtime API: %s %s: status %d, %d bytes", method, path, resp.StatusCode, len(text))
	}
	return text, resp.Header, err
}

// run runs the program on a request.
func (c *runtimeClient) run(ctx context.Context, request []byte, complaints io.Writer) ([]byte, error) {
	out, said := &bounded{most: maxHandled}, &bounded{most: maxComplaint, last: true}
	cmd := exec.CommandContext(ctx, c.program)
	cmd.Dir = filepath.Dir(c.program)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(request), out, io.MultiWriter(said, complaints)
	cmd.Env = append(os.Environ(), callerVariables(request)...)
	err := cmd.Run()
	switch {
	case out.cut:
		return nil, fmt.Errorf("the program printed more than %d bytes", maxHandled)
	case err == nil && !json.Valid(out.b):
		return nil, errors.New("the program printed no JSON")
	case err == nil:
		return out.b, nil
	}
	if text := strings.TrimSpace(string(said.b)); text != "" {
		return nil, fmt.Errorf("%w: %s", err, text)
	}
	return nil, err
}

// callerVariables are the credentials of a request's execution role, where the
// AWS CLI and SDKs of the program look for them.
func callerVariables(request []byte) []string {
	var r struct {
		RequestData struct {
			CallerCredentials *struct{ AccessKeyID, SecretAccessKey, SessionToken string }
		}
	}
	if json.Unmarshal(request, &r) != nil || r.RequestData.CallerCredentials == nil {
		return nil
	}
	k := r.RequestData.CallerCredentials
	return []string{"AWS_ACCESS_KEY_ID=" + k.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + k.SecretAccessKey, "AWS_SESSION_TOKEN=" + k.SessionToken}
}

// bounded keeps the first bytes that are written to it, or the last.
type bounded struct {
	b    []byte
	most int
	last bool
	cut  bool
}

func (w *bounded) Write(p []byte) (int, error) {
	w.b = append(w.b, p...)
	if over := len(w.b) - w.most; over > 0 {
		w.cut = true
		if w.last {
			w.b = append(w.b[:0], w.b[over:]...)
		} else {
			w.b = w.b[:w.most]
		}
	}
	return len(p), nil
}
