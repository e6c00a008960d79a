package sqs

import (
	"crypto/md5" // #nosec G501 -- the checksum that SQS answers with
	"encoding/binary"
	"encoding/hex"
	"hash"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	api "github.com/slipway/slipway/api/sqs"
	"github.com/slipway/slipway/fault"
)

const maxAttributes = 10

// check makes a message's content of what was sent, and refuses what SQS does
// ("Amazon SQS message metadata", Developer Guide). size is in bytes, with the
// attributes' names, types and values.
func check(e *api.SendMessageBatchRequestEntry) (c content, size int, err error) {
	c = content{Body: e.MessageBody, Group: e.MessageGroupId, Deduplication: e.MessageDeduplicationId}
	if c.Body == "" {
		return c, 0, fault.New(fault.MissingParameter, "The request must contain the parameter MessageBody.")
	}
	if !validText(c.Body) {
		return c, 0, fault.New(fault.InvalidMessageContents, "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF")
	}
	size = len(c.Body)
	if len(e.MessageAttributes) > maxAttributes {
		return c, 0, invalidValue("Number of message attributes [%d] exceeds the allowed maximum [%d].", len(e.MessageAttributes), maxAttributes)
	}
	for _, name := range sortedKeys(e.MessageAttributes) {
		v := e.MessageAttributes[name]
		value := attributeValue{v.DataType, v.StringValue, v.BinaryValue}
		if err := checkAttribute("user", name, value, len(v.StringListValues)+len(v.BinaryListValues)); err != nil {
			return c, 0, err
		}
		if c.Attributes == nil {
			c.Attributes = map[string]attributeValue{}
		}
		c.Attributes[name] = value
		size += len(name) + len(v.DataType) + len(v.StringValue) + len(v.BinaryValue)
	}
	for _, name := range sortedKeys(e.MessageSystemAttributes) {
		v := e.MessageSystemAttributes[name]
		if name != api.MessageSystemAttributeNameForSendsAWSTraceHeader || v.DataType != "String" {
			return c, 0, invalidValue("Message (system) attribute '%s' is invalid: AWSTraceHeader of type String is the only one.", name)
		}
		if err := checkAttribute("system", name, attributeValue{v.DataType, v.StringValue, v.BinaryValue}, 0); err != nil {
			return c, 0, err
		}
		c.Trace = v.StringValue
	}
	if c.Deduplication != "" && !groupForm().MatchString(c.Deduplication) {
		return c, 0, badToken128("MessageDeduplicationId", c.Deduplication)
	}
	if c.Group != "" && !groupForm().MatchString(c.Group) {
		return c, 0, badToken128("MessageGroupId", c.Group)
	}
	return c, size, nil
}

// badToken128 refuses a value that is not 1 to 128 printable characters.
func badToken128(name, value string) error {
	return invalidValue("Value %s for parameter %s is invalid. Reason: %s can only include alphanumeric and punctuation characters. 1 to 128 in length.", value, name, name)
}

// notThisType refuses what only the other type of queue takes.
func notThisType(name, value string) error {
	return invalidValue("Value %s for parameter %s is invalid. Reason: The request include parameter that is not valid for this queue type.", value, name)
}

func invalidValue(format string, args ...any) error {
	return fault.New(fault.InvalidParameterValue, format, args...)
}

var (
	groupForm     = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile("^[!-~]{1,128}$") })
	attributeForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,256}$`) })
)

func checkAttribute(kind, name string, v attributeValue, lists int) error {
	lower := strings.ToLower(name)
	base, _, _ := strings.Cut(v.Type, ".")
	switch {
	case !attributeForm().MatchString(name) || strings.HasPrefix(name, ".") || strings.HasSuffix(name, ".") || strings.Contains(name, ".."):
		return invalidValue("Message (%s) attribute name '%s' is invalid: it has letters, digits, underscores, hyphens and single periods inside, 1 to 256 of them.", kind, name)
	case kind == "user" && (strings.HasPrefix(lower, "aws.") || strings.HasPrefix(lower, "amazon.")):
		return invalidValue("Message (%s) attribute name '%s' is invalid: AWS. and Amazon. are reserved.", kind, name)
	case v.Type == "":
		return invalidValue("The message (%s) attribute '%s' must contain a non-empty message attribute type.", kind, name)
	case len(v.Type) > 256 || base != "String" && base != "Number" && base != "Binary":
		return invalidValue("The type of message (%s) attribute '%s' is invalid. You must use only the following supported type prefixes: Binary, Number, String.", kind, name)
	case lists > 0:
		return fault.New(fault.NotImplemented, "SendMessage: list values of message attributes are not built; AWS has not built them either.")
	case v.isBinary() && len(v.Binary) == 0 || !v.isBinary() && v.Text == "":
		return invalidValue("Message (%s) attribute '%s' must contain a non-empty value of type '%s'.", kind, name, base)
	case !v.isBinary() && !validText(v.Text):
		return fault.New(fault.InvalidMessageContents, "Invalid characters found in message (%s) attribute '%s'.", kind, name)
	}
	if base == "Number" {
		if _, err := strconv.ParseFloat(v.Text, 64); err != nil {
			return invalidValue("Can't cast the value of message (%s) attribute '%s' to a number.", kind, name)
		}
	}
	return nil
}

// validText accepts the characters that XML 1.0 has.
func validText(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, c := range s {
		if c < 0x20 && c != '\t' && c != '\n' && c != '\r' || c == 0xFFFE || c == 0xFFFF {
			return false
		}
	}
	return true
}

func md5Hex(s string) string {
	sum := md5.Sum([]byte(s)) // #nosec G401 -- as above
	return hex.EncodeToString(sum[:])
}

// md5Attributes is the digest that clients compare ("Calculating the MD5 message
// digest for message attributes", Developer Guide): by name, each part behind
// its length.
func md5Attributes(all map[string]attributeValue) string {
	if len(all) == 0 {
		return ""
	}
	h := md5.New() // #nosec G401 -- as above
	for _, name := range sortedKeys(all) {
		v := all[name]
		part(h, []byte(name))
		part(h, []byte(v.Type))
		if v.isBinary() {
			h.Write([]byte{2})
			part(h, v.Binary)
		} else {
			h.Write([]byte{1})
			part(h, []byte(v.Text))
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

func part(h hash.Hash, b []byte) {
	var n [4]byte
	binary.BigEndian.PutUint32(n[:], uint32(len(b)))
	h.Write(n[:])
	h.Write(b)
}

func md5Trace(trace string) string {
	if trace == "" {
		return ""
	}
	return md5Attributes(map[string]attributeValue{api.MessageSystemAttributeNameForSendsAWSTraceHeader: {Type: "String", Text: trace}})
}
