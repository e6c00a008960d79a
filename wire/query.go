package wire

import (
	"reflect"

	"github.com/slipway/slipway/api"
	"github.com/slipway/slipway/fault"
)

// awsQuery is the AWS Query protocol: a form in, XML out.
type awsQuery struct{}

func (awsQuery) id() api.Protocol { return api.AWSQuery }

func (awsQuery) decode(x *exchange, d *decoding, p *plan, v reflect.Value) error {
	return formReader{decoding: d}.structure(p, v, x.form, 0)
}

func (awsQuery) encode(x *exchange, resp *response, p *plan, v reflect.Value) error {
	w := xmlWriter{b: resp.begin(), query: true, brief: true}
	root := x.op.Name + "Response"
	w.open(root, x.svc.desc.XMLNamespace)
	if p != nil {
		wrapper := x.op.Wrapper
		if wrapper == "" {
			wrapper = x.op.Name + "Result"
		}
		w.open(wrapper, "")
		w.members(p, v)
		w.absentLists(p, v)
		w.close(wrapper)
	}
	w.open("ResponseMetadata", "")
	w.element("RequestId", x.id)
	w.close("ResponseMetadata")
	w.close(root)
	resp.body = w.b
	resp.header.Set("Content-Type", "text/xml")
	return nil
}

func (awsQuery) refuse(x *exchange, resp *response, e *fault.Error, shape *api.Shape) {
	w := xmlWriter{b: make([]byte, 0, firstRoom)}
	ns := ""
	if x.svc != nil {
		ns = x.svc.desc.XMLNamespace
	}
	code := e.Code
	if shape != nil {
		code = shape.Code
	}
	side := "Sender"
	if resp.status >= 500 {
		side = "Receiver"
	}
	w.open("ErrorResponse", ns)
	w.open("Error", "")
	w.element("Type", side)
	w.element("Code", code)
	w.element("Message", e.Message)
	w.fields(x, e, shape)
	w.close("Error")
	w.element("RequestId", x.id)
	w.close("ErrorResponse")
	resp.body = w.b
	resp.header.Set("Content-Type", "text/xml")
}

// fields writes an error's further members: the modelled ones by their plans,
// others as text.
func (w *xmlWriter) fields(x *exchange, e *fault.Error, shape *api.Shape) {
	for _, name := range fieldNames(e) {
		v := reflect.ValueOf(e.Fields[name])
		if f := errorField(x, shape, name, v); f != nil {
			w.member(f, w.name(f), v)
			continue
		}
		w.element(name, textOf(v))
	}
}

func (awsQuery) unreadable(_ *exchange, err *typeError) *fault.Error {
	return fault.New(fault.MalformedInput, "%s", err.Error())
}

func (awsQuery) unknown(x *exchange) *fault.Error {
	if x.opName == "" {
		return fault.New(fault.MissingAction, "The request must contain the parameter Action")
	}
	version := x.svc.desc.APIVersion
	if v := x.form.get("Version"); v != "" {
		version = v
	}
	return fault.New(fault.InvalidAction, "Could not find operation %s for version %s", clip(x.opName), clip(version))
}
