package apply

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/cfn/drift"
	"github.com/slipway/slipway/cfn/schema"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/workflow"
)

// Statuses of detections and of what they found ("StackDriftDetectionStatus",
// "StackDriftStatus", "StackResourceDriftStatus").
const (
	DetectionInProgress = "DETECTION_IN_PROGRESS"
	DetectionComplete   = "DETECTION_COMPLETE"
	DetectionFailed     = "DETECTION_FAILED"

	InSync     = "IN_SYNC"
	Drifted    = "DRIFTED"
	Modified   = "MODIFIED"
	Deleted    = "DELETED"
	NotChecked = "NOT_CHECKED"
	Unknown    = "UNKNOWN"
)

// keptDetections is how many detections of a stack can be asked about.
const keptDetections = 20

// Detection is one search for a stack's drift.
type Detection struct {
	ID       string // UUID
	StackID  string
	StackKey string
	Caller   Caller
	Only     []string // logical ids; nil: all
	Status   string
	Reason   string
	Drift    string // of the stack as a whole
	Drifted  int32  // resources
	Started  time.Time
}

// Flow is the id of the detection's workflow.
func (d *Detection) Flow() string { return detectionWorkflow + "/" + d.key() }

func (d *Detection) key() string {
	return d.StackKey[:strings.LastIndexByte(d.StackKey, '/')] + "/" + d.ID
}

// StackDrift is what a stack's last finished detection found.
type StackDrift struct {
	Status string
	Time   time.Time
}

// ResourceDrift is what a resource's last check found.
type ResourceDrift struct {
	LogicalID   string
	PhysicalID  string
	Type        string
	Status      string
	Reason      string
	Expected    cfn.Properties
	Actual      cfn.Properties
	Differences []drift.Difference
	Time        time.Time
}

// Detections are keyed by scope and id, Drifts by the stack's key and logical id.
var (
	Detections = store.NewCollection[Detection]("cloudformation/detection")
	Drifts     = store.NewCollection[ResourceDrift]("cloudformation/drift")
)

// detectionWorkflow is the workflow that detects drift.
const detectionWorkflow = "cloudformation/drift"

func detectionKey(s *Stack, id string) string { return s.Scope.Key() + "/" + id }

// Detect begins a detection. The stack keeps its status meanwhile.
func (r *Runner) Detect(l *Ledger, s *Stack, caller Caller, only []string) (*Detection, error) {
	s.Detected++
	d := &Detection{
		ID: arn.UUIDFrom(fmt.Sprintf("%s/drift/%d", s.ID, s.Detected)), StackID: s.ID, StackKey: s.Key(), Caller: caller, Only: only,
		Status: DetectionInProgress, Drift: NotChecked, Started: l.Now,
	}
	s.Detections = append(s.Detections, d.ID)
	if n := len(s.Detections) - keptDetections; n > 0 {
		for _, old := range s.Detections[:n] {
			if err := Detections.Delete(l.Tx, detectionKey(s, old)); err != nil {
				return nil, err
			}
		}
		s.Detections = slices.Clone(s.Detections[n:])
	}
	err := errors.Join(
		Detections.Put(l.Tx, d.key(), d),
		Stacks.Put(l.Tx, s.Key(), s),
		r.cfg.Workflows.Begin(l.Tx, detectionWorkflow, d.Flow(), params{StackKey: d.StackKey, Operation: d.key()}),
	)
	return d, err
}

// detect is the workflow. One that fails for good leaves no detection in progress
// for ever: another one can be begun.
func (r *Runner) detect(f *workflow.Flow, p params) error {
	err := r.search(f, p)
	if err == nil || errors.Is(err, workflow.ErrInterrupted) || f.Context().Err() != nil {
		return err
	}
	_, txErr := workflow.Tx(f, "broken off", func(tx store.Tx) (bool, error) {
		d, err := found(Detections.Get(tx, p.Operation))
		if err != nil || d == nil || d.Status != DetectionInProgress {
			return false, err
		}
		d.Status, d.Drift, d.Reason = DetectionFailed, Unknown, "The detection was broken off by an internal error; Slipway's log has its text"
		return true, Detections.Put(tx, p.Operation, d)
	})
	return errors.Join(err, txErr)
}

// search compares a stack's resources with what is there and keeps what it found
// at once. Reading changes nothing, so a crash has it all read again.
func (r *Runner) search(f *workflow.Flow, p params) error {
	var d *Detection
	var s *Stack
	var all map[string]*Resource
	err := r.cfg.Store.View(f.Context(), func(tx store.Tx) (err error) {
		if d, err = found(Detections.Get(tx, p.Operation)); err != nil || d == nil {
			return err
		}
		if s, err = found(Stacks.Get(tx, p.StackKey)); err != nil || s == nil {
			return err
		}
		all, err = ResourcesOf(tx, s)
		return err
	})
	if err != nil || d == nil || s == nil {
		return err
	}
	var wanted []*Resource
	for id, res := range all {
		if d.Only == nil || slices.Contains(d.Only, id) {
			wanted = append(wanted, res)
		}
	}
	results := r.compareAll(f.Context(), s, d.Caller, wanted)
	if err := f.Context().Err(); err != nil {
		return err
	}
	_, err = workflow.Tx(f, "keep", func(tx store.Tx) (bool, error) { return true, r.keepDrift(tx, p, results) })
	return err
}

// compareAll compares resources, several at a time, and waits for all.
func (r *Runner) compareAll(ctx context.Context, s *Stack, caller Caller, all []*Resource) []*ResourceDrift {
	results := make([]*ResourceDrift, len(all))
	r.each(len(all), func(i int) { results[i] = r.Compare(ctx, s, caller, all[i]) })
	return slices.DeleteFunc(results, func(d *ResourceDrift) bool { return d == nil })
}

// Compare compares a resource with what is there, as the caller. nil: there is
// nothing to compare, or its type cannot be read.
func (r *Runner) Compare(ctx context.Context, s *Stack, caller Caller, res *Resource) *ResourceDrift {
	d, _ := r.examine(ctx, s, caller, res)
	return d
}

// examine is Compare with what was read, where it can be compared.
func (r *Runner) examine(ctx context.Context, s *Stack, caller Caller, res *Resource) (*ResourceDrift, cfn.Properties) {
	t, ok := r.typesIn(s.Scope).Provider(res.Type)
	if !ok || t.Read == nil || !res.Exists() {
		return nil, nil
	}
	out := &ResourceDrift{LogicalID: res.LogicalID, PhysicalID: res.PhysicalID, Type: res.Type, Time: r.cfg.Now()}
	o := &operation{r: r, Operation: &Operation{StackKey: s.Key(), Caller: caller, Kind: "DetectStackDrift"}}
	req := request(s, res.Resource, "")
	req.Progress, req.Initiated = func(string) {}, func(string) {}
	actual, err := read(o.callContext(ctx, s, ""), t, req)
	switch {
	case fault.Is(err, cfn.NotFound):
		out.Status = Deleted
		return out, nil
	case err != nil:
		o.tell(s, res.Resource, "read", err)
		out.Status, out.Reason = Unknown, failureReason(err, s.ID+res.LogicalID)
		return out, nil
	}
	typeSchema, err := r.typesIn(s.Scope).Schema(res.Type)
	if err != nil {
		out.Status, out.Reason = Unknown, failureReason(err, s.ID+res.LogicalID)
		return out, nil
	}
	found := drift.Compare(typeSchema, withStackTags(typeSchema, res.Properties, s.Version.Tags), shownProperties(res), actual)
	out.Expected, out.Actual, out.Differences = found.Expected, found.Actual, found.Differences
	out.Status = InSync
	if len(found.Differences) > 0 {
		out.Status = Modified
	}
	return out, actual
}

// read calls a type's Read outside of any step, which would catch its panics: one
// that does is an error, of this resource alone.
func read(ctx context.Context, t cfn.Type, req cfn.Request) (p cfn.Properties, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("apply: panic in Read of %s: %v\n%s", t.Name, v, debug.Stack())
		}
	}()
	return t.Read(ctx, req)
}

// shownProperties are the properties as events show them.
func shownProperties(res *Resource) cfn.Properties {
	shown, _ := drift.Document(res.Shown).(map[string]any)
	return shown
}

// withStackTags adds the stack's own tags, which resources get beside those that
// the template sets.
func withStackTags(s *schema.Schema, p cfn.Properties, tags map[string]string) cfn.Properties {
	if s == nil || len(tags) == 0 || p[s.TagProperty] == nil {
		return p
	}
	out := cfn.Properties{}
	for k, v := range p {
		out[k] = v
	}
	switch own := p[s.TagProperty].(type) {
	case []any:
		has := map[string]bool{}
		for _, t := range own {
			m, _ := t.(map[string]any)
			k, _ := m["Key"].(string)
			has[k] = true
		}
		all := slices.Clone(own)
		for _, k := range sortedKeys(tags) {
			if !has[k] {
				all = append(all, map[string]any{"Key": k, "Value": tags[k]})
			}
		}
		out[s.TagProperty] = all
	case map[string]any:
		all := map[string]any{}
		for k, v := range tags {
			all[k] = v
		}
		for k, v := range own {
			all[k] = v
		}
		out[s.TagProperty] = all
	}
	return out
}

// keepDrift keeps what a detection found. What changed meanwhile is left out: it
// was compared with what it no longer is.
func (r *Runner) keepDrift(tx store.Tx, p params, results []*ResourceDrift) error {
	d, err := found(Detections.Get(tx, p.Operation))
	if err != nil || d == nil {
		return err
	}
	s, err := found(Stacks.Get(tx, p.StackKey))
	if err != nil || s == nil {
		return err
	}
	d.Status = DetectionComplete
	var failed []string
	for _, res := range results {
		now, err := getResource(tx, s, res.LogicalID)
		if err != nil {
			return err
		}
		if now == nil || now.PhysicalID != res.PhysicalID || now.Time.After(d.Started) {
			continue
		}
		switch res.Status {
		case Modified, Deleted:
			d.Drifted++
		case Unknown:
			failed = append(failed, res.LogicalID)
		}
		if err := Drifts.Put(tx, resourceKey(s, res.LogicalID), res); err != nil {
			return err
		}
	}
	if len(failed) > 0 {
		slices.Sort(failed)
		d.Status = DetectionFailed
		d.Reason = fmt.Sprintf("Failed to detect drift on resources [%s]", strings.Join(failed, ", "))
	}
	if d.Drift, err = r.judge(tx, s, r.cfg.Now()); err != nil {
		return err
	}
	return errors.Join(Detections.Put(tx, p.Operation, d), Stacks.Put(tx, s.Key(), s))
}

// judge says of a stack what the last checks of its resources say together. A
// stack is in sync only when all that can be checked has been.
func (r *Runner) judge(tx store.Tx, s *Stack, now time.Time) (string, error) {
	all, err := ResourcesOf(tx, s)
	if err != nil {
		return "", err
	}
	status := InSync
	for id, res := range all {
		if t, ok := r.typesIn(s.Scope).Provider(res.Type); !ok || t.Read == nil || !res.Exists() {
			continue
		}
		d, err := found(Drifts.Get(tx, resourceKey(s, id)))
		if err != nil {
			return "", err
		}
		is := NotChecked
		switch {
		case d == nil:
		case d.Status == Modified || d.Status == Deleted:
			is = Drifted
		default:
			is = d.Status
		}
		if weight[is] > weight[status] {
			status = is
		}
	}
	s.Drift = &StackDrift{Status: status, Time: now}
	return status, nil
}

// weight orders statuses: that of a stack is the heaviest of its resources'.
var weight = map[string]int{InSync: 0, NotChecked: 1, Unknown: 2, Drifted: 3}

// KeepDrift keeps the check of one resource, and what it says of the stack.
func (r *Runner) KeepDrift(l *Ledger, s *Stack, res *ResourceDrift) error {
	if err := Drifts.Put(l.Tx, resourceKey(s, res.LogicalID), res); err != nil {
		return err
	}
	if _, err := r.judge(l.Tx, s, l.Now); err != nil {
		return err
	}
	return Stacks.Put(l.Tx, s.Key(), s)
}

// forgetDrift drops what detections found of a stack that is about to change.
func forgetDrift(tx store.Tx, s *Stack) error {
	s.Drift = nil
	return deleteUnder(tx, Drifts, s.Key()+"/", "")
}

// forgetDetections drops a stack's detections.
func forgetDetections(tx store.Tx, s *Stack) error {
	var errs []error
	for _, id := range s.Detections {
		errs = append(errs, Detections.Delete(tx, detectionKey(s, id)))
	}
	s.Detections = nil
	return errors.Join(errs...)
}
