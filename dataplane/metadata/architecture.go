package metadata

import "runtime"

// architecture is AWS's name of this host's processor architecture.
var architecture = map[string]string{"amd64": "x86_64", "arm64": "arm64"}[runtime.GOARCH]
