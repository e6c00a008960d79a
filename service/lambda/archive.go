package lambda

import (
	"errors"
	"io"

	"github.com/slipway/slipway/compute/function/archive"
)

// checkArchive reads the directory of an archive of code.
func checkArchive(r io.ReaderAt, size int64) (*archive.Archive, error) {
	a, err := archive.Check(r, size, maxUnzipped)
	return a, badArchive(err)
}

// badArchive is what a caller is told of what is wrong with an archive.
func badArchive(err error) error {
	switch {
	case errors.Is(err, archive.ErrBad):
		return invalid("Could not unzip uploaded file. Please check your file, then try to upload again.")
	case errors.Is(err, archive.ErrTooMany):
		return invalid("The archive has more than %d files.", archive.MaxFiles)
	case errors.Is(err, archive.ErrTooLarge):
		return unzippedTooLarge()
	}
	return err
}
