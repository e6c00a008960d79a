package lambda

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	api "github.com/slipway/slipway/api/lambda"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// layer is one version of a layer.
type layer struct {
	Version       int64
	Description   string   `json:",omitempty"`
	License       string   `json:",omitempty"`
	Runtimes      []string `json:",omitempty"`
	Architectures []string `json:",omitempty"`
	Code          codeFile
	Created       time.Time
	Policy        *permission `json:",omitempty"`
	Token         string      `json:",omitempty"` // of the durable step that published it
}

// layerCount remembers the number of the last version, which is not given again.
type layerCount struct{ Last int64 }

var (
	layers      = store.NewCollection[layer]("lambda/layer")
	layerCounts = store.NewCollection[layerCount]("lambda/layercount")
)

// layerPlace is where a layer is kept.
type layerPlace struct {
	arn.Scope
	name string
}

func (p layerPlace) key() string { return p.Scope.Key() + "/" + p.name }

// versionKey puts the newest version first, as lists have them.
func (p layerPlace) versionKey(n int64) string {
	return p.key() + fmt.Sprintf("|%019d", maxLayerVersion-n)
}

const maxLayerVersion = 1<<62 - 1

func (p layerPlace) arn() string { return p.ARN("lambda", "layer:"+p.name).String() }

func (p layerPlace) versionARN(n int64) string { return p.arn() + ":" + strconv.FormatInt(n, 10) }

func layerPlaceOf(key string) layerPlace {
	p := placeOf(key)
	return layerPlace(p)
}

var layerForm = regexp.MustCompile(`^arn:aws[a-zA-Z-]*:lambda:([a-z0-9-]+):(\d{12}):layer:([a-zA-Z0-9-_]+)(?::(\d+))?$`)

// parseLayer reads the ARN of a layer, or of one of its versions; 0 is none.
func parseLayer(name string) (p layerPlace, n int64, ok bool) {
	m := layerForm.FindStringSubmatch(name)
	if m == nil {
		return p, 0, false
	}
	if m[4] != "" {
		var err error
		if n, err = strconv.ParseInt(m[4], 10, 62); err != nil {
			return p, 0, false
		}
	}
	return layerPlace{arn.Scope{Account: m[2], Region: m[1]}, m[3]}, n, true
}

// layerNamed reads a layer's name or ARN.
func layerNamed(ctx context.Context, name string) (layerPlace, error) {
	if !strings.HasPrefix(name, "arn:") {
		return layerPlace{scopeOf(ctx), name}, nil
	}
	p, _, ok := parseLayer(name)
	if !ok {
		return p, invalid("Invalid Layer Arn: %s", name)
	}
	return p, nil
}

func getLayer(tx store.Tx, p layerPlace, n int64) (*layer, error) {
	if n < 1 || n > maxLayerVersion {
		return nil, nil
	}
	l, err := layers.Get(tx, p.versionKey(n))
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return l, err
}

func (l *layer) content(url string) *api.LayerVersionContentOutput {
	return &api.LayerVersionContentOutput{Location: url, CodeSha256: l.Code.sum(), CodeSize: new(l.Code.Size)}
}

// PublishLayerVersion makes a new version of a layer.
func (s *Service) PublishLayerVersion(ctx context.Context, in *api.PublishLayerVersionInput) (*api.PublishLayerVersionOutput, error) {
	p, err := layerNamed(ctx, in.LayerName)
	if err != nil {
		return nil, err
	}
	if p.Account != scopeOf(ctx).Account {
		return nil, fail(fault.AccessDeniedException, "A layer is published in the caller's own account only.")
	}
	c := in.Content
	code, release, err := s.take(ctx, source{zip: c.ZipFile, bucket: c.S3Bucket, key: c.S3Key, version: c.S3ObjectVersion})
	if err != nil {
		return nil, err
	}
	defer release()
	call := auth.From(ctx)
	l := &layer{
		Description: in.Description, License: in.LicenseInfo, Runtimes: in.CompatibleRuntimes, Architectures: in.CompatibleArchitectures,
		Code: code, Created: s.now().UTC().Truncate(time.Millisecond), Token: call.Token,
	}
	err = s.store.Update(ctx, func(tx store.Tx) error {
		count, err := layerCounts.Get(tx, p.key())
		if errors.Is(err, store.ErrNotFound) {
			count, err = &layerCount{}, nil
		}
		if err != nil {
			return err
		}
		if call.Token != "" && count.Last > 0 {
			was, err := getLayer(tx, p, count.Last)
			if err != nil {
				return err
			}
			if was != nil && was.Token == call.Token {
				l = was
				return nil
			}
		}
		count.Last++
		l.Version = count.Last
		if err := layerCounts.Put(tx, p.key(), count); err != nil {
			return err
		}
		return layers.Put(tx, p.versionKey(l.Version), l)
	})
	if err != nil {
		return nil, err
	}
	url, err := s.locate(ctx, l.Code)
	return (*api.PublishLayerVersionOutput)(l.output(p, url)), err
}

// list is a list that is there, if empty.
func list(l []string) []string {
	if l == nil {
		return []string{}
	}
	return l
}

func (l *layer) output(p layerPlace, url string) *api.GetLayerVersionOutput {
	return &api.GetLayerVersionOutput{
		Content: l.content(url), LayerArn: p.arn(), LayerVersionArn: p.versionARN(l.Version), Description: l.Description,
		CreatedDate: stamp(l.Created), Version: new(l.Version), CompatibleRuntimes: list(l.Runtimes), LicenseInfo: l.License,
		CompatibleArchitectures: list(l.Architectures),
	}
}

func (s *Service) layerAt(ctx context.Context, p layerPlace, n int64, in any) (*api.GetLayerVersionOutput, error) {
	var l *layer
	err := s.store.View(ctx, func(tx store.Tx) (err error) {
		if l, err = getLayer(tx, p, n); err != nil {
			return err
		}
		return s.permitLayer(ctx, p, l, n, in)
	})
	if err == nil && l == nil {
		err = gone()
	}
	if err != nil {
		return nil, err
	}
	url, err := s.locate(ctx, l.Code)
	return l.output(p, url), err
}

func checkLayerVersion(n *int64) error {
	if *n < 1 {
		return invalid("Layer Version Cannot be less than 1")
	}
	return nil
}

// GetLayerVersion tells of a layer's version, and where its code can be had.
func (s *Service) GetLayerVersion(ctx context.Context, in *api.GetLayerVersionInput) (*api.GetLayerVersionOutput, error) {
	p, err := layerNamed(ctx, in.LayerName)
	if err == nil {
		err = checkLayerVersion(in.VersionNumber)
	}
	if err != nil {
		return nil, err
	}
	return s.layerAt(ctx, p, *in.VersionNumber, in)
}

// GetLayerVersionByArn is GetLayerVersion by the version's ARN.
func (s *Service) GetLayerVersionByArn(ctx context.Context, in *api.GetLayerVersionByArnInput) (*api.GetLayerVersionByArnOutput, error) {
	p, n, ok := parseLayer(in.Arn)
	if !ok || n == 0 {
		return nil, invalid("Invalid Layer Arn: %s", in.Arn)
	}
	if p.Region != scopeOf(ctx).Region {
		return nil, gone()
	}
	out, err := s.layerAt(ctx, p, n, in)
	return (*api.GetLayerVersionByArnOutput)(out), err
}

// DeleteLayerVersion deletes a layer's version. Functions that have it keep it. One
// that is gone is no error.
func (s *Service) DeleteLayerVersion(ctx context.Context, in *api.DeleteLayerVersionInput) (*api.DeleteLayerVersionOutput, error) {
	p, err := layerNamed(ctx, in.LayerName)
	if err == nil {
		err = checkLayerVersion(in.VersionNumber)
	}
	if err != nil {
		return nil, err
	}
	if p.Account != scopeOf(ctx).Account {
		return nil, fail(fault.AccessDeniedException, "A layer is deleted in the caller's own account only.")
	}
	if *in.VersionNumber > maxLayerVersion {
		return &api.DeleteLayerVersionOutput{}, nil
	}
	err = s.store.Update(ctx, func(tx store.Tx) error { return layers.Delete(tx, p.versionKey(*in.VersionNumber)) })
	s.upkeep.Wake()
	return &api.DeleteLayerVersionOutput{}, err
}

func (l *layer) compatible(runtime, architecture string) bool {
	return (runtime == "" || slices.Contains(l.Runtimes, runtime)) && (architecture == "" || slices.Contains(l.Architectures, architecture))
}

func (l *layer) item(p layerPlace) api.LayerVersionsListItem {
	return api.LayerVersionsListItem{
		LayerVersionArn: p.versionARN(l.Version), Version: new(l.Version), Description: l.Description, CreatedDate: stamp(l.Created),
		CompatibleRuntimes: l.Runtimes, LicenseInfo: l.License, CompatibleArchitectures: l.Architectures,
	}
}

// ListLayerVersions lists a layer's versions, the newest first.
func (s *Service) ListLayerVersions(ctx context.Context, in *api.ListLayerVersionsInput) (*api.ListLayerVersionsOutput, error) {
	p, err := layerNamed(ctx, in.LayerName)
	if err != nil {
		return nil, err
	}
	out := &api.ListLayerVersionsOutput{LayerVersions: []api.LayerVersionsListItem{}}
	err = s.store.View(ctx, func(tx store.Tx) error {
		found, next, err := layers.Page(tx, p.key()+"|", in.Marker, limitOf(in.MaxItems, maxPage), func(l *layer) bool {
			return l.compatible(in.CompatibleRuntime, in.CompatibleArchitecture)
		})
		out.NextMarker, out.LayerVersions = next, out.LayerVersions[:0]
		for _, e := range found {
			out.LayerVersions = append(out.LayerVersions, e.Value.item(p))
		}
		return err
	})
	if err != nil {
		return nil, badMarker(err)
	}
	return out, nil
}

// ListLayers lists the account's layers, each with its newest version.
func (s *Service) ListLayers(ctx context.Context, in *api.ListLayersInput) (*api.ListLayersOutput, error) {
	scope := scopeOf(ctx)
	out := &api.ListLayersOutput{Layers: []api.LayersListItem{}}
	err := s.store.View(ctx, func(tx store.Tx) error {
		found, next, err := layerCounts.Page(tx, scope.Key()+"/", in.Marker, limitOf(in.MaxItems, maxPage), nil)
		out.NextMarker, out.Layers = next, out.Layers[:0]
		for _, e := range found {
			p := layerPlaceOf(e.Key)
			for v, err := range layers.Scan(tx, p.key()+"|") {
				if err != nil {
					return err
				}
				if v.Value.compatible(in.CompatibleRuntime, in.CompatibleArchitecture) {
					item := v.Value.item(p)
					out.Layers = append(out.Layers, api.LayersListItem{LayerName: p.name, LayerArn: p.arn(), LatestMatchingVersion: &item})
					break
				}
			}
		}
		return err
	})
	if err != nil {
		return nil, badMarker(err)
	}
	return out, nil
}

// layerFor finds the version of a layer that a function names.
func (s *Service) layerFor(ctx context.Context, tx store.Tx, f place, name string) (use layerUse, of string, err error) {
	p, n, ok := parseLayer(name)
	switch {
	case !ok || n == 0:
		return use, "", invalid("Invalid Layer Arn: %s", name)
	case p.Region != f.Region:
		return use, "", invalid("Layers are not in the same region as the function. Layers are expected to be in region %s.", f.Region)
	}
	l, err := getLayer(tx, p, n)
	if err != nil {
		return use, "", err
	}
	if err := s.permitLayer(ctx, p, l, n, nil); err != nil {
		return use, "", err
	}
	if l == nil {
		return use, "", invalid("Layer version %s does not exist.", name)
	}
	return layerUse{ARN: p.versionARN(n), Code: l.Code}, p.arn(), nil
}
