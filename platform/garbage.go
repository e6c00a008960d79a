package platform

import "sync"

// garbageRoom, in bytes, is by how much more than Go's own pace the heap may grow
// before it is collected. What lives in it is small, so that under load it would
// be collected after every few hundred requests, an eighth of what they cost. The
// array below counts as living; as nobody touches it, it takes no memory.
const garbageRoom = 24 << 20

var untouched []byte

var leaveGarbage = sync.OnceFunc(func() { untouched = make([]byte, garbageRoom) })
