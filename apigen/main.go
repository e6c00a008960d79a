// Command apigen turns the service models under model/ into the packages under
// api/. "generate" works offline from model/ alone and is deterministic;
// "refresh" renews model/ from a botocore data folder, and
// "refresh-resources" from the schemas folder of cfn-lint. It imports nothing
// of ours and starts no goroutine.
package main

import (
	"fmt"
	"os"
)

const usage = `usage:
  apigen generate                              write api/ from model/
  apigen refresh <botocore-data-dir>           write model/services/ from botocore's models
  apigen refresh-resources <cfnlint-schemas>   write model/schemas/ from cfn-lint's resource schemas
Run it from the root of the repository.`

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "apigen:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 1 && args[0] == "generate":
		return generate(".")
	case len(args) == 2 && args[0] == "refresh":
		return refresh(".", args[1])
	case len(args) == 2 && args[0] == "refresh-resources":
		return refreshResources(".", args[1])
	}
	return fmt.Errorf("%s", usage)
}
