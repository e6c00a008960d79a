package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/slipway/slipway/api"
	"github.com/slipway/slipway/api/sqs"
	"github.com/slipway/slipway/api/ssm"
	"github.com/slipway/slipway/fault"
)

func TestJSONInputAndOutput(t *testing.T) {
	a := &answering{output: &ssm.GetParametersOutput{
		Parameters:        []ssm.Parameter{{Name: "/a", Value: "q\"\n\u2028", Version: ptr(int64(1)), LastModifiedDate: ptr(time.UnixMilli(1700000000123))}},
		InvalidParameters: []string{},
	}}
	h := New(testConfig(a.mount(ssm.Describe())))
	w := do(h, request("POST", "/", ` { "Names" : ["\/a\u00e9\ud83d\ude00", null], "WithDecryption": true, "Unknown": {"x": [1, -2.5e3, "s", null, false]} } `,
		signed("ssm"), json11, "X-Amz-Target: AmazonSSM.GetParameters"))
	want := &ssm.GetParametersInput{Names: []string{"/aé😀"}, WithDecryption: ptr(true)}
	if diff := cmp.Diff(want, a.input); diff != "" {
		t.Error(diff)
	}
	const body = `{"Parameters":[{"Name":"/a","Value":"q\"\n` + "\u2028" + `","Version":1,"LastModifiedDate":1700000000.123}],"InvalidParameters":[]}`
	if diff := cmp.Diff(body, w.Body.String()); diff != "" {
		t.Error(diff)
	}
	if got := w.Header().Get("Content-Type"); got != "application/x-amz-json-1.1" {
		t.Error(got)
	}
	if !json.Valid(w.Body.Bytes()) {
		t.Error("not JSON")
	}
}

func TestJSONErrors(t *testing.T) {
	target := "X-Amz-Target: AmazonSSM.GetParameters"
	tests := []struct {
		name, target, body string
		err                error
		status             int
		typ, message       string
	}{
		{"the service's", target, `{"Names":["a"]}`, fault.New("ParameterNotFound", "gone"), 400, "ParameterNotFound", "gone"},
		{"a server's fault", target, `{"Names":["a"]}`, fault.New("InternalServerError", "sorry"), 500, "InternalServerError", "sorry"},
		{"unknown operation", "X-Amz-Target: AmazonSSM.Nothing", `{}`, nil, 400, "UnknownOperationException", "ssm has no operation Nothing"},
		{"a number for a string", target, `{"Names":[1]}`, nil, 400, "SerializationException", "names.1.member: NUMBER_VALUE can not be converted to String"},
		{"a string for a list", target, `{"Names":"a"}`, nil, 400, "SerializationException", "names: STRING_VALUE can not be converted to a list"},
		{"a string for a boolean", target, `{"Names":["a"],"WithDecryption":"true"}`, nil, 400, "SerializationException", "withDecryption: STRING_VALUE can not be converted to Boolean"},
		{"not an object", target, `[]`, nil, 400, "SerializationException", "Start of structure or map found where not expected."},
		{"cut short", target, `{"Names":["a"`, nil, 400, "SerializationException", "names: Unexpected end of the JSON document"},
		{"too much", target, `{"Names":["a"]} x`, nil, 400, "SerializationException", "Unexpected data after the end of the JSON document"},
		{"too deep", target, `{"X":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`, nil, 400, "SerializationException", "The JSON document nests too deeply"},
		{"not UTF-8", target, "{\"Names\":[\"\xff\"]}", nil, 400, "SerializationException", "names.1.member: a string is not UTF-8"},
		{"missing", target, `{}`, nil, 400, "ValidationException", "1 validation error detected: Value null at 'names' failed to satisfy constraint: Member must not be null"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := &answering{err: tt.err}
			h := New(testConfig(a.mount(ssm.Describe())))
			w := do(h, request("POST", "/", tt.body, signed("ssm"), json11, tt.target))
			var e struct {
				Type    string `json:"__type"`
				Message string `json:"message"`
			}
			if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil {
				t.Fatalf("%v: %s", err, w.Body)
			}
			if w.Code != tt.status || e.Type != tt.typ || e.Message != tt.message {
				t.Errorf("got %d %+v, want %d %s %s", w.Code, e, tt.status, tt.typ, tt.message)
			}
		})
	}
}

// SQS keeps its Query codes in a header, and its exceptions' names in the body.
func TestSQSErrorsInJSON(t *testing.T) {
	for _, code := range []string{"QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"} {
		a := &answering{err: fault.New(code, "The specified queue does not exist.")}
		h := New(testConfig(a.mount(sqs.Describe())))
		w := do(h, request("POST", "/", `{"QueueName":"q"}`, signed("sqs"), json10, "X-Amz-Target: AmazonSQS.GetQueueUrl"))
		mustContain(t, w.Body.String(), `{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"The specified queue does not exist."}`)
		if got := w.Header().Get("x-amzn-query-error"); got != "AWS.SimpleQueueService.NonExistentQueue;Sender" || w.Code != 400 {
			t.Errorf("%s: %d %q", code, w.Code, got)
		}
		w = do(h, request("POST", "/", "Action=GetQueueUrl&Version=2012-11-05&QueueName=q", signed("sqs"), formType))
		mustContain(t, w.Body.String(), "<Type>Sender</Type><Code>AWS.SimpleQueueService.NonExistentQueue</Code>")
	}
	h := New(testConfig((&answering{}).mount(sqs.Describe())))
	w := do(h, request("POST", "/", `{"QueueUrl":"u"}`, signed("sqs"), json10, "X-Amz-Target: AmazonSQS.SendMessage"))
	mustContain(t, w.Body.String(), `com.amazonaws.sqs#MissingRequiredParameterException`, `The request must contain the parameter MessageBody.`)
	if got := w.Header().Get("x-amzn-query-error"); got != "MissingParameter;Sender" {
		t.Errorf("query error %q", got)
	}
}

// The members of a modelled exception go out with it.
func TestErrorFields(t *testing.T) {
	d := *ssm.Describe()
	a := &answering{err: fault.New("AutomationStepNotFoundException", "m").With("Extra", 7)}
	h := New(testConfig(a.mount(&d)))
	w := do(h, request("POST", "/", `{"Names":["a"]}`, signed("ssm"), json11, "X-Amz-Target: AmazonSSM.GetParameters"))
	if got := w.Body.String(); got != `{"__type":"AutomationStepNotFoundException","Message":"m","Extra":"7"}` {
		t.Error(got)
	}
}

// withCBOR is a service that speaks CBOR beside its own protocols.
func withCBOR(d *api.Service) *api.Service {
	c := *d
	c.Protocols = append([]api.Protocol{api.RPCV2CBOR}, d.Protocols...)
	return &c
}

func TestCBORInputAndOutput(t *testing.T) {
	a := &answering{output: &ssm.GetParametersOutput{Parameters: []ssm.Parameter{{Name: "a", Version: ptr(int64(-300)), LastModifiedDate: ptr(time.UnixMilli(1700000000500))}}}}
	h := New(testConfig(a.mount(withCBOR(ssm.Describe()))))
	body, err := cbor.Marshal(map[string]any{"Names": []string{"a"}, "WithDecryption": true, "Unknown": 1.5})
	if err != nil {
		t.Fatal(err)
	}
	w := do(h, request("POST", "/service/AmazonSSM/operation/GetParameters", string(body), signed("ssm"), "Content-Type: application/cbor", "Smithy-Protocol: rpc-v2-cbor"))
	if diff := cmp.Diff(&ssm.GetParametersInput{Names: []string{"a"}, WithDecryption: ptr(true)}, a.input); diff != "" {
		t.Error(diff)
	}
	var out struct {
		Parameters []struct {
			Name             string
			Version          int64
			LastModifiedDate time.Time
		}
	}
	if err := cbor.Unmarshal(w.Body.Bytes(), &out); err != nil {
		t.Fatalf("%v: %x", err, w.Body.Bytes())
	}
	if p := out.Parameters; len(p) != 1 || p[0].Name != "a" || p[0].Version != -300 || p[0].LastModifiedDate.UnixMilli() != 1700000000500 {
		t.Errorf("%+v", out)
	}
	if w.Header().Get("Smithy-Protocol") != "rpc-v2-cbor" || w.Header().Get("Content-Type") != "application/cbor" {
		t.Error(w.Header())
	}
}

func TestCBORErrors(t *testing.T) {
	h := New(testConfig((&answering{}).mount(withCBOR(ssm.Describe()))))
	for body, want := range map[string]string{
		"\xa0":                         fault.ValidationException,
		"\xff":                         fault.SerializationError,
		"\xa1\x65Names\x01":            fault.SerializationError,
		"\xa1\x65Names\x81\x01":        fault.SerializationError,
		strings.Repeat("\x81", 10_000): fault.SerializationError,
	} {
		w := do(h, request("POST", "/service/AmazonSSM/operation/GetParameters", body, signed("ssm"), "Smithy-Protocol: rpc-v2-cbor"))
		var e map[string]string
		if err := cbor.Unmarshal(w.Body.Bytes(), &e); err != nil || w.Code != 400 || e["__type"] != want {
			t.Errorf("%q: %d %v %v", body[:1], w.Code, e, err)
		}
	}
}

func TestJSONNumbers(t *testing.T) {
	a := &answering{output: &sqs.SendMessageOutput{}}
	h := New(testConfig(a.mount(sqs.Describe())))
	for text, want := range map[string]int32{"5": 5, "5.0": 5, "5e0": 5, "-1": -1, "2147483648": -99, "1.5": -99, `"5"`: -99, "1e99": -99, "--1": -99} {
		a.input = nil
		body := fmt.Sprintf(`{"QueueUrl":"u","MessageBody":"b","DelaySeconds":%s}`, text)
		w := do(h, request("POST", "/", body, signed("sqs"), json10, "X-Amz-Target: AmazonSQS.SendMessage"))
		if want == -99 {
			if w.Code != http.StatusBadRequest || !bytes.Contains(w.Body.Bytes(), []byte("SerializationException")) {
				t.Errorf("%s: %d %s", text, w.Code, w.Body)
			}
			continue
		}
		if in, ok := a.input.(*sqs.SendMessageInput); !ok || *in.DelaySeconds != want {
			t.Errorf("%s: %d %s", text, w.Code, w.Body)
		}
	}
}
