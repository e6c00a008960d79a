package stackset

import (
	"errors"
	"slices"
	"strings"

	api "github.com/slipway/slipway/api/cloudformation"
)

// masked stands for the value of a NoEcho parameter.
const masked = "****"

// declare checks a request's parameters against the template's, and keeps them.
func (s *Service) declare(v *set, tmpl Template, given []api.Parameter) error {
	before := v.Parameters
	v.Parameters, v.Hidden, v.Declared = nil, nil, nil
	for _, d := range tmpl.Parameters {
		v.Declared = append(v.Declared, d.Key)
		if d.NoEcho {
			v.Hidden = append(v.Hidden, d.Key)
		}
	}
	asked, err := s.overridesOf(v, given)
	if err != nil {
		return err
	}
	var missing []string
	for _, d := range tmpl.Parameters {
		at := slices.IndexFunc(asked, func(o override) bool { return o.Key == d.Key })
		if at >= 0 && asked[at].Previous {
			had := slices.IndexFunc(before, func(b parameter) bool { return b.Key == d.Key })
			if had >= 0 {
				v.Parameters = append(v.Parameters, before[had])
				continue
			}
		} else if at >= 0 {
			v.Parameters = append(v.Parameters, asked[at].parameter)
			continue
		}
		if d.Default == nil {
			missing = append(missing, d.Key)
		}
	}
	if len(missing) > 0 {
		return invalid("Parameters: [%s] must have values", strings.Join(missing, ", "))
	}
	return nil
}

// overridesOf are the parameters of a request, which must be parameters of the set.
func (s *Service) overridesOf(v *set, in []api.Parameter) ([]override, error) {
	var out []override
	for _, p := range in {
		switch {
		case !slices.Contains(v.Declared, p.ParameterKey):
			return nil, invalid("Parameters: [%s] do not exist in the template", p.ParameterKey)
		case slices.ContainsFunc(out, func(o override) bool { return o.Key == p.ParameterKey }):
			return nil, invalid("Parameter %s is given twice.", p.ParameterKey)
		case yes(p.UsePreviousValue) && p.ParameterValue != "":
			return nil, invalid("Invalid input for parameter key %s. Cannot specify usePreviousValue as true and non empty value for a parameter", p.ParameterKey)
		}
		kept, err := s.keep(v, parameter{Key: p.ParameterKey, Value: p.ParameterValue})
		if err != nil {
			return nil, err
		}
		out = append(out, override{kept, yes(p.UsePreviousValue)})
	}
	return out, nil
}

// keep seals what a NoEcho parameter is set to.
func (s *Service) keep(v *set, p parameter) (parameter, error) {
	if !slices.Contains(v.Hidden, p.Key) {
		return p, nil
	}
	if s.cfg.Seal == nil {
		return p, errors.New("stackset: there is no key to seal a NoEcho parameter with")
	}
	sealed, err := s.cfg.Seal(p.Value)
	return parameter{p.Key, sealed, true}, err
}

// plain is what a parameter is set to.
func (s *Service) plain(p parameter) (string, error) {
	if !p.Sealed {
		return p.Value, nil
	}
	if s.cfg.Open != nil {
		if text, ok := s.cfg.Open(p.Value); ok {
			return text, nil
		}
	}
	return "", errors.New("stackset: the NoEcho parameter " + p.Key + " cannot be opened")
}

func (v *set) show(in []parameter) []api.Parameter {
	out := []api.Parameter{}
	for _, p := range in {
		value := p.Value
		if p.Sealed || slices.Contains(v.Hidden, p.Key) {
			value = masked
		}
		out = append(out, api.Parameter{ParameterKey: p.Key, ParameterValue: value})
	}
	return out
}

// override replaces the overrides of an instance.
func (i *instance) override(with []override) {
	var out []parameter
	for _, o := range with {
		p := o.parameter
		if o.Previous {
			at := slices.IndexFunc(i.Overrides, func(p parameter) bool { return p.Key == o.Key })
			if at < 0 {
				continue // the set's own value
			}
			p = i.Overrides[at]
		}
		out = append(out, p)
	}
	i.Overrides = out
}

// of are the parameters of an instance's stack: its own, and the set's for others.
func (s *Service) of(v *set, i *instance) (out []api.Parameter, err error) {
	for _, key := range v.Declared {
		for _, from := range [][]parameter{i.Overrides, v.Parameters} {
			at := slices.IndexFunc(from, func(p parameter) bool { return p.Key == key })
			if at < 0 {
				continue
			}
			value, err := s.plain(from[at])
			if err != nil {
				return nil, err
			}
			out = append(out, api.Parameter{ParameterKey: key, ParameterValue: value})
			break
		}
	}
	return out, nil
}
