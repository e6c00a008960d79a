package lambda

import (
	"context"
	"errors"
	"strings"
	"time"

	api "github.com/slipway/slipway/api/lambda"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/store"
)

// functionURL is the address at which a function, or one of its aliases, answers
// HTTP requests.
type functionURL struct {
	ID       string
	Auth     string
	Cors     *api.Cors `json:",omitempty"`
	Created  time.Time
	Modified time.Time
	Token    string `json:",omitempty"` // of the durable step that made it
}

var urls = store.NewCollection("lambda/url", store.Index[functionURL]{Name: "id", Keys: func(_ string, u *functionURL) []string {
	return []string{u.ID}
}})

// urlKey is that of a function's address, or of an alias's.
func (p place) urlKey(qualifier string) string { return p.versionKey(qualified(qualifier)) }

const urlIDLength = 32

func newURLID() string { return strings.ToLower(arn.NewSuffix(urlIDLength)) }

// address is the URL by which the world reaches a function.
func (s *Service) address(region, id string) string {
	scheme, port := "http", ""
	if s.cfg.Public != nil {
		scheme, port = s.cfg.Public()
	}
	if port != "" {
		port = ":" + port
	}
	return scheme + "://" + id + ".lambda-url." + region + ".localhost" + port + "/"
}

func (s *Service) urlConfig(p place, qualifier string, u *functionURL) *api.FunctionUrlConfig {
	return &api.FunctionUrlConfig{
		FunctionUrl: s.address(p.Region, u.ID), FunctionArn: p.arn(qualifier), AuthType: u.Auth, Cors: u.Cors,
		CreationTime: stamp(u.Created), LastModifiedTime: stamp(u.Modified), InvokeMode: api.InvokeModeBuffered,
	}
}

func (s *Service) modeBuilt(operation, mode string) error {
	if mode == api.InvokeModeResponseStream {
		return notBuilt(operation, "InvokeMode RESPONSE_STREAM")
	}
	return nil
}

// CreateFunctionUrlConfig gives a function an address.
func (s *Service) CreateFunctionUrlConfig(ctx context.Context, in *api.CreateFunctionUrlConfigInput) (*api.CreateFunctionUrlConfigOutput, error) {
	if err := s.modeBuilt("CreateFunctionUrlConfig", in.InvokeMode); err != nil {
		return nil, err
	}
	p, qualifier, err := named(ctx, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	now := s.now().UTC().Truncate(time.Millisecond)
	u := &functionURL{ID: newURLID(), Auth: in.AuthType, Cors: in.Cors, Created: now, Modified: now, Token: auth.From(ctx).Token}
	err = s.store.Update(ctx, func(tx store.Tx) error {
		if err := s.permit(ctx, tx, p, qualifier, in); err != nil {
			return err
		}
		if _, err := resolve(tx, p, qualifier); err != nil {
			if isBad(err) {
				return notFound("Function does not exist")
			}
			return err
		}
		was, err := urls.Get(tx, p.urlKey(qualifier))
		switch {
		case err == nil && u.Token != "" && was.Token == u.Token:
			u = was
			return nil
		case err == nil:
			return conflict("Failed to create function url config for [functionArn = %s]. Error message:  FunctionUrlConfig exists for this Lambda function", p.arn(qualifier))
		case !errors.Is(err, store.ErrNotFound):
			return err
		}
		return urls.Put(tx, p.urlKey(qualifier), u)
	})
	if err != nil {
		return nil, err
	}
	c := s.urlConfig(p, qualifier, u)
	return &api.CreateFunctionUrlConfigOutput{
		FunctionUrl: c.FunctionUrl, FunctionArn: c.FunctionArn, AuthType: c.AuthType, Cors: c.Cors, CreationTime: c.CreationTime, InvokeMode: in.InvokeMode,
	}, nil
}

// changeURL reads a function's address, and writes it again where fn says so.
func (s *Service) changeURL(ctx context.Context, name, qualifier string, in any, fn func(tx store.Tx, key string, u *functionURL) error) (*api.FunctionUrlConfig, error) {
	p, qualifier, err := named(ctx, name, qualifier)
	if err != nil {
		return nil, err
	}
	var out *api.FunctionUrlConfig
	step := func(tx store.Tx) error {
		if err := s.permit(ctx, tx, p, qualifier, in); err != nil {
			return err
		}
		u, err := urls.Get(tx, p.urlKey(qualifier))
		if errors.Is(err, store.ErrNotFound) {
			return s.noURL(tx, p, qualifier, in)
		}
		if err == nil && fn != nil {
			err = fn(tx, p.urlKey(qualifier), u)
		}
		if err == nil {
			out = s.urlConfig(p, qualifier, u)
		}
		return err
	}
	if fn == nil {
		err = s.store.View(ctx, step)
	} else {
		err = s.store.Update(ctx, step)
	}
	return out, err
}

// noURL is why a call meets no address: an update tells where there is no function.
func (s *Service) noURL(tx store.Tx, p place, qualifier string, in any) error {
	if _, updates := in.(*api.UpdateFunctionUrlConfigInput); updates {
		if _, err := resolve(tx, p, qualifier); isBad(err) {
			return notFound("Function does not exist")
		} else if err != nil {
			return err
		}
	}
	return gone()
}

// GetFunctionUrlConfig tells a function's address.
func (s *Service) GetFunctionUrlConfig(ctx context.Context, in *api.GetFunctionUrlConfigInput) (*api.GetFunctionUrlConfigOutput, error) {
	c, err := s.changeURL(ctx, in.FunctionName, in.Qualifier, in, nil)
	if err != nil {
		return nil, err
	}
	return &api.GetFunctionUrlConfigOutput{
		FunctionUrl: c.FunctionUrl, FunctionArn: c.FunctionArn, AuthType: c.AuthType, Cors: c.Cors, CreationTime: c.CreationTime,
		LastModifiedTime: c.LastModifiedTime, InvokeMode: c.InvokeMode,
	}, nil
}

// UpdateFunctionUrlConfig changes who may use it, and from which pages.
func (s *Service) UpdateFunctionUrlConfig(ctx context.Context, in *api.UpdateFunctionUrlConfigInput) (*api.UpdateFunctionUrlConfigOutput, error) {
	if err := s.modeBuilt("UpdateFunctionUrlConfig", in.InvokeMode); err != nil {
		return nil, err
	}
	c, err := s.changeURL(ctx, in.FunctionName, in.Qualifier, in, func(tx store.Tx, key string, u *functionURL) error {
		if in.AuthType != "" {
			u.Auth = in.AuthType
		}
		if in.Cors != nil {
			u.Cors = in.Cors
		}
		u.Modified = s.now().UTC().Truncate(time.Millisecond)
		return urls.Put(tx, key, u)
	})
	if err != nil {
		return nil, err
	}
	return &api.UpdateFunctionUrlConfigOutput{
		FunctionUrl: c.FunctionUrl, FunctionArn: c.FunctionArn, AuthType: c.AuthType, Cors: c.Cors, CreationTime: c.CreationTime,
		LastModifiedTime: c.LastModifiedTime, InvokeMode: in.InvokeMode,
	}, nil
}

// DeleteFunctionUrlConfig takes the address away for good.
func (s *Service) DeleteFunctionUrlConfig(ctx context.Context, in *api.DeleteFunctionUrlConfigInput) (*api.DeleteFunctionUrlConfigOutput, error) {
	_, err := s.changeURL(ctx, in.FunctionName, in.Qualifier, in, func(tx store.Tx, key string, _ *functionURL) error { return urls.Delete(tx, key) })
	if err != nil {
		return nil, err
	}
	return &api.DeleteFunctionUrlConfigOutput{}, nil
}

// ListFunctionUrlConfigs lists the addresses of a function and its aliases.
func (s *Service) ListFunctionUrlConfigs(ctx context.Context, in *api.ListFunctionUrlConfigsInput) (*api.ListFunctionUrlConfigsOutput, error) {
	l, err := s.own(ctx, in.FunctionName, "", in)
	if err != nil {
		return nil, err
	}
	out := &api.ListFunctionUrlConfigsOutput{FunctionUrlConfigs: []api.FunctionUrlConfig{}}
	err = s.store.View(ctx, func(tx store.Tx) error {
		found, next, err := urls.Page(tx, l.place.key()+"|", in.Marker, limitOf(in.MaxItems, maxPage), nil)
		out.NextMarker, out.FunctionUrlConfigs = next, out.FunctionUrlConfigs[:0]
		for _, e := range found {
			qualifier := versionOf(e.Key)
			if qualifier == latest {
				qualifier = ""
			}
			out.FunctionUrlConfigs = append(out.FunctionUrlConfigs, *s.urlConfig(l.place, qualifier, e.Value))
		}
		return err
	})
	if err != nil {
		return nil, badMarker(err)
	}
	return out, nil
}
