// Command slipway is the platform, its clients and the agent that runs inside
// every instance, in one binary. It parses flags, wires and runs; nothing else.
package main

import (
	"os"

	"github.com/slipway/slipway/agent"
	"github.com/slipway/slipway/cli"
)

func main() {
	// Inside an instance the binary is also PID 1 and, by other names, the cfn
	// helper commands. Those paths build no command tree: an instance is small.
	if status, ok := agent.Tool(os.Args); ok {
		os.Exit(status)
	}
	if len(os.Args) > 1 && os.Args[1] == "agent" {
		os.Exit(agent.Main(os.Args[2:]))
	}
	os.Exit(cli.Main(os.Args[1:]))
}
