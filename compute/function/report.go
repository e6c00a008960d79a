package function

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// report writes the last lines of an invocation, and makes its result.
func (e *environment) report(c *call, o outcome, cold bool) Result {
	r := Result{
		Payload: o.payload, Version: e.spec.Version, Stream: e.stream, Cold: cold, Duration: o.duration, Environment: e.stream[len(e.stream)-32:],
	}
	if cold {
		r.Init = e.init
	}
	r.Billed = (r.Duration + r.Init + time.Millisecond - 1).Truncate(time.Millisecond)
	if now := time.Now(); e.enc != nil && now.Sub(e.measured) >= measureAgain {
		e.peak, e.measured = max(e.peak, e.enc.Memory()), now
	}
	r.MaxMemory = e.peak
	lines := []string{}
	status := ""
	if f := o.failure; f != nil {
		f.with(c.RequestID)
		r.FunctionError, r.Payload = "Unhandled", f.payload
		if f.said != "" {
			lines = append(lines, strings.Split(f.said, "\n")...)
		}
		if f.status != "" {
			status = "\tStatus: " + f.status
			if f.status == "error" {
				status += "\tError Type: " + f.kind
			}
		}
	}
	initial := ""
	if cold {
		initial = "\tInit Duration: " + milliseconds(e.init) + " ms"
	}
	lines = append(lines, "END RequestId: "+c.RequestID,
		fmt.Sprintf("REPORT RequestId: %s\tDuration: %s ms\tBilled Duration: %d ms\tMemory Size: %d MB\tMax Memory Used: %d MB%s%s\t",
			c.RequestID, milliseconds(r.Duration), r.Billed.Milliseconds(), e.spec.Memory>>20, (r.MaxMemory+1<<20-1)>>20, initial, status))
	e.out.say(lines...)
	r.Tail = e.out.last()
	return r
}

func milliseconds(d time.Duration) string {
	return strconv.FormatFloat(float64(d)/float64(time.Millisecond), 'f', 2, 64)
}
