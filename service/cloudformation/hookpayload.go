package cloudformation

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/cfn/apply"
	"github.com/slipway/slipway/store"
)

// payloadPath begins the paths under which hooks read what is said of a stack. Who
// knows the secret in the URL may read it, and nothing else, while the hook is
// asked.
const payloadPath = SignalPath + "payload/"

// hookPayload is what stands behind such a URL. The templates are read when they are
// asked for.
type hookPayload struct {
	Secret   string
	StackKey string
	Before   string `json:",omitempty"` // keys of templates
	After    string `json:",omitempty"`
	Proposal string `json:",omitempty"` // key, of a change set
}

// hookPayloads are keyed by scope and the request's token.
var hookPayloads = store.NewCollection[hookPayload]("cloudformation/hookpayload")

// openPayload gives a hook the URL of the templates of a stack. A request that is
// made again after a crash gets another secret.
func (s *Service) openPayload(ctx context.Context, req *hookRequest, t *apply.HookTarget) (closePayload func(), err error) {
	var secret [32]byte
	_, _ = rand.Read(secret[:])
	p := &hookPayload{Secret: hex.EncodeToString(secret[:]), StackKey: t.Stack.Key(), After: t.Stack.Version.TemplateKey}
	if p.Proposal = t.Proposal; p.Proposal == "" && t.Stack.Before != nil {
		p.Before = t.Stack.Before.TemplateKey
	}
	key := t.Stack.Scope.Key() + "/" + req.ClientRequestToken
	err = s.update(ctx, func(l *apply.Ledger) error { return hookPayloads.Put(l.Tx, key, p) })
	if err != nil {
		return nil, err
	}
	base := auth.From(ctx).Endpoint
	if s.cfg.SignalURL != nil {
		base = s.cfg.SignalURL(ctx)
	}
	req.RequestData.Payload = strings.TrimSuffix(base, "/") + payloadPath + key + "/" + p.Secret
	return func() {
		err := s.update(context.WithoutCancel(ctx), func(l *apply.Ledger) error { return hookPayloads.Delete(l.Tx, key) })
		if err != nil {
			s.cfg.Logger.Warn("payload of a hook not removed", "error", err)
		}
	}, nil
}

// servePayload answers who reads what a hook is asked about.
func (s *Service) servePayload(w http.ResponseWriter, r *http.Request) {
	rest, ok := strings.CutPrefix(r.URL.Path, payloadPath)
	cutAt := strings.LastIndexByte(rest, '/')
	if !ok || cutAt < 0 || len(rest) > 512 {
		http.Error(w, "there is no such payload", http.StatusNotFound)
		return
	}
	var body struct {
		Template         string `json:"template,omitempty"`
		PreviousTemplate string `json:"previousTemplate,omitempty"`
		// ChangedResources are a change set's.
		ChangedResources []changedResource `json:"changedResources,omitempty"`
	}
	err := s.view(r.Context(), func(tx store.Tx) error {
		p, err := hookPayloads.Get(tx, rest[:cutAt])
		if err != nil {
			return err
		}
		if !knows(rest[cutAt+1:], p.Secret) {
			return store.ErrNotFound
		}
		for key, to := range map[string]*string{p.Before: &body.PreviousTemplate, p.After: &body.Template} {
			if key == "" {
				continue
			}
			t, err := apply.Templates.Get(tx, key)
			if err != nil {
				return err
			}
			*to = t.Body
		}
		if p.Proposal != "" {
			body.ChangedResources, err = changedResources(tx, p.Proposal, body.Template)
		}
		return err
	})
	switch {
	case errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrInvalid):
		http.Error(w, "there is no such payload", http.StatusNotFound)
	case err != nil:
		s.answer(w, err)
	default:
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(body)
	}
}
