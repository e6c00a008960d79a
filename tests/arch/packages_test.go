package arch

import (
	"path"
	"slices"
	"strings"
	"testing"
)

func TestNoPackageIsADrawer(t *testing.T) {
	for _, p := range module(t) {
		for step := range strings.SplitSeq(p.Path, "/") {
			if slices.Contains([]string{"util", "utils", "common", "helper", "helpers", "misc", "shared", "lib", "base", "internal"}, step) {
				t.Errorf("%s: name it for what it is about", p.Path)
			}
		}
	}
}

// shortest is the length of the shortest comment that can say what a package is
// for and what it may import.
const shortest = 70

func TestPackagesSayWhatTheyAreFor(t *testing.T) {
	for _, p := range module(t) {
		onlyTests := len(p.GoFiles)+len(p.IgnoredGoFiles) == 0
		if onlyTests && len(p.TestGoFiles)+len(p.XTestGoFiles) == 0 {
			continue
		}
		doc := p.Doc()
		want := "Package " + strings.TrimSuffix(p.Name, "_test") + " "
		switch {
		case doc == "":
			t.Errorf("%s has no package comment", p.Path)
		case !strings.HasPrefix(doc, want) && p.Name != "main":
			t.Errorf("%s: its comment begins %.30q, want %q", p.Path, doc, want)
		case len(doc) < shortest && !allGenerated(p):
			t.Errorf("%s: its comment says too little: what is it for, what may it import, who owns its goroutines?", p.Path)
		}
	}
}

func allGenerated(p *Package) bool {
	return !slices.ContainsFunc(p.Files, func(f *File) bool { return !f.Test && !f.Generated })
}

// TestFoldersMatchPackages: a reader finds a package by its import path.
func TestFoldersMatchPackages(t *testing.T) {
	for _, p := range module(t) {
		if p.Name == "main" || p.Path == "" {
			continue
		}
		if base := path.Base(p.Path); strings.TrimSuffix(p.Name, "_test") != base {
			t.Errorf("package %s is in folder %s", p.Name, p.Path)
		}
	}
}
