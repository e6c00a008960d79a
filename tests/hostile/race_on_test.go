//go:build race

package hostile

// share is how many cases one is sent of: the race detector makes each of them
// ten times as slow, and `make test` sends all of them without it.
const share = 8

// slower is what the race detector makes of a limit on time.
const slower = 20
