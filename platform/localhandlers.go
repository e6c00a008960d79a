package platform

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/compute/function"
	"github.com/slipway/slipway/compute/function/archive"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/service/cloudformation"
)

// localHandlers runs the programs of registered types on the host of functions, in
// environments as functions have them. The Runtime API, which such a program does
// not speak, is spoken by Slipway's own binary as their bootstrap.
type localHandlers struct {
	host     functionHost
	dir      string // with what was unpacked; emptied at each start
	binary   string
	endpoint func() string

	mu      sync.Mutex
	readied bool
	folders map[string]string // by key
}

// localKey begins the keys of their environments.
const localKey = "local "

// Bounds of a local handler.
const (
	localMemory  = 512 << 20 // bytes
	localTimeout = time.Minute
	localSize    = 32 << 20 // bytes, unpacked
)

// Run has a program answer a request.
func (l *localHandlers) Run(ctx context.Context, h cloudformation.LocalHandler, request []byte) (answer []byte, failed string, err error) {
	code, err := l.ready(ctx, h)
	if err != nil {
		return nil, "", err
	}
	out, err := l.host.Invoke(ctx, function.Spec{
		Key: localKey + h.Key, ARN: "local handler of " + h.Name, Account: h.Scope.Account, Region: h.Scope.Region, Name: h.Name, Version: "$LATEST",
		Handler: h.Program, Runtime: "provided.al2023", Code: code, Layers: []string{filepath.Join(l.dir, "runtime")},
		Environment: map[string]string{"AWS_ENDPOINT_URL": l.endpoint()}, Memory: localMemory, Timeout: localTimeout,
	}, function.Invocation{RequestID: arn.NewUUID(), Payload: request})
	var lacks *function.RuntimeError
	if errors.As(err, &lacks) {
		return nil, lacks.Missing, nil
	}
	if err != nil || out.FunctionError == "" {
		return out.Payload, "", err
	}
	var told struct{ ErrorMessage string }
	if json.Unmarshal(out.Payload, &told) != nil || told.ErrorMessage == "" {
		told.ErrorMessage = out.FunctionError
	}
	return nil, told.ErrorMessage, nil
}

// Forget ends a handler's environments and removes its files.
func (l *localHandlers) Forget(key string) {
	l.mu.Lock()
	dir := l.folders[key]
	delete(l.folders, key)
	l.mu.Unlock()
	l.host.Retire(localKey + key)
	if dir != "" {
		_ = os.RemoveAll(dir) // what is left, the next start removes
	}
}

// ready unpacks a handler, where that was not done yet.
func (l *localHandlers) ready(ctx context.Context, h cloudformation.LocalHandler) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.bootstrap(); err != nil {
		return "", err
	}
	if dir, ok := l.folders[h.Key]; ok {
		return dir, nil
	}
	code, err := h.Code(ctx)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(l.dir, "code", arn.Hash(h.Key))
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(filepath.Dir(dir), 0o755)); err != nil {
		return "", err
	}
	if err := unpackHandler(code, dir, localSize); err != nil {
		return "", err
	}
	l.folders[h.Key] = dir
	return dir, nil
}

// bootstrap puts the binary where environments look for one.
func (l *localHandlers) bootstrap() error {
	if l.readied {
		return nil
	}
	at := filepath.Join(l.dir, "runtime", "bootstrap")
	if err := errors.Join(os.RemoveAll(l.dir), os.MkdirAll(filepath.Dir(at), 0o755)); err != nil {
		return err
	}
	if err := os.Link(l.binary, at); err != nil {
		if err := copyFile(l.binary, at); err != nil {
			return err
		}
		if err := os.Chmod(at, 0o755); err != nil { // functions run as nobody
			return err
		}
	}
	l.readied = true
	return nil
}

// unpackHandler unpacks an archive into a new folder, into so many bytes at most.
func unpackHandler(code []byte, dir string, most int64) error {
	a, err := archive.Check(bytes.NewReader(code), int64(len(code)), most)
	if err == nil {
		err = a.Extract(dir)
	}
	for _, bad := range []error{archive.ErrBad, archive.ErrTooMany, archive.ErrTooLarge} {
		if errors.Is(err, bad) {
			return fault.New("InternalFailure", "the archive of the handler cannot be used: %s", bad)
		}
	}
	return err
}
