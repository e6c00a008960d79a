package cloudformation

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"path"
	"strings"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/cfn/apply"
	"github.com/slipway/slipway/cfn/template"
	"github.com/slipway/slipway/cfn/transform"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// readModule reads a module's package: schema.json, and its template fragment in
// the folder fragments ("Module structure and requirements", CloudFormation CLI
// User Guide).
func readModule(body []byte, name string) (k extensionPackage, err error) {
	z, err := zip.NewReader(bytes.NewReader(body), int64(len(body)))
	if err != nil {
		return k, fault.New(fault.CFNRegistry, "SchemaHandlerPackage is not a zip archive")
	}
	var text, fragment []byte
	for _, f := range z.File {
		switch {
		case f.Name == "schema.json":
			text, err = unzip(f, maxSchema)
		case path.Dir(f.Name) == "fragments" && !strings.HasSuffix(f.Name, "/") && !strings.HasPrefix(path.Base(f.Name), "."):
			if fragment != nil {
				return k, fault.New(fault.CFNRegistry, "SchemaHandlerPackage has more than one fragment")
			}
			fragment, err = unzip(f, template.MaxBody)
		}
		if err != nil {
			return k, err
		}
	}
	switch {
	case text == nil:
		return k, fault.New(fault.CFNRegistry, "SchemaHandlerPackage has no schema.json")
	case fragment == nil:
		return k, fault.New(fault.CFNRegistry, "SchemaHandlerPackage has no fragment (fragments/template.json)")
	}
	var d extensionSchema
	if err := json.Unmarshal(text, &d); err != nil {
		return k, badSchema("%s", err.Error())
	}
	switch {
	case d.TypeName != name:
		return k, badSchema("typeName is %q, and %s is to be registered", d.TypeName, name)
	case d.Description == "":
		return k, badSchema("#: required key [description] not found")
	}
	if err := transform.CheckFragment(fragment); err != nil {
		return k, fault.New(fault.CFNRegistry, "Invalid fragment: %s", firstLine(err))
	}
	k.Schema, k.Description, k.Source, k.Docs, k.Fragment = string(text), d.Description, d.SourceURL, d.Documentation, string(fragment)
	return k, nil
}

// expand puts what modules consist of in their places in a template, as the
// caller's registry has them now, and tells by logical id where resources come from.
func (s *Service) expand(ctx context.Context, root *template.Node) (map[string]apply.Module, error) {
	if !transform.HasModules(root) {
		return nil, nil
	}
	read := map[string][]byte{}
	origins, problems, err := transform.Expand(root, func(name string) (text []byte, err error) {
		if text, ok := read[name]; ok {
			return text, nil
		}
		err = s.view(ctx, func(tx store.Tx) error {
			e, err := getExtension(tx, auth.From(ctx).Scope, moduleKind, name)
			if err != nil || e == nil || e.Deprecated {
				return err
			}
			v, err := e.getVersion(tx, "")
			if err == nil {
				text = []byte(v.Fragment)
			}
			return err
		})
		read[name] = text
		return text, err
	})
	if err != nil {
		return nil, err
	}
	if err := problems.Err(); err != nil {
		return nil, err
	}
	modules := make(map[string]apply.Module, len(origins))
	for id, o := range origins {
		modules[id] = apply.Module(o)
	}
	return modules, nil
}

// moduleInfo tells which module a resource of a stack comes from; nil: none.
func moduleInfo(id string, versions ...*apply.Version) *api.ModuleInfo {
	for _, v := range versions {
		if v == nil {
			continue
		}
		if m, ok := v.Modules[id]; ok {
			return &api.ModuleInfo{TypeHierarchy: m.Types, LogicalIdHierarchy: m.IDs}
		}
	}
	return nil
}
