package sqs

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"time"

	api "github.com/slipway/slipway/api/sqs"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth/policy"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// attributes are what a queue can be set to. Times are in seconds, sizes in
// bytes.
type attributes struct {
	Delay      int
	MaxSize    int
	Retention  int
	Wait       int
	Visibility int
	Encrypted  bool   // SSE-SQS: sealed under the data folder's master key
	KeyID      string `json:",omitempty"` // SSE-KMS
	Reuse      int    `json:",omitempty"` // of data keys
	fifo
	Policy      string `json:",omitempty"`
	RedriveText string `json:",omitempty"`
	Redrive     *redrive
	AllowText   string `json:",omitempty"`
	Allow       *redriveAllow
}

// fifo are the attributes of FIFO queues alone.
type fifo struct {
	Fifo         bool   `json:",omitempty"`
	ContentBased bool   `json:",omitempty"` // deduplicates by the body
	Scope        string `json:",omitempty"` // of deduplication
	Throughput   string `json:",omitempty"` // FifoThroughputLimit
}

// redrive says where messages go that were received too often.
type redrive struct {
	Target string // ARN
	Max    int
}

// redriveAllow says which queues may use this one as their dead-letter queue.
type redriveAllow struct {
	Permission string
	Sources    []string `json:",omitempty"`
}

// defaults are a new queue's ("CreateQueue", Amazon SQS API Reference).
var defaults = attributes{MaxSize: maxSize, Retention: 345600, Visibility: 30, Encrypted: true}

const (
	maxSize       = 1 << 20
	maxVisibility = 43200
)

// number is an attribute that is a number.
type number struct {
	least, most int
	at          func(*attributes) *int
}

var numbers = map[string]number{
	api.QueueAttributeNameDelaySeconds:                  {0, 900, func(a *attributes) *int { return &a.Delay }},
	api.QueueAttributeNameMaximumMessageSize:            {1024, maxSize, func(a *attributes) *int { return &a.MaxSize }},
	api.QueueAttributeNameMessageRetentionPeriod:        {60, 1209600, func(a *attributes) *int { return &a.Retention }},
	api.QueueAttributeNameReceiveMessageWaitTimeSeconds: {0, 20, func(a *attributes) *int { return &a.Wait }},
	api.QueueAttributeNameVisibilityTimeout:             {0, maxVisibility, func(a *attributes) *int { return &a.Visibility }},
}

// known refuses names that a queue of the type cannot be set to.
func (f fifo) known(name string) error {
	if _, ok := numbers[name]; ok {
		return nil
	}
	switch name {
	case api.QueueAttributeNamePolicy, api.QueueAttributeNameRedrivePolicy, api.QueueAttributeNameRedriveAllowPolicy,
		api.QueueAttributeNameSqsManagedSseEnabled, api.QueueAttributeNameKmsMasterKeyId, api.QueueAttributeNameKmsDataKeyReusePeriodSeconds:
		return nil
	case api.QueueAttributeNameFifoQueue, api.QueueAttributeNameContentBasedDeduplication, api.QueueAttributeNameDeduplicationScope,
		api.QueueAttributeNameFifoThroughputLimit:
		if f.Fifo {
			return nil
		}
	}
	return fault.New(fault.InvalidAttributeName, "Unknown Attribute %s.", name)
}

func invalid(name string) error {
	return fault.New(fault.InvalidAttributeValue, "Invalid value for the parameter %s.", name)
}

// set changes attributes; an empty value is the default.
func (q *queue) set(tx store.Tx, p place, values map[string]string) error {
	for _, name := range sortedKeys(values) {
		if err := q.Attributes.known(name); err != nil {
			return err
		}
		if err := q.setOne(tx, p, name, values[name]); err != nil {
			return err
		}
	}
	if err := q.Attributes.oneEncryption(values); err != nil {
		return err
	}
	if f := q.Attributes.fifo; f.Throughput == perGroup && f.Scope != "messageGroup" {
		return invalid(api.QueueAttributeNameFifoThroughputLimit) // allowed with that scope alone
	}
	return nil
}

func (q *queue) setOne(tx store.Tx, p place, name, value string) error {
	a := &q.Attributes
	if n, ok := numbers[name]; ok {
		if value == "" {
			fresh := defaults
			*n.at(a) = *n.at(&fresh)
			return nil
		}
		i, err := strconv.Atoi(value)
		if err != nil || i < n.least || i > n.most {
			return invalid(name)
		}
		*n.at(a) = i
		return nil
	}
	switch name {
	case api.QueueAttributeNameFifoQueue, api.QueueAttributeNameContentBasedDeduplication, api.QueueAttributeNameDeduplicationScope,
		api.QueueAttributeNameFifoThroughputLimit:
		return a.fifo.setOne(name, value)
	case api.QueueAttributeNameSqsManagedSseEnabled:
		if value != "true" && value != "false" {
			return invalid(name)
		}
		a.Encrypted = value == "true"
	case api.QueueAttributeNamePolicy:
		if value != "" {
			if _, err := policy.Parse(value, policy.Resource); err != nil {
				return invalid(name)
			}
		}
		a.Policy = value
	case api.QueueAttributeNameRedrivePolicy:
		return a.setRedrive(tx, p, value)
	case api.QueueAttributeNameRedriveAllowPolicy:
		return a.setAllow(value)
	case api.QueueAttributeNameKmsMasterKeyId:
		if len(value) > 2048 {
			return invalid(name)
		}
		a.KeyID = value
		if a.Reuse == 0 {
			a.Reuse = defaultReuse
		}
	case api.QueueAttributeNameKmsDataKeyReusePeriodSeconds:
		a.Reuse = defaultReuse
		if value != "" {
			i, err := strconv.Atoi(value)
			if err != nil || i < minReuse || i > maxReuse {
				return invalid(name)
			}
			a.Reuse = i
		}
	}
	return nil
}

// oneEncryption sees that a queue has one kind of encryption at a time: a KMS key
// takes the place of SQS's own, which cannot be switched on beside it.
func (a *attributes) oneEncryption(set map[string]string) error {
	if a.KeyID == "" || !a.Encrypted {
		return nil
	}
	if set[api.QueueAttributeNameSqsManagedSseEnabled] == "true" {
		return fault.New(fault.InvalidAttributeName, "You can use one type of server-side encryption (SSE) at one time. You can either enable KMS SSE or SQS SSE.")
	}
	a.Encrypted = false
	return nil
}

const perGroup = "perMessageGroupId"

func (f *fifo) setOne(name, value string) error {
	oneOf := func(to *string, values ...string) error {
		if value == "" {
			value = values[0]
		}
		if !slices.Contains(values, value) {
			return invalid(name)
		}
		*to = value
		return nil
	}
	var yes string
	switch name {
	case api.QueueAttributeNameFifoQueue: // a queue's type never changes
		return oneOf(&yes, "true")
	case api.QueueAttributeNameDeduplicationScope:
		return oneOf(&f.Scope, "queue", "messageGroup")
	case api.QueueAttributeNameFifoThroughputLimit:
		return oneOf(&f.Throughput, "perQueue", perGroup)
	}
	err := oneOf(&yes, "false", "true")
	f.ContentBased = yes == "true"
	return err
}

func badRedrive(value, reason string) error {
	return fault.New(fault.InvalidParameterValue, "Value %s for parameter RedrivePolicy is invalid. Reason: %s", value, reason)
}

func (a *attributes) setRedrive(tx store.Tx, p place, value string) error {
	if value == "" || value == "{}" {
		a.Redrive, a.RedriveText = nil, ""
		return nil
	}
	var r struct {
		Target string `json:"deadLetterTargetArn"`
		Max    any    `json:"maxReceiveCount"`
	}
	if err := json.Unmarshal([]byte(value), &r); err != nil {
		return badRedrive(value, "Redrive policy is not a valid JSON map.")
	}
	if r.Target == "" || r.Max == nil {
		return badRedrive(value, "Redrive policy does not contain mandatory attribute: deadLetterTargetArn or maxReceiveCount.")
	}
	most := 0
	switch m := r.Max.(type) { // a number, or one as text
	case float64:
		if m == float64(int(m)) {
			most = int(m)
		}
	case string:
		most, _ = strconv.Atoi(m) // what is no number stays 0
	}
	if most < 1 || most > 1000 {
		return badRedrive(value, "Invalid value for maxReceiveCount: must be between 1 and 1000, both inclusive.")
	}
	target, err := targetOf(r.Target)
	if err != nil || target.Scope != p.Scope {
		return badRedrive(value, "Dead letter target owner should be same as the source.")
	}
	dead, err := find(tx, target)
	if fault.Is(err, fault.QueueDoesNotExist) {
		return badRedrive(value, "Dead letter target does not exist or is not available.")
	}
	if err != nil {
		return err
	}
	if dead.Attributes.Fifo != a.Fifo {
		return badRedrive(value, "Dead-letter queue must be same type of queue as the source.")
	}
	if !dead.Attributes.allows(p.arn()) {
		return badRedrive(value, "Queue "+p.arn()+" does not have permissions to use "+r.Target+" as a dead-letter queue.")
	}
	a.Redrive, a.RedriveText = &redrive{r.Target, most}, value
	return nil
}

func targetOf(queueARN string) (place, error) {
	a, err := arn.Parse(queueARN)
	if err != nil || a.Service != "sqs" {
		return place{}, invalid(api.QueueAttributeNameRedrivePolicy)
	}
	return place{arn.Scope{Account: a.Account, Region: a.Region}, a.Resource}, nil
}

func (a *attributes) allows(sourceARN string) bool {
	switch {
	case a.Allow == nil || a.Allow.Permission == "allowAll":
		return true
	case a.Allow.Permission == "byQueue":
		return slices.Contains(a.Allow.Sources, sourceARN)
	}
	return false
}

func (a *attributes) setAllow(value string) error {
	if value == "" || value == "{}" {
		a.Allow, a.AllowText = nil, ""
		return nil
	}
	bad := func(reason string) error {
		return fault.New(fault.InvalidParameterValue, "Value %s for parameter RedriveAllowPolicy is invalid. Reason: %s", value, reason)
	}
	var r struct {
		Permission string   `json:"redrivePermission"`
		Sources    []string `json:"sourceQueueArns"`
	}
	if err := json.Unmarshal([]byte(value), &r); err != nil {
		return bad("Redrive allow policy is not a valid JSON map.")
	}
	switch r.Permission {
	case "allowAll", "denyAll":
		if len(r.Sources) > 0 {
			return bad("sourceQueueArns is allowed only with redrivePermission byQueue.")
		}
	case "byQueue":
		if len(r.Sources) < 1 || len(r.Sources) > 10 {
			return bad("sourceQueueArns must have 1 to 10 ARNs.")
		}
	default:
		return bad("redrivePermission must be allowAll, denyAll or byQueue.")
	}
	a.Allow, a.AllowText = &redriveAllow{r.Permission, r.Sources}, value
	return nil
}

// texts are the attributes that have a value, as the API writes them.
func (a *attributes) texts() map[string]string {
	out := map[string]string{api.QueueAttributeNameSqsManagedSseEnabled: strconv.FormatBool(a.Encrypted)}
	for name, n := range numbers {
		out[name] = strconv.Itoa(*n.at(a))
	}
	if a.Fifo {
		out[api.QueueAttributeNameFifoQueue] = "true"
		out[api.QueueAttributeNameContentBasedDeduplication] = strconv.FormatBool(a.ContentBased)
		out[api.QueueAttributeNameDeduplicationScope] = a.Scope
		out[api.QueueAttributeNameFifoThroughputLimit] = a.Throughput
	}
	if a.KeyID != "" {
		out[api.QueueAttributeNameKmsMasterKeyId] = a.KeyID
		out[api.QueueAttributeNameKmsDataKeyReusePeriodSeconds] = strconv.Itoa(a.Reuse)
	}
	for name, text := range map[string]string{
		api.QueueAttributeNamePolicy:             a.Policy,
		api.QueueAttributeNameRedrivePolicy:      a.RedriveText,
		api.QueueAttributeNameRedriveAllowPolicy: a.AllowText,
	} {
		if text != "" {
			out[name] = text
		}
	}
	return out
}

// sameAttribute compares documents by what they say.
func sameAttribute(name, has, asked string) bool {
	if has == asked {
		return true
	}
	var a, b any
	switch name {
	case api.QueueAttributeNamePolicy, api.QueueAttributeNameRedrivePolicy, api.QueueAttributeNameRedriveAllowPolicy:
		if json.Unmarshal([]byte(has), &a) != nil || json.Unmarshal([]byte(asked), &b) != nil {
			return false
		}
		x, errX := json.Marshal(a)
		y, errY := json.Marshal(b)
		return errX == nil && errY == nil && string(x) == string(y)
	}
	return false
}

// SetQueueAttributes changes a queue's attributes.
func (s *Service) SetQueueAttributes(ctx context.Context, in *api.SetQueueAttributesInput) (*api.SetQueueAttributesOutput, error) {
	return &api.SetQueueAttributesOutput{}, s.update(ctx, in.QueueUrl, func(tx store.Tx, p place, q *queue) error {
		if err := q.set(tx, p, in.Attributes); err != nil {
			return err
		}
		q.Modified = s.now().UTC()
		return queues.Put(tx, p.key(), q)
	})
}

// GetQueueAttributes tells the attributes asked for, and how many messages a
// queue holds: exactly, while clocks do not go back, though AWS calls the
// numbers approximate.
func (s *Service) GetQueueAttributes(ctx context.Context, in *api.GetQueueAttributesInput) (*api.GetQueueAttributesOutput, error) {
	for _, name := range in.AttributeNames {
		if !slices.Contains(readable, name) {
			return nil, fault.New(fault.InvalidAttributeName, "Unknown Attribute %s.", name)
		}
	}
	wants := func(name string) bool {
		return slices.Contains(in.AttributeNames, name) || slices.Contains(in.AttributeNames, api.QueueAttributeNameAll)
	}
	out := &api.GetQueueAttributesOutput{}
	err := s.view(ctx, in.QueueUrl, func(tx store.Tx, p place, q *queue) error {
		all := q.Attributes.texts()
		all[api.QueueAttributeNameQueueArn] = p.arn()
		all[api.QueueAttributeNameCreatedTimestamp] = seconds(q.Created)
		all[api.QueueAttributeNameLastModifiedTimestamp] = seconds(q.Modified)
		if slices.ContainsFunc(counters, wants) {
			n, err := count(tx, q, s.now())
			if err != nil {
				return err
			}
			all[api.QueueAttributeNameApproximateNumberOfMessages] = strconv.Itoa(n.visible)
			all[api.QueueAttributeNameApproximateNumberOfMessagesNotVisible] = strconv.Itoa(n.inFlight)
			all[api.QueueAttributeNameApproximateNumberOfMessagesDelayed] = strconv.Itoa(n.delayed)
		}
		maps.DeleteFunc(all, func(name, _ string) bool { return !wants(name) })
		out.Attributes = all
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(out.Attributes) == 0 {
		out.Attributes = nil
	}
	return out, nil
}

var counters = []string{
	api.QueueAttributeNameApproximateNumberOfMessages,
	api.QueueAttributeNameApproximateNumberOfMessagesNotVisible,
	api.QueueAttributeNameApproximateNumberOfMessagesDelayed,
}

// readable are the names that GetQueueAttributes takes; those of FIFO queues
// have no value in a standard one.
var readable = append([]string{
	api.QueueAttributeNameAll, api.QueueAttributeNamePolicy, api.QueueAttributeNameRedrivePolicy, api.QueueAttributeNameRedriveAllowPolicy,
	api.QueueAttributeNameSqsManagedSseEnabled, api.QueueAttributeNameKmsMasterKeyId, api.QueueAttributeNameKmsDataKeyReusePeriodSeconds,
	api.QueueAttributeNameDelaySeconds, api.QueueAttributeNameMaximumMessageSize, api.QueueAttributeNameMessageRetentionPeriod,
	api.QueueAttributeNameReceiveMessageWaitTimeSeconds, api.QueueAttributeNameVisibilityTimeout, api.QueueAttributeNameQueueArn,
	api.QueueAttributeNameCreatedTimestamp, api.QueueAttributeNameLastModifiedTimestamp, api.QueueAttributeNameFifoQueue,
	api.QueueAttributeNameContentBasedDeduplication, api.QueueAttributeNameDeduplicationScope, api.QueueAttributeNameFifoThroughputLimit,
}, counters...)

func seconds(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
