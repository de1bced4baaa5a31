// Command belay-action is the part of belay that a workflow needs, belay action
// and belay version, without the server, the page and the stand-ins of the demo:
// it is built sooner and loaded faster. action.yml runs it.
package main

import (
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/belaybot/belay/cmd/internal/program"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is main without the process: arguments and streams in, exit code out.
func run(args []string, in io.Reader, out, errs io.Writer) int {
	root := &cobra.Command{
		Use:   "belay-action",
		Short: "Run belay in a GitHub Actions workflow",
		Long:  "belay-action is what belay does in a workflow, and nothing else of it. belay has both commands, too.",
	}
	program.NoCommand(root)
	root.AddCommand(program.NewAction(), program.NewVersion())
	return program.Run(root, args, in, out, errs)
}
