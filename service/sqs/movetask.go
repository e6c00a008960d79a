package sqs

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"

	api "github.com/slipway/slipway/api/sqs"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// moveTask moves messages out of a dead-letter queue.
type moveTask struct {
	ID      string
	Source  string // ARN
	Target  string `json:",omitempty"` // ARN; empty is where each message came from
	Rate    int    `json:",omitempty"` // messages a second at most; 0 is as many as it can
	Status  string
	Reason  string `json:",omitempty"` // of a failure
	Moved   int
	ToMove  int   // there were so many when it began
	Started int64 // Unix milliseconds
	Next    int64 `json:",omitempty"` // not before, Unix milliseconds
}

// Statuses of a task ("ListMessageMoveTasks", Amazon SQS API Reference).
const (
	taskRunning   = "RUNNING"
	taskCompleted = "COMPLETED"
	taskCancelled = "CANCELLED"
	taskFailed    = "FAILED"
)

// Keys of tasks are below their queue's, the newest first.
var moveTasks = store.NewCollection("sqs/movetask", store.Index[moveTask]{Name: "status", Keys: func(_ string, t *moveTask) []string {
	return []string{t.Status}
}})

const (
	maxRate  = 500
	maxTasks = 10 // kept and listed
)

func (t *moveTask) key(p place) string {
	return fmt.Sprintf("%s/%016x-%s", p.key(), math.MaxInt64-t.Started, t.ID)
}

// taskHandle names a task to CancelMessageMoveTask.
type taskHandle struct {
	Task   string `json:"taskId"`
	Source string `json:"sourceArn"`
}

func (t *moveTask) handle() (string, error) {
	b, err := json.Marshal(taskHandle{t.ID, t.Source})
	return base64.StdEncoding.EncodeToString(b), err
}

func noResource(format string, args ...any) error {
	e := fault.New(fault.ResourceNotFoundException, format, args...)
	e.Status = http.StatusNotFound
	return e
}

// queueOf finds a queue by the ARN in a parameter.
func queueOf(ctx context.Context, tx store.Tx, parameter, text string) (place, *queue, error) {
	a, err := arn.Parse(text)
	if err != nil || a.Service != "sqs" || a.Resource == "" {
		return place{}, nil, invalidValue("You must use this format to specify the %s: arn:<partition>:<service>:<region>:<account-id>:<resource-id>", parameter)
	}
	p := place{arn.Scope{Account: a.Account, Region: a.Region}, a.Resource}
	gone := noResource("The resource that you specified for the %s parameter doesn't exist.", parameter)
	if p.Scope != auth.From(ctx).Scope {
		return p, nil, gone // another account's, of which a caller learns nothing
	}
	q, err := lookup(ctx, tx, p)
	if fault.Is(err, fault.QueueDoesNotExist) {
		return p, nil, gone
	}
	return p, q, err
}

// StartMessageMoveTask begins to move what a dead-letter queue holds. The task
// is kept before the answer, and goes on after a restart.
func (s *Service) StartMessageMoveTask(ctx context.Context, in *api.StartMessageMoveTaskInput) (*api.StartMessageMoveTaskOutput, error) {
	now := s.now()
	t := &moveTask{ID: arn.NewID(""), Source: in.SourceArn, Target: in.DestinationArn, Status: taskRunning, Started: now.UnixMilli()}
	if n := in.MaxNumberOfMessagesPerSecond; n != nil {
		if t.Rate = int(*n); t.Rate < 1 || t.Rate > maxRate {
			return nil, invalidValue("Value %d for parameter MaxNumberOfMessagesPerSecond is invalid. Reason: Must be between 1 and %d.", *n, maxRate)
		}
	}
	err := s.store.Update(ctx, func(tx store.Tx) error {
		p, q, err := queueOf(ctx, tx, "SourceArn", in.SourceArn)
		if err != nil {
			return err
		}
		if err := isDeadLetterQueue(tx, p); err != nil {
			return err
		}
		if in.DestinationArn != "" {
			_, to, err := queueOf(ctx, tx, "DestinationArn", in.DestinationArn)
			if err != nil {
				return err
			}
			if to.Attributes.Fifo != q.Attributes.Fifo || to.Data == q.Data {
				return invalidValue("The destination must be another queue of the same type as the source.")
			}
		}
		if err := s.admit(tx, p); err != nil {
			return err
		}
		n, err := count(tx, q, now)
		if err != nil {
			return err
		}
		t.ToMove = n.visible
		return moveTasks.Put(tx, t.key(p), t)
	})
	if err != nil {
		return nil, err
	}
	s.moves.Wake()
	handle, err := t.handle()
	return &api.StartMessageMoveTaskOutput{TaskHandle: handle}, err
}

func isDeadLetterQueue(tx store.Tx, p place) error {
	for _, err := range queues.ByIndex(tx, "target", p.arn()) {
		return err
	}
	return invalidValue("Source queue must be configured as a Dead Letter Queue.")
}

// admit refuses a second task of a queue, and drops the oldest ones.
func (s *Service) admit(tx store.Tx, p place) error {
	var keys []string
	for e, err := range moveTasks.Scan(tx, p.key()+"/") {
		if err != nil {
			return err
		}
		if e.Value.Status == taskRunning {
			return invalidValue("There is already a task running. Only one active task is allowed for a source queue arn at a given time.")
		}
		keys = append(keys, e.Key)
	}
	for _, key := range keys[min(len(keys), maxTasks-1):] {
		if err := moveTasks.Delete(tx, key); err != nil {
			return err
		}
	}
	return nil
}

// dropTasks forgets the tasks of a queue that is deleted.
func dropTasks(tx store.Tx, p place) error {
	for e, err := range moveTasks.Scan(tx, p.key()+"/") {
		if err := errors.Join(err, moveTasks.Delete(tx, e.Key)); err != nil {
			return err
		}
	}
	return nil
}

// ListMessageMoveTasks lists a queue's last tasks, the newest first.
func (s *Service) ListMessageMoveTasks(ctx context.Context, in *api.ListMessageMoveTasksInput) (*api.ListMessageMoveTasksOutput, error) {
	limit := 1
	if n := in.MaxResults; n != nil {
		if limit = int(*n); limit < 1 || limit > maxTasks {
			return nil, invalidValue("Value %d for parameter MaxResults is invalid. Reason: Must be between 1 and %d.", *n, maxTasks)
		}
	}
	out := &api.ListMessageMoveTasksOutput{}
	err := s.store.View(ctx, func(tx store.Tx) error {
		out.Results = []api.ListMessageMoveTasksResultEntry{}
		p, _, err := queueOf(ctx, tx, "SourceArn", in.SourceArn)
		if err != nil {
			return err
		}
		for e, err := range moveTasks.Scan(tx, p.key()+"/") {
			if err != nil {
				return err
			}
			if len(out.Results) == limit {
				break
			}
			entry, err := e.Value.entry()
			if err != nil {
				return err
			}
			out.Results = append(out.Results, entry)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// entry is a task as it is listed: with a handle only while it runs.
func (t *moveTask) entry() (api.ListMessageMoveTasksResultEntry, error) {
	moved, toMove := int64(t.Moved), int64(t.ToMove)
	e := api.ListMessageMoveTasksResultEntry{
		Status: t.Status, SourceArn: t.Source, DestinationArn: t.Target, FailureReason: t.Reason, StartedTimestamp: &t.Started,
		ApproximateNumberOfMessagesMoved: &moved, ApproximateNumberOfMessagesToMove: &toMove,
	}
	if t.Rate > 0 {
		e.MaxNumberOfMessagesPerSecond = new(int32(t.Rate))
	}
	var err error
	if t.Status == taskRunning {
		e.TaskHandle, err = t.handle()
	}
	return e, err
}

// CancelMessageMoveTask ends a task. What it has moved stays where it is.
func (s *Service) CancelMessageMoveTask(ctx context.Context, in *api.CancelMessageMoveTaskInput) (*api.CancelMessageMoveTaskOutput, error) {
	var h taskHandle
	b, err := base64.StdEncoding.DecodeString(in.TaskHandle)
	if err != nil || json.Unmarshal(b, &h) != nil || h.Task == "" {
		return nil, invalidValue("Value for parameter TaskHandle is invalid.")
	}
	var moved int64
	err = s.store.Update(ctx, func(tx store.Tx) error {
		p, _, err := queueOf(ctx, tx, "SourceArn", h.Source)
		if err != nil {
			return err
		}
		for e, err := range moveTasks.Scan(tx, p.key()+"/") {
			if err != nil {
				return err
			}
			if e.Value.ID == h.Task && e.Value.Status == taskRunning {
				moved, e.Value.Status = int64(e.Value.Moved), taskCancelled
				return moveTasks.Put(tx, e.Key, e.Value)
			}
		}
		return noResource("Task does not exist.")
	})
	if err != nil {
		return nil, err
	}
	return &api.CancelMessageMoveTaskOutput{ApproximateNumberOfMessagesMoved: &moved}, nil
}
