package sns

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	api "github.com/slipway/slipway/api/sns"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/fault"
)

// message is what is delivered. It is kept sealed.
type message struct {
	ID         string
	Kind       kind   `json:",omitempty"`
	Topic      string // ARN
	Subject    string `json:",omitempty"`
	Body       string
	Attributes map[string]messageAttribute `json:",omitempty"`
	Time       time.Time
	Version    string `json:",omitempty"` // of the signature; "" for FIFO topics, which have none
	Sequence   string `json:",omitempty"`
	Group      string `json:",omitempty"`
	Dedup      string `json:",omitempty"`
	Token      string `json:",omitempty"` // of what asks for a confirmation
}

// kind is what a message is.
type kind string

const (
	kindNotification kind = ""
	kindSubscribe    kind = "SubscriptionConfirmation"
	kindUnsubscribe  kind = "UnsubscribeConfirmation"
)

func (k kind) text() string {
	if k == kindNotification {
		return "Notification"
	}
	return string(k)
}

type messageAttribute struct {
	Type   string
	Text   string `json:",omitempty"`
	Binary []byte `json:",omitempty"`
}

const (
	typeArray      = "String.Array"
	maxMessageSize = 256 << 10 // bytes, with attributes
	maxSubject     = 100
)

// isID reports whether a text may be the id of a message or subscription.
func isID(text string) bool { return arn.IsUUID(text) }

// outgoing is a checked message, before it is known who gets it.
type outgoing struct {
	message
	bodies map[string]string // by protocol, of MessageStructure json
	size   int
	body   any // parsed, where a filter asked
	parsed bool
}

// parsedBody is the body as filters see it; nil where it is no JSON.
func (o *outgoing) parsedBody() any {
	if !o.parsed {
		o.parsed = true
		if json.Unmarshal([]byte(o.Body), &o.body) != nil {
			o.body = nil
		}
	}
	return o.body
}

// bodyFor is what a protocol gets.
func (o *outgoing) bodyFor(protocol string) string {
	if b, ok := o.bodies[protocol]; ok {
		return b
	}
	return o.Body
}

// check makes a message of what was published, and refuses what SNS does ("Publish",
// Amazon SNS API Reference).
func check(e *api.PublishBatchRequestEntry, now time.Time) (*outgoing, error) {
	o := &outgoing{message: message{
		ID: arn.NewUUID(), Subject: e.Subject, Body: e.Message, Time: now, Group: e.MessageGroupId, Dedup: e.MessageDeduplicationId,
	}}
	if e.Message == "" {
		return nil, invalid("Empty message")
	}
	if !validText(e.Message) {
		return nil, invalid("Message Reason: the message has characters that XML 1.0 has not")
	}
	if err := checkSubject(e.Subject); err != nil {
		return nil, err
	}
	o.size = len(e.Message)
	if err := o.setAttributes(e.MessageAttributes); err != nil {
		return nil, err
	}
	if o.size > maxMessageSize {
		return nil, invalid("Message too long")
	}
	return o, o.setStructure(e.MessageStructure)
}

func checkSubject(subject string) error {
	if subject == "" {
		return nil
	}
	if len(subject) > maxSubject || subject[0] == ' ' {
		return invalid("Subject")
	}
	for _, c := range []byte(subject) {
		if c < 0x20 || c > 0x7e {
			return invalid("Subject")
		}
	}
	return nil
}

// setStructure reads the bodies of MessageStructure json.
func (o *outgoing) setStructure(structure string) error {
	switch structure {
	case "":
		return nil
	case "json":
	default:
		return invalid("Invalid MessageStructure: %s", structure)
	}
	var byProtocol map[string]any
	if json.Unmarshal([]byte(o.Body), &byProtocol) != nil {
		return invalid("Message Structure - JSON message body failed to parse")
	}
	fallback, ok := byProtocol["default"].(string)
	if !ok {
		return invalid("Message Structure - No default entry in JSON message body")
	}
	o.bodies = map[string]string{}
	for protocol, v := range byProtocol {
		if text, ok := v.(string); ok {
			o.bodies[protocol] = text
		}
	}
	o.Body = fallback
	return nil
}

var attributeForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,256}$`) })

func badValue(format string, args ...any) error {
	return fault.New(fault.ParameterValueInvalid, format, args...)
}

func (o *outgoing) setAttributes(given map[string]api.MessageAttributeValue) error {
	for _, name := range sortedKeys(given) {
		v := given[name]
		a := messageAttribute{v.DataType, v.StringValue, v.BinaryValue}
		if err := a.check(name); err != nil {
			return err
		}
		if o.Attributes == nil {
			o.Attributes = map[string]messageAttribute{}
		}
		o.Attributes[name] = a
		o.size += len(name) + len(a.Type) + len(a.Text) + len(a.Binary)
	}
	return nil
}

func (a *messageAttribute) isBinary() bool {
	return a.Type == "Binary" || strings.HasPrefix(a.Type, "Binary.")
}

func (a *messageAttribute) check(name string) error {
	lower := strings.ToLower(name)
	base, _, _ := strings.Cut(a.Type, ".")
	switch {
	case !attributeForm().MatchString(name) || strings.HasPrefix(name, ".") || strings.HasSuffix(name, ".") || strings.Contains(name, ".."):
		return badValue("Invalid message attribute name '%s': it has letters, digits, underscores, hyphens and single periods inside, 1 to 256 of them.", name)
	case strings.HasPrefix(lower, "aws.") || strings.HasPrefix(lower, "amazon."):
		return badValue("You can't use message attribute names beginning with 'AWS.' or 'Amazon.' because these strings are reserved for internal use.")
	case a.Type == "":
		return badValue("The message attribute '%s' must contain non-empty message attribute type.", name)
	case len(a.Type) > 256 || base != "String" && base != "Number" && base != "Binary":
		return badValue("The message attribute '%s' has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String.", name)
	case a.isBinary() && len(a.Binary) == 0 || !a.isBinary() && a.Text == "":
		return badValue("The message attribute '%s' must contain non-empty message attribute value for message attribute type '%s'.", name, a.Type)
	case !a.isBinary() && !validText(a.Text):
		return badValue("The message attribute '%s' has characters that XML 1.0 has not.", name)
	}
	if base == "Number" {
		if _, err := strconv.ParseFloat(a.Text, 64); err != nil {
			return badValue("Could not cast message attribute '%s' value to number.", name)
		}
	}
	if a.Type == typeArray {
		var items []any
		if json.Unmarshal([]byte(a.Text), &items) != nil {
			return badValue("The message attribute '%s' must contain a JSON array for message attribute type 'String.Array'.", name)
		}
	}
	return nil
}

var tokenForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile("^[!-~]{1,128}$") })

// checkOrder holds what orders and deduplicates a message against the topic's type, and
// fills in what the topic deduplicates by itself.
func (o *outgoing) checkOrder(t *topic) error {
	if o.Group != "" && !tokenForm().MatchString(o.Group) {
		return invalid("The MessageGroupId parameter is invalid")
	}
	if o.Dedup != "" && !tokenForm().MatchString(o.Dedup) {
		return invalid("The MessageDeduplicationId parameter is invalid")
	}
	if !t.Attributes.Fifo {
		if o.Dedup != "" {
			return invalid("The request includes MessageDeduplicationId parameter that is not valid for this topic type")
		}
		return nil
	}
	if o.Group == "" {
		return invalid("The MessageGroupId parameter is required for FIFO topics")
	}
	if o.Dedup == "" {
		if !t.Attributes.ContentBased {
			return invalid("The topic should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly")
		}
		o.Dedup = contentHash(o.Body)
	}
	return nil
}
