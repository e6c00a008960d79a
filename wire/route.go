package wire

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/slipway/slipway/api"
	"github.com/slipway/slipway/fault"
)

// route finds the service that a request is for and the protocol that it
// speaks. The signature's scope decides; then X-Amz-Target, Action and
// Version, the host; what is left is S3's. The protocol is found first, so that
// even an error goes out in it.
func (x *exchange) route() error {
	r := x.r
	if r.URL.RawQuery != "" {
		x.query = r.URL.Query()
	}
	x.host = r.Host
	x.proto = x.apparent()
	scope, ok := x.scope()
	x.unsigned = !ok
	var found []*service
	if ok {
		if found = x.h.byScope[scope]; len(found) == 0 {
			return unknownService(scope)
		}
	} else if s, err := x.unsignedService(); err != nil {
		return err
	} else {
		found = []*service{s}
	}
	x.svc = found[0]
	for _, s := range found[1:] {
		if x.fitsBetter(s) {
			x.svc = s
		}
	}
	if x.svc.desc.Name == "s3" {
		_, x.host = x.h.bucketOf(r.Host)
	}
	x.settleProtocol()
	return nil
}

// scope is the service that the request's signature is for. It is read whether
// or not the rest of the signature can be: that is for the authenticator to say.
func (x *exchange) scope() (service string, ok bool) {
	credential := x.query.Get("X-Amz-Credential")
	if h := header(x.r, "Authorization"); strings.HasPrefix(h, "AWS4-") {
		_, rest, _ := strings.Cut(h, "Credential=")
		credential, _, _ = strings.Cut(rest, ",")
	}
	if strings.Count(credential, "/") < 4 {
		return "", false
	}
	rest := credential[:strings.LastIndexByte(credential, '/')]
	return rest[strings.LastIndexByte(rest, '/')+1:], true
}

func unknownService(name string) error {
	return fault.New(fault.UnknownService, "Slipway has no service %s", quoted(name))
}

// apparent is the protocol that a request shows by itself.
func (x *exchange) apparent() protocol {
	r := x.r
	content := mediaType(r)
	switch {
	case header(r, "Smithy-Protocol") == "rpc-v2-cbor":
		return rpcCBOR{}
	case header(r, "X-Amz-Target") != "":
		if content == "application/x-amz-json-1.0" {
			return awsJSON{"1.0"}
		}
		return awsJSON{"1.1"}
	case content == "application/x-www-form-urlencoded" && r.Method == http.MethodPost, x.query.Has("Action"):
		return awsQuery{}
	case content == "application/json":
		return restJSON{}
	}
	return restXML{}
}

// header is Header.Get of a name in the form of header keys.
func header(r *http.Request, key string) string {
	if v := r.Header[key]; len(v) > 0 {
		return v[0]
	}
	return ""
}

func mediaType(r *http.Request) string {
	t, _, _ := strings.Cut(header(r, "Content-Type"), ";")
	return strings.ToLower(strings.TrimSpace(t))
}

// settleProtocol makes the apparent protocol one that the service speaks, or
// the service's own where the request shows none of its.
func (x *exchange) settleProtocol() {
	d := x.svc.desc
	switch {
	case x.svc.rest():
		x.proto = restProtocol(d)
	case x.proto.id() == api.AWSQuery && d.Speaks(api.EC2Query):
		x.proto = ec2Query{}
	case x.proto.id() == api.AWSJSON10 || x.proto.id() == api.AWSJSON11,
		x.proto.id() == api.AWSQuery, x.proto.id() == api.RPCV2CBOR:
		// kept, even where the service does not speak it: name() refuses in it
	case d.Speaks(api.EC2Query):
		x.proto = ec2Query{}
	case d.Speaks(api.AWSQuery) && len(d.Protocols) == 1:
		x.proto = awsQuery{}
	case d.Protocols[0] == api.AWSJSON10:
		x.proto = awsJSON{"1.0"}
	default:
		x.proto = awsJSON{"1.1"}
	}
}

// speaks reports whether the service answers in the request's protocol. The
// two versions of JSON differ in their content type only.
func (x *exchange) speaks() bool {
	d := x.svc.desc
	if _, ok := x.proto.(awsJSON); ok {
		return d.Speaks(api.AWSJSON10) || d.Speaks(api.AWSJSON11)
	}
	return d.Speaks(x.proto.id())
}

// unsignedService finds the service of a request without a signature.
func (x *exchange) unsignedService() (*service, error) {
	r := x.r
	switch x.proto.(type) {
	case awsJSON:
		prefix, _ := target(r)
		if s := x.h.byTarget[prefix]; s != nil {
			return s, nil
		}
		return nil, unknownService(prefix)
	case rpcCBOR:
		name, _ := rpcPath(r.URL.Path)
		for _, s := range x.h.services {
			if s.desc.TargetPrefix == name || s.desc.ID == name {
				return s, nil
			}
		}
		return nil, unknownService(name)
	case awsQuery:
		if s, err := x.queryService(); s != nil || err != nil {
			return s, err
		}
	}
	if s := x.h.serviceOfHost(r.Host); s != nil {
		return s, nil
	}
	return x.h.byName["s3"], nil
}

// queryService finds a service by Action and Version. It is nil for a form
// that names no action: a browser may post one to S3.
func (x *exchange) queryService() (*service, error) {
	if err := x.readForm(); err != nil {
		return nil, err
	}
	action, version := x.form.get("Action"), x.form.get("Version")
	if action == "" {
		return nil, nil
	}
	var versioned *service
	for _, s := range x.h.services {
		if !s.desc.Speaks(api.AWSQuery) && !s.desc.Speaks(api.EC2Query) {
			continue
		}
		if version != "" && s.desc.APIVersion != version {
			continue
		}
		if s.has(action) {
			return s, nil
		}
		if version != "" {
			versioned = s
		}
	}
	if s := x.h.serviceOfHost(x.r.Host); s != nil {
		return s, nil
	}
	if versioned != nil {
		return versioned, nil
	}
	return nil, fault.New(fault.InvalidAction, "Could not find operation %s for version %s", clip(action), clip(version))
}

// fitsBetter decides between services that share a signing name: by path, by
// target, or by version.
func (x *exchange) fitsBetter(s *service) bool {
	switch {
	case s.rest():
		name, _ := s.matchREST(x.restRequest(s))
		return name != ""
	case header(x.r, "X-Amz-Target") != "":
		prefix, _ := target(x.r)
		return s.desc.TargetPrefix == prefix
	}
	return x.query.Get("Version") == s.desc.APIVersion
}

// target splits X-Amz-Target at its last dot.
func target(r *http.Request) (prefix, operation string) {
	t := header(r, "X-Amz-Target")
	i := strings.LastIndexByte(t, '.')
	if i < 0 {
		return t, ""
	}
	return t[:i], t[i+1:]
}

// rpcPath reads /service/{name}/operation/{operation}.
func rpcPath(path string) (service, operation string) {
	s := steps(path)
	for i := 0; i+4 <= len(s); i++ {
		if s[i] == "service" && s[i+2] == "operation" && i+4 == len(s) {
			return s[i+1], s[i+3]
		}
	}
	return "", ""
}

// name finds the operation's name. It may be called twice.
func (x *exchange) name() error {
	if x.opName != "" {
		return nil
	}
	if x.svc.rest() {
		q := x.restRequest(x.svc)
		x.opName, x.labels = x.svc.matchREST(q)
	} else if !x.speaks() {
		return fault.New(fault.InvalidAction, "%s is not called in this protocol", x.svc.desc.Name)
	} else {
		switch x.proto.(type) {
		case awsJSON:
			_, x.opName = target(x.r)
		case rpcCBOR:
			_, x.opName = rpcPath(x.r.URL.Path)
		default:
			if err := x.readForm(); err != nil {
				return err
			}
			x.opName = x.form.get("Action")
		}
	}
	x.op = x.svc.operation(x.opName)
	return nil
}

// restRequest is the request as routes see it: a bucket in the host is put in
// front of the path.
func (x *exchange) restRequest(s *service) *restRequest {
	q := &restRequest{method: x.r.Method, steps: steps(x.r.URL.EscapedPath()), query: x.query, header: x.r.Header}
	if s.desc.Name == "s3" {
		bucket, _ := x.h.bucketOf(x.r.Host)
		if bucket != "" {
			q.steps = append([]string{url.PathEscape(bucket)}, q.steps...)
		}
	}
	return q
}

// readForm reads a Query request's parameters, from the URL and the body.
func (x *exchange) readForm() error {
	if x.form != nil {
		return nil
	}
	f := formParser{root: &form{}}
	if err := f.parse(x.r.URL.RawQuery); err != nil {
		return err
	}
	if x.r.Method == http.MethodPost {
		body, err := x.readBody()
		if err != nil {
			return err
		}
		if err := f.parse(string(body)); err != nil {
			return err
		}
	}
	x.form = f.root
	return nil
}
