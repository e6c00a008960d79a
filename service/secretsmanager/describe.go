package secretsmanager

import (
	"context"
	"encoding/base64"
	"slices"

	api "github.com/slipway/slipway/api/secretsmanager"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// DescribeSecret tells all of a secret but its values.
func (s *Service) DescribeSecret(ctx context.Context, in *api.DescribeSecretInput) (*api.DescribeSecretOutput, error) {
	var out *api.DescribeSecretOutput
	err := s.store.View(ctx, func(tx store.Tx) error {
		p, sec, err := s.find(ctx, tx, in.SecretId, in)
		if err != nil {
			return err
		}
		out = &api.DescribeSecretOutput{
			ARN: p.arn(sec.Suffix), Name: sec.Name, Description: sec.Description, KmsKeyId: sec.KeyID, Tags: sec.Tags,
			CreatedDate: &sec.Created, LastChangedDate: &sec.Changed, LastAccessedDate: moment(sec.Accessed), DeletedDate: moment(sec.Deletion),
			VersionIdsToStages: sec.stages(),
		}
		if r := sec.Rotation; r != nil {
			out.RotationEnabled, out.RotationLambdaARN, out.RotationRules = &r.Enabled, r.Lambda, &r.Rules
			out.LastRotatedDate, out.NextRotationDate = moment(r.Last), moment(r.Next)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// ListSecretVersionIds lists a secret's versions, those without a stage only if
// asked. The token leads to a version's id.
func (s *Service) ListSecretVersionIds(ctx context.Context, in *api.ListSecretVersionIdsInput) (*api.ListSecretVersionIdsOutput, error) {
	limit := limitOf(in.MaxResults, maxPage)
	var out *api.ListSecretVersionIdsOutput
	err := s.store.View(ctx, func(tx store.Tx) error {
		p, sec, err := s.find(ctx, tx, in.SecretId, in)
		if err != nil {
			return err
		}
		rest, err := sec.behind(in.NextToken)
		if err != nil {
			return err
		}
		out = &api.ListSecretVersionIdsOutput{ARN: p.arn(sec.Suffix), Name: sec.Name, Versions: []api.SecretVersionsListEntry{}}
		for i := range rest {
			v := &rest[i]
			if len(v.Stages) == 0 && !yes(in.IncludeDeprecated) {
				continue
			}
			if len(out.Versions) == limit {
				out.NextToken = base64.RawURLEncoding.EncodeToString([]byte(out.Versions[limit-1].VersionId))
				break
			}
			key := v.KeyID
			if key == "" {
				key = "DefaultEncryptionKey"
			}
			e := api.SecretVersionsListEntry{VersionId: v.ID, CreatedDate: &v.Created, LastAccessedDate: moment(v.Accessed), KmsKeyIds: []string{key}}
			if len(v.Stages) > 0 {
				e.VersionStages = v.Stages
			}
			out.Versions = append(out.Versions, e)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// behind are the versions behind that of a token.
func (sec *secret) behind(token string) ([]version, error) {
	if token == "" {
		return sec.Versions, nil
	}
	id, err := base64.RawURLEncoding.DecodeString(token)
	i := slices.IndexFunc(sec.Versions, func(v version) bool { return v.ID == string(id) })
	if err != nil || i < 0 {
		return nil, badToken()
	}
	return sec.Versions[i+1:], nil
}

func badToken() error {
	return fault.New(fault.InvalidNextTokenException, "The NextToken value is invalid.")
}
