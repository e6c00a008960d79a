package secretsmanager

import (
	"context"
	"slices"
	"time"

	api "github.com/slipway/slipway/api/secretsmanager"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// writing is one PutSecretValue or UpdateSecret.
type writing struct {
	id    string
	in    any // the call's input
	plain plainValue
	has   bool   // there is a value, which becomes a version
	token string // the version's id
	// stages of the version; none: AWSCURRENT.
	stages []string
	// rekey, where it is set, changes the secret's key to keyID.
	rekey       bool
	keyID       string
	description string

	full, name string
	made       *version // that the same call has made before
	attached   []string // the version's stages
}

// PutSecretValue makes a secret's next version.
func (s *Service) PutSecretValue(ctx context.Context, in *api.PutSecretValueInput) (*api.PutSecretValueOutput, error) {
	if in.RotationToken != "" {
		return nil, fault.New(fault.NotImplemented, "PutSecretValue: RotationToken is not built: rotation functions of other accounts are not.")
	}
	plain, has, err := given(in.SecretString, in.SecretBinary)
	switch {
	case err != nil:
		return nil, err
	case !has:
		return nil, invalidRequest("You must provide either SecretString or SecretBinary.")
	}
	if err := needsToken(in.ClientRequestToken); err != nil {
		return nil, err
	}
	if err := checkLabels(in.VersionStages); err != nil {
		return nil, err
	}
	w := writing{id: in.SecretId, in: in, plain: plain, has: true, token: in.ClientRequestToken, stages: in.VersionStages}
	if err := settle(func() error { return s.write(ctx, &w) }); err != nil {
		return nil, err
	}
	return &api.PutSecretValueOutput{ARN: w.full, Name: w.name, VersionId: w.token, VersionStages: w.attached}, nil
}

// UpdateSecret changes a secret's description or key, and makes its next version
// if the call has a value.
func (s *Service) UpdateSecret(ctx context.Context, in *api.UpdateSecretInput) (*api.UpdateSecretOutput, error) {
	if in.Type != "" {
		return nil, fault.New(fault.NotImplemented, "UpdateSecret: Type is not built: there are no external secrets.")
	}
	plain, has, err := given(in.SecretString, in.SecretBinary)
	if err == nil && has {
		err = needsToken(in.ClientRequestToken)
	}
	if err != nil {
		return nil, err
	}
	w := writing{
		id: in.SecretId, in: in, plain: plain, has: has, token: in.ClientRequestToken,
		rekey: in.KmsKeyId != "", keyID: in.KmsKeyId, description: in.Description,
	}
	if err := settle(func() error { return s.write(ctx, &w) }); err != nil {
		return nil, err
	}
	out := &api.UpdateSecretOutput{ARN: w.full, Name: w.name}
	if has {
		out.VersionId = w.token
	}
	return out, nil
}

// write decides by what is there, has KMS encrypt, and commits if what it has
// decided by is there still.
func (s *Service) write(ctx context.Context, w *writing) error {
	var p place
	var sec *secret
	err := s.store.View(ctx, func(tx store.Tx) (err error) {
		p, sec, err = s.alive(ctx, tx, w.id, w.in)
		return err
	})
	if err != nil {
		return err
	}
	w.full, w.name, w.made = p.arn(sec.Suffix), sec.Name, nil
	key := sec.KeyID
	if w.rekey {
		if key = w.keyID; p.isDefault(key) {
			key = ""
		}
	}
	if w.has {
		if err := reachable(ctx, p, key); err != nil {
			return err
		}
		if err := s.repeated(ctx, w, p, sec); err != nil {
			return err
		}
	}
	sealed := map[string]*value{} // by version
	if w.rekey && key != sec.KeyID {
		if sealed, err = s.resealed(ctx, p, sec, key); err != nil {
			return err
		}
	}
	if w.has && w.made == nil {
		if sealed[w.token], err = s.seal(ctx, p, w.full, key, w.token, w.plain); err != nil {
			return err
		}
	}
	if w.made != nil && len(sealed) == 0 && key == sec.KeyID && w.description == "" {
		return nil // a repetition
	}
	return s.store.Update(ctx, func(tx store.Tx) error { return s.commit(ctx, tx, w, sec, key, sealed) })
}

// repeated finds the version that the same call has made before.
func (s *Service) repeated(ctx context.Context, w *writing, p place, sec *secret) error {
	old := sec.valued(w.token)
	if old == nil {
		return nil
	}
	same, err := s.same(ctx, p, sec, w.token, w.plain)
	if err == nil && !same {
		err = fault.New(fault.ResourceExists, "You can't modify an existing version, you can only create new versions: there is a version %s with another value.", w.token)
	}
	w.made, w.attached = old, old.Stages
	return err
}

// resealed puts the values that the service's own stages name under another key.
func (s *Service) resealed(ctx context.Context, p place, sec *secret, key string) (map[string]*value, error) {
	out := map[string]*value{}
	for _, stage := range []string{current, previous, pending} {
		v := sec.at(stage)
		if v == nil || v.Empty || out[v.ID] != nil || v.KeyID == key {
			continue
		}
		sealed, err := s.sealedValue(ctx, p, v.ID)
		if err != nil {
			return nil, err
		}
		ok, err := s.reseal(ctx, p, p.arn(sec.Suffix), key, v.ID, sealed)
		if err != nil {
			return nil, err
		}
		if ok {
			out[v.ID] = sealed
		}
	}
	return out, nil
}

func (s *Service) commit(ctx context.Context, tx store.Tx, w *writing, decided *secret, key string, sealed map[string]*value) error {
	p, sec, err := s.alive(ctx, tx, w.id, w.in)
	if err != nil {
		return err
	}
	if sec.Suffix != decided.Suffix || sec.KeyID != decided.KeyID || w.has && (sec.valued(w.token) != nil) != (w.made != nil) {
		return errRaced
	}
	now := s.now().UTC().Truncate(time.Millisecond)
	sec.KeyID, sec.Changed = key, now
	if w.description != "" {
		sec.Description = w.description
	}
	if w.has && w.made == nil {
		made := sec.version(w.token) // a rotation's, which gets its value now
		if made == nil {
			sec.Versions = append(sec.Versions, version{ID: w.token, Created: now})
			made = &sec.Versions[len(sec.Versions)-1]
		}
		made.Empty = false
		for _, stage := range stagesOf(sec, w.stages) {
			sec.attach(made, stage)
		}
		w.attached = made.Stages
		if r := sec.Rotation; r != nil && r.Running == "" && r.Rules.AutomaticallyAfterDays != nil && slices.Contains(made.Stages, current) {
			r.plan(now) // a value that somebody puts counts as a rotation
		}
		if err := s.admit(tx, p, sec, now); err != nil {
			return err
		}
	}
	for id, v := range sealed {
		at := sec.version(id)
		if at == nil {
			return errRaced
		}
		at.KeyID = key
		if err := values.Put(tx, p.valueKey(id), v); err != nil {
			return err
		}
	}
	return secrets.Put(tx, p.key(), sec)
}

// stagesOf are the stages of a new version: the first one is current in any case.
func stagesOf(sec *secret, asked []string) []string {
	if len(asked) == 0 {
		return []string{current}
	}
	if sec.at(current) == nil && !slices.Contains(asked, current) {
		return append(slices.Clone(asked), current)
	}
	return asked
}

// admit makes room for a version that was added, or refuses it.
func (s *Service) admit(tx store.Tx, p place, sec *secret, now time.Time) error {
	if err := sec.checkStages(); err != nil {
		return err
	}
	for _, id := range sec.prune(now) {
		if err := values.Delete(tx, p.valueKey(id)); err != nil {
			return err
		}
	}
	if len(sec.Versions) > maxVersions {
		return fault.New(fault.LimitExceededException, "You have exceeded the number of versions that a secret can have: %d. Versions without staging labels are deleted after 24 hours.", maxVersions)
	}
	return nil
}
