package ssm

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	api "github.com/slipway/slipway/api/ssm"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// parameter is a stored parameter: its newest version, and what belongs to all
// of them. Older versions stand in a collection of their own.
type parameter struct {
	Name   string
	Latest version
	Oldest int64
	Labels map[string]int64  `json:",omitempty"` // label to version
	Tags   map[string]string `json:",omitempty"`
	Shared map[string]string `json:",omitempty"` // resource policies by their ids
}

// version is one value of a parameter.
type version struct {
	Number      int64
	Type        string
	Value       string // of a SecureString: in a form of secure.go
	KeyID       string `json:",omitempty"`
	Description string `json:",omitempty"`
	Pattern     string `json:",omitempty"`
	Tier        string
	DataType    string
	Modified    time.Time
	ModifiedBy  string
	Policies    []parameterPolicy `json:",omitempty"`
	Token       string            `json:",omitempty"`
}

var (
	parameters = store.NewCollection("ssm/parameter", store.Index[parameter]{Name: "expires", Keys: func(_ string, p *parameter) []string {
		if len(p.Latest.Policies) == 0 {
			return nil
		}
		return []string{expires}
	}})
	// versions holds every version but the newest, keyed parameter|number; a
	// name never has the bar.
	versions = store.NewCollection[version]("ssm/parameterversion")
)

const (
	typeSecure  = api.ParameterTypeSecureString
	maxVersions = 100
	defaultKey  = "alias/aws/ssm"
)

func parameterKey(s arn.Scope, name string) string { return s.Key() + "/" + name }

func versionKey(s arn.Scope, name string, number int64) string {
	return fmt.Sprintf("%s|%012d", parameterKey(s, name), number)
}

// parameterARN leaves out the slash that a name may begin with, as AWS does.
func parameterARN(s arn.Scope, name string) string {
	return s.ARN("ssm", "parameter/"+strings.TrimPrefix(name, "/")).String()
}

func notFound(name string) error {
	return fault.New(fault.ParameterNotFound, "Parameter %s not found.", name)
}

func (s *Service) find(tx store.Tx, scope arn.Scope, name string) (*parameter, error) {
	if name == "" {
		return nil, notFound(name)
	}
	p, err := parameters.Get(tx, parameterKey(scope, name))
	if errors.Is(err, store.ErrNotFound) || err == nil && p.Latest.expired(s.now()) {
		return nil, notFound(name)
	}
	return p, err
}

// at finds a version of a parameter.
func (p *parameter) at(tx store.Tx, s arn.Scope, number int64) (*version, error) {
	if number == p.Latest.Number {
		return &p.Latest, nil
	}
	v, err := versions.Get(tx, versionKey(s, p.Name, number))
	if errors.Is(err, store.ErrNotFound) {
		return nil, fault.New(fault.ParameterVersionNotFound, "Systems Manager could not find version %d of %s. Verify the version and try again.", number, p.Name)
	}
	return v, err
}

// labelsOf are a version's labels in order.
func (p *parameter) labelsOf(number int64) []string {
	var out []string
	for l, n := range p.Labels {
		if n == number {
			out = append(out, l)
		}
	}
	slices.Sort(out)
	return out
}

func sealPurpose(s arn.Scope, name string, number int64) string {
	return "ssm/parameter/" + versionKey(s, name, number)
}

// describe tells a version; the value of a SecureString is as it is kept.
func describe(scope arn.Scope, name string, v *version) api.Parameter {
	return api.Parameter{
		Name: name, Type: v.Type, Value: v.Value, Version: &v.Number, LastModifiedDate: &v.Modified,
		ARN: parameterARN(scope, name), DataType: v.DataType,
	}
}
