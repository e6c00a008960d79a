package ec2

import (
	"context"
	"errors"
	"slices"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/store"
)

// noun is one kind of network resource in the store, keyed by scope and id. What
// belongs to the default VPC exists without a record, until someone changes it.
type noun[T any] struct {
	prefix string
	kept   *store.Collection[T]
	id     func(*T) string
	// inDefault lists what the default VPC has of the kind.
	inDefault func(network) []*T
}

func (n noun[T]) key(scope arn.Scope, id string) string { return scope.Key() + "/" + id }

// get finds a resource by id.
func (n noun[T]) get(s *Service, tx store.Tx, scope arn.Scope, id string) (*T, error) {
	if err := checkID(n.prefix, id); err != nil {
		return nil, err
	}
	v, err := n.kept.Get(tx, n.key(scope, id))
	if !errors.Is(err, store.ErrNotFound) {
		return v, err
	}
	for _, v := range n.defaults(s, scope) {
		if n.id(v) == id {
			return v, nil
		}
	}
	return nil, notFound(n.prefix, id)
}

func (n noun[T]) defaults(s *Service, scope arn.Scope) []*T {
	if n.inDefault == nil {
		return nil
	}
	return n.inDefault(s.network(scope))
}

// all lists a scope's resources, those of the default VPC first.
func (n noun[T]) all(s *Service, tx store.Tx, scope arn.Scope) ([]*T, error) {
	out := n.defaults(s, scope)
	at := map[string]int{}
	for i, v := range out {
		at[n.id(v)] = i
	}
	for e, err := range n.kept.Scan(tx, scope.Key()+"/") {
		if err != nil {
			return nil, err
		}
		if i, ok := at[n.id(e.Value)]; ok {
			out[i] = e.Value
			continue
		}
		out = append(out, e.Value)
	}
	return out, nil
}

// which lists those that a condition holds for.
func (n noun[T]) which(s *Service, tx store.Tx, scope arn.Scope, cond func(*T) bool) ([]*T, error) {
	all, err := n.all(s, tx, scope)
	return slices.DeleteFunc(all, func(v *T) bool { return !cond(v) }), err
}

func (n noun[T]) put(tx store.Tx, scope arn.Scope, v *T) error {
	return n.kept.Put(tx, n.key(scope, n.id(v)), v)
}

// remove deletes a resource and its tags.
func (n noun[T]) remove(tx store.Tx, scope arn.Scope, id string) error {
	return errors.Join(dropTags(tx, scope, id), n.kept.Delete(tx, n.key(scope, id)))
}

// made puts a new resource on record with its tags, or finds the one that this
// durable step made before.
func (n noun[T]) made(tx store.Tx, call auth.Call, v *T, tags map[string]tagMap) (*T, error) {
	id := n.id(v)
	if call.Token != "" {
		old, err := n.kept.Get(tx, n.key(call.Scope, id))
		if !errors.Is(err, store.ErrNotFound) {
			return old, err
		}
	}
	k := kindWith(n.prefix)
	return v, errors.Join(n.put(tx, call.Scope, v), putTags(tx, call.Scope, k.tagType, id, tags[k.tagType]))
}

// listing is what the Describe operations of network resources have in common.
type listing[V any] struct {
	prefix  string
	ids     []string
	filters []api.Filter
	fields  fields[V]
	dry     *bool
	token   string
	max     *int32
	limits  pageLimits
	id      func(V) string
	// load reads all of the scope.
	load func(tx store.Tx, scope arn.Scope) ([]V, error)
}

// list answers a Describe call: the page, and the token of the next.
func list[V any](ctx context.Context, s *Service, l listing[V]) ([]V, string, error) {
	m, err := newMatcher(l.filters, l.fields)
	if err != nil {
		return nil, "", err
	}
	ids, err := newIDSet(l.prefix, l.ids)
	if err != nil {
		return nil, "", err
	}
	if err := dryRun(l.dry); err != nil {
		return nil, "", err
	}
	var found []V
	err = s.cfg.Store.View(ctx, func(tx store.Tx) error {
		found = nil
		all, err := l.load(tx, auth.From(ctx).Scope)
		if err != nil {
			return err
		}
		known := map[string]bool{}
		for _, v := range all {
			known[l.id(v)] = true
			if ids.wants(l.id(v)) && m.match(v) {
				found = append(found, v)
			}
		}
		if lost := missing(l.ids, func(id string) bool { return known[id] }); len(lost) > 0 {
			return notFound(l.prefix, lost...)
		}
		return nil
	})
	if err != nil {
		return nil, "", err
	}
	return paginate(found, l.id, l.token, l.max, l.limits)
}

// tagged is a resource with its tags.
type tagged[T any] struct {
	it   *T
	tags tagMap
}

// withTags joins resources with their tags.
func withTags[T any](tx store.Tx, scope arn.Scope, n noun[T], all []*T, err error) ([]tagged[T], error) {
	if err != nil {
		return nil, err
	}
	tags, err := allTags(tx, scope, n.prefix)
	if err != nil {
		return nil, err
	}
	out := make([]tagged[T], 0, len(all))
	for _, v := range all {
		out = append(out, tagged[T]{v, tags[n.id(v)]})
	}
	return out, nil
}

// orZero lets filters be asked what they know where there is no resource.
func (t tagged[T]) orZero() *T {
	if t.it == nil {
		return new(T)
	}
	return t.it
}
