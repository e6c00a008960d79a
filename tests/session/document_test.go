package session

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/slipway/slipway/tests/server"
)

var shellBlock = regexp.MustCompile("(?s)\n```sh\n(.*?)```\n")

// documentedBlocks are the shell blocks of a document of the checkout, of one
// section of it if that is named.
func documentedBlocks(document, section string) ([]string, error) {
	b, err := os.ReadFile(filepath.Join(server.Root(), document))
	if err != nil {
		return nil, err
	}
	text := string(b)
	if section != "" {
		_, after, ok := strings.Cut(text, "\n"+section+"\n")
		if !ok {
			return nil, fmt.Errorf("%s has no section %q", document, section)
		}
		text, _, _ = strings.Cut(after, "\n## ")
	}
	var blocks []string
	for _, m := range shellBlock.FindAllStringSubmatch(text, -1) {
		blocks = append(blocks, m[1])
	}
	return blocks, nil
}

// commands DOCUMENT N runs the document's Nth block of commands as it stands there,
// in the checkout, with this Slipway's address. The shell is a user's one terminal:
// each block finds the variables, functions and aliases of those before it.
func cmdCommands(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: commands DOCUMENT N")
	}
	blocks, err := documentedBlocks(args[0], "")
	ts.Check(err)
	n, err := strconv.Atoi(args[1])
	if err != nil || n < 1 || n > len(blocks) {
		ts.Fatalf("%s has %d blocks of commands, and no %s", args[0], len(blocks), args[1])
	}
	s := of(ts)
	tools, state := ts.MkAbs("tools"), ts.MkAbs("terminal")
	ts.Check(installClient(tools, s.aws))
	block := strings.ReplaceAll(blocks[n-1], readmeAddress, address(s.endpoint))
	script := fmt.Sprintf(`set -eu -o pipefail -o allexport
shopt -s expand_aliases
export PATH=%[1]q:$PATH TMPDIR=%[2]q
cd %[3]q
if [ -e %[4]q ]; then . %[4]q; fi
%[5]s
{ export -p; alias -p; declare -f; } >%[4]q
`, tools, ts.Getenv("WORK"), server.Root(), state, block)
	report(ts, neg, ts.Exec("bash", "-c", script))
}
