package lambda

import (
	"bytes"
	"context"
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	api "github.com/slipway/slipway/api/lambda"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/policy"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// maxPolicy bounds the policy of a function, a version or an alias, in bytes.
const maxPolicy = 20 << 10

// permission is the policy of a function, of one of its versions or of an alias:
// statements, each by itself.
type permission struct {
	Statements []statement
	Revision   string
}

// statement is one of a policy, as AddPermission made it.
type statement struct {
	Sid  string
	Text string
}

// document is the policy as GetPolicy shows it.
func (p *permission) document() string {
	var b strings.Builder
	b.WriteString(`{"Version":"2012-10-17","Id":"default","Statement":[`)
	for i, s := range p.Statements {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(s.Text)
	}
	b.WriteString("]}")
	return b.String()
}

func (p *permission) find(sid string) int {
	if p == nil {
		return -1
	}
	return slices.IndexFunc(p.Statements, func(s statement) bool { return s.Sid == sid })
}

// sentence is a statement in the order of members that Lambda writes.
type sentence struct {
	Sid       string
	Effect    string
	Principal any
	Action    string
	Resource  string
	Condition map[string]map[string]string `json:",omitempty"`
}

func (s sentence) text() (string, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(s)
	return strings.TrimSuffix(b.String(), "\n"), err
}

var (
	servicePrincipalForm = regexp.MustCompile(`^[a-z0-9-]+(\.[a-z0-9-]+)*\.amazon(aws)?\.com(\.cn)?$`)
	iamPrincipalForm     = regexp.MustCompile(`^arn:aws[a-zA-Z-]*:(iam|sts)::\d{12}:.+$`)
)

// principalOf is a principal as a policy names it.
func principalOf(name string) (any, error) {
	switch {
	case name == "*":
		return "*", nil
	case arn.IsAccount(name):
		return map[string]string{"AWS": "arn:aws:iam::" + name + ":root"}, nil
	case iamPrincipalForm.MatchString(name):
		return map[string]string{"AWS": name}, nil
	case servicePrincipalForm.MatchString(name):
		return map[string]string{"Service": name}, nil
	}
	return nil, invalid("The provided principal was invalid. Please check the principal and try again.")
}

// sentenceOf is the statement that AddPermission makes.
func sentenceOf(in *api.AddPermissionInput, resource string) (sentence, error) {
	who, err := principalOf(in.Principal)
	if err != nil {
		return sentence{}, err
	}
	out := sentence{Sid: in.StatementId, Effect: "Allow", Principal: who, Action: in.Action, Resource: resource}
	when := func(operator, key, value string) {
		if value == "" {
			return
		}
		if out.Condition == nil {
			out.Condition = map[string]map[string]string{}
		}
		if out.Condition[operator] == nil {
			out.Condition[operator] = map[string]string{}
		}
		out.Condition[operator][key] = value
	}
	when("StringEquals", "AWS:SourceAccount", in.SourceAccount)
	when("StringEquals", "lambda:EventSourceToken", in.EventSourceToken)
	when("StringEquals", "aws:PrincipalOrgID", in.PrincipalOrgID)
	when("StringEquals", "lambda:FunctionUrlAuthType", in.FunctionUrlAuthType)
	when("ArnLike", "AWS:SourceArn", in.SourceArn)
	if in.InvokedViaFunctionUrl != nil {
		when("Bool", "lambda:InvokedViaFunctionUrl", map[bool]string{true: "true", false: "false"}[*in.InvokedViaFunctionUrl])
	}
	return out, nil
}

func checkAdd(in *api.AddPermissionInput, qualifier string) error {
	switch {
	case qualifier == latest:
		return invalid("We currently do not support adding policies for $LATEST.")
	case in.FunctionUrlAuthType != "" && in.Action != "lambda:InvokeFunctionUrl":
		return invalid("FunctionUrlAuthType is only supported for lambda:InvokeFunctionUrl action")
	}
	return nil
}

// AddPermission lets a principal do something with a function.
func (s *Service) AddPermission(ctx context.Context, in *api.AddPermissionInput) (*api.AddPermissionOutput, error) {
	p, qualifier, err := named(ctx, in.FunctionName, in.Qualifier)
	if err == nil {
		err = checkAdd(in, qualifier)
	}
	if err != nil {
		return nil, err
	}
	add, err := sentenceOf(in, p.arn(qualifier))
	if err != nil {
		return nil, err
	}
	text, err := add.text()
	if err != nil {
		return nil, err
	}
	token := auth.From(ctx).Token
	err = s.store.Update(ctx, func(tx store.Tx) error {
		l := looked{place: p, qualifier: qualifier}
		if err := s.lookAlias(ctx, tx, &l, in); err != nil {
			return err
		}
		f := l.function
		has := f.Policies[qualifier]
		if i := has.find(in.StatementId); i >= 0 {
			if token != "" && has.Statements[i].Text == text {
				return nil // the durable step has made it already
			}
			return conflict("The statement id (%s) provided already exists. Please provide a new statement id, or remove the existing statement.", in.StatementId)
		}
		if in.RevisionId != "" && (has == nil || in.RevisionId != has.Revision) {
			return stale("GetPolicy")
		}
		if has == nil {
			has = &permission{}
		}
		has.Statements, has.Revision = append(has.Statements, statement{in.StatementId, text}), arn.NewUUID()
		if len(has.document()) > maxPolicy {
			return fail(fault.PolicyLengthExceededException, "The final policy size (%d) is bigger than the limit (%d).", len(has.document()), maxPolicy)
		}
		if _, err := policy.Parse(has.document(), policy.Resource); err != nil {
			return invalid("The provided principal was invalid. Please check the principal and try again.")
		}
		if f.Policies == nil {
			f.Policies = map[string]*permission{}
		}
		f.Policies[qualifier] = has
		return s.putPolicy(tx, &l)
	})
	if err != nil {
		return nil, err
	}
	return &api.AddPermissionOutput{Statement: text}, nil
}

// lookAlias is lookIn for policies: an alias that is not there is told apart from a
// version.
func (s *Service) lookAlias(ctx context.Context, tx store.Tx, l *looked, in any) error {
	err := s.lookIn(ctx, tx, l, in)
	if q := l.qualifier; fault.Is(err, fault.ResourceNotFoundException) && l.function != nil && q != "" && !isVersion(q) && !strings.Contains(q, "$") {
		return notFound("Cannot find alias arn: %s", l.arn(q))
	}
	return err
}

// putPolicy writes a function whose policy has changed. The version's revision
// changes with it.
func (s *Service) putPolicy(tx store.Tx, l *looked) error {
	if err := functions.Put(tx, l.place.key(), l.function); err != nil {
		return err
	}
	if l.qualifier != "" {
		return nil
	}
	l.version.Revision = arn.NewUUID()
	return versions.Put(tx, l.place.versionKey(latest), l.version)
}

// RemovePermission takes a permission back.
func (s *Service) RemovePermission(ctx context.Context, in *api.RemovePermissionInput) (*api.RemovePermissionOutput, error) {
	p, qualifier, err := named(ctx, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	return &api.RemovePermissionOutput{}, s.store.Update(ctx, func(tx store.Tx) error {
		l := looked{place: p, qualifier: qualifier}
		if err := s.permit(ctx, tx, p, qualifier, in); err != nil {
			return err
		}
		f, err := getFunction(tx, p)
		if err != nil {
			return err
		}
		if f == nil {
			return notFound("No policy found for: %s", p.arn(qualifier))
		}
		if err := s.lookAlias(ctx, tx, &l, in); err != nil {
			return err
		}
		f = l.function
		has := f.Policies[qualifier]
		i := has.find(in.StatementId)
		switch {
		case has == nil:
			return notFound("No policy is associated with the given resource.")
		case i < 0:
			return notFound("Statement %s is not found in resource policy.", in.StatementId)
		case in.RevisionId != "" && in.RevisionId != has.Revision:
			return stale("GetPolicy")
		}
		has.Statements, has.Revision = slices.Delete(has.Statements, i, i+1), arn.NewUUID()
		if len(has.Statements) == 0 {
			delete(f.Policies, qualifier)
		}
		return s.putPolicy(tx, &l)
	})
}

// GetPolicy gives the policy of a function, a version or an alias.
func (s *Service) GetPolicy(ctx context.Context, in *api.GetPolicyInput) (*api.GetPolicyOutput, error) {
	p, qualifier, err := named(ctx, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	var out *api.GetPolicyOutput
	err = s.store.View(ctx, func(tx store.Tx) error {
		if err := s.permit(ctx, tx, p, qualifier, in); err != nil {
			return err
		}
		f, err := getFunction(tx, p)
		if err != nil {
			return err
		}
		if f == nil || f.Policies[qualifier] == nil {
			return gone()
		}
		has := f.Policies[qualifier]
		out = &api.GetPolicyOutput{Policy: has.document(), RevisionId: has.Revision}
		return nil
	})
	return out, err
}
