package main

import (
	"bytes"
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// olderProtocols are protocols that a service's clients have used and its
// model no longer names.
var olderProtocols = map[string][]string{"sqs": {"query"}}

func (s *selection) writeSchema(w *bytes.Buffer) {
	md := &s.model.Metadata
	fmt.Fprintf(w, "package %s\n\nimport (\n\"context\"\n\n\"%s/api\"\n)\n\n", s.pkg, module)
	fmt.Fprintf(w, "// Describe returns the tables of %s.\nfunc Describe() *api.Service { return &description }\n\n", md.ServiceID)
	w.WriteString("var description = api.Service{\n")
	s.writeHead(w)
	w.WriteString("Operations: operations,\nShapes: shapes,\n}\n\n")
	w.WriteString("var operations = []api.Operation{\n")
	for i := range s.ops {
		s.writeOperation(w, &s.ops[i])
	}
	w.WriteString("}\n\nvar shapes = []api.Shape{\n")
	for _, name := range s.order {
		s.writeShape(w, name)
	}
	w.WriteString("}\n")
}

// writeHead writes the fields of api.Service that a service is known by.
func (s *selection) writeHead(w *bytes.Buffer) {
	md := &s.model.Metadata
	text := func(field, value string) {
		if value != "" {
			fmt.Fprintf(w, "%s: %q,\n", field, value)
		}
	}
	text("Name", s.name)
	text("ID", md.ServiceID)
	text("EndpointPrefix", md.EndpointPrefix)
	text("SigningName", signingName(md))
	text("TargetPrefix", md.TargetPrefix)
	text("APIVersion", md.APIVersion)
	text("XMLNamespace", s.xmlNamespace())
	if md.AWSQueryCompatible != nil {
		w.WriteString("QueryError: true,\n")
	}
	if v := validations[s.name]; v != "" {
		fmt.Fprintf(w, "Validation: api.%s,\n", v)
	}
	text("ValidationCode", validationCodes[s.name])
	fmt.Fprintf(w, "Protocols: []api.Protocol{%s},\n", strings.Join(s.protocols(), ", "))
}

// validations are the services that refuse broken inputs in a form of their own.
var validations = map[string]string{"ec2": "EC2Validation", "sqs": "SQSValidation", "s3": "S3Validation"}

// validationCodes are the codes of services that have one of their own for inputs that
// break the model.
var validationCodes = map[string]string{"logs": "InvalidParameterException"}

func signingName(md *Metadata) string {
	if md.SigningName != "" {
		return md.SigningName
	}
	return md.EndpointPrefix
}

func (s *selection) xmlNamespace() string {
	ns := s.model.Metadata.XMLNamespace.URI
	switch {
	case ns == "" && s.name == "sqs":
		return "http://queue.amazonaws.com/doc/2012-11-05/"
	case ns == "" && s.name == "s3":
		return "http://s3.amazonaws.com/doc/2006-03-01/"
	case s.model.Metadata.Protocol == "ec2":
		return ns + "/"
	}
	return ns
}

func (s *selection) protocols() []string {
	md := &s.model.Metadata
	names := md.Protocols
	if len(names) == 0 {
		names = []string{md.Protocol}
	}
	var out []string
	for _, p := range append(names[:len(names):len(names)], olderProtocols[s.name]...) {
		out = append(out, "api."+protocolName(p, md.JSONVersion))
	}
	return out
}

func protocolName(p, jsonVersion string) string {
	switch p {
	case "query":
		return "AWSQuery"
	case "ec2":
		return "EC2Query"
	case "json":
		if jsonVersion == "1.0" {
			return "AWSJSON10"
		}
		return "AWSJSON11"
	case "rest-json":
		return "RESTJSON"
	case "rest-xml":
		return "RESTXML"
	case "smithy-rpc-v2-cbor":
		return "RPCV2CBOR"
	}
	panic("apigen: unknown protocol " + p)
}

func (s *selection) writeOperation(w *bytes.Buffer, op *Operation) {
	n := export(op.Name)
	fmt.Fprintf(w, "{Name: %q", op.Name)
	if p := s.model.Metadata.Protocol; strings.HasPrefix(p, "rest-") {
		fmt.Fprintf(w, ", Method: %q, URI: %q", op.HTTP.Method, op.HTTP.RequestURI)
		if op.HTTP.ResponseCode != 0 && op.HTTP.ResponseCode != 200 {
			fmt.Fprintf(w, ", Status: %d", op.HTTP.ResponseCode)
		}
	}
	if r := op.Input; r != nil {
		fmt.Fprintf(w, ", Input: %d", s.index[r.Shape])
		if r.LocationName != "" {
			fmt.Fprintf(w, ", InputName: %q, InputNS: %q", r.LocationName, r.XMLNamespace.URI)
		}
	}
	if r := op.Output; r != nil {
		fmt.Fprintf(w, ", Output: %d", s.index[r.Shape])
		wrapper := r.ResultWrapper
		if wrapper == "" && len(olderProtocols[s.name]) > 0 {
			wrapper = op.Name + "Result"
		}
		if wrapper != "" {
			fmt.Fprintf(w, ", Wrapper: %q", wrapper)
		}
	}
	if op.Endpoint != nil {
		fmt.Fprintf(w, ", HostPrefix: %q", op.Endpoint.HostPrefix)
	}
	if c := op.HTTPChecksum; c != nil {
		if c.RequestAlgorithmMember != "" {
			fmt.Fprintf(w, ", Checksum: %q", c.RequestAlgorithmMember)
		}
		if c.RequestRequired {
			w.WriteString(", ChecksumNeed: true")
		}
	}
	if op.AuthType == "none" || unsigned[s.name+"."+op.Name] {
		w.WriteString(", NoAuth: true")
	}
	if op.UnsignedPayload || op.AuthType == "v4-unsigned-body" {
		w.WriteString(", Unsigned: true")
	}
	if len(op.Errors) > 0 {
		var places []string
		for _, e := range op.Errors {
			places = append(places, strconv.Itoa(int(s.index[e.Shape])))
		}
		fmt.Fprintf(w, ", Errors: []int32{%s}", strings.Join(places, ","))
	}
	fmt.Fprintf(w, ",\nNewInput: func() any { return new(%sInput) },\n", n)
	fmt.Fprintf(w, "Call: func(ctx context.Context, impl, in any) (any, error) { return impl.(Service).%s(ctx, in.(*%sInput)) }},\n", n, n)
}

// unsigned are operations that AWS takes without a signature, though its models do
// not say so: the URLs in the messages of SNS are these, for whoever got one.
var unsigned = map[string]bool{"sns.ConfirmSubscription": true, "sns.Unsubscribe": true}

var kinds = map[string]string{
	"structure": "Structure", "list": "List", "map": "Map", "string": "String", "character": "String",
	"boolean": "Boolean", "integer": "Integer", "long": "Long", "float": "Float", "double": "Double",
	"timestamp": "Timestamp", "blob": "Blob",
}

func (s *selection) writeShape(w *bytes.Buffer, name string) {
	shape := s.shape(name)
	kind := kinds[shape.Type]
	if shape.Document {
		kind = "Document"
	}
	if kind == "" {
		panic("apigen: unknown type " + shape.Type)
	}
	fmt.Fprintf(w, "{Name: %q, Kind: api.%s", name, kind)
	if f := timeFormat(shape.TimestampFormat); f != "" {
		fmt.Fprintf(w, ", Time: %s", f)
	}
	s.writeShapeTraits(w, name, shape)
	if len(shape.Enum) > 0 {
		fmt.Fprintf(w, ", Enum: %#v", shape.Enum)
	}
	var members []string
	switch shape.Type {
	case "list":
		members = []string{s.member(name, "", shape, shape.Member)}
	case "map":
		members = []string{s.member(name, "key", shape, shape.Key), s.member(name, "value", shape, shape.Value)}
	default:
		for i := range shape.Members {
			m := &shape.Members[i]
			members = append(members, s.member(name, m.Name, shape, &m.Value))
		}
	}
	if len(members) > 0 {
		fmt.Fprintf(w, ", Members: []api.Member{\n%s,\n}", strings.Join(members, ",\n"))
	}
	w.WriteString("},\n")
}

func (s *selection) writeShapeTraits(w *bytes.Buffer, name string, shape *Shape) {
	var flags []string
	if shape.Flattened {
		flags = append(flags, "Flattened")
	}
	if shape.Sensitive {
		flags = append(flags, "Sensitive")
	}
	if shape.Union {
		flags = append(flags, "Union")
	}
	if shape.Min != nil {
		flags = append(flags, "HasMin")
	}
	if shape.Max != nil {
		flags = append(flags, "HasMax")
	}
	if shape.Streaming {
		flags = append(flags, "Streaming")
	}
	if shape.Exception {
		flags = append(flags, "Exception")
		flags = append(flags, exceptionFlags(shape)...)
	}
	writeFlags(w, flags)
	if shape.Exception {
		code, status := name, 0 // the model of a JSON service knows no Query codes
		if q, ok := s.query[name]; ok {
			code = q
		}
		if e := shape.Error; e != nil {
			if e.Code != "" {
				code = e.Code
			}
			status = e.Status
		}
		fmt.Fprintf(w, ", Code: %q", code)
		if status != 0 {
			fmt.Fprintf(w, ", Status: %d", status)
		}
	}
	if shape.LocationName != "" {
		fmt.Fprintf(w, ", XMLName: %q", shape.LocationName)
	}
	if shape.Payload != "" {
		fmt.Fprintf(w, ", Payload: %q", shape.Payload)
	}
	if shape.Min != nil {
		fmt.Fprintf(w, ", Min: %s", shape.Min.String())
	}
	if shape.Max != nil {
		fmt.Fprintf(w, ", Max: %s", shape.Max.String())
	}
	if pattern := cmp.Or(unlike[s.name+"/"+name], shape.Pattern); pattern != "" {
		fmt.Fprintf(w, ", Pattern: %q", pattern)
	}
}

// unlike are patterns, by service and shape, that a model has narrower than AWS's own
// documentation uses them.
var unlike = map[string]string{
	// The publisher of AWS's hooks is aws-hooks ("Activate a Guard Hook in your account").
	"cloudformation/PublisherId": "([0-9a-zA-Z]{12,40}|aws-hooks)",
}

func exceptionFlags(shape *Shape) []string {
	switch {
	case shape.Error != nil && shape.Error.SenderFault:
		return []string{"SenderFault"}
	case shape.Fault:
		return []string{"ServerFault"}
	}
	return nil
}

func writeFlags(w *bytes.Buffer, flags []string) {
	if len(flags) == 0 {
		return
	}
	w.WriteString(", Flags: api." + strings.Join(flags, "|api."))
}

var locations = map[string]string{
	"header": "InHeader", "headers": "InHeaders", "uri": "InURI", "querystring": "InQuery", "statusCode": "InStatus",
}

func timeFormat(f string) string {
	switch f {
	case "iso8601":
		return "api.ISO8601"
	case "unixTimestamp":
		return "api.UnixTime"
	case "rfc822":
		return "api.RFC822"
	}
	return ""
}

func (s *selection) member(owner, name string, shape *Shape, r *Ref) string {
	var w bytes.Buffer
	w.WriteString("{")
	if shape.Type == "structure" {
		fmt.Fprintf(&w, "Name: %q, ", name)
	}
	fmt.Fprintf(&w, "Shape: %d", s.index[r.Shape])
	if r.Location != "" {
		fmt.Fprintf(&w, ", Location: api.%s", locations[r.Location])
	}
	if f := timeFormat(r.TimestampFormat); f != "" {
		fmt.Fprintf(&w, ", Time: %s", f)
	}
	writeFlags(&w, s.memberFlags(owner, name, shape, r))
	if r.LocationName != "" && r.LocationName != name {
		fmt.Fprintf(&w, ", Wire: %q", r.LocationName)
	}
	if q := s.queryName(owner, name, r); q != "" {
		fmt.Fprintf(&w, ", Query: %q", q)
	}
	ns := r.XMLNamespace
	if ns.URI == "" {
		ns = s.shape(r.Shape).XMLNamespace
	}
	if ns.URI != "" {
		fmt.Fprintf(&w, ", XMLNS: %q", ns.URI)
	}
	if ns.Prefix != "" {
		fmt.Fprintf(&w, ", XMLNSPfx: %q", ns.Prefix)
	}
	w.WriteString("}")
	return w.String()
}

func (s *selection) memberFlags(owner, name string, shape *Shape, r *Ref) []string {
	var flags []string
	if contains(shape.Required, name) && shape.Type == "structure" {
		flags = append(flags, "Required")
	}
	if r.Flattened {
		flags = append(flags, "Flattened")
	}
	if r.XMLAttribute {
		flags = append(flags, "XMLAttribute")
	}
	if r.Streaming {
		flags = append(flags, "Streaming")
	}
	if r.IdempotencyToken {
		flags = append(flags, "IdempotencyToken")
	}
	if r.JSONValue {
		flags = append(flags, "JSONValue")
	}
	if keepsEmpty(owner, name, shape) {
		flags = append(flags, "KeepEmpty")
	}
	if contains(leftOut[owner], name) {
		flags = append(flags, "LeaveOut")
	}
	return flags
}

// keepsEmpty tells of the value beside a key (Key and Value, ParameterKey and
// ParameterValue), and of the id that a stack's resource does not have yet: AWS
// writes an empty one, where other empty strings are left out.
func keepsEmpty(owner, name string, shape *Shape) bool {
	if owner == "StackEvent" && name == "PhysicalResourceId" {
		return true
	}
	if name == "Description" && contains(keptDescriptions, owner) {
		return true
	}
	stem, ok := strings.CutSuffix(name, "Value")
	if !ok || shape.Type != "structure" {
		return false
	}
	_, ok = shape.Members.get(stem + "Key")
	return ok
}

// keptDescriptions are Lambda's answers that have an empty description, too.
var keptDescriptions = []string{"FunctionConfiguration", "AliasConfiguration", "PublishLayerVersionResponse", "GetLayerVersionResponse"}

// leftOut are the lists of answers that AWS leaves out where they are empty,
// though it writes the others of the same answer (recorded answers).
var leftOut = map[string][]string{
	"DescribeChangeSetOutput":  {"Parameters", "Tags"},
	"GetTemplateSummaryOutput": {"Capabilities", "DeclaredTransforms"},
}

// queryName is the member's name in Query protocols where it is a special one.
func (s *selection) queryName(owner, name string, r *Ref) string {
	if q, ok := s.query[owner+"."+name]; ok {
		return q
	}
	return r.QueryName
}
