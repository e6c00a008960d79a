package agent

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// fakeProgram puts a program first on the PATH that notes how it was called.
func fakeProgram(t *testing.T, name, script string) func() string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/"+name, []byte("#!/bin/sh\necho \"$*\" >> "+dir+"/calls\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return func() string {
		b, _ := os.ReadFile(dir + "/calls")
		_ = os.Remove(dir + "/calls")
		return string(b)
	}
}

func TestInitServices(t *testing.T) {
	h, _ := testHost(t)
	put(t, h.path("/etc/init.d/web"), "#!/bin/sh\ncase $1 in status) test -e on;; start) echo s >> did; touch on;; restart) echo r >> did;; stop) echo t >> did; rm on;; esac\n")
	put(t, h.path("/etc/init.d/broken"), "#!/bin/sh\ntest $1 != status\n")
	for _, name := range []string{"web", "broken"} {
		if err := os.Chmod(h.path("/etc/init.d/"+name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	did := changes{files: []string{"/etc/web.conf"}, packages: map[string][]string{"apt": {"web"}}}
	for _, tt := range []struct{ spec, want, problem string }{
		{`{"sysvinit": {"web": {"ensureRunning": "true", "enabled": "true"}}}`, "s\n", ""},
		{`{"sysvinit": {"web": {"ensureRunning": true}}}`, "", ""},
		{`{"sysvinit": {"web": {"ensureRunning": true, "files": ["/etc/other.conf"], "commands": ["x"]}}}`, "", ""},
		{`{"sysvinit": {"web": {"ensureRunning": true, "files": ["/etc/web.conf"]}}}`, "r\n", ""},
		{`{"sysvinit": {"web": {"ensureRunning": true, "packages": {"apt": ["web"]}}}}`, "r\n", ""},
		{`{"sysvinit": {"web": {"ensureRunning": "false"}}}`, "t\n", ""},
		{`{"sysvinit": {"web": {"files": ["/etc/web.conf"]}}}`, "", ""},
		{`{"sysvinit": {"broken": {"ensureRunning": true}}}`, "", "its state is not what was asked for"},
		{`{"sysvinit": {"none": {"ensureRunning": true}}}`, "", "there is no /etc/init.d/none"},
		{`{"sysvinit": {"../web": {"ensureRunning": true}}}`, "", "not the name"},
		{`{"systemd": {"web": {"ensureRunning": true}}}`, "", "no systemd runs"},
		{`{"windows": {"web": {"ensureRunning": true}}}`, "", "Windows only"},
		{`{"sysvinit": {"web": {"ensureRunning": "perhaps"}}}`, "", "want true or false"},
	} {
		var specs map[string]map[string]serviceSpec
		if err := json.Unmarshal([]byte(tt.spec), &specs); err != nil {
			t.Fatal(err)
		}
		put(t, h.path("did"), "")
		err := h.services(t.Context(), specs, did)
		if tt.problem == "" && err != nil || tt.problem != "" && (err == nil || !strings.Contains(err.Error(), tt.problem)) {
			t.Errorf("%s: %v, want %q", tt.spec, err, tt.problem)
		}
		if got := read(t, h, "did"); got != tt.want {
			t.Errorf("%s: it did %q, want %q", tt.spec, got, tt.want)
		}
	}
	// What was enabled, and is not running, starts with the instance.
	put(t, h.path("did"), "")
	var said string
	say := func(format string, args ...any) { said += format + "\n" }
	h.startEnabled(t.Context(), say)
	if got := read(t, h, "did"); got != "s\n" || !strings.Contains(said, "started") {
		t.Errorf("at start it did %q and said %s", got, said)
	}
	if err := h.enable("web", false); err != nil {
		t.Fatal(err)
	}
	_ = os.Remove(h.path("on"))
	h.startEnabled(t.Context(), say)
	if got := read(t, h, "did"); got != "s\n" {
		t.Errorf("disabled, it did %q", got)
	}
}

func TestInitAccounts(t *testing.T) {
	h, _ := testHost(t)
	put(t, h.path("/etc/group"), "root:x:0:\nops:x:4321:\n")
	put(t, h.path("/etc/passwd"), "root:x:0:0:root:/root:/bin/sh\napp:x:990:990::/:/sbin/nologin\n")
	calls := []func() string{fakeProgram(t, "groupadd", ""), fakeProgram(t, "useradd", ""), fakeProgram(t, "usermod", "")}
	for _, tt := range []struct{ groups, users, want, problem string }{
		{`{"ops": {"gid": 4321}, "new": {}, "other": {"gid": "77"}}`, "{}", "-r -- new\n-r -g 77 -- other\n", ""},
		{"{}", `{"me": {"groups": ["ops", "new"], "uid": 50, "homeDir": "/tmp"}}`, "-M -r -s /sbin/nologin -d /tmp -u 50 -G ops,new -- me\n", ""},
		{"{}", `{"app": {"uid": "990", "groups": ["ops"]}}`, "-a -G ops -- app\n", ""},
		{"{}", `{"app": {}}`, "", ""},
		{"{}", `{"app": {"uid": 5}}`, "", "it is there with id 990, not 5"},
		{`{"ops": {"gid": "x"}}`, "{}", "", "not a number"},
		{`{"-ops": {}}`, "{}", "", "not a name"},
		{"{}", `{"a:b": {}}`, "", "not a name"},
		{"{}", `{"new": {"groups": ["a,b"]}}`, "", "not the name of a group"},
	} {
		var groups map[string]groupSpec
		var users map[string]userSpec
		if err := json.Unmarshal([]byte(tt.groups), &groups); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(tt.users), &users); err != nil {
			t.Fatal(err)
		}
		err := h.groups(t.Context(), groups)
		if err == nil {
			err = h.users(t.Context(), users)
		}
		if tt.problem == "" && err != nil || tt.problem != "" && (err == nil || !strings.Contains(err.Error(), tt.problem)) {
			t.Errorf("%s %s: %v, want %q", tt.groups, tt.users, err, tt.problem)
		}
		got := ""
		for _, c := range calls {
			got += c()
		}
		if got != tt.want {
			t.Errorf("%s %s: called %q, want %q", tt.groups, tt.users, got, tt.want)
		}
	}
	h.shared = true
	if err := h.groups(t.Context(), map[string]groupSpec{"new": {}}); err == nil || !strings.Contains(err.Error(), "sandbox") {
		t.Errorf("in a process instance: %v", err)
	}
}

func TestInitPackages(t *testing.T) {
	h, _ := testHost(t)
	query := fakeProgram(t, "dpkg-query", "case $* in *curl) echo 'ii  8.1';; *) exit 1;; esac\n")
	apt := fakeProgram(t, "apt-get", "case $* in *nosuch*) exit 100;; esac\n")
	gem := fakeProgram(t, "gem", "")
	install := func(spec string) (map[string][]string, error) {
		var specs map[string]map[string]scalars
		if err := json.Unmarshal([]byte(spec), &specs); err != nil {
			t.Fatal(err)
		}
		return h.packages(t.Context(), specs)
	}
	done, err := install(`{"rubygems": {"chef": ["0.10.2"]}, "apt": {"curl": [], "jq": [], "vim": ["9"]}}`)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := apt(), "-q update\n-q -y install -- jq\n-q -y install -- vim=9\n"; got != want {
		t.Errorf("apt-get: %q, want %q", got, want)
	}
	if got, want := gem(), "install --no-document chef --version 0.10.2\n"; got != want {
		t.Errorf("gem: %q, want %q", got, want)
	}
	if strings.Join(done["apt"], " ") != "jq vim" || !strings.Contains(query(), "curl") {
		t.Errorf("done: %v", done)
	}
	t.Setenv("PATH", t.TempDir())
	for spec, want := range map[string]string{
		`{"zypper": {"x": []}}`: "this instance has no zypper",
		`{"rpm": {"x": []}}`:    "give the URL",
		`{"msi": {"x": "u"}}`:   "Windows only",
		`{"brew": {"x": []}}`:   `no manager "brew"`,
		`{"apt": {"-x": []}}`:   "not a package",
	} {
		if _, err := install(spec); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", spec, err, want)
		}
	}
	h.shared = true
	if _, err := install(`{"apt": {"jq": []}}`); err == nil || !strings.Contains(err.Error(), "sandbox") {
		t.Errorf("in a process instance: %v", err)
	}
}

func TestMustache(t *testing.T) {
	var context map[string]any
	if err := json.Unmarshal([]byte(`{"a": "x<y", "n": 12, "on": true, "off": false, "none": [], "list": [{"k": "1"}, {"k": "2"}], "words": ["u", "v"], "o": {"in": {"x": "deep"}}}`), &context); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ template, want, problem string }{
		{"plain { } text", "plain { } text", ""},
		{"{{a}} {{{a}}} {{&a}} {{ n }} {{missing}}.", "x&lt;y x<y x<y 12 .", ""},
		{"{{#list}}{{k}},{{/list}}", "1,2,", ""},
		{"{{#words}}<{{.}}>{{/words}}", "<u><v>", ""},
		{"{{#on}}yes{{/on}}{{#off}}no{{/off}}{{^off}}not{{/off}}{{^none}}empty{{/none}}", "yesnotempty", ""},
		{"{{o.in.x}}{{#o}}{{in.x}}{{a}}{{/o}}", "deepdeepx&lt;y", ""},
		{"a\n{{#on}}\nb\n{{/on}}\n{{! comment }}\nc\n", "a\nb\nc\n", ""},
		{"{{#on}}", "", "has no end"},
		{"{{#on}}{{/off}}", "", "is open"},
		{"{{/on}}", "", "is open"},
		{"{{a", "", "has no end"},
		{"{{>part}}", "", "not built"},
		{"{{=<% %>=}}", "", "not built"},
		{strings.Repeat("{{#on}}", 200), "", "too deeply"},
	} {
		got, err := fillMustache(tt.template, context)
		if tt.problem != "" {
			if err == nil || !strings.Contains(err.Error(), tt.problem) {
				t.Errorf("%s: %v, want %s", shorten(tt.template), err, tt.problem)
			}
		} else if err != nil || got != tt.want {
			t.Errorf("%s: %q, %v, want %q", tt.template, got, err, tt.want)
		}
	}
}
