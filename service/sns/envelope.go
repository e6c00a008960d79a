package sns

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"
)

// timeForm is that of a message's Timestamp.
const timeForm = "2006-01-02T15:04:05.000Z"

func stamp(t time.Time) string { return t.UTC().Format(timeForm) }

// base is the URL by which a subscription's owner reaches Slipway.
func (s *Service) base(sub *subscription) string {
	if sub.Base != "" {
		return strings.TrimSuffix(sub.Base, "/")
	}
	return strings.TrimSuffix(s.endpoint(), "/")
}

func (s *Service) unsubscribeURL(sub *subscription) string {
	return s.base(sub) + "/?Action=Unsubscribe&SubscriptionArn=" + sub.arn()
}

func (s *Service) subscribeURL(sub *subscription, token string) string {
	return s.base(sub) + "/?Action=ConfirmSubscription&TopicArn=" + sub.Topic + "&Token=" + token
}

// envelope is a message as SNS writes it where delivery is not raw ("Parsing Amazon SNS
// message formats", Developer Guide).
func (s *Service) envelope(ctx context.Context, sub *subscription, m *message) (string, error) {
	w := &objectWriter{}
	w.member("Type", m.Kind.text())
	w.member("MessageId", m.ID)
	if m.Kind != kindNotification {
		w.member("Token", m.Token)
	}
	if m.Sequence != "" {
		w.member("SequenceNumber", m.Sequence)
	}
	w.member("TopicArn", m.Topic)
	if m.Subject != "" {
		w.member("Subject", m.Subject)
	}
	w.member("Message", m.Body)
	if m.Kind != kindNotification {
		w.member("SubscribeURL", s.subscribeURL(sub, m.Token))
	}
	w.member("Timestamp", stamp(m.Time))
	if m.Version != "" {
		k, err := s.signingKey(ctx)
		if err != nil {
			return "", err
		}
		signature, err := k.sign(m.Version, s.signed(sub, m))
		if err != nil {
			return "", err
		}
		w.member("SignatureVersion", m.Version)
		w.member("Signature", signature)
		w.member("SigningCertURL", s.base(sub)+k.path)
	}
	if m.Kind == kindNotification {
		w.member("UnsubscribeURL", s.unsubscribeURL(sub))
	}
	w.attributes(m.Attributes)
	return w.text(), nil
}

// signed is the text that a message's signature is of ("Verifying the signatures of
// Amazon SNS messages", Developer Guide).
func (s *Service) signed(sub *subscription, m *message) []byte {
	var b bytes.Buffer
	line := func(name, value string) { b.WriteString(name + "\n" + value + "\n") }
	line("Message", m.Body)
	line("MessageId", m.ID)
	if m.Kind == kindNotification {
		if m.Subject != "" {
			line("Subject", m.Subject)
		}
	} else {
		line("SubscribeURL", s.subscribeURL(sub, m.Token))
	}
	line("Timestamp", stamp(m.Time))
	if m.Kind != kindNotification {
		line("Token", m.Token)
	}
	line("TopicArn", m.Topic)
	line("Type", m.Kind.text())
	return b.Bytes()
}

// objectWriter writes a JSON object as SNS does: a member a line.
type objectWriter struct{ b strings.Builder }

func (w *objectWriter) begin(name string) {
	if w.b.Len() == 0 {
		w.b.WriteString("{\n")
	} else {
		w.b.WriteString(",\n")
	}
	w.b.WriteString("  " + quote(name) + " : ")
}

func (w *objectWriter) member(name, value string) {
	w.begin(name)
	w.b.WriteString(quote(value))
}

func (w *objectWriter) attributes(all map[string]messageAttribute) {
	if len(all) == 0 {
		return
	}
	w.begin("MessageAttributes")
	for i, name := range sortedKeys(all) {
		a := all[name]
		value := a.Text
		if a.isBinary() {
			value = base64.StdEncoding.EncodeToString(a.Binary)
		}
		w.b.WriteString(map[bool]string{true: "{\n", false: ",\n"}[i == 0])
		w.b.WriteString("    " + quote(name) + " : {\"Type\":" + quote(a.Type) + ",\"Value\":" + quote(value) + "}")
	}
	w.b.WriteString("\n  }")
}

func (w *objectWriter) text() string { return w.b.String() + "\n}" }

// quote writes a text as JSON, with the characters of HTML as they are.
func quote(text string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(text) // a string never fails
	return strings.TrimSuffix(b.String(), "\n")
}
