// Package boot is what a compute driver and the first process of an instance
// say to each other, and the console that the one writes and the other reads.
// It imports nothing of ours and starts no goroutine.
package boot

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
)

// The first process finds these open.
const (
	ControlFD = 3 // socket: one Config comes in, one Ready goes out
	ConsoleFD = 4 // the console's Ring
)

// Paths within an instance's root file system.
const (
	Binary  = "/usr/lib/slipway/slipway"       // the slipway binary, read-only
	State   = "/var/lib/slipway"               // what the first process keeps over boots
	Log     = "/var/log/cloud-init-output.log" // output of user data
	Environ = "/etc/slipway/environment"       // KEY=VALUE lines that shells and scripts load
)

// NoCollection is in the first process's environment: what its start allocates is
// little, and the garbage collector would look through all of a large binary's
// variables for it, several times. Once it is up it turns the collector on.
const NoCollection = "GOGC=off"

// Tools are the names, besides its own, by which the slipway binary is called
// in instances: the cfn helpers ("CloudFormation helper scripts reference").
var Tools = []string{"cfn-signal", "cfn-init", "cfn-hup", "cfn-get-metadata"}

// MetadataPort is the port of the metadata service on a process instance's
// own address, where 169.254.169.254:80 is not to be had.
const MetadataPort = 8254

// Grace is how long, in seconds, processes have to end on their own before
// they are killed.
const Grace = 10

// Scores by which Linux chooses what it kills when memory runs out
// (/proc/PID/oom_score_adj): instances before the host's own processes, and what
// an instance runs before its first process.
const (
	Expendable   = 500
	FirstProcess = 300
)

// Kind says what the first process has to set up.
type Kind string

// The kinds of instances.
const (
	Sandbox Kind = "sandbox" // PID 1 of its own namespaces
	Process Kind = "process" // the root of a process tree on the host
)

// Config is what the first process is told, once, as one line of JSON. A
// socket that closes before the line is whole means that Slipway died: the
// first process ends, and a repeated Launch begins anew.
type Config struct {
	Kind        Kind              `json:"kind"`
	ID          string            `json:"id"`
	Hostname    string            `json:"hostname"`
	Address     netip.Addr        `json:"address"`
	DNS         []netip.Addr      `json:"dns,omitempty"`
	Search      *string           `json:"search,omitempty"` // nil: the domain of Hostname
	Root        string            `json:"root"`             // "/" in a sandbox, the instance's folder otherwise
	Metadata    string            `json:"metadata"`
	Environment map[string]string `json:"environment,omitempty"`
	Grace       int               `json:"grace"`            // seconds
	Memory      int64             `json:"memory,omitempty"` // bytes for each process, where there are no cgroups
	// BySession says that nothing holds on to a process whose parent ends, as a
	// subreaper does on Linux: the tree is what the first process's session has,
	// and what has Mark, where that is set, in its environment.
	BySession bool   `json:"bySession,omitempty"`
	Mark      string `json:"mark,omitempty"`
}

// maxLine bounds a message. Environments are small.
const maxLine = 1 << 20

// Send writes a message.
func Send(w io.Writer, message any) error {
	b, err := json.Marshal(message)
	if err != nil {
		return err
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

// ReadConfig reads the driver's message.
func ReadConfig(r io.Reader) (Config, error) {
	var c Config
	err := receive(r, &c)
	return c, err
}

// Ready is the first process's answer: set up, or why it is not.
type Ready struct {
	Error string `json:"error,omitempty"`
}

// ReadReady waits for the first process's answer.
func ReadReady(r io.Reader) error {
	var m Ready
	if err := receive(r, &m); err != nil {
		return fmt.Errorf("the instance's first process ended before it was ready: %w", err)
	}
	if m.Error != "" {
		return errors.New("the instance's first process: " + m.Error)
	}
	return nil
}

func receive(r io.Reader, message any) error {
	line, err := bufio.NewReader(io.LimitReader(r, maxLine)).ReadString('\n')
	if err != nil {
		if errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF
		}
		return err
	}
	return json.Unmarshal([]byte(strings.TrimSpace(line)), message)
}
