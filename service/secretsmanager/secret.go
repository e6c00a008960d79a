package secretsmanager

import (
	"context"
	"crypto/rand"
	"errors"
	"regexp"
	"slices"
	"strings"
	"time"

	api "github.com/slipway/slipway/api/secretsmanager"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// secret is a stored secret, without the values of its versions.
type secret struct {
	Name        string
	Suffix      string // the six characters that its ARN has behind the name
	Description string `json:",omitempty"`
	KeyID       string `json:",omitempty"` // "": the account's aws/secretsmanager
	Token       string `json:",omitempty"` // of the durable step that made it
	Created     time.Time
	Changed     time.Time
	Accessed    time.Time `json:",omitzero"` // the day
	Deletion    time.Time `json:",omitzero"` // when it is deleted; zero: it is not to be
	Tags        []api.Tag // nil: there were never any
	Policy      string    `json:",omitempty"`
	Versions    []version `json:",omitempty"` // the oldest first
	Rotation    *rotation `json:",omitempty"` // nil: it was never to be rotated
}

// version is one value of a secret. The value itself is in values.
type version struct {
	ID       string
	KeyID    string `json:",omitempty"`
	Created  time.Time
	Accessed time.Time `json:",omitzero"` // the day
	Stages   []string  `json:",omitempty"`
	Empty    bool      `json:",omitempty"` // a rotation's, which has no value yet
}

// needsUpkeep is the value by which the index finds what the loop looks after.
const needsUpkeep = "yes"

var (
	secrets = store.NewCollection("secretsmanager/secret", store.Index[secret]{Name: "upkeep", Keys: func(_ string, sec *secret) []string {
		if sec.Deletion.IsZero() && len(sec.Versions) <= keptVersions && (sec.Rotation == nil || sec.Rotation.Next.IsZero()) {
			return nil
		}
		return []string{needsUpkeep}
	}})
	// values holds the sealed values, keyed secret|version; a name never has the bar.
	values = store.NewCollection[value]("secretsmanager/value")
)

// place is where a secret is kept.
type place struct {
	arn.Scope
	name string
}

func (p place) key() string { return p.Scope.Key() + "/" + p.name }

func (p place) valueKey(versionID string) string { return p.key() + "|" + versionID }

// arn is the secret's full ARN.
func (p place) arn(suffix string) string {
	return p.ARN("secretsmanager", "secret:"+p.name+"-"+suffix).String()
}

// placeOf tells the place of a key of secrets.
func placeOf(key string) place {
	account, rest, _ := strings.Cut(key, "/")
	region, name, _ := strings.Cut(rest, "/")
	return place{arn.Scope{Account: account, Region: region}, name}
}

const (
	suffixLength = 6
	alphanumeric = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
)

// newSuffix keeps a secret's ARN from being that of an earlier one of its name.
func newSuffix() (string, error) {
	b := make([]byte, suffixLength)
	for i := range b {
		n, err := below(rand.Reader, len(alphanumeric))
		if err != nil {
			return "", err
		}
		b[i] = alphanumeric[n]
	}
	return string(b), nil
}

var (
	nameForm = regexp.MustCompile(`^[A-Za-z0-9/_+=.@!-]+$`)
	suffixed = regexp.MustCompile(`^(.+)-([A-Za-z0-9]{6})$`)
)

// maxName bounds what callers give that no model has bounded: templates.
const maxName = 512

func checkName(name string) error {
	switch {
	case !nameForm.MatchString(name):
		return fault.New(fault.ValidationException, "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!")
	case len(name) > maxName+1+suffixLength: // with the suffix of an ARN
		return fault.New(fault.ValidationException, "Invalid name. Must have at most %d characters.", maxName)
	}
	return nil
}

func notFound() error {
	return fault.New(fault.ResourceNotFoundException, "Secrets Manager can't find the specified secret.")
}

func noValue(kind, what string) error {
	return fault.New(fault.ResourceNotFoundException, "Secrets Manager can't find the specified secret value for %s: %s", kind, what)
}

func invalid(format string, args ...any) error {
	return fault.New(fault.InvalidParameterException, format, args...)
}

func invalidRequest(format string, args ...any) error {
	return fault.New(fault.InvalidRequestException, format, args...)
}

// parseID reads a SecretId: a name, or an ARN with its suffix or without.
func parseID(scope arn.Scope, id string) (arn.Scope, string, error) {
	name := id
	if strings.HasPrefix(id, "arn:") {
		a, err := arn.Parse(id)
		rest, ok := strings.CutPrefix(a.Resource, "secret:")
		switch {
		case err != nil || !ok || a.Service != "secretsmanager" || !arn.IsAccount(a.Account):
			return scope, "", invalid("Invalid ARN: %s is not that of a secret.", id)
		case a.Region != scope.Region:
			return scope, "", notFound()
		}
		scope.Account, name = a.Account, rest
	}
	return scope, name, checkName(name)
}

// lookup finds a secret by what parseID reads. A name within an ARN may have the
// suffix behind it ("Finding a secret from a partial ARN", AWS Secrets Manager User
// Guide).
func lookup(tx store.Tx, scope arn.Scope, name string, byARN bool) (place, *secret, error) {
	if m := suffixed.FindStringSubmatch(name); byARN && m != nil {
		p := place{scope, m[1]}
		sec, err := secrets.Get(tx, p.key())
		if err == nil && sec.Suffix == m[2] {
			return p, sec, nil
		}
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return p, nil, err
		}
	}
	p := place{scope, name}
	sec, err := secrets.Get(tx, p.key())
	if errors.Is(err, store.ErrNotFound) {
		return p, nil, notFound()
	}
	return p, sec, err
}

// find finds the secret that a call names, if the caller may have it. in is the
// call's input, for what conditions ask of it.
func (s *Service) find(ctx context.Context, tx store.Tx, id string, in any) (place, *secret, error) {
	call := auth.From(ctx)
	scope, name, err := parseID(call.Scope, id)
	if err != nil {
		return place{}, nil, err
	}
	p, sec, err := lookup(tx, scope, name, strings.HasPrefix(id, "arn:"))
	if err != nil && !fault.Is(err, fault.ResourceNotFoundException) {
		return p, nil, err
	}
	if scope.Account != call.Scope.Account {
		if denied := s.permit(call, p, sec, in); denied != nil {
			return p, nil, denied
		}
	}
	return p, sec, err
}

// alive is find for operations that a secret on its way out does not answer.
func (s *Service) alive(ctx context.Context, tx store.Tx, id string, in any) (place, *secret, error) {
	p, sec, err := s.find(ctx, tx, id, in)
	if err == nil && !sec.Deletion.IsZero() {
		err = invalidRequest("You can't perform this operation on the secret because it was marked for deletion.")
	}
	return p, sec, err
}

// change changes a secret that is not on its way out.
func (s *Service) change(ctx context.Context, id string, in any, fn func(p place, sec *secret) error) (full, name string, err error) {
	return s.changeIn(ctx, id, in, func(_ store.Tx, p place, sec *secret) error { return fn(p, sec) })
}

// changeIn is change for what needs the transaction.
func (s *Service) changeIn(ctx context.Context, id string, in any, fn func(tx store.Tx, p place, sec *secret) error) (full, name string, err error) {
	err = s.store.Update(ctx, func(tx store.Tx) error {
		p, sec, err := s.alive(ctx, tx, id, in)
		if err != nil {
			return err
		}
		if err := fn(tx, p, sec); err != nil {
			return err
		}
		sec.Changed = s.now().UTC().Truncate(time.Millisecond)
		full, name = p.arn(sec.Suffix), sec.Name
		return secrets.Put(tx, p.key(), sec)
	})
	return full, name, err
}

// version finds a version by its id, or the one that has a stage; nil: there is none.
func (sec *secret) version(id string) *version {
	for i := range sec.Versions {
		if sec.Versions[i].ID == id {
			return &sec.Versions[i]
		}
	}
	return nil
}

func (sec *secret) at(stage string) *version {
	for i := range sec.Versions {
		if slices.Contains(sec.Versions[i].Stages, stage) {
			return &sec.Versions[i]
		}
	}
	return nil
}

// valued finds a version that has a value by its id.
func (sec *secret) valued(id string) *version {
	if v := sec.version(id); v != nil && !v.Empty {
		return v
	}
	return nil
}

// stages are the versions that have any, for answers; nil where none has.
func (sec *secret) stages() map[string][]string {
	var out map[string][]string
	for _, v := range sec.Versions {
		if len(v.Stages) > 0 {
			if out == nil {
				out = map[string][]string{}
			}
			out[v.ID] = v.Stages
		}
	}
	return out
}

// moment is a time for answers; nil where it is none.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
