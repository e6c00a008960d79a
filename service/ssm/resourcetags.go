package ssm

import (
	"context"
	"errors"
	"strings"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/store"
)

var _ auth.ResourceTags = (*Service)(nil)

// ResourceTags are a parameter's tags. Its ARN does not tell whether the name
// begins with a slash; one of several levels does.
func (s *Service) ResourceTags(ctx context.Context, resource string) (tags map[string]string, err error) {
	a, err := arn.Parse(resource)
	name, ok := strings.CutPrefix(a.Resource, "parameter/")
	if err != nil || !ok {
		return nil, nil
	}
	scope := arn.Scope{Account: a.Account, Region: a.Region}
	err = s.store.View(ctx, func(tx store.Tx) error {
		tags = map[string]string{}
		for _, n := range []string{name, "/" + name} {
			p, err := parameters.Get(tx, parameterKey(scope, n))
			if errors.Is(err, store.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			for k, v := range p.Tags {
				tags[k] = v
			}
		}
		return nil
	})
	return tags, err
}
