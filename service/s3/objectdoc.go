package s3

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/slipway/slipway/auth/checksum"
)

// An object's record is written in a form of its own: that of a small object
// holds its bytes, and as JSON it would be the largest part of a put and a get.
//
//	form      1 byte, docForm
//	sealed    length of the sealed bytes, which end the record
//	Seq, Place (1 byte), ID
//	Key, Modified (seconds, nanoseconds), Size, ETag, Version, Marker (1 byte)
//	Sum       Algorithm, Value, Type; three times "" without one
//	Meta      eight strings, number of pairs, pairs in the order of their keys
//	rest      JSON of objectRest; "" where that is empty
//
// Numbers are varints, strings have their length before them. Records of before
// are JSON (package store reads them), until their object is written again.
const docForm = 1

// objectRest is the members that few objects have.
type objectRest struct {
	Upload string      `json:",omitempty"`
	Parts  int32       `json:",omitempty"`
	Enc    *encryption `json:",omitempty"`
	Tags   []tag       `json:",omitempty"`
	Access *access     `json:",omitempty"`
	Lock   *lock       `json:",omitempty"`
}

// places are the numbers of the places of content.
var places = []string{"", inStore, inFile, inParts}

// docRoom is about what a record needs beside the sealed bytes and the key.
const docRoom = 256

func appendString(to []byte, s string) []byte {
	return append(binary.AppendUvarint(to, uint64(len(s))), s...)
}

// AppendDoc implements store.Coder.
func (o *object) AppendDoc(to []byte) []byte {
	to = slices.Grow(to, docRoom+len(o.Key)+len(o.Content.Sealed))
	to = binary.AppendUvarint(append(to, docForm), uint64(len(o.Content.Sealed)))
	to = append(binary.AppendVarint(to, o.Seq), byte(slices.Index(places, o.Content.Place)))
	to = appendString(appendString(to, o.Content.ID), o.Key)
	to = binary.AppendVarint(to, o.Modified.Unix())
	to = binary.AppendUvarint(to, uint64(o.Modified.Nanosecond()))
	to = binary.AppendVarint(to, o.Size)
	to = appendString(appendString(to, o.ETag), o.Version)
	marker := byte(0)
	if o.Marker {
		marker = 1
	}
	to = append(to, marker)
	var s sum
	if o.Sum != nil {
		s = *o.Sum
	}
	to = appendString(appendString(appendString(to, string(s.Algorithm)), s.Value), s.Type)
	for _, text := range o.Meta.texts() {
		to = appendString(to, *text)
	}
	to = binary.AppendUvarint(to, uint64(len(o.Meta.User)))
	if len(o.Meta.User) > 0 {
		for _, k := range sortedKeys(o.Meta.User) {
			to = appendString(appendString(to, k), o.Meta.User[k])
		}
	}
	to = appendString(to, o.rest())
	return append(to, o.Content.Sealed...)
}

func (o *object) rest() string {
	if o.Upload == "" && o.Parts == 0 && o.Enc == nil && o.Tags == nil && o.Access == nil && o.Lock == nil {
		return ""
	}
	text, _ := json.Marshal(objectRest{o.Upload, o.Parts, o.Enc, o.Tags, o.Access, o.Lock}) // such values always encode
	return string(text)
}

// texts are the metadata that are strings, in the order of the record.
func (m *meta) texts() [8]*string {
	return [...]*string{&m.CacheControl, &m.ContentDisposition, &m.ContentEncoding, &m.ContentLanguage,
		&m.ContentType, &m.Expires, &m.Redirect, &m.StorageClass}
}

var errDoc = errors.New("s3: the record of an object is cut short")

// docReader reads a record. After an error it reads zeros.
type docReader struct {
	text string
	err  error
}

func (r *docReader) fail() { r.text, r.err = "", errDoc }

func (r *docReader) uvarint() uint64 {
	var v uint64
	for i := 0; i < len(r.text) && i < binary.MaxVarintLen64; i++ {
		b := r.text[i]
		v |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			r.text = r.text[i+1:]
			return v
		}
	}
	r.fail()
	return 0
}

func (r *docReader) varint() int64 {
	u := r.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

func (r *docReader) byte() byte {
	if r.text == "" {
		r.fail()
		return 0
	}
	b := r.text[0]
	r.text = r.text[1:]
	return b
}

func (r *docReader) string() string {
	n := r.uvarint()
	if n > uint64(len(r.text)) {
		r.fail()
		return ""
	}
	s := r.text[:n]
	r.text = r.text[n:]
	return s
}

// openDoc begins to read a record, and gives its sealed bytes, which stay doc's.
func openDoc(doc []byte) (r docReader, sealed []byte, err error) {
	if len(doc) == 0 || doc[0] != docForm {
		return r, nil, fmt.Errorf("s3: the record of an object has a form that this version does not know: %x", doc[:min(len(doc), 1)])
	}
	n, width := binary.Uvarint(doc[1:])
	if width <= 0 || n > uint64(len(doc)-1-width) {
		return r, nil, errDoc
	}
	cut := len(doc) - int(n)
	return docReader{text: string(doc[1+width : cut])}, doc[cut:], nil
}

func (r *docReader) place() string {
	n := int(r.byte())
	if n >= len(places) {
		r.fail()
		return ""
	}
	return places[n]
}

// DecodeDoc implements store.Coder.
func (o *object) DecodeDoc(doc []byte) error {
	r, sealed, err := openDoc(doc)
	if err != nil {
		return err
	}
	o.Seq = r.varint()
	o.Content = content{Place: r.place(), ID: r.string()}
	if len(sealed) > 0 {
		o.Content.Sealed = sealed
	}
	o.Key = r.string()
	o.Modified = time.Unix(r.varint(), int64(r.uvarint())).UTC()
	o.Size, o.ETag, o.Version, o.Marker = r.varint(), r.string(), r.string(), r.byte() == 1
	if s := (sum{checksum.Algorithm(r.string()), r.string(), r.string()}); s != (sum{}) {
		o.Sum = &s
	}
	for _, text := range o.Meta.texts() {
		*text = r.string()
	}
	if n := r.uvarint(); n > 0 && r.err == nil {
		o.Meta.User = map[string]string{}
		for ; n > 0 && r.err == nil; n-- {
			k := r.string()
			o.Meta.User[k] = r.string()
		}
	}
	if rest := r.string(); rest != "" {
		return o.setRest(rest)
	}
	return r.err
}

func (o *object) setRest(text string) error {
	var rest objectRest
	if err := json.Unmarshal([]byte(text), &rest); err != nil {
		return err
	}
	o.Upload, o.Parts, o.Enc = rest.Upload, rest.Parts, rest.Enc
	o.Tags, o.Access, o.Lock = rest.Tags, rest.Access, rest.Lock
	return nil
}

// DecodeDoc implements store.Decoder.
func (h *objectHead) DecodeDoc(doc []byte) error {
	if len(doc) == 0 || doc[0] != docForm {
		return fmt.Errorf("s3: the record of an object has a form that this version does not know: %x", doc[:min(len(doc), 1)])
	}
	_, width := binary.Uvarint(doc[1:])
	if width <= 0 {
		return errDoc
	}
	r := docReader{text: string(doc[1+width : min(len(doc), 1+width+headRoom)])}
	h.Seq = r.varint()
	h.Content.Place, h.Content.ID = r.place(), r.string()
	return r.err
}

// headRoom is more than the head of a record takes.
const headRoom = 2*binary.MaxVarintLen64 + 64
