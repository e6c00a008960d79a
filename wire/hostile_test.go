package wire

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"github.com/slipway/slipway/api"
)

// hostile builds broken inputs for an operation from its model: what is
// missing, of the wrong type, too long, out of range, unknown.
func hostile(d *api.Service, op *api.Operation) []map[string]any {
	in := &d.Shapes[op.Input]
	inputs := []map[string]any{{}, {"MadeUp": map[string]any{"x": []any{1}}}}
	for _, bad := range []any{
		nil, true, -1, 1e300, "", "\x00\u2028", strings.Repeat("x", 7_000), []any{}, map[string]any{},
		[]any{nil}, []any{[]any{[]any{}}}, []any{map[string]any{}}, map[string]any{"": nil, "a": []any{1}},
	} {
		all := map[string]any{}
		for i := range in.Members {
			all[in.Members[i].WireName()] = bad
		}
		inputs = append(inputs, all)
		for i := range in.Members {
			if i < 4 { // one member broken, the others plausible
				one := plausible(d, op.Input, 0).(map[string]any)
				one[in.Members[i].WireName()] = bad
				inputs = append(inputs, one)
			}
		}
	}
	return append(inputs, plausible(d, op.Input, 0).(map[string]any))
}

// plausible is a value of the right types.
func plausible(d *api.Service, shape int32, depth int) any {
	s := &d.Shapes[shape]
	switch s.Kind {
	case api.Structure:
		m := map[string]any{}
		for i := range s.Members {
			if depth < 3 {
				m[s.Members[i].WireName()] = plausible(d, s.Members[i].Shape, depth+1)
			}
		}
		return m
	case api.List:
		if depth >= 3 {
			return []any{}
		}
		return []any{plausible(d, s.Members[0].Shape, depth+1)}
	case api.Map:
		if depth >= 3 {
			return map[string]any{}
		}
		return map[string]any{"k": plausible(d, s.Members[1].Shape, depth+1)}
	case api.String:
		if len(s.Enum) > 0 {
			return s.Enum[0]
		}
		return "text"
	case api.Boolean:
		return true
	case api.Blob:
		return base64.StdEncoding.EncodeToString([]byte("blob"))
	}
	return int(s.Min) + 1
}

// formOf writes a value as a Query client would, right or wrong.
func formOf(form url.Values, prefix string, v any, ec2 bool) {
	dot := func(step string) string {
		if prefix == "" {
			return step
		}
		return prefix + "." + step
	}
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			if ec2 && k != "" {
				k = strings.ToUpper(k[:1]) + k[1:]
			}
			formOf(form, dot(k), e, ec2)
		}
	case []any:
		for i, e := range v {
			formOf(form, dot(fmt.Sprint(i+1)), e, ec2)
			formOf(form, dot(fmt.Sprintf("member.%d", i+1)), e, ec2)
		}
	case nil:
	default:
		form.Set(prefix, fmt.Sprint(v))
	}
}

// hostileRequest writes an input in one of its service's protocols.
func hostileRequest(d *api.Service, op *api.Operation, p api.Protocol, in map[string]any) *http.Request {
	auth := signed(d.SigningName)
	switch p {
	case api.AWSQuery, api.EC2Query:
		form := url.Values{}
		formOf(form, "", in, p == api.EC2Query)
		form.Set("Action", op.Name)
		form.Set("Version", d.APIVersion)
		return request("POST", "/", form.Encode(), auth, formType)
	case api.AWSJSON10, api.AWSJSON11:
		body, err := json.Marshal(in)
		if err != nil {
			panic(err)
		}
		return request("POST", "/", string(body), auth, json11, "X-Amz-Target: "+d.TargetPrefix+"."+op.Name)
	case api.RPCV2CBOR:
		body, err := cbor.Marshal(in)
		if err != nil {
			panic(err)
		}
		return request("POST", "/service/"+d.TargetPrefix+"/operation/"+op.Name, string(body), auth, "Smithy-Protocol: rpc-v2-cbor")
	}
	return hostileREST(d, op, in, auth)
}

func hostileREST(d *api.Service, op *api.Operation, in map[string]any, auth string) *http.Request {
	path, query, _ := strings.Cut(op.URI, "?")
	path = strings.NewReplacer("{Bucket}", "bucket", "{Key+}", "key").Replace(path)
	values, _ := url.ParseQuery(query)
	r := request(op.Method, path, "", auth)
	var body strings.Builder
	shape := &d.Shapes[op.Input]
	for i := range shape.Members {
		m := &shape.Members[i]
		v, ok := in[m.WireName()]
		text := fmt.Sprint(v)
		switch {
		case !ok || v == nil:
		case m.Location == api.InQuery:
			values.Set(m.WireName(), text)
		case m.Location == api.InHeader:
			r.Header.Set(m.WireName(), headerText(text))
		case m.Location == api.InHeaders:
			r.Header.Set(m.WireName()+"x", headerText(text))
		case m.Location == api.InBody:
			writeElement(&body, m.WireName(), v, 0)
		}
	}
	bound := request(op.Method, path, body.String(), auth)
	bound.URL.RawQuery = values.Encode()
	for name, vs := range r.Header {
		if name != "Content-Md5" {
			bound.Header[name] = vs
		}
	}
	return bound
}

func writeElement(b *strings.Builder, name string, v any, depth int) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			writeElement(b, name, e, depth+1)
		}
	case map[string]any:
		fmt.Fprintf(b, "<%s>", name)
		for k, e := range v {
			if k != "" {
				writeElement(b, k, e, depth+1)
			}
		}
		fmt.Fprintf(b, "</%s>", name)
	default:
		fmt.Fprintf(b, "<%s>%v</%s>", name, v, name)
	}
}

// Whatever the input of whatever operation, in whatever protocol: the answer is
// a 4xx, or 501 where the input is good enough for the operation to be reached.
func TestHostileInputs(t *testing.T) {
	h := New(testConfig(cborMounts()...))
	count := 0
	for _, describe := range described {
		d := describe()
		protocols := append([]api.Protocol(nil), d.Protocols...)
		if d.TargetPrefix != "" {
			protocols = append(protocols, api.RPCV2CBOR)
		}
		for i := range d.Operations {
			op := &d.Operations[i]
			for n, in := range hostile(d, op) {
				for _, p := range protocols {
					count++
					w := do(h, hostileRequest(d, op, p, in))
					if (w.Code < 400 || w.Code >= 500) && w.Code != http.StatusNotImplemented {
						t.Errorf("%s %s, protocol %d, input %d: %d %.300s", d.Name, op.Name, p, n, w.Code, w.Body)
					}
				}
			}
		}
	}
	if count < 10_000 {
		t.Errorf("%d inputs only", count)
	}
}

// cborMounts are the generated services, with CBOR for those that can.
func cborMounts() []Mount {
	mounts := unimplemented()
	for i := range mounts {
		if mounts[i].Desc.TargetPrefix != "" {
			mounts[i].Desc = withCBOR(mounts[i].Desc)
		}
	}
	return mounts
}

// Requests broken as HTTP or as their format get a 4xx, too.
func TestHostileRequests(t *testing.T) {
	h := New(testConfig(unimplemented()...))
	bodies := []string{"", "\x00", "{", `{"a":`, "null", "[1", `"` + strings.Repeat("\\", 99), strings.Repeat("[", 100_000), "<", "<a", "<a/><b/>", strings.Repeat("<a>", 10_000),
		"<!DOCTYPE x>", "a=%", "a=%zz&b", strings.Repeat("a.", 10_000) + "=1", "Action=%00", "&&&==", "\xff\xfe", "\xbf\xff"}
	heads := [][]string{{}, {formType}, {json10, "X-Amz-Target: AmazonSQS.SendMessage"}, {json11, "X-Amz-Target: AmazonSSM."}, {"X-Amz-Target: ."}, {"X-Amz-Target: \u00ff"},
		{"Smithy-Protocol: rpc-v2-cbor"}, {"Authorization: AWS4-HMAC-SHA256 Credential="}, {"Authorization: AWS4-HMAC-SHA256 Credential=////////"}, {"Authorization: Basic Og=="},
		{"Host: "}, {"Host: ..s3.."}, {"Host: [::1]:x"}, {"Content-MD5: x"}, {"Content-Length: -5"}, {"X-Amz-Content-Sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD"}}
	for _, service := range []string{"", "s3", "sqs", "ssm", "ec2", "iam", "monitoring", "apigateway", "route53", "x"} {
		for _, head := range heads {
			for _, body := range bodies {
				for _, target := range []string{"/", "//", "/%2F", "/?Action", "/service//operation/", "/?X-Amz-Credential=a/b", "/b/k?uploadId", "/b?delete"} {
					hs := head
					if service != "" {
						hs = append([]string{signed(service)}, head...)
					}
					w := do(h, request("POST", target, body, hs...))
					if (w.Code < 400 || w.Code >= 500) && w.Code != http.StatusNotImplemented {
						t.Errorf("%s %q %.40q %s: %d %.300s", service, head, body, target, w.Code, w.Body)
					}
				}
			}
		}
	}
}
