package main

import (
	"os"
	"path/filepath"
	"testing"
)

// Generating from model/ gives the very files that are checked in.
func TestGenerateChangesNothing(t *testing.T) {
	root := t.TempDir()
	if err := os.CopyFS(filepath.Join(root, "model"), os.DirFS("../model")); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(root, "api", "known"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := generate(root); err != nil {
		t.Fatal(err)
	}
	made, err := filepath.Glob(filepath.Join(root, "api", "*", "*.go"))
	if err != nil || len(made) < 20 {
		t.Fatal(len(made), err)
	}
	for _, path := range made {
		rel, err := filepath.Rel(root, path)
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join("..", rel)); err != nil || string(got) != string(want) {
			t.Errorf("%s is not what the generator writes (%v): run go generate", rel, err)
		}
	}
}

// A refreshed model reads as itself: nothing is lost on the way to disk.
func TestModelsRoundTrip(t *testing.T) {
	names, err := readList("../model/services.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		m, err := load(modelPath("..", name))
		if err != nil {
			t.Fatal(err)
		}
		again := filepath.Join(t.TempDir(), name+".json")
		if err := m.save(again); err != nil {
			t.Fatal(err)
		}
		got, _ := os.ReadFile(again)
		want, _ := os.ReadFile(modelPath("..", name))
		if string(got) != string(want) {
			t.Errorf("%s does not survive being read and written", name)
		}
	}
}

func TestCamel(t *testing.T) {
	for in, want := range map[string]string{
		"CREATE_COMPLETE": "CreateComplete", "t2.micro": "T2Micro", "createComplete": "CreateComplete", "AWS::S3": "AwsS3",
		"s3:ObjectCreated:*": "S3ObjectCreatedAny", "": "Empty", "-1": "1",
	} {
		if got := camel(in); got != want {
			t.Errorf("camel(%q) = %q, want %q", in, got, want)
		}
	}
}
