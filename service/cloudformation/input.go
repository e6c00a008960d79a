package cloudformation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"

	"github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/api/ssm"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/cfn/apply"
	"github.com/slipway/slipway/cfn/plan"
	"github.com/slipway/slipway/cfn/template"
	"github.com/slipway/slipway/cfn/transform"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/service/cloudformation/stackset"
	"github.com/slipway/slipway/store"
)

// Limits of a request ("AWS CloudFormation quotas").
const (
	maxInline = 51_200
	maxTags   = 50
)

// source is where a request has its template from.
type source struct {
	Body, URL   string
	UsePrevious bool
	text        string // what has been read already
}

// read fetches the template's text. previous is that of the stack, "" if it has
// none.
func (s *Service) read(ctx context.Context, src source, previous string) (string, error) {
	switch {
	case src.text != "":
		return src.text, nil
	case src.Body != "" && src.URL != "":
		return "", fault.New(fault.ValidationError, "You cannot specify both Template URL and Template Body.")
	case src.UsePrevious && (src.Body != "" || src.URL != ""):
		return "", fault.New(fault.ValidationError, "You cannot specify both usePreviousTemplate and Template Body/Template URL.")
	case src.Body != "":
		if len(src.Body) > maxInline {
			return "", fault.New(fault.ValidationError, "1 validation error detected: Value at 'templateBody' failed to satisfy constraint: Member must have length less than or equal to %d", maxInline)
		}
		return src.Body, nil
	case src.URL == stackset.InternalURL:
		if text, ok := stackset.TemplateOf(ctx); ok {
			return text, nil
		}
		return s.fetch(ctx, src.URL)
	case src.URL != "":
		return s.fetch(ctx, src.URL)
	case src.UsePrevious && previous != "":
		return previous, nil
	}
	return "", fault.New(fault.ValidationError, "Either Template URL or Template Body must be specified.")
}

// fetch reads a template from a bucket, as the caller.
func (s *Service) fetch(ctx context.Context, raw string) (string, error) {
	text, err := s.object(ctx, raw, template.MaxBody)
	if errors.Is(err, errTooLong) {
		return "", fault.New(fault.ValidationError, "Template may not exceed %d bytes in size.", template.MaxBody)
	}
	return text, err
}

var errTooLong = errors.New("the object is too long")

// s3URI takes the URI of an object in S3 apart: s3://bucket/key.
func s3URI(text string) (bucket, key string, ok bool) {
	rest, ok := strings.CutPrefix(text, "s3://")
	bucket, key, _ = strings.Cut(rest, "/")
	return bucket, key, ok && bucket != "" && key != ""
}

// object reads an object of at most limit bytes, as the caller.
func (s *Service) object(ctx context.Context, raw string, limit int64) (string, error) {
	bucket, key, version, err := bucketOf(raw, auth.From(ctx).Endpoint)
	if err != nil {
		return "", err
	}
	if s.cfg.S3 == nil {
		return "", fault.New(fault.NotImplemented, "TemplateURL is not implemented: this Slipway has no S3")
	}
	out, err := s.cfg.S3.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: key, VersionId: version})
	if err != nil {
		if e, ok := fault.As(err); ok {
			return "", fault.New(fault.ValidationError, "S3 error: %s\nFor more information check http://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html", e.Message)
		}
		return "", err
	}
	defer out.Body.Close()
	body, err := io.ReadAll(io.LimitReader(out.Body, limit+1))
	if err != nil {
		return "", fmt.Errorf("read %s: %w", raw, err)
	}
	if int64(len(body)) > limit {
		return "", errTooLong
	}
	return string(body), nil
}

// bucketOf takes apart the URL of an object: path-style or virtual-hosted, on
// AWS's host names or on the endpoint by which the caller reached Slipway.
func bucketOf(raw, endpoint string) (bucket, key, version string, err error) {
	u, parseErr := url.Parse(raw)
	if parseErr == nil && u.Scheme == "s3" {
		return "", "", "", notS3(u.Hostname())
	}
	if parseErr != nil || u.Scheme != "https" && u.Scheme != "http" {
		return "", "", "", fault.New(fault.ValidationError, "TemplateURL must be a supported URL.")
	}
	path := strings.TrimPrefix(u.Path, "/")
	host := u.Hostname()
	own, _ := url.Parse(endpoint)
	switch {
	case s3Host(host) || own != nil && own.Host != "" && u.Host == own.Host || loopbackHost(host):
		bucket, key, _ = strings.Cut(path, "/")
	default:
		first, rest, ok := strings.Cut(host, ".")
		for ok && !s3Host(rest) && !(rest == "localhost" || own != nil && rest == own.Hostname()) {
			var more string
			more, rest, ok = strings.Cut(rest, ".")
			first += "." + more
		}
		if !ok {
			return "", "", "", notS3(host)
		}
		bucket, key = first, path
	}
	if bucket == "" || key == "" {
		return "", "", "", fault.New(fault.ValidationError, "TemplateURL must reference a valid S3 object to which you have access.")
	}
	return bucket, key, u.Query().Get("versionId"), nil
}

func notS3(host string) error {
	return fault.New(fault.ValidationError, "S3 error: Domain name specified in %s is not a valid S3 domain", host)
}

// s3Host reports whether host is one of AWS's names of S3 itself.
func s3Host(host string) bool {
	if host == "s3.localhost" {
		return true
	}
	name, ok := strings.CutSuffix(host, ".amazonaws.com")
	if !ok {
		return false
	}
	if name == "s3" || strings.HasPrefix(name, "s3-") && !strings.Contains(name, ".") {
		return true
	}
	rest, ok := strings.CutPrefix(name, "s3.")
	return ok && !strings.Contains(strings.TrimPrefix(rest, "dualstack."), ".")
}

func loopbackHost(host string) bool {
	return host == "localhost" || host == "::1" || strings.HasPrefix(host, "127.")
}

// wanted is what a request asks a stack to become.
type wanted struct {
	body    string
	tmpl    *template.Template
	version apply.Version
	imports map[string]plan.Existing // by logical id
	live    map[string]plan.Found    // what the stack's resources are, of drift-aware change sets
	step    string                   // of the parent, which asks for it; "" of a stack that is not nested

	original string // the template as it was given, where transforms have made body of it
	pending  bool   // macros have to run first: there is an original only
	failure  string // of the transforms, told by the change set
}

// keep keeps the wanted version's template.
func (w *wanted) keep(tx store.Tx, st *apply.Stack) (err error) {
	if w.original != "" {
		if w.version.OriginalKey, err = apply.PutTemplate(tx, st, w.original); err != nil {
			return err
		}
	}
	if w.body != "" {
		w.version.TemplateKey, err = apply.PutTemplate(tx, st, w.body)
	}
	return err
}

// request is what CreateStack, UpdateStack and CreateChangeSet have in common.
type request struct {
	source
	Parameters    []cloudformation.Parameter
	Capabilities  []string
	ResourceTypes []string
	RoleARN       string
	Tags          []cloudformation.Tag
	Notify        []string
	Rollback      *cloudformation.RollbackConfiguration

	stackName string
	direct    bool   // no change set is reviewed first
	requestID string // of macros, which run at once where it is given
	// processed is what the macros made when the template was reviewed with the
	// parameters reviewed: with the same ones it is what is deployed.
	processed string
	reviewed  template.Values
}

// want checks a request as far as that needs no look at the stack's resources.
// st is nil for a new stack.
func (s *Service) want(ctx context.Context, st *apply.Stack, r request) (*wanted, error) {
	if err := s.refuse(r); err != nil {
		return nil, err
	}
	previous, values := "", template.Values(nil)
	if st != nil && st.Version.TemplateKey != "" {
		values = st.Version.Values()
		err := s.view(ctx, func(tx store.Tx) error {
			t, err := apply.Templates.Get(tx, cmp.Or(st.Version.OriginalKey, st.Version.TemplateKey))
			if err == nil {
				previous = t.Body
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	body, err := s.read(ctx, r.source, previous)
	if err != nil {
		return nil, err
	}
	w, err := s.understand(ctx, st, r, body, values)
	if err != nil {
		return nil, err
	}
	if w.version.Tags, err = tagMap(r.Tags); err != nil {
		return nil, err
	}
	if err := s.checkTopics(ctx, r.Notify); err != nil {
		return nil, err
	}
	w.version.Notify, w.version.Rollback = r.Notify, rollbackOf(r.Rollback, st)
	if st != nil {
		if r.Notify == nil {
			w.version.Notify = st.Version.Notify
		}
		if r.Tags == nil {
			w.version.Tags = st.Version.Tags
		}
		if r.RoleARN == "" {
			w.version.RoleARN = st.Version.RoleARN
		}
	}
	return w, nil
}

// refuse names what is asked for and not built, so that nothing is pretended.
func (s *Service) refuse(r request) error {
	switch {
	case len(r.Notify) > 0 && s.cfg.SNS == nil:
		return fault.New(fault.NotImplemented, "NotificationARNs are not implemented: this Slipway has no SNS")
	}
	return s.checkRollback(r.Rollback)
}

// parse reads a template that is to be deployed: one without transforms, or one
// that they have made.
func (s *Service) parse(body string, processed bool) (*template.Template, error) {
	read := template.Parse
	if processed {
		read = template.ParseProcessed
	}
	tmpl, problems := read([]byte(body))
	return s.checked(tmpl, problems)
}

// checked checks what can be said of a template by itself.
func (s *Service) checked(tmpl *template.Template, problems template.Problems) (*template.Template, error) {
	if tmpl != nil {
		problems = append(problems, tmpl.Validate(known{s})...)
		problems.Sort()
	}
	if err := problems.Err(); err != nil {
		return nil, err
	}
	return tmpl, nil
}

// check reads a template and checks what can be said of it by itself. Of one that
// has transforms or modules that is what it declares.
func (s *Service) check(body string) (*template.Template, error) {
	root, problems := template.Read([]byte(body))
	if root == nil {
		return nil, problems.Err()
	}
	names := template.Transforms(root)
	if len(names) == 0 && !transform.HasModules(root) {
		return s.checked(template.Interpret(root, problems))
	}
	_, more := template.Declared(root)
	if err := append(problems, more...).Err(); err != nil {
		return nil, err
	}
	return unprocessed(root, names), nil
}

func given(in []cloudformation.Parameter) []template.Given {
	out := make([]template.Given, 0, len(in))
	for _, p := range in {
		out = append(out, template.Given{Key: p.ParameterKey, Value: p.ParameterValue, UsePrevious: isTrue(p.UsePreviousValue)})
	}
	return out
}

// storedParameter reads a parameter of Systems Manager as the caller.
func (s *Service) storedParameter(ctx context.Context) func(string) (string, error) {
	return func(name string) (string, error) {
		if s.cfg.SSM == nil {
			return "", fault.New(fault.NotImplemented, "parameters of Systems Manager are not implemented in this Slipway")
		}
		out, err := s.cfg.SSM.GetParameter(ctx, &ssm.GetParameterInput{Name: name})
		if err != nil {
			return "", err
		}
		return out.Parameter.Value, nil
	}
}

func parameters(tmpl *template.Template, values template.Values) []apply.Parameter {
	var out []apply.Parameter
	for _, d := range tmpl.Parameters {
		v, ok := values[d.Name]
		if !ok {
			continue
		}
		out = append(out, apply.Parameter{Key: d.Name, Value: v.Text, Resolved: v.Resolved, List: v.List, NoEcho: v.NoEcho})
	}
	return out
}

func tagMap(tags []cloudformation.Tag) (map[string]string, error) {
	if len(tags) > maxTags {
		return nil, constraint("tags", fmt.Sprint(len(tags)), "Member must have length less than or equal to 50")
	}
	out := map[string]string{}
	for _, t := range tags {
		switch {
		case t.Key == "" || len(t.Key) > 128:
			return nil, constraint("tags.key", t.Key, "Member must have length between 1 and 128")
		case len(t.Value) > 256:
			return nil, constraint("tags.value", t.Value, "Member must have length less than or equal to 256")
		case strings.HasPrefix(strings.ToLower(t.Key), "aws:"):
			return nil, fault.New(fault.ValidationError, "Tag keys must not start with aws: [%s]", t.Key)
		}
		if _, ok := out[t.Key]; ok {
			return nil, fault.New(fault.ValidationError, "Duplicate tag key [%s]", t.Key)
		}
		out[t.Key] = t.Value
	}
	return out, nil
}

// acknowledged checks the capabilities that a template needs.
func acknowledged(tmpl *template.Template, have []string) error {
	for _, c := range have {
		if c != "CAPABILITY_IAM" && c != "CAPABILITY_NAMED_IAM" && c != "CAPABILITY_AUTO_EXPAND" {
			return constraint("capabilities", c, "Member must satisfy enum value set: [CAPABILITY_IAM, CAPABILITY_NAMED_IAM, CAPABILITY_AUTO_EXPAND]")
		}
	}
	need, _, _ := tmpl.Capabilities()
	for _, c := range need {
		named := slices.Contains(have, "CAPABILITY_NAMED_IAM")
		if slices.Contains(have, c) || c == "CAPABILITY_IAM" && named {
			continue
		}
		return fault.New(fault.CFNInsufficientCapabilities, "Requires capabilities : [%s]", strings.Join(need, ", "))
	}
	return nil
}

// allowedTypes checks ResourceTypes.
func allowedTypes(tmpl *template.Template, allowed []string) error {
	if len(allowed) == 0 {
		return nil
	}
	for _, r := range tmpl.Resources {
		ok := slices.ContainsFunc(allowed, func(a string) bool {
			prefix, wild := strings.CutSuffix(a, "::*")
			return a == r.Type || a == "AWS::*" && strings.HasPrefix(r.Type, "AWS::") || wild && strings.HasPrefix(r.Type, prefix+"::")
		})
		if !ok {
			return fault.New(fault.ValidationError, "Resource type %s is not allowed by parameter ResourceTypes [%s]", r.Type, strings.Join(allowed, ", "))
		}
	}
	return nil
}

// env is what a plan evaluates the wanted version in.
func (s *Service) env(tx store.Tx, st *apply.Stack, v *apply.Version) template.Env {
	pseudo := apply.PseudoOf(st)
	pseudo.NotificationARNs = v.Notify
	return template.Env{
		Parameters: v.Values(),
		Pseudo:     pseudo,
		Zones:      s.cfg.Zones,
		Open:       s.open,
		Export: func(name string) (string, bool) {
			e, err := apply.Exports.Get(tx, st.Scope.Key()+"/"+name)
			if err != nil {
				return template.Unknown, true // found out when it is needed
			}
			return e.Value, true
		},
	}
}

// input is what a plan of the stack's change to the wanted version is made from.
func (s *Service) input(tx store.Tx, st *apply.Stack, w *wanted) (plan.Input, error) {
	in := plan.Input{New: w.tmpl, Env: s.env(tx, st, &w.version), Tags: w.version.Tags, Types: s.TypesIn(st.Scope), Import: w.imports, Live: w.live}
	in.Old = plan.State{Resources: map[string]plan.Resource{}}
	if st.Version.TemplateKey == "" {
		return in, nil
	}
	all, err := apply.ResourcesOf(tx, st)
	if err != nil {
		return in, err
	}
	old, err := apply.Templates.Get(tx, st.Version.TemplateKey)
	if err != nil {
		return in, err
	}
	tmpl, _ := template.Parse([]byte(old.Body))
	in.Old = state(st.Version, all, tmpl)
	return in, nil
}

func isTrue(b *bool) bool { return b != nil && *b }
