//go:build !unix

package cli

import (
	"context"
	"errors"
	"os"

	"github.com/slipway/slipway/platform"
)

// restartSignal never tells: this system has no signals to restart by.
func restartSignal() (told <-chan os.Signal, ignore func()) { return nil, func() {} }

func again(context.Context, *platform.Platform) error { return errors.ErrUnsupported }
