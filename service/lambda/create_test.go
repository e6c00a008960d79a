package lambda

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	api "github.com/slipway/slipway/api/lambda"
	"github.com/slipway/slipway/fault"
)

func TestAFunctionFromItsCreationToItsEnd(t *testing.T) {
	w := newWorld(t)
	made := w.make("echo", func(in *api.CreateFunctionInput) {
		in.Environment = &api.Environment{Variables: map[string]string{"COLOUR": "red"}}
		in.Tags = map[string]string{"team": "a"}
	})
	sum := sha256.Sum256(w.creation("echo").Code.ZipFile)
	if made.State != api.StatePending || made.CodeSha256 != base64.StdEncoding.EncodeToString(sum[:]) {
		t.Errorf("made %+v", made)
	}
	w.runner.mu.Lock()
	if w.runner.prepared != 1 {
		t.Errorf("the host was told %d times to prepare", w.runner.prepared)
	}
	w.runner.mu.Unlock()
	got, err := w.GetFunction(w.ctx, &api.GetFunctionInput{FunctionName: made.FunctionArn})
	if err != nil || got.Configuration.State != api.StateActive || got.Configuration.LastUpdateStatus != api.LastUpdateStatusSuccessful || got.Tags["team"] != "a" {
		t.Fatalf("got %+v, %v", got, err)
	}
	out := w.invoke("echo", `{"a": 1}`)
	if string(out.Payload) != `{"a": 1}` || *out.StatusCode != 200 || out.ExecutedVersion != latest {
		t.Errorf("invoked: %+v", out)
	}
	spec, inv := w.runner.last(t)
	if spec.Environment["COLOUR"] != "red" || spec.Environment["AWS_SECRET_ACCESS_KEY"] != "secret of "+role || spec.Environment["AWS_ENDPOINT_URL"] != "http://10.0.0.1:4566" {
		t.Errorf("its variables are %v", spec.Environment)
	}
	if inv.InvokedARN != made.FunctionArn || spec.Timeout != 3*time.Second || spec.Memory != 128<<20 {
		t.Errorf("the host was told %+v, %+v", spec, inv)
	}
	if b, err := os.ReadFile(filepath.Join(spec.Code, "index.py")); err != nil || !strings.Contains(string(b), "def handler") {
		t.Errorf("its code is %q, %v", b, err)
	}

	// The address of the code is good, and another is not.
	url := strings.TrimPrefix(got.Code.Location, "http://127.0.0.1:4566")
	for path, status := range map[string]int{url: 200, url[:len(url)-4] + "AAAA": 403, CodePath + "x": 403} {
		rec := httptest.NewRecorder()
		w.CodeHandler().ServeHTTP(rec, httptest.NewRequest("GET", path, nil))
		if rec.Code != status || status == 200 && !bytes.Equal(rec.Body.Bytes(), w.creation("echo").Code.ZipFile) {
			t.Errorf("%s answers %d", path, rec.Code)
		}
	}

	if _, err := w.DeleteFunction(w.ctx, &api.DeleteFunctionInput{FunctionName: "echo"}); err != nil {
		t.Fatal(err)
	}
	_, err = w.GetFunction(w.ctx, &api.GetFunctionInput{FunctionName: "echo"})
	refused(t, err, fault.ResourceNotFoundException, "Function not found: arn:aws:lambda:us-east-1:111111111111:function:echo")
	until(t, "the code is removed", func() bool {
		left, err := os.ReadDir(w.code.archives)
		return err == nil && len(left) == 0
	})
}

func TestCreationsThatAreRefused(t *testing.T) {
	w := newWorld(t)
	w.make("there")
	for name, c := range map[string]struct {
		change  func(*api.CreateFunctionInput)
		code    string
		message string
	}{
		"twice":       {func(in *api.CreateFunctionInput) { in.FunctionName = "there" }, fault.ResourceConflictException, "Function already exist: there"},
		"an image":    {func(in *api.CreateFunctionInput) { in.PackageType = api.PackageTypeImage }, fault.NotImplemented, "Image"},
		"a VPC":       {func(in *api.CreateFunctionInput) { in.VpcConfig = &api.VpcConfig{SubnetIds: []string{"subnet-1"}} }, fault.NotImplemented, "VpcConfig"},
		"old runtime": {func(in *api.CreateFunctionInput) { in.Runtime = "python3.6" }, fault.InvalidParameterValueException, "is no longer supported"},
		"no runtime":  {func(in *api.CreateFunctionInput) { in.Runtime = "" }, fault.InvalidParameterValueException, "Runtime and Handler are mandatory"},
		"other region": {func(in *api.CreateFunctionInput) {
			in.FunctionName = "arn:aws:lambda:eu-west-1:111111111111:function:x"
		}, fault.ResourceNotFoundException, "Functions from 'eu-west-1' are not reachable in this region ('us-east-1')"},
		"other role": {func(in *api.CreateFunctionInput) { in.Role = "arn:aws:iam::222222222222:role/x" }, fault.AccessDeniedException, "Cross-account pass role"},
		"reserved": {func(in *api.CreateFunctionInput) {
			in.Environment = &api.Environment{Variables: map[string]string{"AWS_REGION": "x"}}
		}, fault.InvalidParameterValueException, "AWS_REGION"},
		"large": {func(in *api.CreateFunctionInput) {
			in.Environment = &api.Environment{Variables: map[string]string{"A": strings.Repeat("x", 4096)}}
		}, fault.InvalidParameterValueException, "exceeded the 4KB limit"},
		"no zip":       {func(in *api.CreateFunctionInput) { in.Code.ZipFile = []byte("not a zip") }, fault.InvalidParameterValueException, "Could not unzip"},
		"out":          {func(in *api.CreateFunctionInput) { in.Code.ZipFile = zipped(t, "../x", "y") }, fault.InvalidParameterValueException, "Could not unzip"},
		"rooted":       {func(in *api.CreateFunctionInput) { in.Code.ZipFile = zipped(t, "/x", "y") }, fault.InvalidParameterValueException, "Could not unzip"},
		"link out":     {func(in *api.CreateFunctionInput) { in.Code.ZipFile = zipped(t, "x", "-> ../../etc") }, fault.InvalidParameterValueException, "Could not unzip"},
		"rooted link":  {func(in *api.CreateFunctionInput) { in.Code.ZipFile = zipped(t, "x", "-> /etc") }, fault.InvalidParameterValueException, "Could not unzip"},
		"under a link": {func(in *api.CreateFunctionInput) { in.Code.ZipFile = zipped(t, "a", "-> b", "b/c", "x", "a/d", "y") }, fault.InvalidParameterValueException, "Could not unzip"},
		"no code":      {func(in *api.CreateFunctionInput) { in.Code.ZipFile = nil }, fault.InvalidParameterValueException, "Please provide a source for function code."},
	} {
		in := w.creation("new")
		c.change(in)
		_, err := w.CreateFunction(w.ctx, in)
		t.Run(name, func(t *testing.T) { refused(t, err, c.code, c.message) })
	}
	left, err := os.ReadDir(w.code.archives)
	if err != nil || len(left) != 1 {
		t.Errorf("archives are left: %v, %v", left, err)
	}
}

// A bomb says that it is small, or is too large by its own word.
func TestArchivesThatAreNotWhatTheySay(t *testing.T) {
	w := newWorld(t)
	big := zipped(t, "a", strings.Repeat("\x00", 1<<20))
	lie := bytes.Clone(big)
	// The uncompressed size in the directory at the end, which unpacking goes by.
	i := bytes.LastIndex(lie, []byte("PK\x01\x02"))
	copy(lie[i+24:], []byte{10, 0, 0, 0})
	in := w.creation("lie")
	in.Code.ZipFile = lie
	if _, err := w.CreateFunction(w.ctx, in); err != nil {
		t.Fatal(err)
	}
	if c := w.settled("lie"); c.State != api.StateFailed || c.StateReasonCode != api.StateReasonCodeInvalidZipFileException {
		t.Errorf("it is %s: %s", c.State, c.StateReason)
	}
	copy(lie[i+24:], []byte{0, 0, 0, 0x40})
	in.FunctionName, in.Code.ZipFile = "bomb", lie
	_, err := w.CreateFunction(w.ctx, in)
	refused(t, err, fault.InvalidParameterValueException, "Unzipped size must be smaller than 262144000 bytes")
}

func TestARuntimeThatIsNotHere(t *testing.T) {
	w := newWorld(t)
	w.runner.lacking = map[string]string{"java21": "no java on this host"}
	w.make("j", func(in *api.CreateFunctionInput) { in.Runtime = "java21" })
	c := w.settled("j")
	if c.State != api.StateFailed || !strings.Contains(c.StateReason, "no java on this host") {
		t.Errorf("it is %s: %s", c.State, c.StateReason)
	}
	_, err := w.Invoke(w.ctx, &api.InvokeInput{FunctionName: "j"})
	refused(t, err, fault.ResourceConflictException, "Failed")
}
