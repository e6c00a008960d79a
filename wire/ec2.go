package wire

import (
	"reflect"

	"github.com/slipway/slipway/api"
	"github.com/slipway/slipway/fault"
)

// ec2Query is EC2's own form of the Query protocol.
type ec2Query struct{}

func (ec2Query) id() api.Protocol { return api.EC2Query }

func (ec2Query) decode(x *exchange, d *decoding, p *plan, v reflect.Value) error {
	r := formReader{decoding: d, ec2: true}
	if err := r.unknown(p, x.form); err != nil {
		return err
	}
	return r.structure(p, v, x.form, 0)
}

func (ec2Query) encode(x *exchange, resp *response, p *plan, v reflect.Value) error {
	w := xmlWriter{b: append(make([]byte, 0, firstRoom), xmlHeader...)}
	root := x.op.Name + "Response"
	w.open(root, x.svc.desc.XMLNamespace)
	w.element("requestId", x.id)
	if p != nil {
		w.members(p, v)
		w.absentLists(p, v)
	} else {
		w.element("return", "true")
	}
	w.close(root)
	resp.body = w.b
	resp.header.Set("Content-Type", "text/xml;charset=UTF-8")
	return nil
}

func (ec2Query) refuse(x *exchange, resp *response, e *fault.Error, _ *api.Shape) {
	w := xmlWriter{b: append(make([]byte, 0, firstRoom), xmlHeader...)}
	w.open("Response", "")
	w.open("Errors", "")
	w.open("Error", "")
	w.element("Code", e.Code)
	w.element("Message", e.Message)
	w.fields(x, e, nil)
	w.close("Error")
	w.close("Errors")
	w.element("RequestID", x.id)
	w.close("Response")
	resp.body = w.b
	resp.header.Set("Content-Type", "text/xml;charset=UTF-8")
}

func (ec2Query) unreadable(_ *exchange, err *typeError) *fault.Error {
	return fault.New(fault.InvalidParameterValue, "Invalid value for parameter %s: %s", err.path, err.detail)
}

func (ec2Query) unknown(x *exchange) *fault.Error {
	if x.opName == "" {
		return fault.New(fault.MissingAction, "The request must contain the parameter Action")
	}
	return fault.New(fault.InvalidAction, "The action %s is not valid for this web service.", clip(x.opName))
}
