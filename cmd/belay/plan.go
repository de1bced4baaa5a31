package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/belaybot/belay/bot/advise"
	"github.com/belaybot/belay/bot/intake"
	"github.com/belaybot/belay/bot/planner"
	"github.com/belaybot/belay/bot/report"
	"github.com/belaybot/belay/bot/terraform"
	"github.com/belaybot/belay/bot/upstream"
	"github.com/belaybot/belay/cmd/internal/program"
	"github.com/belaybot/belay/rules/notes"
	"github.com/belaybot/belay/rules/plan"
	"github.com/belaybot/belay/rules/policy"
	"github.com/belaybot/belay/rules/version"
)

// maxNotes is the largest notes file in bytes: ten times the longest changelog
// of a real project.
const maxNotes = 64 << 20

type planFlags struct {
	repository
	asks
	ask                        program.AdviserFlags
	adviser                    bool
	image, chart, tag, payload string
	format, notes              string
}

// asks are the flags that say how upstream is asked.
type asks struct {
	offline   bool
	cache     string
	githubAPI string
	wait      time.Duration
}

func newPlan() *cobra.Command {
	var f planFlags
	c := &cobra.Command{
		Use:   "plan (--image IMAGE --tag TAG | --chart CHART --tag VERSION | --payload FILE)",
		Short: "Show what an upgrade would change, and how risky it is",
		Long: `Plan says what belay would do about one dispatch, "image X has tag Y": which
lines change, what the release notes in between say, how risky the upgrade is
and why, and the text of the pull request. It writes nothing.

Exit status: 0 an upgrade is planned, 3 nothing to do (the reason is printed),
2 bad use or input, 1 failed.`,
		Example: `  belay plan --image vaultwarden/server --tag 1.35.8
  belay plan --image shlinkio/shlink --tag 5.0.2 --format markdown
  belay plan --repo mirror.git --rev main --image nginx --tag 1.29.3 --format diff | git apply --check
  belay plan --payload dispatch.json --format json
  belay plan --image ghcr.io/acme/web --tag v2.0.0 --notes CHANGELOG.md`,
		Args: program.NoArgs,
		RunE: f.run,
	}
	f.repository.flags(c)
	f.asks.flags(c)
	f.ask.Flags(c)
	c.Flags().BoolVar(&f.adviser, "adviser", false, "ask the adviser too, a language model that may raise the risk (docs/adviser.md)")
	c.Flags().StringVar(&f.image, "image", "", "`name` of the image that has a new tag")
	c.Flags().StringVar(&f.chart, "chart", "", "`name` of the Helm chart that has a new version, or REPOSITORY/NAME")
	c.Flags().StringVar(&f.tag, "tag", "", "the new `tag`, or the chart's new version")
	c.Flags().StringVar(&f.payload, "payload", "", "read the dispatch from a JSON `file`, \"-\" for standard input")
	c.Flags().StringVar(&f.format, "format", "text", "text, json, diff or markdown (the pull request; of several steps, the first)")
	c.Flags().StringVar(&f.notes, "notes", "", "read the release notes from a changelog `file` instead of asking upstream")
	_ = c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"text", "json", "diff", "markdown"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

func (a *asks) flags(c *cobra.Command) {
	a.cacheFlags(c)
	c.Flags().DurationVar(&a.wait, "wait", 15*time.Minute, "how long to wait for a rate limit")
}

// cacheFlags are those of commands that wait for something else.
func (a *asks) cacheFlags(c *cobra.Command) {
	c.Flags().BoolVar(&a.offline, "offline", false, "ask nobody: use cached answers only")
	c.Flags().StringVar(&a.cache, "cache", defaultCache(), "`directory` for upstream's answers; empty keeps none")
	c.Flags().StringVar(&a.githubAPI, "github-api", os.Getenv("GITHUB_API_URL"), "`URL` of GitHub's API (GitHub Enterprise: https://HOST/api/v3) [$GITHUB_API_URL]")
}

func defaultCache() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "belay")
}

// client makes the client for upstream. The token is taken from the
// environment, where it shows in no process list.
func (a *asks) client(p policy.Policy, show *progress) (*upstream.Client, error) {
	if a.githubAPI != "" {
		if u, err := url.Parse(a.githubAPI); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return nil, program.Usage(fmt.Errorf("--github-api %q is not a URL: give one such as https://github.example.org/api/v3", a.githubAPI))
		}
	}
	return program.UpstreamOf(p, upstream.Options{
		CacheDir: a.cache, GitHubAPI: a.githubAPI, GitHubToken: os.Getenv("GITHUB_TOKEN"), Offline: a.offline, Wait: a.wait, Notify: show.say,
	})
}

func (f *planFlags) run(c *cobra.Command, _ []string) error {
	switch f.format {
	case "text", "json", "diff", "markdown":
	default:
		return program.Usage(fmt.Errorf("--format %q: choose text, json, diff or markdown", f.format))
	}
	d, err := f.dispatch(c.InOrStdin())
	if err != nil {
		return err
	}
	changelog, err := readNotes(f.notes)
	if err != nil {
		return err
	}
	show := newProgress(c.ErrOrStderr())
	inv, p, err := f.scan(c.Context(), show)
	if err != nil {
		return err
	}
	client, err := f.client(p, show)
	if err != nil {
		return err
	}
	pl := planner.Planner{Policy: p, Upstream: client, Notes: changelog}
	if pl.Adviser, err = f.advising(c.ErrOrStderr()); err != nil {
		return err
	}
	done := show.stage("planning")
	result, err := pl.Plan(c.Context(), inv, d)
	result, err = result.Settle(err)
	done()
	if err != nil {
		err = fmt.Errorf("%w%s", err, wayOut(err))
	} else if f.format == "diff" || f.format == "markdown" { // what is opened first, of several steps
		err = firstSteps(c.Context(), &pl, inv, &result)
	}
	if err == nil {
		err = write(c.OutOrStdout(), f.format, result, inv)
	}
	// A file that does not parse may be why a plan fails, or finds nothing.
	for _, problem := range inv.Problems {
		fmt.Fprintf(c.ErrOrStderr(), "belay: warning: %s\n", problemLine(problem))
	}
	if len(result.Upgrades) == 0 || f.format == "diff" { // else the plan has them
		warnOf(c.ErrOrStderr(), inv, p)
	}
	if near := nearest(inv, d); len(near) > 0 && (err != nil || result.Unused) {
		fmt.Fprintf(c.ErrOrStderr(), "belay: %s is pinned nowhere here; did you mean %s?\n", nameOf(d), strings.Join(near, " or "))
	}
	if err != nil {
		return err
	}
	if len(result.Upgrades) == 0 {
		return program.ErrNothing
	}
	return nil
}

// firstSteps puts the step that comes first in the place of each upgrade.
func firstSteps(ctx context.Context, p *planner.Planner, inv *terraform.Inventory, r *planner.Result) error {
	for i, u := range r.Upgrades {
		s, ok, err := p.Step(ctx, inv, *r, planner.Climb{Service: u.Service})
		if err != nil {
			return err
		}
		if ok {
			r.Upgrades[i], r.Changes[u.Service] = s.Upgrade, s.Changes
		}
	}
	return nil
}

// advising is the adviser, where it was asked for. A key that lies in the
// environment for another program is no wish to spend it.
func (f *planFlags) advising(warnings io.Writer) (planner.Adviser, error) {
	if !f.adviser {
		return nil, nil
	}
	if f.offline {
		return nil, program.Usage(errors.New("--adviser asks somebody, and --offline asks nobody: leave one of them out"))
	}
	var memory advise.Memory
	if f.cache != "" {
		memory = advise.Dir{Path: filepath.Join(f.cache, "adviser")}
	}
	a, err := f.ask.Open(memory, nil, program.AdviserCredentials(), slog.New(slog.NewTextHandler(warnings, &slog.HandlerOptions{Level: slog.LevelError})))
	if err != nil {
		return nil, err
	}
	if !a.On() {
		return nil, program.ErrNoAdviser
	}
	return a, nil
}

// wayOut is what to do about an error of the network.
func wayOut(err error) string {
	var limited *upstream.RateLimited
	var netError net.Error
	switch {
	case errors.Is(err, upstream.ErrOffline):
		return ": drop --offline"
	case errors.As(err, &limited):
		return ""
	case errors.As(err, &netError):
		return ": check the network, or work without it: --offline, or --notes FILE"
	}
	return ""
}

// dispatch reads the dispatch from flags or a payload.
func (f *planFlags) dispatch(in io.Reader) (plan.Dispatch, error) {
	if f.payload != "" {
		if f.image != "" || f.chart != "" || f.tag != "" {
			return plan.Dispatch{}, program.Usage(errors.New("--payload says it all: leave --image, --chart and --tag out"))
		}
		data, err := readPayload(f.payload, in)
		if err != nil {
			return plan.Dispatch{}, program.Usage(fmt.Errorf("--payload: %w", err))
		}
		d, err := intake.Parse(data)
		if err != nil {
			return d, program.Usage(fmt.Errorf("--payload %s: %w", f.payload, err))
		}
		return d, nil
	}
	switch {
	case f.chart != "" && f.image != "":
		return plan.Dispatch{}, program.Usage(errors.New("give --image or --chart, not both"))
	case f.chart != "" && f.tag == "":
		return plan.Dispatch{}, program.Usage(errors.New("--tag is missing: the chart's new version"))
	case f.chart != "":
		return plan.Dispatch{Chart: plan.ParseChart(f.chart), Tag: f.tag}, nil
	case f.image == "":
		return plan.Dispatch{}, program.Usage(errors.New("--image and --tag, --chart and --tag, or --payload: one of them is needed (see belay plan --help)"))
	}
	d, err := intake.New(f.image, f.tag)
	var field *intake.FieldError
	if errors.As(err, &field) {
		return d, program.Usage(fmt.Errorf("--%s: %s", field.Field, field.Text))
	}
	// DIUN sends such tags all day, and there is nothing to do; a person who types one means another.
	if _, no := version.Parse(d.Tag); err == nil && no != nil && !version.Floating(d.Tag) {
		return d, program.Usage(fmt.Errorf("--tag: %q is not a version: give one, such as 1.2.3 or 2026.2.2", d.Tag))
	}
	return d, err
}

func readPayload(name string, in io.Reader) ([]byte, error) {
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	return io.ReadAll(io.LimitReader(in, intake.MaxPayload+1))
}

// readNotes reads a changelog file.
func readNotes(name string) (*planner.Changelog, error) {
	if name == "" {
		return nil, nil
	}
	info, err := os.Stat(name)
	if err != nil {
		return nil, program.Usage(fmt.Errorf("--notes: %w", err))
	}
	if info.Size() > maxNotes {
		return nil, program.Usage(fmt.Errorf("--notes %s: %d MB: more than %d MB are not read", name, info.Size()>>20, maxNotes>>20))
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, program.Usage(fmt.Errorf("--notes: %w", err))
	}
	releases := notes.Split(string(data))
	if len(releases) == 0 {
		return nil, program.Usage(fmt.Errorf("--notes %s: no release is headed by a version; headings such as \"## v1.2.3\" are looked for", name))
	}
	return &planner.Changelog{Name: filepath.Base(name), Releases: releases}, nil
}

// write prints a plan.
func write(out io.Writer, format string, r planner.Result, inv *terraform.Inventory) error {
	switch format {
	case "json":
		return writeJSON(out, r)
	case "diff":
		var changes []report.FileChange
		for _, u := range r.Upgrades {
			for _, change := range r.Changes[u.Service] {
				before, err := inv.Content(change.Path)
				if err != nil {
					return err
				}
				changes = append(changes, report.FileChange{Path: change.Path, Before: before, After: change.Content})
			}
		}
		return report.Diff(out, changes)
	case "markdown":
		return report.Markdown(out, r.Plan)
	}
	if r.Refused != "" {
		_, err := fmt.Fprintf(out, "Nothing to do: %s.\n", strings.TrimSuffix(r.Refused, "."))
		return err
	}
	return report.Text(out, r.Plan, report.TextOptions{Color: colour(out), Width: width(out)})
}
