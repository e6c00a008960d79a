//go:build !unix

package platform

import (
	"errors"
	"os"
)

func keepOnExec(*os.File) (int, error) { return 0, errors.ErrUnsupported }
