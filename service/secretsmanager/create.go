package secretsmanager

import (
	"context"
	"crypto/subtle"
	"errors"
	"time"

	api "github.com/slipway/slipway/api/secretsmanager"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// errRaced says that another call has changed what a decision stood on between the
// two transactions around KMS's own. The call decides again.
var errRaced = errors.New("secretsmanager: the secret has changed meanwhile")

// attempts bounds how often one call decides again.
const attempts = 10

// settle runs a call until no other one has come between.
func settle(run func() error) error {
	for range attempts {
		if err := run(); !errors.Is(err, errRaced) {
			return err
		}
	}
	return invalidRequest("A previous request to change this secret is still in progress. Wait for it, and try again.")
}

// CreateSecret makes a secret, and its first version if the call has a value.
func (s *Service) CreateSecret(ctx context.Context, in *api.CreateSecretInput) (*api.CreateSecretOutput, error) {
	if err := checkCreate(in); err != nil {
		return nil, err
	}
	plain, has, err := given(in.SecretString, in.SecretBinary)
	if err == nil && has {
		err = needsToken(in.ClientRequestToken)
	}
	if err != nil {
		return nil, err
	}
	tags, err := mergeTags(ctx, nil, in.Tags)
	if err != nil {
		return nil, err
	}
	w := creating{call: auth.From(ctx), in: in, plain: plain, has: has, tags: tags}
	if err := settle(func() error { return s.create(ctx, &w) }); err != nil {
		return nil, err
	}
	return w.out, nil
}

func checkCreate(in *api.CreateSecretInput) error {
	switch {
	case len(in.AddReplicaRegions) > 0 || yes(in.ForceOverwriteReplicaSecret):
		return fault.New(fault.NotImplemented, "CreateSecret: AddReplicaRegions is not built.")
	case in.Type != "":
		return fault.New(fault.NotImplemented, "CreateSecret: Type is not built: there are no external secrets.")
	case len(in.Name) > maxName:
		return fault.New(fault.ValidationException, "Invalid name. Must have at most %d characters.", maxName)
	}
	return checkName(in.Name)
}

// needsToken wants the id of the version that a call makes. Clients of AWS give one
// by themselves.
func needsToken(token string) error {
	if token == "" {
		return invalidRequest("You must provide a ClientRequestToken value. We recommend a UUID-type value.")
	}
	return nil
}

// creating is one CreateSecret.
type creating struct {
	call  auth.Call
	in    *api.CreateSecretInput
	plain plainValue
	has   bool
	tags  []api.Tag

	sealed *value
	out    *api.CreateSecretOutput
}

func (w *creating) answer(p place, sec *secret, versionID string) {
	w.out = &api.CreateSecretOutput{ARN: p.arn(sec.Suffix), Name: sec.Name, VersionId: versionID}
}

func (s *Service) create(ctx context.Context, w *creating) error {
	p := place{w.call.Scope, w.in.Name}
	var was *secret
	err := s.store.View(ctx, func(tx store.Tx) (err error) {
		was, err = secrets.Get(tx, p.key())
		return err
	})
	if err == nil {
		return s.existing(ctx, w, p, was)
	}
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	now := s.now().UTC().Truncate(time.Millisecond)
	sec := &secret{
		Name: w.in.Name, Description: w.in.Description, KeyID: w.in.KmsKeyId, Token: w.call.Token, Created: now, Changed: now, Tags: w.tags,
	}
	if p.isDefault(sec.KeyID) {
		sec.KeyID = ""
	}
	if sec.Suffix, err = newSuffix(); err != nil {
		return err
	}
	versionID := ""
	if w.has {
		versionID = w.in.ClientRequestToken
		sec.Versions = []version{{ID: versionID, KeyID: sec.KeyID, Created: now, Stages: []string{current}}}
		if w.sealed, err = s.seal(ctx, p, p.arn(sec.Suffix), sec.KeyID, versionID, w.plain); err != nil {
			return err
		}
	}
	err = s.store.Update(ctx, func(tx store.Tx) error {
		if err := secrets.Insert(tx, p.key(), sec); err != nil || !w.has {
			return err
		}
		return values.Put(tx, p.valueKey(versionID), w.sealed)
	})
	if errors.Is(err, store.ErrExists) {
		return errRaced
	}
	w.answer(p, sec, versionID)
	return err
}

// existing answers a CreateSecret whose name is taken: by what the call itself has
// made, when it was made before, or by another secret.
func (s *Service) existing(ctx context.Context, w *creating, p place, sec *secret) error {
	token := w.in.ClientRequestToken
	switch {
	case !sec.Deletion.IsZero():
		return invalidRequest("You can't create this secret because a secret with this name is already scheduled for deletion.")
	case w.call.Token != "" && sec.Token == w.call.Token:
		id := ""
		if w.has {
			id = token
		}
		w.answer(p, sec, id)
		return nil
	case w.has && sec.version(token) != nil:
		same, err := s.same(ctx, p, sec, token, w.plain)
		if err != nil {
			return err
		}
		if same {
			w.answer(p, sec, token)
			return nil
		}
	}
	return fault.New(fault.ResourceExists, "The operation failed because the secret %s already exists.", w.in.Name)
}

// same reports whether a version has the value.
func (s *Service) same(ctx context.Context, p place, sec *secret, versionID string, plain plainValue) (bool, error) {
	v, err := s.sealedValue(ctx, p, versionID)
	if err != nil {
		return false, err
	}
	has, err := s.open(ctx, p.arn(sec.Suffix), versionID, v)
	return err == nil && has.binary == plain.binary && subtle.ConstantTimeCompare(has.data, plain.data) == 1, err
}

// sealedValue reads a version's value; errRaced where it is not there any more.
func (s *Service) sealedValue(ctx context.Context, p place, versionID string) (v *value, err error) {
	err = s.store.View(ctx, func(tx store.Tx) (err error) {
		v, err = values.Get(tx, p.valueKey(versionID))
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		err = errRaced
	}
	return v, err
}
