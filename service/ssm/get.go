package ssm

import (
	"context"
	"errors"
	"slices"
	"strings"

	api "github.com/slipway/slipway/api/ssm"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

func yes(b *bool) bool { return b != nil && *b }

// GetParameter tells a parameter's value: the newest, or that of a version or
// label.
func (s *Service) GetParameter(ctx context.Context, in *api.GetParameterInput) (*api.GetParameterOutput, error) {
	if isSecret(in.Name) {
		p, err := s.secret(ctx, in.Name, yes(in.WithDecryption))
		if err != nil {
			return nil, err
		}
		return &api.GetParameterOutput{Parameter: &p}, nil
	}
	var p [1]api.Parameter
	err := s.store.View(ctx, func(tx store.Tx) (err error) {
		p[0], err = s.get(ctx, tx, in.Name)
		return err
	})
	if err == nil && yes(in.WithDecryption) {
		err = s.decrypt(ctx, p[:])
	}
	if err != nil {
		return nil, err
	}
	return &api.GetParameterOutput{Parameter: &p[0]}, nil
}

// get finds a parameter of the caller's account, or one of another account that
// its policy opens.
func (s *Service) get(ctx context.Context, tx store.Tx, name string) (api.Parameter, error) {
	scope := auth.From(ctx).Scope
	ref, err := parseReference(scope, name)
	if err != nil {
		return api.Parameter{}, err
	}
	if ref.account != "" {
		scope.Account = ref.account
	}
	if out, ok := s.public.get(scope, ref.name); ok && (ref.selector == "" || ref.number == 1) {
		out.Selector = ref.selector
		return out, nil
	}
	p, err := s.find(tx, scope, ref.name)
	if fault.Is(err, fault.ParameterNotFound) && ref.alias != "" {
		p, err = s.find(tx, scope, ref.alias)
	}
	if err == nil {
		err = permit(auth.From(ctx), scope, p)
	}
	if err != nil {
		return api.Parameter{}, notFoundAs(err, name)
	}
	number := p.Latest.Number
	switch {
	case ref.label != "":
		n, ok := p.Labels[ref.label]
		if !ok {
			return api.Parameter{}, fault.New(fault.ParameterVersionNotFound, "Systems Manager could not find label %s of %s. Verify the label and try again.", ref.label, p.Name)
		}
		number = n
	case ref.selector != "":
		number = ref.number
	}
	v, err := p.at(tx, scope, number)
	if err != nil {
		return api.Parameter{}, err
	}
	out := describe(scope, p.Name, v)
	out.Selector = ref.selector
	return out, nil
}

// notFoundAs names the parameter as the caller did.
func notFoundAs(err error, name string) error {
	if fault.Is(err, fault.ParameterNotFound) {
		return notFound(name)
	}
	return err
}

// GetParameters tells the values of several parameters, and which names lead to
// none.
func (s *Service) GetParameters(ctx context.Context, in *api.GetParametersInput) (*api.GetParametersOutput, error) {
	if len(in.Names) == 0 || len(in.Names) > 10 {
		return nil, fault.New(fault.ValidationException, "1 validation error detected: Value at 'names' failed to satisfy constraint: Member must have length between 1 and 10.")
	}
	names := slices.Clone(in.Names)
	slices.Sort(names)
	names = slices.Compact(names)
	var secrets api.GetParametersOutput
	names, err := s.takeSecrets(ctx, names, yes(in.WithDecryption), &secrets)
	if err != nil {
		return nil, err
	}
	out := &api.GetParametersOutput{}
	err = s.store.View(ctx, func(tx store.Tx) error {
		out.Parameters, out.InvalidParameters = []api.Parameter{}, []string{}
		for _, name := range names {
			p, err := s.get(ctx, tx, name)
			if fault.Is(err, fault.ParameterNotFound, fault.ParameterVersionNotFound, fault.ValidationException) {
				out.InvalidParameters = append(out.InvalidParameters, name)
				continue
			}
			if err != nil {
				return err
			}
			out.Parameters = append(out.Parameters, p)
		}
		return nil
	})
	if err == nil && yes(in.WithDecryption) {
		err = s.decrypt(ctx, out.Parameters)
	}
	if err != nil {
		return nil, err
	}
	out.Parameters, out.InvalidParameters = append(out.Parameters, secrets.Parameters...), append(out.InvalidParameters, secrets.InvalidParameters...)
	return out, nil
}

// GetParametersByPath tells the values below a path, by default one level deep.
func (s *Service) GetParametersByPath(ctx context.Context, in *api.GetParametersByPathInput) (*api.GetParametersByPathOutput, error) {
	path := strings.TrimSuffix(in.Path, "/") + "/"
	if !strings.HasPrefix(path, "/") || !nameForm.MatchString(path) || strings.Contains(path, "//") {
		return nil, fault.New(fault.ValidationException, "The parameter doesn't meet the parameter name requirements. The parameter name must begin with a forward slash \"/\". "+
			"It can't be prefixed with \"aws\" or \"ssm\" (case-insensitive). It must use only letters, numbers, or the following symbols: . (period), - (hyphen), _ (underscore). "+
			"Special characters are not allowed. All sub-paths, if specified, must use the forward slash symbol \"/\".")
	}
	filters, err := parseFilters(in.ParameterFilters, byPathKeys)
	if err != nil {
		return nil, err
	}
	scope := auth.From(ctx).Scope
	keep := func(p *parameter) bool {
		if !yes(in.Recursive) && strings.Contains(p.Name[len(path):], "/") {
			return false
		}
		return !p.Latest.expired(s.now()) && filters.match(p)
	}
	limit := pageSize(in.MaxResults, 10, 10)
	out := &api.GetParametersByPathOutput{}
	if strings.HasPrefix(path, "/aws/") {
		out.Parameters, out.NextToken, err = s.public.page(scope, path, yes(in.Recursive), in.NextToken, limit)
		return out, err
	}
	err = s.store.View(ctx, func(tx store.Tx) error {
		entries, next, err := parameters.Page(tx, parameterKey(scope, path), in.NextToken, limit, keep)
		if err != nil {
			return badToken(err)
		}
		out.Parameters, out.NextToken = []api.Parameter{}, next
		for _, e := range entries {
			v := &e.Value.Latest
			if label := filters.label(e.Value); label != 0 {
				if v, err = e.Value.at(tx, scope, label); err != nil {
					return err
				}
			}
			out.Parameters = append(out.Parameters, describe(scope, e.Value.Name, v))
		}
		return nil
	})
	if err == nil && yes(in.WithDecryption) {
		err = s.decrypt(ctx, out.Parameters)
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

func pageSize(asked *int32, byDefault, most int) int {
	if asked == nil {
		return byDefault
	}
	return max(1, min(int(*asked), most))
}

func badToken(err error) error {
	if errors.Is(err, store.ErrBadToken) {
		return fault.New(fault.InvalidNextToken, "The specified token isn't valid.")
	}
	return err
}

// GetParameterHistory lists the versions of a parameter, the oldest first.
func (s *Service) GetParameterHistory(ctx context.Context, in *api.GetParameterHistoryInput) (*api.GetParameterHistoryOutput, error) {
	scope := auth.From(ctx).Scope
	ref, err := parseReference(scope, in.Name)
	if err != nil {
		return nil, err
	}
	if ref.account != "" {
		scope.Account = ref.account
	}
	limit := pageSize(in.MaxResults, 50, 50)
	out := &api.GetParameterHistoryOutput{}
	err = s.store.View(ctx, func(tx store.Tx) error {
		p, err := s.find(tx, scope, ref.name)
		if fault.Is(err, fault.ParameterNotFound) && ref.alias != "" {
			p, err = s.find(tx, scope, ref.alias)
		}
		if err == nil {
			err = permit(auth.From(ctx), scope, p)
		}
		if err != nil {
			return err
		}
		first, err := historyStart(in.NextToken, p)
		if err != nil {
			return err
		}
		out.Parameters, out.NextToken = []api.ParameterHistory{}, ""
		for n := first; n <= p.Latest.Number; n++ {
			if len(out.Parameters) == limit {
				out.NextToken = historyToken(n)
				return nil
			}
			v, err := p.at(tx, scope, n)
			if err != nil {
				return err
			}
			out.Parameters = append(out.Parameters, history(p, v))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i := range out.Parameters {
		if h := &out.Parameters[i]; h.Type == typeSecure && yes(in.WithDecryption) {
			if h.Value, err = s.open(ctx, scope, h.Name, *h.Version, h.Value); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

func history(p *parameter, v *version) api.ParameterHistory {
	labels := p.labelsOf(v.Number)
	if labels == nil {
		labels = []string{}
	}
	return api.ParameterHistory{
		Name: p.Name, Type: v.Type, KeyId: v.KeyID, LastModifiedDate: &v.Modified, LastModifiedUser: v.ModifiedBy,
		Description: v.Description, Value: v.Value, AllowedPattern: v.Pattern, Version: &v.Number, Labels: labels, Tier: v.Tier,
		Policies: v.inlinePolicies(), DataType: v.DataType,
	}
}
