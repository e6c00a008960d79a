// Package workflow runs Go code under a journal in the store. A finished step
// answers from the journal, so after a crash the code runs again and goes on
// where it was. What acts on the outside world gets a token and is idempotent.
//
// It may import store and fault. An Engine owns its goroutines, one per flow
// under way and one that watches; Stop waits for all of them.
//
// Keys in the store, with every part escaped so that it has no slash:
//
//	workflow/run/<id>                       the run; kept for a time after its end
//	workflow/lease/<id>                     who runs it; there while it is RUNNING
//	workflow/journal/<id>/<scope>/<step>    what its steps gave
//	workflow/signal/<id>/<signal>/<seq>     signals not yet awaited
//	workflow/signal/<id>/!cancel            that Cancel was called
//	workflow/server/<name>                  the heartbeat of an engine
//	workflow/ended/<time>/<id>              finished runs in the order of purging
package workflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/slipway/slipway/store"
)

// Errors that flows and their callers meet.
var (
	ErrCancelled = errors.New("workflow: cancelled")
	ErrTimeout   = errors.New("workflow: timed out")
	// ErrInterrupted ends a flow in this process without ending it: the engine
	// stops or has lost the lease. The flow returns it, or anything else, and
	// goes on elsewhere or later.
	ErrInterrupted = errors.New("workflow: interrupted; it goes on after a restart")
	// ErrNondeterministic is a flow that does not do the same when it runs again.
	ErrNondeterministic = errors.New("workflow: the flow is not deterministic")
	ErrEnded            = errors.New("workflow: the run has ended")
	ErrUnknown          = errors.New("workflow: no workflow of that name is registered")
	ErrTooManySignals   = errors.New("workflow: too many signals wait to be read")
)

// Config of an engine. Store is needed; the zero value of the rest is what a
// server uses.
type Config struct {
	Store  store.Store
	Logger *slog.Logger
	// Server names this engine among those on the same store. Two of one name
	// are a restart: the later one takes the earlier one's runs. The default is
	// the host name.
	Server string
	// WaitScale scales Sleep, and nothing else. 0 stands for 1.
	WaitScale float64
	// LeaseTTL is how long an engine that shows no sign of life keeps its runs;
	// the default is 15 seconds. A restarted one waits for nothing.
	LeaseTTL time.Duration
	// Retention is how long the record of a finished run is kept; the default is
	// an hour.
	Retention time.Duration
	// Retry is for the steps that give no options of their own.
	Retry Retry
	// Now is the clock of journaled times; the default is time.Now.
	Now func() time.Time
	// Probe is for tests that make crashes and repetitions.
	Probe *Probe
}

// Retry bounds how often a step is tried and how long it waits in between: the
// wait doubles from First to Max. These waits are real: WaitScale leaves them.
type Retry struct {
	Attempts int           // default 30, which with the default waits is two minutes
	First    time.Duration // default 20 ms
	Max      time.Duration // default 5 s
}

// Probe lets a test interfere with each journal entry. Keys are those of the
// journal, "<scope>/<step>"; the end of a run has the key "!end".
type Probe struct {
	// BeforeJournal and AfterJournal return true to have the engine die there.
	BeforeJournal, AfterJournal func(id, key string) bool
	// Repeat returns true to have a step or undo that succeeded done again with
	// the same token.
	Repeat func(id, key string) bool
}

// Engine runs the registered workflows of one store.
type Engine struct {
	cfg   Config
	store store.Store
	log   *slog.Logger

	mu       sync.Mutex
	registry map[string]runner
	hints    map[string]time.Time // runs begun here that wait for their commit
	flows    map[string]*running
	state    engineState
	self     lease // Server and Incarnation; the latter is "" before Start
	seen     map[string]sign
	ctx      context.Context
	cancel   context.CancelFunc
	wg       sync.WaitGroup
	stopped  chan struct{}
	dead     atomic.Bool // a Probe had it die
}

type runner func(f *Flow, params json.RawMessage) error

type engineState int

const (
	engineNew engineState = iota
	engineStarted
	engineStopping
)

// New makes an engine. Register workflows, then Start it.
func New(cfg Config) *Engine {
	if cfg.Store == nil {
		panic("workflow: an engine needs a store")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Server == "" {
		cfg.Server, _ = os.Hostname()
	}
	if cfg.Server == "" {
		cfg.Server = "slipway"
	}
	if cfg.WaitScale == 0 {
		cfg.WaitScale = 1
	}
	if cfg.LeaseTTL <= 0 {
		cfg.LeaseTTL = 15 * time.Second
	}
	if cfg.Retention <= 0 {
		cfg.Retention = time.Hour
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.Retry = cfg.Retry.orElse(Retry{Attempts: 30, First: 20 * time.Millisecond, Max: 5 * time.Second})
	return &Engine{
		cfg:      cfg,
		store:    cfg.Store,
		log:      cfg.Logger,
		registry: map[string]runner{},
		hints:    map[string]time.Time{},
		flows:    map[string]*running{},
		seen:     map[string]sign{},
		self:     lease{Server: cfg.Server},
		stopped:  make(chan struct{}),
	}
}

func (r Retry) orElse(d Retry) Retry {
	if r.Attempts > 0 {
		d.Attempts = r.Attempts
	}
	if r.First > 0 {
		d.First = r.First
	}
	if r.Max > 0 {
		d.Max = r.Max
	}
	return d
}

// Register gives the engine a workflow. It panics on a name given twice.
// Register every workflow before Start: recovery needs them.
func Register[P any](e *Engine, name string, run func(f *Flow, params P) error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if name == "" || run == nil {
		panic("workflow: a workflow needs a name and a function")
	}
	if _, ok := e.registry[name]; ok {
		panic(fmt.Sprintf("workflow: %q is registered twice", name))
	}
	e.registry[name] = func(f *Flow, raw json.RawMessage) error {
		var params P
		if err := json.Unmarshal(raw, &params); err != nil {
			return fmt.Errorf("workflow: parameters of %s: %w", name, err)
		}
		return run(f, params)
	}
}
