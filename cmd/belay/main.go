// Command belay upgrades the open-source services that a person runs on
// Kubernetes through Terraform. Each subcommand has its file, but for those that
// belay-action has too: they are in cmd/internal/program.
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
	return program.Run(newRoot(), args, in, out, errs)
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "belay",
		Short: "Upgrade what you run on Kubernetes, one safe pull request at a time",
		Long: `belay upgrades the open-source services that you run on Kubernetes and describe with Terraform.

It finds the lines that pin a version, reads the release notes in between,
says how risky the upgrade is and why, and opens the pull request. As a GitHub
App (belay serve) it merges what is SAFE after its checks and its backup.
belay plan shows what it would do and writes nothing.`,
		Example: `  belay demo                                              see it at work, on this machine alone
  belay pins                                              every version pin of this repository
  belay plan --image vaultwarden/server --tag 1.35.8      what an upgrade would change
  belay init                                              a first .github/belay.yml for this repository
  belay serve                                             run as a GitHub App
  belay config check                                      whether .github/belay.yml is right`,
	}
	program.NoCommand(root)
	root.AddCommand(newServe(), newDispatch(), newBulk(), newStatus(), newFreeze(), newUnfreeze(), newRecover(), newPlan(), newPins(), newConfig(), newDemo(), program.NewVersion())
	root.AddCommand(newInit(), newDoctor(), program.NewAction(), newAudit())
	return root
}
