package wire

import (
	"net/http"
	"net/url"
	"strings"
)

// BucketOf tells the bucket that a request to S3 names, by its host or its path,
// and the host without it. ok is false for a request to another service. It
// reads no body: a handler before this one asks it.
func (h *Handler) BucketOf(r *http.Request) (bucket, host string, ok bool) {
	x := &exchange{h: h, r: r, query: r.URL.Query()}
	if scope, signed := x.scope(); signed {
		if scope != "s3" {
			return "", "", false
		}
	} else if s := h.serviceOfHost(r.Host); s != nil && s.desc.Name != "s3" {
		return "", "", false
	} else if _, plain := x.apparent().(restXML); !plain {
		return "", "", false
	}
	if bucket, host = h.bucketOf(r.Host); bucket != "" {
		return bucket, host, true
	}
	first, _, _ := strings.Cut(strings.TrimPrefix(r.URL.EscapedPath(), "/"), "/")
	bucket, err := url.PathUnescape(first)
	return bucket, host, err == nil
}
