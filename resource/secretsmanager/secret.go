// Package secretsmanager holds the resource types of AWS Secrets Manager. It calls
// api/secretsmanager alone.
package secretsmanager

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"

	api "github.com/slipway/slipway/api/secretsmanager"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource"
)

// Types are the resource types of Secrets Manager.
func Types(svc api.Service) []cfn.Type {
	return []cfn.Type{secretType(svc), policyType(svc), scheduleType(svc)}
}

const (
	secretName   = "AWS::SecretsManager::Secret"
	suffixLength = 12
	defaultKey   = "alias/aws/secretsmanager"
)

type secretProperties struct {
	Name                 string         `json:"Name,omitempty"`
	Description          string         `json:"Description,omitempty"`
	KmsKeyID             string         `json:"KmsKeyId,omitempty"`
	SecretString         string         `json:"SecretString,omitempty"`
	GenerateSecretString *generated     `json:"GenerateSecretString,omitempty"`
	Tags                 []resource.Tag `json:"Tags,omitempty"`
}

// generated is a value that Secrets Manager makes: a password, by itself or as a
// member of a JSON object.
type generated struct {
	ExcludeCharacters       string `json:"ExcludeCharacters,omitempty"`
	ExcludeLowercase        *bool  `json:"ExcludeLowercase,omitempty"`
	ExcludeNumbers          *bool  `json:"ExcludeNumbers,omitempty"`
	ExcludePunctuation      *bool  `json:"ExcludePunctuation,omitempty"`
	ExcludeUppercase        *bool  `json:"ExcludeUppercase,omitempty"`
	GenerateStringKey       string `json:"GenerateStringKey,omitempty"`
	IncludeSpace            *bool  `json:"IncludeSpace,omitempty"`
	PasswordLength          *int64 `json:"PasswordLength,omitempty"`
	RequireEachIncludedType *bool  `json:"RequireEachIncludedType,omitempty"`
	SecretStringTemplate    string `json:"SecretStringTemplate,omitempty"`
}

type secretHandler struct{ svc api.Service }

func secretType(svc api.Service) cfn.Type {
	h := secretHandler{svc}
	return cfn.Type{Name: secretName, Create: h.create, Read: h.read, Update: h.update, Delete: h.delete, List: h.list}
}

func decodeSecret(from cfn.Properties) (p secretProperties, err error) {
	if err = resource.Decode(secretName, from, &p); err == nil && p.SecretString != "" && p.GenerateSecretString != nil {
		err = fault.New(fault.InvalidRequestException, "You can't specify both SecretString and GenerateSecretString in the same secret.")
	}
	return p, err
}

// versionID is the id of the version that an action makes.
func versionID(token string) string {
	h := arn.Hash(token)
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:32]
}

func (h secretHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	p, err := decodeSecret(r.Properties)
	if err != nil {
		return cfn.Result{}, err
	}
	if p.Name == "" {
		p.Name = r.LogicalID + "-" + arn.SuffixFrom(r.Token, suffixLength)
	}
	in := &api.CreateSecretInput{Name: p.Name, Description: p.Description, KmsKeyId: p.KmsKeyID, Tags: list(resource.Tags(r, p.Tags))}
	if in.SecretString, err = h.value(ctx, p); err != nil {
		return cfn.Result{}, err
	}
	if in.SecretString != "" {
		in.ClientRequestToken = versionID(r.Token)
	}
	out, err := h.svc.CreateSecret(ctx, in)
	if err != nil {
		return cfn.Result{}, err
	}
	return result(out.ARN), nil
}

func result(full string) cfn.Result {
	return cfn.Result{PhysicalID: full, Attributes: cfn.Properties{"Id": full}}
}

// value is what the properties say the secret is, "" if they say nothing.
func (h secretHandler) value(ctx context.Context, p secretProperties) (string, error) {
	g := p.GenerateSecretString
	if g == nil {
		return p.SecretString, nil
	}
	if (g.SecretStringTemplate == "") != (g.GenerateStringKey == "") {
		return "", fault.New(fault.InvalidRequestException, "You must specify SecretStringTemplate and GenerateStringKey together, or neither.")
	}
	var members map[string]json.RawMessage
	if g.SecretStringTemplate != "" {
		if err := json.Unmarshal([]byte(g.SecretStringTemplate), &members); err != nil || members == nil {
			return "", fault.New(fault.InvalidRequestException, "Could not parse SecretStringTemplate JSON: it must be an object.")
		}
	}
	out, err := h.svc.GetRandomPassword(ctx, &api.GetRandomPasswordInput{
		PasswordLength: g.PasswordLength, ExcludeCharacters: g.ExcludeCharacters, ExcludeNumbers: g.ExcludeNumbers,
		ExcludePunctuation: g.ExcludePunctuation, ExcludeUppercase: g.ExcludeUppercase, ExcludeLowercase: g.ExcludeLowercase,
		IncludeSpace: g.IncludeSpace, RequireEachIncludedType: g.RequireEachIncludedType,
	})
	if err != nil {
		return "", err
	}
	if members == nil {
		return out.RandomPassword, nil
	}
	if members[g.GenerateStringKey], err = text(out.RandomPassword); err != nil {
		return "", err
	}
	whole, err := text(members)
	return string(whole), err
}

// text is JSON as people write it: punctuation in passwords stays as it is.
func text(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// list puts tags in the order of their keys.
func list(tags map[string]string) []api.Tag {
	out := make([]api.Tag, 0, len(tags))
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		out = append(out, api.Tag{Key: k, Value: tags[k]})
	}
	return out
}

func (h secretHandler) describe(ctx context.Context, id string) (*api.DescribeSecretOutput, error) {
	out, err := h.svc.DescribeSecret(ctx, &api.DescribeSecretInput{SecretId: id})
	if err == nil && out.DeletedDate != nil {
		err = resource.Missing(secretName, id)
	}
	if err != nil {
		return nil, resource.Found(err, secretName, id, fault.ResourceNotFoundException)
	}
	return out, nil
}

func tagMap(tags []api.Tag) map[string]string {
	out := map[string]string{}
	for _, t := range tags {
		out[t.Key] = t.Value
	}
	return out
}

func (h secretHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	out, err := h.describe(ctx, r.PhysicalID)
	if err != nil {
		return nil, err
	}
	key := out.KmsKeyId
	// The service tells the default key by telling none.
	if named, _ := r.Properties["KmsKeyId"].(string); key == "" && (named == defaultKey || strings.HasSuffix(named, ":"+defaultKey)) {
		key = named
	}
	p, err := resource.Encode(secretProperties{
		Name: out.Name, Description: out.Description, KmsKeyID: key, Tags: resource.OwnTags(tagMap(out.Tags)),
	})
	if err == nil {
		p["Id"] = out.ARN
	}
	return p, err
}

func (h secretHandler) update(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	p, err := decodeSecret(r.Properties)
	if err != nil {
		return cfn.Result{}, err
	}
	var prior secretProperties
	if err := resource.Decode(secretName, r.Prior, &prior); err != nil {
		return cfn.Result{}, err
	}
	was, err := h.describe(ctx, r.PhysicalID)
	if err != nil {
		return cfn.Result{}, err
	}
	if p.Description == "" && was.Description != "" {
		return cfn.Result{}, fault.New(fault.NotImplemented, "%s: taking a Description away is not built in Slipway yet", secretName)
	}
	in := &api.UpdateSecretInput{SecretId: r.PhysicalID}
	if p.Description != was.Description {
		in.Description = p.Description
	}
	if p.KmsKeyID != was.KmsKeyId {
		if in.KmsKeyId = p.KmsKeyID; in.KmsKeyId == "" {
			in.KmsKeyId = defaultKey
		}
	}
	// A version is an act that counts: one that a repeated step has made already is
	// not made again.
	if _, made := was.VersionIdsToStages[versionID(r.Token)]; !made && !reflect.DeepEqual(valueOf(p), valueOf(prior)) {
		if in.SecretString, err = h.value(ctx, p); err != nil {
			return cfn.Result{}, err
		}
		if in.SecretString != "" {
			in.ClientRequestToken = versionID(r.Token)
		}
	}
	if in.Description != "" || in.KmsKeyId != "" || in.SecretString != "" {
		if _, err := h.svc.UpdateSecret(ctx, in); err != nil {
			return cfn.Result{}, err
		}
	}
	return result(was.ARN), h.retag(ctx, r, p, was)
}

// valueOf are the properties that say what a secret's value is.
func valueOf(p secretProperties) any {
	return secretProperties{SecretString: p.SecretString, GenerateSecretString: p.GenerateSecretString}
}

func (h secretHandler) retag(ctx context.Context, r cfn.Request, p secretProperties, was *api.DescribeSecretOutput) error {
	set, remove := resource.Retag(tagMap(was.Tags), resource.Tags(r, p.Tags))
	if len(set) > 0 {
		if _, err := h.svc.TagResource(ctx, &api.TagResourceInput{SecretId: r.PhysicalID, Tags: list(set)}); err != nil {
			return err
		}
	}
	if len(remove) > 0 {
		if _, err := h.svc.UntagResource(ctx, &api.UntagResourceInput{SecretId: r.PhysicalID, TagKeys: remove}); err != nil {
			return err
		}
	}
	return nil
}

// delete leaves no recovery window: a stack that is made again takes the name again,
// as on AWS.
func (h secretHandler) delete(ctx context.Context, r cfn.Request) error {
	force := true
	_, err := h.svc.DeleteSecret(ctx, &api.DeleteSecretInput{SecretId: r.PhysicalID, ForceDeleteWithoutRecovery: &force})
	return resource.Gone(err, fault.ResourceNotFoundException)
}

func (h secretHandler) list(ctx context.Context) ([]string, error) {
	in := &api.ListSecretsInput{}
	var ids []string
	for {
		out, err := h.svc.ListSecrets(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, s := range out.SecretList {
			ids = append(ids, s.ARN)
		}
		if in.NextToken = out.NextToken; in.NextToken == "" {
			return ids, nil
		}
	}
}
