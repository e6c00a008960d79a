package sqlite_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/store/sqlite"
)

// Some tests need a process of their own: to kill it, to trace it, or to give
// it a small disk. They run this test binary again in one of these roles.
const roleVar = "SLIPWAY_STORE_TEST_ROLE"

var roles = map[string]func(args []string) error{
	"writers": writersRole,
	"lone":    loneRole,
}

func TestMain(m *testing.M) {
	if role := strings.Fields(os.Getenv(roleVar)); len(role) > 0 {
		if err := roles[role[0]](role[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// child is this binary in a role; arguments must have no spaces.
func child(t *testing.T, wrapper []string, role ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(stop)
	args := append(wrapper, self)
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(os.Environ(), roleVar+"="+strings.Join(role, " "))
	cmd.Stderr = os.Stderr
	return cmd
}

// writersRole updates from several goroutines until it is killed, and prints
// each key once it is acknowledged.
func writersRole(args []string) error {
	s, err := sqlite.Open(context.Background(), args[0], sqlite.Options{Held: 8 << 10}) // so that documents are held and moved
	if err != nil {
		return err
	}
	const writers = 8
	var wg sync.WaitGroup
	var out sync.Mutex
	for w := range writers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := 0; ; i++ {
				key := fmt.Sprintf("%s-%d-%06d", args[1], w, i)
				err := s.Update(context.Background(), func(tx store.Tx) error {
					if err := tx.Put("doc/"+key, []byte(`"x"`)); err != nil {
						return err
					}
					return tx.Put(store.BriefPrefix+key, []byte(`"x"`))
				})
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					return
				}
				out.Lock()
				fmt.Println(key)
				out.Unlock()
			}
		}()
	}
	wg.Wait()
	return fmt.Errorf("the writers ended")
}

// loneRole makes so many updates, one after another.
func loneRole(args []string) error {
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	s, err := sqlite.Open(context.Background(), args[0], sqlite.Options{})
	if err != nil {
		return err
	}
	for i := range n {
		err := s.Update(context.Background(), func(tx store.Tx) error { return tx.Put(fmt.Sprint("k", i), []byte("1")) })
		if err != nil {
			return err
		}
	}
	return s.Close()
}
