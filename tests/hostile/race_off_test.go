//go:build !race

package hostile

// share is how many cases one is sent of: all are.
const share = 1
