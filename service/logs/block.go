package logs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"

	"github.com/slipway/slipway/auth/keyring"
	"github.com/slipway/slipway/store"
)

// Events stand in blocks: the events of one put that lie in one window of time, as
// one document, sealed. So a put of 10,000 events is a document or a few, not 10,000,
// and a million events are found by reading some hundred documents.
//
//	bulk/logs/event/<group id>/<stream id>/<first event's time><put>   a block
//	bulk/logs/window/<group id>/<window>/<stream id>                   the stream's name
//
// Windows are cut at fixed times, so whoever looks for events from a time on begins
// at that time's window, whatever the blocks: none reaches into the next. The second
// kind of document says which streams have events in a window: by it a group's events
// are read in the order of time, and the oldest found, without asking every stream.

const (
	windowLength = 10_000 // ms
	eventRoot    = store.BulkPrefix + "logs/event/"
	windowRoot   = store.BulkPrefix + "logs/window/"
	blockForm    = 1
	// overhead is what an event counts beside its text ("PutLogEvents").
	overhead = 26
)

func windowOf(ms int64) int64 { return ms / windowLength }

func eventsOf(groupID, streamID string) string { return eventRoot + groupID + "/" + streamID + "/" }

// hex16 is a number as keys have it: in the order of numbers.
func hex16(b []byte, n uint64) []byte {
	const digits = "0123456789abcdef"
	for shift := 60; shift >= 0; shift -= 4 {
		b = append(b, digits[n>>shift&15])
	}
	return b
}

// from is the key at which a stream's blocks of a time begin.
func from(root string, ms int64) string { return string(hex16([]byte(root), uint64(ms))) }

func blockKey(root string, first int64, put uint64) string {
	return string(hex16(hex16([]byte(root), uint64(first)), put))
}

// timeOf reads the first event's time and the put of a block's key.
func timeOf(key string) (first int64, put uint64, err error) {
	if len(key) < 32 {
		return 0, 0, fmt.Errorf("logs: %q is no key of a block", key)
	}
	n, err := strconv.ParseUint(key[len(key)-32:len(key)-16], 16, 63)
	if err != nil {
		return 0, 0, err
	}
	put, err = strconv.ParseUint(key[len(key)-16:], 16, 64)
	return int64(n), put, err
}

func windowKey(groupID string, window int64, streamID string) string {
	return from(windowRoot+groupID+"/", window) + "/" + streamID
}

// position is where an event stands in a group: events of one time are in the order
// in which they came.
type position struct {
	ms    int64
	put   uint64
	index uint32 // in the put, from 1
}

func (p position) compare(q position) int {
	switch {
	case p.ms != q.ms:
		return order(p.ms < q.ms)
	case p.put != q.put:
		return order(p.put < q.put)
	case p.index != q.index:
		return order(p.index < q.index)
	}
	return 0
}

func order(less bool) int {
	if less {
		return -1
	}
	return 1
}

// idDigits is the length of an event's id, a number as on AWS.
const idDigits = 56

// id is the event's id. It begins with a digit that is no zero.
func (p position) id() string { return fmt.Sprintf("3%018d%020d%017d", p.ms, p.put, p.index) }

// parseID reads what id has written.
func parseID(text string) (p position, ok bool) {
	if len(text) != idDigits || text[0] != '3' {
		return p, false
	}
	ms, err1 := strconv.ParseUint(text[1:19], 10, 63)
	put, err2 := strconv.ParseUint(text[19:39], 10, 64)
	index, err3 := strconv.ParseUint(text[39:], 10, 32)
	return position{int64(ms), put, uint32(index)}, err1 == nil && err2 == nil && err3 == nil
}

// head is the part of a block that is not sealed.
type head struct {
	key      int   // 0, or the place of the group's data key
	count    int   // events
	bytes    int64 // that they count
	base     int   // index of the first in the put, from 1
	ingested int64
}

// block is a block that was read.
type block struct {
	head
	first  int64
	put    uint64
	sealed []byte
}

// encodeBlock makes a block's document of events that lie in one window.
func encodeBlock(ring *keyring.Ring, groupID string, h head, events []event) ([]byte, error) {
	size := 0
	for i := range events {
		size += len(events[i].text) + 8
	}
	plain := make([]byte, 0, size)
	last := events[0].ms
	for i := range events {
		plain = binary.AppendUvarint(plain, uint64(events[i].ms-last))
		plain = binary.AppendUvarint(plain, uint64(len(events[i].text)))
		plain = append(plain, events[i].text...)
		last = events[i].ms
	}
	sealed, err := ring.Seal("logs/"+groupID, plain)
	if err != nil {
		return nil, err
	}
	doc := make([]byte, 0, len(sealed)+40)
	doc = append(doc, store.Binary, blockForm)
	for _, n := range []uint64{uint64(h.key), uint64(h.count), uint64(h.bytes), uint64(h.base), uint64(h.ingested)} {
		doc = binary.AppendUvarint(doc, n)
	}
	return append(doc, sealed...), nil
}

var errBlock = errors.New("logs: a block of events is damaged")

// readBlock reads a block's document, but for its events.
func readBlock(doc store.Doc) (b block, err error) {
	if b.first, b.put, err = timeOf(doc.Key); err != nil {
		return b, err
	}
	if len(doc.Value) < 2 || doc.Value[0] != store.Binary || doc.Value[1] != blockForm {
		return b, fmt.Errorf("%w: %s has an unknown form", errBlock, doc.Key)
	}
	b.sealed = doc.Value[2:]
	var n [5]uint64
	for i := range n {
		v, size := binary.Uvarint(b.sealed)
		if size <= 0 {
			return b, fmt.Errorf("%w: %s", errBlock, doc.Key)
		}
		n[i], b.sealed = v, b.sealed[size:]
	}
	b.head = head{int(n[0]), int(n[1]), int64(n[2]), int(n[3]), int64(n[4])}
	return b, nil
}

// each gives a block's events in their order, until yield wants no more. The texts
// are good during the call.
func (b *block) each(ring *keyring.Ring, groupID string, yield func(position, []byte) bool) error {
	plain, err := ring.Open("logs/"+groupID, b.sealed)
	if err != nil {
		return err
	}
	at := position{b.first, b.put, uint32(b.base)}
	for len(plain) > 0 {
		delta, n := binary.Uvarint(plain)
		if n <= 0 {
			return errBlock
		}
		plain = plain[n:]
		size, n := binary.Uvarint(plain)
		if n <= 0 || size > uint64(len(plain)-n) {
			return errBlock
		}
		at.ms += int64(delta)
		if !yield(at, plain[n:n+int(size)]) {
			return nil
		}
		plain = plain[n+int(size):]
		at.index++
	}
	return nil
}
