package cloudformation_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/api/sns"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/cfn/apply"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/service/cloudformation"
	"github.com/slipway/slipway/store"
)

const topicARN = "arn:aws:sns:us-east-1:111111111111:told"

// topics is an SNS that has one topic and keeps what is published.
type topics struct {
	sns.Unimplemented
	mu      sync.Mutex
	told    []sns.PublishInput
	callers []auth.Call
	fails   int // publications that fail before the others
}

func (s *topics) GetTopicAttributes(_ context.Context, in *sns.GetTopicAttributesInput) (*sns.GetTopicAttributesOutput, error) {
	if in.TopicArn != topicARN {
		return nil, fault.New(fault.SNSNotFound, "Topic does not exist")
	}
	return &sns.GetTopicAttributesOutput{}, nil
}

func (s *topics) Publish(ctx context.Context, in *sns.PublishInput) (*sns.PublishOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fails--; s.fails >= 0 {
		return nil, errors.New("not now")
	}
	s.told, s.callers = append(s.told, *in), append(s.callers, auth.From(ctx))
	return &sns.PublishOutput{}, nil
}

// lines are what was published: "logical STATUS reason".
func (s *topics) lines() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, in := range s.told {
		m := map[string]string{}
		for line := range strings.Lines(in.Message) {
			name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
			m[name] = strings.Trim(value, "'")
		}
		who := m["LogicalResourceId"]
		if m["PhysicalResourceId"] == m["StackId"] {
			who = "(stack)"
		}
		out = append(out, strings.TrimSpace(who+" "+m["ResourceStatus"]+" "+m["ResourceStatusReason"]))
	}
	return out
}

func notifying(t *testing.T, fails int) (*world, *topics) {
	s := &topics{fails: fails}
	w := newWorld(t, func(c *cloudformation.Config) { c.SNS = s })
	return w, s
}

// published waits until the outbox is empty.
func (w *world) published() {
	w.t.Helper()
	w.Start(w.ctx)
	ctx, stop := context.WithTimeout(w.ctx, 20*time.Second)
	defer stop()
	changed := w.store.Watch(ctx, apply.Notices.Prefix())
	for {
		left := 0
		err := w.store.View(w.ctx, func(tx store.Tx) error {
			left = 0
			for _, err := range apply.Notices.Scan(tx, "") {
				if err != nil {
					return err
				}
				left++
			}
			return nil
		})
		if err != nil {
			w.t.Fatal(err)
		}
		if left == 0 {
			w.Stop()
			return
		}
		if _, ok := <-changed; !ok {
			w.t.Fatalf("%d events are not published", left)
		}
	}
}

func told(in *api.CreateStackInput) { in.NotificationARNs = []string{topicARN} }

func TestEventsArePublishedInTheirOrder(t *testing.T) {
	w, s := notifying(t, 2)
	id := w.create("told", chain, told, func(in *api.CreateStackInput) { in.ClientRequestToken = "token-1" })
	if st := w.settle("told", apply.CreateComplete); !slices.Equal(st.NotificationARNs, []string{topicARN}) {
		t.Errorf("the stack tells %v", st.NotificationARNs)
	}
	w.drop("told")
	w.settle(id, apply.DeleteComplete)
	w.published()
	if got, want := strings.Join(s.lines(), "\n"), strings.Join(w.events(id), "\n"); got != want {
		t.Errorf("published:\n%s\nthe events are:\n%s", got, want)
	}
	first, who := s.told[0], s.callers[0]
	if first.Subject != "AWS CloudFormation Notification" || who.Principal.ARN != "arn:aws:iam::111111111111:root" || first.TopicArn != topicARN {
		t.Errorf("published %+v as %s", first, who.Principal.ARN)
	}
	page, err := w.DescribeStackEvents(w.ctx, &api.DescribeStackEventsInput{StackName: id})
	if err != nil {
		t.Fatal(err)
	}
	e := page.StackEvents[len(page.StackEvents)-1]
	want := fmt.Sprintf("StackId='%s'\nTimestamp='%s'\nEventId='%s'\nLogicalResourceId='told'\nNamespace='111111111111'\nPhysicalResourceId='%s'\nPrincipalId=''\n"+
		"ResourceProperties='null'\nResourceStatus='CREATE_IN_PROGRESS'\nResourceStatusReason='User Initiated'\nResourceType='AWS::CloudFormation::Stack'\nStackName='told'\nClientRequestToken='token-1'\n",
		id, e.Timestamp.UTC().Format("2006-01-02T15:04:05.000Z"), e.EventId, id)
	if first.Message != want {
		t.Errorf("the message is\n%s\nwant\n%s", first.Message, want)
	}
}

func TestTopicsOfAStackChange(t *testing.T) {
	w, s := notifying(t, 0)
	const body = "Resources:\n  A:\n    Type: AWS::Test::Thing\n    Properties: {Name: !Join [',', !Ref 'AWS::NotificationARNs']}\n"
	w.create("s", body, told)
	w.settle("s", apply.CreateComplete)
	if things := w.cloud.things(); !slices.Equal(things, []string{topicARN}) {
		t.Errorf("AWS::NotificationARNs is %v", things)
	}
	keep := func(in *api.UpdateStackInput) {}
	_, err := w.UpdateStack(w.ctx, &api.UpdateStackInput{StackName: "s", UsePreviousTemplate: yes()})
	refused(t, err, fault.ValidationError, "No updates")
	w.updateTo("s", chain, keep)
	if st := w.settle("s", apply.UpdateComplete); len(st.NotificationARNs) != 1 {
		t.Errorf("an update that names none leaves %v", st.NotificationARNs)
	}
	w.updateTo("s", chain, func(in *api.UpdateStackInput) { in.NotificationARNs = []string{} })
	if st := w.settle("s", apply.UpdateComplete); len(st.NotificationARNs) != 0 {
		t.Errorf("an update that names an empty list leaves %v", st.NotificationARNs)
	}
	w.published()
	lines := s.lines()
	if n := len(slices.DeleteFunc(slices.Clone(lines), func(l string) bool { return l != "(stack) UPDATE_COMPLETE" })); n != 1 {
		t.Errorf("published %d ends of updates:\n%s", n, strings.Join(lines, "\n"))
	}
	w.create("change", chain)
	w.settle("change", apply.CreateComplete)
	cs, err := w.CreateChangeSet(w.ctx, &api.CreateChangeSetInput{StackName: "change", ChangeSetName: "c", TemplateBody: body, NotificationARNs: []string{topicARN}})
	if err != nil {
		t.Fatal(err)
	}
	out, err := w.DescribeChangeSet(w.ctx, &api.DescribeChangeSetInput{ChangeSetName: cs.Id})
	if err != nil || !slices.Equal(out.NotificationARNs, []string{topicARN}) {
		t.Errorf("the change set tells %v, %v", out, err)
	}
	if _, err := w.ExecuteChangeSet(w.ctx, &api.ExecuteChangeSetInput{ChangeSetName: cs.Id}); err != nil {
		t.Fatal(err)
	}
	if st := w.settle("change", apply.UpdateComplete); len(st.NotificationARNs) != 1 {
		t.Errorf("after the change set, %v", st.NotificationARNs)
	}
}

func TestTopicsThatAreNone(t *testing.T) {
	w, _ := notifying(t, 0)
	for arn, message := range map[string]string{
		"arn:aws:sns:us-east-1:111111111111:none": "Topic does not exist (Service: AmazonSNS; Status Code: 404; Error Code: NotFound; Request ID: r; Proxy: null)",
	} {
		_, err := w.CreateStack(w.ctx, &api.CreateStackInput{StackName: "s", TemplateBody: chain, NotificationARNs: []string{arn}})
		refused(t, err, fault.ValidationError, message)
	}
	_, err := w.CreateStack(w.ctx, &api.CreateStackInput{StackName: "s", TemplateBody: chain, NotificationARNs: slices.Repeat([]string{topicARN}, 6)})
	refused(t, err, fault.ValidationError, "less than or equal to 5")
}
