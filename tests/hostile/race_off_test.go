//go:build !race

package hostile

// share is how many cases one is sent of: all are.
const share = 1

// slower is by how much limits on time are wider.
const slower = 1
