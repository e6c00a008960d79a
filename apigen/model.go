package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// Model is what we keep of a service model: everything that decides what goes
// over the wire, and no documentation.
type Model struct {
	Metadata   Metadata           `json:"metadata"`
	Operations ordered[Operation] `json:"operations"`
	Shapes     ordered[Shape]     `json:"shapes"`
}

// Metadata is the model's head.
type Metadata struct {
	APIVersion         string    `json:"apiVersion"`
	EndpointPrefix     string    `json:"endpointPrefix"`
	GlobalEndpoint     string    `json:"globalEndpoint,omitempty"`
	JSONVersion        string    `json:"jsonVersion,omitempty"`
	Protocol           string    `json:"protocol"`
	Protocols          []string  `json:"protocols,omitempty"`
	ServiceID          string    `json:"serviceId"`
	SigningName        string    `json:"signingName,omitempty"`
	TargetPrefix       string    `json:"targetPrefix,omitempty"`
	XMLNamespace       namespace `json:"xmlNamespace,omitzero"`
	AWSQueryCompatible *struct{} `json:"awsQueryCompatible,omitempty"`
}

// Operation is one operation of a service.
type Operation struct {
	Name            string       `json:"name"`
	HTTP            HTTP         `json:"http"`
	Input           *Ref         `json:"input,omitempty"`
	Output          *Ref         `json:"output,omitempty"`
	Errors          []Ref        `json:"errors,omitempty"`
	AuthType        string       `json:"authtype,omitempty"`
	Endpoint        *Endpoint    `json:"endpoint,omitempty"`
	Idempotent      bool         `json:"idempotent,omitempty"`
	UnsignedPayload bool         `json:"unsignedPayload,omitempty"`
	HTTPChecksum    *ChecksumUse `json:"httpChecksum,omitempty"`
}

// HTTP is an operation's binding.
type HTTP struct {
	Method       string `json:"method"`
	RequestURI   string `json:"requestUri"`
	ResponseCode int    `json:"responseCode,omitempty"`
}

// Endpoint says that clients put a prefix before the host.
type Endpoint struct {
	HostPrefix string `json:"hostPrefix"`
}

// ChecksumUse says how an operation carries checksums of its payload.
type ChecksumUse struct {
	RequestAlgorithmMember string   `json:"requestAlgorithmMember,omitempty"`
	RequestRequired        bool     `json:"requestChecksumRequired,omitempty"`
	ResponseAlgorithms     []string `json:"responseAlgorithms,omitempty"`
}

// Ref points to a shape from a member, a list, a map or an operation.
type Ref struct {
	Shape            string    `json:"shape"`
	Location         string    `json:"location,omitempty"`
	LocationName     string    `json:"locationName,omitempty"`
	QueryName        string    `json:"queryName,omitempty"`
	ResultWrapper    string    `json:"resultWrapper,omitempty"`
	TimestampFormat  string    `json:"timestampFormat,omitempty"`
	XMLNamespace     namespace `json:"xmlNamespace,omitzero"`
	Flattened        bool      `json:"flattened,omitempty"`
	XMLAttribute     bool      `json:"xmlAttribute,omitempty"`
	Streaming        bool      `json:"streaming,omitempty"`
	IdempotencyToken bool      `json:"idempotencyToken,omitempty"`
	HostLabel        bool      `json:"hostLabel,omitempty"`
	JSONValue        bool      `json:"jsonvalue,omitempty"`
	EventPayload     bool      `json:"eventpayload,omitempty"`
	EventHeader      bool      `json:"eventheader,omitempty"`
	Box              bool      `json:"box,omitempty"`
}

// Shape is a type of the model.
type Shape struct {
	Type            string       `json:"type"`
	Required        []string     `json:"required,omitempty"`
	Members         ordered[Ref] `json:"members,omitzero"`
	Member          *Ref         `json:"member,omitempty"`
	Key             *Ref         `json:"key,omitempty"`
	Value           *Ref         `json:"value,omitempty"`
	Flattened       bool         `json:"flattened,omitempty"`
	LocationName    string       `json:"locationName,omitempty"`
	TimestampFormat string       `json:"timestampFormat,omitempty"`
	XMLNamespace    namespace    `json:"xmlNamespace,omitzero"`
	Payload         string       `json:"payload,omitempty"`
	Streaming       bool         `json:"streaming,omitempty"`
	Min             *json.Number `json:"min,omitempty"`
	Max             *json.Number `json:"max,omitempty"`
	Pattern         string       `json:"pattern,omitempty"`
	Enum            []string     `json:"enum,omitempty"`
	Sensitive       bool         `json:"sensitive,omitempty"`
	Document        bool         `json:"document,omitempty"`
	Union           bool         `json:"union,omitempty"`
	Wrapper         bool         `json:"wrapper,omitempty"`
	Exception       bool         `json:"exception,omitempty"`
	Fault           bool         `json:"fault,omitempty"`
	Error           *ErrorTrait  `json:"error,omitempty"`
	EventStream     bool         `json:"eventstream,omitempty"`
	Event           bool         `json:"event,omitempty"`
}

// ErrorTrait is how an exception looks on the wire.
type ErrorTrait struct {
	Code        string `json:"code,omitempty"`
	Status      int    `json:"httpStatusCode,omitempty"`
	SenderFault bool   `json:"senderFault,omitempty"`
}

// namespace is written as a string or as an object with a prefix.
type namespace struct {
	URI    string `json:"uri"`
	Prefix string `json:"prefix,omitempty"`
}

func (n *namespace) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, &n.URI)
	}
	type plain namespace
	return json.Unmarshal(b, (*plain)(n))
}

// entry is one name and value of an ordered object.
type entry[T any] struct {
	Name  string
	Value T
}

// ordered is a JSON object that keeps its order: the order of the members is
// that of the generated struct's fields.
type ordered[T any] []entry[T]

func (o ordered[T]) get(name string) (*T, bool) {
	for i := range o {
		if o[i].Name == name {
			return &o[i].Value, true
		}
	}
	return nil, false
}

func (o *ordered[T]) UnmarshalJSON(b []byte) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	if _, err := dec.Token(); err != nil {
		return err
	}
	*o = ordered[T]{}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return err
		}
		var e entry[T]
		e.Name, _ = name.(string)
		if err := dec.Decode(&e.Value); err != nil {
			return fmt.Errorf("%s: %w", e.Name, err)
		}
		*o = append(*o, e)
	}
	return nil
}

func (o ordered[T]) IsZero() bool { return o == nil }

// MarshalJSON is used for members; the two large objects are written by save,
// one entry a line.
func (o ordered[T]) MarshalJSON() ([]byte, error) {
	var buf bytes.Buffer
	buf.WriteByte('{')
	for i, e := range o {
		if i > 0 {
			buf.WriteByte(',')
		}
		if err := writeEntry(&buf, e); err != nil {
			return nil, err
		}
	}
	buf.WriteByte('}')
	return buf.Bytes(), nil
}

func writeEntry[T any](buf *bytes.Buffer, e entry[T]) error {
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e.Name); err != nil {
		return err
	}
	buf.Truncate(buf.Len() - 1) // Encode ends with a line feed
	buf.WriteByte(':')
	if err := enc.Encode(e.Value); err != nil {
		return err
	}
	buf.Truncate(buf.Len() - 1)
	return nil
}

func load(path string) (*Model, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	m := new(Model)
	if err := json.Unmarshal(b, m); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// save writes one operation and one shape a line, so that a refresh reads well
// as a diff.
func (m *Model) save(path string) error {
	var buf bytes.Buffer
	buf.WriteString(`{"metadata":`)
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(m.Metadata); err != nil {
		return err
	}
	buf.WriteString(",\"operations\":{\n")
	if err := writeLines(&buf, m.Operations); err != nil {
		return err
	}
	buf.WriteString("},\"shapes\":{\n")
	if err := writeLines(&buf, m.Shapes); err != nil {
		return err
	}
	buf.WriteString("}}\n")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, buf.Bytes(), 0o644)
}

func writeLines[T any](buf *bytes.Buffer, o ordered[T]) error {
	for i, e := range o {
		if err := writeEntry(buf, e); err != nil {
			return err
		}
		if i < len(o)-1 {
			buf.WriteByte(',')
		}
		buf.WriteByte('\n')
	}
	return nil
}
