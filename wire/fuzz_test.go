package wire

import (
	"encoding/json"
	"encoding/xml"
	"io"
	"net/http"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway/slipway/api"
	"github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/api/sqs"
	"github.com/slipway/slipway/api/ssm"
)

// fuzzInput is an input of one operation to decode into.
func fuzzInput(d *api.Service, operation string) (p *plan, v reflect.Value) {
	op := d.Operation(operation)
	v = reflect.ValueOf(op.NewInput()).Elem()
	return planOf(d, op.Input, v.Type()), v
}

// JSON that is read can be written, and reads as the same again.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{`{}`, `{"Name":"a","Value":"b","Overwrite":true,"Tags":[{"Key":"k","Value":"v"}]}`, `{"Tags":[null,{}]}`, `{"Name":"\ud83d\ude00\u0000"}`, `{"X":[{"y":[]}]}`, `{"Overwrite":1}`, ` {"Name" : null } `} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		p, v := fuzzInput(ssm.Describe(), "PutParameter")
		d := &decoding{svc: ssm.Describe()}
		if d.readJSON(p, v, body) != nil {
			return
		}
		out := appendJSON(nil, p, v)
		if !json.Valid(out) {
			t.Fatalf("wrote %q", out)
		}
		q, again := fuzzInput(ssm.Describe(), "PutParameter")
		if err := d.readJSON(q, again, out); err != nil {
			t.Fatalf("%v: %q", err, out)
		}
		if diff := cmp.Diff(v.Interface(), again.Interface()); diff != "" {
			t.Fatal(diff)
		}
	})
}

// CBOR that is read can be written, and reads as the same again.
func FuzzCBOR(f *testing.F) {
	for _, s := range []string{"\xa0", "\xa1\x68QueueUrl\x61u", "\xa1\x6cDelaySeconds\x05", "\xbf\xff", "\xa1\x67Entries\x81\xa0"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		p, v := fuzzInput(sqs.Describe(), "SendMessage")
		d := &decoding{svc: sqs.Describe()}
		if d.readCBOR(p, v, body) != nil {
			return
		}
		out := appendCBOR(nil, p, v)
		q, again := fuzzInput(sqs.Describe(), "SendMessage")
		if err := d.readCBOR(q, again, out); err != nil {
			t.Fatalf("%v: %x", err, out)
		}
		if diff := cmp.Diff(v.Interface(), again.Interface()); diff != "" {
			t.Fatal(diff)
		}
	})
}

// A form that is read gives well-formed XML when its input is written.
func FuzzForm(f *testing.F) {
	for _, s := range []string{"Action=CreateStack", "StackName=s&Tags.member.1.Key=k&Tags.member.1.Value=%00", "Parameters.member.x=1", "Tags.member=1&Tags=", "a.b.c.d=1", "DisableRollback=maybe", "Tags.member.99999999999999999999.Key=x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, ec2Form := range []bool{false, true} {
			desc, operation := cloudformation.Describe(), "CreateStack"
			if ec2Form {
				desc, operation = ec2.Describe(), "RunInstances"
			}
			p, v := fuzzInput(desc, operation)
			n := formParser{root: &form{}}
			if n.parse(text) != nil {
				return
			}
			if (formReader{decoding: &decoding{svc: desc}, ec2: ec2Form}).structure(p, v, n.root, 0) != nil {
				continue
			}
			w := xmlWriter{}
			w.open("r", "")
			w.members(p, v)
			w.close("r")
			var any struct{}
			if err := xml.Unmarshal(w.b, &any); err != nil {
				t.Fatalf("%v: %q", err, w.b)
			}
		}
	})
}

// XML that is read can be written, and reads as the same again.
func FuzzXML(f *testing.F) {
	for _, s := range []string{"<Delete/>", "<Delete><Object><Key>k</Key></Object><Quiet>true</Quiet></Delete>", "<a>&lt;&#x10FFFF;</a>", "<a b='c'><![CDATA[x]]></a>", "<a><Object><Key><b/></Key></Object></a>"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		in, v := fuzzInput(s3.Describe(), "DeleteObjects")
		doc := &in.fields[in.pay]
		read := func(body []byte, v reflect.Value) error {
			root, err := parseXML(body)
			if err != nil {
				return err
			}
			return (&decoding{svc: s3.Describe()}).xmlMember(doc, doc.open(v), root)
		}
		if read(body, v) != nil {
			return
		}
		w := xmlWriter{}
		w.member(doc, "Delete", doc.open(v))
		_, again := fuzzInput(s3.Describe(), "DeleteObjects")
		if err := read(w.b, again); err != nil {
			t.Fatalf("%v: %q", err, w.b)
		}
	})
}

// No request, however broken, gets anything but a 4xx or a 501.
func FuzzRequest(f *testing.F) {
	f.Add("POST", "/", "sqs", "Content-Type", "application/x-www-form-urlencoded", "Action=SendMessage")
	f.Add("POST", "/", "ssm", "X-Amz-Target", "AmazonSSM.PutParameter", "{}")
	f.Add("PUT", "/b/k?uploadId=1&partNumber=x", "s3", "Host", "b.s3.localhost", "<a/>")
	f.Add("POST", "/service/x/operation/y", "monitoring", "Smithy-Protocol", "rpc-v2-cbor", "\xa0")
	h := New(testConfig(unimplemented()...))
	f.Fuzz(func(t *testing.T, method, target, service, name, value, body string) {
		r, err := http.NewRequest(method, "http://localhost:4566"+target, nil)
		if err != nil {
			return
		}
		r.RequestURI = target
		r.Body = io.NopCloser(&text{body})
		r.ContentLength = -1
		r.Header.Set("Authorization", scoped(service))
		if name == "Host" {
			r.Host = value
		} else if name != "" {
			r.Header.Set(name, value)
		}
		w := do(h, r)
		if (w.Code < 400 || w.Code >= 500) && w.Code != http.StatusNotImplemented {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	})
}

// text reads a string in one go.
type text struct{ s string }

func (t *text) Read(p []byte) (int, error) {
	if t.s == "" {
		return 0, io.EOF
	}
	n := copy(p, t.s)
	t.s = t.s[n:]
	return n, nil
}
