//go:build !unix

package metadata

import "errors"

func setHops(uintptr, int) error { return errors.ErrUnsupported }
