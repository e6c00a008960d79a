package transform

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/slipway/slipway/cfn/template"
)

// macro has a function process a fragment.
func (p *processor) macro(c call, fragment *template.Node, global bool) *template.Node {
	name, id := c.name, c.name
	if own, ok := strings.CutPrefix(name, p.in.Env.Pseudo.AccountID+"::"); ok {
		name = own
	} else {
		id = p.in.Env.Pseudo.AccountID + "::" + name
	}
	if p.in.Hosts.Macro == nil {
		p.fail(c.at, "No transform named %s found.", id)
		return fragment
	}
	r := Request{
		Region: p.in.Env.Pseudo.Region, AccountID: p.in.Env.Pseudo.AccountID, TransformID: id, RequestID: p.in.RequestID,
		Fragment: fragment.JSON(), Params: map[string]any{}, TemplateParameterValues: parameterValues(p.in.Env.Parameters),
	}
	if c.params != nil {
		r.Params, _ = p.values(c.params).(map[string]any)
	}
	answer, err := p.in.Hosts.Macro(name, r)
	switch {
	case errors.Is(err, ErrNoMacro):
		p.fail(c.at, "No transform named %s found.", id)
		return fragment
	case err != nil && text(err) != "":
		p.fail(c.at, "Transform %s failed with: %s", id, text(err))
		return fragment
	case err != nil:
		p.err = err
		return fragment
	}
	return p.answered(c, id, answer, fragment, global)
}

// answered reads a macro's answer.
func (p *processor) answered(c call, id string, answer []byte, fragment *template.Node, global bool) *template.Node {
	var a Response
	switch err := json.Unmarshal(answer, &a); {
	case err != nil || a.Status == "" || a.RequestID != p.in.RequestID:
		p.fail(c.at, "Received malformed response from transform %s", id)
		return fragment
	case !strings.EqualFold(a.Status, "success") && a.ErrorMessage != "":
		p.fail(c.at, "Transform %s failed with: %s.", id, strings.TrimSuffix(a.ErrorMessage, "."))
		return fragment
	case !strings.EqualFold(a.Status, "success"):
		p.fail(c.at, "Transform %s failed without an error message.", id)
		return fragment
	case len(a.Fragment) == 0:
		p.fail(c.at, "Received malformed response from transform %s", id)
		return fragment
	}
	made, err := template.FromJSON(a.Fragment, fragment)
	if err != nil {
		p.fail(c.at, "Received malformed response from transform %s", id)
		return fragment
	}
	if global && made.Kind != template.Map {
		p.fail(c.at, "Template format error: unsupported structure.")
		return fragment
	}
	if made.Get("Transform") != nil && global || len(template.Transforms(made)) > 0 {
		p.fail(c.at, "Transform %s failed with: what it returned asks for transforms, which a macro may not.", id)
	}
	return made
}

// parameterValues are the values of the template's parameters as macros get them.
func parameterValues(values template.Values) map[string]any {
	m := make(map[string]any, len(values))
	for name, v := range values {
		text := v.Text
		if v.Resolved != "" {
			text = v.Resolved
		}
		if !v.List {
			m[name] = text
			continue
		}
		l := []string{}
		for _, part := range strings.Split(text, ",") {
			if text != "" {
				l = append(l, strings.TrimSpace(part))
			}
		}
		m[name] = l
	}
	return m
}
