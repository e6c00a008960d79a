package wire

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"reflect"
	"sort"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/slipway/slipway/api"
)

// appendJSON writes the members of a structure that travel in the body.
func appendJSON(b []byte, p *plan, v reflect.Value) []byte {
	b = append(b, '{')
	first := true
	for i := range p.fields {
		f := &p.fields[i]
		if f.Location != api.InBody || f.stream {
			continue
		}
		fv, ok := f.get(v)
		if !ok {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = appendString(b, f.name)
		b = append(b, ':')
		b = appendJSONValue(b, f, fv)
	}
	return append(b, '}')
}

func appendJSONValue(b []byte, f *field, v reflect.Value) []byte {
	p := f.plan
	switch p.shape.Kind {
	case api.Structure:
		return appendJSON(b, p, v)
	case api.List:
		b = append(b, '[')
		for i := range v.Len() {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendJSONValue(b, p.elem, v.Index(i))
		}
		return append(b, ']')
	case api.Map:
		keys := v.MapKeys()
		sort.Slice(keys, func(i, j int) bool { return keys[i].String() < keys[j].String() })
		b = append(b, '{')
		for i, k := range keys {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendString(b, k.String())
			b = append(b, ':')
			b = appendJSONValue(b, p.elem, v.MapIndex(k))
		}
		return append(b, '}')
	case api.Document:
		doc, err := json.Marshal(v.Interface())
		if err != nil {
			doc = []byte("null")
		}
		return append(b, doc...)
	}
	return appendJSONScalar(b, f, v)
}

func appendJSONScalar(b []byte, f *field, v reflect.Value) []byte {
	p := f.plan
	switch p.shape.Kind {
	case api.String:
		return appendString(b, v.String())
	case api.Float, api.Double:
		switch n := v.Float(); {
		case math.IsNaN(n):
			return append(b, `"NaN"`...)
		case math.IsInf(n, 1):
			return append(b, `"Infinity"`...)
		case math.IsInf(n, -1):
			return append(b, `"-Infinity"`...)
		default:
			return strconv.AppendFloat(b, n, 'g', -1, p.typ.Bits())
		}
	case api.Timestamp:
		format := f.time(api.UnixTime)
		if format == api.UnixTime {
			return appendUnix(b, v.Interface().(time.Time))
		}
		b = append(b, '"')
		b = appendTime(b, v.Interface().(time.Time), format)
		return append(b, '"')
	case api.Blob:
		b = append(b, '"')
		b = base64.StdEncoding.AppendEncode(b, v.Bytes())
		return append(b, '"')
	}
	return appendText(b, p, v, api.ISO8601)
}

const hexDigits = "0123456789abcdef"

// appendString writes a JSON string; bytes that are not UTF-8 become U+FFFD.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	last := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				b = append(b, s[last:i]...)
				b = append(b, `\ufffd`...)
				last = i + 1
			}
			i += n
			continue
		}
		if c >= 0x20 && c != '"' && c != '\\' {
			i++
			continue
		}
		b = append(b, s[last:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		default:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		last = i
	}
	b = append(b, s[last:]...)
	return append(b, '"')
}
