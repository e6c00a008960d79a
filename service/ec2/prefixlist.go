package ec2

import (
	"context"
	"net/netip"
	"slices"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// Limits of prefix lists ("Amazon VPC quotas").
const (
	maxPrefixLists       = 100
	maxPrefixListEntries = 1000
	keptVersions         = 100 // of a list; older ones are forgotten
)

// prefixEntry is one range of a prefix list.
type prefixEntry struct {
	CIDR        string `json:"cidr"`
	Description string `json:"description,omitempty"`
}

// prefixList is a named set of ranges for rules and routes.
type prefixList struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Max     int32  `json:"max"`
	Version int64  `json:"version"`
	// Versions are the entries of each version, the last one's last.
	Versions [][]prefixEntry `json:"versions"`
	Hash     string          `json:"hash,omitempty"` // of the request with a client token
}

var prefixLists = noun[prefixList]{prefix: prefixPrefixList, kept: store.NewCollection[prefixList]("ec2/prefixlist"), id: func(l *prefixList) string { return l.ID }}

func (l *prefixList) entries() []prefixEntry { return l.Versions[len(l.Versions)-1] }

// prefixes are the list's ranges.
func (l *prefixList) prefixes() []netip.Prefix {
	var out []netip.Prefix
	for _, e := range l.entries() {
		if p, err := netip.ParsePrefix(e.CIDR); err == nil {
			out = append(out, p)
		}
	}
	return out
}

// add adds or redescribes a range.
func addEntry(entries []prefixEntry, cidr, description string) ([]prefixEntry, error) {
	p, err := netip.ParsePrefix(cidr)
	if err != nil || !p.Addr().Is4() {
		return nil, fault.New(fault.InvalidParameterValue, "Value (%s) for parameter Cidr is invalid. This is not a valid CIDR block.", clip(cidr, 64))
	}
	if len(description) > 255 {
		return nil, fault.New(fault.InvalidParameterValue, "The description of an entry is at most 255 characters long.")
	}
	e := prefixEntry{p.Masked().String(), description}
	if at := slices.IndexFunc(entries, func(o prefixEntry) bool { return o.CIDR == e.CIDR }); at >= 0 {
		entries[at] = e
		return entries, nil
	}
	return append(entries, e), nil
}

// CreateManagedPrefixList makes a list of IPv4 ranges.
func (s *Service) CreateManagedPrefixList(ctx context.Context, in *api.CreateManagedPrefixListInput) (*api.CreateManagedPrefixListOutput, error) {
	call := auth.From(ctx)
	if in.AddressFamily == "IPv6" {
		return nil, notBuilt("AddressFamily=IPv6")
	}
	if in.AddressFamily != "IPv4" {
		return nil, fault.New(fault.InvalidParameterValue, "Value (%s) for parameter AddressFamily is invalid. Expecting IPv4 or IPv6.", clip(in.AddressFamily, 64))
	}
	l := &prefixList{ID: newID(call, prefixPrefixList, "list"), Name: in.PrefixListName, Max: value(in.MaxEntries, 0), Version: 1}
	if err := l.check(); err != nil {
		return nil, err
	}
	entries := []prefixEntry{}
	for _, e := range in.Entries {
		var err error
		if entries, err = addEntry(entries, e.Cidr, e.Description); err != nil {
			return nil, err
		}
	}
	if len(entries) > int(l.Max) {
		return nil, fault.New(fault.PrefixListMaxEntriesExceeded, "The number of entries (%d) exceeds the maximum (%d) of the prefix list.", len(entries), l.Max)
	}
	l.Versions = [][]prefixEntry{entries}
	tags, err := specTags(call, in.TagSpecifications, "prefix-list")
	if err != nil {
		return nil, err
	}
	if in.ClientToken != "" {
		l.ID = arn.IDFrom(prefixPrefixList, call.Scope.Key()+"/client/"+in.ClientToken)
		l.Hash = arn.Hash(l.Name + "/" + itoa(int(l.Max)))
	}
	err = s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		if old, err := prefixLists.kept.Get(tx, prefixLists.key(call.Scope, l.ID)); err == nil {
			if old.Hash != l.Hash {
				return fault.New(fault.IdempotentParameterMatch, "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).")
			}
			l = old
			return nil
		}
		all, err := prefixLists.all(s, tx, call.Scope)
		if err == nil && len(all) >= maxPrefixLists {
			err = fault.New(fault.PrefixListLimitExceeded, "The maximum number of prefix lists has been reached.")
		}
		if err == nil {
			_, err = prefixLists.made(tx, call, l, tags)
		}
		return firstError(err, dryRun(in.DryRun))
	})
	if err != nil {
		return nil, err
	}
	o := listView(call.Scope, tagged[prefixList]{l, tags["prefix-list"]})
	o.State = "create-in-progress"
	return &api.CreateManagedPrefixListOutput{PrefixList: &o}, nil
}

func (l *prefixList) check() error {
	if l.Name == "" || len(l.Name) > 255 || len(l.Name) >= 14 && l.Name[:14] == "com.amazonaws." || l.Name == "com.amazonaws" {
		return fault.New(fault.InvalidParameterValue, "Value (%s) for parameter PrefixListName is invalid. It must be 1 to 255 characters long and must not begin with com.amazonaws.", clip(l.Name, 64))
	}
	if l.Max < 1 || l.Max > maxPrefixListEntries {
		return fault.New(fault.InvalidParameterValue, "Value (%d) for parameter MaxEntries is invalid. Expecting a value between 1 and %d.", l.Max, maxPrefixListEntries)
	}
	return nil
}

// ModifyManagedPrefixList makes another version of a list, or renames it. Rules and
// routes follow at once.
func (s *Service) ModifyManagedPrefixList(ctx context.Context, in *api.ModifyManagedPrefixListInput) (*api.ModifyManagedPrefixListOutput, error) {
	scope := auth.From(ctx).Scope
	if value(in.IpamPrefixListResolverSyncEnabled, false) {
		return nil, notBuilt("IpamPrefixListResolverSyncEnabled")
	}
	var view tagged[prefixList]
	err := s.update(ctx, func(tx store.Tx) error {
		l, err := prefixLists.get(s, tx, scope, in.PrefixListId)
		if err != nil {
			return err
		}
		if in.CurrentVersion != nil && *in.CurrentVersion != l.Version {
			return fault.New(fault.PrefixListVersionMismatch, "The prefix list has the incorrect version number")
		}
		if in.PrefixListName != "" {
			l.Name = in.PrefixListName
		}
		l.Max = value(in.MaxEntries, l.Max)
		if err := l.check(); err != nil {
			return err
		}
		entries := slices.Clone(l.entries())
		for _, e := range in.RemoveEntries {
			at := slices.IndexFunc(entries, func(o prefixEntry) bool { return o.CIDR == e.Cidr })
			if at < 0 {
				return fault.New(fault.InvalidParameterValue, "The prefix list %s has no entry %s", l.ID, clip(e.Cidr, 64))
			}
			entries = slices.Delete(entries, at, at+1)
		}
		for _, e := range in.AddEntries {
			if entries, err = addEntry(entries, e.Cidr, e.Description); err != nil {
				return err
			}
		}
		if len(entries) > int(l.Max) {
			return fault.New(fault.PrefixListMaxEntriesExceeded, "The number of entries (%d) exceeds the maximum (%d) of the prefix list.", len(entries), l.Max)
		}
		if len(in.AddEntries)+len(in.RemoveEntries) > 0 {
			l.Version++
			l.Versions = append(l.Versions, entries)
			l.Versions = l.Versions[max(0, len(l.Versions)-keptVersions):]
		}
		tags, err := tagsOf(tx, scope, l.ID)
		view = tagged[prefixList]{l, tags}
		return firstError(err, prefixLists.put(tx, scope, l), dryRun(in.DryRun))
	})
	if err != nil {
		return nil, err
	}
	o := listView(scope, view)
	o.State = "modify-in-progress"
	return &api.ModifyManagedPrefixListOutput{PrefixList: &o}, nil
}

// DeleteManagedPrefixList removes a list that no rule and no route names.
func (s *Service) DeleteManagedPrefixList(ctx context.Context, in *api.DeleteManagedPrefixListInput) (*api.DeleteManagedPrefixListOutput, error) {
	scope := auth.From(ctx).Scope
	var o api.ManagedPrefixList
	err := s.update(ctx, func(tx store.Tx) error {
		l, err := prefixLists.get(s, tx, scope, in.PrefixListId)
		if err != nil {
			return err
		}
		tables, err := routeTables.which(s, tx, scope, func(t *routeTable) bool { return t.routeTo(l.ID) >= 0 })
		if err != nil {
			return err
		}
		all, err := s.allGroups(tx, scope)
		if err != nil {
			return err
		}
		used := len(tables) > 0
		for _, g := range all {
			used = used || slices.ContainsFunc(g.Rules, func(r rule) bool { return r.List == l.ID })
		}
		if used {
			return fault.New(fault.DependencyViolation, "The prefixList '%s' has dependencies and cannot be deleted.", l.ID)
		}
		o = listView(scope, tagged[prefixList]{l, nil})
		o.State = "delete-in-progress"
		return firstError(prefixLists.remove(tx, scope, l.ID), dryRun(in.DryRun))
	})
	if err != nil {
		return nil, err
	}
	return &api.DeleteManagedPrefixListOutput{PrefixList: &o}, nil
}

func listFields(t tagged[prefixList], name string) ([]string, bool) {
	l := t.orZero()
	switch name {
	case "prefix-list-id":
		return one(l.ID)
	case "prefix-list-name":
		return one(l.Name)
	}
	return tagFields(t.tags, name)
}

// DescribeManagedPrefixLists lists the caller's prefix lists; AWS's own lists are
// not on this host.
func (s *Service) DescribeManagedPrefixLists(ctx context.Context, in *api.DescribeManagedPrefixListsInput) (*api.DescribeManagedPrefixListsOutput, error) {
	scope := auth.From(ctx).Scope
	page, next, err := list(ctx, s, listing[tagged[prefixList]]{
		prefix: prefixPrefixList, ids: in.PrefixListIds, filters: in.Filters, fields: owned(scope, listFields), dry: in.DryRun,
		token: in.NextToken, max: in.MaxResults, limits: pageLimits{1, 100}, id: func(l tagged[prefixList]) string { return l.it.ID },
		load: func(tx store.Tx, scope arn.Scope) ([]tagged[prefixList], error) {
			all, err := prefixLists.all(s, tx, scope)
			return withTags(tx, scope, prefixLists, all, err)
		},
	})
	if err != nil {
		return nil, err
	}
	out := &api.DescribeManagedPrefixListsOutput{NextToken: next, PrefixLists: []api.ManagedPrefixList{}}
	for _, l := range page {
		out.PrefixLists = append(out.PrefixLists, listView(scope, l))
	}
	return out, nil
}

// GetManagedPrefixListEntries lists a version's ranges.
func (s *Service) GetManagedPrefixListEntries(ctx context.Context, in *api.GetManagedPrefixListEntriesInput) (*api.GetManagedPrefixListEntriesOutput, error) {
	var entries []prefixEntry
	err := s.cfg.Store.View(ctx, func(tx store.Tx) error {
		l, err := prefixLists.get(s, tx, auth.From(ctx).Scope, in.PrefixListId)
		if err != nil {
			return err
		}
		at := len(l.Versions) - 1 - int(l.Version-value(in.TargetVersion, l.Version))
		if at < 0 || at >= len(l.Versions) {
			return fault.New(fault.InvalidParameterValue, "The prefix list %s has no version %d", l.ID, value(in.TargetVersion, 0))
		}
		entries = slices.Clone(l.Versions[at])
		return dryRun(in.DryRun)
	})
	if err != nil {
		return nil, err
	}
	page, next, err := paginate(entries, func(e prefixEntry) string { return e.CIDR }, in.NextToken, in.MaxResults, pageLimits{1, 100})
	if err != nil {
		return nil, err
	}
	out := &api.GetManagedPrefixListEntriesOutput{NextToken: next, Entries: []api.PrefixListEntry{}}
	for _, e := range page {
		out.Entries = append(out.Entries, api.PrefixListEntry{Cidr: e.CIDR, Description: e.Description})
	}
	return out, nil
}

func listView(scope arn.Scope, l tagged[prefixList]) api.ManagedPrefixList {
	state := "create-complete"
	if l.it.Version > 1 {
		state = "modify-complete"
	}
	return api.ManagedPrefixList{
		PrefixListId: l.it.ID, PrefixListName: l.it.Name, AddressFamily: "IPv4", MaxEntries: ptr(l.it.Max), Version: ptr(l.it.Version), OwnerId: scope.Account,
		PrefixListArn: scope.ARN("ec2", "prefix-list/"+l.it.ID).String(), State: state, Tags: l.tags.list(),
	}
}
