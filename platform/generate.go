package platform

//go:generate go run ./coverage ../docs/coverage.md
