package crash

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/compute/process"
	"github.com/slipway/slipway/compute/sandbox"
)

// host looks at what a server's driver made on this host. The server must not
// run.
type host struct{ data, binary string }

func (h host) open() (compute.Driver, error) {
	kept, err := os.ReadFile(filepath.Join(h.data, "instances", "driver"))
	if err != nil {
		return nil, err
	}
	name := strings.TrimSpace(string(kept))
	dir := filepath.Join(h.data, "instances", name)
	if name == sandbox.Name {
		return sandbox.New(sandbox.Config{Dir: dir, Slipway: h.binary})
	}
	return process.New(process.Config{Dir: dir, Slipway: h.binary})
}

// differences tells what the host has of instances that the API does not have,
// and the other way round.
func (h host) differences(ctx context.Context, running []string) (wrong []string, err error) {
	d, err := h.open()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	handles, err := d.List(ctx)
	if err != nil {
		return nil, err
	}
	there := inventory{}
	for _, handle := range handles {
		st, err := d.Describe(ctx, handle)
		if err != nil {
			return nil, err
		}
		if st.State == compute.Running {
			there.add("running instance", handle.ID)
		} else {
			wrong = append(wrong, fmt.Sprintf("the host has instance %s %s: %s", handle.ID, st.State, st.Reason))
		}
	}
	return append(wrong, differences(inventory{"running instance": running}, there)...), nil
}

// clean removes the driver's own set-up, as `slipway doctor --clean` does.
func (h host) clean(ctx context.Context) (removed []string, err error) {
	d, err := h.open()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	return d.Clean(ctx)
}

// objectFiles counts the files that hold objects of S3.
func (h host) objectFiles() (int, error) {
	files, err := filepath.Glob(filepath.Join(h.data, "objects", "objects", "*", "*"))
	return len(files), err
}

// processes finds the processes whose command line or environment names the
// data folder.
func (h host) processes() (found []string, err error) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	for _, dir := range dirs {
		if filepath.Base(dir) == strconv.Itoa(os.Getpid()) {
			continue
		}
		for _, name := range []string{"cmdline", "environ"} {
			b, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				continue // it ended, or is another's
			}
			if bytes.Contains(b, []byte(h.data)) {
				line, _ := os.ReadFile(filepath.Join(dir, "cmdline")) // as above
				found = append(found, filepath.Base(dir)+" "+string(bytes.ReplaceAll(line, []byte{0}, []byte{' '})))
				break
			}
		}
	}
	slices.Sort(found)
	return found, nil
}
