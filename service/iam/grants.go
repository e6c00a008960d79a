package iam

import (
	"context"
	"maps"
	"slices"
	"strings"

	api "github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/policy"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// grants are the policies of a role, user or group.
type grants struct {
	Inline   map[string]string `json:",omitempty"` // by name
	Attached []string          `json:",omitempty"` // ARNs in order
}

func (g *grants) own() *grants { return g }

// changeable refuses to change what its service alone may change.
func (g *grants) changeable() error { return nil }

// policyKeys are the index values of the managed policies that an entity uses:
// "account/arn", and the boundary's behind "boundary:".
func (g *grants) policyKeys(key, boundary string) []string {
	out := slices.Clone(g.Attached)
	if boundary != "" {
		out = append(out, "boundary:"+boundary)
	}
	account, _, _ := strings.Cut(key, "/")
	for i, a := range out {
		out[i] = account + "/" + a
	}
	return out
}

// mayGo refuses to delete an entity that has policies.
func (g *grants) mayGo() error {
	if len(g.Attached) > 0 {
		return fault.New(fault.DeleteConflict, "Cannot delete entity, must detach all policies first.")
	}
	if len(g.Inline) > 0 {
		return fault.New(fault.DeleteConflict, "Cannot delete entity, must delete policies first.")
	}
	return nil
}

const maxAttached = 10

// holder is an entity that has grants; T's pointer implements it by embedding.
type holder[T any] interface {
	*T
	own() *grants
	changeable() error
}

func putInline[T any, P holder[T]](ctx context.Context, s *Service, n noun[T], entity, name, text string, maxSize int) error {
	if !nameForm.MatchString(name) || len(name) > 128 {
		return fault.New(fault.ValidationError, "The specified value for policyName is invalid. It must contain only alphanumeric characters and/or the following: +=,.@_-")
	}
	if err := checkDocument(text, policy.Identity); err != nil {
		return err
	}
	return edit(ctx, s, n, entity, func(_ store.Tx, v *T) error {
		if err := P(v).changeable(); err != nil {
			return err
		}
		g := P(v).own()
		if g.Inline == nil {
			g.Inline = map[string]string{}
		}
		g.Inline[name] = text
		size := 0
		for _, d := range g.Inline {
			size += policySize(d)
		}
		if size > maxSize {
			return fault.New(fault.LimitExceeded, "Maximum policy size of %d bytes exceeded for %s %s", maxSize, strings.ToLower(n.label), entity)
		}
		return nil
	})
}

func noInline[T any](n noun[T], name string) error {
	return fault.New(fault.NoSuchEntity, "The %s policy with name %s cannot be found.", strings.ToLower(n.label), name)
}

func getInline[T any, P holder[T]](ctx context.Context, s *Service, n noun[T], entity, name string) (string, error) {
	v, err := read(ctx, s, n, entity)
	if err != nil {
		return "", err
	}
	text, ok := P(v).own().Inline[name]
	if !ok {
		return "", noInline(n, name)
	}
	return escaped(text), nil
}

func deleteInline[T any, P holder[T]](ctx context.Context, s *Service, n noun[T], entity, name string) error {
	return edit(ctx, s, n, entity, func(_ store.Tx, v *T) error {
		if err := P(v).changeable(); err != nil {
			return err
		}
		g := P(v).own()
		if _, ok := g.Inline[name]; !ok {
			return noInline(n, name)
		}
		delete(g.Inline, name)
		return nil
	})
}

func listInline[T any, P holder[T]](ctx context.Context, s *Service, n noun[T], entity, marker string, max *int32) ([]string, string, error) {
	v, err := read(ctx, s, n, entity)
	if err != nil {
		return nil, "", err
	}
	page, next := pageOf(slices.Sorted(maps.Keys(P(v).own().Inline)), marker, max)
	return page, next, nil
}

func attach[T any, P holder[T]](ctx context.Context, s *Service, n noun[T], entity, policyARN string) error {
	account := auth.From(ctx).Scope.Account
	return edit(ctx, s, n, entity, func(tx store.Tx, v *T) error {
		if err := P(v).changeable(); err != nil {
			return err
		}
		if err := attachable(tx, account, policyARN); err != nil {
			return err
		}
		g := P(v).own()
		i, found := slices.BinarySearch(g.Attached, policyARN)
		if found {
			return nil
		}
		if len(g.Attached) == maxAttached {
			return fault.New(fault.LimitExceeded, "Cannot exceed quota for PoliciesPer%s: %d", n.label, maxAttached)
		}
		g.Attached = slices.Insert(g.Attached, i, policyARN)
		return nil
	})
}

func detach[T any, P holder[T]](ctx context.Context, s *Service, n noun[T], entity, policyARN string) error {
	return edit(ctx, s, n, entity, func(_ store.Tx, v *T) error {
		if err := P(v).changeable(); err != nil {
			return err
		}
		g := P(v).own()
		i, found := slices.BinarySearch(g.Attached, policyARN)
		if !found {
			return fault.New(fault.NoSuchEntity, "Policy %s was not found.", policyARN)
		}
		g.Attached = slices.Delete(g.Attached, i, i+1)
		return nil
	})
}

func listAttached[T any, P holder[T]](ctx context.Context, s *Service, n noun[T], entity, pathPrefix, marker string, max *int32) ([]api.AttachedPolicy, string, error) {
	v, err := read(ctx, s, n, entity)
	if err != nil {
		return nil, "", err
	}
	var arns []string
	for _, a := range P(v).own().Attached {
		if path, _ := splitPolicyARN(a); underPath(pathPrefix, path) {
			arns = append(arns, a)
		}
	}
	page, next := pageOf(arns, marker, max)
	out := []api.AttachedPolicy{}
	for _, a := range page {
		_, name := splitPolicyARN(a)
		out = append(out, api.AttachedPolicy{PolicyArn: a, PolicyName: name})
	}
	return out, next, nil
}

// splitPolicyARN gives the path and the name: arn:aws:iam::1:policy/a/b is
// "/a/", "b".
func splitPolicyARN(a string) (path, name string) {
	_, resource, _ := strings.Cut(a, ":policy")
	i := strings.LastIndexByte(resource, '/')
	return resource[:i+1], resource[i+1:]
}
