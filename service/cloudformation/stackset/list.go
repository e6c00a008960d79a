package stackset

import (
	"context"
	"slices"
	"strings"

	api "github.com/slipway/slipway/api/cloudformation"
)

// maxList bounds an object that lists accounts or stacks.
const maxList = 10 << 20

// list reads an object whose members have commas or the ends of lines between them.
func (s *Service) list(ctx context.Context, url string) ([]string, error) {
	text, err := s.cfg.List(ctx, url, maxList)
	if err != nil {
		return nil, err
	}
	out := strings.FieldsFunc(strings.TrimPrefix(text, "\ufeff"), func(r rune) bool { return strings.ContainsRune(", \t\r\n", r) })
	for i, m := range out {
		out[i] = strings.Trim(m, `"`)
	}
	return out, nil
}

// targetsOf are the targets of a request with the accounts that its AccountsUrl
// lists.
func (s *Service) targetsOf(ctx context.Context, in *api.DeploymentTargets) (*api.DeploymentTargets, error) {
	if in == nil || in.AccountsUrl == "" {
		return in, nil
	}
	if len(in.Accounts) > 0 {
		return nil, invalid("You must specify either Accounts or AccountsUrl in DeploymentTargets, but not both.")
	}
	url, _, _ := strings.Cut(strings.ToLower(in.AccountsUrl), "?")
	if !strings.HasSuffix(url, ".csv") && !strings.HasSuffix(url, ".txt") {
		return nil, invalid("AccountsUrl must name a .csv or a .txt file.")
	}
	out := *in
	var err error
	if out.Accounts, err = s.list(ctx, in.AccountsUrl); err != nil {
		return nil, err
	}
	if len(out.Accounts) == 0 {
		return nil, invalid("AccountsUrl lists no accounts.")
	}
	slices.Sort(out.Accounts)
	out.Accounts = slices.Compact(out.Accounts)
	return &out, nil
}
