package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	api "github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// lifecycle is a bucket's rules, by bucket ("Lifecycle configuration elements",
// S3 User Guide).
type lifecycle struct {
	Rules   []rule
	Minimum string // TransitionDefaultMinimumObjectSize: kept, for there are no transitions
}

var lifecycles = store.NewCollection[lifecycle]("s3/lifecycle")

// rule is a lifecycle rule. Days of 0 stand for what the rule does not say.
type rule struct {
	ID      string
	Enabled bool
	Legacy  bool `json:",omitempty"` // the prefix was given beside the filter's place
	Filter  filter

	Days    int32      `json:",omitempty"` // of a current version
	Date    *time.Time `json:",omitempty"`
	Markers *bool      `json:",omitempty"` // ExpiredObjectDeleteMarker

	NoncurrentDays int32 `json:",omitempty"`
	Newer          int32 `json:",omitempty"` // noncurrent versions that stay
	AbortDays      int32 `json:",omitempty"` // of an upload
}

// filter selects what a rule is about; all that is given must hold.
type filter struct {
	Kind    string `json:",omitempty"` // Prefix, Tag, Greater, Less, And; "" for all
	Prefix  string `json:",omitempty"`
	Tags    []tag  `json:",omitempty"`
	Greater *int64 `json:",omitempty"`
	Less    *int64 `json:",omitempty"`
}

const maxRules = 1000

const (
	defaultMinimum = "all_storage_classes_128K"
	variesMinimum  = "varies_by_storage_class"
)

func (f *filter) selects(o *object) bool {
	if !strings.HasPrefix(o.Key, f.Prefix) || f.Greater != nil && o.Size <= *f.Greater || f.Less != nil && o.Size >= *f.Less {
		return false
	}
	for _, t := range f.Tags {
		has := false
		for _, u := range o.Tags {
			has = has || t == u
		}
		if !has {
			return false
		}
	}
	return true
}

// midnight is when what was made at a time is as old as days: the next midnight
// UTC ("Understanding object expiration", S3 User Guide).
func midnight(made time.Time, days int32) time.Time {
	due := made.UTC().AddDate(0, 0, int(days))
	day := due.Truncate(24 * time.Hour)
	if day.Before(due) {
		day = day.AddDate(0, 0, 1)
	}
	return day
}

// expires says when the rule ends a current version.
func (r *rule) expires(o *object) (time.Time, bool) {
	if !r.Enabled || o.Marker || r.Days == 0 && r.Date == nil || !r.Filter.selects(o) {
		return time.Time{}, false
	}
	if r.Date != nil {
		return *r.Date, true
	}
	return midnight(o.Modified, r.Days), true
}

// expiry finds the rule that ends a current version first.
func (l *lifecycle) expiry(o *object) (at time.Time, by *rule) {
	for i := range l.Rules {
		r := &l.Rules[i]
		if t, ok := r.expires(o); ok && (by == nil || t.Before(at)) {
			at, by = t, r
		}
	}
	return at, by
}

// expiration is the x-amz-expiration header of an object.
func (s *Service) expiration(ctx context.Context, b *bucket, o *object) (header string, err error) {
	if !b.Lifecycle {
		return "", nil
	}
	err = s.store.View(ctx, func(tx store.Tx) error {
		l, err := lifecycles.Get(tx, b.Name)
		if err != nil {
			return ignoreNotFound(err)
		}
		if at, by := l.expiry(o); by != nil {
			header = fmt.Sprintf("expiry-date=%q, rule-id=%q", at.UTC().Format(http.TimeFormat), url.QueryEscape(by.ID))
		}
		return nil
	})
	return header, err
}

// readRules reads the rules of a request.
func readRules(in *api.BucketLifecycleConfiguration) ([]rule, error) {
	if in == nil || len(in.Rules) == 0 || len(in.Rules) > maxRules {
		return nil, malformedXML()
	}
	ids := map[string]bool{}
	var out []rule
	for i := range in.Rules {
		r, err := readRule(&in.Rules[i])
		if err != nil {
			return nil, err
		}
		if ids[r.ID] {
			return nil, fault.New(fault.InvalidArgument, "Rule ID must be unique. Found same ID for more than one rule")
		}
		ids[r.ID] = true
		out = append(out, r)
	}
	return out, nil
}

func readRule(in *api.LifecycleRule) (rule, error) {
	if len(in.Transitions) > 0 {
		return rule{}, notBuilt("the lifecycle action Transition (storage classes have no meaning on one host)")
	}
	if len(in.NoncurrentVersionTransitions) > 0 {
		return rule{}, notBuilt("the lifecycle action NoncurrentVersionTransition (storage classes have no meaning on one host)")
	}
	r := rule{ID: in.ID, Enabled: in.Status == "Enabled"}
	if r.ID == "" {
		r.ID = newVersionID()
	}
	switch {
	case in.Status != "Enabled" && in.Status != "Disabled":
		return r, malformedXML()
	case len(in.ID) > maxRuleID:
		return r, fault.New(fault.InvalidArgument, "ID length should not exceed allowed limit of %d", maxRuleID)
	case in.Expiration == nil && in.NoncurrentVersionExpiration == nil && in.AbortIncompleteMultipartUpload == nil:
		return r, invalidRequest("At least one action needs to be specified in a rule")
	}
	if in.Filter == nil {
		r.Legacy, r.Filter.Prefix = true, in.Prefix
	} else if in.Prefix != "" {
		return r, malformedXML()
	} else if err := r.Filter.read(in.Filter); err != nil {
		return r, err
	}
	if err := r.readActions(in); err != nil {
		return r, err
	}
	return r, r.checkTogether()
}

func (f *filter) read(in *api.LifecycleRuleFilter) error {
	given := 0
	set := func(kind string) { f.Kind = kind; given++ }
	if in.Prefix != "" {
		set("Prefix")
		f.Prefix = in.Prefix
	}
	if in.Tag != nil {
		set("Tag")
		f.Tags = []tag{{in.Tag.Key, in.Tag.Value}}
	}
	if in.ObjectSizeGreaterThan != nil {
		set("Greater")
		f.Greater = in.ObjectSizeGreaterThan
	}
	if in.ObjectSizeLessThan != nil {
		set("Less")
		f.Less = in.ObjectSizeLessThan
	}
	if a := in.And; a != nil {
		set("And")
		f.Prefix, f.Greater, f.Less = a.Prefix, a.ObjectSizeGreaterThan, a.ObjectSizeLessThan
		seen := map[string]bool{}
		for _, t := range a.Tags {
			if seen[t.Key] {
				return fault.New(fault.InvalidRequest, "Duplicate Tag Keys are not allowed.")
			}
			seen[t.Key] = true
			f.Tags = append(f.Tags, tag{t.Key, t.Value})
		}
		if n := len(a.Tags); n+count(a.Prefix != "", f.Greater != nil, f.Less != nil) < 2 {
			return malformedXML()
		}
	}
	switch {
	case given > 1:
		return malformedXML()
	case len(f.Prefix) > maxKey:
		return fault.New(fault.InvalidRequest, "The maximum size of a prefix is %d.", maxKey)
	case f.Greater != nil && *f.Greater < 0 || f.Less != nil && *f.Less < 1:
		return malformedXML()
	case f.Greater != nil && f.Less != nil && *f.Greater >= *f.Less:
		return fault.New(fault.InvalidRequest, "'ObjectSizeLessThan' has to be a value greater than 'ObjectSizeGreaterThan'.")
	}
	for _, t := range f.Tags {
		if t.Key == "" || !tagText(t.Key, 128) || !tagText(t.Value, 256) {
			return invalidTag(t.Key, "The TagKey you have provided is invalid")
		}
	}
	return nil
}

func count(conditions ...bool) (n int) {
	for _, c := range conditions {
		if c {
			n++
		}
	}
	return n
}

func positive(days *int32, what string) (int32, error) {
	if days == nil {
		return 0, nil
	}
	if *days < 1 {
		return 0, fault.New(fault.InvalidArgument, "'%s' action must be a positive integer", what)
	}
	return *days, nil
}

func (r *rule) readActions(in *api.LifecycleRule) (err error) {
	if e := in.Expiration; e != nil {
		if count(e.Days != nil, e.Date != nil, e.ExpiredObjectDeleteMarker != nil) != 1 {
			return malformedXML()
		}
		if r.Days, err = positive(e.Days, "Days' for Expiration"); err != nil {
			return fault.New(fault.InvalidArgument, "'Days' for Expiration action must be a positive integer")
		}
		if e.Date != nil {
			d := e.Date.UTC()
			if !d.Truncate(24 * time.Hour).Equal(d) {
				return fault.New(fault.InvalidArgument, "'Date' must be at midnight GMT")
			}
			r.Date = &d
		}
		r.Markers = e.ExpiredObjectDeleteMarker
	}
	if n := in.NoncurrentVersionExpiration; n != nil {
		if n.NoncurrentDays == nil {
			return malformedXML()
		}
		if r.NoncurrentDays, err = positive(n.NoncurrentDays, "NoncurrentDays"); err != nil {
			return fault.New(fault.InvalidArgument, "'NoncurrentDays' for NoncurrentVersionExpiration action must be a positive integer")
		}
		if n.NewerNoncurrentVersions != nil {
			if r.Newer = *n.NewerNoncurrentVersions; r.Newer < 1 || r.Newer > 100 {
				return fault.New(fault.InvalidArgument, "'NewerNoncurrentVersions' for NoncurrentVersionExpiration action must be between 1 and 100")
			}
		}
	}
	if a := in.AbortIncompleteMultipartUpload; a != nil {
		if a.DaysAfterInitiation == nil {
			return malformedXML()
		}
		if r.AbortDays, err = positive(a.DaysAfterInitiation, "DaysAfterInitiation"); err != nil {
			return fault.New(fault.InvalidArgument, "'DaysAfterInitiation' for AbortIncompleteMultipartUpload action must be a positive integer")
		}
	}
	return nil
}

// checkTogether refuses actions that do not go with the filter.
func (r *rule) checkTogether() error {
	f := &r.Filter
	switch {
	case r.AbortDays > 0 && len(f.Tags) > 0:
		return invalidRequest("AbortIncompleteMultipartUpload cannot be specified with Tags.")
	case r.AbortDays > 0 && (f.Greater != nil || f.Less != nil):
		return invalidRequest("AbortIncompleteMultipartUpload cannot be specified with Object Size.")
	case value(r.Markers) && len(f.Tags) > 0:
		return invalidRequest("ExpiredObjectDeleteMarker cannot be specified with Tags.")
	case value(r.Markers) && (f.Greater != nil || f.Less != nil):
		return invalidRequest("ExpiredObjectDeleteMarker cannot be specified with Object Size.")
	case r.Newer > 0 && r.Legacy:
		return invalidRequest("NewerNoncurrentVersions must be used with a Filter element.")
	}
	return nil
}

// PutBucketLifecycleConfiguration replaces the bucket's rules.
func (s *Service) PutBucketLifecycleConfiguration(ctx context.Context, in *api.PutBucketLifecycleConfigurationInput) (*api.PutBucketLifecycleConfigurationOutput, error) {
	if _, err := s.bucket(ctx, in.Bucket, in.ExpectedBucketOwner); err != nil {
		return nil, err
	}
	l := &lifecycle{Minimum: in.TransitionDefaultMinimumObjectSize}
	switch l.Minimum {
	case "":
		l.Minimum = defaultMinimum
	case defaultMinimum, variesMinimum:
	default:
		return nil, invalidRequest("Invalid TransitionDefaultMinimumObjectSize found: %s", l.Minimum)
	}
	var err error
	if l.Rules, err = readRules(in.LifecycleConfiguration); err != nil {
		return nil, err
	}
	err = s.changeSettings(ctx, in.Bucket, in.ExpectedBucketOwner, func(c *change, b *bucket) error {
		b.Lifecycle = true
		return lifecycles.Put(c, b.Name, l)
	})
	if err != nil {
		return nil, err
	}
	s.expiries.Wake()
	return &api.PutBucketLifecycleConfigurationOutput{TransitionDefaultMinimumObjectSize: l.Minimum}, nil
}

// GetBucketLifecycleConfiguration gives the bucket's rules.
func (s *Service) GetBucketLifecycleConfiguration(ctx context.Context, in *api.GetBucketLifecycleConfigurationInput) (*api.GetBucketLifecycleConfigurationOutput, error) {
	l, err := setting(ctx, s, lifecycles, in.Bucket, in.ExpectedBucketOwner, fault.NoSuchLifecycleConfiguration, "The lifecycle configuration does not exist")
	if err != nil {
		return nil, err
	}
	out := &api.GetBucketLifecycleConfigurationOutput{TransitionDefaultMinimumObjectSize: l.Minimum, Rules: []api.LifecycleRule{}}
	for i := range l.Rules {
		out.Rules = append(out.Rules, l.Rules[i].shown())
	}
	return out, nil
}

// DeleteBucketLifecycle removes the rules; removing none is no error.
func (s *Service) DeleteBucketLifecycle(ctx context.Context, in *api.DeleteBucketLifecycleInput) (*api.DeleteBucketLifecycleOutput, error) {
	err := s.changeSettings(ctx, in.Bucket, in.ExpectedBucketOwner, func(c *change, b *bucket) error {
		b.Lifecycle = false
		return ignoreNotFound(lifecycles.Delete(c, b.Name))
	})
	return &api.DeleteBucketLifecycleOutput{}, err
}

func (r *rule) shown() api.LifecycleRule {
	out := api.LifecycleRule{ID: r.ID, Status: "Disabled"}
	if r.Enabled {
		out.Status = "Enabled"
	}
	if r.Legacy {
		out.Prefix = r.Filter.Prefix
	} else {
		out.Filter = r.Filter.shown()
	}
	if r.Days > 0 || r.Date != nil || r.Markers != nil {
		out.Expiration = &api.LifecycleExpiration{Days: some(r.Days), Date: r.Date, ExpiredObjectDeleteMarker: r.Markers}
	}
	if r.NoncurrentDays > 0 {
		out.NoncurrentVersionExpiration = &api.NoncurrentVersionExpiration{NoncurrentDays: &r.NoncurrentDays, NewerNoncurrentVersions: some(r.Newer)}
	}
	if r.AbortDays > 0 {
		out.AbortIncompleteMultipartUpload = &api.AbortIncompleteMultipartUpload{DaysAfterInitiation: &r.AbortDays}
	}
	return out
}

func some(n int32) *int32 {
	if n == 0 {
		return nil
	}
	return &n
}

func (f *filter) shown() *api.LifecycleRuleFilter {
	out := &api.LifecycleRuleFilter{}
	switch f.Kind {
	case "And":
		out.And = &api.LifecycleRuleAndOperator{Prefix: f.Prefix, Tags: tagSet(f.Tags), ObjectSizeGreaterThan: f.Greater, ObjectSizeLessThan: f.Less}
		if len(f.Tags) == 0 {
			out.And.Tags = nil
		}
	case "Tag":
		out.Tag = &api.Tag{Key: f.Tags[0].Key, Value: f.Tags[0].Value}
	default:
		out.Prefix, out.ObjectSizeGreaterThan, out.ObjectSizeLessThan = f.Prefix, f.Greater, f.Less
	}
	return out
}

// lifecycleOf gives a bucket's rules, nil for none.
func lifecycleOf(tx store.Tx, name string) (*lifecycle, error) {
	l, err := lifecycles.Get(tx, name)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return l, err
}
