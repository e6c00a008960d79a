//go:build !linux

package function

// hostMemory is what all environments together may be promised.
func hostMemory() int64 { return memoryIfUnknown }
