package lambda

import (
	"context"
	"reflect"
	"strconv"

	api "github.com/slipway/slipway/api/lambda"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/store"
)

// publishing is what a call wants of the version that it publishes.
type publishing struct {
	description *string
	token       string
}

// publish makes a version of $LATEST, or finds the one that was made of the same
// last. The caller writes the function and $LATEST.
func (s *Service) publish(tx store.Tx, p place, f *record, v *version, how publishing) (*version, error) {
	if f.Next > 1 {
		last, err := getVersion(tx, p, strconv.FormatInt(f.Next-1, 10))
		if err != nil {
			return nil, err
		}
		if last != nil && (how.token != "" && last.Token == how.token || last.sameAs(v)) {
			return last, nil
		}
	}
	made := *v
	made.Version, made.Revision, made.Token = strconv.FormatInt(f.Next, 10), arn.NewUUID(), how.token
	made.Serving, made.Described = nil, v.Description
	if how.description != nil {
		made.Description = *how.description
	}
	if v.Update.Is == api.LastUpdateStatusInProgress {
		made.State, made.Update = pendingState, status{}
	}
	f.Next++
	v.Revision = arn.NewUUID()
	return &made, versions.Put(tx, p.versionKey(made.Version), &made)
}

// sameAs reports whether a version was made of the code and configuration that
// $LATEST has. A description of the version's own makes no difference.
func (v *version) sameAs(now *version) bool {
	a := v.settings
	a.Description = v.Described
	return reflect.DeepEqual(a, now.settings)
}

// PublishVersion makes a version of $LATEST, unless nothing has changed since the
// last one.
func (s *Service) PublishVersion(ctx context.Context, in *api.PublishVersionInput) (*api.PublishVersionOutput, error) {
	if in.PublishTo != "" {
		return nil, notBuilt("PublishVersion", "PublishTo")
	}
	var made *version
	l, err := s.change(ctx, in.FunctionName, in, func(tx store.Tx, l *looked) (err error) {
		v := l.version
		if err := settled(l.place, v); err != nil {
			return err
		}
		switch {
		case in.RevisionId != "" && in.RevisionId != v.Revision:
			return stale("GetFunction/GetFunctionConfiguration")
		case in.CodeSha256 != "" && in.CodeSha256 != v.Code.sum():
			return invalid("CodeSHA256 (%s) is different from current CodeSHA256 in $LATEST (%s). Please try again with the CodeSHA256 in $LATEST.", in.CodeSha256, v.Code.sum())
		}
		how := publishing{token: auth.From(ctx).Token}
		if in.Description != "" {
			how.description = &in.Description
		}
		if made, err = s.publish(tx, l.place, l.function, v, how); err != nil {
			return err
		}
		if err := functions.Put(tx, l.place.key(), l.function); err != nil {
			return err
		}
		return versions.Put(tx, l.place.versionKey(latest), v)
	})
	if err != nil {
		return nil, err
	}
	out, err := s.configuration(l.place, made, made.Version)
	return (*api.PublishVersionOutput)(out), err
}
