package lambda

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	api "github.com/slipway/slipway/api/lambda"
	"github.com/slipway/slipway/store"
)

// record is what a function's versions share.
type record struct {
	Tags     map[string]string      `json:",omitempty"`
	Reserved *int32                 `json:",omitempty"` // concurrent executions
	Next     int64                  // number of the next version that is published
	Policies map[string]*permission `json:",omitempty"` // by qualifier; "" is the function's own
	Token    string                 `json:",omitempty"` // of the durable step that made it
	Created  time.Time
	ID       string // tells the function from an earlier one of its name
}

// version is a version of a function: $LATEST, or one that was published.
type version struct {
	Version string
	settings
	Modified  time.Time
	Revision  string
	State     status    `json:",omitzero"`
	Update    status    `json:",omitzero"`
	Serving   *settings `json:",omitempty"` // what runs until an update is through; nil: the settings above
	Token     string    `json:",omitempty"` // of the durable step that published it
	Described string    `json:",omitempty"` // what $LATEST was described as when it was published
	Enforced  bool      `json:",omitempty"` // who set it up last is bound by policies
}

// status is how far something has come: Pending, Active, Failed; InProgress,
// Successful, Failed.
type status struct {
	Is     string
	Reason string `json:",omitempty"`
	Code   string `json:",omitempty"`
}

var (
	pendingState = status{Is: api.StatePending, Reason: "The function is being created.", Code: api.StateReasonCodeCreating}
	activeState  = status{Is: api.StateActive}
	// AWS gives the reason of a creation here, too.
	inProgress = status{Is: api.LastUpdateStatusInProgress, Reason: "The function is being created.", Code: api.StateReasonCodeCreating}
	successful = status{Is: api.LastUpdateStatusSuccessful}
)

// settings are what a version's code and configuration are.
type settings struct {
	Runtime      string
	Role         string
	Handler      string
	Description  string `json:",omitempty"`
	Timeout      int32
	Memory       int32
	Environment  []byte        `json:",omitempty"` // sealed
	Layers       []layerUse    `json:",omitempty"`
	Architecture string        `json:",omitempty"`
	Ephemeral    int32         // MiB
	DeadLetter   *string       `json:",omitempty"`
	LogGroup     string        `json:",omitempty"` // "": the function's own
	Code         codeFile      // what it runs
	Logging      loggingLevels `json:",omitzero"`
}

type loggingLevels struct{ Application, System string }

// layerUse is a layer's version that a function has.
type layerUse struct {
	ARN  string
	Code codeFile
}

// codeFile is an archive in the code store.
type codeFile struct {
	ID       string // SHA-256, in hexadecimal
	Size     int64  // of the archive, in bytes
	Unzipped int64  // of its files
}

// unsettled is the value by which the index finds the versions that are to become
// active.
const unsettled = "yes"

var (
	functions = store.NewCollection[record]("lambda/function")
	versions  = store.NewCollection("lambda/version", store.Index[version]{Name: "unsettled", Keys: func(_ string, v *version) []string {
		if v.State.Is == api.StatePending || v.Update.Is == api.LastUpdateStatusInProgress {
			return []string{unsettled}
		}
		return nil
	}})
)

// versionKey is the key of a version, or of what hangs on a version or an alias.
// Numbers are in their order, behind $LATEST and before the names of aliases, which
// have no colon.
func (p place) versionKey(v string) string {
	if n, err := strconv.ParseUint(v, 10, 63); err == nil {
		return p.key() + fmt.Sprintf("|:%019d", n)
	}
	return p.key() + "|" + v
}

// versionOf tells the version of a key of versions.
func versionOf(key string) string {
	_, v, _ := strings.Cut(key, "|")
	if n, ok := strings.CutPrefix(v, ":"); ok {
		v = strings.TrimLeft(n, "0")
	}
	return v
}

// getFunction reads a function; nil where there is none.
func getFunction(tx store.Tx, p place) (*record, error) {
	f, err := functions.Get(tx, p.key())
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return f, err
}

// getVersion reads a version; nil where there is none.
func getVersion(tx store.Tx, p place, v string) (*version, error) {
	out, err := versions.Get(tx, p.versionKey(v))
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return out, err
}

// mustFunction is getFunction of one that has to be there.
func mustFunction(tx store.Tx, p place, qualifier string) (*record, error) {
	f, err := getFunction(tx, p)
	if err == nil && f == nil {
		err = notFound("Function not found: %s", p.arn(qualifier))
	}
	return f, err
}

// resolve finds the version that a qualifier stands for: a version's, or, without
// weights, an alias's.
func resolve(tx store.Tx, p place, qualifier string) (*version, error) {
	at := qualified(qualifier)
	if at != latest && !isVersion(at) {
		a, err := getAlias(tx, p, at)
		if err != nil {
			return nil, err
		}
		if a == nil {
			return nil, notFound("Function not found: %s", p.arn(qualifier))
		}
		at = a.Version
	}
	v, err := getVersion(tx, p, at)
	if err == nil && v == nil {
		err = notFound("Function not found: %s", p.arn(qualifier))
	}
	return v, err
}

// serving are the settings that invocations run.
func (v *version) serving() *settings {
	if v.Serving != nil {
		return v.Serving
	}
	return &v.settings
}

func yes(b *bool) bool { return b != nil && *b }

func or[T any](p *T, without T) T {
	if p != nil {
		return *p
	}
	return without
}
