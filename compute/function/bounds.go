package function

import (
	"runtime"
	"time"

	"github.com/slipway/slipway/compute"
)

// Bounds of AWS's ("Lambda quotas"), and of a host that was told none.
const (
	initTimeout     = 10 * time.Second // of the init phase
	maxResponse     = 6*1024*1024 + 100
	maxError        = 256 << 10 // bytes of an error that a runtime tells
	maxLine         = 256<<10 - 26
	maxTail         = 4 << 10
	maxProcesses    = 1024
	defaultTimeout  = 3 * time.Second
	defaultMemory   = 128 << 20
	defaultTmp      = 512 << 20
	fullCPU         = 1769 << 20 // the memory that comes with one CPU
	mostCPUs        = 6
	defaultIdle     = 10 * time.Minute
	defaultAtOnce   = 250
	defaultReady    = 2
	freezeAfter     = 10 * time.Millisecond // without an invocation
	measureAgain    = 10 * time.Millisecond // the memory of an environment: that takes longer than many a function
	startsAtOnce    = 8
	startPatience   = 60 * time.Second // for the host itself to make an environment
	memoryIfUnknown = 4 << 30
)

func (c *Config) bound() {
	if c.Environments <= 0 {
		c.Environments = defaultAtOnce
	}
	if c.Memory <= 0 {
		c.Memory = hostMemory()
	}
	if c.Ready == 0 {
		c.Ready = defaultReady
	}
	if c.Idle <= 0 {
		c.Idle = defaultIdle
	}
}

// limits are the function's. Its CPU time grows with its memory, as on AWS, but is
// never less than one CPU: a host that has time to spare gives it.
func (s *Spec) limits() compute.Limits {
	cpu := s.Memory * 1000 / fullCPU
	return compute.Limits{MilliCPU: min(max(cpu, 1000), mostCPUs*1000, int64(runtime.NumCPU())*1000), Memory: s.Memory, Processes: maxProcesses}
}

func (s *Spec) complete() {
	if s.Timeout <= 0 {
		s.Timeout = defaultTimeout
	}
	if s.Memory <= 0 {
		s.Memory = defaultMemory
	}
	if s.Ephemeral <= 0 {
		s.Ephemeral = defaultTmp
	}
	if s.LogGroup == "" {
		s.LogGroup = "/aws/lambda/" + s.Name
	}
	if s.Version == "" {
		s.Version = "$LATEST"
	}
}
