//go:build linux || darwin

package keeper

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/slipway/slipway/compute/boot"
)

// readyTimeout bounds the wait for a first process that hangs.
const readyTimeout = 30 * time.Second

// Streams is what an instance's first process inherits, and our end of it.
type Streams struct {
	Control *os.File // ours
	files   []*os.File
}

// OpenStreams opens them. Files is for the child, Close for both sides.
func (in *Instance) OpenStreams() (*Streams, error) {
	s := &Streams{}
	pair, err := socketpair()
	if err != nil {
		return nil, err
	}
	s.Control = os.NewFile(uintptr(pair[0]), "control")
	theirs := os.NewFile(uintptr(pair[1]), "control of the instance")
	null, err1 := os.Open(os.DevNull)
	log, err2 := os.OpenFile(in.File("init.log"), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	console, err3 := os.OpenFile(in.File("console"), os.O_RDWR|os.O_CREATE, 0o600)
	s.files = []*os.File{null, log, log, theirs, console}
	if err := errors.Join(err1, err2, err3); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Files are the descriptors from 0 on: standard streams, boot.ControlFD and
// boot.ConsoleFD.
func (s *Streams) Files() []uintptr {
	fds := make([]uintptr, len(s.files))
	for i, f := range s.files {
		fds[i] = f.Fd()
	}
	return fds
}

// Release closes the child's side, once the child has it: only then does the
// end of either side show at the other.
func (s *Streams) Release() {
	for _, f := range s.files {
		_ = f.Close() // the log stands there twice; a second close does nothing
	}
	s.files = nil
}

// Close closes both sides.
func (s *Streams) Close() {
	s.Release()
	_ = s.Control.Close()
}

// Converse tells the first process its configuration and awaits its answer.
func (s *Streams) Converse(ctx context.Context, cfg boot.Config) error {
	if err := s.Control.SetDeadline(time.Now().Add(readyTimeout)); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = s.Control.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := boot.Send(s.Control, cfg); err != nil {
		return errors.Join(ctx.Err(), err)
	}
	if err := boot.ReadReady(s.Control); err != nil {
		return errors.Join(ctx.Err(), err)
	}
	return nil
}
