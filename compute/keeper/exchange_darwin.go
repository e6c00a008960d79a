package keeper

import "os"

// exchange puts a new file in the place of an old one.
func exchange(fresh, name string) error { return os.Rename(fresh, name) }
