package agent

import (
	"bytes"
	"context"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func put(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestHupConfig(t *testing.T) {
	const good = "[main]\n# comment\nstack = arn:aws:cloudformation:x\nregion: eu-west-1\ninterval=2\nverbose=true\n"
	const aHook = "[h]\ntriggers=post.add, post.update\npath=Resources.Server.Metadata.AWS::CloudFormation::Init\naction=echo a=b;\n  echo c\nrunas=root\n"
	for _, tt := range []struct{ name, main, hooks, problem string }{
		{"whole", good, aHook, ""},
		{"no stack", "[main]\nregion=x\n", aHook, "must contain stack"},
		{"no hooks", good, "", "no hooks"},
		{"interval", good + "interval=0\n", aHook, "want minutes"},
		{"no section", "stack=x\n", aHook, "no section has begun"},
		{"no value", good + "stack\n", aHook, "want key=value"},
		{"trigger", good, strings.Replace(aHook, "post.add", "pre.add", 1), `no trigger "pre.add"`},
		{"command", good, strings.Replace(aHook, "post.add", "on.command", 1), "not built"},
		{"path", good, strings.Replace(aHook, "Resources", "Outputs", 1), "want Resources"},
		{"part", good, strings.Replace(aHook, "Metadata", "Properties", 1), "want Metadata"},
		{"no user", good, strings.Replace(aHook, "runas=root", "", 1), "no runas"},
		{"no action", good, "[h]\ntriggers=post.add\npath=Resources.A\nrunas=root\n", "no action"},
	} {
		dir := t.TempDir()
		put(t, filepath.Join(dir, "cfn-hup.conf"), tt.main)
		put(t, filepath.Join(dir, "hooks.d", "a.conf"), tt.hooks)
		put(t, filepath.Join(dir, "hooks.d", "a.conf.bak"), "nonsense")
		c, err := readHupConfig(dir)
		if tt.problem != "" {
			if err == nil || !strings.Contains(err.Error(), tt.problem) {
				t.Errorf("%s: %v, want %s", tt.name, err, tt.problem)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if c.stack != "arn:aws:cloudformation:x" || c.region != "eu-west-1" || c.interval != 2*time.Minute || !c.verbose {
			t.Errorf("main: %+v", c)
		}
		if len(c.hooks) != 1 || c.hooks[0].action != "echo a=b;\necho c" || strings.Join(c.hooks[0].triggers, " ") != "post.add post.update" {
			t.Errorf("hooks: %+v", c.hooks)
		}
	}
}

// TestCfnHup takes a resource through its life and looks at each stage.
func TestCfnHup(t *testing.T) {
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	s := &tell{}
	startTell(t, s)
	h, _ := testHost(t)
	put(t, h.path("/etc/cfn/cfn-hup.conf"), "[main]\nstack=app\n")
	section := func(name, triggers, path, action string) string {
		return "[" + name + "]\ntriggers=" + triggers + "\npath=Resources.Server" + path + "\naction=" + action + "\nrunas=" + me.Username + "\n"
	}
	put(t, h.path("/etc/cfn/hooks.conf"),
		section("changed", "post.update", ".Metadata.a", `echo "changed $CFN_OLD_METADATA to $CFN_NEW_METADATA" >> did`)+
			section("any", "post.add,post.update,post.remove", ".Metadata.b.c", `echo "any $CFN_NEW_METADATA" >> did; test ! -e fail`)+
			section("id", "post.add", ".PhysicalResourceId", `echo "id $CFN_NEW_PHYSICAL_RESOURCE_ID" >> did`))
	for _, stage := range []struct {
		name, metadata, status, want string
		fail                         bool
	}{
		{"being made", `{"a": "1", "b": {"c": [1]}}`, "CREATE_IN_PROGRESS", "", false},
		{"first seen", `{"a": "1", "b": {"c": [1]}}`, "CREATE_COMPLETE", "any [1]\nid i-1\n", false},
		{"unchanged", `{"b": {"c": [1]}, "a": "1"}`, "CREATE_COMPLETE", "", false},
		{"updated", `{"a": "2", "b": {"c": [1]}}`, "UPDATE_COMPLETE", "changed 1 to 2\n", false},
		{"failing", `{"a": "2", "b": {"c": [2]}}`, "UPDATE_COMPLETE", "any [2]\n", true},
		{"tried again", `{"a": "2", "b": {"c": [2]}}`, "UPDATE_COMPLETE", "any [2]\n", false},
		{"removed", `{"a": "2"}`, "UPDATE_COMPLETE", "any \n", false},
		{"still gone", `{}`, "UPDATE_COMPLETE", "", false},
	} {
		s.metadata, s.status = stage.metadata, stage.status
		put(t, h.path("did"), "")
		_ = os.Remove(h.path("fail"))
		if stage.fail {
			put(t, h.path("fail"), "")
		}
		err := runHup([]string{"-c", h.path("/etc/cfn"), "--no-daemon"}, h, &bytes.Buffer{})
		if (err != nil) != stage.fail {
			t.Errorf("%s: %v", stage.name, err)
		}
		if got := read(t, h, "did"); got != stage.want {
			t.Errorf("%s: it did %q, want %q", stage.name, got, stage.want)
		}
	}
}

func TestHupWatchesByItsInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		h := &host{root: t.TempDir(), log: &log}
		if err := os.MkdirAll(h.path(hupState), 0o755); err != nil { // each look fails at once
			t.Fatal(err)
		}
		w := &watcher{host: h, conf: hupConfig{stack: "app", interval: 2 * time.Minute}}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		w.watch(ctx)
		if n := strings.Count(log.String(), "ERROR"); n != 3 {
			t.Errorf("it looked %d times in 5 minutes, not at 0, 2 and 4:\n%s", n, log.String())
		}
	})
}
