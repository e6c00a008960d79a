package cloudformation

import (
	"context"
	"errors"
	"strings"

	"github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/service/cloudformation/stackset"
)

// unbuilt lies deeper than the operations on stack sets, which hide its own.
type unbuilt struct{ cloudformation.Unimplemented }

// newStackSets makes the part of the service that has stack sets.
func (s *Service) newStackSets(cfg Config) *stackset.Service {
	c := cfg.StackSets
	c.Store, c.Workflows, c.Logger, c.Now, c.Template = cfg.Store, cfg.Workflows, cfg.Logger, cfg.Now, s.stackSetTemplate
	c.List, c.Seal, c.Open = s.stackSetList, s.seal(), s.open
	if c.Stacks == nil {
		c.Stacks = func() cloudformation.Service { return s }
	}
	return stackset.New(c)
}

// stackSetList reads a list of accounts or stacks from a bucket, whose objects have
// s3 URLs here, too.
func (s *Service) stackSetList(ctx context.Context, url string, limit int64) (string, error) {
	if rest, ok := strings.CutPrefix(url, "s3://"); ok {
		url = "https://s3.amazonaws.com/" + rest
	}
	text, err := s.object(ctx, url, limit)
	if errors.Is(err, errTooLong) {
		return "", fault.New(fault.ValidationError, "%s may not exceed %d bytes in size.", url, limit)
	}
	return text, err
}

// stackSetTemplate reads and checks the template of a stack set. What only a stack
// can tell is found out by its stacks.
func (s *Service) stackSetTemplate(ctx context.Context, body, url string, capabilities []string) (stackset.Template, error) {
	text, err := s.read(ctx, source{Body: body, URL: url}, "")
	if err != nil {
		return stackset.Template{}, err
	}
	tmpl, err := s.check(text)
	if err != nil {
		return stackset.Template{}, err
	}
	if err := acknowledged(tmpl, capabilities); err != nil {
		return stackset.Template{}, err
	}
	out := stackset.Template{Body: text}
	for _, p := range tmpl.Parameters {
		out.Parameters = append(out.Parameters, stackset.Declared{Key: p.Name, Default: p.Default, NoEcho: p.NoEcho})
	}
	return out, nil
}
