package ec2

import (
	"context"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/api/ssm"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource"
)

const keyPairName = "AWS::EC2::KeyPair"

type keyPairProperties struct {
	KeyFormat         string         `json:"KeyFormat,omitempty"`
	KeyName           string         `json:"KeyName"`
	KeyType           string         `json:"KeyType,omitempty"`
	PublicKeyMaterial string         `json:"PublicKeyMaterial,omitempty"`
	Tags              []resource.Tag `json:"Tags,omitempty"`
}

// keyPairHandler is AWS::EC2::KeyPair. The private half of a key that EC2 makes
// goes into the parameter /ec2/keypair/<key pair id>; everything is create-only.
type keyPairHandler struct {
	svc        api.Service
	parameters ssm.Service
}

func keyPairType(svc api.Service, parameters ssm.Service) cfn.Type {
	h := keyPairHandler{svc, parameters}
	return cfn.Type{Name: keyPairName, Create: h.create, Read: h.read, Delete: h.delete, List: h.list}
}

func parameterOf(keyPairID string) string { return "/ec2/keypair/" + keyPairID }

func (h keyPairHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p keyPairProperties
	if err := resource.Decode(keyPairName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	tags := specs(resource.Tags(r, p.Tags), "key-pair")
	if p.PublicKeyMaterial != "" {
		out, err := h.svc.ImportKeyPair(ctx, &api.ImportKeyPairInput{KeyName: p.KeyName, PublicKeyMaterial: []byte(p.PublicKeyMaterial), TagSpecifications: tags})
		if err != nil {
			return cfn.Result{}, err
		}
		return keyPairResult(out.KeyName, out.KeyPairId, out.KeyFingerprint), nil
	}
	out, err := h.svc.CreateKeyPair(ctx, &api.CreateKeyPairInput{KeyName: p.KeyName, KeyType: p.KeyType, KeyFormat: p.KeyFormat, TagSpecifications: tags})
	if err != nil {
		return cfn.Result{}, err
	}
	result := keyPairResult(out.KeyName, out.KeyPairId, out.KeyFingerprint)
	// The key of an earlier, interrupted try is overwritten: this one replaced it.
	_, err = h.parameters.PutParameter(ctx, &ssm.PutParameterInput{
		Name: parameterOf(out.KeyPairId), Type: "SecureString", Value: out.KeyMaterial, Overwrite: ptr(true),
		Description: "Private key of the EC2 key pair " + out.KeyName,
	})
	return result, err
}

func keyPairResult(name, id, fingerprint string) cfn.Result {
	return cfn.Result{PhysicalID: name, Attributes: cfn.Properties{"KeyName": name, "KeyPairId": id, "KeyFingerprint": fingerprint}}
}

func (h keyPairHandler) find(ctx context.Context, name string) (*api.KeyPairInfo, error) {
	out, err := h.svc.DescribeKeyPairs(ctx, &api.DescribeKeyPairsInput{KeyNames: []string{name}, IncludePublicKey: ptr(true)})
	if err != nil {
		return nil, resource.Found(err, keyPairName, name, fault.InvalidKeyPairNotFound)
	}
	if len(out.KeyPairs) == 0 {
		return nil, resource.Missing(keyPairName, name)
	}
	return &out.KeyPairs[0], nil
}

func (h keyPairHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	k, err := h.find(ctx, r.PhysicalID)
	if err != nil {
		return nil, err
	}
	out, err := resource.Encode(keyPairProperties{
		KeyName: k.KeyName, KeyType: k.KeyType, PublicKeyMaterial: k.PublicKey, Tags: resource.OwnTags(tagMap(k.Tags)),
	})
	if err != nil {
		return nil, err
	}
	out["KeyPairId"], out["KeyFingerprint"] = k.KeyPairId, k.KeyFingerprint
	return out, nil
}

// delete removes the parameter first: while the key pair is there its id, and
// with it the parameter's name, is known.
func (h keyPairHandler) delete(ctx context.Context, r cfn.Request) error {
	k, err := h.find(ctx, r.PhysicalID)
	if err != nil {
		return resource.Gone(err, cfn.NotFound)
	}
	_, err = h.parameters.DeleteParameter(ctx, &ssm.DeleteParameterInput{Name: parameterOf(k.KeyPairId)})
	if err := resource.Gone(err, fault.ParameterNotFound); err != nil {
		return err
	}
	_, err = h.svc.DeleteKeyPair(ctx, &api.DeleteKeyPairInput{KeyPairId: k.KeyPairId})
	return resource.Gone(err, fault.InvalidKeyPairNotFound)
}

func (h keyPairHandler) list(ctx context.Context) ([]string, error) {
	out, err := h.svc.DescribeKeyPairs(ctx, &api.DescribeKeyPairsInput{})
	if err != nil {
		return nil, err
	}
	var names []string
	for _, k := range out.KeyPairs {
		names = append(names, k.KeyName)
	}
	return names, nil
}
