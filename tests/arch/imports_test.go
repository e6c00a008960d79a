package arch

import (
	"slices"
	"strings"
	"sync"
	"testing"
)

var load = sync.OnceValues(Load)

func module(t *testing.T) []*Package {
	t.Helper()
	all, err := load()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 10 {
		t.Fatalf("only %d packages: is this the module's root?", len(all))
	}
	return all
}

// rooms says which packages of ours each room may import; the longest folder
// that a package is in counts. "." stands for the room itself, "*" for any.
// A package may always import what is below it.
var rooms = map[string]string{
	"arn":       "",
	"fault":     "",
	"examples":  "",
	"model":     "",
	"apigen":    "model api",
	"api":       ". auth fault",
	"reconcile": "",
	"store":     ". arn fault",
	"workflow":  ". fault store",

	"auth":         ". arn fault store",
	"auth/policy":  "",
	"auth/keyring": "",
	"wire":         "api arn auth fault store",

	"compute":    ". agentproto arn",
	"agentproto": "",
	"dataplane":  ". arn",
	"agent":      "agentproto compute/boot compute/proc",

	"compute/computetest": "compute agent agentproto arn dataplane",

	"cfn":             "arn fault",
	"cfn/template":    ". arn cfn fault",
	"cfn/transform":   ". cfn cfn/template fault",
	"cfn/generate":    ". cfn cfn/schema cfn/template",
	"cfn/schema":      ". cfn cfn/template model",
	"cfn/plan":        ". cfn cfn/schema cfn/template fault",
	"cfn/drift":       ". cfn cfn/schema cfn/template",
	"cfn/stackpolicy": "fault",
	"cfn/guard":       "",
	"cfn/hook":        "auth/policy fault",
	"cfn/apply":       ". arn auth cfn cfn/drift cfn/hook cfn/plan cfn/schema cfn/stackpolicy cfn/template fault store workflow",

	"service":                "api arn auth fault store workflow reconcile",
	"service/cloudcontrol":   "api arn auth fault store workflow reconcile cfn",
	"service/cloudformation": "api arn auth fault store workflow reconcile cfn",
	"service/ec2":            "api arn auth fault store workflow reconcile compute dataplane",
	"service/lambda":         "api arn auth fault store workflow reconcile compute",
	"resource":               "resource api arn auth cfn fault",
	"console":                ". api arn auth fault",

	// The one place where everything is wired, and what runs it.
	"platform":    "*",
	"cli":         "*",
	"cmd/slipway": "cli agent",
	"tests":       "*",
}

// forbidden are rules of their own that no table entry may widen.
var forbidden = []struct {
	in, not, why string
}{
	{"compute", "store", "rule 2"}, {"compute", "service", "rule 2"},
	{"dataplane", "store", "rule 2"}, {"dataplane", "service", "rule 2"},
	{"agent", "store", "rule 2"}, {"agent", "service", "rule 2"},
	{"cfn/template", "store", "rule 2"}, {"cfn/template", "service", "rule 2"},
	{"cfn/plan", "store", "rule 2"}, {"cfn/plan", "service", "rule 2"},
	{"cfn/transform", "store", "rule 2"}, {"cfn/transform", "service", "rule 2"},
	{"cfn", "service", "the engine knows no AWS service"}, {"cfn", "api", "the engine knows no AWS service"},
	{"wire", "service", "rule 1"}, {"resource", "service", "rule 1"}, {"console", "service", "rule 1"},
	{"resource", "store", "resource types have no state"},
}

func roomOf(path string) string {
	best := ""
	for room := range rooms {
		if Within(path, room) && len(room) > len(best) {
			best = room
		}
	}
	return best
}

func mayImport(path, imported string) bool {
	room := roomOf(path)
	for _, allowed := range strings.Fields(rooms[room]) {
		switch {
		case allowed == "*":
			return true
		case allowed == "." && Within(imported, room), allowed != "." && Within(imported, allowed):
			return true
		}
	}
	return Within(imported, path)
}

func TestImportsGoOneWay(t *testing.T) {
	for _, p := range module(t) {
		if p.Path == "" {
			continue
		}
		if roomOf(p.Path) == "" {
			t.Errorf("%s is in no room: say in the table what it may import", p.Path)
			continue
		}
		for _, imported := range p.Own() {
			if !mayImport(p.Path, imported) {
				t.Errorf("%s imports %s; %s may import: %q", p.Path, imported, roomOf(p.Path), rooms[roomOf(p.Path)])
			}
			for _, f := range forbidden {
				if Within(p.Path, f.in) && Within(imported, f.not) {
					t.Errorf("%s imports %s: %s", p.Path, imported, f.why)
				}
			}
		}
	}
}

// serviceOf is the service that a package of service/ or resource/ belongs to.
func serviceOf(path string) string {
	parts := strings.Split(path, "/")
	if len(parts) < 2 || parts[0] != "service" && parts[0] != "resource" {
		return ""
	}
	return parts[0] + "/" + parts[1]
}

func TestServicesMeetOnlyThroughTheirAPIs(t *testing.T) {
	for _, p := range module(t) {
		mine := serviceOf(p.Path)
		if mine == "" {
			continue
		}
		for _, imported := range p.Own() {
			if other := serviceOf(imported); other != "" && other != mine {
				t.Errorf("%s imports %s: call it through api/%s", p.Path, imported, strings.Split(other, "/")[1])
			}
		}
	}
}

func TestOnlyTheWiringKnowsImplementations(t *testing.T) {
	wiring := []string{"platform", "cli", "tests", "cmd/slipway"}
	for _, p := range module(t) {
		inWiring := slices.ContainsFunc(wiring, func(w string) bool { return Within(p.Path, w) })
		for _, imported := range p.Own() {
			for _, implementations := range []string{"service", "store/sqlite", "store/postgres", "compute/sandbox", "compute/process"} {
				own := Within(p.Path, implementations) || serviceOf(p.Path) != "" && serviceOf(p.Path) == serviceOf(imported) || Within(p.Path, "store/storetest")
				if Within(imported, implementations) && !inWiring && !own {
					t.Errorf("%s imports %s: wiring happens in platform", p.Path, imported)
				}
			}
		}
	}
}

// deciding are the packages whose results are values: they neither look at the
// world nor change it.
var deciding = []string{"cfn/plan", "cfn/template", "cfn/schema", "cfn/drift", "cfn/stackpolicy", "cfn/guard", "cfn/transform", "cfn/generate", "auth/policy"}

func TestDecidingNeverActs(t *testing.T) {
	acting := []string{"os", "os/exec", "net", "net/http", "syscall", "database/sql", "log/slog", "math/rand/v2", "crypto/rand"}
	for _, p := range module(t) {
		if !slices.ContainsFunc(deciding, func(d string) bool { return Within(p.Path, d) }) {
			continue
		}
		for _, imported := range p.Imports {
			if slices.Contains(acting, imported) {
				t.Errorf("%s decides and imports %s, which acts", p.Path, imported)
			}
		}
	}
}
