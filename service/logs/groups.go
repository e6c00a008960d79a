package logs

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"

	api "github.com/slipway/slipway/api/logs"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

const maxDescribed = 50

func badToken() error { return invalid("The specified nextToken is invalid.") }

// pageError tells of a token that no list has given.
func pageError(err error) error {
	if errors.Is(err, store.ErrBadToken) {
		return badToken()
	}
	return err
}

// linked refuses what only monitoring accounts have.
func linked(operation string, scope arn.Scope, accounts []string, include *bool) error {
	if yes(include) || slices.ContainsFunc(accounts, func(a string) bool { return a != scope.Account }) {
		return fault.New(fault.NotImplemented, "%s: log groups of linked accounts are not built: there are no monitoring accounts", operation)
	}
	return nil
}

// DescribeLogGroups lists the account's log groups in the order of their names.
func (s *Service) DescribeLogGroups(ctx context.Context, in *api.DescribeLogGroupsInput) (*api.DescribeLogGroupsOutput, error) {
	scope := auth.From(ctx).Scope
	if err := linked("DescribeLogGroups", scope, in.AccountIdentifiers, in.IncludeLinkedAccounts); err != nil {
		return nil, err
	}
	switch {
	case in.LogGroupNamePrefix != "" && in.LogGroupNamePattern != "":
		return nil, invalid("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.")
	case len(in.LogGroupIdentifiers) > 0 && (in.LogGroupNamePrefix != "" || in.LogGroupNamePattern != "" || in.LogGroupClass != "" || in.NextToken != "" || in.Limit != nil):
		return nil, invalid("LogGroup identifiers exclude all other parameters but includeLinkedAccounts.")
	}
	var named map[string]bool
	if len(in.LogGroupIdentifiers) > 0 {
		named = map[string]bool{}
		for _, id := range in.LogGroupIdentifiers {
			p, err := identified(ctx, "", id)
			if err != nil {
				return nil, err
			}
			named[p.name] = true
		}
	}
	pattern := strings.ToLower(in.LogGroupNamePattern)
	keep := func(g *group) bool {
		return (named == nil || named[g.Name]) && (in.LogGroupClass == "" || g.Class == in.LogGroupClass) &&
			(pattern == "" || strings.Contains(strings.ToLower(g.Name), pattern))
	}
	out := &api.DescribeLogGroupsOutput{LogGroups: []api.LogGroup{}}
	err := s.store.View(ctx, func(tx store.Tx) error {
		page, next, err := groups.Page(tx, scope.Key()+"/"+in.LogGroupNamePrefix, in.NextToken, limitOf(in.Limit, maxDescribed), keep)
		if err != nil {
			return pageError(err)
		}
		out.NextToken, out.LogGroups = next, out.LogGroups[:0]
		for _, e := range page {
			d, err := describe(tx, place{scope, e.Value.Name}, e.Value)
			if err != nil {
				return err
			}
			out.LogGroups = append(out.LogGroups, d)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func describe(tx store.Tx, p place, g *group) (api.LogGroup, error) {
	t, err := tallies.Get(tx, g.ID)
	if errors.Is(err, store.ErrNotFound) {
		t, err = &tally{}, nil
	}
	if err != nil {
		return api.LogGroup{}, err
	}
	d := api.LogGroup{
		LogGroupName: g.Name, CreationTime: &g.Created, Arn: p.arn() + ":*", LogGroupArn: p.arn(), LogGroupClass: g.Class, StoredBytes: &t.Bytes,
		MetricFilterCount: new(int32(g.MetricFilters)), DeletionProtectionEnabled: &g.Protected,
	}
	if g.Retention > 0 {
		d.RetentionInDays = &g.Retention
	}
	if g.Key > 0 {
		d.KmsKeyId = g.Keys[g.Key-1].KeyARN
	}
	return d, nil
}

// ListLogGroups lists the account's log groups whose names match a pattern: a text
// in them, or where ^ begins it, a text that they begin with; | is between several.
func (s *Service) ListLogGroups(ctx context.Context, in *api.ListLogGroupsInput) (*api.ListLogGroupsOutput, error) {
	scope := auth.From(ctx).Scope
	if err := linked("ListLogGroups", scope, in.AccountIdentifiers, in.IncludeLinkedAccounts); err != nil {
		return nil, err
	}
	if len(in.DataSources) > 0 || len(in.FieldIndexNames) > 0 || len(in.LogGroupTags) > 0 {
		return nil, fault.New(fault.NotImplemented, "ListLogGroups: dataSources, fieldIndexNames and logGroupTags are not built.")
	}
	re, err := regexp.Compile(in.LogGroupNamePattern)
	if err != nil {
		return nil, invalid("The log group name pattern %s is not a regular expression.", in.LogGroupNamePattern)
	}
	keep := func(g *group) bool {
		return (in.LogGroupClass == "" || g.Class == in.LogGroupClass) && re.MatchString(g.Name)
	}
	out := &api.ListLogGroupsOutput{LogGroups: []api.LogGroupSummary{}}
	err = s.store.View(ctx, func(tx store.Tx) error {
		page, next, err := groups.Page(tx, scope.Key()+"/", in.NextToken, limitOf(in.Limit, 1000), keep)
		if err != nil {
			return pageError(err)
		}
		out.NextToken, out.LogGroups = next, out.LogGroups[:0]
		for _, e := range page {
			p := place{scope, e.Value.Name}
			out.LogGroups = append(out.LogGroups, api.LogGroupSummary{LogGroupName: p.name, LogGroupArn: p.arn(), LogGroupClass: e.Value.Class})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
