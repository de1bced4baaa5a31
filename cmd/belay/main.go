// Command belay upgrades the open-source services that a person runs on
// Kubernetes through Terraform. Each subcommand has its file; this one turns
// their outcome into an exit code.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/belaybot/belay/bot/action"
)

// Exit codes of SPEC section 15.
const (
	exitOK      = 0
	exitFailed  = 1 // something that should have worked did not
	exitUsage   = 2 // bad use or bad input
	exitNothing = 3 // nothing to do, with the reason printed
)

// usage marks an error as the caller's: bad flags, bad input. It exits with 2.
type usage struct{ error }

func (u usage) Unwrap() error { return u.error }

// errNothing ends a run in which there is nothing to do. Its reason has been printed.
var errNothing = errors.New("nothing to do")

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is main without the process: arguments and streams in, exit code out.
func run(args []string, in io.Reader, out, errs io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if os.Getenv("GITHUB_ACTIONS") == "true" {
		// What is for people may quote what anybody wrote, and the runner looks for commands in it.
		errs = action.Plain(errs)
	}
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errs)
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errNothing):
		return exitNothing
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(errs, "belay: interrupted; nothing was written")
		return exitFailed
	case errors.As(err, new(usage)):
		fmt.Fprintf(errs, "belay: %v\n", err)
		return exitUsage
	}
	fmt.Fprintf(errs, "belay: %v\n", err)
	return exitFailed
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
		SilenceUsage:  true,
		SilenceErrors: true,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				if near := c.SuggestionsFor(args[0]); len(near) > 0 {
					return usage{fmt.Errorf("unknown command %q: did you mean %q? See belay --help", args[0], near[0])}
				}
				return usage{fmt.Errorf("unknown command %q: belay --help lists them", args[0])}
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SuggestionsMinimumDistance = 2
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usage{fmt.Errorf("%w (see %s --help)", err, c.CommandPath())}
	})
	root.AddCommand(newServe(), newDispatch(), newBulk(), newStatus(), newFreeze(), newUnfreeze(), newRecover(), newPlan(), newPins(), newConfig(), newDemo(), newVersion())
	root.AddCommand(newInit(), newDoctor(), newAction(), newAudit())
	return root
}

// noArgs refuses arguments of a command that takes none.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage{fmt.Errorf("%s takes no argument %q (see %s --help)", c.CommandPath(), args[0], c.CommandPath())}
	}
	return nil
}
