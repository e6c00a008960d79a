//go:build linux || darwin

package proc

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// environOf takes apart what darwin's kern.procargs2 tells of a process: the
// number of arguments, the path of the program, zeros up to a word's end, the
// arguments, the environment, and what the kernel adds behind an empty string.
func environOf(b []byte) ([]string, error) {
	if len(b) < 4 {
		return nil, errors.New("proc: kern.procargs2 tells no arguments")
	}
	argc := int(int32(binary.NativeEndian.Uint32(b)))
	_, rest, ok := bytes.Cut(b[4:], []byte{0})
	if !ok || argc < 0 || argc > len(b) {
		return nil, errors.New("proc: kern.procargs2 is cut off")
	}
	rest = bytes.TrimLeft(rest, "\x00")
	var env []string
	for n := 0; len(rest) > 0; n++ {
		var s []byte
		s, rest, _ = bytes.Cut(rest, []byte{0})
		switch {
		case n < argc: // an argument may be empty
		case len(s) == 0:
			return env, nil
		default:
			env = append(env, string(s))
		}
	}
	return env, nil
}
