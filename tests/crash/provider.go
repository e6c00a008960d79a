package crash

import (
	"archive/zip"
	"bytes"
	"context"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/slipway/slipway/arn"
)

const (
	providerFunction = "crash-harness-provider"
	providerRole     = "crash-harness-provider"
	providerRoleARN  = "arn:aws:iam::" + arn.DefaultAccount + ":role/" + providerRole
	providerARN      = "arn:aws:lambda:us-east-1:" + arn.DefaultAccount + ":function:" + providerFunction
	providerStack    = "crash-harness-macro"
)

//go:embed provider.py
var providerCode string

// The kinds of things that the provider's function keeps in its folder.
const (
	customThings  = "custom"   // of custom resources, by physical id
	itemThings    = "items"    // of the registered type, by identifier
	askedThings   = "asked"    // what hooks were asked, by token
	rotatedThings = "database" // whose password is rotated
)

// customType and itemType are the types of which templates have resources there.
const (
	customType = "Custom::Thing"
	itemType   = "Crash::Harness::Item"
)

// provider is the function by which the harness provides custom resources, a macro, a
// registered type, hooks and rotations. What it makes are files in a folder of the
// host: they tell what it was told, whatever Slipway says.
type provider struct{ folder string }

// thing is what such a file says.
type thing struct {
	Stack, Version string
	Token          string // of a hook's request
	Logical        string
	Password       string
}

func newProvider(ctx context.Context, c *client, folder string) (*provider, error) {
	p := &provider{folder}
	for _, kind := range []string{customThings, itemThings, askedThings, rotatedThings, "half"} {
		if err := os.MkdirAll(filepath.Join(folder, kind), 0o700); err != nil {
			return nil, err
		}
	}
	_, err := c.query(ctx, "iam", "CreateRole", "RoleName", providerRole, "AssumeRolePolicyDocument",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"Service":`+
			`["lambda.amazonaws.com","hooks.cloudformation.amazonaws.com","resources.cloudformation.amazonaws.com"]}}]}`)
	if err != nil {
		return nil, err
	}
	code, err := p.code()
	if err != nil {
		return nil, err
	}
	err = c.lambda(ctx, "POST", functionsPath, map[string]any{
		"FunctionName": providerFunction, "Runtime": "python3.12", "Handler": "index.handler", "Role": providerRoleARN, "Timeout": 60,
		"Code": map[string]string{"ZipFile": base64.StdEncoding.EncodeToString(code)},
	}, nil)
	if err != nil {
		return nil, err
	}
	if err := c.functionSettled(ctx, providerFunction); err != nil {
		return nil, err
	}
	return p, createStack(ctx, c, providerStack,
		"Resources: { Macro: { Type: AWS::CloudFormation::Macro, Properties: { Name: CrashHarness, FunctionName: "+providerARN+" } } }")
}

// code is the archive of the function, which knows its folder.
func (p *provider) code() ([]byte, error) {
	return archive(map[string][]byte{"index.py": []byte(strings.Replace(providerCode, `"@folder@"`, strconv.Quote(p.folder), 1))})
}

func archive(files map[string][]byte) ([]byte, error) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, body := range files {
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write(body)
		}
		if err != nil {
			return nil, err
		}
	}
	err := z.Close()
	return b.Bytes(), err
}

func (*provider) owned(i inventory) {
	i.add("AWS::Lambda::Function", providerFunction)
	i.add("AWS::IAM::Role", providerRole)
}

// things are those of a kind, by their names.
func (p *provider) things(kind string) (map[string]thing, error) {
	files, err := os.ReadDir(filepath.Join(p.folder, kind))
	if err != nil {
		return nil, err
	}
	all := map[string]thing{}
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(p.folder, kind, f.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue // it goes just now
		}
		var t thing
		if err == nil {
			err = json.Unmarshal(b, &t)
		}
		if err != nil {
			return nil, err
		}
		all[f.Name()] = t
	}
	return all, nil
}

// there adds what the function has made and not deleted.
func (p *provider) there(i inventory) error {
	for kind, name := range map[string]string{customThings: customType, itemThings: itemType} {
		all, err := p.things(kind)
		if err != nil {
			return err
		}
		for id := range all {
			i.add(name, id)
		}
	}
	return nil
}

// differences tells where things are of another version than their stacks, and what
// hooks were not asked, or asked twice.
func (p *provider) differences(slots []*slot) (wrong []string, err error) {
	versions := map[string]int{}
	for _, s := range slots {
		versions[s.name] = s.at.version
	}
	for _, kind := range []string{customThings, itemThings} {
		all, err := p.things(kind)
		if err != nil {
			return nil, err
		}
		for id, t := range all {
			if want := strconv.Itoa(versions[t.Stack]); t.Version != want {
				wrong = append(wrong, fmt.Sprintf("%s %s of %s was told version %s last, and the stack has %s", kind, id, t.Stack, t.Version, want))
			}
		}
	}
	asked, err := p.things(askedThings)
	if err != nil {
		return nil, err
	}
	tokens := map[thing]int{}
	for _, t := range asked {
		t.Token = ""
		if tokens[t]++; tokens[t] == 2 {
			wrong = append(wrong, fmt.Sprintf("the hook was asked of %s of %s in version %s by two tokens", t.Logical, t.Stack, t.Version))
		}
	}
	for _, s := range slots {
		if s.hooked && s.at.version > 0 && tokens[thing{Stack: s.name, Version: strconv.Itoa(s.at.version), Logical: "Parameter"}] == 0 {
			wrong = append(wrong, fmt.Sprintf("the hook was not asked of %s in version %d", s.name, s.at.version))
		}
	}
	slices.Sort(wrong)
	return wrong, nil
}
