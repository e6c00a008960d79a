package cloudformation

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"strings"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/cfn/schema"
	"github.com/slipway/slipway/fault"
)

// extensionPackage is what the package that "cfn submit" uploads says: schema.json,
// .rpdk-config, and the handler's code as a zip in the zip.
type extensionPackage struct {
	Schema       string
	Description  string
	Provisioning string
	Source, Docs string
	Runtime      string
	Entrypoint   string
	Fragment     string `json:",omitempty"` // of a module
}

// maxSchema bounds a schema, in bytes, as DescribeType's answer does.
const maxSchema = 16 << 20

// readPackage reads an extension's package, and returns the code of its handler.
func readPackage(body []byte, kind, name string) (k extensionPackage, code []byte, err error) {
	z, err := zip.NewReader(bytes.NewReader(body), int64(len(body)))
	if err != nil {
		return k, nil, fault.New(fault.CFNRegistry, "SchemaHandlerPackage is not a zip archive")
	}
	var text, settings []byte
	for _, f := range z.File {
		switch {
		case f.Name == "schema.json":
			text, err = unzip(f, maxSchema)
		case f.Name == ".rpdk-config":
			settings, err = unzip(f, 1<<20)
		case !strings.Contains(f.Name, "/") && strings.HasSuffix(f.Name, ".zip") && code == nil:
			code, err = unzip(f, maxPackage)
		}
		if err != nil {
			return k, nil, err
		}
	}
	switch {
	case text == nil:
		return k, nil, fault.New(fault.CFNRegistry, "SchemaHandlerPackage has no schema.json")
	case settings == nil:
		return k, nil, fault.New(fault.CFNRegistry, "SchemaHandlerPackage has no .rpdk-config")
	case code == nil:
		return k, nil, fault.New(fault.CFNRegistry, "SchemaHandlerPackage has no archive of its handler's code (ResourceProvider.zip)")
	}
	var config struct{ TypeName, Runtime, Entrypoint string }
	if err := json.Unmarshal(settings, &config); err != nil || config.Runtime == "" || config.Entrypoint == "" {
		return k, nil, fault.New(fault.CFNRegistry, ".rpdk-config of the SchemaHandlerPackage names no runtime and entrypoint")
	}
	k.Runtime, k.Entrypoint = config.Runtime, config.Entrypoint
	return k, code, k.read(text, kind, name)
}

func unzip(f *zip.File, most int64) ([]byte, error) {
	r, err := f.Open()
	if err != nil {
		return nil, fault.New(fault.CFNRegistry, "SchemaHandlerPackage: %s cannot be read", f.Name)
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, most+1))
	if err != nil {
		return nil, fault.New(fault.CFNRegistry, "SchemaHandlerPackage: %s cannot be read", f.Name)
	}
	if int64(len(b)) > most {
		return nil, fault.New(fault.CFNRegistry, "SchemaHandlerPackage: %s has more than %d bytes", f.Name, most)
	}
	return b, nil
}

// handlersOf are the handlers that an extension may declare.
var handlersOf = map[string][]string{
	resourceKind: {"create", "read", "update", "delete", "list"},
	hookKind:     {"preCreate", "preUpdate", "preDelete"},
}

// extensionSchema is what is checked of a schema beside what package schema reads.
type extensionSchema struct {
	TypeName      string
	Description   string
	SourceURL     string `json:"sourceUrl"`
	Documentation string `json:"documentationUrl"`
	Properties    map[string]json.RawMessage
	Additional    *bool `json:"additionalProperties"`
	Handlers      map[string]struct {
		Permissions *[]string
		TargetNames []string
	}
}

func badSchema(format string, args ...any) error {
	e := fault.New(fault.CFNRegistry, format, args...)
	e.Message = "Invalid schema: " + e.Message
	return e
}

// read checks a schema by the rules of the registry's meta-schema ("Resource type
// schema", "Hook schema", CloudFormation CLI User Guide).
func (k *extensionPackage) read(text []byte, kind, name string) error {
	var d extensionSchema
	if err := json.Unmarshal(text, &d); err != nil {
		return badSchema("%s", err.Error())
	}
	switch {
	case d.TypeName != name:
		return badSchema("typeName is %q, and %s is to be registered", d.TypeName, name)
	case d.Description == "":
		return badSchema("#: required key [description] not found")
	case d.Additional == nil || *d.Additional:
		return badSchema("#/additionalProperties: it must be false")
	}
	for handler, h := range d.Handlers {
		if !slices.Contains(handlersOf[kind], handler) {
			return badSchema("#/handlers: extraneous key [%s] is not permitted", handler)
		}
		if h.Permissions == nil || kind == hookKind && len(h.TargetNames) == 0 {
			return badSchema("#/handlers/%s: required keys are permissions, and of hooks targetNames", handler)
		}
	}
	sch, err := schema.Parse(text)
	if err != nil {
		return badSchema("%s", err.Error())
	}
	k.Schema, k.Description, k.Source, k.Docs = string(text), d.Description, d.SourceURL, d.Documentation
	if kind == hookKind {
		return nil
	}
	return k.readResource(&d, sch)
}

// readResource checks what the schema of a resource type needs beside.
func (k *extensionPackage) readResource(d *extensionSchema, sch *schema.Schema) error {
	if len(sch.PrimaryIdentifier) == 0 || len(d.Properties) == 0 {
		return badSchema("#: required keys [properties, primaryIdentifier] not found")
	}
	for _, list := range []struct {
		member string
		paths  []string
	}{
		{"primaryIdentifier", sch.PrimaryIdentifier}, {"readOnlyProperties", sch.ReadOnly}, {"createOnlyProperties", sch.CreateOnly},
		{"writeOnlyProperties", sch.WriteOnly},
	} {
		for _, p := range list.paths {
			if first, _, _ := strings.Cut(p, "/"); d.Properties[first] == nil {
				return badSchema("#/%s: there is no property /properties/%s", list.member, p)
			}
			if list.member == "primaryIdentifier" && strings.Contains(p, "/") {
				return fault.New(fault.NotImplemented, "primary identifiers within other properties (%s) are not built in Slipway yet", p)
			}
		}
	}
	has := func(handler string) bool { _, ok := d.Handlers[handler]; return ok }
	k.Provisioning = api.ProvisioningTypeFullyMutable
	switch {
	case !has("create") || !has("read") || !has("delete"):
		return badSchema("#/handlers: a resource type needs the handlers create, read and delete")
	case !has("update"):
		k.Provisioning = api.ProvisioningTypeImmutable
	}
	return nil
}
