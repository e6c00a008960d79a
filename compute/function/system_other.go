//go:build !unix

package function

import "strconv"

// No driver runs functions here.
func readNow(uintptr, []byte) (n int, again bool) { return 0, false }

func signalName(n int) string { return strconv.Itoa(n) }
