package template

import (
	"strconv"
	"strings"
)

// Given is a parameter as a request has it.
type Given struct {
	Key         string
	Value       string
	UsePrevious bool
}

// Value is a parameter's value.
type Value struct {
	Text     string // as given, or the default
	Resolved string // of AWS::SSM::Parameter::Value types: the value that Text names
	List     bool   // the type is a list; the text is comma-separated
	NoEcho   bool
}

// Values are the values of a template's parameters.
type Values map[string]Value

// text is what Ref finds, before a list is split.
func (v Value) text() string {
	if v.Resolved != "" {
		return v.Resolved
	}
	return v.Text
}

const ssmValue = "AWS::SSM::Parameter::Value<"

// scalarTypes are the parameter types that name one thing ("CloudFormation-supplied
// parameter types"); those that begin with AWS:: also come as List<...>.
var scalarTypes = map[string]bool{
	"String": true, "Number": true,
	"AWS::EC2::AvailabilityZone::Name": true, "AWS::EC2::Image::Id": true, "AWS::EC2::Instance::Id": true,
	"AWS::EC2::KeyPair::KeyName": true, "AWS::EC2::SecurityGroup::GroupName": true, "AWS::EC2::SecurityGroup::Id": true,
	"AWS::EC2::Subnet::Id": true, "AWS::EC2::Volume::Id": true, "AWS::EC2::VPC::Id": true, "AWS::Route53::HostedZone::Id": true,
	"AWS::SSM::Parameter::Name": true,
}

// typeIs takes a parameter type apart: its innermost type, whether it is a list,
// and whether its value is the name of a Parameter Store parameter.
func typeIs(name string) (element string, list, stored, ok bool) {
	if in, found := strings.CutPrefix(name, ssmValue); found && strings.HasSuffix(in, ">") {
		element, list, stored, ok = typeIs(strings.TrimSuffix(in, ">"))
		return element, list, true, ok && !stored && element != "Number"
	}
	if name == "CommaDelimitedList" {
		return "String", true, false, true
	}
	if in, found := strings.CutPrefix(name, "List<"); found && strings.HasSuffix(in, ">") {
		in = strings.TrimSuffix(in, ">")
		return in, true, false, scalarTypes[in] && in != "AWS::EC2::KeyPair::KeyName" && in != "AWS::SSM::Parameter::Name"
	}
	return name, false, false, scalarTypes[name]
}

func (p *parser) parameters(n *Node) {
	p.section(n, "Parameters", "Parameter", MaxParameters, func(name string, d *Node) {
		if !p.isMap(d, "a parameter") {
			return
		}
		p.t.Parameters = append(p.t.Parameters, p.parameter(name, d))
	})
}

func (p *parser) parameter(name string, n *Node) Parameter {
	d := Parameter{Node: n, Name: name}
	for _, e := range n.Entries {
		switch v := e.Value; e.Key {
		case "Type":
			d.Type = p.text(v, e.Key)
			if _, _, _, ok := typeIs(d.Type); !ok {
				p.at(v, "Template format error: Unrecognized parameter type: %s", d.Type)
			}
		case "Default":
			if s := p.text(v, e.Key); v.Scalar() {
				d.Default = &s
			}
		case "NoEcho":
			d.NoEcho = strings.EqualFold(p.text(v, e.Key), "true")
		case "Description":
			if d.Description = p.text(v, e.Key); len(d.Description) > 4000 {
				p.at(v, "Template format error: Parameter '%s' description length is greater than 4000.", name)
			}
		case "ConstraintDescription":
			d.ConstraintDescription = p.text(v, e.Key)
		case "AllowedValues":
			if v.Kind != List {
				p.at(v, "Template format error: Every AllowedValues member must be a list.")
			}
			for _, it := range v.Items {
				d.AllowedValues = append(d.AllowedValues, p.text(it, e.Key))
			}
		case "AllowedPattern":
			d.AllowedPattern = p.text(v, e.Key)
		case "MinLength":
			d.MinLength = p.length(v, e.Key)
		case "MaxLength":
			d.MaxLength = p.length(v, e.Key)
		case "MinValue":
			d.MinValue = p.bound(v, e.Key)
		case "MaxValue":
			d.MaxValue = p.bound(v, e.Key)
		default:
			p.at(v, "Invalid template parameter property '%s'", e.Key)
		}
	}
	if n.Get("Type") == nil {
		p.at(n, "Template format error: Every Parameters object must contain a Type member.")
	}
	return d
}

func (p *parser) length(n *Node, member string) *int64 {
	i, err := strconv.ParseInt(p.text(n, member), 10, 64)
	if err != nil {
		p.at(n, "Template format error: Every %s member must be an integer.", member)
		return nil
	}
	return &i
}

func (p *parser) bound(n *Node, member string) *float64 {
	f, err := strconv.ParseFloat(p.text(n, member), 64)
	if err != nil {
		p.at(n, "Template format error: Every %s member must be a number.", member)
		return nil
	}
	return &f
}
