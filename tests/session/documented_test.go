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

// shownBy says which test runs a documented command that no `commands` runs as it
// stands: a file, and what of it is the command. A command without a file says why
// none can.
var shownBy = map[string][2]string{
	"make demo": {"tests/session/testdata/commands.txtar", "slipway demo --exit"},
	"make test": {"", "it runs this test"},

	"slipway doctor --data /var/lib/slipway":                       {"tests/session/testdata/operations.txtar", "slipway doctor --data"},
	"systemctl enable --now slipway":                               {"", "the tests' hosts run no systemd"},
	"kill -USR2 PID":                                               {"tests/session/testdata/operations.txtar", "kill -USR2"},
	"slipway backup --data /var/lib/slipway FILE":                  {"tests/session/testdata/operations.txtar", "slipway backup --data"},
	"slipway restore --data /var/lib/slipway-new --keys KEYS FILE": {"tests/session/testdata/operations.txtar", "slipway restore --data $WORK/restored --keys"},
	"slipway doctor --clean --data FOLDER":                         {"tests/session/testdata/commands.txtar", "slipway doctor --clean --data"},
	"slipway doctor --clean":                                       {"tests/session/testdata/commands.txtar", "slipway doctor --clean"},
	"slipway doctor --data FOLDER":                                 {"tests/session/testdata/commands.txtar", "slipway doctor --data"},
	"slipway doctor":                                               {"tests/session/testdata/commands.txtar", "slipway doctor"},
	"slipway up":                                                   {"README.md", "bin/slipway up"},
	"slipway up --tls":                                             {"tests/session/testdata/operations.txtar", "up --compute process --tls"},
	"slipway ca":                                                   {"tests/session/testdata/operations.txtar", "slipway ca"},
	"slipway env --tls":                                            {"tests/session/testdata/operations.txtar", "slipway env --tls"},
	"slipway backup FILE":                                          {"tests/session/testdata/operations.txtar", "slipway backup"},
	"slipway restore FILE":                                         {"tests/session/testdata/operations.txtar", "slipway restore"},
	"slipway image import docker://REF":                            {"compute/rootfs/rootfs_test.go", `"an image of a registry": func`},
	"slipway agent":                                                {"", "instances run it"},
	"slipway agent enclosure":                                      {"", "functions' environments run it"},
	"mkdir -p /data && mount --bind /dev/sdf /data":                {"tests/session/testdata/volumes.txtar", "mkdir -p /data && mount --bind /dev/sdf /data"},
	"aws ec2 start-instances":                                      {"tests/session/testdata/instances.txtar", "aws ec2 start-instances"},
	"aws lambda wait function-active-v2":                           {"tests/session/testdata/functions.txtar", "aws lambda wait function-active-v2"},
	`curl -X PUT -d '{"Status":"SUCCESS",...}' "$ResponseURL"`:     {"tests/session/testdata/custom.txtar", "-X PUT -d @answer.json $RESPONSE"},
	"go test ./compute/function -bench Invoke":                     {"compute/function/bench_test.go", "func BenchmarkInvoke"},
	"go test ./service/logs -bench . -events 1000000":              {"service/logs/bench_test.go", `flag.Int("events"`},
	"make generate":                                                {"Makefile", "checkgenerate: generate"},
	"make help":                                                    {"Makefile", "help: ##"},
}

var (
	spans    = regexp.MustCompile("`((?:aws|slipway|bin/slipway|curl|make|go test|systemctl) [^`]+)`")
	fences   = regexp.MustCompile("(?s)\n```.*?\n```")
	scripted = regexp.MustCompile(`(?m)^commands (\S+) (\d+)$`)
)

// TestDocumentedCommands holds the documents against the tests: each block of
// commands is run as it stands, by the README's test or by `commands` of a script;
// every other command is in shownBy, and there is a test that has it.
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
	ran := scriptedBlocks(t)
	known := maps.Clone(shownBy)
	for _, path := range documents {
		document, err := filepath.Rel(root, path)
		if err != nil {
			t.Fatal(err)
		}
		for _, command := range documentedCommands(t, document, ran[document]) {
			if _, ok := shownBy[command]; !ok {
				t.Errorf("%s documents the command %q, which no test is known to run: see shownBy", document, command)
			}
			delete(known, command)
		}
	}
	for command := range known {
		t.Errorf("no document has %q", command)
	}
	for command, by := range shownBy {
		if by[0] != "" && !has(t, filepath.Join(root, by[0]), by[1]) {
			t.Errorf("%s, which is to show %q, has no %q", by[0], command, by[1])
		}
	}
}

// scriptedBlocks are the numbers of the blocks that scripts run, by document.
func scriptedBlocks(t *testing.T) map[string][]string {
	t.Helper()
	scripts, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("scripts: %v %v", scripts, err)
	}
	ran := map[string][]string{}
	for _, script := range scripts {
		b, err := os.ReadFile(script)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range scripted.FindAllStringSubmatch(string(b), -1) {
			ran[m[1]] = append(ran[m[1]], m[2])
		}
	}
	return ran
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

func has(t *testing.T, path, text string) bool {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
	}
	return strings.Contains(string(b), text)
}
