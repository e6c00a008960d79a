package disk

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// A packed file is a sparse file as a stream without its holes: its magic, its
// size, then each extent as offset, length and bytes, and one of no length at the
// file's end. Numbers are big-endian, 8 bytes each.

const (
	packMagic  = "SLWPACK1"
	packNumber = 8
	// packGap is the hole that is not worth an extent of its own.
	packGap = 64 << 10
	// maxPacked bounds the size that an unpacked file claims.
	maxPacked = 1 << 46
)

// ErrBadPack is a stream that is no packed file.
var ErrBadPack = errors.New("disk: this is not a packed file")

// Extent is a part of a file that holds data.
type Extent struct{ From, To int64 }

// Packing is what Write will write of a file. The file must not change meanwhile
// where what comes out is to be what it is.
type Packing struct {
	File    *os.File
	Size    int64 // the file's
	Extents []Extent
}

// Packed looks at a file.
func Packed(f *os.File) (Packing, error) {
	st, err := f.Stat()
	if err != nil {
		return Packing{}, err
	}
	p := Packing{File: f, Size: st.Size()}
	err = eachExtent(f, p.Size, func(e Extent) error {
		if last := len(p.Extents) - 1; last >= 0 && e.From-p.Extents[last].To < packGap {
			p.Extents[last].To = e.To
			return nil
		}
		p.Extents = append(p.Extents, e)
		return nil
	})
	return p, err
}

// Length is how many bytes Write writes.
func (p Packing) Length() int64 {
	n := int64(len(packMagic) + packNumber + 2*packNumber)
	for _, e := range p.Extents {
		n += 2*packNumber + e.To - e.From
	}
	return n
}

// Write writes the packed file. What has become shorter meanwhile ends in zeros.
func (p Packing) Write(ctx context.Context, w io.Writer) error {
	if err := putNumbers(w, packMagic, p.Size); err != nil {
		return err
	}
	buf := make([]byte, 256<<10)
	for _, e := range p.Extents {
		if err := putNumbers(w, "", e.From, e.To-e.From); err != nil {
			return err
		}
		for at := e.From; at < e.To; {
			if err := ctx.Err(); err != nil {
				return err
			}
			part := buf[:min(int64(len(buf)), e.To-at)]
			n, err := p.File.ReadAt(part, at)
			if err != nil && !errors.Is(err, io.EOF) {
				return err
			}
			clear(part[n:])
			if _, err := w.Write(part); err != nil {
				return err
			}
			at += int64(len(part))
		}
	}
	return putNumbers(w, "", p.Size, 0)
}

func putNumbers(w io.Writer, magic string, numbers ...int64) error {
	b := []byte(magic)
	for _, n := range numbers {
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	_, err := w.Write(b)
	return err
}

// Unpack writes a packed file's bytes into an empty file. The stream is not
// trusted: extents come in order and within the size.
func Unpack(ctx context.Context, f *os.File, r io.Reader) error {
	magic := make([]byte, len(packMagic))
	if _, err := io.ReadFull(r, magic); err != nil || string(magic) != packMagic {
		return ErrBadPack
	}
	size, err := number(r)
	if err != nil || size < 0 || size > maxPacked {
		return ErrBadPack
	}
	if err := f.Truncate(size); err != nil {
		return err
	}
	buf := make([]byte, 256<<10)
	for end := int64(0); ; {
		from, err1 := number(r)
		length, err2 := number(r)
		if err := errors.Join(err1, err2); err != nil {
			return fmt.Errorf("%w: it is cut short", ErrBadPack)
		}
		if length == 0 && from == size {
			return nil
		}
		if from < end || length <= 0 || length > size || from > size-length {
			return fmt.Errorf("%w: an extent of %d bytes at %d", ErrBadPack, length, from)
		}
		for end = from + length; from < end; {
			if err := ctx.Err(); err != nil {
				return err
			}
			part := buf[:min(int64(len(buf)), end-from)]
			if _, err := io.ReadFull(r, part); err != nil {
				return fmt.Errorf("%w: %w", ErrBadPack, err)
			}
			if _, err := f.WriteAt(part, from); err != nil {
				return err
			}
			from += int64(len(part))
		}
	}
}

func number(r io.Reader) (int64, error) {
	var b [packNumber]byte
	_, err := io.ReadFull(r, b[:])
	return int64(binary.BigEndian.Uint64(b[:])), err
}
