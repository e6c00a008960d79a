package cloudformation

import (
	"github.com/slipway/slipway/cfn/apply"
	"github.com/slipway/slipway/cfn/guard"
)

// guardReport is what a Guard hook writes into its bucket for logs: the members that the
// JSON of "cfn-guard validate --structured" has for a document, with the place in the rules
// beside each check.
type guardReport struct {
	Name         string            `json:"name"`
	Metadata     map[string]string `json:"metadata"`
	Status       string            `json:"status"`
	NotCompliant []guardRuleReport `json:"not_compliant"`
	NotApplied   []string          `json:"not_applicable"`
	Compliant    []string          `json:"compliant"`
}

type guardRuleReport struct {
	Rule struct {
		Name     string            `json:"name"`
		Metadata map[string]string `json:"metadata"`
		Messages guardMessages     `json:"messages"`
		Checks   []guardCheck      `json:"checks"`
	} `json:"Rule"`
}

type guardMessages struct {
	Custom string `json:"custom_message"`
	Error  string `json:"error_message"`
}

type guardCheck struct {
	Clause struct {
		Context  string        `json:"context"`
		Messages guardMessages `json:"messages"`
		Path     string        `json:"path"`
		Location struct {
			Line   int `json:"line"`
			Column int `json:"column"`
		} `json:"location"`
	} `json:"Clause"`
}

// reportOf reports of each file of rules.
func reportOf(t *apply.HookTarget, reports []*guard.Report) []guardReport {
	all := []guardReport{}
	for _, r := range reports {
		out := guardReport{
			Name: t.LogicalID, Metadata: map[string]string{"rules": r.File}, Status: r.Status().String(),
			NotCompliant: []guardRuleReport{}, NotApplied: []string{}, Compliant: []string{},
		}
		for _, rule := range r.Rules {
			switch name := ruleName(r.File, rule.Name); rule.Status {
			case guard.Pass:
				out.Compliant = append(out.Compliant, name)
			case guard.Skip:
				out.NotApplied = append(out.NotApplied, name)
			default:
				out.NotCompliant = append(out.NotCompliant, ruleReport(name, rule.Failures))
			}
		}
		all = append(all, out)
	}
	return all
}

func ruleReport(name string, failures []guard.Failure) (out guardRuleReport) {
	out.Rule.Name, out.Rule.Metadata = name, map[string]string{}
	for _, f := range failures {
		var c guardCheck
		c.Clause.Context, c.Clause.Path, c.Clause.Messages = f.Clause, f.Path, guardMessages{Custom: f.Message, Error: f.Reason}
		c.Clause.Location.Line, c.Clause.Location.Column = f.Line, f.Column
		out.Rule.Checks = append(out.Rule.Checks, c)
	}
	return out
}
