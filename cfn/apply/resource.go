package apply

import (
	"slices"
	"time"

	"github.com/slipway/slipway/cfn/plan"
	"github.com/slipway/slipway/store"
)

// Resource is the record of a stack's resource: what was last reached or, while
// its status is one of *_IN_PROGRESS or *_FAILED, attempted.
type Resource struct {
	plan.Resource
	StackID   string
	StackName string
	Status    string
	Reason    string
	Time      time.Time
	// Dirty is set from the beginning of an update in place until its end: the
	// resource may be between two states.
	Dirty bool
	// Changed is the operation that changed the resource in place and has not
	// been rolled back.
	Changed string
	// Imported is the operation that took the resource, made elsewhere, into the
	// stack: undoing the operation leaves it alone.
	Imported string
	// Pending is the physical id of what is being made and is not complete.
	Pending string
	// Old are physical resources that this one replaced and that are still
	// there: to be removed when the operation succeeds, or gone back to.
	Old []plan.Resource
	// Coming is the metadata that the change under way brings, read by the
	// instances it makes; nil when none is.
	Coming any
	// Shown are the properties as events show them, NoEcho values masked.
	Shown string
}

// Resources are keyed by the stack's key and the logical id.
var Resources = store.NewCollection[Resource]("cloudformation/resource",
	store.Index[Resource]{Name: "physical", Keys: func(_ string, r *Resource) []string {
		if r.PhysicalID == "" || r.Status == DeleteComplete || r.Status == DeleteSkipped {
			return nil
		}
		return []string{r.PhysicalID}
	}},
	store.Index[Resource]{Name: "replaced", Keys: func(_ string, r *Resource) []string {
		var ids []string
		for _, old := range r.Old {
			if !slices.Contains(ids, old.PhysicalID) {
				ids = append(ids, old.PhysicalID)
			}
		}
		return ids
	}})

// resourceKey is a resource's key.
func resourceKey(s *Stack, logicalID string) string { return s.Key() + "/" + logicalID }

// ResourcesOf reads a stack's resources by logical id.
func ResourcesOf(tx store.Tx, s *Stack) (map[string]*Resource, error) {
	all := map[string]*Resource{}
	for e, err := range Resources.Scan(tx, s.Key()+"/") {
		if err != nil {
			return nil, err
		}
		e.Value.normalize()
		all[e.Value.LogicalID] = e.Value
	}
	return all, nil
}

// getResource returns nil where the stack has no such resource.
func getResource(tx store.Tx, s *Stack, logicalID string) (*Resource, error) {
	r, err := found(Resources.Get(tx, resourceKey(s, logicalID)))
	if r != nil {
		r.normalize()
	}
	return r, err
}

func (r *Resource) normalize() {
	normalize(&r.Resource)
	for i := range r.Old {
		normalize(&r.Old[i])
	}
}

// Exists reports whether there is something in the account behind the record.
func (r *Resource) Exists() bool {
	return r.PhysicalID != "" && r.Status != CreateFailed && r.Status != DeleteComplete
}

// Snapshot is what plans are made from: the resources that exist.
func Snapshot(all map[string]*Resource) map[string]plan.Resource {
	out := map[string]plan.Resource{}
	for id, r := range all {
		if r.Exists() {
			out[id] = r.Resource
		}
	}
	return out
}

// ShownMetadata is what DescribeStackResource tells: while a resource is
// changed, what it is changed to.
func (r *Resource) ShownMetadata() any {
	if r.Coming != nil && r.Status == UpdateInProgress {
		return r.Coming
	}
	return r.Metadata
}

// coming makes sure that no metadata is told from none coming.
func coming(metadata any) any {
	if metadata == nil {
		return map[string]any{}
	}
	return metadata
}
