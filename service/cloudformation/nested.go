package cloudformation

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/cfn/apply"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// maxDepth bounds how deep stacks are nested: a template that nests itself ends there.
const maxDepth = 16

// nesting is what a resource of type AWS::CloudFormation::Stack asks for.
type nesting struct {
	parent  *apply.Stack
	caller  apply.Caller
	url     string
	request request
	timeout int32
	set     *changeSet // that the parent's operation executes, nil where there is none
}

// CreateNested begins the creation of a nested stack, and tells its id. The same
// durable step gets the same stack.
func (s *Service) CreateNested(ctx context.Context, r cfn.Request) (string, error) {
	c := auth.From(ctx)
	n, err := s.nesting(ctx, r)
	if err != nil {
		return "", err
	}
	var st *apply.Stack
	err = s.asked(ctx, "CreateStack", &cloudformation.CreateStackInput{StackName: r.Name, TemplateURL: n.url}, func(ctx context.Context) error {
		w, err := s.wantNested(ctx, nil, n, r.Token)
		if err != nil {
			return err
		}
		return s.update(ctx, func(l *apply.Ledger) error {
			if st, err = s.nestedStack(l, c, n, r); err != nil || st.Step == r.Token {
				return err
			}
			st.Parent, st.ParentResource, st.Step = n.parent.ID, r.LogicalID, r.Token
			st.DisableRollback = n.parent.DisableRollback || n.parent.OnFailure == "DO_NOTHING"
			st.RetainExceptOnCreate = n.parent.RetainExceptOnCreate
			if n.timeout > 0 {
				until := l.Now.Add(time.Duration(n.timeout) * time.Minute)
				st.TimeoutMinutes, st.Until = n.timeout, &until
			}
			if err := s.begin(l, st, w, n.caller); err != nil || n.set == nil {
				return err
			}
			return n.set.executes(l, st)
		})
	})
	if err != nil {
		return "", err
	}
	return st.ID, nil
}

// UpdateNested begins the update of a nested stack, if its template, parameters or
// tags are others. The same durable step begins one.
func (s *Service) UpdateNested(ctx context.Context, r cfn.Request) error {
	c := auth.From(ctx)
	n, err := s.nesting(ctx, r)
	if err != nil {
		return err
	}
	return s.asked(ctx, "UpdateStack", &cloudformation.UpdateStackInput{StackName: r.PhysicalID, TemplateURL: n.url}, func(ctx context.Context) error {
		var st *apply.Stack
		err := s.view(ctx, func(tx store.Tx) (err error) {
			st, err = must(tx, c.Scope, r.PhysicalID, noStack)
			return err
		})
		if err != nil || st.Step == r.Token {
			return err
		}
		w, err := s.wantNested(ctx, st, n, r.Token)
		if err != nil {
			return err
		}
		err = s.update(ctx, func(l *apply.Ledger) error {
			st, err := must(l.Tx, c.Scope, r.PhysicalID, noStack)
			if err != nil || st.Step == r.Token {
				return err
			}
			if err := canUpdate(st); err != nil && !st.Held {
				return err
			}
			if n.set != nil {
				if err := n.set.stillLive(st); err != nil {
					return err
				}
			}
			st.DisableRollback = n.parent.DisableRollback
			st.RetainExceptOnCreate = n.parent.RetainExceptOnCreate
			if err := s.beginUpdate(l, st, w, n.caller, st.Policy); err != nil {
				return err
			}
			if n.set == nil {
				return obsolete(l.Tx, st, "")
			}
			return n.set.executes(l, st)
		})
		if errors.Is(err, errNoUpdates) {
			return nil
		}
		return err
	})
}

// errBusy has the step tried again: somebody else's operation changes the stack.
var errBusy = errors.New("another operation changes the nested stack")

// DeleteNested begins the deletion of a nested stack; false: it is gone.
func (s *Service) DeleteNested(ctx context.Context, r cfn.Request) (bool, error) {
	c := auth.From(ctx)
	there := false
	err := s.asked(ctx, "DeleteStack", &cloudformation.DeleteStackInput{StackName: r.PhysicalID}, func(ctx context.Context) error {
		return s.update(ctx, func(l *apply.Ledger) error {
			st, err := find(l.Tx, c.Scope, r.PhysicalID)
			if err != nil || st == nil || st.Status == apply.DeleteComplete {
				return err
			}
			there = true
			if st.Status == apply.DeleteInProgress || st.Step == r.Token {
				return nil
			}
			if st.Busy() && st.Status != apply.CreateInProgress {
				return errBusy
			}
			parent, err := apply.ParentOf(l.Tx, st)
			if err != nil {
				return err
			}
			in := &cloudformation.DeleteStackInput{}
			if parent != nil && parent.DeletionMode == "FORCE_DELETE_STACK" && st.Status == apply.DeleteFailed {
				in.DeletionMode = parent.DeletionMode
			}
			if reason, err := exportsInUse(l.Tx, st); err != nil || reason != "" {
				if err == nil {
					err = fault.New(fault.ValidationError, "Embedded stack %s was not successfully deleted: %s", st.ID, reason)
				}
				return err
			}
			st.Step = r.Token
			return s.beginDelete(l, st, in, apply.Caller{Principal: c.Principal, Endpoint: c.Endpoint, RequestID: c.RequestID})
		})
	})
	return there, err
}

// asked calls fn as an operation of the API that the stack's caller asks for.
func (s *Service) asked(ctx context.Context, operation string, in any, fn func(context.Context) error) error {
	if s.cfg.Authorizer == nil {
		return fn(ctx)
	}
	_, err := auth.Guard(s.cfg.Authorizer)(ctx, "cloudformation", operation, in, func(ctx context.Context) (any, error) {
		return nil, fn(ctx)
	})
	return err
}

// nesting reads a resource's properties, and what its parent passes on: role,
// capabilities and tags.
func (s *Service) nesting(ctx context.Context, r cfn.Request) (*nesting, error) {
	c := auth.From(ctx)
	n := &nesting{caller: apply.Caller{Principal: c.Principal, Endpoint: c.Endpoint, RequestID: c.RequestID}}
	reviewed := ""
	err := s.view(ctx, func(tx store.Tx) (err error) {
		if n.parent, err = must(tx, c.Scope, r.StackID, noStack); err != nil {
			return err
		}
		if err = checkDepth(tx, n.parent); err != nil {
			return err
		}
		var reviewedFor *apply.Stack
		if n.set, reviewedFor, err = nestedChangeSet(tx, c.Scope, n.parent, r.LogicalID); err != nil || n.set == nil {
			return err
		}
		if err = n.set.load(tx, reviewedFor); err != nil {
			return err
		}
		t, err := apply.Templates.Get(tx, n.set.Version.TemplateKey)
		if err != nil || n.set.Version.OriginalKey == "" {
			if err == nil {
				reviewed = t.Body
			}
			return err
		}
		n.request.processed, n.request.reviewed = t.Body, n.set.Version.Values()
		if t, err = apply.Templates.Get(tx, n.set.Version.OriginalKey); err == nil {
			reviewed = t.Body
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	n.url, _ = r.Properties["TemplateURL"].(string)
	n.request.source, n.request.stackName = source{URL: n.url, text: reviewed}, r.Name
	n.request.direct, n.request.requestID = true, arn.UUIDFrom(r.Token)
	n.request.Capabilities, n.request.RoleARN = n.parent.Version.Capabilities, n.parent.Version.RoleARN
	if n.request.Parameters, err = nestedParameters(r.Properties["Parameters"]); err != nil {
		return nil, err
	}
	n.request.Tags = nestedTags(n.parent.Version.Tags, r.Properties["Tags"])
	n.request.Notify = nestedTopics(r.Properties["NotificationARNs"])
	if v, ok := r.Properties["TimeoutInMinutes"]; ok {
		minutes, err := strconv.ParseInt(fmt.Sprint(v), 10, 32)
		if err != nil || minutes < 1 {
			return nil, fault.New(fault.ValidationError, "TimeoutInMinutes must be a number of minutes, and is %v", v)
		}
		n.timeout = int32(minutes)
	}
	return n, nil
}

// nestedStack claims a nested stack, or takes over the one that its change set was
// reviewed for.
func (s *Service) nestedStack(l *apply.Ledger, c auth.Call, n *nesting, r cfn.Request) (*apply.Stack, error) {
	if n.set == nil {
		return claim(l, c, apply.NestedName(n.parent.Name, r.LogicalID, r.Token))
	}
	st, err := must(l.Tx, c.Scope, n.set.StackID, noStack)
	if err == nil && st.Status != apply.ReviewInProgress && st.Step != r.Token {
		err = fault.New(fault.CFNAlreadyExists, "Stack [%s] already exists", st.Name)
	}
	return st, err
}

// checkDepth refuses a stack that is nested too deep.
func checkDepth(tx store.Tx, st *apply.Stack) error {
	for depth := 1; st != nil; depth++ {
		if depth > maxDepth {
			return fault.New(fault.ValidationError, "Stacks can be nested %d deep; the template that nests itself again is that of %s", maxDepth, st.ID)
		}
		var err error
		if st, err = apply.ParentOf(tx, st); err != nil {
			return err
		}
	}
	return nil
}

// nestedParameters are the parameters that a resource gives its stack.
func nestedParameters(v any) ([]cloudformation.Parameter, error) {
	given, _ := v.(map[string]any)
	out := []cloudformation.Parameter{}
	for key, value := range given {
		switch value.(type) {
		case map[string]any, []any, nil:
			return nil, fault.New(fault.ValidationError, "Value of property Parameters must be an object with String (or simple type) properties")
		}
		out = append(out, cloudformation.Parameter{ParameterKey: key, ParameterValue: cfn.Text(value)})
	}
	return out, nil
}

// nestedTags are the tags of a nested stack: the parent's and the resource's own.
func nestedTags(parent map[string]string, own any) []cloudformation.Tag {
	all := maps.Clone(parent)
	if all == nil {
		all = map[string]string{}
	}
	tags, _ := own.([]any)
	for _, t := range tags {
		m, _ := t.(map[string]any)
		all[cfn.Text(m["Key"])] = cfn.Text(m["Value"])
	}
	return describeTags(all)
}

// wantNested checks what a resource asks its stack to become.
func (s *Service) wantNested(ctx context.Context, st *apply.Stack, n *nesting, step string) (*wanted, error) {
	w, err := s.want(ctx, st, n.request)
	if err != nil {
		return nil, err
	}
	w.version.TemplateURL, w.version.RoleARN, w.step = n.url, n.parent.Version.RoleARN, step
	if n.set != nil {
		w.imports, w.live = n.set.Import, n.set.Live
	}
	return w, s.refuseCycle(ctx, n.parent, w)
}

// refuseCycle refuses a stack that is one of those that it is nested in once more:
// the same template with the same parameters.
func (s *Service) refuseCycle(ctx context.Context, parent *apply.Stack, w *wanted) error {
	return s.view(ctx, func(tx store.Tx) error {
		for at := parent; at != nil; {
			t, err := apply.Templates.Get(tx, at.Version.TemplateKey)
			if err != nil {
				return err
			}
			if t.Body == w.body && maps.Equal(at.Version.Values(), w.version.Values()) {
				return fault.New(fault.ValidationError, "Circular nesting: the template of stack %s nests itself with the same parameters", at.ID)
			}
			if at, err = apply.ParentOf(tx, at); err != nil {
				return err
			}
		}
		return nil
	})
}

// ReadNested tells a nested stack as its resource's properties have it. Parameters
// that are what the template gives them by default count where the resource sets
// them.
func (s *Service) ReadNested(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	c := auth.From(ctx)
	var st *apply.Stack
	var body string
	err := s.view(ctx, func(tx store.Tx) (err error) {
		if st, err = find(tx, c.Scope, r.PhysicalID); err != nil {
			return err
		}
		if st == nil || st.Status == apply.DeleteComplete {
			return fault.New(cfn.NotFound, "Stack %s is gone", r.PhysicalID)
		}
		t, err := apply.Templates.Get(tx, st.Version.TemplateKey)
		if err == nil {
			body = t.Body
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	tmpl, err := s.check(body)
	if err != nil {
		return nil, err
	}
	set, _ := r.Properties["Parameters"].(map[string]any)
	params := cfn.Properties{}
	for _, p := range st.Version.Parameters {
		d := tmpl.Parameter(p.Key)
		want, given := set[p.Key]
		switch {
		case given && cfn.Text(want) == p.Value:
			params[p.Key] = want
		case !given && d != nil && d.Default != nil && *d.Default == p.Value:
		case p.NoEcho:
			params[p.Key] = masked
		default:
			params[p.Key] = p.Value
		}
	}
	out := cfn.Properties{"StackId": st.ID, "TemplateURL": st.Version.TemplateURL}
	if len(params) > 0 {
		out["Parameters"] = params
	}
	var tags []any
	for _, t := range describeTags(st.Version.Tags) {
		tags = append(tags, map[string]any{"Key": t.Key, "Value": t.Value})
	}
	if len(tags) > 0 {
		out["Tags"] = tags
	}
	if len(st.Version.Notify) > 0 {
		out["NotificationARNs"] = asAny(st.Version.Notify)
	}
	if st.TimeoutMinutes > 0 {
		out["TimeoutInMinutes"] = int64(st.TimeoutMinutes)
	}
	return out, nil
}

// rootOf is the id of the stack at the top of a nested stack's tree; "" where the
// stack is not nested.
func rootOf(tx store.Tx, st *apply.Stack) (string, error) {
	root := ""
	for at, depth := st, 0; at.Parent != "" && depth <= maxDepth; depth++ {
		root = at.Parent
		parent, err := apply.ParentOf(tx, at)
		if err != nil || parent == nil {
			return root, err
		}
		at = parent
	}
	return root, nil
}

// describeAll describes stacks with their places in their trees.
func describeAll(tx store.Tx, all []*apply.Stack) ([]cloudformation.Stack, error) {
	out := make([]cloudformation.Stack, 0, len(all))
	for _, st := range all {
		d := describeStack(st)
		root, err := rootOf(tx, st)
		if err != nil {
			return nil, err
		}
		if d.ParentId, d.RootId = st.Parent, root; root != "" && d.EnableTerminationProtection != nil {
			top, err := apply.Stacks.Get(tx, st.Scope.Key()+"/"+apply.UUID(root))
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return nil, err
			}
			protected := top != nil && err == nil && top.TerminationProtection
			d.EnableTerminationProtection = &protected
		}
		out = append(out, d)
	}
	return out, nil
}

// notNested refuses an operation of the API on a nested stack.
func notNested(st *apply.Stack, operation string) error {
	if st.Parent == "" {
		return nil
	}
	return fault.New(fault.ValidationError, "%s cannot be called on the nested stack [%s]. Call it on the root stack of its tree.", operation, st.ID)
}

// unprotected checks the termination protection of a stack, which in a tree is the
// root's.
func unprotected(tx store.Tx, st *apply.Stack) error {
	if st.Status == apply.DeleteComplete {
		return nil
	}
	described, err := describeAll(tx, []*apply.Stack{st})
	if err != nil {
		return err
	}
	if isTrue(described[0].EnableTerminationProtection) {
		return fault.New(fault.ValidationError, "Stack [%s] cannot be deleted while TerminationProtection is enabled", st.Name)
	}
	return nil
}

// skippable checks one of ContinueUpdateRollback's ResourcesToSkip: a logical id of
// the stack, or NAME.ID of a stack that is nested in it.
func skippable(tx store.Tx, st *apply.Stack, op *apply.Operation, id string) error {
	refused := fault.New(fault.ValidationError, "The resource %s cannot be skipped: it is not among those that failed to roll back", id)
	name, in, nested := strings.Cut(id, ".")
	if !nested {
		if _, ok := op.Old[id]; !ok {
			return refused
		}
		return nil
	}
	child, err := find(tx, st.Scope, name)
	if err != nil {
		return err
	}
	if child == nil {
		return refused
	}
	root, err := rootOf(tx, child)
	if err != nil {
		return err
	}
	last, err := apply.LastOperation(tx, child)
	if err != nil {
		return err
	}
	if root != st.ID || last == nil {
		return refused
	}
	if _, ok := last.Old[in]; !ok {
		return refused
	}
	return nil
}
