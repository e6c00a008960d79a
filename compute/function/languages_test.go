//go:build linux || darwin

package function

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/compute/process"
)

// language is a function of an interpreted runtime: its files, and what it answers.
type language struct {
	name, handler string
	files         map[string]string
	event         string
	payload       string   // what it has
	failed        bool     // as a function error
	log           []string // what it has
	everywhere    bool     // with each driver; the others with the lighter one
}

var python = []language{
	{
		name: "returns", handler: "index.handler", event: `{"n":20}`,
		files:   map[string]string{"index.py": "import helper\ndef handler(event, context):\n    return {'twice': helper.twice(event['n'])}\n", "helper.py": "def twice(n):\n    return n * 2\n"},
		payload: `{"twice": 40}`,
	},
	{
		everywhere: true, name: "context", handler: "dir/code.main", event: `{}`,
		files: map[string]string{"dir/code.py": `
import logging, os
def main(event, context):
    logging.getLogger().setLevel(logging.INFO)
    logging.getLogger("x").info("two\nlines")
    print("printed")
    assert 0 < context.get_remaining_time_in_millis() <= 30000
    open("/tmp/x" if not os.environ.get("TMPDIR") else os.environ["TMPDIR"] + "/x", "w").close()
    return [context.aws_request_id, context.function_name, context.function_version, context.memory_limit_in_mb,
            context.log_group_name, context.invoked_function_arn, context.identity.cognito_identity_id, context.client_context]
`},
		payload: `["id-1", "f", "$LATEST", "512", "/aws/lambda/f", "arn:aws:lambda:eu-west-1:000000000000:function:f:$LATEST", null, null]`,
		log:     []string{"Z\tid-1\ttwo\rlines\nprinted\nEND", "[INFO]\t"},
	},
	{
		name: "raises", handler: "index.handler", event: `{}`, failed: true,
		files:   map[string]string{"index.py": "def handler(event, context):\n    raise KeyError('gone')\n"},
		payload: `{"errorMessage": "'gone'", "errorType": "KeyError", "requestId": "id-1", "stackTrace": ["  File \"`,
		log:     []string{"[ERROR] KeyError: 'gone'\rTraceback (most recent call last):\r\u00a0\u00a0File \"", "in handler\r\u00a0\u00a0\u00a0\u00a0raise KeyError('gone')\nEND"},
	},
	{
		name: "raises when it is imported", handler: "index.handler", event: `{}`, failed: true,
		files:   map[string]string{"index.py": "raise Exception('Runtime startup fails')\n"},
		payload: `{"errorMessage": "Runtime startup fails", "errorType": "Exception", "requestId": "", "stackTrace": ["  File \"`,
		log:     []string{"/importlib/__init__.py\", line ", "\tPhase: init\tStatus: error\tError Type: Exception\n"},
	},
	{name: "exits well", handler: "index.handler", event: `{}`, failed: true, files: map[string]string{"index.py": "import sys\ndef handler(e, c):\n    sys.exit(0)\n"}, payload: `{"errorType":"Runtime.ExitError","errorMessage":"RequestId: id-1 Error: Runtime exited without providing a reason"}`},
	{name: "no module", handler: "other.handler", event: `{}`, failed: true, payload: `{"errorMessage": "Unable to import module 'other': No module named 'other'", "errorType": "Runtime.ImportModuleError"`},
	{name: "no function", handler: "index.other", event: `{}`, failed: true, files: map[string]string{"index.py": ""}, payload: `"errorType": "Runtime.HandlerNotFound"`},
	{name: "bad syntax", handler: "index.handler", event: `{}`, failed: true, files: map[string]string{"index.py": "def ("}, payload: `"errorType": "Runtime.UserCodeSyntaxError"`},
	{name: "bad name", handler: "handler", event: `{}`, failed: true, payload: `"errorType": "Runtime.MalformedHandlerName"`},
	{name: "no JSON", handler: "index.handler", event: `{}`, failed: true, files: map[string]string{"index.py": "def handler(e, c):\n    return {1, 2}\n"}, payload: `"errorType": "Runtime.MarshalError"`},
	{name: "ends", handler: "index.handler", event: `{}`, failed: true, files: map[string]string{"index.py": "import os\ndef handler(e, c):\n    os._exit(4)\n"}, payload: `Runtime exited with error: exit status 4`},
	{everywhere: true, name: "cfnresponse", handler: "index.handler", files: map[string]string{"index.py": `
import cfnresponse
def handler(event, context):
    cfnresponse.send(event, context, cfnresponse.SUCCESS, {"Key": "value"}, "my-id")
`}, payload: "null", log: []string{"Status code: 200\n"}},
}

var node = []language{
	{
		name: "async", handler: "index.handler", event: `{"n":20}`,
		files:   map[string]string{"index.js": "const h = require('./lib/helper');\nexports.handler = async (event) => ({twice: h.twice(event.n)});\n", "lib/helper.js": "exports.twice = (n) => n * 2;\n"},
		payload: `{"twice":40}`,
	},
	{
		everywhere: true, name: "callback", handler: "src/index.handler", event: `{}`,
		files: map[string]string{"src/index.js": `
exports.handler = (event, context, callback) => {
  console.log('two\nlines', {a: 1});
  if (!(context.getRemainingTimeInMillis() > 0)) throw new Error('no time');
  let late = false;
  setTimeout(() => { late = true; console.log('late'); }, 20);
  callback(null, [context.awsRequestId, context.functionName, context.functionVersion, context.memoryLimitInMB, context.logGroupName, context.invokedFunctionArn]);
};`},
		payload: `["id-1","f","$LATEST","512","/aws/lambda/f","arn:aws:lambda:eu-west-1:000000000000:function:f:$LATEST"]`,
		log:     []string{"Z\tid-1\tINFO\ttwo\rlines { a: 1 }\n", "INFO\tlate\nEND"},
	},
	{name: "done", handler: "index.handler", event: `{}`, files: map[string]string{"index.js": "exports.handler = (e, c) => { setTimeout(() => {}, 60000); c.succeed('well'); };"}, payload: `"well"`},
	{name: "nothing", handler: "index.handler", event: `{}`, files: map[string]string{"index.js": "exports.handler = () => {};"}, payload: `null`},
	{everywhere: true, name: "ES module", handler: "index.handler", event: `[1,2]`, files: map[string]string{"index.mjs": "import os from 'node:os';\nexport const handler = async (e) => e.length + (os.EOL === '\\n' ? 1 : 0);\n"}, payload: `3`},
	{name: "type module", handler: "index.handler", event: `1`, files: map[string]string{"package.json": `{"type":"module"}`, "index.js": "export const handler = async (e) => e + 1;\n"}, payload: `2`},
	{
		name: "throws", handler: "index.handler", event: `{}`, failed: true, files: map[string]string{"index.js": "exports.handler = async () => { throw new TypeError('gone'); };"},
		payload: `{"errorType":"TypeError","errorMessage":"gone","trace":["TypeError: gone","    at `, log: []string{"\tid-1\tERROR\tInvoke Error {\"errorType\":\"TypeError\""},
	},
	{name: "calls back an error", handler: "index.handler", event: `{}`, failed: true, files: map[string]string{"index.js": "exports.handler = (e, c, cb) => cb(new Error('no'));"}, payload: `{"errorType":"Error","errorMessage":"no"`},
	{name: "rejection", handler: "index.handler", event: `{}`, failed: true, files: map[string]string{"index.js": "exports.handler = () => new Promise(() => { Promise.reject(new Error('lost')); setTimeout(() => {}, 60000); });"}, payload: `{"errorType":"Runtime.UnhandledPromiseRejection","errorMessage":"Error: lost"`},
	{name: "no module", handler: "other.handler", event: `{}`, failed: true, payload: `{"errorType":"Runtime.ImportModuleError","errorMessage":"Error: Cannot find module 'other'"`},
	{name: "no function", handler: "index.other", event: `{}`, failed: true, files: map[string]string{"index.js": ""}, payload: `{"errorType":"Runtime.HandlerNotFound","errorMessage":"index.other is undefined or not exported"`},
	{name: "bad syntax", handler: "index.handler", event: `{}`, failed: true, files: map[string]string{"index.js": "exports.handler = ("}, payload: `"errorType":"Runtime.UserCodeSyntaxError"`},
	{everywhere: true, name: "cfn-response", handler: "index.handler", files: map[string]string{"index.js": `
const response = require('cfn-response');
exports.handler = (event, context) => response.send(event, context, response.SUCCESS, {Key: 'value'}, 'my-id');`},
		payload: "null", log: []string{"Status code: 200\n"}},
}

func TestPython(t *testing.T) { testLanguage(t, "python3.12", python) }
func TestNode(t *testing.T)   { testLanguage(t, "nodejs20.x", node) }

func testLanguage(t *testing.T, runtime string, cases []language) {
	if _, err := look(runtime); err != nil {
		t.Skip(err)
	}
	on(t, nil, func(w *world) {
		for _, tt := range cases {
			if !tt.everywhere && w.driver.Name() != process.Name {
				continue
			}
			w.Run(tt.name, func(t *testing.T) {
				v := &world{T: t, host: w.host, driver: w.driver, code: t.TempDir()}
				v.write(tt.files)
				spec := v.spec(tt.handler)
				spec.Key, spec.Runtime = t.Name(), runtime
				event, answered := tt.event, make(chan string, 1)
				if event == "" {
					event = v.customResource(answered)
				}
				from := len(w.logged())
				r := v.invoke(spec, "id-1", event)
				log := w.logged()[from:]
				if (r.FunctionError != "") != tt.failed || !strings.Contains(string(r.Payload), tt.payload) {
					t.Errorf("error %q, payload %s, want %s\n%s", r.FunctionError, r.Payload, tt.payload, log)
				}
				for _, want := range tt.log {
					if !strings.Contains(log, want) {
						t.Errorf("log lacks %q:\n%q", want, log)
					}
				}
				if tt.event == "" {
					select {
					case answer := <-answered: // before the function went on
						v.checkAnswer(answer, r.Stream)
					default:
						t.Error("no answer came")
					}
				}
			})
		}
	})
}

// write writes a function's files, which its user must be able to read.
func (w *world) write(files map[string]string) {
	w.Helper()
	if err := os.Chmod(w.code, 0o755); err != nil {
		w.Fatal(err)
	}
	for name, text := range files {
		at := filepath.Join(w.code, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			w.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
			w.Fatal(err)
		}
	}
}

// customResource is a request of CloudFormation's, whose answer comes to the channel.
func (w *world) customResource(answered chan<- string) string {
	server := w.serve(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil || r.Method != http.MethodPut || r.Header.Get("Content-Type") != "" {
			b = []byte(r.Method + " " + r.Header.Get("Content-Type"))
		}
		answered <- string(b)
	}))
	b, err := json.Marshal(map[string]string{
		"RequestType": "Create", "ResponseURL": server + "/answer?X-Amz-Signature=abc%2F", "StackId": "arn:stack", "RequestId": "r-1", "LogicalResourceId": "Custom",
	})
	if err != nil {
		w.Fatal(err)
	}
	return string(b)
}

func (w *world) checkAnswer(got, stream string) {
	w.Helper()
	var doc map[string]any
	if err := json.Unmarshal([]byte(got), &doc); err != nil {
		w.Fatalf("%s: %v", got, err)
	}
	want := map[string]any{
		"Status": "SUCCESS", "Reason": "See the details in CloudWatch Log Stream: " + stream, "PhysicalResourceId": "my-id",
		"StackId": "arn:stack", "RequestId": "r-1", "LogicalResourceId": "Custom", "NoEcho": false,
	}
	for name, value := range want {
		if doc[name] != value {
			w.Errorf("%s: %v, want %v", name, doc[name], value)
		}
	}
	if data, ok := doc["Data"].(map[string]any); !ok || data["Key"] != "value" {
		w.Errorf("data %v", doc["Data"])
	}
}

// serve serves where the world's functions can reach it.
func (w *world) serve(h http.Handler) (url string) {
	w.Helper()
	l, err := net.Listen("tcp4", netip.AddrPortFrom(w.driver.Network().Gateway, 0).String())
	if err != nil {
		w.Fatal(err)
	}
	if g, ok := w.driver.(compute.HostGuard); ok {
		if err := g.AdmitToHost(w.Context(), netip.MustParseAddrPort(l.Addr().String()).Port()); err != nil {
			w.Fatal(err)
		}
	}
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: h}}
	s.Start()
	w.Cleanup(s.Close)
	return s.URL
}

func TestRuntimes(t *testing.T) {
	for name, want := range map[string]string{
		"java21":     "function: runtime java21 cannot run here: Slipway has no runtime for Java: build the function as an executable named bootstrap, for provided.al2023",
		"dotnet8":    "function: runtime dotnet8 cannot run here: Slipway has no runtime for .NET: build the function as an executable named bootstrap, for provided.al2023",
		"ruby3.3":    "function: runtime ruby3.3 cannot run here: Slipway has no runtime for Ruby: build the function as an executable named bootstrap, for provided.al2023",
		"python2.7":  "function: runtime python2.7 cannot run here: Slipway knows provided, provided.al2, provided.al2023, python3.* and nodejs*.x",
		"nodejs12.y": "function: runtime nodejs12.y cannot run here: Slipway knows provided, provided.al2, provided.al2023, python3.* and nodejs*.x",
	} {
		if _, err := look(name); err == nil || err.Error() != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, f := range Probe() {
		if f.Detail == "" || f.OK != (f.Remedy == "") {
			t.Errorf("%+v", f)
		}
	}
	for version, want := range map[string]bool{"3.8.1": true, "3.11": true, "3.7.9": false, "2.9.1": false, "4.0": true, "x": false, "": false} {
		if atLeast(version, 3, 8) != want {
			t.Errorf("atLeast(%q, 3, 8) is not %v", version, want)
		}
	}
}
