package cloudformation

import (
	"context"
	"fmt"
	"io"
	"maps"
	"strings"

	"github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/cfn/apply"
	"github.com/slipway/slipway/cfn/template"
	"github.com/slipway/slipway/cfn/transform"
	"github.com/slipway/slipway/fault"
)

// understand makes the template that the text of a request stands for. AWS's own
// transforms are run at once; where there are macros, the request waits for them
// (w.pending), unless it has an id for them.
func (s *Service) understand(ctx context.Context, st *apply.Stack, r request, body string, values template.Values) (*wanted, error) {
	root, problems := template.Read([]byte(body))
	if root == nil {
		return nil, problems.Err()
	}
	modules, err := s.expand(ctx, root)
	if err != nil {
		return nil, err
	}
	names := template.Transforms(root)
	if len(names) == 0 {
		return s.final(ctx, r, body, root, problems, modules, values)
	}
	declared, more := template.Declared(root)
	if err := append(problems, more...).Err(); err != nil {
		return nil, err
	}
	resolved, problems := declared.Resolve(given(r.Parameters), values, s.storedParameter(ctx))
	if err := problems.Err(); err != nil {
		return nil, err
	}
	if r.direct {
		if err := acknowledged(unprocessed(root, names), r.Capabilities); err != nil {
			return nil, err
		}
	}
	w := &wanted{original: body, tmpl: declared, version: apply.Version{
		Parameters: parameters(declared, resolved), Capabilities: r.Capabilities, Description: declared.Description, RoleARN: r.RoleARN,
	}}
	if w.pending = !transform.Hosted(names) && r.requestID == ""; w.pending {
		return w, nil
	}
	if r.processed != "" && maps.Equal(resolved, r.reviewed) {
		err = s.asReviewed(ctx, w, r, values)
	} else {
		w, err = s.process(ctx, st, w, r, resolved, values)
	}
	if err == nil {
		w.version.Modules = modules
	}
	return w, err
}

// asReviewed takes what the macros made when the template was reviewed.
func (s *Service) asReviewed(ctx context.Context, w *wanted, r request, values template.Values) error {
	tmpl, problems := template.ParseProcessed([]byte(r.processed))
	if err := problems.Err(); err != nil {
		return err
	}
	return s.transformed(ctx, w, r, tmpl, values)
}

// final is the template of a request that has no transforms, with what modules
// have brought.
func (s *Service) final(ctx context.Context, r request, body string, root *template.Node, problems template.Problems, modules map[string]apply.Module, values template.Values) (*wanted, error) {
	w := &wanted{body: body}
	var err error
	if len(modules) > 0 {
		w.original, w.body = body, string(root.JSON())
		tmpl, more := template.FromTree(root)
		w.tmpl, err = s.checked(tmpl, append(problems, more...))
	} else {
		w.tmpl, err = s.checked(template.Interpret(root, problems))
	}
	if err != nil {
		return nil, err
	}
	if err := s.settle(ctx, w, r, given(r.Parameters), values); err != nil {
		return nil, err
	}
	w.version.Modules = modules
	return w, nil
}

// process runs the transforms of a request's template.
func (s *Service) process(ctx context.Context, st *apply.Stack, w *wanted, r request, resolved, previous template.Values) (*wanted, error) {
	declared := w.tmpl
	in := transform.Input{
		Root: declared.Root, RequestID: r.requestID, Hosts: s.transforms(ctx),
		Env: template.Env{Parameters: resolved, Zones: s.cfg.Zones},
	}
	if st == nil {
		st = &apply.Stack{Name: r.stackName, Scope: auth.From(ctx).Scope}
	}
	in.Env.Pseudo = apply.PseudoOf(st)
	if r.Notify != nil {
		in.Env.Pseudo.NotificationARNs = r.Notify
	}
	tmpl, problems, err := transform.Process(in)
	if err != nil {
		return nil, err
	}
	if len(problems) > 0 {
		if !r.direct && r.requestID == "" { // as AWS has it, the change set tells
			w.failure = problems[0].Message
			return w, nil
		}
		return nil, problems.Err()
	}
	if tmpl, err = s.checked(tmpl, nil); err != nil {
		return nil, err
	}
	return w, s.transformed(ctx, w, r, tmpl, previous)
}

// transformed holds what the transforms have made against the request.
func (s *Service) transformed(ctx context.Context, w *wanted, r request, tmpl *template.Template, previous template.Values) error {
	w.body, w.tmpl = string(tmpl.Root.JSON()), tmpl
	var still []template.Given // a transform may have taken parameters away
	for _, g := range given(r.Parameters) {
		if tmpl.Parameter(g.Key) != nil {
			still = append(still, g)
		}
	}
	return s.settle(ctx, w, r, still, previous)
}

// settle holds a template that is to be deployed against the request.
func (s *Service) settle(ctx context.Context, w *wanted, r request, in []template.Given, previous template.Values) error {
	if err := allowedTypes(w.tmpl, r.ResourceTypes); err != nil {
		return err
	}
	resolved, problems := w.tmpl.Resolve(in, previous, s.storedParameter(ctx))
	if err := problems.Err(); err != nil {
		return err
	}
	if err := acknowledged(w.tmpl, r.Capabilities); err != nil {
		return err
	}
	w.version = apply.Version{
		Parameters: parameters(w.tmpl, resolved), Capabilities: r.Capabilities,
		Description: w.tmpl.Description, RoleARN: r.RoleARN,
	}
	return nil
}

// unprocessed is what a template that has transforms says before they ran, as far
// as it can be read.
func unprocessed(root *template.Node, names []string) *template.Template {
	tmpl, _ := template.FromTree(root)
	tmpl.Transform = names
	return tmpl
}

// transforms are what transforms reach of the world, as the caller.
func (s *Service) transforms(ctx context.Context) transform.Hosts {
	return transform.Hosts{
		Include: func(location string) ([]byte, error) { return s.included(ctx, location) },
		Macro:   func(name string, r transform.Request) ([]byte, error) { return s.runMacro(ctx, name, r) },
	}
}

// included reads the file of an AWS::Include from its bucket.
func (s *Service) included(ctx context.Context, location string) ([]byte, error) {
	if s.cfg.S3 == nil {
		return nil, fault.New(fault.NotImplemented, "this Slipway has no S3")
	}
	bucket, key, _ := s3URI(location) // it is one: see package transform
	out, err := s.cfg.S3.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: key})
	if err != nil {
		return nil, err
	}
	defer out.Body.Close()
	body, err := io.ReadAll(io.LimitReader(out.Body, template.MaxBody+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", location, err)
	}
	if len(body) > template.MaxBody {
		return nil, fault.New(fault.ValidationError, "The specified S3 object is longer than %d bytes", template.MaxBody)
	}
	return body, nil
}

// internalError is what users are told of an error without a code.
const internalError = "an internal error; Slipway's log has its text"

// said is what users are told of an error by which something has failed. The text of
// one without a code goes to the log.
func (s *Service) said(what, id string, err error) string {
	if _, ok := fault.As(err); !ok {
		s.cfg.Logger.Error(what+" failed", "id", id, "error", err)
		return internalError
	}
	return firstLine(err)
}

// firstLine is an error's text as events and change sets give it: without the
// places that follow.
func firstLine(err error) string {
	var text string
	if e, ok := fault.As(err); ok {
		text = e.Message
	} else if err != nil {
		text = err.Error()
	}
	line, _, _ := strings.Cut(text, "\n")
	return line
}
