package wire

import (
	"net/http"
	"net/url"
	"reflect"
	"strings"

	"github.com/slipway/slipway/api"
)

// bind reads the members that travel outside the body: path, query, headers.
func (d *decoding) bind(x *exchange, p *plan, v reflect.Value) error {
	if !p.bound {
		return nil
	}
	for i := range p.fields {
		f := &p.fields[i]
		var err error
		switch f.Location {
		case api.InURI:
			if s, ok := x.labels[f.name]; ok {
				err = d.text(f.plan, f.open(v), s, f.time(api.ISO8601))
			}
		case api.InQuery:
			err = d.bindQuery(f, v, x.query)
		case api.InHeader:
			err = d.bindHeader(f, v, x)
		case api.InHeaders:
			bindHeaders(f, v, x.r.Header)
		}
		if err != nil {
			return at(f.path, err)
		}
	}
	return nil
}

func (d *decoding) bindQuery(f *field, v reflect.Value, query url.Values) error {
	if f.plan.shape.Kind == api.Map {
		m := f.open(v)
		present(f.plan, m)
		for name, values := range query {
			if m.Type().Elem().Kind() == reflect.String {
				m.SetMapIndex(reflect.ValueOf(name), reflect.ValueOf(values[0]))
			} else {
				m.SetMapIndex(reflect.ValueOf(name), reflect.ValueOf(values))
			}
		}
		return nil
	}
	values, ok := query[f.name]
	if !ok {
		return nil
	}
	if f.plan.shape.Kind == api.List {
		return d.texts(f, v, values, api.ISO8601)
	}
	return d.text(f.plan, f.open(v), values[0], f.time(api.ISO8601))
}

func (d *decoding) bindHeader(f *field, v reflect.Value, x *exchange) error {
	if f.name == "Content-Length" {
		if x.length >= 0 {
			f.open(v).SetInt(x.length)
		}
		return nil
	}
	values := x.r.Header[f.header]
	if len(values) == 0 {
		return nil
	}
	if f.plan.shape.Kind == api.List {
		var parts []string
		for _, value := range values {
			for part := range strings.SplitSeq(value, ",") {
				parts = append(parts, strings.TrimSpace(part))
			}
		}
		return d.texts(f, v, parts, api.RFC822)
	}
	return d.text(f.plan, f.open(v), values[0], f.time(api.RFC822))
}

func (d *decoding) texts(f *field, v reflect.Value, values []string, format api.TimeFormat) error {
	list := f.open(v)
	present(f.plan, list)
	for _, s := range values {
		if err := d.text(f.plan.elem.plan, grow(list), s, f.plan.elem.time(format)); err != nil {
			return err
		}
	}
	return nil
}

// bindHeaders collects the headers with a prefix into a map, by the rest of
// their names in lower case.
func bindHeaders(f *field, v reflect.Value, header http.Header) {
	m := f.open(v)
	for name, values := range header {
		if rest, ok := strings.CutPrefix(name, f.header); ok {
			present(f.plan, m)
			m.SetMapIndex(reflect.ValueOf(strings.ToLower(rest)), reflect.ValueOf(strings.Join(values, ",")))
		}
	}
}

// unbind writes the members that travel outside the body.
func unbind(resp *response, p *plan, v reflect.Value) {
	for i := range p.fields {
		f := &p.fields[i]
		if f.Location == api.InBody {
			continue
		}
		fv, ok := f.get(v)
		if !ok {
			continue
		}
		switch f.Location {
		case api.InStatus:
			resp.status = int(fv.Int())
		case api.InHeaders:
			for it := fv.MapRange(); it.Next(); {
				// written as it is: clients take the case of these names for theirs
				resp.header[strings.ToLower(f.name+it.Key().String())] = []string{headerText(it.Value().String())}
			}
		case api.InHeader:
			resp.header[f.header] = []string{headerText(headerValue(f, fv))}
		}
	}
}

func headerValue(f *field, v reflect.Value) string {
	if f.plan.shape.Kind != api.List {
		return string(appendText(nil, f.plan, v, f.time(api.RFC822)))
	}
	parts := make([]string, v.Len())
	for i := range parts {
		parts[i] = string(appendText(nil, f.plan.elem.plan, v.Index(i), f.plan.elem.time(api.RFC822)))
	}
	return strings.Join(parts, ",")
}

var lineEnds = strings.NewReplacer("\r", " ", "\n", " ")

// headerText keeps line ends out of headers.
func headerText(s string) string {
	return lineEnds.Replace(s)
}
