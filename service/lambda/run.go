package lambda

import (
	"context"
	"errors"
	"maps"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/compute/function"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// A version's environments are told its credentials when they are made. So these
// are part of what makes environments interchangeable: when half of their life is
// over, later invocations get environments with new ones, and the old ones end.

// runs are the versions that have run in this process, and what is running.
type runs struct {
	mu       sync.Mutex
	prepared map[string]*prepared // by the key of the version's record
	inFlight map[string]int32     // invocations, by function: place.key()
	account  map[string]int32     // and by account and region, without those that are reserved
	code     map[string]int       // environments that may use an archive
	roles    map[string]asRole    // who writes the lines of environments, by their key
	retiring sync.WaitGroup
	stopped  bool
}

func (r *runs) init() {
	r.roles = map[string]asRole{}
	r.prepared, r.inFlight, r.account, r.code = map[string]*prepared{}, map[string]int32{}, map[string]int32{}, map[string]int{}
}

// asRole is a role, and whether policies bind it.
type asRole struct {
	role     string
	enforced bool
}

// maxRoles bounds what is remembered of environments that have ended: some of their
// lines may be to come.
const maxRoles = 10_000

// prepared is a version that is ready to run.
type prepared struct {
	spec     function.Spec
	revision string // of what it was made of
	files    []codeFile
	as       asRole
	renew    time.Time // when it needs other credentials; zero: never
}

// running reports whether an environment may be running an archive's code.
func (s *Service) running(id string) bool {
	s.runs.mu.Lock()
	defer s.runs.mu.Unlock()
	return s.runs.code[id] > 0
}

// identity tells a version from what it was before: of all that its environments
// are made of.
func (v *version) identity(f *record) string {
	to := v.serving()
	var b strings.Builder
	for _, part := range []string{f.ID, v.Version, to.Code.ID, to.Runtime, to.Handler, to.Role, string(to.Environment), to.LogGroup} {
		b.WriteString(part)
		b.WriteByte(0)
	}
	for _, n := range []int32{to.Timeout, to.Memory, to.Ephemeral} {
		b.WriteString(strconv.Itoa(int(n)) + " ")
	}
	for _, l := range to.Layers {
		b.WriteString(l.ARN)
		b.WriteString(l.Code.ID)
	}
	return arn.Hash(b.String())
}

// ready gives what the host is told to run a version.
func (s *Service) ready(ctx context.Context, p place, f *record, v *version) (function.Spec, error) {
	key, identity := p.versionKey(v.Version), v.identity(f)
	s.runs.mu.Lock()
	was := s.runs.prepared[key]
	s.runs.mu.Unlock()
	if was != nil && was.revision == identity && (was.renew.IsZero() || s.now().Before(was.renew)) {
		return was.spec, nil
	}
	for _, file := range v.serving().files() {
		defer s.code.hold(file.ID)() // until the runs know of it: the upkeep must not come between
	}
	made, err := s.makeSpec(ctx, p, v, identity)
	if err != nil {
		return function.Spec{}, err
	}
	s.runs.mu.Lock()
	defer s.runs.mu.Unlock()
	// Another invocation may have been quicker; its environments are as good.
	now := s.runs.prepared[key]
	if now != was && now != nil && now.revision == identity {
		return now.spec, nil
	}
	for _, file := range made.files {
		s.runs.code[file.ID]++
	}
	s.runs.prepared[key] = made
	if len(s.runs.roles) >= maxRoles {
		clear(s.runs.roles)
		for _, p := range s.runs.prepared {
			s.runs.roles[p.spec.Key] = p.as
		}
	}
	s.runs.roles[made.spec.Key] = made.as
	if now != nil { // what was there at first may have ended meanwhile
		s.end(now)
	}
	return made.spec, nil
}

// makeSpec gathers what a version's environments are made of.
func (s *Service) makeSpec(ctx context.Context, p place, v *version, identity string) (*prepared, error) {
	to := v.serving()
	made := &prepared{revision: identity, as: asRole{to.Role, v.Enforced}, files: to.files()}
	spec := function.Spec{
		ARN: p.arn(""), Account: p.Account, Region: p.Region, Name: p.name, Version: v.Version, Handler: to.Handler, Runtime: to.Runtime,
		Memory: int64(to.Memory) << 20, Timeout: time.Duration(to.Timeout) * time.Second, Ephemeral: int64(to.Ephemeral) << 20,
		LogGroup: to.logGroup(p),
	}
	for i, file := range made.files {
		dir, err := s.code.unpack(ctx, file)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			spec.Code = dir
		} else {
			spec.Layers = append(spec.Layers, dir)
		}
	}
	vars, err := s.openEnvironment(p, to.Environment)
	if err != nil {
		return nil, err
	}
	spec.Environment = maps.Clone(vars)
	if spec.Environment == nil {
		spec.Environment = map[string]string{}
	}
	if err := s.credentials(ctx, p, v, made, spec.Environment); err != nil {
		return nil, err
	}
	spec.Key = arn.Hash(identity + made.renew.String())
	made.spec = spec
	return made, nil
}

// credentials puts those of the execution role, and where the API is, into a
// function's variables. What the function's own say of an endpoint stays.
func (s *Service) credentials(ctx context.Context, p place, v *version, made *prepared, vars map[string]string) error {
	vars["AWS_REGION"], vars["AWS_DEFAULT_REGION"] = p.Region, p.Region
	if _, own := vars["AWS_ENDPOINT_URL"]; !own && s.cfg.Endpoint != nil {
		vars["AWS_ENDPOINT_URL"] = s.cfg.Endpoint()
	}
	if s.cfg.Credentials == nil {
		return nil
	}
	c, err := s.cfg.Credentials(ctx, p.Scope, v.serving().Role, sessionName(p.name))
	if _, refused := fault.As(err); refused && !v.Enforced {
		// Where policies bind nobody a role need not be there: its function has no
		// credentials then. It may be made later.
		made.renew = s.now().Add(noRoleRetry)
		return nil
	}
	if _, refused := fault.As(err); refused {
		return invalid("The role defined for the function cannot be assumed by Lambda.")
	}
	if err != nil {
		return err
	}
	made.renew = s.now().Add(c.Expires.Sub(s.now()) / 2)
	vars["AWS_ACCESS_KEY_ID"], vars["AWS_SECRET_ACCESS_KEY"], vars["AWS_SESSION_TOKEN"] = c.AccessKeyID, c.SecretAccessKey, c.SessionToken
	return nil
}

// noRoleRetry is when a role that was not there is asked for again.
const noRoleRetry = 10 * time.Second

// sessionName is a function's name as one of a session, which has two characters at
// least.
func sessionName(name string) string {
	if len(name) < 2 {
		return name + "-"
	}
	return name
}

// end ends the environments of what a version was. Their code stays until they have.
// The caller holds the runs.
func (s *Service) end(was *prepared) {
	wait := s.cfg.Runner.Retire(was.spec.Key)
	done := func() {
		s.runs.mu.Lock()
		defer s.runs.mu.Unlock()
		for _, file := range was.files {
			if s.runs.code[file.ID]--; s.runs.code[file.ID] <= 0 {
				delete(s.runs.code, file.ID)
			}
		}
	}
	if s.runs.stopped {
		return
	}
	s.runs.retiring.Go(func() {
		if wait(s.ended) == nil {
			done()
			s.upkeep.Wake()
		}
	})
}

// retire ends the environments of a function's version, or, for "", of all.
func (s *Service) retire(p place, qualifier string) {
	s.runs.mu.Lock()
	defer s.runs.mu.Unlock()
	for key, was := range s.runs.prepared {
		if key == p.versionKey(qualifier) || qualifier == "" && strings.HasPrefix(key, p.key()+"|") {
			delete(s.runs.prepared, key)
			s.end(was)
		}
	}
}

// enter is admit by what the account's reservations leave to the functions that have
// none. Below the least that they leave nobody adds them up.
func (s *Service) enter(ctx context.Context, p place, f *record) (release func(), err error) {
	release, err = s.admit(p, f, leastUnreserved)
	if err == nil || f.Reserved != nil {
		return release, err
	}
	var sum int32
	err = s.store.View(ctx, func(tx store.Tx) (err error) {
		sum, err = reservedOf(tx, place{Scope: p.Scope})
		return err
	})
	if err != nil {
		return nil, err
	}
	return s.admit(p, f, accountConcurrency-sum)
}

// admit counts an invocation in, if the function and its account have room for it.
func (s *Service) admit(p place, f *record, unreserved int32) (release func(), err error) {
	s.runs.mu.Lock()
	defer s.runs.mu.Unlock()
	key, scope := p.key(), p.Scope.Key()
	switch {
	case f.Reserved != nil && s.runs.inFlight[key] >= *f.Reserved:
		return nil, throttled("ReservedFunctionConcurrentInvocationLimitExceeded")
	case f.Reserved == nil && s.runs.account[scope] >= unreserved:
		return nil, throttled("ConcurrentInvocationLimitExceeded")
	}
	s.runs.inFlight[key]++
	if f.Reserved == nil {
		s.runs.account[scope]++
	}
	return func() {
		s.runs.mu.Lock()
		defer s.runs.mu.Unlock()
		if s.runs.inFlight[key]--; s.runs.inFlight[key] <= 0 {
			delete(s.runs.inFlight, key)
		}
		if f.Reserved == nil {
			if s.runs.account[scope]--; s.runs.account[scope] <= 0 {
				delete(s.runs.account, scope)
			}
		}
	}, nil
}

func throttled(reason string) *fault.Error {
	return fail(fault.TooManyRequestsException, "Rate Exceeded.").With("Reason", reason)
}

// run invokes a version once.
func (s *Service) run(ctx context.Context, p place, f *record, v *version, inv function.Invocation) (function.Result, error) {
	release, err := s.enter(ctx, p, f)
	if err != nil {
		return function.Result{}, err
	}
	defer release()
	spec, err := s.ready(ctx, p, f, v)
	if err != nil {
		return function.Result{}, err
	}
	res, err := s.cfg.Runner.Invoke(ctx, spec, inv)
	switch {
	case err == nil:
		return res, nil
	case errors.Is(err, function.ErrThrottled):
		return res, throttled("ConcurrentInvocationLimitExceeded")
	case errors.Is(err, function.ErrStopped):
		return res, fault.New(fault.ServiceUnavailable, "Slipway is stopping; try again.")
	}
	if missing, ok := errors.AsType[*function.RuntimeError](err); ok {
		return res, fail(fault.InvalidRuntimeException, "This host cannot run %s: %s", missing.Runtime, missing.Missing)
	}
	return res, err
}
