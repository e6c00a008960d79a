package model

import (
	"encoding/json"
	"io/fs"
	"sort"
	"testing"
)

func TestSchemas(t *testing.T) {
	files, err := fs.Glob(Schemas, "*.json")
	if err != nil || len(files) < 15 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		b, err := fs.ReadFile(Schemas, file)
		if err != nil {
			t.Fatal(err)
		}
		var s struct{ TypeName string }
		if err := json.Unmarshal(b, &s); err != nil || SchemaFile(s.TypeName) != file {
			t.Errorf("%s is of %q: %v", file, s.TypeName, err)
		}
		if _, ok := Schema(s.TypeName); !ok || !IsResourceType(s.TypeName) {
			t.Errorf("%s is not found by its name", s.TypeName)
		}
	}
	if _, ok := Schema("AWS::No::Type"); ok || IsResourceType("AWS::No::Type") || IsResourceType("") {
		t.Error("a type that nobody has")
	}
	if names := ResourceTypeNames(); !sort.StringsAreSorted(names) || len(names) < 1000 {
		t.Error(len(names), "names")
	}
}
