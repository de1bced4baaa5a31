package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/belaybot/belay/bot/intake"
	"github.com/belaybot/belay/cmd/internal/program"
	"github.com/belaybot/belay/rules/plan"
)

type bulkFlags struct {
	remote
	repository
	asks
	outdated, dryRun, yes bool
	limit                 int
	wait                  time.Duration
}

// forEver is how long --wait waits that names no time.
const forEver = 7 * 24 * time.Hour

func newBulk() *cobra.Command {
	var f bulkFlags
	c := &cobra.Command{
		Use:   "bulk (FILE | - | --outdated)",
		Short: "Send many dispatches to a running belay, from a list or for all that is outdated",
		Long: `Bulk sends a list of dispatches: CSV lines "image,tag" with or without headings,
or JSON lines in any form that DIUN's door takes; "-" reads standard input. With
--outdated it asks the registries for the newest tag of every pin that belay
follows in --repo, and sends what is behind.

First it shows what would happen, and asks; --yes goes on at once, --dry-run ends
there. At the end a table says where each stands. Interrupted, run it again:
nothing is done twice, and what was sent shows where it stands. What the rate
limit does not let start waits on the server; --limit gives this run a limit of
its own, in the same window of time.

Exit status: 0 sent, with --wait and all well; 3 nothing to do; 2 bad use or
input; 1 failed, or none of the pins could be looked up, or, with --wait, an
upgrade failed.`,
		Example: `  belay bulk --outdated --dry-run                 what is behind in this repository; needs no server
  belay bulk --outdated --limit 12 --yes --wait
  belay bulk images.csv
  printf 'vaultwarden/server,1.35.8\n' | belay bulk - --yes`,
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case f.outdated && len(args) > 0:
				return program.Usage(errors.New("give a FILE or --outdated, not both"))
			case !f.outdated && len(args) != 1:
				return program.Usage(errors.New("one FILE with image and tag in each line is needed, \"-\" for standard input, or --outdated (see belay bulk --help)"))
			}
			return nil
		},
		RunE: f.run,
	}
	f.remote.flags(c)
	f.repository.flags(c)
	f.cacheFlags(c)
	c.Flags().BoolVar(&f.outdated, "outdated", false, "ask the registries what is outdated, in place of a FILE")
	c.Flags().BoolVar(&f.dryRun, "dry-run", false, "show what would happen, and end")
	c.Flags().BoolVar(&f.yes, "yes", false, "do not show what would happen, and do not ask")
	c.Flags().IntVar(&f.limit, "limit", 0, "how many upgrades of this run may start in a window of the rate limit, in place of the repository's `number`")
	c.Flags().DurationVar(&f.wait, "wait", 0, "follow the upgrades to their ends, for this `time` at most; a week when none is given")
	c.Flags().Lookup("wait").NoOptDefVal = forEver.String()
	return c
}

// bulkRow is a line of the table of what would happen, and of what did.
type bulkRow struct {
	service, from, to string
	state             string // the risk before, the state after
	note              string
}

func (f *bulkFlags) run(c *cobra.Command, args []string) error {
	if f.limit < 0 || c.Flags().Changed("limit") && f.limit == 0 {
		return program.Usage(fmt.Errorf("--limit %d: a number above 0", f.limit))
	}
	f.asks.wait = time.Minute
	show := newProgress(c.ErrOrStderr())
	ctx := c.Context()
	var work bulkWork
	var err error
	if f.outdated {
		work, err = f.lookUp(ctx, show)
	} else {
		work, err = f.readList(args[0], c.InOrStdin())
	}
	if err != nil {
		return err
	}
	if f.dryRun || !f.yes {
		if err := f.preview(ctx, c, show, &work); err != nil {
			return err
		}
	}
	if len(work.dispatches) == 0 {
		if f.yes && !f.dryRun {
			printRows(c.OutOrStdout(), "RISK", work.rows)
			fmt.Fprintln(c.OutOrStdout(), work.summary)
		}
		return cmp.Or(work.unknown, program.ErrNothing)
	}
	if f.dryRun {
		return nil
	}
	if !f.yes {
		if err := f.askFirst(c, args, len(work.dispatches)); err != nil {
			return err
		}
	}
	return f.send(ctx, c, show, work)
}

// bulkWork is what a run is about to send.
type bulkWork struct {
	run        string // names it
	again      bool   // what is known and over is planned again
	dispatches []plan.Dispatch
	rows       []bulkRow // what is not sent, and why
	summary    string
	unknown    error // why it is not known whether there is anything to send; nil: it is
	plan       func(ctx context.Context, d plan.Dispatch) ([]bulkRow, error)
}

func (f *bulkFlags) readList(name string, in io.Reader) (bulkWork, error) {
	if name == "-" {
		name = "standard input"
	} else {
		file, err := os.Open(name)
		if err != nil {
			return bulkWork{}, unread(name, err)
		}
		defer file.Close()
		in = file
	}
	items, err := intake.ReadList(in)
	if err != nil {
		return bulkWork{}, program.Usage(fmt.Errorf("%s: %w", name, err))
	}
	var out bulkWork
	for _, i := range items {
		out.dispatches = append(out.dispatches, i.Dispatch)
	}
	out.run = runName(out.dispatches)
	out.plan = f.planThere
	return out, nil
}

// preview shows what would happen.
func (f *bulkFlags) preview(ctx context.Context, c *cobra.Command, show *progress, work *bulkWork) error {
	rows, err := planAll(ctx, show, work.dispatches, work.plan)
	if errors.Is(err, errNoToken) && f.dryRun {
		return fmt.Errorf("%w. The server plans what is in a list; without one only --outdated --dry-run works", err)
	}
	if err != nil {
		return err
	}
	rows = append(rows, work.rows...)
	sortRows(rows)
	printRows(c.OutOrStdout(), "RISK", rows)
	if work.summary != "" {
		fmt.Fprintln(c.OutOrStdout(), work.summary)
	}
	return nil
}

// askFirst has a person agree.
func (f *bulkFlags) askFirst(c *cobra.Command, args []string, n int) error {
	in, ok := c.InOrStdin().(*os.File)
	if !ok || !isTerminal(in) || len(args) == 1 && args[0] == "-" {
		return program.Usage(errors.New("nobody can be asked here: say --yes to send them, or --dry-run to end after the table"))
	}
	if !agreed(in, c.ErrOrStderr(), fmt.Sprintf("Send %s to %s?", counted(n, "dispatch", "dispatches"), f.server)) {
		return program.Usage(errors.New("nothing was sent"))
	}
	return nil
}

// agreed asks a question that is answered by y or yes.
func agreed(in io.Reader, out io.Writer, question string) bool {
	fmt.Fprint(out, question+" [y/N] ")
	line, _ := bufio.NewReader(in).ReadString('\n')
	line = strings.ToLower(strings.TrimSpace(line))
	return line == "y" || line == "yes"
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func printRows(out io.Writer, state string, rows []bulkRow) {
	if len(rows) == 0 {
		return
	}
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintf(w, "SERVICE\tFROM\tTO\t%s\tNOTE\n", state)
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", r.service, r.from, r.to, r.state, oneLine(r.note))
	}
	_ = w.Flush()
}

// oneLine keeps what others wrote from breaking the table.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
