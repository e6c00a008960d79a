package plan

import (
	"strings"

	"github.com/slipway/slipway/cfn"
)

// Changed are those of the paths at which properties differ. Paths are written as
// package schema does.
func Changed(paths []string, before, after cfn.Properties) []string {
	var changed []string
	for _, path := range paths {
		parts := strings.Split(path, "/")
		if !equal(extract(before, parts), extract(after, parts)) {
			changed = append(changed, path)
		}
	}
	return changed
}
