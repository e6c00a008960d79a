package agent

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// testHost is a host in a folder of its own.
func testHost(t *testing.T) (*host, *bytes.Buffer) {
	t.Helper()
	h := &host{root: t.TempDir(), verbose: true, fetcher: &fetcher{tries: 1}}
	var err error
	if h.output, err = h.openLog(initCmdLog); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.output.Close() })
	var log bytes.Buffer
	h.log = &log
	return h, &log
}

func read(t *testing.T, h *host, name string) string {
	t.Helper()
	b, err := os.ReadFile(h.path(name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// tell answers as CloudFormation and as the metadata service.
type tell struct {
	metadata, status string
	calls            []string
}

func (s *tell) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/latest/api/token":
		_, _ = w.Write([]byte("token"))
	case strings.HasSuffix(r.URL.Path, "/ec2-instance"):
		_, _ = w.Write([]byte(`{"AccessKeyId":"ASIA","SecretAccessKey":"x","Token":"t"}`))
	case r.Method == http.MethodPost && r.FormValue("StackName") == "app":
		s.calls = append(s.calls, r.FormValue("LogicalResourceId"))
		answer := `<DescribeStackResourceResponse><DescribeStackResourceResult><StackResourceDetail><LogicalResourceId>Server</LogicalResourceId><PhysicalResourceId>i-1</PhysicalResourceId><ResourceStatus>` + s.status + `</ResourceStatus><Metadata>` +
			strings.NewReplacer("&", "&amp;", "<", "&lt;").Replace(s.metadata) + `</Metadata></StackResourceDetail></DescribeStackResourceResult></DescribeStackResourceResponse>`
		_, _ = w.Write([]byte(answer))
	case r.Method == http.MethodPost:
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte(`<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>`))
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func startTell(t *testing.T, s *tell) {
	t.Helper()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.URL)
	t.Setenv("AWS_ENDPOINT_URL", server.URL)
	t.Setenv("AWS_ENDPOINT_URL_CLOUDFORMATION", "")
}

func TestCfnInit(t *testing.T) {
	s := &tell{status: "CREATE_IN_PROGRESS", metadata: `{"AWS::CloudFormation::Init": {"config": {
		"files": {"/etc/app/one": {"content": "a<b&c\n", "mode": "000640"}},
		"commands": {"1": {"command": "cat etc/app/one > seen"}}}}}`}
	startTell(t, s)
	h, _ := testHost(t)
	var out bytes.Buffer
	if err := runInit([]string{"-s", "app", "-r", "Server", "--region", "eu-west-1", "-v"}, h, &out); err != nil {
		t.Fatal(err, out.String())
	}
	if got := read(t, h, "seen"); got != "a<b&c\n" {
		t.Errorf("the command saw %q", got)
	}
	if log := read(t, h, initLog); !strings.Contains(log, "Wrote /etc/app/one") || !strings.Contains(log, "Command 1 succeeded") {
		t.Errorf("log:\n%s", log)
	}
	for _, name := range []string{initLog, initCmdLog, initState + "/metadata.json"} {
		if info, err := os.Stat(h.path(name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v: others may read it", name, info.Mode(), err)
		}
	}
	for args, want := range map[string]string{
		"--stack app":                                       "--resource",
		"--stack other --resource Server":                   "AccessDenied: no",
		"--stack app --resource Server more":                `unexpected argument "more"`,
		"--stack app --resource Server --configsets nosuch": "no ConfigSet named nosuch",
	} {
		if err := runInit(strings.Fields(args), h, &out); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", args, err, want)
		}
	}
	s.metadata = `{"other": 1}`
	if err := runInit([]string{"-s", "app", "-r", "Server"}, h, &out); err == nil || !strings.Contains(err.Error(), "has no AWS::CloudFormation::Init") {
		t.Errorf("without %s: %v", initKey, err)
	}
}

func TestCfnGetMetadata(t *testing.T) {
	startTell(t, &tell{metadata: `{"a.b": {"c": ["x", 12345678901234567890]}, "d": "text"}`})
	for _, tt := range []struct{ key, want, problem string }{
		{"", `{"a.b":{"c":["x",12345678901234567890]},"d":"text"}`, ""},
		{"a.b.c", `["x",12345678901234567890]`, ""},
		{"d", "text", ""},
		{"d.e", "", `has no "d.e"`},
	} {
		var out, problems bytes.Buffer
		status := CfnGetMetadata([]string{"-s", "app", "-r", "Server", "-k", tt.key}, &out, &problems)
		got := strings.Join(strings.Fields(out.String()), "")
		if got != tt.want || (status != 0) != (tt.problem != "") || !strings.Contains(problems.String(), tt.problem) {
			t.Errorf("key %q: status %d, %s%s", tt.key, status, got, problems.String())
		}
	}
}

func TestConfigSets(t *testing.T) {
	const some = `{"configSets": {"default": ["a", {"ConfigSet": "two"}], "two": ["b", "a"], "one": "a",
		"round": [{"ConfigSet": "again"}], "again": {"ConfigSet": "round"}, "missing": ["c"], "odd": [7]}, "a": {}, "b": {}}`
	for _, tt := range []struct{ init, sets, want, problem string }{
		{some, "", "a b a", ""},
		{some, "one,two", "a b a", ""},
		{some, "nosuch", "", "no ConfigSet named nosuch"},
		{some, "round", "", "circle: round, again, round"},
		{some, "missing", "", "no configuration found with name: c"},
		{some, "odd", "", "want names of configs"},
		{`{"config": {}}`, "", "config", ""},
		{`{"other": {}}`, "", "", "no configuration found with name: config"},
		{`{"configSets": []}`, "", "", "want an object"},
	} {
		var init map[string]json.RawMessage
		if err := json.Unmarshal([]byte(tt.init), &init); err != nil {
			t.Fatal(err)
		}
		got, err := chosenConfigs(init, tt.sets)
		switch {
		case tt.problem != "":
			if err == nil || !strings.Contains(err.Error(), tt.problem) {
				t.Errorf("%s: %v, want %s", tt.sets, err, tt.problem)
			}
		case err != nil || strings.Join(got, " ") != tt.want:
			t.Errorf("%s: %v, %v, want %s", tt.sets, got, err, tt.want)
		}
	}
}

func TestInitFiles(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name, password, ok := r.BasicAuth(); r.URL.Path != "/open" && (!ok || name != "me" || password != "secret") {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = w.Write([]byte("got {{what}}"))
	}))
	defer server.Close()
	h, _ := testHost(t)
	h.fetcher.auth = map[string]authentication{"Mine": {Type: "basic", Username: "me", Password: "secret"}}
	for _, tt := range []struct {
		name, spec, content string
		mode                fs.FileMode
		problem             string
	}{
		{"/a/plain", `{"content": "text"}`, "text", 0o644, ""},
		{"/a/number", `{"content": 7, "mode": "000755"}`, "7", 0o755, ""},
		{"/a/object", `{"content": {"b": [1, "x"]}}`, `{"b":[1,"x"]}`, 0o644, ""},
		{"/a/coded", `{"content": "aGVsbG8=", "encoding": "base64", "mode": "100400"}`, "hello", 0o400, ""},
		{"/a/filled", `{"content": "{{a}}{{{a}}}", "context": {"a": "<"}}`, "&lt;<", 0o644, ""},
		{"/a/fetched", `{"source": "URL/open", "context": {"what": "it"}}`, "got it", 0o644, ""},
		{"/a/authorized", `{"source": "URL/closed", "authentication": "Mine"}`, "got {{what}}", 0o644, ""},
		{"/a/empty", `{"content": ""}`, "", 0o644, ""},
		{"/a/denied", `{"source": "URL/closed"}`, "", 0, "HTTP status 401"},
		{"/a/unknown", `{"source": "URL/closed", "authentication": "Other"}`, "", 0, `has no "Other"`},
		{"/a/nothing", `{}`, "", 0, "neither content nor source"},
		{"/a/scheme", `{"source": "file:///etc/passwd"}`, "", 0, "want a URL"},
		{"relative", `{"content": ""}`, "", 0, "not absolute"},
		{"/a/../../b", `{"content": ""}`, "", 0, `".." in it`},
		{"/a/mode", `{"content": "", "mode": "rw"}`, "", 0, "octal digits"},
		{"/a/device", `{"content": "", "mode": "060644"}`, "", 0, "neither a file's"},
		{"/a/owner", `{"content": "", "owner": "nobodyhere"}`, "", 0, "not in /etc/passwd"},
		{"/a/encoding", `{"content": "", "encoding": "rot13"}`, "", 0, "plain or base64"},
		{"/a", `{"content": "x"}`, "", 0, "a folder of this name"},
	} {
		var spec fileSpec
		if err := json.Unmarshal([]byte(strings.ReplaceAll(tt.spec, "URL", server.URL)), &spec); err != nil {
			t.Fatal(tt.name, err)
		}
		changed, err := h.files(t.Context(), map[string]fileSpec{tt.name: spec})
		if tt.problem != "" {
			if err == nil || !strings.Contains(err.Error(), tt.problem) {
				t.Errorf("%s: %v, want %s", tt.name, err, tt.problem)
			}
			continue
		}
		if err != nil || len(changed) != 1 {
			t.Errorf("%s: changed %v, %v", tt.name, changed, err)
			continue
		}
		info, err := os.Stat(h.path(tt.name))
		if err != nil || info.Mode() != tt.mode || read(t, h, tt.name) != tt.content {
			t.Errorf("%s: %v, %v, %q", tt.name, info.Mode(), err, read(t, h, tt.name))
		}
		if changed, err := h.files(t.Context(), map[string]fileSpec{tt.name: spec}); err != nil || len(changed) != 0 {
			t.Errorf("%s again: changed %v, %v", tt.name, changed, err)
		}
	}
	if left, _ := filepath.Glob(h.path("/a/.cfn-init-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestInitFilesReplaceAndKeepTheOld(t *testing.T) {
	h, _ := testHost(t)
	write := func(name, spec string) bool {
		t.Helper()
		var s fileSpec
		if err := json.Unmarshal([]byte(spec), &s); err != nil {
			t.Fatal(err)
		}
		changed, err := h.file(t.Context(), name, s)
		if err != nil {
			t.Fatal(err)
		}
		return changed
	}
	if !write("/f", `{"content":"one"}`) || !write("/f", `{"content":"two"}`) || read(t, h, "/f") != "two" || read(t, h, "/f.bak") != "one" {
		t.Errorf("now %q, before %q", read(t, h, "/f"), read(t, h, "/f.bak"))
	}
	if write("/f", `{"content":"two","mode":"000600"}`) {
		t.Error("another mode alone is a change of content")
	}
	if info, err := os.Stat(h.path("/f")); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if !write("/l", `{"content":"/f","mode":"120644"}`) || write("/l", `{"content":"/f","mode":"120644"}`) || !write("/l", `{"content":"/g","mode":"120644"}`) {
		t.Error("a link changes when its target does, and only then")
	}
	if to, err := os.Readlink(h.path("/l")); err != nil || to != "/g" {
		t.Errorf("link to %s, %v", to, err)
	}
	// A file takes a link's place; what the link leads to stays as it is.
	if err := os.Remove(h.path("/l")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("f", h.path("/l")); err != nil {
		t.Fatal(err)
	}
	if !write("/l", `{"content":"two"}`) || !write("/l", `{"content":"three"}`) || read(t, h, "/f") != "two" {
		t.Errorf("behind the link: %q", read(t, h, "/f"))
	}
}

func TestInitCommands(t *testing.T) {
	h, log := testHost(t)
	run := func(specs string) ([]string, error) {
		var m map[string]commandSpec
		if err := json.Unmarshal([]byte(specs), &m); err != nil {
			return nil, err
		}
		return h.commands(t.Context(), m)
	}
	t.Setenv("INHERITED", "yes")
	ran, err := run(`{
		"b": {"command": "echo b$INHERITED >> out"},
		"a": {"command": ["sh", "-c", "echo a$0 >> out", "$INHERITED"]},
		"c": {"command": "echo c$WORD$INHERITED >> out", "env": {"WORD": 1}},
		"d": {"command": "echo d >> out", "test": "false"},
		"e": {"command": "exit 3", "ignoreErrors": "true"},
		"f": {"command": "pwd >> ../out", "cwd": "/var", "test": ["test", "-d", "log"], "waitAfterCompletion": 0}}`)
	if want := "a b c e f"; err != nil || strings.Join(ran, " ") != want {
		t.Fatalf("ran %v, %v, want %s\n%s", ran, err, want, log)
	}
	if got, want := read(t, h, "out"), "a$INHERITED\nbyes\nc1\n"+h.path("/var")+"\n"; got != want {
		t.Errorf("they wrote\n%swant\n%s", got, want)
	}
	for specs, want := range map[string]string{
		`{"x": {"command": "exit 3"}, "y": {"command": "echo y >> out"}}`: "command x: exit status 3",
		`{"x": {}}`: "it has no command",
		`{"x": {"command": "true", "cwd": "tmp"}}`:                     "not absolute",
		`{"x": {"command": "true", "cwd": "/nowhere"}}`:                "no such file",
		`{"x": {"command": "true", "waitAfterCompletion": "forever"}}`: "Windows only",
		`{"x": {"command": "true", "ignoreErrors": "maybe"}}`:          "ignoreErrors",
		`{"x": {"command": ["/no/such/program"]}}`:                     "no such file",
		`{"x": {"command": "true", "test": ["/no/such/program"]}}`:     "test: ",
		`{"x": {"command": {"no": "object"}}}`:                         "want text",
	} {
		if _, err := run(specs); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", specs, err, want)
		}
	}
	if strings.Contains(read(t, h, "out"), "y\n") && !strings.HasSuffix(read(t, h, "out"), "/var\n") {
		t.Error("a command ran after one that failed")
	}
}
