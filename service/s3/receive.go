package s3

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // entity tags are MD5 by S3's definition.
	"errors"
	"hash"
	"io"
	"sync"

	"github.com/slipway/slipway/auth/checksum"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/service/s3/blob"
)

// Bodies pass through buffers of bufferSize bytes. hashAhead is how many of them
// may wait for a hash: with the one being read and the one being hashed, that
// bounds the memory of an upload.
const (
	bufferSize = 256 << 10
	hashAhead  = 2
)

var (
	buffers      = sync.Pool{New: func() any { b := make([]byte, bufferSize); return &b }}
	smallBuffers = sync.Pool{New: func() any { b := make([]byte, inlineLimit+1); return &b }} // to see the end
)

// hasher makes the sums of a body. The slow ones have a goroutine each, so that
// an upload takes as long as its slowest sum and not as long as all of them.
// sums ends the goroutines and waits for them.
type hasher struct {
	md5    hash.Hash
	hashes map[checksum.Algorithm]hash.Hash
	work   []chan *shared
	group  sync.WaitGroup
}

// shared is a buffer that several read; left are those who still do.
type shared struct {
	buf  *[]byte
	data []byte
	left sync.WaitGroup
}

func newHasher(algorithms []checksum.Algorithm) *hasher {
	h := &hasher{md5: md5.New(), hashes: make(map[checksum.Algorithm]hash.Hash, 1)} //nolint:gosec // as above
	for _, a := range algorithms {
		if h.hashes[a] == nil {
			h.hashes[a] = a.New()
		}
	}
	return h
}

// write takes the bytes of a body that fits one buffer.
func (h *hasher) write(p []byte) {
	h.md5.Write(p)
	for _, sum := range h.hashes {
		sum.Write(p)
	}
}

// start makes the goroutines for a body of many buffers.
func (h *hasher) start() {
	h.spawn(h.md5)
	for a, sum := range h.hashes {
		if !a.Linear() {
			h.spawn(sum)
		}
	}
}

func (h *hasher) spawn(sum hash.Hash) {
	work := make(chan *shared, hashAhead)
	h.work = append(h.work, work)
	h.group.Go(func() {
		for s := range work {
			sum.Write(s.data)
			s.left.Done()
		}
	})
}

// share hands a buffer to the goroutines, and takes the fast sums itself.
func (h *hasher) share(s *shared) {
	s.left.Add(len(h.work))
	for _, work := range h.work {
		work <- s
	}
	for a, sum := range h.hashes {
		if a.Linear() {
			sum.Write(s.data)
		}
	}
}

// stop ends the goroutines once they have hashed what they were given.
func (h *hasher) stop() {
	for _, work := range h.work {
		close(work)
	}
	h.work = nil
	h.group.Wait()
}

func (h *hasher) sums(r *received, e *encryption) {
	h.stop()
	r.md5 = h.md5.Sum(nil)
	r.tag = e.etag(r.md5)
	r.sums = make(map[checksum.Algorithm][]byte, len(h.hashes))
	for a, sum := range h.hashes {
		r.sums[a] = sum.Sum(nil)
	}
}

// intake says how a body is taken in.
type intake struct {
	length     int64 // as the request says it; 0: not known
	alwaysFile bool  // even where it is small, as the parts of an upload need
	encryption *encryption
	secret     []byte // of the encryption
}

// receive takes a body of up to maxPut bytes in, in bounded memory.
func (s *Service) receive(body io.Reader, how intake, algorithms ...checksum.Algorithm) (*received, error) {
	if body == nil {
		body = emptyBody{}
	}
	if how.length > 0 && how.length <= inlineLimit {
		return s.receiveSmall(body, how, algorithms)
	}
	buf := buffers.Get().(*[]byte)
	n, err := fill(body, *buf)
	if err != nil && err != io.EOF {
		buffers.Put(buf)
		return nil, err
	}
	h := newHasher(algorithms)
	if err != io.EOF {
		return s.receiveFile(body, how, buf, h)
	}
	defer buffers.Put(buf)
	h.write((*buf)[:n])
	r, err := s.keepSmall((*buf)[:n], how)
	if err != nil {
		return nil, err
	}
	h.sums(r, how.encryption)
	return r, nil
}

// receiveSmall takes a body in that is said to be small; where it is not after all, it
// is taken in like any other.
func (s *Service) receiveSmall(body io.Reader, how intake, algorithms []checksum.Algorithm) (*received, error) {
	buf := smallBuffers.Get().(*[]byte)
	defer smallBuffers.Put(buf)
	n, err := fill(body, *buf)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if err == nil {
		how.length = 0
		return s.receive(io.MultiReader(bytes.NewReader((*buf)[:n]), body), how, algorithms...)
	}
	h := newHasher(algorithms)
	h.write((*buf)[:n])
	r, err := s.keepSmall((*buf)[:n], how)
	if err != nil {
		return nil, err
	}
	h.sums(r, how.encryption)
	return r, nil
}

// keepSmall keeps content that fits one buffer.
func (s *Service) keepSmall(data []byte, how intake) (*received, error) {
	vault := s.blobs.Under(how.secret)
	switch {
	case len(data) == 0 && !how.alwaysFile:
		return &received{}, nil
	case len(data) <= inlineLimit && !how.alwaysFile:
		id, sealed, err := vault.Seal(data)
		return &received{content: content{inStore, id, sealed}, size: int64(len(data))}, err
	}
	w, err := vault.Create()
	if err != nil {
		return nil, err
	}
	defer w.Abort()
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	return commit(w)
}

func commit(w *blob.Writer) (*received, error) {
	id, size, err := w.Commit()
	if err != nil {
		return nil, err
	}
	return &received{content: content{Place: inFile, ID: id}, size: size}, nil
}

// ring is as many buffers as the slowest hash may lag behind, each used again
// when all are done with it.
type ring [hashAhead + 2]shared

// slot waits for a buffer to be free.
func (r *ring) slot(turn int) *shared {
	s := &r[turn%len(r)]
	if s.buf == nil {
		s.buf = buffers.Get().(*[]byte)
	}
	s.left.Wait()
	return s
}

func (r *ring) release() {
	for i := range r {
		if r[i].buf != nil {
			r[i].left.Wait()
			buffers.Put(r[i].buf)
		}
	}
}

// receiveFile takes in a body of which first holds the beginning. Hashing goes
// on beside reading and writing.
func (s *Service) receiveFile(body io.Reader, how intake, first *[]byte, h *hasher) (*received, error) {
	slots := &ring{}
	defer slots.release()
	slots[0].buf = first
	w, err := s.blobs.Under(how.secret).Create()
	if err != nil {
		return nil, err
	}
	defer w.Abort()
	h.start()
	defer h.stop()
	slot, size := slots.slot(0), int64(len(*first))
	slot.data = *first
	for turn, end := 1, false; ; turn++ {
		if size > maxPut {
			return nil, entityTooLarge(size, maxPut)
		}
		h.share(slot)
		if _, err := w.Write(slot.data); err != nil {
			return nil, err
		}
		if end {
			break
		}
		slot = slots.slot(turn)
		n, err := fill(body, *slot.buf)
		if err != nil && err != io.EOF {
			return nil, err
		}
		slot.data, end = (*slot.buf)[:n], err == io.EOF
		size += int64(n)
	}
	r, err := commit(w)
	if err != nil {
		return nil, err
	}
	h.sums(r, how.encryption)
	return r, nil
}

// fill reads until buf is full or the body ends, which is io.EOF. A body that
// breaks off is the client's fault, and said as S3 says it.
func fill(body io.Reader, buf []byte) (int, error) {
	n := 0
	for n < len(buf) {
		m, err := body.Read(buf[n:])
		n += m
		if err == io.EOF {
			return n, io.EOF
		}
		if err != nil {
			return n, bodyError(err)
		}
	}
	return n, nil
}

func bodyError(err error) error {
	if _, ok := fault.As(err); ok || errors.Is(err, context.Canceled) || errors.Is(err, blob.ErrDamaged) {
		return err
	}
	return fault.New(fault.IncompleteBody, "You did not provide the number of bytes specified by the Content-Length HTTP header").
		Because(err)
}
