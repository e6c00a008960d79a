//go:build linux || darwin

package function

import (
	"bytes"
	"os"
	"sync/atomic"
	"testing"
	"time"
)

// TestOutputWithoutEnd: a function that always has more to print keeps nobody from
// saying that its time is over.
func TestOutputWithoutEnd(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	line := append(bytes.Repeat([]byte{'x'}, 4095), '\n')
	var over, said atomic.Bool
	o, err := newOutput(r, func(_ time.Time, got []byte) {
		if string(got) == "END" {
			said.Store(true)
		}
		if !over.Load() { // as much again as was taken: the pipe is never empty
			if _, err := w.Write(line); err != nil {
				t.Error(err)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(line); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		o.say("END")
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Error("it waits for the end of the output")
	}
	over.Store(true)
	<-done
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	o.wait()
	if !said.Load() || !bytes.HasSuffix(o.last(), []byte("x\n")) && !bytes.HasSuffix(o.last(), []byte("END\n")) {
		t.Errorf("said %v, tail of %d bytes", said.Load(), len(o.last()))
	}
}
