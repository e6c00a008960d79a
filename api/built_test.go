package api_test

import (
	"context"
	"testing"

	"github.com/slipway/slipway/api"
	"github.com/slipway/slipway/api/sqs"
	"github.com/slipway/slipway/fault"
)

type byPointer struct{ sqs.Unimplemented }

func (*byPointer) CreateQueue(context.Context, *sqs.CreateQueueInput) (*sqs.CreateQueueOutput, error) {
	return &sqs.CreateQueueOutput{QueueUrl: "u"}, nil
}

type byValue struct{ sqs.Unimplemented }

func (byValue) CreateQueue(context.Context, *sqs.CreateQueueInput) (*sqs.CreateQueueOutput, error) {
	return nil, nil
}

type queues struct{}

func (*queues) CreateQueue(context.Context, *sqs.CreateQueueInput) (*sqs.CreateQueueOutput, error) {
	return nil, nil
}

// promoted has the operation of a part of it.
type promoted struct {
	sqs.Unimplemented
	part
}
type part struct{ *queues }

func (p promoted) CreateQueue(ctx context.Context, in *sqs.CreateQueueInput) (*sqs.CreateQueueOutput, error) {
	return p.part.CreateQueue(ctx, in)
}

type outer struct{ *byPointer }

func TestBuilt(t *testing.T) {
	pass := func(ctx context.Context, _, _ string, _ any, call func(context.Context) (any, error)) (any, error) {
		return call(ctx)
	}
	for name, impl := range map[string]any{
		"pointer": &byPointer{}, "value": byValue{}, "pointer to value": &byValue{}, "promoted": promoted{}, "pointer to promoted": &promoted{},
		"embedded": outer{&byPointer{}}, "pointer to embedded": &outer{&byPointer{}}, "intercepted": sqs.Intercept(&byPointer{}, pass),
	} {
		if !api.Built(impl, "CreateQueue") {
			t.Errorf("%s: CreateQueue is its own", name)
		}
		if api.Built(impl, "DeleteQueue") {
			t.Errorf("%s: DeleteQueue is Unimplemented's", name)
		}
		if api.Built(impl, "NoSuchOperation") {
			t.Errorf("%s has what nobody has", name)
		}
	}
	if api.Built(sqs.Unimplemented{}, "CreateQueue") || api.Built(&sqs.Unimplemented{}, "CreateQueue") {
		t.Error("Unimplemented has nothing")
	}
}

func TestIntercept(t *testing.T) {
	var seen []string
	s := sqs.Intercept(&byPointer{}, func(ctx context.Context, service, operation string, in any, call func(context.Context) (any, error)) (any, error) {
		seen = append(seen, service+"."+operation)
		if operation == "DeleteQueue" {
			return nil, fault.New(fault.AccessDenied, "no")
		}
		return call(ctx)
	})
	out, err := s.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: "q"})
	if err != nil || out.QueueUrl != "u" {
		t.Error(out, err)
	}
	if out, err := s.DeleteQueue(t.Context(), &sqs.DeleteQueueInput{}); out != nil || !fault.Is(err, fault.AccessDenied) {
		t.Error(out, err)
	}
	if _, err := s.ListQueues(t.Context(), &sqs.ListQueuesInput{}); !fault.Is(err, fault.NotImplemented) {
		t.Error(err)
	}
	if len(seen) != 3 || seen[0] != "sqs.CreateQueue" {
		t.Error(seen)
	}
}
