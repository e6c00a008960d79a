package cloudformation

import (
	"context"

	"github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/cfn/apply"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// ExecuteChangeSet begins what a change set describes.
func (s *Service) ExecuteChangeSet(ctx context.Context, in *cloudformation.ExecuteChangeSetInput) (*cloudformation.ExecuteChangeSetOutput, error) {
	c, err := s.call(ctx)
	if err != nil {
		return nil, err
	}
	if err := checkToken("clientRequestToken", in.ClientRequestToken); err != nil {
		return nil, err
	}
	var cs *changeSet
	var body string
	err = s.view(ctx, func(tx store.Tx) (err error) {
		var st *apply.Stack
		if cs, st, err = findChangeSet(tx, c.Scope, in.ChangeSetName, in.StackName); err != nil {
			return err
		}
		if err = cs.load(tx, st); err != nil {
			return err
		}
		if cs.Version.TemplateKey == "" { // its transforms have not made a template, or have failed
			return notExecutable(cs, cs.Status)
		}
		t, err := apply.Templates.Get(tx, cs.Version.TemplateKey)
		if err == nil {
			body = t.Body
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	tmpl, err := s.parse(body, cs.Version.OriginalKey != "")
	if err != nil {
		return nil, err
	}
	caller, err := s.principal(ctx, cs.Version.RoleARN)
	if err != nil {
		return nil, err
	}
	live := cs.Live
	out := &cloudformation.ExecuteChangeSetOutput{}
	return out, s.update(ctx, func(l *apply.Ledger) error {
		cs, st, err := findChangeSet(l.Tx, c.Scope, cs.ID, "")
		if err != nil {
			return err
		}
		w := &wanted{body: body, tmpl: tmpl, version: cs.Version, imports: cs.Import, live: live}
		return s.execute(l, st, cs, in, w, caller)
	})
}

func (s *Service) execute(l *apply.Ledger, st *apply.Stack, cs *changeSet, in *cloudformation.ExecuteChangeSetInput, w *wanted, caller apply.Caller) error {
	if err := fromRoot(cs); err != nil {
		return err
	}
	execution := cs.execution(st)
	if in.ClientRequestToken != "" && st.Request == in.ClientRequestToken && cs.Operation == st.Last {
		return nil
	}
	if cs.Status != statusComplete || execution != executionAvailable {
		return notExecutable(cs, either(cs.Status != statusComplete, cs.Status, execution))
	}
	if err := cs.stillLive(st); err != nil {
		return err
	}
	if err := obsolete(l.Tx, st, cs.ID); err != nil {
		return err
	}
	st.ChangeSetID, st.OnFailure = cs.ID, cs.OnFailure
	st.DisableRollback = isTrue(in.DisableRollback) || cs.OnFailure == "DO_NOTHING"
	st.RetainExceptOnCreate = isTrue(in.RetainExceptOnCreate)
	st.Request, st.RequestOp = in.ClientRequestToken, "ExecuteChangeSet"
	now := l.Now
	st.Updated = &now
	var err error
	switch cs.Type {
	case changeSetCreate:
		if st.Status != apply.ReviewInProgress {
			return fault.New(fault.CFNInvalidChangeSetStatus, "ChangeSet [%s] cannot be executed: stack %s is in %s state", cs.ID, st.Name, st.Status)
		}
		err = s.begin(l, st, w, caller)
	case changeSetImport:
		if isTrue(in.DisableRollback) {
			return fault.New(fault.ValidationError, "DisableRollback cannot be specified for change sets of type IMPORT.")
		}
		err = s.beginImport(l, st, w, caller)
	default:
		if err := canUpdate(st); err != nil {
			return err
		}
		err = s.beginUpdate(l, st, w, caller, st.Policy)
	}
	if err != nil {
		return err
	}
	cs.Execution, cs.Operation = executionInProgress, st.Last
	return changeSets.Put(l.Tx, cs.key(st), cs)
}

func notExecutable(cs *changeSet, status string) error {
	return fault.New(fault.CFNInvalidChangeSetStatus, "ChangeSet [%s] cannot be executed in its current status of [%s]", cs.ID, status)
}

func either(first bool, a, b string) string {
	if first {
		return a
	}
	return b
}
