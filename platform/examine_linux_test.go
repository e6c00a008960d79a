package platform

import (
	"strings"
	"testing"
)

func TestForwardingThatDrops(t *testing.T) {
	for name, c := range map[string]struct {
		rules string
		ok    bool
	}{
		"open":     {"-P FORWARD ACCEPT\n", true},
		"docker":   {"-P FORWARD DROP\n-A FORWARD -j DOCKER-USER\n", false},
		"remedied": {"-P FORWARD DROP\n-A FORWARD -i slw+ -j ACCEPT\n-A FORWARD -o slw+ -j ACCEPT\n", true},
	} {
		if _, err := forwardingOf(c.rules); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMemoryThatIsShort(t *testing.T) {
	for text, ok := range map[string]bool{
		"MemTotal: 9 kB\nMemAvailable:   24000000 kB\n": true, "MemAvailable: 1000 kB\n": false, "": false,
	} {
		if _, err := memoryOf([]byte(text)); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestEveryLackHasARemedy(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range checks {
		if c.name == "" || c.remedy == "" || seen[c.name] || strings.Contains(c.remedy, "\n") {
			t.Errorf("check %q", c.name)
		}
		seen[c.name] = true
	}
	for _, f := range Examine(t.Context(), Config{Dir: t.TempDir(), Listen: "127.0.0.1:0"}) {
		if !f.OK && f.Remedy == "" {
			t.Errorf("%s lacks and nothing is said to do about it: %s", f.Name, f.Detail)
		}
	}
}
