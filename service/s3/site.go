package s3

import (
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	api "github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// siteOf is the bucket whose website a host names: "bucket.s3-website.localhost",
// also with a region behind the mark, after a dash or a dot.
func siteOf(host string) (bucketName string, ok bool) {
	host, _, _ = strings.Cut(strings.ToLower(host), ":")
	i := strings.LastIndex(host, ".s3-website")
	if i <= 0 {
		return "", false
	}
	rest := host[i+len(".s3-website"):]
	if !strings.HasPrefix(rest, ".") && !strings.HasPrefix(rest, "-") {
		return "", false
	}
	for _, domain := range siteDomains {
		if strings.HasSuffix(rest, domain) {
			return host[:i], true
		}
	}
	return "", false
}

// siteDomains end the host names of websites: no stranger's DNS server answers
// for them.
var siteDomains = []string{".localhost", ".internal", ".test", ".amazonaws.com"}

// visit is one request to a website.
type visit struct {
	s    *Service
	w    http.ResponseWriter
	r    *http.Request
	ctx  context.Context // of an anonymous caller
	id   string
	name string // of the bucket
	cfg  *api.WebsiteConfiguration
}

// serveSite answers a request to a bucket's website.
func (s *Service) serveSite(w http.ResponseWriter, r *http.Request, name string, closed bool) {
	v := &visit{s: s, w: w, r: r, id: arn.NewID(""), name: name}
	w.Header().Set("x-amz-request-id", v.id)
	w.Header().Set("x-amz-id-2", hostID(v.id))
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		v.page(http.StatusMethodNotAllowed, fault.New(fault.MethodNotAllowed, "The specified method is not allowed against this resource."),
			[][2]string{{"Method", r.Method}, {"ResourceType", "OBJECT"}}, nil)
		return
	}
	b, err := v.open()
	if err != nil {
		v.page(0, err, [][2]string{{"BucketName", name}}, nil)
		return
	}
	v.ctx = visitor(r, b, v.id, closed, s.now())
	v.serve()
}

// visitor is the context of who reads a website: anybody, where authorization is
// on; else the bucket's owner, for everybody is let in.
func visitor(r *http.Request, b *bucket, id string, closed bool, now time.Time) context.Context {
	p := auth.RootOf(b.Account)
	if closed {
		p = auth.Principal{Kind: auth.Anonymous, Enforced: true}
	}
	source, _, _ := net.SplitHostPort(r.RemoteAddr)
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return auth.With(r.Context(), auth.Call{
		Principal: p, Scope: arn.Scope{Account: b.Account, Region: b.Region}, Service: "s3", Operation: "GetObject", Time: now,
		RequestID: id, SourceIP: source, UserAgent: r.UserAgent(), Referer: r.Referer(), Endpoint: scheme + "://" + r.Host,
	})
}

func (v *visit) open() (*bucket, error) {
	var b *bucket
	err := v.s.store.View(v.r.Context(), func(tx store.Tx) (err error) {
		if b, err = findBucket(tx, v.name, ""); err != nil {
			return err
		}
		v.cfg, err = websites.Get(tx, v.name)
		if errors.Is(err, store.ErrNotFound) {
			return fault.New(fault.NoSuchWebsite, noWebsiteText)
		}
		return err
	})
	return b, err
}

func (v *visit) scheme() string {
	if v.r.TLS != nil {
		return "https"
	}
	return "http"
}

func (v *visit) redirect(location string, status int) {
	v.w.Header().Set("Location", location)
	v.w.Header().Set("Content-Length", "0")
	v.w.WriteHeader(status)
}

func (v *visit) serve() {
	key := strings.TrimPrefix(v.r.URL.Path, "/")
	if all := v.cfg.RedirectAllRequestsTo; all != nil {
		scheme := all.Protocol
		if scheme == "" {
			scheme = v.scheme()
		}
		v.redirect(scheme+"://"+all.HostName+v.r.URL.RequestURI(), http.StatusMovedPermanently)
		return
	}
	if rule := redirection(v.cfg, key, 0); rule != nil {
		v.redirect(routeTo(rule, key, v.scheme(), v.r.Host))
		return
	}
	asked := key
	if key == "" || strings.HasSuffix(key, "/") {
		key += v.cfg.IndexDocument.Suffix
	}
	out, err := v.get(key)
	if (fault.Is(err, fault.NoSuchKey) || errors.Is(err, errHidden)) && !strings.HasSuffix(asked, "/") && asked != "" {
		if folder, err := v.get(asked + "/" + v.cfg.IndexDocument.Suffix); err == nil {
			_ = folder.Body.Close()
			v.redirect("/"+escapePath(asked)+"/", http.StatusFound)
			return
		}
	}
	if err != nil {
		v.fail(asked, key, err)
		return
	}
	if out.WebsiteRedirectLocation != "" {
		_ = out.Body.Close()
		v.redirect(out.WebsiteRedirectLocation, http.StatusMovedPermanently)
		return
	}
	v.send(out, http.StatusOK)
}

func (v *visit) get(key string) (*api.GetObjectOutput, error) {
	in := &api.GetObjectInput{Bucket: v.name, Key: key}
	h := v.r.Header
	in.Range, in.IfNoneMatch, in.IfMatch = h.Get("Range"), h.Get("If-None-Match"), h.Get("If-Match")
	if t, err := http.ParseTime(h.Get("If-Modified-Since")); err == nil {
		in.IfModifiedSince = &t
	}
	return v.s.GetObject(asking(v.ctx, in), in)
}

// send answers with an object.
func (v *visit) send(out *api.GetObjectOutput, status int) {
	defer out.Body.Close()
	h := v.w.Header()
	for name, value := range map[string]string{
		"Content-Type": out.ContentType, "ETag": out.ETag, "Cache-Control": out.CacheControl,
		"Content-Disposition": out.ContentDisposition, "Content-Encoding": out.ContentEncoding,
		"Content-Language": out.ContentLanguage, "Expires": out.Expires, "Content-Range": out.ContentRange,
		"x-amz-version-id": out.VersionId,
	} {
		if value != "" {
			h.Set(name, value)
		}
	}
	for k, value := range out.Metadata {
		h.Set("x-amz-meta-"+k, value)
	}
	h.Set("Last-Modified", out.LastModified.UTC().Format(http.TimeFormat))
	h.Set("Content-Length", strconv.FormatInt(*out.ContentLength, 10))
	if out.ContentRange != "" && status == http.StatusOK {
		status = http.StatusPartialContent
	}
	v.w.WriteHeader(status)
	if v.r.Method == http.MethodHead {
		return
	}
	if _, err := io.Copy(v.w, out.Body); err != nil {
		panic(http.ErrAbortHandler) // so that the client sees a broken answer, not a short one
	}
}

// fail answers for a key that could not be read: by a redirect, the error
// document or a page that says why.
func (v *visit) fail(asked, key string, err error) {
	e, known := fault.As(err)
	if !known {
		v.page(http.StatusInternalServerError, err, nil, nil)
		return
	}
	status := siteStatus(e)
	if status == http.StatusNotModified {
		v.w.WriteHeader(status)
		return
	}
	if rule := redirection(v.cfg, asked, status); rule != nil {
		v.redirect(routeTo(rule, asked, v.scheme(), v.r.Host))
		return
	}
	var fields [][2]string
	if e.Code == fault.NoSuchKey {
		fields = [][2]string{{"Key", key}}
	}
	doc := v.cfg.ErrorDocument
	if doc == nil {
		v.page(status, err, fields, nil)
		return
	}
	v.r.Header.Del("Range") // they are about the page that is not there
	v.r.Header.Del("If-None-Match")
	v.r.Header.Del("If-Modified-Since")
	v.r.Header.Del("If-Match")
	out, docErr := v.get(doc.Key)
	if docErr != nil {
		v.page(status, err, fields, docErr)
		return
	}
	v.send(out, status)
}

func siteStatus(e *fault.Error) int {
	if e.Code == fault.NoSuchKey || e.Code == fault.NoSuchBucket || e.Code == fault.NoSuchWebsite {
		return http.StatusNotFound
	}
	return fault.Status(e.Code)
}

// page answers with a page about an error, in the form of AWS's. docErr is what
// kept the error document away.
func (v *visit) page(status int, err error, fields [][2]string, docErr error) {
	e, known := fault.As(err)
	if !known {
		v.s.log.Error("website", "requestId", v.id, "error", err)
		e = fault.New(fault.InternalFailure, "An internal error occurred.")
	}
	if status == 0 {
		status = siteStatus(e)
	}
	title := fmt.Sprintf("%d %s", status, http.StatusText(status))
	var b strings.Builder
	item := func(name, value string) { fmt.Fprintf(&b, "<li>%s: %s</li>\n", name, html.EscapeString(value)) }
	fmt.Fprintf(&b, "<html>\n<head><title>%s</title></head>\n<body>\n<h1>%s</h1>\n<ul>\n", title, title)
	item("Code", e.Code)
	item("Message", e.Message)
	for _, f := range fields {
		item(f[0], f[1])
	}
	item("RequestId", v.id)
	item("HostId", hostID(v.id))
	b.WriteString("</ul>\n")
	if d, ok := fault.As(docErr); ok {
		b.WriteString("<h3>An Error Occurred While Attempting to Retrieve a Custom Error Document</h3>\n<ul>\n")
		item("Code", d.Code)
		item("Message", d.Message)
		if d.Code == fault.NoSuchKey {
			item("Key", v.cfg.ErrorDocument.Key)
		}
		b.WriteString("</ul>\n")
	}
	b.WriteString("<hr/>\n</body>\n</html>\n")
	h := v.w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("x-amz-error-code", e.Code)
	h.Set("x-amz-error-message", strings.ReplaceAll(e.Message, "\n", " "))
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	v.w.WriteHeader(status)
	if v.r.Method != http.MethodHead {
		_, _ = io.WriteString(v.w, b.String()) // a client that went away is no error of ours
	}
}
