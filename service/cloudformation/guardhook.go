package cloudformation

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/cfn/apply"
	"github.com/slipway/slipway/cfn/guard"
	"github.com/slipway/slipway/fault"
)

// guardModel are the properties of a Guard hook's configuration ("Activate a Guard Hook
// in your account", AWS CloudFormation Hooks User Guide).
type guardModel struct {
	RuleLocation guardPlace
	LogBucket    string
	Options      struct{ InputParams guardPlaces }
}

// guardPlace is an object in S3: a URI, or a URI and a version.
type guardPlace struct{ Bucket, Key, Version string }

func (p *guardPlace) UnmarshalJSON(text []byte) error {
	var full struct{ URI, VersionID string }
	if err := json.Unmarshal(text, &full.URI); err != nil {
		d := json.NewDecoder(bytes.NewReader(text))
		d.DisallowUnknownFields()
		if err := d.Decode(&full); err != nil {
			return errors.New("an S3 URI must stand there, alone or as uri beside a versionId")
		}
	}
	var ok bool
	p.Bucket, p.Key, ok = s3URI(full.URI)
	if p.Version = full.VersionID; !ok || len(full.URI) > maxPlace {
		return errors.New("an S3 URI must stand there: s3://bucket/key")
	}
	return nil
}

// guardPlaces are up to ten objects, one of which need not stand in a list.
type guardPlaces []guardPlace

func (p *guardPlaces) UnmarshalJSON(text []byte) error {
	var list []guardPlace
	if !bytes.HasPrefix(text, []byte("[")) {
		list = make([]guardPlace, 1)
		*p = list
		return list[0].UnmarshalJSON(text)
	}
	err := json.Unmarshal(text, &list)
	*p = list
	return err
}

// Bounds of Guard hooks.
const (
	maxPlace       = 2048
	maxGuardParams = 10      // files of parameters
	maxGuardFile   = 4 << 20 // bytes of an object
	maxRuleFiles   = 200     // in an archive
	maxUnpacked    = 8 << 20 // bytes of them together
	guardTime      = time.Minute
)

// ruleForms are the names that rules may have in S3.
var ruleForms = []string{".guard", ".zip", ".tar.gz"}

// parseGuardModel reads the properties of a Guard hook.
func parseGuardModel(text []byte) (*guardModel, error) {
	m := new(guardModel)
	if err := json.Unmarshal(text, m); err != nil {
		return nil, fault.New(fault.CFNRegistry, "Configuration validation failed: the properties of a Guard hook cannot be read: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	switch {
	case !slices.ContainsFunc(ruleForms, func(form string) bool { return strings.HasSuffix(m.RuleLocation.Key, form) }):
		return nil, fault.New(fault.CFNRegistry, "Configuration validation failed: ruleLocation must name an object that ends in one of [%s]", strings.Join(ruleForms, ", "))
	case len(m.Options.InputParams) > maxGuardParams:
		return nil, fault.New(fault.CFNRegistry, "Configuration validation failed: options.inputParams has more than %d S3 URIs", maxGuardParams)
	}
	return m, nil
}

// evaluateGuard evaluates a Guard hook's rules over a target, as the hook's role. The
// rules are read each time, as AWS reads them.
func (s *Service) evaluateGuard(ctx context.Context, h apply.Hook, t apply.HookTarget, token string) (apply.HookAnswer, error) {
	m, err := parseGuardModel([]byte(h.Model))
	if err != nil {
		return apply.HookAnswer{}, err
	}
	body, err := s.guardObject(ctx, m.RuleLocation)
	if err != nil {
		return apply.HookAnswer{}, err
	}
	files, err := ruleFiles(m.RuleLocation.Key, body)
	if err != nil {
		return apply.HookAnswer{}, err
	}
	document, err := s.guardDocument(ctx, h, &t, m)
	if err != nil {
		return apply.HookAnswer{}, err
	}
	late := fault.New("Timeout", "the rules were not evaluated within %s", guardTime)
	ctx, cancel := context.WithTimeoutCause(ctx, guardTime, late)
	defer cancel()
	var reports []*guard.Report
	for _, f := range files {
		rules, err := guard.Parse(f.name, f.text)
		if err != nil {
			return apply.HookAnswer{}, guardFault(err)
		}
		report, err := rules.Evaluate(ctx, document)
		if err != nil {
			return apply.HookAnswer{}, guardFault(err)
		}
		reports = append(reports, report)
	}
	written, err := s.writeReport(ctx, h, &t, m, reports, arn.UUIDFrom(token))
	if err != nil {
		return apply.HookAnswer{}, err
	}
	return guardAnswer(reports, written), nil
}

// guardFault makes what is wrong with rules the hook's failure.
func guardFault(err error) error {
	if e := new(guard.Error); errors.As(err, &e) {
		return fault.New("InvalidRules", "%s", cut(e.Error(), maxHookMessage/2))
	}
	return err
}

// guardObject reads an object as the hook's role.
func (s *Service) guardObject(ctx context.Context, p guardPlace) ([]byte, error) {
	if s.cfg.S3 == nil {
		return nil, fault.New(fault.NotImplemented, "Guard hooks are not implemented: this Slipway has no S3")
	}
	where := "s3://" + p.Bucket + "/" + p.Key
	out, err := s.cfg.S3.GetObject(ctx, &s3.GetObjectInput{Bucket: p.Bucket, Key: p.Key, VersionId: p.Version})
	if e, ok := fault.As(err); ok {
		return nil, fault.New(e.Code, "%s cannot be read: %s", where, e.Message)
	}
	if err != nil {
		return nil, err
	}
	defer out.Body.Close()
	body, err := io.ReadAll(io.LimitReader(out.Body, maxGuardFile+1))
	if err == nil && len(body) > maxGuardFile {
		err = fault.New("InvalidRules", "%s has more than %d bytes", where, maxGuardFile)
	}
	return body, err
}

// ruleName is how a rule is told of: one without a name by its file.
func ruleName(file, rule string) string {
	if rule == "default" {
		return file + "/" + rule
	}
	return rule
}

// guardAnswer words what rules came to.
func guardAnswer(reports []*guard.Report, written string) apply.HookAnswer {
	var names, messages []string
	a := apply.HookAnswer{Status: apply.HookSucceeded, Reason: "Hook succeeded with message: Successful validation"}
	for _, report := range reports {
		for _, r := range report.Rules {
			if r.Status != guard.Fail {
				continue
			}
			name := ruleName(report.File, r.Name)
			names = append(names, name)
			note := apply.HookAnnotation{Name: cut(name, 1024), Status: "FAILED"}
			for _, f := range r.Failures {
				note.Message = cut(note.Message+told(f)+"\n", maxAnnotation)
				if text := strings.Join(strings.Fields(f.Message), " "); text != "" && !strings.Contains(note.Remedy, text) {
					note.Remedy = cut(note.Remedy+text+"\n", maxAnnotation)
					messages = append(messages, name+": "+text)
				}
			}
			note.Message, note.Remedy = strings.TrimSpace(note.Message), strings.TrimSpace(note.Remedy)
			if len(a.Annotations) < maxAnnotations {
				a.Annotations = append(a.Annotations, note)
			}
		}
	}
	if len(names) == 0 {
		return a
	}
	slices.Sort(names)
	reason := "Template failed validation, the following rule(s) failed: " + strings.Join(slices.Compact(names), ", ") + "."
	if written != "" {
		reason += " Full output was written to " + written
	}
	if len(messages) > 0 {
		reason += " " + strings.Join(messages, " ")
	}
	a.Status, a.Reason = apply.HookRefused, cut("Hook failed with message: "+reason, maxHookMessage)
	return a
}

// Bounds of annotations. Their texts may have 16384 characters.
const (
	maxAnnotation  = 2048
	maxAnnotations = 100
)

// told words a check that failed.
func told(f guard.Failure) string {
	where := ""
	if f.Path != "" {
		where = " at " + f.Path
	}
	return fmt.Sprintf("%s%s: %s (%s)", f.Clause, where, f.Reason, f.Position)
}

// writeReport writes a report into the hook's bucket for logs, and returns its place. A
// step that is repeated writes the same object.
func (s *Service) writeReport(ctx context.Context, h apply.Hook, t *apply.HookTarget, m *guardModel, reports []*guard.Report, id string) (string, error) {
	if m.LogBucket == "" {
		return "", nil
	}
	text, err := json.MarshalIndent(reportOf(t, reports), "", "  ")
	if err != nil {
		return "", err
	}
	key := "cfn-guard-reports/" + strings.ReplaceAll(h.Type, "::", "-") + "/" + id + ".json"
	_, err = s.cfg.S3.PutObject(ctx, &s3.PutObjectInput{
		Bucket: m.LogBucket, Key: key, ContentType: "application/json", ContentLength: new(int64(len(text))), Body: io.NopCloser(bytes.NewReader(text)),
	})
	where := "s3://" + m.LogBucket + "/" + key
	if e, ok := fault.As(err); ok {
		return "", fault.New(e.Code, "the report cannot be written to %s: %s", where, e.Message)
	}
	return where, err
}
