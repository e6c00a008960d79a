package platform

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// socketName is the control socket in the data folder. Who may open the folder
// may ask; no key is needed, so it tells only counts.
const socketName = "control.sock"

// Status is what a running Slipway says of itself.
type Status struct {
	Version  string         `json:"version"`
	Endpoint string         `json:"endpoint"`
	PID      int            `json:"pid"`
	Started  time.Time      `json:"started"`
	Dir      string         `json:"data"`
	Driver   string         `json:"compute"`
	Auth     bool           `json:"auth"`
	Records  map[string]int `json:"records"` // by kind: "stacks", "instances" ...
}

// controlClient talks to the control socket, whatever the URL's host.
func controlClient(dir string) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(dir, socketName))
		},
	}}
}

// ReadStatus asks the Slipway that runs on a data folder.
func ReadStatus(ctx context.Context, dir string) (Status, error) {
	path := filepath.Join(dir, socketName)
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://slipway/status", nil)
	if err != nil {
		return Status{}, err
	}
	resp, err := controlClient(dir).Do(req)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return Status{}, fmt.Errorf("no Slipway runs on %s: start it with 'slipway up --data %s'", dir, dir)
	case errors.Is(err, fs.ErrPermission):
		return Status{}, fmt.Errorf("%s belongs to another user: ask as the user who runs Slipway", path)
	case err != nil:
		return Status{}, err
	}
	defer resp.Body.Close()
	var s Status
	if resp.StatusCode != http.StatusOK {
		return Status{}, fmt.Errorf("status of %s: HTTP %d", dir, resp.StatusCode)
	}
	return s, json.NewDecoder(resp.Body).Decode(&s)
}

// listenControl opens the control socket, which the store's lock on the folder
// makes ours: one that is left is a dead Slipway's.
func listenControl(dir string) (net.Listener, error) {
	path := filepath.Join(dir, socketName)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("control socket: %w (a data folder with a shorter path helps if the name is too long)", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func (p *Platform) serveStatus(w http.ResponseWriter, r *http.Request) {
	s, err := p.status(r.Context())
	if err != nil {
		p.cfg.Logger.Error("status", "error", err)
		http.Error(w, "status is not available; see the log", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(s)
}
