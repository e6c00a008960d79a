package hostile

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/fxamacker/cbor/v2"

	"github.com/slipway/slipway/api"
)

// moment is every plausible time.
const (
	momentISO  = "2026-01-02T03:04:05Z"
	momentHTTP = "Fri, 02 Jan 2026 03:04:05 GMT"
	momentUnix = 1767323045
)

// Request writes a case as a client of the protocol would send it to the
// endpoint.
func (c Case) Request(endpoint string, svc *api.Service, op *api.Operation, p api.Protocol) (*http.Request, error) {
	e := encoder{svc: svc, p: p}
	path, header := "/", http.Header{}
	body := c.Body
	switch p {
	case api.AWSQuery, api.EC2Query:
		form := url.Values{}
		if c.Input != nil {
			e.form(form, "", op.Input, c.Input)
		}
		form.Set("Action", op.Name)
		form.Set("Version", svc.APIVersion)
		header.Set("Content-Type", "application/x-www-form-urlencoded")
		if body == nil {
			body = []byte(form.Encode())
		} else {
			body = append([]byte("Action="+op.Name+"&Version="+svc.APIVersion+"&"), body...)
		}
	case api.AWSJSON10, api.AWSJSON11:
		header.Set("Content-Type", map[api.Protocol]string{api.AWSJSON10: "application/x-amz-json-1.0", api.AWSJSON11: "application/x-amz-json-1.1"}[p])
		header.Set("X-Amz-Target", svc.TargetPrefix+"."+op.Name)
	case api.RPCV2CBOR:
		header.Set("Smithy-Protocol", "rpc-v2-cbor")
		header.Set("Content-Type", "application/cbor")
		path = "/service/" + svc.TargetPrefix + "/operation/" + op.Name
	default:
		r := e.rest(op, c.Input, header)
		path = r.path
		if body == nil {
			body = r.body
		}
	}
	if body == nil {
		var err error
		if body, err = e.document(op.Input, c.Input); err != nil {
			return nil, err
		}
	}
	method := op.Method
	if method == "" || (p != api.RESTJSON && p != api.RESTXML) {
		method = http.MethodPost
	}
	r, err := http.NewRequest(method, endpoint+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for name, values := range header {
		r.Header[name] = values
	}
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260102/us-east-1/"+svc.SigningName+
		"/aws4_request, SignedHeaders=host, Signature=00")
	return r, nil
}

// encoder writes input trees in one protocol of one service.
type encoder struct {
	svc *api.Service
	p   api.Protocol
}

// document is an input as JSON or CBOR.
func (e *encoder) document(shape int32, v any) ([]byte, error) {
	tree := e.tree(shape, v)
	if e.p == api.RPCV2CBOR {
		return cbor.Marshal(tree)
	}
	return json.Marshal(tree)
}

// tree renames members to what they are called on the wire. What does not fit
// the shape stays as it is: that is the point.
func (e *encoder) tree(shape int32, v any) any {
	s := &e.svc.Shapes[shape]
	switch v := v.(type) {
	case Time:
		return momentUnix
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, child := range v {
			if m := e.member(s, k); m != nil {
				out[m.WireName()] = e.tree(m.Shape, child)
			} else if s.Kind == api.Map {
				out[k] = e.tree(s.Members[1].Shape, child)
			} else {
				out[k] = child
			}
		}
		return out
	case []any:
		if s.Kind != api.List {
			return v
		}
		out := make([]any, len(v))
		for i, child := range v {
			out[i] = e.tree(s.Members[0].Shape, child)
		}
		return out
	}
	return v
}

func (e *encoder) member(s *api.Shape, name string) *api.Member {
	if s.Kind != api.Structure {
		return nil
	}
	for i := range s.Members {
		if s.Members[i].Name == name {
			return &s.Members[i]
		}
	}
	return nil
}

// form writes a value as a Query client does.
func (e *encoder) form(form url.Values, prefix string, shape int32, v any) {
	s := &e.svc.Shapes[shape]
	switch v := v.(type) {
	case map[string]any:
		n := 0
		for k, child := range v {
			n++
			if m := e.member(s, k); m != nil {
				e.formMember(form, prefix, m, child)
			} else if s.Kind == api.Map {
				entry := fmt.Sprintf("%s.entry.%d.", prefix, n)
				form.Set(entry+"key", k)
				e.form(form, entry+"value", s.Members[1].Shape, child)
			} else {
				e.form(form, join(prefix, k), 0, child)
			}
		}
	case []any:
		for i, child := range v {
			inner := int32(0)
			if s.Kind == api.List {
				inner = s.Members[0].Shape
			}
			e.form(form, fmt.Sprintf("%s.%d", prefix, i+1), inner, child)
		}
	default:
		form.Set(prefix, scalar(v, momentISO))
	}
}

func (e *encoder) formMember(form url.Values, prefix string, m *api.Member, v any) {
	name := m.WireName()
	if e.p == api.EC2Query {
		if name = strings.ToUpper(name[:1]) + name[1:]; m.Query != "" {
			name = m.Query
		}
	}
	name = join(prefix, name)
	s := &e.svc.Shapes[m.Shape]
	if s.Kind == api.List && e.p == api.AWSQuery && !m.Flags.Has(api.Flattened) && !s.Flags.Has(api.Flattened) {
		element := s.Members[0].Wire
		if element == "" {
			element = "member"
		}
		if _, isList := v.([]any); isList {
			name = join(name, element)
		}
	}
	e.form(form, name, m.Shape, v)
}

func join(prefix, step string) string {
	if prefix == "" {
		return step
	}
	return prefix + "." + step
}

// scalar is a leaf as text.
func scalar(v any, moment string) string {
	switch v := v.(type) {
	case Time:
		return moment
	case []byte:
		return base64.StdEncoding.EncodeToString(v)
	case []any, map[string]any:
		text, err := json.Marshal(v)
		if err != nil {
			return fmt.Sprint(v)
		}
		return string(text)
	}
	return fmt.Sprint(v)
}

// parts are where a REST request's input travels, beside its headers.
type parts struct {
	path string
	body []byte
}

// rest writes an input as the HTTP binding of the operation says.
func (e *encoder) rest(op *api.Operation, input any, header http.Header) parts {
	path, query, _ := strings.Cut(op.URI, "?")
	values, _ := url.ParseQuery(query) // the model's own
	path = strings.NewReplacer("{Bucket}", "hostile-bucket", "{Key+}", "key").Replace(path)
	in, _ := input.(map[string]any)
	shape := &e.svc.Shapes[op.Input]
	var body strings.Builder
	for i := range shape.Members {
		m := &shape.Members[i]
		v, ok := in[m.Name]
		if !ok {
			continue
		}
		switch m.Location {
		case api.InQuery:
			text := scalar(v, momentISO)
			values.Set(m.WireName(), text[:min(len(text), longestHead)])
		case api.InHeader:
			header.Set(m.WireName(), headerText(scalar(v, momentHTTP)))
		case api.InHeaders:
			header.Set(m.WireName()+"x", headerText(scalar(v, momentHTTP)))
		case api.InBody:
			e.element(&body, m.WireName(), m.Shape, v, m.Flags)
		}
	}
	if len(values) > 0 {
		path += "?" + values.Encode()
	}
	return parts{path, []byte(body.String())}
}

// longestHead is the longest value in a header or a query, in bytes, that gets
// past Go's HTTP server: it refuses a longer head before a handler runs.
const longestHead = 8_000

// headerText is what can stand in a header.
func headerText(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, s)
	return s[:min(len(s), longestHead)]
}

func (e *encoder) element(b *strings.Builder, name string, shape int32, v any, flags api.Flags) {
	s := &e.svc.Shapes[shape]
	flat := flags.Has(api.Flattened) || s.Flags.Has(api.Flattened)
	switch v := v.(type) {
	case []any:
		inner, inside := int32(0), "member"
		if s.Kind == api.List {
			inner = s.Members[0].Shape
			if s.Members[0].Wire != "" {
				inside = s.Members[0].Wire
			}
		}
		if flat {
			inside = name
		} else {
			fmt.Fprintf(b, "<%s>", name)
		}
		for _, child := range v {
			e.element(b, inside, inner, child, 0)
		}
		if !flat {
			fmt.Fprintf(b, "</%s>", name)
		}
	case map[string]any:
		fmt.Fprintf(b, "<%s>", name)
		for k, child := range v {
			if m := e.member(s, k); m != nil {
				e.element(b, m.WireName(), m.Shape, child, m.Flags)
			} else if k != "" {
				e.element(b, k, 0, child, 0)
			}
		}
		fmt.Fprintf(b, "</%s>", name)
	default:
		fmt.Fprintf(b, "<%s>%s</%s>", name, scalar(v, momentISO), name)
	}
}
