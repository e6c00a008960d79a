package wire

import (
	"net/http"
	"reflect"
	"sort"

	"github.com/slipway/slipway/api"
	"github.com/slipway/slipway/fault"
)

// awsJSON is the AWS JSON protocol in both its versions.
type awsJSON struct{ version string }

func (p awsJSON) id() api.Protocol {
	if p.version == "1.0" {
		return api.AWSJSON10
	}
	return api.AWSJSON11
}

// jsonTypes are the content types of answers, which nobody changes: a header that
// is set anew has values of its own.
var jsonTypes = map[api.Protocol][]string{
	api.AWSJSON10: {"application/x-amz-json-1.0"},
	api.AWSJSON11: {"application/x-amz-json-1.1"},
}

func (awsJSON) decode(x *exchange, d *decoding, p *plan, v reflect.Value) error {
	body, err := x.readBody()
	if err != nil {
		return err
	}
	return d.readJSON(p, v, body)
}

func (p awsJSON) encode(_ *exchange, resp *response, out *plan, v reflect.Value) error {
	resp.header["Content-Type"] = jsonTypes[p.id()]
	if out == nil {
		resp.body = []byte("{}")
		return nil
	}
	resp.body = appendJSON(resp.begin(), out, v)
	return nil
}

func (p awsJSON) refuse(x *exchange, resp *response, e *fault.Error, shape *api.Shape) {
	resp.header.Set("Content-Type", "application/x-amz-json-"+p.version)
	resp.body = jsonError(x, e, shape, errorType(x, e, shape))
	queryError(x, resp, e, shape)
}

// exceptions are the names, as AWS was recorded to give them, of those that no
// model has: only their Query codes are documented.
var exceptions = map[string]string{
	fault.InvalidParameterValue: "InvalidParameterValueException",
	fault.MissingParameter:      "MissingRequiredParameterException",
}

// errorType is the exception's name as JSON errors carry it.
func errorType(x *exchange, e *fault.Error, shape *api.Shape) string {
	name := e.Code
	if shape != nil {
		name = shape.Name
	}
	if x.svc != nil && x.svc.desc.QueryError {
		if other, ok := exceptions[name]; ok && shape == nil {
			name = other
		}
		return "com.amazonaws." + x.svc.desc.Name + "#" + name
	}
	return name
}

// queryError tells clients of a service that once spoke Query the code that
// they knew.
func queryError(x *exchange, resp *response, e *fault.Error, shape *api.Shape) {
	if x.svc == nil || !x.svc.desc.QueryError {
		return
	}
	code, side := e.Code, "Sender"
	if shape != nil {
		code = shape.Code
	}
	if resp.status >= 500 {
		side = "Receiver"
	}
	resp.header.Set("x-amzn-query-error", code+";"+side)
}

// jsonError is the body of an error; an empty typ leaves __type out.
func jsonError(x *exchange, e *fault.Error, shape *api.Shape, typ string) []byte {
	b := []byte{'{'}
	if typ != "" {
		b = append(b, `"__type":`...)
		b = appendString(b, typ)
		b = append(b, ',')
	}
	b = appendString(b, messageName(shape))
	b = append(b, ':')
	b = appendString(b, e.Message)
	for _, name := range fieldNames(e) {
		v := reflect.ValueOf(e.Fields[name])
		b = append(b, ',')
		if f := errorField(x, shape, name, v); f != nil {
			b = appendString(b, f.name)
			b = append(b, ':')
			b = appendJSONValue(b, f, v)
			continue
		}
		b = appendString(b, name)
		b = append(b, ':')
		b = appendString(b, textOf(v))
	}
	return append(b, '}')
}

// messageName is the message's member as the exception's model spells it.
func messageName(shape *api.Shape) string {
	if shape != nil {
		for i := range shape.Members {
			if n := shape.Members[i].Name; n == "Message" {
				return n
			}
		}
	}
	return "message"
}

func fieldNames(e *fault.Error) []string {
	names := make([]string, 0, len(e.Fields))
	for name := range e.Fields {
		if name != "message" && name != "Message" {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	return names
}

func (awsJSON) unreadable(_ *exchange, err *typeError) *fault.Error {
	return fault.New(fault.SerializationError, "%s", err.Error())
}

func (awsJSON) unknown(x *exchange) *fault.Error { return unknownOperation(x) }

func unknownOperation(x *exchange) *fault.Error {
	if x.opName == "" {
		return fault.New(fault.UnknownOperation, "The request names no operation of %s", x.svc.desc.Name)
	}
	return fault.New(fault.UnknownOperation, "%s has no operation %s", x.svc.desc.Name, clip(x.opName))
}

// restJSON is the REST protocol with JSON bodies.
type restJSON struct{}

func (restJSON) id() api.Protocol { return api.RESTJSON }

func (restJSON) decode(x *exchange, d *decoding, p *plan, v reflect.Value) error {
	if err := d.bind(x, p, v); err != nil {
		return err
	}
	doc, body, err := restBody(x, p, v)
	switch {
	case err != nil || body == nil:
		return err
	case doc != nil && doc.plan.shape.Kind == api.Document:
		return (&jsonReader{decoding: d, b: body}).document(doc.open(v))
	case doc != nil:
		return at(doc.path, d.readJSON(doc.plan, doc.open(v), body))
	}
	return d.readJSON(p, v, body)
}

func (restJSON) encode(x *exchange, resp *response, p *plan, v reflect.Value) error {
	doc, whole := restOutput(x, resp, p, v)
	switch {
	case whole:
		resp.body = appendJSON(make([]byte, 0, firstRoom), p, v)
	case doc != nil:
		fv, _ := doc.get(v)
		resp.body = appendJSONValue(nil, doc, fv)
	}
	if resp.header.Get("Content-Type") == "" && len(resp.body) > 0 {
		resp.header.Set("Content-Type", "application/json")
	}
	return nil
}

func (restJSON) refuse(x *exchange, resp *response, e *fault.Error, shape *api.Shape) {
	resp.header.Set("Content-Type", "application/json")
	resp.header.Set("x-amzn-ErrorType", errorType(x, e, shape))
	resp.body = jsonError(x, e, shape, "")
}

func (restJSON) unreadable(_ *exchange, err *typeError) *fault.Error {
	return fault.New(fault.SerializationError, "%s", err.Error())
}

func (restJSON) unknown(x *exchange) *fault.Error {
	return fault.New(fault.UnknownOperation, "%s has no operation at %s %s", x.svc.desc.Name, x.r.Method, clip(x.r.URL.Path))
}

// rpcCBOR is Smithy's RPC protocol with CBOR bodies.
type rpcCBOR struct{}

func (rpcCBOR) id() api.Protocol { return api.RPCV2CBOR }

func (rpcCBOR) decode(x *exchange, d *decoding, p *plan, v reflect.Value) error {
	body, err := x.readBody()
	if err != nil {
		return err
	}
	return d.readCBOR(p, v, body)
}

func (rpcCBOR) encode(_ *exchange, resp *response, p *plan, v reflect.Value) error {
	cborHeader(resp.header)
	resp.body = []byte{cborMap}
	if p != nil {
		resp.body = appendCBOR(nil, p, v)
	}
	return nil
}

func cborHeader(h http.Header) {
	h.Set("Content-Type", "application/cbor")
	h.Set("Smithy-Protocol", "rpc-v2-cbor")
}

func (rpcCBOR) refuse(x *exchange, resp *response, e *fault.Error, shape *api.Shape) {
	cborHeader(resp.header)
	queryError(x, resp, e, shape)
	names := fieldNames(e)
	b := appendCBORHead(nil, cborMap, uint64(2+len(names)))
	b = appendCBORText(b, "__type")
	b = appendCBORText(b, errorType(x, e, shape))
	b = appendCBORText(b, messageName(shape))
	b = appendCBORText(b, e.Message)
	for _, name := range names {
		v := reflect.ValueOf(e.Fields[name])
		if f := errorField(x, shape, name, v); f != nil {
			b = appendCBORText(b, f.name)
			b = appendCBORValue(b, f, v)
			continue
		}
		b = appendCBORText(b, name)
		b = appendCBORText(b, textOf(v))
	}
	resp.body = b
}

func (rpcCBOR) unreadable(_ *exchange, err *typeError) *fault.Error {
	return fault.New(fault.SerializationError, "%s", err.Error())
}

func (rpcCBOR) unknown(x *exchange) *fault.Error { return unknownOperation(x) }
