package boot

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
)

// ConsoleSize is how much of the console is kept (GetConsoleOutput's 64 KiB).
const ConsoleSize = 64 << 10

const (
	ringSize   = 2 * ConsoleSize // so that a reader is never overtaken by one write
	ringHeader = 8               // bytes ever written, big endian
)

// Ring is the console in a file of bounded size: a header that counts the
// bytes ever written, and then the bytes in a circle. One process writes, others
// read; neither needs the other to be there.
type Ring struct {
	mu    sync.Mutex
	file  RingFile
	total uint64
}

// RingFile is an open file.
type RingFile interface {
	io.ReaderAt
	io.WriterAt
}

// OpenRing goes on at the end of the ring in file; an empty file is a new ring.
func OpenRing(file RingFile) (*Ring, error) {
	total, err := ringTotal(file)
	return &Ring{file: file, total: total}, err
}

func ringTotal(file io.ReaderAt) (uint64, error) {
	var h [ringHeader]byte
	n, err := file.ReadAt(h[:], 0)
	if n == 0 && errors.Is(err, io.EOF) {
		return 0, nil
	}
	if n < len(h) {
		return 0, fmt.Errorf("console: short header: %w", err)
	}
	return binary.BigEndian.Uint64(h[:]), nil
}

// Write appends to the ring.
func (r *Ring) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for rest := p; len(rest) > 0; {
		at := r.total % ringSize
		n := min(uint64(len(rest)), ringSize-at, ConsoleSize)
		if _, err := r.file.WriteAt(rest[:n], ringHeader+int64(at)); err != nil {
			return len(p) - len(rest), err
		}
		r.total += n
		rest = rest[n:]
		var h [ringHeader]byte
		binary.BigEndian.PutUint64(h[:], r.total)
		if _, err := r.file.WriteAt(h[:], 0); err != nil {
			return len(p) - len(rest), err
		}
	}
	return len(p), nil
}

// ReadRing returns the last 64 KiB that were written.
func ReadRing(file io.ReaderAt) ([]byte, error) {
	total, err := ringTotal(file)
	if err != nil {
		return nil, err
	}
	size := min(total, ConsoleSize)
	out := make([]byte, 0, size)
	for from := total - size; from < total; {
		at := from % ringSize
		n := min(total-from, ringSize-at)
		part := make([]byte, n)
		if _, err := file.ReadAt(part, ringHeader+int64(at)); err != nil {
			return nil, fmt.Errorf("console: %w", err)
		}
		out = append(out, part...)
		from += n
	}
	return out, nil
}
