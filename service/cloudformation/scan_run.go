package cloudformation

import (
	"context"
	"errors"
	"regexp"
	"slices"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/cfn/apply"
	"github.com/slipway/slipway/cfn/plan"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/workflow"
)

// scanWorkflow is the workflow that scans. Reading changes nothing, so a crash
// has a type read again.
const scanWorkflow = "cloudformation/scan"

type scanParams struct{ Scan string }

// foundOfType is what one type has given.
type foundOfType struct {
	Skipped   bool // the caller may not list it
	Listed    int32
	Resources []scanned
}

// scan is the workflow.
func (s *Service) scan(f *workflow.Flow, p scanParams) error {
	err := s.scanTypes(f, p)
	if err == nil || interrupted(f, err) {
		return err
	}
	reason := s.said("resource scan", p.Scan, err)
	_, txErr := workflow.Tx(f, "failed", func(tx store.Tx) (bool, error) {
		sc, err := scans.Get(tx, p.Scan)
		if err != nil {
			return false, err
		}
		now := s.cfg.Now()
		sc.Status, sc.Reason, sc.Ended = scanFailed, reason, &now
		return true, errors.Join(forgetScanned(tx, sc), scans.Put(tx, p.Scan, sc))
	})
	return txErr
}

func (s *Service) scanTypes(f *workflow.Flow, p scanParams) error {
	var sc *scan
	err := s.view(f.Context(), func(tx store.Tx) (err error) {
		sc, err = scans.Get(tx, p.Scan)
		return err
	})
	if err != nil || sc.Status != scanInProgress {
		return err
	}
	types := s.scannable(sc)
	for i, name := range types {
		out, err := workflow.Step(f, "read "+name, func(ctx context.Context, token string) (foundOfType, error) {
			return s.readType(contextOf(ctx, s, sc.Caller, sc.Scope, "StartResourceScan", token), sc, name)
		})
		if err != nil {
			return err
		}
		_, err = workflow.Tx(f, "keep "+name, func(tx store.Tx) (bool, error) {
			return true, s.keepScanned(tx, p.Scan, name, out, i+1, len(types))
		})
		if err != nil {
			return err
		}
	}
	_, err = workflow.Tx(f, "end", func(tx store.Tx) (bool, error) {
		sc, err := scans.Get(tx, p.Scan)
		if err != nil {
			return false, err
		}
		now := s.cfg.Now()
		sc.Status, sc.Percentage, sc.Ended = scanComplete, 100, &now
		return true, scans.Put(tx, p.Scan, sc)
	})
	return err
}

// scannable are the types that a scan looks for: those that can be listed, read and
// imported.
func (s *Service) scannable(sc *scan) []string {
	var names []string
	for _, name := range s.cfg.Types.Names() {
		t, _ := s.cfg.Types.Lookup(name)
		if t.List == nil || s.importable(name) == nil {
			continue
		}
		wanted := len(sc.Filters) == 0
		for _, f := range sc.Filters {
			wanted = wanted || slices.ContainsFunc(f.Types, func(pattern string) bool { return matchesType(pattern, name) })
		}
		if wanted {
			names = append(names, name)
		}
	}
	return names
}

// readType lists and reads the resources of a type.
func (s *Service) readType(ctx context.Context, sc *scan, name string) (foundOfType, error) {
	t, _ := s.cfg.Types.Lookup(name)
	ids, err := t.List(ctx)
	if _, classified := fault.As(err); classified {
		return foundOfType{Skipped: true}, nil
	}
	if err != nil {
		return foundOfType{}, err
	}
	out := foundOfType{Listed: int32(len(ids))}
	for _, id := range ids {
		actual, err := s.runner.Read(ctx, &apply.Stack{Scope: sc.Scope}, sc.Caller, plan.Resource{Type: name, PhysicalID: id})
		if _, classified := fault.As(err); classified {
			continue // gone meanwhile, or not for the caller to see
		}
		if err != nil {
			return foundOfType{}, err
		}
		if r, ok := s.scannedResource(name, id, actual); ok {
			out.Resources = append(out.Resources, r)
		}
	}
	return out, nil
}

// scannedResource is what a scan keeps of a resource; false: its identifier is not
// among what Read tells.
func (s *Service) scannedResource(name, id string, actual cfn.Properties) (scanned, bool) {
	r := scanned{Type: name, PhysicalID: id, Identifier: s.types.Identifier(name, actual)}
	if again, ok := s.types.PhysicalID(name, r.Identifier); !ok || again != id {
		return r, false
	}
	sch, err := s.cfg.Schemas.Lookup(name)
	if err != nil || sch == nil {
		return r, false
	}
	r.Tags = tagsOf(actual[sch.TagProperty])
	names, refs := map[string]bool{id: true}, map[string]bool{}
	for _, v := range r.Identifier {
		names[v] = true
	}
	for property, v := range actual {
		if text, ok := v.(string); ok && slices.Contains(sch.ReadOnly, property) && identifying.MatchString(text) {
			names[text] = true
		} else if !slices.Contains(sch.ReadOnly, property) && property != sch.TagProperty {
			texts(v, refs)
		}
	}
	for n := range names {
		delete(refs, n)
	}
	r.Names, r.Refs = digests(names), digests(refs)
	return r, true
}

// identifying is the form of attributes that name a thing.
var identifying = regexp.MustCompile(`^(arn:.+|https?://.+|[a-z]{1,12}-[0-9a-f]{8,})$`)

// Bounds of what a scan keeps of one resource.
const (
	maxRefs    = 500
	maxRefText = 2048
)

// texts collects the texts in a value.
func texts(v any, into map[string]bool) {
	switch v := v.(type) {
	case string:
		if len(v) > 2 && len(v) <= maxRefText && len(into) < maxRefs {
			into[v] = true
		}
	case []any:
		for _, x := range v {
			texts(x, into)
		}
	case map[string]any:
		for _, x := range v {
			texts(x, into)
		}
	}
}

func digests(texts map[string]bool) []string {
	out := make([]string, 0, len(texts))
	for t := range texts {
		out = append(out, arn.Hash(t)[:16])
	}
	slices.Sort(out)
	return out
}

func tagsOf(v any) map[string]string {
	tags := map[string]string{}
	switch v := v.(type) {
	case []any:
		for _, t := range v {
			if m, ok := t.(map[string]any); ok {
				tags[cfn.Text(m["Key"])] = cfn.Text(m["Value"])
			}
		}
	case map[string]any:
		for k, t := range v {
			tags[k] = cfn.Text(t)
		}
	}
	if len(tags) == 0 {
		return nil
	}
	return tags
}

// keepScanned keeps what a type has given, and how far the scan is.
func (s *Service) keepScanned(tx store.Tx, key, name string, out foundOfType, done, all int) error {
	sc, err := scans.Get(tx, key)
	if err != nil {
		return err
	}
	if !out.Skipped {
		sc.Types = append(sc.Types, name)
	}
	sc.Scanned += out.Listed
	sc.Percentage = float64(100 * done / all)
	for i := range out.Resources {
		r := &out.Resources[i]
		if sc.Read >= maxScanned {
			return fault.New(fault.CFNLimitExceeded, "There are more than %d resources", maxScanned)
		}
		owner, err := apply.Owner(tx, sc.Scope, r.Type, r.PhysicalID)
		if err != nil {
			return err
		}
		r.Managed = owner != ""
		sc.Read++
		if err := scanResources.Put(tx, key+"/"+arn.Hash(r.Type + "\n" + r.PhysicalID)[:32], r); err != nil {
			return err
		}
	}
	return scans.Put(tx, key, sc)
}

// contextOf is the context in which a workflow calls services for its caller.
func contextOf(ctx context.Context, s *Service, caller apply.Caller, scope arn.Scope, operation, token string) context.Context {
	return auth.With(ctx, auth.Call{
		Principal: caller.Principal, Scope: scope, RequestID: caller.RequestID, Service: "cloudformation", Operation: operation,
		Time: s.cfg.Now(), UserAgent: "cloudformation.amazonaws.com", SourceIP: "cloudformation.amazonaws.com",
		Endpoint: caller.Endpoint, Token: token,
	})
}
