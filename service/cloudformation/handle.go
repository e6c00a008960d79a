package cloudformation

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/cfn/apply"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// SignalPath begins the paths of wait condition handles. The platform mounts
// Handler there.
const SignalPath = "/_slipway/cfn/signal/"

const (
	maxSignalBody = 64 << 10
	maxSignalText = 4096
)

// handle is what stands behind a wait condition handle's URL. Who knows the
// secret in the URL may send signals, and nothing else.
type handle struct {
	StackID   string
	LogicalID string
	Secret    string
}

// handles are keyed by the stack's key and the handle's UUID.
var handles = store.NewCollection[handle]("cloudformation/handle")

// OpenHandle makes the URL of a wait condition handle. The same durable step
// gets the same URL.
func (s *Service) OpenHandle(ctx context.Context, stackID, logicalID string) (string, error) {
	c := auth.From(ctx)
	id := arn.NewUUID()
	if c.Token != "" {
		id = arn.UUIDFrom(c.Token)
	}
	stackKey := c.Scope.Key() + "/" + apply.UUID(stackID)
	var secret [32]byte
	_, _ = rand.Read(secret[:])
	h := &handle{StackID: stackID, LogicalID: logicalID, Secret: hex.EncodeToString(secret[:])}
	err := s.update(ctx, func(l *apply.Ledger) error {
		old, err := handles.Get(l.Tx, stackKey+"/"+id)
		if err == nil {
			h = old
			return nil
		}
		if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		return handles.Put(l.Tx, stackKey+"/"+id, h)
	})
	if err != nil {
		return "", err
	}
	base := c.Endpoint
	if s.cfg.SignalURL != nil {
		base = s.cfg.SignalURL(ctx)
	}
	return strings.TrimSuffix(base, "/") + SignalPath + stackKey + "/" + id + "/" + h.Secret, nil
}

// CloseHandle forgets a handle and its signals. One that is gone is no error.
func (s *Service) CloseHandle(ctx context.Context, rawURL string) error {
	st, id, ok := splitHandle(rawURL)
	if !ok {
		return nil
	}
	return s.update(ctx, func(l *apply.Ledger) error {
		if _, err := openHandle(l.Tx, rawURL); err != nil {
			if fault.Is(err, fault.AccessDenied) {
				return nil
			}
			return err
		}
		if err := apply.ClearSignals(l.Tx, st, apply.HandleSource(id)); err != nil {
			return err
		}
		return handles.Delete(l.Tx, st.Key()+"/"+id)
	})
}

// HandleSource is the signal source that a handle of the stack feeds, and the
// handle's logical id.
func (s *Service) HandleSource(ctx context.Context, stackID, rawURL string) (source, logicalID string, err error) {
	_, id, _ := splitHandle(rawURL)
	err = s.view(ctx, func(tx store.Tx) error {
		h, err := openHandle(tx, rawURL)
		if err != nil {
			return err
		}
		if h.StackID != stackID {
			return errNoHandle
		}
		logicalID = h.LogicalID
		return nil
	})
	if err != nil {
		if fault.Is(err, fault.AccessDenied) {
			return "", "", fault.New(fault.ValidationError, "Handle is not the URL of a wait condition handle of this stack")
		}
		return "", "", err
	}
	return apply.HandleSource(id), logicalID, nil
}

var errNoHandle = fault.New(fault.AccessDenied, "The URL is that of no wait condition handle")

// splitHandle takes a handle's URL or path apart. The stack has only what its
// key is made of.
func splitHandle(rawURL string) (st *apply.Stack, id string, ok bool) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, "", false
	}
	rest, ok := strings.CutPrefix(u.Path, SignalPath)
	parts := strings.Split(rest, "/")
	if !ok || len(parts) != 5 {
		return nil, "", false
	}
	for _, p := range parts {
		if p == "" || len(p) > 128 {
			return nil, "", false
		}
	}
	return &apply.Stack{ID: "/" + parts[2], Scope: arn.Scope{Account: parts[0], Region: parts[1]}}, parts[3], true
}

// openHandle finds the handle that a URL names and whose secret it knows.
func openHandle(tx store.Tx, rawURL string) (*handle, error) {
	st, id, ok := splitHandle(rawURL)
	if !ok {
		return nil, errNoHandle
	}
	h, err := handles.Get(tx, st.Key()+"/"+id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, errNoHandle
	}
	if err != nil {
		return nil, err
	}
	if !knows(rawURL[strings.LastIndexByte(rawURL, '/')+1:], h.Secret) {
		return nil, errNoHandle
	}
	return h, nil
}

// handleSignal is what is put to a handle ("Wait condition signal JSON format").
type handleSignal struct {
	Status   string
	Reason   string
	UniqueId string //nolint:revive // the name on the wire
	Data     string
}

// Handler takes the signals that are put to wait condition handles' URLs.
func (s *Service) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, payloadPath) {
			s.servePayload(w, r)
			return
		}
		if r.Method != http.MethodPut {
			w.Header().Set("Allow", http.MethodPut)
			http.Error(w, "a wait condition handle takes PUT only", http.StatusMethodNotAllowed)
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxSignalBody))
		if err != nil {
			http.Error(w, "the signal is longer than 64 KiB", http.StatusRequestEntityTooLarge)
			return
		}
		var sig handleSignal
		if err := json.Unmarshal(body, &sig); err != nil {
			http.Error(w, "the signal is not JSON with Status, Reason, UniqueId and Data", http.StatusBadRequest)
			return
		}
		if problem := sig.problem(); problem != "" {
			http.Error(w, problem, http.StatusBadRequest)
			return
		}
		s.answer(w, s.take(r.Context(), r.URL.Path, sig))
	})
}

func (s *Service) answer(w http.ResponseWriter, err error) {
	switch e, ok := fault.As(err); {
	case err == nil:
		w.WriteHeader(http.StatusOK)
	case ok:
		http.Error(w, e.Message, fault.Status(e.Code))
	default:
		s.cfg.Logger.Error("wait condition signal", "error", err)
		http.Error(w, "internal error", http.StatusInternalServerError)
	}
}

func (sig handleSignal) problem() string {
	switch {
	case sig.Status != "SUCCESS" && sig.Status != "FAILURE":
		return "Status must be SUCCESS or FAILURE"
	case sig.UniqueId == "" || len(sig.UniqueId) > 255 || strings.ContainsRune(sig.UniqueId, '/'):
		return "UniqueId must have 1 to 255 characters and no slash"
	case len(sig.Reason) > maxSignalText || len(sig.Data) > maxSignalText:
		return "Reason and Data must have at most 4096 bytes"
	}
	return ""
}

// take keeps a signal. One whose unique id has come before is a retransmission.
func (s *Service) take(ctx context.Context, path string, sig handleSignal) error {
	return s.update(ctx, func(l *apply.Ledger) error {
		h, err := openHandle(l.Tx, path)
		if err != nil {
			return err
		}
		at, id, _ := splitHandle(path)
		st, err := apply.Stacks.Get(l.Tx, at.Key())
		if err != nil {
			return err
		}
		source := apply.HandleSource(id)
		old, err := apply.GetSignal(l.Tx, st, source, sig.UniqueId)
		if err != nil || old != nil {
			return err
		}
		if n, err := apply.CountSignals(l.Tx, st, source); err != nil || n >= maxSignals {
			if err == nil {
				err = fault.New(fault.ValidationError, "%s has received %d signals and takes no more", h.LogicalID, n)
			}
			return err
		}
		return s.runner.Signal(l, st, source, apply.Signal{
			UniqueID: sig.UniqueId, Success: sig.Status == "SUCCESS", Reason: sig.Reason, Data: sig.Data,
		})
	})
}
