// Package program is what belay's programs have in common: how they end, where
// secrets come from, the flags that say what is observed and who is told, and the
// Action, which is a command of both.
package program

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
	ExitOK      = 0
	ExitFailed  = 1 // something that should have worked did not
	ExitUsage   = 2 // bad use or bad input
	ExitNothing = 3 // nothing to do, with the reason printed
)

// usage marks an error as the caller's.
type usage struct{ error }

func (u usage) Unwrap() error { return u.error }

// Usage marks an error as the caller's: bad flags, bad input. The program exits
// with ExitUsage.
func Usage(err error) error { return usage{err} }

// IsUsage reports whether an error is the caller's.
func IsUsage(err error) bool { return errors.As(err, new(usage)) }

// ErrNothing ends a run in which there is nothing to do. Its reason has been printed.
var ErrNothing = errors.New("nothing to do")

// Run is a program without its process: arguments and streams in, exit code out.
// It ends early on SIGINT and SIGTERM.
func Run(root *cobra.Command, args []string, in io.Reader, out, errs io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if os.Getenv("GITHUB_ACTIONS") == "true" {
		// What is for people may quote what anybody wrote, and the runner looks for commands in it.
		errs = action.Plain(errs)
	}
	root.SilenceUsage, root.SilenceErrors = true, true
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return Usage(fmt.Errorf("%w (see %s --help)", err, c.CommandPath()))
	})
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errs)
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return ExitOK
	case errors.Is(err, ErrNothing):
		return ExitNothing
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(errs, "belay: interrupted; nothing was written")
		return ExitFailed
	case IsUsage(err):
		fmt.Fprintf(errs, "belay: %v\n", err)
		return ExitUsage
	}
	fmt.Fprintf(errs, "belay: %v\n", err)
	return ExitFailed
}

// NoCommand is for a command that does nothing but hold others: it shows its
// help, or says which command was meant.
func NoCommand(c *cobra.Command) {
	c.Args = func(c *cobra.Command, args []string) error {
		if len(args) > 0 {
			if near := c.SuggestionsFor(args[0]); len(near) > 0 {
				return Usage(fmt.Errorf("unknown command %q: did you mean %q? See %s --help", args[0], near[0], c.CommandPath()))
			}
			return Usage(fmt.Errorf("unknown command %q: %s --help lists them", args[0], c.CommandPath()))
		}
		return nil
	}
	c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	c.SuggestionsMinimumDistance = 2
}

// NoArgs refuses arguments of a command that takes none.
func NoArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return Usage(fmt.Errorf("%s takes no argument %q (see %s --help)", c.CommandPath(), args[0], c.CommandPath()))
	}
	return nil
}
