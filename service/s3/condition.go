package s3

import (
	"strconv"
	"strings"
	"time"

	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// writeCondition is the If-Match and If-None-Match of a write.
type writeCondition struct{ match, noneMatch string }

func (w writeCondition) check(tx store.Tx, b *bucket, key string) error {
	if w.match == "" && w.noneMatch == "" {
		return nil
	}
	if w.noneMatch != "" && w.noneMatch != "*" {
		return headerNotImplemented("If-None-Match", "We don't accept the provided value of If-None-Match header for this API")
	}
	if w.match == "*" {
		return headerNotImplemented("If-Match", "We don't accept the provided value of If-Match header for this API")
	}
	if w.match != "" && w.noneMatch != "" {
		return headerNotImplemented("If-Match,If-None-Match", "Multiple conditional request headers present in the request")
	}
	f, err := latest(tx, b, key)
	if err != nil {
		return err
	}
	there := f.object != nil && !f.object.Marker
	switch {
	case w.noneMatch != "" && there:
		return preconditionFailed("If-None-Match")
	case w.match != "" && !there:
		return noSuchKey(key)
	case w.match != "" && !etagMatches(w.match, f.object.ETag):
		return preconditionFailed("If-Match")
	}
	return nil
}

// etagMatches compares a condition, a list of entity tags or "*", with a tag.
func etagMatches(condition, etag string) bool {
	for c := range strings.SplitSeq(condition, ",") {
		c = strings.TrimSpace(c)
		if c == "*" || strings.Trim(c, `"`) == etag {
			return true
		}
	}
	return false
}

// readCondition is the conditions of a read.
type readCondition struct {
	match, noneMatch     string
	modified, unmodified *time.Time
	prefix               string // of the headers: "x-amz-copy-source-" for a copy
}

// check decides in the order of RFC 9110, section 13.2.2. A read of what the
// client has already is "not modified", a copy of it a failed precondition.
func (c readCondition) check(o *object, now time.Time) error {
	switch {
	case c.match != "":
		if !etagMatches(c.match, o.ETag) {
			return preconditionFailed(c.prefix + "If-Match")
		}
	case c.unmodified != nil && o.Modified.After(c.unmodified.Truncate(time.Second)):
		return preconditionFailed(c.prefix + "If-Unmodified-Since")
	}
	unchanged := ""
	switch {
	case c.noneMatch != "":
		if etagMatches(c.noneMatch, o.ETag) {
			unchanged = "If-None-Match"
		}
	case c.modified != nil && !c.modified.After(now) && !o.Modified.After(*c.modified):
		unchanged = "If-Modified-Since"
	}
	switch {
	case unchanged == "":
		return nil
	case c.prefix != "":
		return preconditionFailed(c.prefix + unchanged)
	}
	return fault.New(fault.NotModified, "Not Modified").With("ETag", quote(o.ETag))
}

// span is a part of an object: what a Range header or a part number asks for.
type span struct {
	offset, length int64
	partial        bool // answered with 206
}

func (s span) contentRange(size int64) string {
	if !s.partial {
		return ""
	}
	return "bytes " + strconv.FormatInt(s.offset, 10) + "-" + strconv.FormatInt(s.offset+s.length-1, 10) + "/" + strconv.FormatInt(size, 10)
}

// parseRange reads a Range header. What is not one range of bytes is ignored,
// and the whole object is meant; a range outside of the object is InvalidRange.
func parseRange(header string, size int64) (span, error) {
	whole := span{0, size, false}
	text, ok := strings.CutPrefix(header, "bytes=")
	first, last, dash := strings.Cut(text, "-")
	if !ok || !dash || first == "" && last == "" {
		return whole, nil
	}
	unsatisfiable := fault.New(fault.InvalidRange, "The requested range is not satisfiable").
		With("ActualObjectSize", strconv.FormatInt(size, 10)).With("RangeRequested", header)
	to, okLast := digits(last)
	if first == "" {
		switch {
		case !okLast:
			return whole, nil
		case to == 0 || size == 0:
			return span{}, unsatisfiable
		}
		n := min(to, size)
		return span{size - n, n, true}, nil
	}
	from, okFirst := digits(first)
	switch {
	case !okFirst, last != "" && (!okLast || to < from):
		return whole, nil
	case from >= size:
		return span{}, unsatisfiable
	case last == "" || to >= size:
		to = size - 1
	}
	return span{from, to - from + 1, true}, nil
}

// digits reads a number as RFC 9110 writes it: without signs. One too large for
// an object's size counts as the largest.
func digits(s string) (int64, bool) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 1<<63 - 1, true
	}
	return n, true
}
