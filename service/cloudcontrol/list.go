package cloudcontrol

import (
	"context"
	"encoding/base64"
	"slices"
	"strings"

	api "github.com/slipway/slipway/api/cloudcontrol"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/cfn/plan"
	"github.com/slipway/slipway/fault"
)

// pageSize is how many entries one answer lists where it was not asked for fewer.
const pageSize = 20

func sizeOf(asked *int32) int {
	if asked == nil {
		return pageSize
	}
	return int(*asked)
}

// ListResources lists the resources of a type. ResourceModel selects those that
// have the properties that it names, as a parent's.
func (s *Service) ListResources(ctx context.Context, in *api.ListResourcesInput) (*api.ListResourcesOutput, error) {
	c := auth.From(ctx)
	who, err := s.caller(ctx, in.RoleArn)
	if err != nil {
		return nil, err
	}
	k, err := s.kind(c.Scope, in.TypeName, in.TypeVersionId, actionList)
	if err != nil {
		return nil, err
	}
	var model cfn.Properties
	if in.ResourceModel != "" {
		if model, err = properties("ResourceModel", in.ResourceModel); err != nil {
			return nil, err
		}
	}
	listing := digest(c.Scope.Key(), in.TypeName, in.ResourceModel)
	after, err := openToken(listing, in.NextToken)
	if err != nil {
		return nil, err
	}
	acting := s.acting(ctx, c.Scope, who, c.Operation, "")
	ids, err := k.List(acting)
	if err != nil {
		return nil, handlerError(k.Name, c.RequestID, err)
	}
	slices.Sort(ids)
	out := &api.ListResourcesOutput{TypeName: k.Name, ResourceDescriptions: []api.ResourceDescription{}}
	from, _ := slices.BinarySearch(ids, after)
	for _, id := range ids[from:] {
		if id == after {
			continue
		}
		if len(out.ResourceDescriptions) == sizeOf(in.MaxResults) {
			out.NextToken = makeToken(listing, after)
			break
		}
		d, err := s.describe(acting, k, id, model)
		if err != nil {
			return nil, handlerError(k.Name, c.RequestID, err)
		}
		after = id
		if d != nil {
			out.ResourceDescriptions = append(out.ResourceDescriptions, *d)
		}
	}
	return out, nil
}

// describe is a resource of a list; nil: it is not one of those that are asked for,
// or no longer there. It has what identifies it, and what the model selects by.
func (s *Service) describe(ctx context.Context, k *kind, physicalID string, model cfn.Properties) (*api.ResourceDescription, error) {
	names := k.schema.PrimaryIdentifier
	if id := k.known(physicalID); id != "" && model == nil {
		if parts := strings.Split(id, "|"); len(names) == 1 || len(parts) == len(names) {
			p := cfn.Properties{}
			for i, name := range names {
				p[name] = id
				if len(names) > 1 {
					p[name] = parts[i]
				}
			}
			return &api.ResourceDescription{Identifier: id, Properties: k.shown(p)}, nil
		}
	}
	p, err := k.Read(ctx, k.request(physicalID, ""))
	if fault.Is(err, cfn.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	shown := cfn.Properties{}
	for name, wanted := range model {
		if len(plan.Changed([]string{name}, cfn.Properties{name: wanted}, p)) > 0 {
			return nil, nil
		}
		shown[name] = p[name]
	}
	id, values := k.identifierOf(p)
	for name := range values {
		shown[name] = p[name]
	}
	return &api.ResourceDescription{Identifier: id, Properties: k.shown(shown)}, nil
}

// tokenSum is how many characters of a token tie it to its listing.
const tokenSum = 16

func makeToken(listing, place string) string {
	return base64.StdEncoding.EncodeToString([]byte(arn.Hash(listing)[:tokenSum] + place))
}

func openToken(listing, token string) (string, error) {
	if token == "" {
		return "", nil
	}
	b, err := base64.StdEncoding.DecodeString(token)
	place, ok := strings.CutPrefix(string(b), arn.Hash(listing)[:tokenSum])
	if err != nil || !ok || place == "" {
		return "", fault.New(fault.ValidationException, "NextToken is not one of this listing")
	}
	return place, nil
}
