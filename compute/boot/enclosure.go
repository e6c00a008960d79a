package boot

import (
	"fmt"
	"io"
)

// OutputFD is where the first process of an enclosure finds the write end of its
// output, which all that it starts inherits.
const OutputFD = 4

// Program is the second message to the first process of an enclosure, after its
// Config: what to run. Enclosures of a sandbox run it as User.
type Program struct {
	Args        []string `json:"args"`
	Dir         string   `json:"dir"`
	Environment []string `json:"environment"`
	Memory      int64    `json:"memory,omitempty"` // bytes for each process, where there are no cgroups
}

// User is who programs in enclosures run as: nobody that owns files.
const User = 993

// Ended is the first process's last message: its program has ended, or did not
// start.
type Ended struct {
	Error  string `json:"error,omitempty"`
	Code   int    `json:"code"`
	Signal int    `json:"signal,omitempty"`
}

// ReadProgram reads the second message. io.EOF says that there is none to come.
func ReadProgram(r io.Reader) (Program, error) {
	var p Program
	if err := receive(r, &p); err != nil {
		return p, err
	}
	if len(p.Args) == 0 {
		return p, fmt.Errorf("a program without a name")
	}
	return p, nil
}

// ReadEnded reads the last message.
func ReadEnded(r io.Reader) (Ended, error) {
	var e Ended
	err := receive(r, &e)
	return e, err
}
