package cloudcontrol

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
)

// decode reads JSON into v, with whole numbers as int64 as properties have them.
func decode(text []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is something behind the JSON value")
	}
	switch v := v.(type) {
	case *map[string]any:
		numbers(*v)
	case *change:
		numbers(v.Prior)
		numbers(v.Target)
	}
	return nil
}

func numbers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = numbers(v[k])
		}
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, err := v.Float64()
		if err != nil {
			return string(v) // larger than any number that a property can be
		}
		return f
	}
	return v
}
