// Package examples holds the templates and applications that the README, the
// demo and the tests all use. It imports nothing and starts no goroutine.
package examples

import _ "embed"

// Web is the template of the demo: a small web application on one instance.
//
//go:embed web/template.yaml
var Web string
