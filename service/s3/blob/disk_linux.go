package blob

import (
	"os"
	"syscall"
)

const syncFileRangeWrite = 2 // SYNC_FILE_RANGE_WRITE

// startWriting tells the disk to write a range of a file, and does not wait for
// it. That it fails is no matter: the file is synced at its end.
func startWriting(f *os.File, offset, length int64) {
	_ = syscall.SyncFileRange(int(f.Fd()), offset, length, syncFileRangeWrite)
}
