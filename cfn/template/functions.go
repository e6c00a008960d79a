package template

import (
	"sort"
	"strings"
)

// function is what is known of an intrinsic function: what its argument must
// look like and where it may stand.
type function struct {
	misuse      string               // AWS's message for a wrong argument
	fits        func(arg *Node) bool // nil: anything
	inCondition bool                 // may stand in Conditions
	boolean     bool                 // is itself a condition
	inRule      bool                 // stands in Rules only
	extension   bool                 // AWS::LanguageExtensions brings it
	unbuilt     string               // why the function is not built
}

const (
	selectMisuse = "Template error: Fn::Select requires a list argument with two elements: an integer index and a list"
	joinMisuse   = "Template error: every Fn::Join object requires two parameters, (1) a string delimiter and (2) a list of strings to be joined or a function that returns a list of strings (such as Fn::GetAZs) to be joined."
	splitMisuse  = "Template error: every Fn::Split object requires two parameters, (1) a string delimiter and (2) a string to be split or a function that returns a string to be split."
	subMisuse    = "Template error: One or more Fn::Sub intrinsic functions don't specify expected arguments. Specify a string as first argument, and an optional second argument to specify a mapping of values to replace in the string"
	getAttMisuse = "Template error: every Fn::GetAtt object requires two non-empty parameters, the resource name and the resource attribute"
	refMisuse    = "Template error: every Ref object must have a single String value."
	ifMisuse     = "Template error: Fn::If requires a list argument with three elements"
	mapMisuse    = "Template error: every Fn::FindInMap object requires three parameters, the map name, map key and the attribute for return value"
	cidrMisuse   = "Template error: every Fn::Cidr object requires two or three parameters: an IP block, a count from 1 to 256 and, optionally, the number of subnet bits"
	equalsMisuse = "Template error: every Fn::Equals object requires a list of 2 string parameters."
	andMisuse    = "Template error: every Fn::And object requires a list of at least 2 and at most 10 boolean parameters."
	orMisuse     = "Template error: every Fn::Or object requires a list of at least 2 and at most 10 boolean parameters."
	notMisuse    = "Template error: every Fn::Not object requires one boolean parameter."
)

var functions = map[string]*function{
	"Ref":                  {misuse: refMisuse, fits: isText, inCondition: true},
	"Condition":            {misuse: "Template error: every Condition object must have a single String value.", fits: isText, inCondition: true, boolean: true},
	"Fn::Base64":           {misuse: "Template error: every Fn::Base64 object must have a String-typed value.", fits: isStringy, inCondition: true},
	"Fn::Cidr":             {misuse: cidrMisuse, fits: list(2, 3)},
	"Fn::FindInMap":        {misuse: mapMisuse, fits: isFindInMap, inCondition: true},
	"Fn::GetAtt":           {misuse: getAttMisuse, fits: isGetAtt},
	"Fn::GetAZs":           {misuse: "Template error: every Fn::GetAZs object must have a String-typed value.", fits: isRegion},
	"Fn::If":               {misuse: ifMisuse, fits: isIf, inCondition: true},
	"Fn::ImportValue":      {misuse: "Template error: every Fn::ImportValue object must have a String-typed value.", fits: isStringy},
	"Fn::Join":             {misuse: joinMisuse, fits: isJoin, inCondition: true},
	"Fn::Select":           {misuse: selectMisuse, fits: isSelect, inCondition: true},
	"Fn::Split":            {misuse: splitMisuse, fits: isSplit, inCondition: true},
	"Fn::Sub":              {misuse: subMisuse, fits: isSub, inCondition: true},
	"Fn::And":              {misuse: andMisuse, fits: list(2, 10), inCondition: true, boolean: true},
	"Fn::Or":               {misuse: orMisuse, fits: list(2, 10), inCondition: true, boolean: true},
	"Fn::Not":              {misuse: notMisuse, fits: list(1, 1), inCondition: true, boolean: true},
	"Fn::Equals":           {misuse: equalsMisuse, fits: list(2, 2), inCondition: true, boolean: true},
	"Fn::Contains":         {misuse: "Template error: every Fn::Contains object requires a list of strings and a string.", fits: list(2, 2), inRule: true, boolean: true},
	"Fn::EachMemberEquals": {misuse: "Template error: every Fn::EachMemberEquals object requires a list of strings and a string.", fits: list(2, 2), inRule: true, boolean: true},
	"Fn::EachMemberIn":     {misuse: "Template error: every Fn::EachMemberIn object requires two lists of strings.", fits: list(2, 2), inRule: true, boolean: true},
	"Fn::RefAll":           {unbuilt: "Fn::RefAll needs the values that exist in the account"},
	"Fn::ValueOf":          {unbuilt: "Fn::ValueOf needs the attributes of what a parameter names"},
	"Fn::ValueOfAll":       {unbuilt: "Fn::ValueOfAll needs the attributes of what parameters name"},
	"Fn::Transform":        {unbuilt: "Fn::Transform runs a macro"},
	"Fn::Length":           {misuse: "Template error: every Fn::Length object requires a list, or a function that returns a list.", fits: isListy, inCondition: true, extension: true},
	"Fn::ToJsonString":     {misuse: "Template error: every Fn::ToJsonString object requires a map or a list.", fits: isCollection, inCondition: true, extension: true},
}

// supported lists the functions for the message about one that does not exist.
func supported() string {
	var names []string
	for n, f := range functions {
		if f.unbuilt == "" && n != "Condition" && !f.inRule && !f.extension {
			names = append(names, n)
		}
	}
	sort.Strings(names)
	return strings.Join(names, ", ")
}

// isFindInMap: three keys, and with AWS::LanguageExtensions a default.
func isFindInMap(n *Node) bool {
	return n.Kind == List && (len(n.Items) == 3 || len(n.Items) == 4 && hasDefault(n))
}

func hasDefault(arg *Node) bool {
	return len(arg.Items) == 4 && arg.Items[3].Kind == Map && len(arg.Items[3].Entries) == 1 && arg.Items[3].Get("DefaultValue") != nil
}

func isCollection(n *Node) bool {
	return n.Kind == Map || n.Kind == List || n.Kind == Call && !makesText(n)
}

func isText(n *Node) bool { return n.Kind == String && n.Text != "" || n.Kind == Number }

// isStringy: text, or a function that may make it.
func isStringy(n *Node) bool { return n.Scalar() || n.Kind == Call && !makesList(n) }

func isRegion(n *Node) bool { return n.Kind == Null || isStringy(n) }

func isListy(n *Node) bool { return n.Kind == List || n.Kind == Call && !makesText(n) }

func makesList(n *Node) bool {
	return n.Fn == "Fn::Split" || n.Fn == "Fn::Cidr" || n.Fn == "Fn::GetAZs"
}

func makesText(n *Node) bool {
	return n.Fn == "Fn::Join" || n.Fn == "Fn::Sub" || n.Fn == "Fn::Base64" || n.Fn == "Fn::ImportValue"
}

func list(least, most int) func(*Node) bool {
	return func(n *Node) bool { return n.Kind == List && len(n.Items) >= least && len(n.Items) <= most }
}

func isJoin(n *Node) bool {
	return n.Kind == List && len(n.Items) == 2 && n.Items[0].Scalar() && isListy(n.Items[1])
}

func isSplit(n *Node) bool {
	return n.Kind == List && len(n.Items) == 2 && n.Items[0].Scalar() && n.Items[0].Text != "" && isStringy(n.Items[1])
}

func isSelect(n *Node) bool {
	return n.Kind == List && len(n.Items) == 2 && isStringy(n.Items[0]) && isListy(n.Items[1])
}

func isIf(n *Node) bool {
	return n.Kind == List && len(n.Items) == 3 && n.Items[0].Kind == String
}

func isSub(n *Node) bool {
	if n.Scalar() {
		return true
	}
	return n.Kind == List && len(n.Items) == 2 && n.Items[0].Scalar() && n.Items[1].Kind == Map
}

func isGetAtt(n *Node) bool {
	resource, attribute := getAtt(n)
	return resource != "" && attribute != nil && (attribute.Kind == Call || attribute.Text != "")
}

// getAtt takes the argument of Fn::GetAtt apart: "A.b.c" or [A, b.c] or [A, b, c].
func getAtt(n *Node) (resource string, attribute *Node) {
	switch {
	case n.Kind == String:
		r, a, ok := strings.Cut(n.Text, ".")
		if !ok {
			return r, nil
		}
		return r, &Node{Kind: String, Text: a, Line: n.Line, Column: n.Column, parent: n.parent, key: n.key}
	case n.Kind == List && len(n.Items) == 2 && n.Items[0].Kind == String && (n.Items[1].Scalar() || n.Items[1].Kind == Call):
		return n.Items[0].Text, n.Items[1]
	case n.Kind == List && len(n.Items) > 2:
		var parts []string
		for _, it := range n.Items {
			if it.Kind != String {
				return "", nil
			}
			parts = append(parts, it.Text)
		}
		return parts[0], &Node{Kind: String, Text: strings.Join(parts[1:], "."), Line: n.Line, Column: n.Column, parent: n.parent, key: n.key}
	}
	return "", nil
}

// subPart is a literal piece of an Fn::Sub string, or a variable.
type subPart struct {
	text     string
	variable bool
}

// subParts takes an Fn::Sub string apart; bad is the first variable whose name
// is none. "${!x}" is the text "${x}".
func subParts(s string) (parts []subPart, bad string) {
	for {
		i := strings.Index(s, "${")
		if i < 0 {
			break
		}
		end := strings.IndexByte(s[i:], '}')
		if end < 0 {
			break
		}
		name := s[i+2 : i+end]
		if i > 0 {
			parts = append(parts, subPart{text: s[:i]})
		}
		s = s[i+end+1:]
		if literal, ok := strings.CutPrefix(name, "!"); ok {
			parts = append(parts, subPart{text: "${" + literal + "}"})
			continue
		}
		name = strings.TrimSpace(name)
		if bad == "" && !variableName(name) {
			bad = name
		}
		parts = append(parts, subPart{text: name, variable: true})
	}
	if s != "" {
		parts = append(parts, subPart{text: s})
	}
	return parts, bad
}

func variableName(s string) bool {
	for _, c := range s {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '.' || c == ':') {
			return false
		}
	}
	return s != ""
}

// sub is an Fn::Sub argument's string node and its own variables, which may be nil.
func sub(arg *Node) (text, variables *Node) {
	if arg.Kind == List && len(arg.Items) == 2 {
		return arg.Items[0], arg.Items[1]
	}
	return arg, nil
}
