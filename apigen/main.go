// Command apigen turns the service models under model/ into the packages under
// api/. "generate" works offline from model/ alone and is deterministic;
// "refresh" renews model/ from a botocore data folder, and
// "refresh-resources" from the schemas folder of cfn-lint. It imports nothing
// of ours and starts no goroutine.
package main

//go:generate go run . generate

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

const usage = `usage:
  apigen generate                              write api/ from model/
  apigen refresh <botocore-data-dir>           write model/services/ from botocore's models
  apigen refresh-resources <cfnlint-schemas>   write model/schemas/ from cfn-lint's resource schemas
run it anywhere within the repository`

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "apigen:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	root, err := findRoot()
	if err != nil {
		return err
	}
	switch {
	case len(args) == 1 && args[0] == "generate":
		return generate(root)
	case len(args) == 2 && args[0] == "refresh":
		return refresh(root, args[1])
	case len(args) == 2 && args[0] == "refresh-resources":
		return refreshResources(root, args[1])
	}
	return errors.New(usage)
}

// findRoot is the folder above that holds go.mod.
func findRoot() (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("no go.mod in this folder or above it")
		}
		dir = up
	}
	return "", err
}
