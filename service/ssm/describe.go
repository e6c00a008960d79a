package ssm

import (
	"context"
	"slices"
	"strconv"
	"strings"

	api "github.com/slipway/slipway/api/ssm"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// DescribeParameters lists what there is to know of parameters but their values.
func (s *Service) DescribeParameters(ctx context.Context, in *api.DescribeParametersInput) (*api.DescribeParametersOutput, error) {
	if len(in.Filters) > 0 && len(in.ParameterFilters) > 0 {
		return nil, fault.New(fault.ValidationException, "You can use either Filters or ParameterFilters in a single request.")
	}
	if yes(in.Shared) {
		return nil, fault.New(fault.NotImplemented, "DescribeParameters: Shared is not built.")
	}
	asked := slices.Clone(in.ParameterFilters)
	for _, f := range in.Filters { // the older form
		asked = append(asked, api.ParameterStringFilter{Key: f.Key, Values: f.Values})
	}
	filters, err := parseFilters(asked, describeKeys)
	if err != nil {
		return nil, err
	}
	scope := auth.From(ctx).Scope
	keep := func(p *parameter) bool { return !p.Latest.expired(s.now()) && filters.match(p) }
	out := &api.DescribeParametersOutput{}
	err = s.store.View(ctx, func(tx store.Tx) error {
		entries, next, err := parameters.Page(tx, parameterKey(scope, filters.prefix()), in.NextToken, pageSize(in.MaxResults, 50, 50), keep)
		if err != nil {
			return badToken(err)
		}
		out.Parameters, out.NextToken = []api.ParameterMetadata{}, next
		for _, e := range entries {
			v := &e.Value.Latest
			out.Parameters = append(out.Parameters, api.ParameterMetadata{
				Name: e.Value.Name, ARN: parameterARN(scope, e.Value.Name), Type: v.Type, KeyId: v.KeyID, LastModifiedDate: &v.Modified,
				LastModifiedUser: v.ModifiedBy, Description: v.Description, AllowedPattern: v.Pattern, Version: &v.Number, Tier: v.Tier,
				Policies: v.inlinePolicies(), DataType: v.DataType,
			})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// filter is one condition: any of the values fulfils it.
type filter struct {
	key, option string
	values      []string
}

// filters are conditions that must all hold.
type filters []filter

var (
	describeKeys = []string{"DataType", "KeyId", "Name", "Path", "Tier", "Type"} // and tag:
	byPathKeys   = []string{"KeyId", "Label", "Type"}
)

func parseFilters(asked []api.ParameterStringFilter, keys []string) (filters, error) {
	var out filters
	for _, a := range asked {
		f := filter{a.Key, a.Option, a.Values}
		tag := strings.HasPrefix(f.key, "tag:") && slices.Contains(keys, "Name")
		if !slices.Contains(keys, f.key) && !tag {
			return nil, fault.New(fault.InvalidFilterKey, "The following filter key is not valid: %s. Valid filter keys include: [%s].", f.key, strings.Join(keys, ", "))
		}
		if slices.ContainsFunc(out, func(o filter) bool { return o.key == f.key }) {
			return nil, fault.New(fault.InvalidFilterKey, "The following filter is duplicated in the request: %s. A request can contain only one occurrence of a specific filter.", f.key)
		}
		options := []string{"BeginsWith", "Equals"}
		switch f.key {
		case "Path":
			options = []string{"OneLevel", "Recursive"}
		case "Name":
			options = []string{"BeginsWith", "Contains", "Equals"}
		case "Label", "Tier", "DataType":
			options = []string{"Equals"}
		}
		if f.option == "" {
			f.option = "Equals"
			if f.key == "Path" {
				f.option = "OneLevel"
			}
		}
		if !slices.Contains(options, f.option) {
			return nil, fault.New(fault.InvalidFilterOption, "The following filter option is not valid: %s. Valid options include: [%s].", f.option, strings.Join(options, ", "))
		}
		if len(f.values) == 0 && !tag {
			return nil, fault.New(fault.InvalidFilterValue, "The following filter values are missing : null for filter key %s.", f.key)
		}
		out = append(out, f)
	}
	return out, nil
}

func (fs filters) match(p *parameter) bool {
	for _, f := range fs {
		if !f.match(p) {
			return false
		}
	}
	return true
}

func (f filter) match(p *parameter) bool {
	any := func(text string) bool {
		return slices.ContainsFunc(f.values, func(v string) bool {
			switch f.option {
			case "BeginsWith":
				return strings.HasPrefix(text, v)
			case "Contains":
				return strings.Contains(text, v)
			}
			return text == v
		})
	}
	switch f.key {
	case "Name":
		return any(p.Name)
	case "Type":
		return any(p.Latest.Type)
	case "KeyId":
		return any(p.Latest.KeyID)
	case "Tier":
		return any(p.Latest.Tier)
	case "DataType":
		return any(p.Latest.DataType)
	case "Label":
		return slices.ContainsFunc(f.values, func(l string) bool { return p.Labels[l] != 0 })
	case "Path":
		return slices.ContainsFunc(f.values, func(path string) bool {
			rest, ok := strings.CutPrefix(p.Name, strings.TrimSuffix(path, "/")+"/")
			return ok && (f.option == "Recursive" || !strings.Contains(rest, "/"))
		})
	}
	tag, ok := strings.CutPrefix(f.key, "tag:")
	value, has := p.Tags[tag]
	return ok && has && (len(f.values) == 0 || any(value))
}

// prefix is what the names of all matches begin with: a filter by one name, or
// by the beginning of names, need not look at every parameter.
func (fs filters) prefix() string {
	for _, f := range fs {
		if f.key == "Name" && len(f.values) == 1 && f.option != "Contains" {
			return f.values[0]
		}
	}
	return ""
}

// label is the version that a Label filter selects, or 0.
func (fs filters) label(p *parameter) int64 {
	for _, f := range fs {
		if f.key != "Label" {
			continue
		}
		for _, l := range f.values {
			if n := p.Labels[l]; n != 0 {
				return n
			}
		}
	}
	return 0
}

// A history's token is the number of the next version.
func historyToken(n int64) string { return strconv.FormatInt(n, 10) }

func historyStart(token string, p *parameter) (int64, error) {
	if token == "" {
		return p.Oldest, nil
	}
	n, err := strconv.ParseInt(token, 10, 64)
	if err != nil || n < 1 {
		return 0, badToken(store.ErrBadToken)
	}
	return max(n, p.Oldest), nil
}
