// Command coverage writes docs/coverage.md: each operation of each service, and
// each resource type, as this build has it. What is built is read off the
// implementations, so the page cannot say more than there is.
package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/slipway/slipway/api"
	"github.com/slipway/slipway/api/known"
	"github.com/slipway/slipway/platform"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: coverage FILE")
		os.Exit(2)
	}
	if err := os.WriteFile(os.Args[1], []byte(page()), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, "coverage:", err)
		os.Exit(1)
	}
}

func page() string {
	mounts, types := platform.Built()
	impls := map[string]any{}
	for _, m := range mounts {
		impls[m.Desc.Name] = m.Impl
	}
	var b, lists strings.Builder
	b.WriteString(`# Coverage

<!-- Written by "make generate". Do not edit. -->

Each operation that is not built answers 501, ` + "`NotImplemented`" + `, naming it. An operation that is built may refuse
options that are not; it names them.

| service | operations | built |
|---|---|---|
`)
	for _, s := range services() {
		operations := s.Operations()
		var built []string
		if impl := impls[s.Name]; impl != nil {
			for _, op := range operations {
				// One that was not generated has no method at all.
				if api.Built(impl, op.Name) {
					built = append(built, op.Name)
				}
			}
		}
		fmt.Fprintf(&b, "| %s | %d | %d |\n", s.Name, len(operations), len(built))
		if len(built) > 0 {
			fmt.Fprintf(&lists, "\n## %s\n\n%s.\n", s.Name, wrap(strings.Join(built, ", ")))
		}
	}
	b.WriteString(lists.String())
	fmt.Fprintf(&b, "\n## CloudFormation resource types\n\n%s.\n", wrap(strings.Join(types, ", ")))
	return b.String()
}

// services are all known ones, by name.
func services() []*known.Service {
	all := slices.Clone(known.Services())
	slices.SortFunc(all, func(a, b *known.Service) int { return strings.Compare(a.Name, b.Name) })
	return all
}

const width = 118

// wrap breaks a list into lines.
func wrap(text string) string {
	var b strings.Builder
	column := 0
	for i, word := range strings.Fields(text) {
		switch {
		case i == 0:
		case column+1+len(word) > width:
			b.WriteByte('\n')
			column = 0
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += len(word)
	}
	return b.String()
}
