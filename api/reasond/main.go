// Package reasond is the program as a library. A main package of somebody
// else's that registers further reasoning parsers (api/reasoning.Register) and
// then calls Main is reasond with those parsers. Open runs a model in the
// caller's own process, without a server.
package reasond

import "github.com/reasond/reasond/internal/cli"

// Main runs the command line args (without the program's name) with the
// process's streams, environment and signals, and returns the exit code: 0 for
// success, 1 for a failure, 2 for a command line that makes no sense.
func Main(args []string) int {
	return cli.Main(args)
}
