package agent

import "errors"

func (p *firstProcess) enterSandbox() error { return errors.New("macOS has no namespaces") }

func (e *enclosed) enterEnclosure() error { return errors.New("macOS has no namespaces") }

func holdDescendants() error {
	return errors.New("macOS has no subreapers: the driver must have the processes found by their session")
}

// limitMemory does nothing: macOS takes RLIMIT_DATA and RLIMIT_AS, and holds no
// process to them.
func limitMemory(int64) error { return nil }

// withLittleMemory does not bound it, likewise.
func withLittleMemory(_ int64, start func() (int, error)) (int, error) { return start() }
