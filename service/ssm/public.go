package ssm

import (
	"slices"
	"strings"

	api "github.com/slipway/slipway/api/ssm"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/fault"
)

// publicParameters are the parameters under /aws/service that templates look
// machine images up by ("Discovering public parameters in Parameter Store", AWS
// Systems Manager User Guide). Those of this machine's architecture lead to the
// built-in image; there are no others.
type publicParameters struct {
	image func(arn.Scope) string
	names []string // in order
}

// imageNames are the names of Linux images, with {rpm} and {deb} in the places
// where the distributions name the architecture.
var imageNames = []string{
	"ami-amazon-linux-latest/al2023-ami-kernel-default-{rpm}",
	"ami-amazon-linux-latest/al2023-ami-kernel-6.1-{rpm}",
	"ami-amazon-linux-latest/al2023-ami-minimal-kernel-default-{rpm}",
	"ami-amazon-linux-latest/al2023-ami-minimal-kernel-6.1-{rpm}",
	"ami-amazon-linux-latest/amzn2-ami-hvm-{rpm}-gp2",
	"ami-amazon-linux-latest/amzn2-ami-kernel-5.10-hvm-{rpm}-gp2",
	"debian/release/11/latest/{deb}",
	"debian/release/12/latest/{deb}",
	"debian/release/13/latest/{deb}",
	"debian/release/bullseye/latest/{deb}",
	"debian/release/bookworm/latest/{deb}",
	"debian/release/trixie/latest/{deb}",
	"canonical/ubuntu/server/20.04/stable/current/{deb}/hvm/ebs-gp2/ami-id",
	"canonical/ubuntu/server/22.04/stable/current/{deb}/hvm/ebs-gp2/ami-id",
	"canonical/ubuntu/server/24.04/stable/current/{deb}/hvm/ebs-gp3/ami-id",
}

func newPublicParameters(image func(arn.Scope) string, arch string) publicParameters {
	rpm := map[string]string{"amd64": "x86_64", "arm64": "arm64"}[arch]
	if image == nil || rpm == "" {
		return publicParameters{}
	}
	p := publicParameters{image: image}
	for _, n := range imageNames {
		p.names = append(p.names, "/aws/service/"+strings.NewReplacer("{rpm}", rpm, "{deb}", arch).Replace(n))
	}
	slices.Sort(p.names)
	return p
}

func (p publicParameters) get(scope arn.Scope, name string) (api.Parameter, bool) {
	if _, ok := slices.BinarySearch(p.names, name); !ok {
		return api.Parameter{}, false
	}
	return api.Parameter{
		Name: name, Type: api.ParameterTypeString, Value: p.image(scope), Version: new(int64(1)), DataType: "aws:ec2:image",
		ARN: arn.ARN{Service: "ssm", Region: scope.Region, Resource: "parameter" + name}.String(),
	}, true
}

// page lists the parameters below a path. The token is the last name given.
func (p publicParameters) page(scope arn.Scope, path string, recursive bool, token string, limit int) ([]api.Parameter, string, error) {
	i, found := slices.BinarySearch(p.names, token)
	if found {
		i++
	} else if token != "" {
		return nil, "", fault.New(fault.InvalidNextToken, "The specified token isn't valid.")
	}
	out := []api.Parameter{}
	for _, name := range p.names[i:] {
		rest, below := strings.CutPrefix(name, path)
		if !below || !recursive && strings.Contains(rest, "/") {
			continue
		}
		if len(out) == limit {
			return out, out[limit-1].Name, nil
		}
		param, _ := p.get(scope, name)
		out = append(out, param)
	}
	return out, "", nil
}
