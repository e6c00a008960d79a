package wire

import (
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/slipway/slipway/fault"
)

// defaultPatience is how long the reading of a body waits for its next bytes.
// There is no bound for the whole: an upload takes as long as it takes.
const defaultPatience = time.Minute

// patientBody ends the wait for a client that stops in the middle of a body.
type patientBody struct {
	io.ReadCloser
	conn  http.ResponseController
	wait  time.Duration
	until time.Time // the deadline that is set
}

// patient bounds the waits of a request's body.
func (h *Handler) patient(w http.ResponseWriter, r *http.Request) {
	if r.Body != nil && r.Body != http.NoBody {
		b := &patientBody{ReadCloser: r.Body, conn: *http.NewResponseController(w), wait: h.cfg.Patience}
		b.expect() // also of bodies that nobody reads, whose rest the server reads away
		r.Body = b
	}
}

// expect waits for the next bytes from now on, give or take a part of the wait:
// setting a deadline costs more than most reads do. Writers without a
// connection, as in tests, have no deadline: nothing waits.
func (b *patientBody) expect() {
	until := time.Now().Add(b.wait)
	if until.Sub(b.until) > b.wait/32 {
		b.until = until
		_ = b.conn.SetReadDeadline(until)
	}
}

func (b *patientBody) Read(p []byte) (int, error) {
	b.expect()
	n, err := b.ReadCloser.Read(p)
	switch {
	case err == nil:
	case errors.Is(err, os.ErrDeadlineExceeded):
		// The deadline stays: the server must not wait for the rest either.
		err = fault.New(fault.RequestTimeout, "Your socket connection to the server was not read from or written to within the timeout period. Idle connections will be closed.")
	default:
		// The connection is watched for its end while the operation runs, which
		// has all the time that it needs.
		b.until = time.Time{}
		_ = b.conn.SetReadDeadline(time.Time{})
	}
	return n, err
}
