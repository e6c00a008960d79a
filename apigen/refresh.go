package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
)

// refresh writes model/services/<svc>.json for every service that
// model/services.txt names, from the newest version in a botocore data folder.
func refresh(root, data string) error {
	services, err := readList(filepath.Join(root, "model", "services.txt"))
	if err != nil {
		return err
	}
	for _, svc := range services {
		raw, err := newestModel(filepath.Join(data, svc))
		if err != nil {
			return fmt.Errorf("%s: %w", svc, err)
		}
		m := new(Model)
		if err := json.Unmarshal(raw, m); err != nil {
			return fmt.Errorf("%s: %w", svc, err)
		}
		if err := m.save(modelPath(root, svc)); err != nil {
			return fmt.Errorf("%s: %w", svc, err)
		}
	}
	return nil
}

func modelPath(root, svc string) string {
	return filepath.Join(root, "model", "services", svc+".json")
}

func newestModel(dir string) ([]byte, error) {
	found, err := filepath.Glob(filepath.Join(dir, "*", "service-2.json*"))
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("no service-2.json in %s", dir)
	}
	sort.Strings(found)
	path := found[len(found)-1]
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(path, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			return nil, err
		}
	}
	return io.ReadAll(r)
}

// readList reads a text file of one name a line; "#" begins a comment.
func readList(path string) ([]string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var names []string
	for line := range strings.Lines(string(b)) {
		line, _, _ = strings.Cut(line, "#")
		names = append(names, strings.Fields(line)...)
	}
	return names, nil
}

var providerLine = regexp.MustCompile(`^\s*"([A-Za-z0-9]+(?:::[A-Za-z0-9]+)+)":\s*"([0-9a-f]+)",`)

// refreshResources writes the schemas that model/resource-types.txt names and
// the names of all types, from the us-east-1 table of cfn-lint's schemas.
func refreshResources(root, schemas string) error {
	table, err := os.ReadFile(filepath.Join(schemas, "providers", "us_east_1.py"))
	if err != nil {
		return err
	}
	files := map[string]string{}
	var names []string
	for line := range strings.Lines(string(table)) {
		if m := providerLine.FindStringSubmatch(line); m != nil {
			files[m[1]] = m[2] + ".json"
			names = append(names, m[1])
		}
	}
	sort.Strings(names)
	model := filepath.Join(root, "model")
	list := []byte(strings.Join(names, "\n") + "\n")
	if err := os.WriteFile(filepath.Join(model, "resource-type-names.txt"), list, 0o644); err != nil {
		return err
	}
	wanted, err := readList(filepath.Join(model, "resource-types.txt"))
	if err != nil {
		return err
	}
	for _, name := range wanted {
		raw, err := os.ReadFile(filepath.Join(schemas, "resources", files[name]))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := saveSchema(model, name, raw); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func saveSchema(model, name string, raw []byte) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var schema any
	if err := dec.Decode(&schema); err != nil {
		return err
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(undescribed(schema)); err != nil {
		return err
	}
	file := strings.ToLower(strings.ReplaceAll(name, "::", "-")) + ".json"
	return os.WriteFile(filepath.Join(model, "schemas", file), buf.Bytes(), 0o644)
}

// undescribed drops documentation. A property may be called "description": its
// value is then a schema, not a string.
func undescribed(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			if _, text := e.(string); text && (k == "description" || k == "title") {
				delete(v, k)
				continue
			}
			v[k] = undescribed(e)
		}
	case []any:
		for i, e := range v {
			v[i] = undescribed(e)
		}
	}
	return v
}
