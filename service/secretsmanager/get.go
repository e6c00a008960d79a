package secretsmanager

import (
	"context"
	"errors"
	"strings"
	"time"

	api "github.com/slipway/slipway/api/secretsmanager"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/policy"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// GetSecretValue tells a secret's value: the current one, or that of a version or
// stage.
func (s *Service) GetSecretValue(ctx context.Context, in *api.GetSecretValueInput) (*api.GetSecretValueOutput, error) {
	var p place
	var sec *secret
	var v *version
	var sealed *value
	err := s.store.View(ctx, func(tx store.Tx) (err error) {
		if p, sec, err = s.alive(ctx, tx, in.SecretId, in); err != nil {
			return err
		}
		if v, err = sec.chosen(in.VersionId, in.VersionStage); err != nil {
			return err
		}
		sealed, err = values.Get(tx, p.valueKey(v.ID))
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := reachable(ctx, p, v.KeyID); err != nil {
		return nil, err
	}
	plain, err := s.open(ctx, p.arn(sec.Suffix), v.ID, sealed)
	if err != nil {
		return nil, err
	}
	if err := s.accessed(ctx, p, sec, v.ID); err != nil {
		return nil, err
	}
	out := &api.GetSecretValueOutput{ARN: p.arn(sec.Suffix), Name: sec.Name, VersionId: v.ID, VersionStages: v.Stages, CreatedDate: &v.Created}
	if plain.binary {
		out.SecretBinary = plain.data
	} else {
		out.SecretString = string(plain.data)
	}
	return out, nil
}

// chosen is the version of an id and a stage, of which either may be "".
func (sec *secret) chosen(id, stage string) (*version, error) {
	if id != "" {
		v := sec.valued(id)
		switch {
		case v == nil:
			return nil, noValue("VersionId", id)
		case stage != "" && sec.at(stage) != v:
			return nil, invalidRequest("You provided a VersionStage that is not associated to the provided VersionId.")
		}
		return v, nil
	}
	if stage == "" {
		stage = current
	}
	if v := sec.at(stage); v != nil && !v.Empty {
		return v, nil
	}
	return nil, noValue("staging label", stage)
}

// accessed keeps the day on which a version was read last.
func (s *Service) accessed(ctx context.Context, p place, seen *secret, versionID string) error {
	day := s.now().UTC().Truncate(24 * time.Hour)
	if v := seen.version(versionID); !v.Accessed.Before(day) && !seen.Accessed.Before(day) {
		return nil
	}
	return s.store.Update(ctx, func(tx store.Tx) error {
		sec, err := secrets.Get(tx, p.key())
		if errors.Is(err, store.ErrNotFound) || err == nil && sec.Suffix != seen.Suffix {
			return nil // deleted meanwhile
		}
		if err != nil {
			return err
		}
		sec.Accessed = day
		if v := sec.version(versionID); v != nil {
			v.Accessed = day
		}
		return secrets.Put(tx, p.key(), sec)
	})
}

// maxBatch is how many secrets one BatchGetSecretValue tells.
const maxBatch = 20

// BatchGetSecretValue tells the values of several secrets: those that are named, or
// those that filters find. What the caller may not read is an error of its own.
func (s *Service) BatchGetSecretValue(ctx context.Context, in *api.BatchGetSecretValueInput) (*api.BatchGetSecretValueOutput, error) {
	switch {
	case (len(in.SecretIdList) == 0) == (len(in.Filters) == 0):
		return nil, invalid("You must include Filters or SecretIdList, but not both.")
	case len(in.SecretIdList) > 0 && (in.MaxResults != nil || in.NextToken != ""):
		return nil, invalid("To use MaxResults or NextToken, you must also use the Filters parameter.")
	}
	out := &api.BatchGetSecretValueOutput{SecretValues: []api.SecretValueEntry{}, Errors: []api.APIErrorType{}}
	ids := in.SecretIdList
	if len(ids) == 0 {
		found, next, err := s.list(ctx, listing{filters: in.Filters, token: in.NextToken, limit: limitOf(in.MaxResults, maxBatch)})
		if err != nil {
			return nil, err
		}
		for _, f := range found {
			ids = append(ids, f.place.arn(f.secret.Suffix))
		}
		out.NextToken = next
	}
	for _, id := range ids {
		got, err := s.readable(ctx, id)
		if f, ok := fault.As(err); ok {
			out.Errors = append(out.Errors, api.APIErrorType{SecretId: id, ErrorCode: f.Code, Message: f.Message})
			continue
		}
		if err != nil {
			return nil, err
		}
		out.SecretValues = append(out.SecretValues, api.SecretValueEntry{
			ARN: got.ARN, Name: got.Name, VersionId: got.VersionId, SecretBinary: got.SecretBinary, SecretString: got.SecretString,
			VersionStages: got.VersionStages, CreatedDate: got.CreatedDate,
		})
	}
	return out, nil
}

// readable is GetSecretValue for one secret of a batch, which needs leave of its own.
func (s *Service) readable(ctx context.Context, id string) (*api.GetSecretValueOutput, error) {
	call := auth.From(ctx)
	resource := id
	if !strings.HasPrefix(id, "arn:") {
		resource = call.Scope.ARN("secretsmanager", "secret:"+id).String()
	}
	ask := call.Asking("secretsmanager:GetSecretValue", resource, policy.Context{"secretsmanager:versionstage": {current}})
	if err := s.authorizer.Authorize(ctx, ask); err != nil {
		return nil, err
	}
	call.Operation = "GetSecretValue"
	return s.GetSecretValue(auth.With(ctx, call), &api.GetSecretValueInput{SecretId: id})
}
