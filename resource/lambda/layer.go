package lambda

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"

	api "github.com/slipway/slipway/api/lambda"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource"
)

const (
	layerName           = "AWS::Lambda::LayerVersion"
	layerPermissionName = "AWS::Lambda::LayerVersionPermission"
	maxLayerName        = 140
)

type layerProperties struct {
	LayerName               string        `json:"LayerName,omitempty"`
	Description             string        `json:"Description,omitempty"`
	Content                 *layerContent `json:"Content,omitempty"`
	CompatibleRuntimes      []string      `json:"CompatibleRuntimes,omitempty"`
	CompatibleArchitectures []string      `json:"CompatibleArchitectures,omitempty"`
	LicenseInfo             string        `json:"LicenseInfo,omitempty"`
	LayerVersionArn         string        `json:"LayerVersionArn,omitempty"`
}

type layerContent struct {
	S3Bucket        string `json:"S3Bucket,omitempty"`
	S3Key           string `json:"S3Key,omitempty"`
	S3ObjectVersion string `json:"S3ObjectVersion,omitempty"`
}

type layerHandler struct{ svc api.Service }

func layerType(svc api.Service) cfn.Type {
	h := layerHandler{svc}
	return cfn.Type{Name: layerName, Create: h.create, Read: h.read, Delete: h.delete, List: h.list}
}

func (h layerHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p layerProperties
	if err := resource.Decode(layerName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	if p.Content == nil {
		return cfn.Result{}, fault.New(fault.ValidationError, "%s: Content is required", layerName)
	}
	out, err := h.svc.PublishLayerVersion(ctx, &api.PublishLayerVersionInput{
		LayerName: resource.Name(r, p.LayerName, maxLayerName), Description: p.Description, LicenseInfo: p.LicenseInfo,
		CompatibleRuntimes: p.CompatibleRuntimes, CompatibleArchitectures: p.CompatibleArchitectures,
		Content: &api.LayerVersionContentInput{S3Bucket: p.Content.S3Bucket, S3Key: p.Content.S3Key, S3ObjectVersion: p.Content.S3ObjectVersion},
	})
	if err != nil {
		return cfn.Result{}, err
	}
	return cfn.Result{PhysicalID: out.LayerVersionArn, Attributes: cfn.Properties{"LayerVersionArn": out.LayerVersionArn}}, nil
}

func (h layerHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	out, err := h.svc.GetLayerVersionByArn(ctx, &api.GetLayerVersionByArnInput{Arn: r.PhysicalID})
	if err != nil {
		return nil, resource.Found(err, layerName, r.PhysicalID, fault.ResourceNotFoundException)
	}
	return resource.Encode(layerProperties{
		LayerName: out.LayerArn[strings.LastIndexByte(out.LayerArn, ':')+1:], Description: out.Description, LicenseInfo: out.LicenseInfo,
		CompatibleRuntimes: out.CompatibleRuntimes, CompatibleArchitectures: out.CompatibleArchitectures, LayerVersionArn: out.LayerVersionArn,
	})
}

// cutLayer is the ARN of a layer, and the number of one of its versions.
func cutLayer(full string) (layer string, version *int64) {
	i := strings.LastIndexByte(full, ':')
	n, _ := strconv.ParseInt(full[i+1:], 10, 64) // 0 is refused by the service
	return full[:max(i, 0)], &n
}

func (h layerHandler) delete(ctx context.Context, r cfn.Request) error {
	layer, version := cutLayer(r.PhysicalID)
	_, err := h.svc.DeleteLayerVersion(ctx, &api.DeleteLayerVersionInput{LayerName: layer, VersionNumber: version})
	return resource.Gone(err, fault.ResourceNotFoundException)
}

func (h layerHandler) list(ctx context.Context) ([]string, error) {
	var ids []string
	in := &api.ListLayersInput{}
	for {
		out, err := h.svc.ListLayers(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, l := range out.Layers {
			versions, err := h.versions(ctx, l.LayerName)
			if err != nil {
				return nil, err
			}
			ids = append(ids, versions...)
		}
		if in.Marker = out.NextMarker; in.Marker == "" {
			return ids, nil
		}
	}
}

func (h layerHandler) versions(ctx context.Context, name string) (ids []string, err error) {
	in := &api.ListLayerVersionsInput{LayerName: name}
	for {
		out, err := h.svc.ListLayerVersions(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, v := range out.LayerVersions {
			ids = append(ids, v.LayerVersionArn)
		}
		if in.Marker = out.NextMarker; in.Marker == "" {
			return ids, nil
		}
	}
}

type layerPermissionProperties struct {
	LayerVersionArn string `json:"LayerVersionArn,omitempty"`
	Action          string `json:"Action,omitempty"`
	Principal       string `json:"Principal,omitempty"`
	OrganizationID  string `json:"OrganizationId,omitempty"`
	ID              string `json:"Id,omitempty"`
}

type layerPermissionHandler struct{ svc api.Service }

// layerPermissionType is a statement of the policy of a layer's version. Its id is
// the version's ARN, # and the statement's id.
func layerPermissionType(svc api.Service) cfn.Type {
	h := layerPermissionHandler{svc}
	return cfn.Type{Name: layerPermissionName, Create: h.create, Read: h.read, Delete: h.delete}
}

func (h layerPermissionHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p layerPermissionProperties
	if err := resource.Decode(layerPermissionName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	layer, version := cutLayer(p.LayerVersionArn)
	_, err := h.svc.AddLayerVersionPermission(ctx, &api.AddLayerVersionPermissionInput{
		LayerName: layer, VersionNumber: version, StatementId: r.Name, Action: p.Action, Principal: p.Principal, OrganizationId: p.OrganizationID,
	})
	if err != nil {
		return cfn.Result{}, err
	}
	id := p.LayerVersionArn + "#" + r.Name
	return cfn.Result{PhysicalID: id, Attributes: cfn.Properties{"Id": id}}, nil
}

func (h layerPermissionHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	full, sid, _ := strings.Cut(r.PhysicalID, "#")
	layer, version := cutLayer(full)
	out, err := h.svc.GetLayerVersionPolicy(ctx, &api.GetLayerVersionPolicyInput{LayerName: layer, VersionNumber: version})
	if err != nil {
		return nil, resource.Found(err, layerPermissionName, r.PhysicalID, fault.ResourceNotFoundException)
	}
	var doc struct{ Statement []statement }
	if err := json.Unmarshal([]byte(out.Policy), &doc); err != nil {
		return nil, err
	}
	for _, s := range doc.Statement {
		if s.Sid != sid {
			continue
		}
		p, err := s.properties("", r.Properties)
		if err != nil {
			return nil, err
		}
		who, _ := p["Principal"].(string)
		organization, _ := p["PrincipalOrgID"].(string)
		if account, ok := strings.CutPrefix(who, "arn:aws:iam::"); ok {
			who = strings.TrimSuffix(account, ":root")
		}
		return resource.Encode(layerPermissionProperties{LayerVersionArn: full, Action: s.Action, Principal: who, OrganizationID: organization, ID: r.PhysicalID})
	}
	return nil, resource.Missing(layerPermissionName, r.PhysicalID)
}

func (h layerPermissionHandler) delete(ctx context.Context, r cfn.Request) error {
	full, sid, _ := strings.Cut(r.PhysicalID, "#")
	layer, version := cutLayer(full)
	_, err := h.svc.RemoveLayerVersionPermission(ctx, &api.RemoveLayerVersionPermissionInput{LayerName: layer, VersionNumber: version, StatementId: sid})
	return resource.Gone(err, fault.ResourceNotFoundException)
}
