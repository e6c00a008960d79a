package ssm

import (
	"context"
	"regexp"
	"strings"
	"sync"

	api "github.com/slipway/slipway/api/ssm"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

const maxLabels = 10 // of one version

var labelForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-zA-Z_.-][a-zA-Z0-9_.-]{0,99}$`) })

func validLabel(label string) bool {
	lower := strings.ToLower(label)
	return labelForm().MatchString(label) && !strings.HasPrefix(lower, "aws") && !strings.HasPrefix(lower, "ssm")
}

// LabelParameterVersion puts labels on a version, by default the newest; a label
// that another version has moves.
func (s *Service) LabelParameterVersion(ctx context.Context, in *api.LabelParameterVersionInput) (*api.LabelParameterVersionOutput, error) {
	scope := auth.From(ctx).Scope
	out := &api.LabelParameterVersionOutput{}
	err := s.store.Update(ctx, func(tx store.Tx) error {
		out.InvalidLabels = []string{}
		p, err := s.find(tx, scope, in.Name)
		if err != nil {
			return err
		}
		number := p.Latest.Number
		if in.ParameterVersion != nil {
			number = *in.ParameterVersion
		}
		if _, err := p.at(tx, scope, number); err != nil {
			return err
		}
		if p.Labels == nil {
			p.Labels = map[string]int64{}
		}
		for _, l := range in.Labels {
			if !validLabel(l) {
				out.InvalidLabels = append(out.InvalidLabels, l)
				continue
			}
			p.Labels[l] = number
		}
		if len(p.labelsOf(number)) > maxLabels {
			return fault.New(fault.ParameterVersionLabels, "A parameter version can have maximum %d labels. Move one or more labels to another version and try again.", maxLabels)
		}
		out.ParameterVersion = &number
		return parameters.Put(tx, parameterKey(scope, p.Name), p)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// UnlabelParameterVersion takes labels off a version.
func (s *Service) UnlabelParameterVersion(ctx context.Context, in *api.UnlabelParameterVersionInput) (*api.UnlabelParameterVersionOutput, error) {
	scope := auth.From(ctx).Scope
	out := &api.UnlabelParameterVersionOutput{}
	err := s.store.Update(ctx, func(tx store.Tx) error {
		out.InvalidLabels, out.RemovedLabels = []string{}, []string{}
		p, err := s.find(tx, scope, in.Name)
		if err != nil {
			return err
		}
		number := p.Latest.Number
		if in.ParameterVersion != nil {
			number = *in.ParameterVersion
		}
		if _, err := p.at(tx, scope, number); err != nil {
			return err
		}
		for _, l := range in.Labels {
			if p.Labels[l] != number {
				out.InvalidLabels = append(out.InvalidLabels, l)
				continue
			}
			delete(p.Labels, l)
			out.RemovedLabels = append(out.RemovedLabels, l)
		}
		return parameters.Put(tx, parameterKey(scope, p.Name), p)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
