package logs

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	api "github.com/slipway/slipway/api/logs"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/keyring"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/store/storetest"
)

var scope = arn.Scope{Account: "111111111111", Region: "us-east-1"}

// world is a service whose clock stands.
type world struct {
	*Service
	t     *testing.T
	ctx   context.Context
	mu    sync.Mutex
	clock time.Time
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, clock: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)}
	w.ctx = auth.With(t.Context(), auth.Call{Principal: auth.RootOf(scope.Account), Scope: scope})
	w.Service = New(Config{Store: storetest.New(t), Ring: keyring.Ephemeral(), Now: w.time})
	t.Cleanup(w.Stop)
	return w
}

func (w *world) time() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.clock
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clock = w.clock.Add(d)
}

// ago is the time in ms that lies d back.
func (w *world) ago(d time.Duration) int64 { return w.time().Add(-d).UnixMilli() }

func (w *world) check(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) group(name string, streams ...string) {
	w.t.Helper()
	_, err := w.CreateLogGroup(w.ctx, &api.CreateLogGroupInput{LogGroupName: name})
	w.check(err)
	for _, s := range streams {
		_, err := w.CreateLogStream(w.ctx, &api.CreateLogStreamInput{LogGroupName: name, LogStreamName: s})
		w.check(err)
	}
}

// put puts events, a second apart from first on.
func (w *world) put(group, stream string, first int64, texts ...string) *api.PutLogEventsOutput {
	w.t.Helper()
	in := &api.PutLogEventsInput{LogGroupName: group, LogStreamName: stream}
	for i, text := range texts {
		in.LogEvents = append(in.LogEvents, api.InputLogEvent{Timestamp: new(first + int64(i)*1000), Message: text})
	}
	out, err := w.PutLogEvents(w.ctx, in)
	w.check(err)
	return out
}

func (w *world) get(in *api.GetLogEventsInput) (*api.GetLogEventsOutput, string) {
	w.t.Helper()
	out, err := w.GetLogEvents(w.ctx, in)
	w.check(err)
	var texts []string
	for _, e := range out.Events {
		texts = append(texts, e.Message)
	}
	return out, strings.Join(texts, " ")
}

func (w *world) filter(in *api.FilterLogEventsInput) (*api.FilterLogEventsOutput, string) {
	w.t.Helper()
	out, err := w.FilterLogEvents(w.ctx, in)
	w.check(err)
	var texts []string
	for _, e := range out.Events {
		texts = append(texts, e.LogStreamName+":"+e.Message)
	}
	return out, strings.Join(texts, " ")
}

func wants(t *testing.T, err error, code, text string) {
	t.Helper()
	f, ok := fault.As(err)
	if !ok || f.Code != code || !strings.Contains(f.Message, text) {
		t.Errorf("got %v, want %s with %q", err, code, text)
	}
}

func TestGetLogEventsGoesBothWays(t *testing.T) {
	w := newWorld(t)
	w.group("g", "s", "other")
	start := w.ago(time.Hour)
	var all []string
	for i := range 5 { // over many windows, in puts of 7
		var texts []string
		for j := range 7 {
			texts = append(texts, fmt.Sprintf("e%02d", i*7+j))
		}
		w.put("g", "s", start+int64(i)*7000, texts...)
		w.put("g", "other", start+int64(i)*7000, "no", "no")
		all = append(all, texts...)
	}
	in := api.GetLogEventsInput{LogGroupName: "g", LogStreamName: "s"}
	if _, got := w.get(&in); got != strings.Join(all, " ") {
		t.Errorf("all: %s", got)
	}
	in.Limit = new(int32(10))
	out, got := w.get(&in)
	if got != strings.Join(all[25:], " ") {
		t.Errorf("the last ten: %s", got)
	}
	ahead, back := out.NextForwardToken, out.NextBackwardToken
	for range 2 { // at the end the token stays
		in.NextToken = ahead
		if out, got := w.get(&in); got != "" || out.NextForwardToken != ahead {
			t.Errorf("behind the end: %q, %s, not %s", got, out.NextForwardToken, ahead)
		}
	}
	end, _ := w.get(&in)
	in.NextToken = end.NextBackwardToken
	if _, got := w.get(&in); got != strings.Join(all[25:], " ") {
		t.Errorf("back from behind the end: %s", got)
	}
	for _, want := range []string{strings.Join(all[15:25], " "), strings.Join(all[5:15], " "), strings.Join(all[:5], " "), ""} {
		in.NextToken = back
		out, got := w.get(&in)
		if got != want {
			t.Errorf("back: %s, want %s", got, want)
		}
		if want == "" && out.NextBackwardToken != back {
			t.Error("the token has changed at the beginning")
		}
		back, ahead = out.NextBackwardToken, out.NextForwardToken
	}
	in.NextToken = ahead
	if _, got := w.get(&in); got != strings.Join(all[:10], " ") {
		t.Errorf("ahead from the beginning: %s", got)
	}
	in = api.GetLogEventsInput{LogGroupIdentifier: "arn:aws:logs:us-east-1:111111111111:log-group:g:*", LogStreamName: "s", StartFromHead: new(true), StartTime: new(start + 3000), EndTime: new(start + 6000)}
	if _, got := w.get(&in); got != "e03 e04 e05" {
		t.Errorf("a range: %s", got)
	}
	// New events appear behind a token that stood at the end.
	in = api.GetLogEventsInput{LogGroupName: "g", LogStreamName: "s", NextToken: end.NextForwardToken}
	w.put("g", "s", start+100_000, "new")
	if _, got := w.get(&in); got != "new" {
		t.Errorf("following: %s", got)
	}
	in.NextToken = "f/1/s"
	_, err := w.GetLogEvents(w.ctx, &in)
	wants(t, err, fault.InvalidParameterException, "nextToken")
}

func TestEventsOfOverlappingPutsAreInTheOrderOfTheirTimes(t *testing.T) {
	w := newWorld(t)
	w.group("g", "s")
	start := w.ago(time.Hour) / windowLength * windowLength
	put := func(texts string, offsets ...int64) {
		in := &api.PutLogEventsInput{LogGroupName: "g", LogStreamName: "s"}
		for i, text := range strings.Fields(texts) {
			in.LogEvents = append(in.LogEvents, api.InputLogEvent{Timestamp: new(start + offsets[i]), Message: text})
		}
		_, err := w.PutLogEvents(w.ctx, in)
		w.check(err)
	}
	put("a c e", 0, 2000, 50_000)
	put("b d f", 1000, 9999, 70_000)
	put("b2 e2", 1000, 50_000)
	for _, head := range []bool{true, false} {
		if _, got := w.get(&api.GetLogEventsInput{LogGroupName: "g", LogStreamName: "s", StartFromHead: &head}); got != "a b b2 c d e e2 f" {
			t.Errorf("from the head %t: %s", head, got)
		}
	}
	if _, got := w.get(&api.GetLogEventsInput{LogGroupName: "g", LogStreamName: "s", Limit: new(int32(3))}); got != "e e2 f" {
		t.Errorf("the last: %s", got)
	}
}

func TestFilterLogEventsGoesThroughAllStreams(t *testing.T) {
	w := newWorld(t)
	w.group("g", "a", "b", "ab")
	start := w.ago(time.Hour)
	w.put("g", "a", start, "ERROR 1", "INFO 2", "ERROR 3")
	w.put("g", "b", start+500, "ERROR 1", "INFO 2", "WARN 3")
	w.put("g", "ab", start+60_000, "ERROR last")
	for _, c := range []struct {
		name string
		in   api.FilterLogEventsInput
		want string
	}{
		{"all", api.FilterLogEventsInput{}, "a:ERROR 1 b:ERROR 1 a:INFO 2 b:INFO 2 a:ERROR 3 b:WARN 3 ab:ERROR last"},
		{"pattern", api.FilterLogEventsInput{FilterPattern: "ERROR"}, "a:ERROR 1 b:ERROR 1 a:ERROR 3 ab:ERROR last"},
		{"one stream", api.FilterLogEventsInput{FilterPattern: "ERROR", LogStreamNames: []string{"a"}}, "a:ERROR 1 a:ERROR 3"},
		{"two streams", api.FilterLogEventsInput{FilterPattern: "-INFO", LogStreamNames: []string{"b", "ab"}}, "b:ERROR 1 b:WARN 3 ab:ERROR last"},
		{"prefix", api.FilterLogEventsInput{LogStreamNamePrefix: "a", FilterPattern: "1 ERROR"}, "a:ERROR 1"},
		{"range", api.FilterLogEventsInput{StartTime: new(start + 1000), EndTime: new(start + 2000)}, "a:INFO 2 b:INFO 2"},
	} {
		c.in.LogGroupName = "g"
		out, got := w.filter(&c.in)
		if got != c.want || out.NextToken != "" {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		// The same, an event at a time.
		c.in.Limit = new(int32(1))
		var paged []string
		for range 20 {
			out, got := w.filter(&c.in)
			if got != "" {
				paged = append(paged, got)
			}
			if c.in.NextToken = out.NextToken; out.NextToken == "" {
				break
			}
		}
		if got := strings.Join(paged, " "); got != c.want {
			t.Errorf("%s, paged: %s", c.name, got)
		}
	}
	_, err := w.FilterLogEvents(w.ctx, &api.FilterLogEventsInput{LogGroupName: "g", LogStreamNames: []string{"a", "none"}})
	wants(t, err, fault.ResourceNotFoundException, "log stream does not exist")
	_, err = w.FilterLogEvents(w.ctx, &api.FilterLogEventsInput{LogGroupName: "g", FilterPattern: "a.b"})
	wants(t, err, fault.InvalidParameterException, "Invalid character(s) in term 'a.b'")
}

func TestPutLogEventsKeepsItsRules(t *testing.T) {
	w := newWorld(t)
	w.group("g", "s")
	now := w.time()
	at := func(d time.Duration) *int64 { return new(now.Add(d).UnixMilli()) }
	put := func(events ...api.InputLogEvent) (*api.PutLogEventsOutput, error) {
		return w.PutLogEvents(w.ctx, &api.PutLogEventsInput{LogGroupName: "g", LogStreamName: "s", LogEvents: events, SequenceToken: "any"})
	}
	_, err := put(api.InputLogEvent{Timestamp: at(0), Message: "a"}, api.InputLogEvent{Timestamp: at(-1e6), Message: "b"})
	wants(t, err, fault.InvalidParameterException, "must be in chronological order")
	_, err = put(api.InputLogEvent{Timestamp: at(-25 * time.Hour), Message: "a"}, api.InputLogEvent{Timestamp: at(0), Message: "b"})
	wants(t, err, fault.InvalidParameterException, "cannot span more than 24 hours")
	_, err = put(api.InputLogEvent{Timestamp: at(0), Message: strings.Repeat("a", maxBatch-overhead+1)})
	wants(t, err, fault.InvalidParameterException, "Upload too large: 1048577 bytes exceeds limit of 1048576")
	if _, err = put(api.InputLogEvent{Timestamp: at(0), Message: strings.Repeat("a", maxBatch-overhead)}); err != nil {
		t.Error(err)
	}
	out, err := put(
		api.InputLogEvent{Timestamp: at(-20 * 24 * time.Hour), Message: "old"}, api.InputLogEvent{Timestamp: at(-time.Hour), Message: "good"},
		api.InputLogEvent{Timestamp: at(3 * time.Hour), Message: "new"}, api.InputLogEvent{Timestamp: at(4 * time.Hour), Message: "new"})
	w.check(err)
	if d := cmp.Diff(&api.RejectedLogEventsInfo{TooOldLogEventEndIndex: new(int32(1)), TooNewLogEventStartIndex: new(int32(2))}, out.RejectedLogEventsInfo); d != "" {
		t.Error(d)
	}
	_, err = w.PutRetentionPolicy(w.ctx, &api.PutRetentionPolicyInput{LogGroupName: "g", RetentionInDays: new(int32(5))})
	w.check(err)
	out, err = put(api.InputLogEvent{Timestamp: at(-6 * 24 * time.Hour), Message: "expired"}, api.InputLogEvent{Timestamp: at(-time.Hour), Message: "good2"})
	w.check(err)
	if d := cmp.Diff(&api.RejectedLogEventsInfo{ExpiredLogEventEndIndex: new(int32(1))}, out.RejectedLogEventsInfo); d != "" {
		t.Error(d)
	}
	if _, got := w.get(&api.GetLogEventsInput{LogGroupName: "g", LogStreamName: "s", EndTime: at(0)}); got != "good good2" {
		t.Errorf("taken: %s", got)
	}
	for _, c := range [][3]string{{"none", "s", "log group does not exist"}, {"g", "none", "log stream does not exist"}} {
		_, err := w.PutLogEvents(w.ctx, &api.PutLogEventsInput{LogGroupName: c[0], LogStreamName: c[1], LogEvents: []api.InputLogEvent{{Timestamp: at(0), Message: "a"}}})
		wants(t, err, fault.ResourceNotFoundException, c[2])
	}
}

// bulk are the keys of bulk data that the store has.
func (w *world) bulk() (keys []string) {
	w.check(w.store.View(w.ctx, func(tx store.Tx) error {
		keys = nil
		for doc, err := range tx.Scan(store.BulkPrefix, store.PrefixEnd(store.BulkPrefix)) {
			if err != nil {
				return err
			}
			keys = append(keys, doc.Key)
		}
		return nil
	}))
	return keys
}

func (w *world) described(name string) api.LogGroup {
	w.t.Helper()
	out, err := w.DescribeLogGroups(w.ctx, &api.DescribeLogGroupsInput{LogGroupNamePrefix: name})
	w.check(err)
	if len(out.LogGroups) != 1 {
		w.t.Fatalf("%d groups", len(out.LogGroups))
	}
	return out.LogGroups[0]
}

func TestRetentionRemovesWhatHasExpired(t *testing.T) {
	w := newWorld(t)
	w.group("g", "s", "t")
	old := w.ago(time.Hour)
	for i := range 500 { // more than a transaction of the sweep removes
		w.put("g", "s", old-int64(i)*windowLength, "old")
	}
	w.put("g", "t", old, "old", "old")
	w.pass(24 * time.Hour)
	w.put("g", "s", w.ago(time.Minute), "young")
	_, err := w.PutRetentionPolicy(w.ctx, &api.PutRetentionPolicyInput{LogGroupName: "g", RetentionInDays: new(int32(1))})
	w.check(err)
	// What has expired is out of reach before the sweep.
	if _, got := w.filter(&api.FilterLogEventsInput{LogGroupName: "g"}); got != "s:young" {
		t.Errorf("before the sweep: %s", got)
	}
	w.check(w.sweepOnce(w.ctx))
	if n := len(w.bulk()); n != 1+1+2+1 { // a block, its note, two streams, the tally
		t.Errorf("left: %v", w.bulk())
	}
	if g := w.described("g"); *g.StoredBytes != 5+overhead {
		t.Errorf("%d bytes", *g.StoredBytes)
	}
	out, err := w.DescribeLogStreams(w.ctx, &api.DescribeLogStreamsInput{LogGroupName: "g"})
	w.check(err)
	if s, u := out.LogStreams[0], out.LogStreams[1]; *s.FirstEventTimestamp != w.ago(time.Minute) || u.FirstEventTimestamp != nil {
		t.Errorf("streams %+v", out.LogStreams)
	}
	_, err = w.DeleteRetentionPolicy(w.ctx, &api.DeleteRetentionPolicyInput{LogGroupName: "g"})
	w.check(err)
	w.put("g", "t", old, "again")
	if _, got := w.filter(&api.FilterLogEventsInput{LogGroupName: "g"}); got != "t:again s:young" {
		t.Errorf("after: %s", got)
	}
	_, err = w.PutRetentionPolicy(w.ctx, &api.PutRetentionPolicyInput{LogGroupName: "g", RetentionInDays: new(int32(2))})
	wants(t, err, fault.InvalidParameterException, "Value '2' at 'retentionInDays'")
}

func TestDeletionLeavesNothing(t *testing.T) {
	w := newWorld(t)
	w.group("g", "s", "t")
	for i := range 400 {
		w.put("g", "s", w.ago(time.Hour)+int64(i)*windowLength/2, "a")
	}
	w.put("g", "t", w.ago(time.Hour), "b")
	_, err := w.DeleteLogStream(w.ctx, &api.DeleteLogStreamInput{LogGroupName: "g", LogStreamName: "s"})
	w.check(err)
	if _, got := w.filter(&api.FilterLogEventsInput{LogGroupName: "g", LogStreamNames: []string{"t"}}); got != "t:b" {
		t.Errorf("found %s", got)
	}
	w.check(w.sweepOnce(w.ctx))
	if n := len(w.bulk()); n != 4 || *w.described("g").StoredBytes != 1+overhead {
		t.Errorf("left: %v", w.bulk())
	}
	_, err = w.PutLogGroupDeletionProtection(w.ctx, &api.PutLogGroupDeletionProtectionInput{LogGroupIdentifier: "g", DeletionProtectionEnabled: new(true)})
	w.check(err)
	_, err = w.DeleteLogGroup(w.ctx, &api.DeleteLogGroupInput{LogGroupName: "g"})
	wants(t, err, fault.ValidationException, "deletion protection")
	_, err = w.PutLogGroupDeletionProtection(w.ctx, &api.PutLogGroupDeletionProtectionInput{LogGroupIdentifier: "g", DeletionProtectionEnabled: new(false)})
	w.check(err)
	_, err = w.DeleteLogGroup(w.ctx, &api.DeleteLogGroupInput{LogGroupName: "g"})
	w.check(err)
	// A group of the name that comes after has none of it.
	w.group("g", "s", "t")
	if _, got := w.filter(&api.FilterLogEventsInput{LogGroupName: "g"}); got != "" {
		t.Errorf("inherited %s", got)
	}
	w.check(w.sweepOnce(w.ctx))
	if n := len(w.bulk()); n != 2 {
		t.Errorf("left: %v", w.bulk())
	}
}

func TestDescribeLogStreamsInBothOrders(t *testing.T) {
	w := newWorld(t)
	w.group("g", "a1", "a2", "b1", "b2", "c")
	for i, name := range []string{"b2", "a1", "c"} {
		w.put("g", name, w.ago(time.Hour)+int64(i)*60_000, "x")
	}
	for _, c := range []struct {
		in   api.DescribeLogStreamsInput
		want string
	}{
		{api.DescribeLogStreamsInput{}, "a1 a2 b1 b2 c"},
		{api.DescribeLogStreamsInput{Descending: new(true)}, "c b2 b1 a2 a1"},
		{api.DescribeLogStreamsInput{LogStreamNamePrefix: "b"}, "b1 b2"},
		{api.DescribeLogStreamsInput{LogStreamNamePrefix: "a", Descending: new(true)}, "a2 a1"},
		{api.DescribeLogStreamsInput{OrderBy: api.OrderByLastEventTime, Descending: new(true)}, "c a1 b2 b1 a2"},
		{api.DescribeLogStreamsInput{OrderBy: api.OrderByLastEventTime}, "a2 b1 b2 a1 c"},
	} {
		for _, limit := range []int32{50, 2, 1} {
			c.in.LogGroupName, c.in.Limit, c.in.NextToken = "g", &limit, ""
			var names []string
			for {
				out, err := w.DescribeLogStreams(w.ctx, &c.in)
				w.check(err)
				for _, s := range out.LogStreams {
					names = append(names, s.LogStreamName)
				}
				if c.in.NextToken = out.NextToken; out.NextToken == "" {
					break
				}
			}
			if got := strings.Join(names, " "); got != c.want {
				t.Errorf("%d at a time: %s, want %s", limit, got, c.want)
			}
		}
	}
	_, err := w.DescribeLogStreams(w.ctx, &api.DescribeLogStreamsInput{LogGroupName: "g", NextToken: "x"})
	wants(t, err, fault.InvalidParameterException, "nextToken")
}

func TestGroups(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"/aws/lambda/a", "/aws/lambda/b", "web"} {
		w.group(name)
	}
	_, err := w.CreateLogGroup(w.ctx, &api.CreateLogGroupInput{LogGroupName: "web"})
	wants(t, err, fault.ResourceAlreadyExists, "The specified log group already exists")
	names := func(in *api.DescribeLogGroupsInput) string {
		var names []string
		for {
			out, err := w.DescribeLogGroups(w.ctx, in)
			w.check(err)
			for _, g := range out.LogGroups {
				names = append(names, g.LogGroupName)
			}
			if in.NextToken = out.NextToken; in.NextToken == "" {
				return strings.Join(names, " ")
			}
		}
	}
	for want, in := range map[string]*api.DescribeLogGroupsInput{
		"/aws/lambda/a /aws/lambda/b web": {Limit: new(int32(1))},
		"/aws/lambda/a /aws/lambda/b":     {LogGroupNamePrefix: "/aws/"},
		"/aws/lambda/b":                   {LogGroupNamePattern: "LAMBDA/B"},
		"web":                             {LogGroupIdentifiers: []string{"arn:aws:logs:us-east-1:111111111111:log-group:web:*"}},
	} {
		if got := names(in); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	// A step that is repeated after a crash finds what it made.
	call := auth.From(w.ctx)
	call.Token = "token"
	ctx := auth.With(w.ctx, call)
	for range 2 {
		_, err := w.CreateLogGroup(ctx, &api.CreateLogGroupInput{LogGroupName: "made", Tags: map[string]string{"aws:x": "y"}})
		w.check(err)
		_, err = w.CreateLogStream(ctx, &api.CreateLogStreamInput{LogGroupName: "made", LogStreamName: "s"})
		w.check(err)
	}
	const resource = "arn:aws:logs:us-east-1:111111111111:log-group:made"
	_, err = w.TagResource(w.ctx, &api.TagResourceInput{ResourceArn: resource, Tags: map[string]string{"a": "1", "b": "2"}})
	w.check(err)
	_, err = w.UntagLogGroup(w.ctx, &api.UntagLogGroupInput{LogGroupName: "made", Tags: []string{"b"}})
	w.check(err)
	out, err := w.ListTagsForResource(w.ctx, &api.ListTagsForResourceInput{ResourceArn: resource})
	w.check(err)
	if d := cmp.Diff(map[string]string{"a": "1", "aws:x": "y"}, out.Tags); d != "" {
		t.Error(d)
	}
	if tags, err := w.ResourceTags(w.ctx, resource+":log-stream:s"); err != nil || tags["a"] != "1" {
		t.Errorf("tags for policies: %v, %v", tags, err)
	}
}
