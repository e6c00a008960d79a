package ec2

import (
	"context"
	"slices"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource"
)

const prefixListTypeName = "AWS::EC2::PrefixList"

type prefixListProperties struct {
	AddressFamily  string            `json:"AddressFamily"`
	Entries        []prefixListEntry `json:"Entries,omitempty"`
	MaxEntries     *int32            `json:"MaxEntries,omitempty"`
	PrefixListName string            `json:"PrefixListName"`
	Tags           []resource.Tag    `json:"Tags,omitempty"`
}

type prefixListEntry struct {
	Cidr        string `json:"Cidr"`
	Description string `json:"Description,omitempty"`
}

// room is how many entries the list has room for.
func (p prefixListProperties) room() *int32 {
	if p.MaxEntries != nil {
		return p.MaxEntries
	}
	return ptr(int32(max(1, len(p.Entries))))
}

type prefixListHandler struct{ svc api.Service }

func prefixListType(svc api.Service) cfn.Type {
	h := prefixListHandler{svc}
	return cfn.Type{Name: prefixListTypeName, Create: h.create, Read: h.read, Update: h.update, Delete: h.delete, List: h.list}
}

func (h prefixListHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p prefixListProperties
	if err := resource.Decode(prefixListTypeName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	in := &api.CreateManagedPrefixListInput{
		AddressFamily: p.AddressFamily, MaxEntries: p.room(), PrefixListName: p.PrefixListName, TagSpecifications: specs(resource.Tags(r, p.Tags), "prefix-list"),
	}
	for _, e := range p.Entries {
		in.Entries = append(in.Entries, api.AddPrefixListEntry{Cidr: e.Cidr, Description: e.Description})
	}
	out, err := h.svc.CreateManagedPrefixList(ctx, in)
	if err != nil {
		return cfn.Result{}, err
	}
	return prefixListResult(out.PrefixList), nil
}

func prefixListResult(l *api.ManagedPrefixList) cfn.Result {
	return cfn.Result{PhysicalID: l.PrefixListId, Attributes: cfn.Properties{
		"PrefixListId": l.PrefixListId, "OwnerId": l.OwnerId, "Version": value(l.Version), "Arn": l.PrefixListArn,
	}}
}

func (h prefixListHandler) find(ctx context.Context, id string) (*api.ManagedPrefixList, []prefixListEntry, error) {
	out, err := h.svc.DescribeManagedPrefixLists(ctx, &api.DescribeManagedPrefixListsInput{PrefixListIds: []string{id}})
	if err != nil {
		return nil, nil, resource.Found(err, prefixListTypeName, id, fault.InvalidPrefixListIDNotFound)
	}
	var list []prefixListEntry
	in := &api.GetManagedPrefixListEntriesInput{PrefixListId: id}
	for {
		page, err := h.svc.GetManagedPrefixListEntries(ctx, in)
		if err != nil {
			return nil, nil, resource.Found(err, prefixListTypeName, id, fault.InvalidPrefixListIDNotFound)
		}
		for _, e := range page.Entries {
			list = append(list, prefixListEntry{e.Cidr, e.Description})
		}
		if in.NextToken = page.NextToken; in.NextToken == "" {
			return &out.PrefixLists[0], list, nil
		}
	}
}

func (h prefixListHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	l, list, err := h.find(ctx, r.PhysicalID)
	if err != nil {
		return nil, err
	}
	out, err := resource.Encode(prefixListProperties{l.AddressFamily, list, l.MaxEntries, l.PrefixListName, resource.OwnTags(tagMap(l.Tags))})
	if err != nil {
		return nil, err
	}
	for k, v := range prefixListResult(l).Attributes {
		out[k] = v
	}
	return out, nil
}

// update makes another version of the list, where its entries change.
func (h prefixListHandler) update(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p prefixListProperties
	if err := resource.Decode(prefixListTypeName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	l, has, err := h.find(ctx, r.PhysicalID)
	if err != nil {
		return cfn.Result{}, err
	}
	if p.AddressFamily != l.AddressFamily {
		return cfn.Result{}, fault.New(fault.NotImplemented, "%s: another AddressFamily is not built in Slipway yet", prefixListTypeName)
	}
	in := &api.ModifyManagedPrefixListInput{PrefixListId: l.PrefixListId, PrefixListName: p.PrefixListName, MaxEntries: p.room()}
	for _, e := range has {
		if !slices.ContainsFunc(p.Entries, func(o prefixListEntry) bool { return o.Cidr == e.Cidr }) {
			in.RemoveEntries = append(in.RemoveEntries, api.RemovePrefixListEntry{Cidr: e.Cidr})
		}
	}
	for _, e := range p.Entries {
		if !slices.Contains(has, e) {
			in.AddEntries = append(in.AddEntries, api.AddPrefixListEntry{Cidr: e.Cidr, Description: e.Description})
		}
	}
	out, err := h.svc.ModifyManagedPrefixList(ctx, in)
	if err != nil {
		return cfn.Result{}, err
	}
	return prefixListResult(out.PrefixList), retag(ctx, h.svc, l.PrefixListId, l.Tags, resource.Tags(r, p.Tags))
}

func (h prefixListHandler) delete(ctx context.Context, r cfn.Request) error {
	_, err := h.svc.DeleteManagedPrefixList(ctx, &api.DeleteManagedPrefixListInput{PrefixListId: r.PhysicalID})
	return resource.Gone(err, fault.InvalidPrefixListIDNotFound)
}

func (h prefixListHandler) list(ctx context.Context) ([]string, error) {
	var ids []string
	in := &api.DescribeManagedPrefixListsInput{}
	for {
		out, err := h.svc.DescribeManagedPrefixLists(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, l := range out.PrefixLists {
			ids = append(ids, l.PrefixListId)
		}
		if in.NextToken = out.NextToken; in.NextToken == "" {
			return ids, nil
		}
	}
}
