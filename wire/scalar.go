package wire

import (
	"encoding/base64"
	"fmt"
	"math"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/slipway/slipway/api"
)

// typeError is a value that is not of its member's type. Each protocol makes
// its own error code of it.
type typeError struct {
	path   string // "tags.1.member.key"
	detail string
}

func (e *typeError) Error() string {
	if e.path == "" {
		return e.detail
	}
	return e.path + ": " + e.detail
}

// at puts a step in front of a type error's path.
func at(step string, err error) error {
	if e, ok := err.(*typeError); ok {
		if e.path == "" {
			e.path = step
		} else {
			e.path = step + "." + e.path
		}
	}
	return err
}

func wrong(format string, args ...any) error {
	return &typeError{detail: fmt.Sprintf(format, args...)}
}

// setText reads a scalar from its text form, as Query, headers and XML have it.
func setText(p *plan, v reflect.Value, s string, format api.TimeFormat) error {
	switch p.shape.Kind {
	case api.String:
		v.SetString(s)
	case api.Boolean:
		switch {
		case strings.EqualFold(s, "true"):
			v.SetBool(true)
		case strings.EqualFold(s, "false"):
			v.SetBool(false)
		default:
			return wrong("%s is not a boolean", quoted(s))
		}
	case api.Integer, api.Long:
		n, err := strconv.ParseInt(strings.TrimSpace(s), 10, p.typ.Bits())
		if err != nil {
			return wrong("%s is not an integer of %d bits", quoted(s), p.typ.Bits())
		}
		v.SetInt(n)
	case api.Float, api.Double:
		n, err := strconv.ParseFloat(strings.TrimSpace(s), p.typ.Bits())
		if err != nil {
			return wrong("%s is not a number", quoted(s))
		}
		v.SetFloat(n)
	case api.Timestamp:
		t, err := parseTime(s, format)
		if err != nil {
			return err
		}
		v.Set(reflect.ValueOf(t))
	case api.Blob:
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			return wrong("%s is not base64", quoted(s))
		}
		v.SetBytes(b)
	default:
		return wrong("a structure, list or map cannot be given as text")
	}
	return nil
}

// quoted shortens what a message repeats.
func quoted(s string) string {
	const limit = 80
	if len(s) > limit {
		s = s[:limit] + "..."
	}
	return strconv.Quote(s)
}

// parseTime reads every form that clients write; the format that the model
// names only decides what we write.
func parseTime(s string, format api.TimeFormat) (time.Time, error) {
	s = strings.TrimSpace(s)
	if format != api.RFC822 {
		for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02T15:04Z07:00", "2006-01-02", "20060102T150405Z"} {
			if t, err := time.Parse(layout, s); err == nil {
				return t.UTC(), nil
			}
		}
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		return unixTime(f)
	}
	if t, err := http.ParseTime(s); err == nil {
		return t.UTC(), nil
	}
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t.UTC(), nil
	}
	return time.Time{}, wrong("%s is not a timestamp", quoted(s))
}

// unixTime makes a time of seconds since 1970; years beyond 9999 are refused,
// since no text form can carry them.
func unixTime(f float64) (time.Time, error) {
	if math.IsNaN(f) || f < -62135596800 || f > 253402300799 {
		return time.Time{}, wrong("%g is not a timestamp", f)
	}
	whole, part := math.Modf(f)
	return time.Unix(int64(whole), int64(math.Round(part*1e3))*1e6).UTC(), nil
}

// appendText writes a scalar in its text form.
func appendText(b []byte, p *plan, v reflect.Value, format api.TimeFormat) []byte {
	switch p.shape.Kind {
	case api.String:
		return append(b, v.String()...)
	case api.Boolean:
		return strconv.AppendBool(b, v.Bool())
	case api.Integer, api.Long:
		return strconv.AppendInt(b, v.Int(), 10)
	case api.Float, api.Double:
		return strconv.AppendFloat(b, v.Float(), 'g', -1, p.typ.Bits())
	case api.Timestamp:
		return appendTime(b, v.Interface().(time.Time), format)
	case api.Blob:
		return base64.StdEncoding.AppendEncode(b, v.Bytes())
	}
	panic("wire: " + p.shape.Name + " has no text form")
}

func appendTime(b []byte, t time.Time, format api.TimeFormat) []byte {
	t = t.UTC()
	switch format {
	case api.UnixTime:
		return appendUnix(b, t)
	case api.RFC822:
		return t.AppendFormat(b, http.TimeFormat)
	}
	return t.AppendFormat(b, "2006-01-02T15:04:05.000Z")
}

// appendUnix writes seconds since 1970, with milliseconds where there are any.
func appendUnix(b []byte, t time.Time) []byte {
	ms := t.UnixMilli()
	if ms%1000 == 0 {
		return strconv.AppendInt(b, ms/1000, 10)
	}
	return strconv.AppendFloat(b, float64(ms)/1000, 'f', -1, 64)
}

// isScalar tells shapes that have a text form from those that have not.
func isScalar(k api.Kind) bool {
	switch k {
	case api.Structure, api.List, api.Map, api.Document:
		return false
	}
	return true
}
