package ec2

import (
	"errors"

	"github.com/slipway/slipway/compute"
)

// onHost is a failure as all users of an instance may read it. A driver's own
// words name the host's paths and programs: they stay in the log.
func onHost(what string) string {
	return "Internal error on " + what + "; the cause is in Slipway's log"
}

// lasting is what they may read of what trying again does not mend, "" of any
// other failure. It is told where the act is: the journal keeps no more than an
// error's text.
func lasting(what string, cause error) string {
	switch {
	case errors.Is(cause, compute.ErrUnsupported):
		return "Internal error on " + what + ": this host's driver cannot do what is asked"
	case errors.Is(cause, compute.ErrNoAddress):
		return "Internal error on " + what + ": the host does not have the instance's address; 'slipway doctor' tells how to add it"
	}
	return ""
}
