package secretsmanager

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	lambda "github.com/slipway/slipway/api/lambda"
	api "github.com/slipway/slipway/api/secretsmanager"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/store/storetest"
	"github.com/slipway/slipway/tests/corpus/replay"
	"github.com/slipway/slipway/workflow"
	"github.com/slipway/slipway/workflow/workflowtest"
)

const rotator = "arn:aws:lambda:us-east-1:111111111111:function:rotator"

// functions is a Lambda with one function, which rotates as the templates of AWS's
// documentation do.
type functions struct {
	lambda.Unimplemented
	s    *Service
	mu   sync.Mutex
	log  []string
	fail map[string]int // how often a step fails yet
}

// be says whose secrets the function rotates: the service of the latest start.
func (l *functions) be(s *Service) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.s = s
}

func (l *functions) service() *Service {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.s
}

func (l *functions) Invoke(ctx context.Context, in *lambda.InvokeInput) (*lambda.InvokeOutput, error) {
	if in.FunctionName != rotator {
		return nil, fault.New(fault.ResourceNotFoundException, "Function not found: %s", in.FunctionName)
	}
	call := auth.From(ctx)
	if call.Principal.Name != servicePrincipal || !strings.HasPrefix(call.SourceARN, "arn:aws:secretsmanager:") {
		return nil, fmt.Errorf("invoked by %v of %s", call.Principal, call.SourceARN)
	}
	if in.InvocationType == "DryRun" {
		return &lambda.InvokeOutput{}, nil
	}
	var event struct{ Step, SecretId, ClientRequestToken string }
	if err := json.Unmarshal(in.Payload, &event); err != nil {
		return nil, err
	}
	l.mu.Lock()
	failing := l.fail[event.Step] > 0
	if failing {
		l.fail[event.Step]--
	}
	l.log = append(l.log, event.Step)
	l.mu.Unlock()
	if failing {
		return &lambda.InvokeOutput{FunctionError: "Unhandled"}, nil
	}
	ctx = asCaller(ctx)
	return &lambda.InvokeOutput{}, l.act(ctx, event.Step, event.SecretId, event.ClientRequestToken)
}

func (l *functions) act(ctx context.Context, step, id, token string) error {
	switch step {
	case "createSecret":
		_, err := l.service().PutSecretValue(ctx, &api.PutSecretValueInput{SecretId: id, ClientRequestToken: token, SecretString: "made-" + token, VersionStages: []string{pending}})
		return err
	case "testSecret":
		_, err := l.service().GetSecretValue(ctx, &api.GetSecretValueInput{SecretId: id, VersionStage: current})
		return err
	case "finishSecret":
		out, err := l.service().DescribeSecret(ctx, &api.DescribeSecretInput{SecretId: id})
		if err != nil {
			return err
		}
		for version, stages := range out.VersionIdsToStages {
			if slices.Contains(stages, current) && version != token {
				_, err = l.service().UpdateSecretVersionStage(ctx, &api.UpdateSecretVersionStageInput{SecretId: id, VersionStage: current, MoveToVersionId: token, RemoveFromVersionId: version})
			}
		}
		return err
	}
	return nil
}

func (l *functions) steps() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.log, " ")
}

func asCaller(ctx context.Context) context.Context {
	return auth.With(ctx, auth.Call{Principal: auth.RootOf(account), Scope: arn.Scope{Account: account, Region: region}})
}

// rotating is a service that rotates.
type rotating struct {
	*testing.T
	*Service
	functions *functions
	store     store.Store
	ctx       context.Context
	mu        sync.Mutex
	at        time.Time
}

func newRotating(t *testing.T) *rotating {
	t.Helper()
	w := &rotating{T: t, functions: &functions{fail: map[string]int{}}, store: storetest.New(t), ctx: asCaller(t.Context()), at: time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)}
	engine := workflow.New(workflow.Config{Store: w.store, Retry: workflow.Retry{First: time.Millisecond}})
	w.Service = New(Config{Store: w.store, KMS: newKeys(), Invoke: w.functions.Invoke, Workflows: engine, Now: func() time.Time {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.at
	}})
	w.retries = []workflow.Option{workflow.Attempts(2), workflow.Backoff(time.Millisecond, time.Millisecond)}
	w.functions.be(w.Service)
	if err := engine.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(engine.Stop)
	return w
}

func (w *rotating) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at = w.at.Add(d)
}

func (w *rotating) create() {
	w.Helper()
	_, err := w.CreateSecret(w.ctx, &api.CreateSecretInput{Name: "db", SecretString: "first", ClientRequestToken: id(1)})
	if err != nil {
		w.Fatal(err)
	}
}

func (w *rotating) rotateBy(n int, change func(in *api.RotateSecretInput)) error {
	in := &api.RotateSecretInput{SecretId: "db", ClientRequestToken: id(n), RotationLambdaARN: rotator}
	if change != nil {
		change(in)
	}
	_, err := w.RotateSecret(w.ctx, in)
	return err
}

// settle waits until no rotation is under way.
func (w *rotating) settle() *secret {
	w.Helper()
	deadline := time.After(30 * time.Second)
	for {
		var sec *secret
		err := w.store.View(w.ctx, func(tx store.Tx) (err error) {
			_, sec, err = lookup(tx, arn.Scope{Account: account, Region: region}, "db", false)
			return err
		})
		if err != nil {
			w.Fatal(err)
		}
		if sec.Rotation == nil || sec.Rotation.Running == "" {
			return sec
		}
		select {
		case <-time.After(time.Millisecond):
		case <-deadline:
			w.Fatal("the rotation does not end")
		}
	}
}

func (w *rotating) now() string {
	w.Helper()
	out, err := w.GetSecretValue(w.ctx, &api.GetSecretValueInput{SecretId: "db"})
	if err != nil {
		w.Fatal(err)
	}
	return out.SecretString
}

func days(n int64) *api.RotationRulesType { return &api.RotationRulesType{AutomaticallyAfterDays: &n} }

func TestRotation(t *testing.T) {
	w := newRotating(t)
	w.create()
	if err := w.rotateBy(2, func(in *api.RotateSecretInput) { in.RotationRules = days(7) }); err != nil {
		t.Fatal(err)
	}
	sec := w.settle()
	if got := w.now(); got != "made-"+id(2) {
		t.Errorf("the value is %s", got)
	}
	if got, want := fmt.Sprint(sec.stages()), fmt.Sprint(map[string][]string{id(1): {previous}, id(2): {current}}); got != want {
		t.Errorf("stages %s, want %s", got, want)
	}
	if got := w.functions.steps(); got != "createSecret setSecret testSecret finishSecret" {
		t.Errorf("steps %s", got)
	}
	if want := time.Date(2026, 1, 8, 23, 59, 59, 0, time.UTC); !sec.Rotation.Next.Equal(want) {
		t.Errorf("the next rotation is at %v, want %v", sec.Rotation.Next, want)
	}
	// The same call again rotates nothing; the schedule does.
	if err := w.rotateBy(2, nil); err != nil {
		t.Fatal(err)
	}
	w.settle()
	w.pass(8 * 24 * time.Hour)
	if err := w.keepUp(w.ctx); err != nil {
		t.Fatal(err)
	}
	sec = w.settle()
	if v := sec.at(current); len(sec.Versions) != 3 || v.ID == id(2) || w.now() != "made-"+v.ID {
		t.Errorf("after the schedule: %+v", sec.Versions)
	}
	if _, err := w.CancelRotateSecret(w.ctx, &api.CancelRotateSecretInput{SecretId: "db"}); err != nil {
		t.Fatal(err)
	}
	w.pass(30 * 24 * time.Hour)
	if err := w.keepUp(w.ctx); err != nil {
		t.Fatal(err)
	}
	if after := w.settle(); len(after.Versions) != 3 || after.Rotation.Enabled {
		t.Errorf("a cancelled schedule has rotated: %+v", after)
	}
}

// TestRotationThatFails: a step that fails is done again; a rotation that gives up
// leaves its version pending, and the next one takes it.
func TestRotationThatFails(t *testing.T) {
	w := newRotating(t)
	w.create()
	w.functions.fail["setSecret"] = 1
	if err := w.rotateBy(2, nil); err != nil {
		t.Fatal(err)
	}
	if sec := w.settle(); sec.at(current).ID != id(2) {
		t.Errorf("one failure ends the rotation: %+v", sec.Versions)
	}
	if got := w.functions.steps(); got != "createSecret setSecret setSecret testSecret finishSecret" {
		t.Errorf("steps %s", got)
	}
	if sec := w.settle(); !sec.Rotation.Next.IsZero() {
		t.Errorf("without rules the next rotation is at %v", sec.Rotation.Next)
	}

	w.functions.fail["setSecret"] = 2
	if err := w.rotateBy(3, func(in *api.RotateSecretInput) { in.RotationRules = days(7) }); err != nil {
		t.Fatal(err)
	}
	sec := w.settle()
	if v := sec.at(pending); v == nil || v.ID != id(3) || sec.at(current).ID != id(2) || w.now() != "made-"+id(2) {
		t.Fatalf("a rotation that gave up has left %+v", sec.Versions)
	}
	if want := w.at.Add(time.Hour); !sec.Rotation.Next.Equal(want) {
		t.Errorf("it is tried next at %v, want %v", sec.Rotation.Next, want)
	}
	w.pass(time.Hour)
	if err := w.keepUp(w.ctx); err != nil {
		t.Fatal(err)
	}
	if sec := w.settle(); sec.at(current).ID != id(3) || sec.at(pending) != nil || len(sec.Versions) != 3 {
		t.Errorf("tried again it has left %+v", sec.Versions)
	}
}

// TestRotationSurvives crashes and repeats the workflow at every step.
func TestRotationSurvives(t *testing.T) {
	workflowtest.Check(t, workflowtest.Case{Setup: func(t testing.TB, st store.Store) workflowtest.Scenario {
		ctx := auth.With(context.WithoutCancel(t.Context()), auth.Call{Principal: auth.RootOf(account), Scope: arn.Scope{Account: account, Region: region}})
		keys, functions, p := newKeys(), &functions{fail: map[string]int{}}, place{arn.Scope{Account: account, Region: region}, "db"}
		s := New(Config{Store: st, KMS: keys})
		if _, err := s.CreateSecret(ctx, &api.CreateSecretInput{Name: "db", ClientRequestToken: id(9)}); err != nil {
			t.Fatal(err)
		}
		// The id of the workflow has the suffix in it, which must be the same in each run.
		err := st.Update(ctx, func(tx store.Tx) error {
			sec, err := secrets.Get(tx, p.key())
			if err != nil {
				return err
			}
			sec.Suffix = "AbCdEf"
			return secrets.Put(tx, p.key(), sec)
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.PutSecretValue(ctx, &api.PutSecretValueInput{SecretId: "db", SecretString: "first", ClientRequestToken: id(1)}); err != nil {
			t.Fatal(err)
		}
		return workflowtest.Scenario{
			Register: func(e *workflow.Engine) {
				functions.be(New(Config{Store: st, KMS: keys, Invoke: functions.Invoke, Workflows: e}))
			},
			Begin: func(tx store.Tx, _ *workflow.Engine) (string, error) {
				sec, err := secrets.Get(tx, p.key())
				if err != nil {
					return "", err
				}
				err = functions.service().rotate(tx, p, sec, &api.RotateSecretInput{SecretId: "db", ClientRequestToken: id(2), RotationLambdaARN: rotator})
				if err != nil {
					return "", err
				}
				return sec.Rotation.Running, secrets.Put(tx, p.key(), sec)
			},
			Check: func(t testing.TB, st store.Store, _ workflow.Status) {
				var sec *secret
				if err := st.View(ctx, func(tx store.Tx) (err error) { sec, err = secrets.Get(tx, p.key()); return err }); err != nil {
					t.Fatal(err)
				}
				if sec.Rotation.Running != "" || len(sec.Versions) != 2 || sec.at(current).ID != id(2) || sec.at(previous).ID != id(1) || sec.at(pending) != nil {
					t.Errorf("the secret is %+v, its rotation %+v", sec.Versions, sec.Rotation)
				}
			},
		}
	}})
}

func TestRotationRefusals(t *testing.T) {
	w := newRotating(t)
	w.create()
	if err := w.rotateBy(2, func(in *api.RotateSecretInput) { in.RotationLambdaARN = "" }); !fault.Is(err, fault.InvalidRequestException) {
		t.Errorf("without a function: %v", err)
	}
	if err := w.rotateBy(2, func(in *api.RotateSecretInput) { in.RotationLambdaARN = rotator + "-none" }); !fault.Is(err, fault.AccessDeniedException) {
		t.Errorf("with a function that is not there: %v", err)
	}
	for _, r := range []api.RotationRulesType{{ScheduleExpression: "rate(1 hour)"}, {ScheduleExpression: "daily"}, {ScheduleExpression: "rate(5 days)", AutomaticallyAfterDays: days(1).AutomaticallyAfterDays}} {
		if err := w.rotateBy(2, func(in *api.RotateSecretInput) { in.RotationRules = &r }); !fault.Is(err, fault.InvalidParameterException) {
			t.Errorf("rules %+v: %v", r, err)
		}
	}
	if _, err := w.CancelRotateSecret(w.ctx, &api.CancelRotateSecretInput{SecretId: "db"}); !fault.Is(err, fault.InvalidRequestException) {
		t.Errorf("cancelled without rotation: %v", err)
	}
	if sec := w.settle(); len(sec.Versions) != 1 || sec.Rotation != nil {
		t.Errorf("a refusal has changed the secret: %+v", sec)
	}
}

// A test of the configuration leaves no version.
func TestRotationIsTested(t *testing.T) {
	w := newRotating(t)
	w.create()
	no := false
	if err := w.rotateBy(2, func(in *api.RotateSecretInput) { in.RotateImmediately, in.RotationRules = &no, days(1) }); err != nil {
		t.Fatal(err)
	}
	sec := w.settle()
	if len(sec.Versions) != 1 || w.now() != "first" || w.functions.steps() != "testSecret" || sec.Rotation.Next.IsZero() {
		t.Errorf("after a test: %+v, steps %s", sec, w.functions.steps())
	}
}

func TestRecordedRotation(t *testing.T) {
	for _, name := range []string{"test_rotate_secret_with_lambda_success[None]", "test_rotate_secret_multiple_times_with_lambda_success"} {
		t.Run(name, func(t *testing.T) {
			w := newRotating(t)
			w.Service.now = time.Now
			c := &recorded{Case: replay.Open(t, "secretsmanager/test_secretsmanager", api.Describe(), w.Service).Case(t, "TestSecretsManager::"+name), s: w.Service, ctx: w.ctx}
			c.Bind("<lambda-arn:1>", rotator)
			c.create("", "db", "testing rotation of secrets", "first", 0)
			if _, err := w.GetSecretValue(w.ctx, &api.GetSecretValueInput{SecretId: "db"}); err != nil {
				t.Fatal(err)
			}
			rotations := []string{""}
			if strings.Contains(name, "multiple") {
				rotations = []string{"_1", "_2"}
			}
			for i, n := range rotations {
				c.Call("rotate_secret_immediately"+n, w.ctx, &api.RotateSecretInput{SecretId: "db", ClientRequestToken: c.token(), RotationLambdaARN: rotator, RotationRules: days(1)})
				w.settle()
				c.Call("describe_secret_rotated"+n, w.ctx, &api.DescribeSecretInput{SecretId: "db"})
				entry := "list_secret_versions_rotated_1"
				if n != "" {
					entry += n
				}
				if i > 0 {
					c.Leave(entry, "AWS tells no day of access of a version that the record's function has read")
					continue
				}
				c.Call(entry, w.ctx, &api.ListSecretVersionIdsInput{SecretId: "db"})
			}
		})
	}
	t.Run("invalid", func(t *testing.T) {
		w := newRotating(t)
		c := &recorded{Case: replay.Open(t, "secretsmanager/test_secretsmanager", api.Describe(), w.Service).Case(t, "TestSecretsManager::test_rotate_secret_invalid_lambda_arn"), s: w.Service, ctx: w.ctx}
		c.create("create_secret", "db", "", "first", 0)
		c.Call("rotate_secret_invalid_arn_exc", w.ctx, &api.RotateSecretInput{SecretId: "db", ClientRequestToken: c.token(), RotationLambdaARN: rotator + "-none", RotationRules: days(1)})
		c.Call("describe_secret", w.ctx, &api.DescribeSecretInput{SecretId: "db"})
	})
}
