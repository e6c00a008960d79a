package wire

import (
	"bytes"
	"crypto/md5" // #nosec G501 -- Content-MD5 is a checksum against accidents
	"encoding/base64"
	"net/http"
	"reflect"
	"strings"

	"github.com/slipway/slipway/api"
	"github.com/slipway/slipway/fault"
)

// restXML is the REST protocol with XML bodies, and S3's ways with it.
type restXML struct{}

func (restXML) id() api.Protocol { return api.RESTXML }

func (restXML) decode(x *exchange, d *decoding, p *plan, v reflect.Value) error {
	if err := d.bind(x, p, v); err != nil {
		return err
	}
	doc, body, err := restBody(x, p, v)
	if err != nil || len(body) == 0 {
		return err
	}
	if err := checkMD5(x.r.Header.Get("Content-MD5"), body); err != nil {
		return err
	}
	if doc == nil && len(p.byName) == 0 {
		return nil // the operation has no body; S3 takes one all the same
	}
	root, err := parseXML(body)
	if err != nil {
		return err
	}
	if doc != nil {
		return at(doc.path, d.xmlMember(doc, doc.open(v), root))
	}
	return d.xmlStructure(p, v, root)
}

// checkMD5 compares a body with the checksum that its sender computed.
func checkMD5(want string, body []byte) error {
	if want == "" {
		return nil
	}
	sum, err := base64.StdEncoding.DecodeString(want)
	if err != nil || len(sum) != md5.Size {
		return fault.New(fault.InvalidDigest, "The Content-MD5 you specified was invalid.")
	}
	if got := md5.Sum(body); !bytes.Equal(got[:], sum) { // #nosec G401 -- as above
		return fault.New(fault.BadDigest, "The Content-MD5 you specified did not match what we received.")
	}
	return nil
}

func (restXML) encode(x *exchange, resp *response, p *plan, v reflect.Value) error {
	doc, whole := restOutput(x, resp, p, v)
	w := xmlWriter{b: append(make([]byte, 0, firstRoom), xmlHeader...)}
	s3 := x.svc.desc.Name == "s3"
	switch {
	case whole && s3 && x.op.Name == "GetBucketLocation":
		// the one answer whose root element is the value itself
		w.open("LocationConstraint", x.svc.desc.XMLNamespace)
		if loc, ok := p.fields[0].get(v); ok {
			w.b = appendEscaped(w.b, loc.String())
		}
		w.close("LocationConstraint")
		resp.body = w.b
	case whole:
		root := rootName(x, p)
		w.open(root, x.svc.desc.XMLNamespace)
		w.members(p, v)
		w.close(root)
		resp.body = w.b
	case doc != nil:
		fv, _ := doc.get(v)
		f := *doc
		if f.XMLNS == "" {
			f.XMLNS = x.svc.desc.XMLNamespace
		}
		name := f.Wire
		if name == "" {
			name = f.plan.shape.Name
		}
		w.member(&f, name, fv)
		resp.body = w.b
	}
	h := resp.header
	if h.Get("Content-Type") == "" {
		switch {
		case resp.stream != nil:
			h.Set("Content-Type", "binary/octet-stream")
		case len(resp.body) > 0 && (doc != nil || whole):
			h.Set("Content-Type", "application/xml")
		case len(resp.body) > 0:
			h.Set("Content-Type", "application/json") // a bucket's policy
		}
	}
	if h.Get("Content-Range") != "" && resp.status == http.StatusOK {
		resp.status = http.StatusPartialContent
	}
	return nil
}

// s3Roots are the root elements that S3's documentation gives and its model
// does not.
var s3Roots = map[string]string{
	"ListBuckets": "ListAllMyBucketsResult", "ListObjects": "ListBucketResult", "ListObjectsV2": "ListBucketResult",
	"ListObjectVersions": "ListVersionsResult", "ListMultipartUploads": "ListMultipartUploadsResult",
	"ListParts": "ListPartsResult", "CreateMultipartUpload": "InitiateMultipartUploadResult",
	"CompleteMultipartUpload": "CompleteMultipartUploadResult", "DeleteObjects": "DeleteResult",
	"GetBucketAcl": "AccessControlPolicy", "GetObjectAcl": "AccessControlPolicy",
	"GetBucketVersioning": "VersioningConfiguration", "GetBucketTagging": "Tagging", "GetObjectTagging": "Tagging",
	"GetBucketCors": "CORSConfiguration", "GetBucketLifecycleConfiguration": "LifecycleConfiguration",
	"GetBucketWebsite": "WebsiteConfiguration", "GetBucketLogging": "BucketLoggingStatus",
	"GetBucketNotificationConfiguration": "NotificationConfiguration",
	"GetBucketRequestPayment":            "RequestPaymentConfiguration",
	"GetBucketAccelerateConfiguration":   "AccelerateConfiguration",
	"GetObjectAttributes":                "GetObjectAttributesResponse",
}

func rootName(x *exchange, p *plan) string {
	if x.svc.desc.Name == "s3" {
		if name := s3Roots[x.op.Name]; name != "" {
			return name
		}
	}
	if p.shape.XMLName != "" {
		return p.shape.XMLName
	}
	return p.shape.Name
}

func (restXML) refuse(x *exchange, resp *response, e *fault.Error, shape *api.Shape) {
	resp.header.Set("Content-Type", "application/xml")
	if x.svc != nil && x.svc.desc.Name != "s3" {
		awsQuery{}.refuse(x, resp, e, shape)
		return
	}
	if etag, ok := e.Fields["ETag"].(string); ok && resp.status == http.StatusNotModified {
		resp.header.Set("ETag", etag)
	}
	for _, h := range e.Headers {
		resp.header.Set(h[0], h[1])
	}
	if region, ok := e.Fields["Region"].(string); ok {
		resp.header.Set("x-amz-bucket-region", region)
	}
	if x.r.Method == http.MethodHead || resp.status == http.StatusNotModified {
		return // no body; clients go by the status
	}
	code := e.Code
	switch code {
	case fault.InternalFailure:
		code = "InternalError"
	case fault.RequestTooLarge:
		code = fault.EntityTooLarge
	}
	w := xmlWriter{b: append(make([]byte, 0, firstRoom), xmlHeader...)}
	w.open("Error", "")
	w.element("Code", code)
	w.element("Message", e.Message)
	w.fields(x, e, shape)
	if _, ok := e.Fields["Resource"]; !ok {
		w.element("Resource", x.r.URL.Path)
	}
	w.element("RequestId", x.id)
	w.element("HostId", hostID(x.id))
	w.close("Error")
	resp.body = w.b
}

// hostID is S3's second name of a request.
func hostID(id string) string {
	return base64.StdEncoding.EncodeToString([]byte("slipway:" + id))
}

func (restXML) unreadable(x *exchange, err *typeError) *fault.Error {
	if x.svc == nil || x.svc.desc.Name != "s3" {
		return fault.New(fault.MalformedInput, "%s", err.Error())
	}
	if strings.HasPrefix(err.detail, "the body") || x.body != nil {
		return fault.New(fault.MalformedXML, "The XML you provided was not well-formed or did not validate against our published schema")
	}
	return fault.New(fault.InvalidArgument, "Provided argument is not valid: %s", err.Error())
}

func (restXML) unknown(x *exchange) *fault.Error {
	return fault.New(fault.MethodNotAllowed, "The specified method is not allowed against this resource.").
		With("Method", x.r.Method).With("ResourceType", "SERVICE")
}
