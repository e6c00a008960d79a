package cloudformation

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/cfn/apply"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// Statuses of scans ("ResourceScanStatus").
const (
	scanInProgress = "IN_PROGRESS"
	scanComplete   = "COMPLETE"
	scanFailed     = "FAILED"
	scanExpired    = "EXPIRED"
)

// Limits of scans ("IaC generator considerations"; AWS lets an account scan thrice a
// day, which is for the sake of its services).
const (
	scansPerDay  = 100
	scanLifetime = 30 * 24 * time.Hour
	maxScanned   = 100_000
)

// scan is a search of an account and region for resources.
type scan struct {
	ID         string // ARN
	Scope      arn.Scope
	Status     string
	Reason     string
	Started    time.Time
	Ended      *time.Time
	Percentage float64
	Filters    []cloudformation.ScanFilter
	Types      []string // of what was scanned
	Scanned    int32
	Read       int32
	Token      string
	Caller     apply.Caller
}

// scanned is a resource that a scan has found.
type scanned struct {
	Type       string
	PhysicalID string
	Identifier map[string]string
	Managed    bool
	Tags       map[string]string
	// Names and Refs are what names the resource and what it names, as digests: its
	// properties may tell what a list of resources should not.
	Names []string
	Refs  []string
}

// scans are keyed by account, region and UUID, what they have found by that and type and
// physical id.
var (
	scans         = store.NewCollection[scan]("cloudformation/scan")
	scanResources = store.NewCollection[scanned]("cloudformation/scanned")
)

func (c *scan) key() string { return c.Scope.Key() + "/" + apply.UUID(c.ID) }

// status is the scan's as it is now.
func (c *scan) status(now time.Time) string {
	if c.Status == scanComplete && now.Sub(c.Started) > scanLifetime {
		return scanExpired
	}
	return c.Status
}

// StartResourceScan begins a scan.
func (s *Service) StartResourceScan(ctx context.Context, in *cloudformation.StartResourceScanInput) (*cloudformation.StartResourceScanOutput, error) {
	c, err := s.call(ctx)
	if err != nil {
		return nil, err
	}
	if err := checkToken("clientRequestToken", in.ClientRequestToken); err != nil {
		return nil, err
	}
	for _, f := range in.ScanFilters {
		for _, pattern := range f.Types {
			if !slices.ContainsFunc(s.cfg.Types.Names(), func(name string) bool { return matchesType(pattern, name) }) && !s.cfg.Schemas.Known(pattern) {
				return nil, fault.New(fault.ValidationError, "Resource type %s is not known", pattern)
			}
		}
	}
	caller, err := s.principal(ctx, "")
	if err != nil {
		return nil, err
	}
	var sc *scan
	err = s.update(ctx, func(l *apply.Ledger) error {
		today := 0
		for old, err := range scansOf(l.Tx, c.Scope) {
			switch {
			case err != nil:
				return err
			case in.ClientRequestToken != "" && old.Token == in.ClientRequestToken:
				sc = old
				return nil
			case old.Status == scanInProgress:
				return fault.New(fault.CFNResourceScanInProgress, "A resource scan is in progress: %s", old.ID)
			case l.Now.Sub(old.Started) < 24*time.Hour:
				today++
			case l.Now.Sub(old.Started) > scanLifetime:
				if err := forgetScanned(l.Tx, old); err != nil {
					return err
				}
			}
		}
		if today >= scansPerDay {
			return fault.New(fault.CFNResourceScanLimit, "The limit of %d resource scans a day has been reached", scansPerDay)
		}
		sc = &scan{
			ID: c.Scope.ARN("cloudformation", "resourceScan/"+arn.NewUUID()).String(), Scope: c.Scope, Status: scanInProgress,
			Started: l.Now, Filters: in.ScanFilters, Token: in.ClientRequestToken, Caller: caller,
		}
		return errors.Join(scans.Put(l.Tx, sc.key(), sc), s.cfg.Workflows.Begin(l.Tx, scanWorkflow, scanWorkflow+"/"+sc.key(), scanParams{Scan: sc.key()}))
	})
	if err != nil {
		return nil, err
	}
	return &cloudformation.StartResourceScanOutput{ResourceScanId: sc.ID}, nil
}

// matchesType reports whether a filter's pattern, AWS::S3::* say, fits a type.
func matchesType(pattern, name string) bool {
	prefix, wild := strings.CutSuffix(pattern, "*")
	return pattern == name || wild && strings.HasPrefix(name, prefix)
}

// scansOf are the scans of an account and region, the latest first.
func scansOf(tx store.Tx, scope arn.Scope) func(yield func(*scan, error) bool) {
	return func(yield func(*scan, error) bool) {
		var all []*scan
		for e, err := range scans.Scan(tx, scope.Key()+"/") {
			if err != nil {
				yield(nil, err)
				return
			}
			all = append(all, e.Value)
		}
		slices.SortFunc(all, func(a, b *scan) int { return strings.Compare(placeOfScan(a), placeOfScan(b)) })
		for _, sc := range all {
			if !yield(sc, nil) {
				return
			}
		}
	}
}

// placeOfScan grows as scans get older.
func placeOfScan(c *scan) string {
	return fmt.Sprintf("%016x%s", math.MaxInt64-c.Started.UnixNano(), apply.UUID(c.ID))
}

// forgetScanned forgets what an expired scan has found.
func forgetScanned(tx store.Tx, c *scan) error {
	var keys []string
	for e, err := range scanResources.Scan(tx, c.key()+"/") {
		if err != nil {
			return err
		}
		keys = append(keys, e.Key)
	}
	for _, k := range keys {
		if err := scanResources.Delete(tx, k); err != nil {
			return err
		}
	}
	return nil
}

// findScan finds a scan by its ARN.
func findScan(tx store.Tx, scope arn.Scope, id string) (*scan, error) {
	missing := fault.New(fault.CFNResourceScanNotFound, "The resource scan %s does not exist", id)
	if !strings.HasPrefix(id, "arn:") || strings.Count(apply.UUID(id), "-") != 4 {
		return nil, missing
	}
	sc, err := scans.Get(tx, scope.Key()+"/"+apply.UUID(id))
	if errors.Is(err, store.ErrNotFound) || err == nil && sc.ID != id {
		return nil, missing
	}
	return sc, err
}

// DescribeResourceScan describes a scan.
func (s *Service) DescribeResourceScan(ctx context.Context, in *cloudformation.DescribeResourceScanInput) (*cloudformation.DescribeResourceScanOutput, error) {
	c, err := s.call(ctx)
	if err != nil {
		return nil, err
	}
	var out *cloudformation.DescribeResourceScanOutput
	err = s.view(ctx, func(tx store.Tx) error {
		sc, err := findScan(tx, c.Scope, in.ResourceScanId)
		if err != nil {
			return err
		}
		out = &cloudformation.DescribeResourceScanOutput{
			ResourceScanId: sc.ID, Status: sc.status(s.cfg.Now()), StatusReason: sc.Reason, StartTime: &sc.Started, EndTime: sc.Ended,
			PercentageCompleted: &sc.Percentage, ResourceTypes: sc.Types, ResourcesScanned: &sc.Scanned, ResourcesRead: &sc.Read,
			ScanFilters: sc.Filters,
		}
		return nil
	})
	return out, err
}

// ListResourceScans lists scans, the latest first.
func (s *Service) ListResourceScans(ctx context.Context, in *cloudformation.ListResourceScansInput) (*cloudformation.ListResourceScansOutput, error) {
	c, err := s.call(ctx)
	if err != nil {
		return nil, err
	}
	if in.ScanTypeFilter != "" && in.ScanTypeFilter != "FULL" && in.ScanTypeFilter != "PARTIAL" {
		return nil, constraint("scanTypeFilter", in.ScanTypeFilter, "Member must satisfy enum value set: [FULL, PARTIAL]")
	}
	size, err := sizeOf(in.MaxResults, 10)
	if err != nil {
		return nil, err
	}
	out := &cloudformation.ListResourceScansOutput{ResourceScanSummaries: []cloudformation.ResourceScanSummary{}}
	err = s.view(ctx, func(tx store.Tx) error {
		var all []*scan
		for sc, err := range scansOf(tx, c.Scope) {
			if err != nil {
				return err
			}
			if in.ScanTypeFilter == "" || in.ScanTypeFilter == sc.kind() {
				all = append(all, sc)
			}
		}
		part, next, err := pageOf(all, size, "ListResourceScans"+in.ScanTypeFilter, in.NextToken, placeOfScan)
		for _, sc := range part {
			out.ResourceScanSummaries = append(out.ResourceScanSummaries, cloudformation.ResourceScanSummary{
				ResourceScanId: sc.ID, Status: sc.status(s.cfg.Now()), StatusReason: sc.Reason, StartTime: &sc.Started, EndTime: sc.Ended,
				PercentageCompleted: &sc.Percentage, ScanType: sc.kind(),
			})
		}
		out.NextToken = next
		return err
	})
	return out, err
}

func (c *scan) kind() string {
	if len(c.Filters) > 0 {
		return "PARTIAL"
	}
	return "FULL"
}

// sizeOf is how many entries an answer is to list.
func sizeOf(given *int32, otherwise int) (int, error) {
	if given == nil {
		return otherwise, nil
	}
	if *given < 1 || *given > pageSize {
		return 0, constraint("maxResults", fmt.Sprint(*given), "Member must have value between 1 and 100")
	}
	return int(*given), nil
}

// finishedScan is a scan whose resources can be listed.
func (s *Service) finishedScan(tx store.Tx, scope arn.Scope, id string) (*scan, error) {
	sc, err := findScan(tx, scope, id)
	if err != nil {
		return nil, err
	}
	switch sc.status(s.cfg.Now()) {
	case scanInProgress:
		return nil, fault.New(fault.CFNResourceScanInProgress, "The resource scan %s is in progress", id)
	case scanComplete:
		return sc, nil
	}
	return nil, fault.New(fault.ValidationError, "The resource scan %s is %s", id, sc.status(s.cfg.Now()))
}

// ListResourceScanResources lists what a scan has found.
func (s *Service) ListResourceScanResources(ctx context.Context, in *cloudformation.ListResourceScanResourcesInput) (*cloudformation.ListResourceScanResourcesOutput, error) {
	c, err := s.call(ctx)
	if err != nil {
		return nil, err
	}
	size, err := sizeOf(in.MaxResults, pageSize)
	if err != nil {
		return nil, err
	}
	listing := strings.Join([]string{in.ResourceScanId, in.ResourceIdentifier, in.ResourceTypePrefix, in.TagKey, in.TagValue}, "\n")
	out := &cloudformation.ListResourceScanResourcesOutput{Resources: []cloudformation.ScannedResource{}}
	err = s.view(ctx, func(tx store.Tx) error {
		sc, err := s.finishedScan(tx, c.Scope, in.ResourceScanId)
		if err != nil {
			return err
		}
		all, err := scannedBy(tx, sc, func(r *scanned) bool {
			_, tagged := r.Tags[in.TagKey]
			return strings.HasPrefix(r.Type, in.ResourceTypePrefix) && r.identified(in.ResourceIdentifier) &&
				(in.TagKey == "" || tagged) && (in.TagValue == "" || r.hasTagValue(in.TagKey, in.TagValue))
		})
		if err != nil {
			return err
		}
		part, next, err := pageOf(all, size, listing, in.NextToken, (*scanned).place)
		out.Resources, out.NextToken = describeScanned(part), next
		return err
	})
	return out, err
}

func (r *scanned) place() string { return r.Type + "\n" + r.PhysicalID }

// identified reports whether a value of the identifier begins like that.
func (r *scanned) identified(prefix string) bool {
	if prefix == "" {
		return true
	}
	for _, v := range r.Identifier {
		if strings.HasPrefix(v, prefix) {
			return true
		}
	}
	return false
}

func (r *scanned) hasTagValue(key, value string) bool {
	for k, v := range r.Tags {
		if (key == "" || k == key) && v == value {
			return true
		}
	}
	return false
}

func scannedBy(tx store.Tx, sc *scan, keep func(*scanned) bool) ([]*scanned, error) {
	var all []*scanned
	for e, err := range scanResources.Scan(tx, sc.key()+"/") {
		if err != nil {
			return nil, err
		}
		if keep(e.Value) {
			all = append(all, e.Value)
		}
	}
	slices.SortFunc(all, func(a, b *scanned) int { return strings.Compare(a.place(), b.place()) })
	return all, nil
}

func describeScanned(all []*scanned) []cloudformation.ScannedResource {
	out := []cloudformation.ScannedResource{}
	for _, r := range all {
		out = append(out, cloudformation.ScannedResource{ResourceType: r.Type, ResourceIdentifier: r.Identifier, ManagedByStack: &r.Managed})
	}
	return out
}

// ListResourceScanRelatedResources lists what was found that names the given
// resources, or is named by them.
func (s *Service) ListResourceScanRelatedResources(ctx context.Context, in *cloudformation.ListResourceScanRelatedResourcesInput) (*cloudformation.ListResourceScanRelatedResourcesOutput, error) {
	c := auth.From(ctx)
	if _, err := s.call(ctx); err != nil {
		return nil, err
	}
	size, err := sizeOf(in.MaxResults, pageSize)
	if err != nil {
		return nil, err
	}
	out := &cloudformation.ListResourceScanRelatedResourcesOutput{RelatedResources: []cloudformation.ScannedResource{}}
	err = s.view(ctx, func(tx store.Tx) error {
		sc, err := s.finishedScan(tx, c.Scope, in.ResourceScanId)
		if err != nil {
			return err
		}
		all, err := scannedBy(tx, sc, func(*scanned) bool { return true })
		if err != nil {
			return err
		}
		related, err := s.related(all, in.Resources)
		if err != nil {
			return err
		}
		part, next, err := pageOf(related, size, in.ResourceScanId+fmt.Sprint(in.Resources), in.NextToken, (*scanned).place)
		out.RelatedResources, out.NextToken = describeScanned(part), next
		return err
	})
	return out, err
}

// related are those of all that have to do with the given ones.
func (s *Service) related(all []*scanned, given []cloudformation.ScannedResourceIdentifier) ([]*scanned, error) {
	chosen := map[*scanned]bool{}
	names, refs := map[string]bool{}, map[string]bool{}
	for _, g := range given {
		id, ok := s.types.PhysicalID(g.ResourceType, g.ResourceIdentifier)
		at := slices.IndexFunc(all, func(r *scanned) bool { return ok && r.Type == g.ResourceType && r.PhysicalID == id })
		if at < 0 {
			return nil, fault.New(fault.ValidationError, "The scan has found no resource of type %s with the identifier %v", g.ResourceType, g.ResourceIdentifier)
		}
		chosen[all[at]] = true
		for _, n := range all[at].Names {
			names[n] = true
		}
		for _, n := range all[at].Refs {
			refs[n] = true
		}
	}
	var related []*scanned
	for _, r := range all {
		if !chosen[r] && (slices.ContainsFunc(r.Names, func(n string) bool { return refs[n] }) || slices.ContainsFunc(r.Refs, func(n string) bool { return names[n] })) {
			related = append(related, r)
		}
	}
	return related, nil
}
