package cloudformation

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// Kinds of extensions ("RegistryType").
const (
	resourceKind = api.RegistryTypeResource
	hookKind     = api.RegistryTypeHook
	moduleKind   = api.RegistryTypeModule
)

// extension is a resource type, hook or module that an account has registered in a region,
// or activated.
type extension struct {
	Kind       string
	Name       string
	Scope      arn.Scope
	Default    string // version
	Latest     int    // number of the newest version
	Created    time.Time
	Updated    time.Time
	Deprecated bool
	// Original and Publisher are those of a public extension that was activated.
	Original, Publisher string
}

// extensionVersion is a version of an extension. It does not change but for
// Deprecated.
type extensionVersion struct {
	Version      string
	Created      time.Time
	Deprecated   bool
	Description  string
	Schema       string // JSON
	Provisioning string
	Source, Docs string // URLs
	Function     string // ARN of the Lambda function that is the handler; "" : of a module
	Fragment     string `json:",omitempty"` // of a module: what stands in its place
	Role         string // ExecutionRoleArn
	LogRole      string
	LogGroup     string
}

// Extensions are keyed by scope, kind and name, versions by the same and the
// version.
var (
	extensions = store.NewCollection("cloudformation/extension", store.Index[extension]{
		Name: "name", Keys: func(_ string, e *extension) []string { return []string{e.Kind + "/" + e.Name} },
	})
	extensionVersions = store.NewCollection[extensionVersion]("cloudformation/extensionversion")
)

func (e *extension) key() string { return e.Scope.Key() + "/" + e.Kind + "/" + e.Name }

// arn is the extension's, and with a version that of the version.
func (e *extension) arn(version string) string {
	text := extensionARN(e.Scope, e.Kind, e.Name)
	if version != "" {
		text += "/" + version
	}
	return text
}

func extensionARN(scope arn.Scope, kind, name string) string {
	return scope.ARN("cloudformation", "type/"+strings.ToLower(kind)+"/"+strings.ReplaceAll(name, "::", "-")).String()
}

// publicARN is that of a type of AWS's own.
func publicARN(region, kind, name string) string {
	return extensionARN(arn.Scope{Region: region}, kind, name)
}

func versionID(n int) string { return fmt.Sprintf("%08d", n) }

func noType(name string) error {
	return fault.New(fault.TypeNotFoundException, "The type '%s' cannot be found.", name)
}

// named is how requests name an extension.
type named struct{ Kind, Name, Version, ARN string }

// extensionNamed finds what an ARN, or a kind and a name, are of. The version is
// the one in the ARN, if any.
func extensionNamed(scope arn.Scope, n named) (named, error) {
	if n.ARN == "" {
		if n.Kind == "" || n.Name == "" {
			return n, fault.New(fault.CFNRegistry, "Either Arn, or both of Type and TypeName must be given.")
		}
		return n, nil
	}
	a, err := arn.Parse(n.ARN)
	parts := strings.Split(a.Resource, "/")
	if err != nil || len(parts) < 3 || parts[0] != "type" || a.Region != scope.Region || a.Account != "" && a.Account != scope.Account {
		return n, noType(n.ARN)
	}
	n.Kind, n.Name = strings.ToUpper(parts[1]), strings.ReplaceAll(parts[2], "-", "::")
	if a.Account == "" && parts[2] == hooksPublisher && len(parts) > 3 {
		n.Name = strings.ReplaceAll(parts[3], "-", "::")
	} else if len(parts) > 3 && n.Version == "" {
		n.Version = parts[3]
	}
	return n, nil
}

// getExtension finds an extension of the caller's account; nil: there is none.
func getExtension(tx store.Tx, scope arn.Scope, kind, name string) (*extension, error) {
	e, err := extensions.Get(tx, scope.Key()+"/"+kind+"/"+name)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return e, err
}

// getVersion finds a version of an extension, its default where none is named.
func (e *extension) getVersion(tx store.Tx, version string) (*extensionVersion, error) {
	if version == "" {
		version = e.Default
	}
	v, err := extensionVersions.Get(tx, e.key()+"/"+version)
	if errors.Is(err, store.ErrNotFound) {
		return nil, noType(e.arn(version))
	}
	return v, err
}

// live finds an extension that has not been deregistered.
func live(tx store.Tx, scope arn.Scope, n named) (*extension, error) {
	e, err := getExtension(tx, scope, n.Kind, n.Name)
	if err == nil && (e == nil || e.Deprecated) {
		err = noType(n.Name)
	}
	return e, err
}

// addVersion makes a version of an extension; its first is the default.
func addVersion(tx store.Tx, e extension, v extensionVersion, now time.Time) (*extension, error) {
	old, err := getExtension(tx, e.Scope, e.Kind, e.Name)
	if err != nil {
		return nil, err
	}
	e.Created = now
	if old != nil {
		e.Latest = old.Latest
		if !old.Deprecated {
			e = *old
		}
	}
	e.Latest++
	e.Updated = now
	v.Version, v.Created = versionID(e.Latest), now
	if e.Default == "" {
		e.Default = v.Version
	}
	return &e, errors.Join(extensions.Put(tx, e.key(), &e), extensionVersions.Put(tx, e.key()+"/"+v.Version, &v))
}

// descriptionOf is the description in a schema's text.
func descriptionOf(schema []byte) string {
	var d struct {
		Description string `json:"description"`
	}
	if json.Unmarshal(schema, &d) != nil {
		return ""
	}
	return d.Description
}
