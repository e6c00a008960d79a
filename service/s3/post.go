package s3

import (
	"context"
	"encoding/xml"
	"errors"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
)

// A browser's form becomes a PutObject: the form's policy and signature are
// checked here, and the request goes on as one that its sender made.

const (
	maxFormFields = 20 << 10 // bytes before the file
	maxFormCount  = 200
	drainForSize  = 1 << 20 // bytes read on to tell how large a refused file is
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// form is a browser's form up to its file.
type form struct {
	fields   map[string]string // by name in lower case
	names    map[string]string // the names as they were given
	file     io.Reader
	filename string
}

func missingField(name string) error {
	return fault.New(fault.InvalidArgument, "Bucket POST must contain a field named '%s'.  If it is specified, please check the order of the fields.", name).
		With("ArgumentName", name).With("ArgumentValue", "")
}

func malformedPost() *fault.Error {
	return fault.New(fault.MalformedPOSTRequest, "The body of your POST request is not well-formed multipart/form-data.")
}

// readForm reads the fields and comes to a stop at the file.
func readForm(r *http.Request) (*form, error) {
	parts, err := r.MultipartReader()
	if err != nil {
		return nil, malformedPost()
	}
	out := &form{fields: map[string]string{}, names: map[string]string{}}
	left := int64(maxFormFields)
	for range maxFormCount {
		p, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return nil, fault.New(fault.InvalidArgument, "POST requires exactly one file upload per request.").
				With("ArgumentName", "file").With("ArgumentValue", "0")
		}
		if err != nil {
			return nil, malformedPost().Because(err)
		}
		name := strings.ToLower(p.FormName())
		if name == "file" {
			out.file, out.filename = p, fileName(p)
			return out, nil
		}
		v, err := io.ReadAll(io.LimitReader(p, left+1))
		if err != nil {
			return nil, malformedPost().Because(err)
		}
		if left -= int64(len(v) + len(name)); left < 0 {
			return nil, fault.New(fault.MaxPostPreDataLength, "Your POST request fields preceding the upload file were too large.").
				With("MaxPostPreDataLengthBytes", strconv.Itoa(maxFormFields))
		}
		out.fields[name], out.names[name] = string(v), p.FormName()
	}
	return nil, malformedPost()
}

// fileName is the last part of the file's name, or "" where it has none.
func fileName(p *multipart.Part) string {
	name := p.FileName()
	if name == "" {
		return ""
	}
	return path.Base(strings.ReplaceAll(name, `\`, "/"))
}

// signature is the form's signature. One with a policy must have it whole.
func (f *form) signature() (auth.Form, error) {
	sig := auth.Form{
		Policy: f.fields["policy"], Algorithm: f.fields["x-amz-algorithm"], Credential: f.fields["x-amz-credential"],
		Signature: f.fields["x-amz-signature"], Token: f.fields["x-amz-security-token"], LegacyKey: f.fields["awsaccesskeyid"],
	}
	var needed []string
	switch {
	case sig.Algorithm != "" || sig.Credential != "" || sig.Signature != "":
		needed = []string{"policy", "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature"}
	case sig.Policy != "" || sig.LegacyKey != "" || f.fields["signature"] != "":
		needed = []string{"policy", "AWSAccessKeyId", "signature"}
	}
	for _, name := range needed {
		if _, ok := f.fields[strings.ToLower(name)]; !ok {
			return sig, missingField(name)
		}
	}
	return sig, nil
}

// servePost answers a form that was posted to a bucket.
func (f *front) servePost(w http.ResponseWriter, r *http.Request, bucketName, host string) {
	in, err := readForm(r)
	if err != nil {
		f.refuse(w, r, err)
		return
	}
	put, err := f.formRequest(r, in, bucketName, host)
	if err != nil {
		f.refuse(w, r, err)
		return
	}
	answer := &held{header: http.Header{}}
	f.Next.ServeHTTP(answer, put)
	h := w.Header()
	maps.Copy(h, answer.header)
	if answer.status != http.StatusOK {
		h.Set("Connection", "close") // the rest of the file is not read
		w.WriteHeader(answer.status)
		_, _ = w.Write(answer.body) // a client that went away is no error of ours
		return
	}
	f.posted(w, r, in, bucketName, host)
}

// formRequest is the PutObject that a form means.
func (f *front) formRequest(r *http.Request, in *form, bucketName, host string) (*http.Request, error) {
	key, ok := in.fields["key"]
	if !ok {
		return nil, missingField("key")
	}
	if in.filename != "" {
		key = strings.ReplaceAll(key, "${filename}", in.filename)
	}
	if key == "" { // else the path would name the bucket itself
		return nil, invalidArgument("key", "", "User key must have a length greater than 0.")
	}
	sig, err := in.signature()
	if err != nil {
		return nil, err
	}
	sender, err := f.Form(r.Context(), sig)
	if err != nil {
		return nil, err
	}
	body := &sizedBody{Reader: in.file, most: maxPut}
	if sig.Policy != "" {
		policy, err := readPostPolicy(sig.Policy, f.now())
		if err != nil {
			return nil, err
		}
		fields := maps.Clone(in.fields)
		fields["bucket"], fields["key"] = bucketName, key
		if err := policy.check(fields); err != nil {
			return nil, err
		}
		if policy.sized {
			body.least, body.most = policy.least, min(policy.most, maxPut)
		}
	}
	header, err := in.header(r)
	if err != nil {
		return nil, err
	}
	ctx := context.WithValue(r.Context(), frontKey{}, fronted{form: &sender, cors: OriginAllowed(r.Context())})
	put := r.Clone(ctx)
	put.Method, put.Host, put.Header = http.MethodPut, host, header
	put.URL = &url.URL{Path: "/" + bucketName + "/" + key, RawPath: "/" + bucketName + "/" + url.PathEscape(key)}
	put.RequestURI = put.URL.RequestURI()
	put.Body, put.ContentLength, put.TransferEncoding, put.Form, put.MultipartForm = io.NopCloser(body), -1, nil, nil, nil
	return put, nil
}

// header are the headers that the form's fields stand for.
func (f *form) header(r *http.Request) (http.Header, error) {
	out := http.Header{}
	for _, name := range []string{"Origin", "User-Agent", "Referer", "Sec-Fetch-Site"} {
		if v := r.Header.Get(name); v != "" {
			out.Set(name, v)
		}
	}
	for name, v := range f.fields {
		switch name {
		case "acl":
			out.Set("X-Amz-Acl", v)
		case "tagging":
			tags, err := formTags(v)
			if err != nil {
				return nil, err
			}
			out.Set("X-Amz-Tagging", tags)
		case "content-type", "cache-control", "content-disposition", "content-encoding", "expires":
			out.Set(name, v)
		case "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature", "x-amz-security-token":
		default:
			if strings.HasPrefix(name, copySourceHeader) {
				return nil, invalidArgument(name, v, "A form does not copy objects.")
			}
			if strings.HasPrefix(name, "x-amz-") {
				out.Set(name, v)
			}
		}
	}
	for name, list := range out {
		if strings.ContainsAny(list[0], "\r\n\x00") {
			return nil, invalidArgument(name, "", "Header values must not contain line breaks.")
		}
	}
	return out, nil
}

// formTags turns the XML of the tagging field into the form of the header.
func formTags(text string) (string, error) {
	var doc struct {
		XMLName xml.Name `xml:"Tagging"`
		Tags    []tag    `xml:"TagSet>Tag"`
	}
	if err := xml.Unmarshal([]byte(text), &doc); err != nil {
		return "", malformedXML()
	}
	var out []string
	for _, t := range doc.Tags {
		out = append(out, url.QueryEscape(t.Key)+"="+url.QueryEscape(t.Value))
	}
	return strings.Join(out, "&"), nil
}

// posted answers a form whose object is kept.
func (f *front) posted(w http.ResponseWriter, r *http.Request, in *form, bucketName, host string) {
	h := w.Header()
	h.Del("Content-Length")
	h.Del("Content-Type")
	key := strings.ReplaceAll(in.fields["key"], "${filename}", in.filename)
	if in.filename == "" {
		key = in.fields["key"]
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	location := scheme + "://" + host + "/" + bucketName + "/" + escapePath(key)
	to := in.fields["success_action_redirect"]
	if to == "" {
		to = in.fields["redirect"]
	}
	if u, err := url.Parse(to); to != "" && err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" {
		q := u.Query()
		q.Set("bucket", bucketName)
		q.Set("key", key)
		q.Set("etag", h.Get("ETag"))
		u.RawQuery = q.Encode()
		h.Set("Location", u.String())
		h.Set("Content-Length", "0")
		w.WriteHeader(http.StatusSeeOther)
		return
	}
	h.Set("Location", location)
	switch in.fields["success_action_status"] {
	case "200":
		h.Set("Content-Length", "0")
		w.WriteHeader(http.StatusOK)
	case "201":
		body, _ := xml.Marshal(struct { // strings only: it never fails
			XMLName                     xml.Name `xml:"PostResponse"`
			Location, Bucket, Key, ETag string
		}{Location: location, Bucket: bucketName, Key: key, ETag: h.Get("ETag")})
		h.Set("Content-Type", "application/xml")
		h.Set("Content-Length", strconv.Itoa(len(xml.Header)+len(body)))
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, xml.Header+string(body))
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

// held is an answer that is kept to be looked at. Answers to PutObject are small.
type held struct {
	header http.Header
	status int
	body   []byte
}

func (h *held) Header() http.Header { return h.header }

func (h *held) WriteHeader(status int) {
	if h.status == 0 {
		h.status = status
	}
}

func (h *held) Write(b []byte) (int, error) {
	h.WriteHeader(http.StatusOK)
	h.body = append(h.body, b...)
	return len(b), nil
}

// sizedBody is a file whose size has to lie within bounds.
type sizedBody struct {
	io.Reader
	least, most int64
	n           int64
}

func (b *sizedBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	b.n += int64(n)
	if b.n > b.most {
		rest, _ := io.CopyN(io.Discard, b.Reader, drainForSize) // as far as it can be told
		return 0, entityTooLarge(b.n+rest, b.most)
	}
	switch {
	case errors.Is(err, io.EOF) && b.n < b.least:
		return n, fault.New(fault.EntityTooSmall, "Your proposed upload is smaller than the minimum allowed size").
			With("ProposedSize", strconv.FormatInt(b.n, 10)).With("MinSizeAllowed", strconv.FormatInt(b.least, 10))
	case err != nil && !errors.Is(err, io.EOF):
		return n, malformedPost().Because(err)
	}
	return n, err
}
