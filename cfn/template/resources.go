package template

import "strings"

func (p *parser) mappings(n *Node) {
	p.section(n, "Mappings", "Mapping", MaxMappings, func(name string, m *Node) {
		if !p.isMap(m, "a mapping") {
			return
		}
		for _, top := range m.Entries {
			if !p.isMap(top.Value, "a mapping's key") {
				continue
			}
			if len(top.Value.Entries) > MaxMapAttributes {
				p.at(top.Value, "Template format error: Number of mapping attributes, %d, is greater than maximum allowed, %d", len(top.Value.Entries), MaxMapAttributes)
			}
			for _, second := range top.Value.Entries {
				p.mapped(second.Value)
			}
		}
		p.t.Mappings = append(p.t.Mappings, Mapping{Node: m, Name: name})
	})
}

func (p *parser) mapped(v *Node) {
	ok := v.Scalar() || v.Kind == List || v.Kind == Null
	for _, it := range v.Items {
		ok = ok && v.Kind == List && it.Scalar()
	}
	if !ok {
		p.at(v, "Template format error: Every Mappings attribute must be a String or a List.")
	}
}

func (p *parser) conditions(n *Node) {
	p.section(n, "Conditions", "Condition", MaxResources, func(name string, c *Node) {
		p.t.Conditions = append(p.t.Conditions, Condition{Node: c, Name: name})
	})
}

func (p *parser) rules(n *Node) {
	p.section(n, "Rules", "Rule", MaxParameters, func(name string, r *Node) {
		if !p.isMap(r, "a rule") {
			return
		}
		rule := Rule{Node: r, Name: name}
		for _, e := range r.Entries {
			switch e.Key {
			case "RuleCondition":
				rule.Condition = e.Value
			case "Assertions":
				for _, a := range e.Value.Items {
					if a.Get("Assert") == nil {
						p.at(a, "Template format error: Every Assertions member of a rule must contain an Assert object.")
						continue
					}
					rule.Assertions = append(rule.Assertions, Assertion{Assert: a.Get("Assert"), Description: p.text(a.Get("AssertDescription"), "AssertDescription")})
				}
			default:
				p.at(e.Value, "Invalid template rule property '%s'", e.Key)
			}
		}
		if len(rule.Assertions) == 0 {
			p.at(r, "Template format error: Every Rules object must contain an Assertions member.")
		}
		p.t.Rules = append(p.t.Rules, rule)
	})
}

func (p *parser) resources(n *Node) {
	p.section(n, "Resources", "Resource", MaxResources, func(id string, r *Node) {
		if r.Kind == Null {
			return
		}
		if r.Kind != Map {
			p.at(r, "Template format error: [%s] resource definition is malformed", r.Path())
			return
		}
		p.t.Resources = append(p.t.Resources, p.resource(id, r))
	})
}

func (p *parser) resource(id string, n *Node) Resource {
	r := Resource{Node: n, LogicalID: id}
	for _, e := range n.Entries {
		switch e.Key {
		case "Type":
			r.Type = p.text(e.Value, "Type")
		case "Properties":
			if e.Value.Kind == Call || p.isMap(e.Value, "Properties") {
				r.Properties = e.Value
			}
		case "DependsOn":
			r.DependsOn = p.dependsOn(e.Value)
		case "Condition":
			r.Condition = p.text(e.Value, "Condition")
		case "DeletionPolicy":
			r.DeletionPolicy = p.policy(e.Value, id, e.Key, "Delete", "Retain", "RetainExceptOnCreate", "Snapshot")
		case "UpdateReplacePolicy":
			r.UpdateReplacePolicy = p.policy(e.Value, id, e.Key, "Delete", "Retain", "Snapshot")
		case "CreationPolicy":
			r.CreationPolicy = e.Value
			p.isMap(e.Value, e.Key)
		case "UpdatePolicy":
			r.UpdatePolicy = e.Value
			p.isMap(e.Value, e.Key)
		case "Metadata":
			r.Metadata = e.Value
		case "Version": // of AWS::CloudFormation::CustomResource types
			p.text(e.Value, e.Key)
		case "Fn::Transform": // Validate reports it
		default:
			if !p.expands {
				p.at(e.Value, "Invalid template resource property '%s'", e.Key)
			}
		}
	}
	if n.Get("Type") == nil {
		p.at(n, "Template format error: [%s] Every Resources object must contain a Type member.", n.Path())
	}
	return r
}

func (p *parser) dependsOn(n *Node) []string {
	if n.Kind == String {
		return []string{n.Text}
	}
	var ids []string
	if n.Kind != List {
		p.text(n, "DependsOn")
		return nil
	}
	for _, it := range n.Items {
		if it.Kind != String {
			p.at(it, "Template format error: Every DependsOn value must be a string.")
			continue
		}
		ids = append(ids, it.Text)
	}
	return ids
}

func (p *parser) policy(n *Node, id, member string, allowed ...string) string {
	s := p.text(n, member)
	if !n.Scalar() {
		return ""
	}
	for _, a := range allowed {
		if s == a {
			return s
		}
	}
	p.at(n, "Template format error: Unrecognized %s %s for resource %s; it must be one of %s", member, s, id, strings.Join(allowed, ", "))
	return ""
}

func (p *parser) outputs(n *Node) {
	p.section(n, "Outputs", "Output", MaxOutputs, func(name string, o *Node) {
		if o.Kind == Null {
			return
		}
		if o.Kind != Map {
			p.at(o, "Template format error: Output %s is malformed.", name)
			return
		}
		out := Output{Node: o, Name: name}
		for _, e := range o.Entries {
			switch e.Key {
			case "Value":
				out.Value = e.Value
			case "Description":
				out.Description = p.text(e.Value, "Description")
				if len(out.Description) > MaxDescription {
					p.at(e.Value, "Template format error: Output %s description length is greater than %d.", name, MaxDescription)
				}
			case "Condition":
				out.Condition = p.text(e.Value, "Condition")
			case "Export":
				if out.Export = e.Value.Get("Name"); out.Export == nil || len(e.Value.Entries) != 1 {
					p.at(e.Value, "Template format error: Output %s is malformed: Export must have the member Name, and no other", name)
				}
			default:
				p.at(e.Value, "Invalid template output property '%s'", e.Key)
			}
		}
		if o.Get("Value") == nil {
			p.at(o, "Template format error: Every Outputs member must contain a Value object")
		} else {
			p.outputValue(out.Value)
		}
		p.t.Outputs = append(p.t.Outputs, out)
	})
}

func (p *parser) outputValue(v *Node) {
	if v.Kind == Map || v.Kind == List {
		p.at(v, "Template format error: The Value field of every Outputs member must evaluate to a String.")
	}
}
