package agent

import (
	"runtime"
	"sync"
)

// spareThreads is more than ever wait in system calls at a time in a process
// that does one thing after the other: its main goroutine, its copies of output,
// the signals' and the collector's.
const spareThreads = 8

// reserveThreads makes the threads that this process will need while it can. The
// Go runtime starts one whenever all it has wait in system calls, and ends the
// process when it gets none: an instance that has used up its processes, by a
// fork bomb say, would thereby lose its first process and stop. Threads once made
// are kept by the runtime and used again.
func reserveThreads() {
	var held sync.WaitGroup
	held.Add(spareThreads)
	release := make(chan struct{})
	for range spareThreads {
		go func() {
			runtime.LockOSThread() // a thread each, as long as all hold theirs
			defer runtime.UnlockOSThread()
			held.Done()
			<-release
		}()
	}
	held.Wait()
	close(release)
}
