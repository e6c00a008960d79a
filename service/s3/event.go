package s3

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/store"
)

// The names of events, without "s3:" ("Event notification types and
// destinations", S3 User Guide).
const (
	eventPut         = "ObjectCreated:Put"
	eventPost        = "ObjectCreated:Post"
	eventCopy        = "ObjectCreated:Copy"
	eventComplete    = "ObjectCreated:CompleteMultipartUpload"
	eventDelete      = "ObjectRemoved:Delete"
	eventMarker      = "ObjectRemoved:DeleteMarkerCreated"
	eventTagsPut     = "ObjectTagging:Put"
	eventTagsDelete  = "ObjectTagging:Delete"
	eventACLPut      = "ObjectAcl:Put"
	eventExpired     = "LifecycleExpiration:Delete"
	eventMarkExpired = "LifecycleExpiration:DeleteMarkerCreated"
)

// created are the events of the operations that make objects.
var created = map[string]string{"CopyObject": eventCopy, "CompleteMultipartUpload": eventComplete, "PostObject": eventPost}

// event is an event that has to be delivered, by "when it is due in nanoseconds/id".
// It is committed with the change that it tells of.
type event struct {
	Bucket      string
	Destination string // ARN
	Body        string
	Made        time.Time
	Failures    int `json:",omitempty"`
}

var events = store.NewCollection[event](store.BulkPrefix + "s3/event")

func eventKey(due time.Time, id string) string { return fmt.Sprintf("%020d/%s", due.UnixNano(), id) }

// sequence gives numbers that grow with time and never repeat while Slipway
// runs: of two events of a key, the later has the larger one.
type sequence struct{ last atomic.Int64 }

func (s *sequence) next(now time.Time) string {
	for {
		last := s.last.Load()
		n := max(now.UnixNano(), last+1)
		if s.last.CompareAndSwap(last, n) {
			return fmt.Sprintf("%018X", n)
		}
	}
}

// The message of an event ("Event message structure", S3 User Guide).
type (
	message struct {
		Records []messageRecord
	}
	messageRecord struct {
		EventVersion      string            `json:"eventVersion"`
		EventSource       string            `json:"eventSource"`
		AwsRegion         string            `json:"awsRegion"`
		EventTime         string            `json:"eventTime"`
		EventName         string            `json:"eventName"`
		UserIdentity      identity          `json:"userIdentity"`
		RequestParameters map[string]string `json:"requestParameters"`
		ResponseElements  map[string]string `json:"responseElements"`
		S3                messageBody       `json:"s3"`
	}
	identity struct {
		PrincipalID string `json:"principalId"`
	}
	messageBody struct {
		SchemaVersion   string        `json:"s3SchemaVersion"`
		ConfigurationID string        `json:"configurationId"`
		Bucket          messageBucket `json:"bucket"`
		Object          messageObject `json:"object"`
	}
	messageBucket struct {
		Name  string   `json:"name"`
		Owner identity `json:"ownerIdentity"`
		ARN   string   `json:"arn"`
	}
	messageObject struct {
		Key       string `json:"key"`
		Size      *int64 `json:"size,omitempty"`
		ETag      string `json:"eTag,omitempty"`
		VersionID string `json:"versionId,omitempty"`
		Sequencer string `json:"sequencer,omitempty"`
	}
)

// customerID is how events name an account.
func customerID(account string) string {
	return "A" + strings.ToUpper(arn.Hash("s3 customer " + account)[:13])
}

// who is how events name a caller.
func who(p auth.Principal) string {
	switch p.Kind {
	case auth.Anonymous:
		return "Anonymous"
	case auth.Service:
		return p.Name
	}
	return "AWS:" + p.UserID
}

// describe is the message of an event, but for the id of the configuration that
// asked for it.
func (s *Service) describe(call auth.Call, b *bucket, name string, o *object) messageRecord {
	body := messageObject{Key: strings.ReplaceAll(url.QueryEscape(o.Key), "%2F", "/"), VersionID: shownVersion(b, o)}
	version := "2.1"
	switch kind, _, _ := strings.Cut(name, ":"); kind {
	case "ObjectCreated":
		body.Size, body.ETag, body.Sequencer = &o.Size, o.ETag, s.sequence.next(s.now())
	case "ObjectRemoved":
		body.Sequencer = s.sequence.next(s.now())
	case "LifecycleExpiration":
		version, body.Sequencer = "2.3", s.sequence.next(s.now())
	default:
		version, body.ETag = "2.3", o.ETag
	}
	return messageRecord{
		EventVersion: version, EventSource: "aws:s3", AwsRegion: b.Region, EventName: name,
		EventTime:         s.now().UTC().Format("2006-01-02T15:04:05.000Z"),
		UserIdentity:      identity{who(call.Principal)},
		RequestParameters: map[string]string{"sourceIPAddress": call.SourceIP},
		ResponseElements:  map[string]string{"x-amz-request-id": call.RequestID, "x-amz-id-2": hostID(call.RequestID)},
		S3: messageBody{
			SchemaVersion: "1.0", Object: body,
			Bucket: messageBucket{b.Name, identity{customerID(b.Account)}, bucketARN(b.Name)},
		},
	}
}

// hostID is the second id of a request, as answers carry it.
func hostID(id string) string { return base64.StdEncoding.EncodeToString([]byte("slipway:" + id)) }

// emit keeps an event for every configuration of the bucket that asks for it.
func (c *change) emit(ctx context.Context, b *bucket, name string, o *object) error {
	if !b.Notifies {
		return nil
	}
	cfg, err := notifications.Get(c, b.Name)
	if err != nil {
		return ignoreNotFound(err)
	}
	var record messageRecord
	for _, n := range cfg.Configurations {
		if !n.wants(name, o.Key) {
			continue
		}
		if record.EventName == "" {
			record = c.service.describe(auth.From(ctx), b, name, o)
		}
		record.S3.ConfigurationID = n.ID
		body, err := json.Marshal(message{[]messageRecord{record}})
		if err != nil {
			return err
		}
		now := c.service.now().UTC()
		e := &event{Bucket: b.Name, Destination: n.Destination, Body: string(body), Made: now}
		if err := events.Put(c, eventKey(now, arn.NewID("event-")), e); err != nil {
			return err
		}
		c.emitted = true
	}
	return nil
}

// emitCreated keeps the event of an object that the call made.
func (c *change) emitCreated(ctx context.Context, b *bucket, o *object) error {
	name := created[auth.From(ctx).Operation]
	if posted(ctx) {
		name = eventPost
	}
	if name == "" {
		name = eventPut
	}
	return c.emit(ctx, b, name, o)
}
