// Package iam implements the IAM API: roles, users, groups, their policies,
// instance profiles and access keys. It also answers package auth's questions:
// which secret is behind an access key, and which policies a principal has. It
// may import api/iam, arn, auth, fault, reconcile and store. Its one goroutine,
// which Start begins and Stop ends, writes down when keys and roles were used.
//
// IAM has no regions: everything is keyed by account.
package iam

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	api "github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/keyring"
	"github.com/slipway/slipway/auth/policy"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// Config is what the service stands on.
type Config struct {
	Store  store.Store
	Ring   *keyring.Ring // seals the secrets of access keys
	Now    func() time.Time
	Logger *slog.Logger
}

// Service is the IAM API.
type Service struct {
	api.Unimplemented
	store store.Store
	ring  *keyring.Ring
	now   func() time.Time
	docs  policy.Cache
	used  usage
	// rounds is the work that a password's hash takes.
	rounds int
}

var _ api.Service = (*Service)(nil)

// New makes the service.
func New(cfg Config) *Service {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Service{store: cfg.Store, ring: cfg.Ring, now: cfg.Now, rounds: passwordRounds}
	s.used.start(s, cfg.Logger)
	return s
}

// noun is a kind of entity: its documents, keyed "account/lower-case name", for
// IAM's names differ in more than case.
type noun[T any] struct {
	*store.Collection[T]
	label   string // "Role": of "Role with name x already exists."
	missing string // message with the name
	member  string // "roleName": of messages about the name
	maxName int
	nameOf  func(*T) string
	quota   string // "RolesPerAccount"
	limit   int    // of them in an account
}

func nounKey(account, name string) string { return account + "/" + strings.ToLower(name) }

func (n noun[T]) find(tx store.Tx, account, name string) (*T, error) {
	v, err := n.Get(tx, nounKey(account, name))
	if errors.Is(err, store.ErrNotFound) || err == nil && n.nameOf(v) != name {
		return nil, fault.New(fault.NoSuchEntity, n.missing, name)
	}
	return v, err
}

var nameForm = regexp.MustCompile(`^[\w+=,.@-]+$`)

func (n noun[T]) check(name string) error {
	if !nameForm.MatchString(name) || len(name) > n.maxName {
		return fault.New(fault.ValidationError, "The specified value for %s is invalid. It must contain only alphanumeric characters "+
			"and/or the following: +=,.@_- and be at most %d characters long.", n.member, n.maxName)
	}
	return nil
}

var pathForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^/([!-~]{1,510}/)?$`) })

func checkPath(path string) (string, error) {
	if path == "" {
		return "/", nil
	}
	if !pathForm().MatchString(path) || strings.ContainsAny(path, "*") {
		return "", fault.New(fault.ValidationError, "The specified value for path is invalid. It must begin and end with / and contain only alphanumeric characters and/or / characters.")
	}
	return path, nil
}

// create inserts a new entity. A durable step that repeats itself finds what its
// first run made: token reads the entity's.
func create[T any](ctx context.Context, s *Service, n noun[T], name string, v *T, token func(*T) string) (*T, error) {
	if err := n.check(name); err != nil {
		return nil, err
	}
	call := auth.From(ctx)
	out := v
	err := s.store.Update(ctx, func(tx store.Tx) error {
		found, err := n.Get(tx, nounKey(call.Scope.Account, name))
		switch {
		case err == nil && call.Token != "" && token(found) == call.Token:
			out = found
			return nil
		case err == nil:
			return fault.New(fault.EntityAlreadyExists, "%s with name %s already exists.", n.label, name)
		case !errors.Is(err, store.ErrNotFound):
			return err
		}
		out = v
		if err := n.tally(tx, call.Scope.Account, 1); err != nil {
			return err
		}
		return n.Put(tx, nounKey(call.Scope.Account, name), v)
	})
	return out, err
}

// read finds an entity of the caller's account.
func read[T any](ctx context.Context, s *Service, n noun[T], name string) (*T, error) {
	var out *T
	err := s.store.View(ctx, func(tx store.Tx) (err error) {
		out, err = n.find(tx, auth.From(ctx).Scope.Account, name)
		return err
	})
	return out, err
}

// edit changes an entity of the caller's account.
func edit[T any](ctx context.Context, s *Service, n noun[T], name string, fn func(tx store.Tx, v *T) error) error {
	account := auth.From(ctx).Scope.Account
	return s.store.Update(ctx, func(tx store.Tx) error {
		v, err := n.find(tx, account, name)
		if err != nil {
			return err
		}
		if err := fn(tx, v); err != nil {
			return err
		}
		return n.Put(tx, nounKey(account, name), v)
	})
}

// remove deletes an entity once may has nothing against it.
func remove[T any](ctx context.Context, s *Service, n noun[T], name string, may func(tx store.Tx, v *T) error) error {
	account := auth.From(ctx).Scope.Account
	return s.store.Update(ctx, func(tx store.Tx) error {
		v, err := n.find(tx, account, name)
		if err != nil {
			return err
		}
		if err := may(tx, v); err != nil {
			return err
		}
		return n.drop(tx, account, name)
	})
}

// list pages through the entities of the caller's account.
func list[T any](ctx context.Context, s *Service, n noun[T], marker string, max *int32, keep func(*T) bool) (items []*T, next string, err error) {
	limit := pageSize(max)
	err = s.store.View(ctx, func(tx store.Tx) error {
		entries, token, err := n.Page(tx, auth.From(ctx).Scope.Account+"/", marker, limit, keep)
		if errors.Is(err, store.ErrBadToken) {
			return badMarker(marker)
		}
		next = token
		items = make([]*T, len(entries))
		for i, e := range entries {
			items[i] = e.Value
		}
		return err
	})
	return items, next, err
}

func pageSize(n *int32) int {
	if n == nil {
		return 100
	}
	return max(1, min(int(*n), 1000))
}

func badMarker(marker string) error {
	return fault.New(fault.ValidationError, "Invalid Marker: %s", marker)
}

// pageOf cuts a page out of names in order. The marker is the last name of the
// page before.
func pageOf(names []string, marker string, max *int32) (page []string, next string) {
	i, found := slices.BinarySearch(names, marker)
	if found {
		i++
	}
	page = append([]string{}, names[i:]...) // an empty page is an empty list, not none
	if n := pageSize(max); len(page) > n {
		page = page[:n]
		next = page[n-1]
	}
	return page, next
}

func underPath(prefix, path string) bool { return strings.HasPrefix(path, prefix) }

func globalARN(account, resource string) string {
	return arn.Scope{Account: account}.Global("iam", resource).String()
}

// escaped is a policy document as the API gives it out: URL-encoded (RFC 3986).
func escaped(doc string) string { return strings.ReplaceAll(url.QueryEscape(doc), "+", "%20") }

func malformedPolicy(err error) error {
	return fault.New(fault.MalformedPolicyDocument, "%s", err.Error())
}

func checkDocument(text string, kind policy.Kind) error {
	if _, err := policy.Parse(text, kind); err != nil {
		return malformedPolicy(err)
	}
	return nil
}

// policySize counts a document as IAM's quotas do: without white space.
func policySize(text string) int {
	n := 0
	for _, c := range text {
		if c != ' ' && c != '\t' && c != '\n' && c != '\r' {
			n++
		}
	}
	return n
}
