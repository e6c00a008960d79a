package session

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/slipway/slipway/tests/server"
)

// shownBy says of documented commands that stand in no script, as they are written,
// which file has what they do. One without a file says why no test can run it.
var shownBy = map[string][2]string{
	"make demo":     {"tests/session/testdata/commands.txtar", "slipway demo --exit"},
	"make test":     {"", "it runs this test"},
	"make generate": {"Makefile", "checkgenerate: generate"},
	"make help":     {"Makefile", "help: ##"},
	"make bench":    {"Makefile", "bench: build ##"},

	"systemctl enable --now slipway":    {"", "the tests' hosts run no systemd"},
	"slipway up":                        {"README.md", "bin/slipway up"},
	"slipway up --tls":                  {"tests/session/testdata/operations.txtar", "up --compute process --tls"},
	"slipway image import docker://REF": {"compute/rootfs/rootfs_test.go", `"an image of a registry": func`},
	"slipway agent":                     {"", "instances run it"},
	"slipway agent enclosure":           {"", "functions' environments run it"},

	`curl -X PUT -d '{"Status":"SUCCESS",...}' "$ResponseURL"`: {"tests/session/testdata/custom.txtar", "-X PUT -d @answer.json $RESPONSE"},
}

var (
	spans     = regexp.MustCompile("`((?:aws|slipway|bin/slipway|curl|make|go test|systemctl) [^`]+)`")
	fences    = regexp.MustCompile("(?s)\n```.*?\n```")
	scripted  = regexp.MustCompile(`(?m)^commands (\S+) (\d+)$`)
	word      = regexp.MustCompile(`^([a-z0-9/&-]+|-[A-Z0-9]+)$`)
	benchmark = regexp.MustCompile(`^go test \./(\S+) .*-bench (\S+)`)
)

// TestDocumentedCommands holds the documents against the tests: each block of
// commands is run as it stands, by the README's test or by `commands` of a script;
// every other command stands in a script, up to what is the reader's own in it, or in
// shownBy.
func TestDocumentedCommands(t *testing.T) {
	root := server.Root()
	var documents []string
	for _, pattern := range []string{"README.md", "docs/*.md", "examples/*/README.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %v %v", pattern, found, err)
		}
		documents = append(documents, found...)
	}
	scripts := read(t, "testdata/*.txtar")
	ran := map[string][]string{} // the numbers of the blocks that scripts run
	for _, m := range scripted.FindAllStringSubmatch(scripts, -1) {
		ran[m[1]] = append(ran[m[1]], m[2])
	}
	known := maps.Clone(shownBy)
	for _, path := range documents {
		document, err := filepath.Rel(root, path)
		if err != nil {
			t.Fatal(err)
		}
		for _, command := range documentedCommands(t, document, ran[document]) {
			delete(known, command)
			if !shown(t, command, scripts) {
				t.Errorf("%s documents the command %q, which no script runs: have one run it, or say in shownBy what shows it", document, command)
			}
		}
	}
	for command := range known {
		t.Errorf("no document has %q", command)
	}
}

// shown reports whether a test has a command.
func shown(t *testing.T, command, scripts string) bool {
	t.Helper()
	root := server.Root()
	if by, ok := shownBy[command]; ok {
		return by[0] == "" || strings.Contains(read(t, filepath.Join(root, by[0])), by[1])
	}
	if m := benchmark.FindStringSubmatch(command); m != nil {
		found, err := regexp.MatchString(`func Benchmark\w*`+m[2], read(t, filepath.Join(root, m[1], "*_test.go")))
		return err == nil && found
	}
	var words []string
	for _, w := range strings.Fields(command) {
		if !word.MatchString(w) || strings.HasPrefix(w, "/var/") {
			break
		}
		words = append(words, w)
	}
	return len(words) > 1 && strings.Contains(scripts, strings.Join(words, " "))
}

// read is the text of all files of a pattern.
func read(t *testing.T, pattern string) string {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		t.Errorf("%s: %v %v", pattern, paths, err)
	}
	var all strings.Builder
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
		}
		all.Write(b)
	}
	return all.String()
}

// documentedCommands are the commands of a document: the lines of its blocks of shell
// but those that a test runs, and what its text quotes.
func documentedCommands(t *testing.T, document string, ran []string) []string {
	t.Helper()
	blocks, err := documentedBlocks(document, "")
	if err != nil {
		t.Fatal(err)
	}
	var first []string // TestReadme runs these
	if document == "README.md" {
		if first, err = documentedBlocks(document, "## A first session"); err != nil {
			t.Fatal(err)
		}
	}
	var commands []string
	for i, block := range blocks {
		if slices.Contains(ran, strconv.Itoa(i+1)) || slices.Contains(first, block) {
			continue
		}
		for line := range strings.Lines(block) {
			command, _, _ := strings.Cut(line, "    #")
			commands = append(commands, strings.TrimSpace(command))
		}
	}
	b, err := os.ReadFile(filepath.Join(server.Root(), document))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(fences.ReplaceAllString(string(b), "\n"), "\n", " ")
	for _, m := range spans.FindAllStringSubmatch(text, -1) {
		commands = append(commands, strings.TrimPrefix(m[1], "bin/"))
	}
	return commands
}
