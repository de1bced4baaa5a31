package program

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/sethvargo/go-githubactions"
	"github.com/spf13/cobra"
	"k8s.io/klog/v2"

	"github.com/belaybot/belay/bot/action"
	"github.com/belaybot/belay/bot/advise"
	"github.com/belaybot/belay/bot/github"
	"github.com/belaybot/belay/bot/notify"
	"github.com/belaybot/belay/bot/planner"
	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/bot/upstream"
	"github.com/belaybot/belay/rules/policy"
)

// actionFlags are those of one run of the Action. What a workflow says comes as
// inputs, in the environment.
type actionFlags struct {
	upstreamAPI string
	debug       bool
	tell        TellFlags
	see         SeeFlags
	ask         AdviserFlags
}

// NewAction is the command that a workflow runs.
func NewAction() *cobra.Command {
	var f actionFlags
	c := &cobra.Command{
		Use:   "action",
		Short: "Run as a GitHub Action, for one event",
		Long: `Action does what one event of GitHub Actions asks for: a repository_dispatch
opens pull requests, a comment is a command, a pull request gets its risk
checked, a schedule or a push carries on what is open. There is no server and
no database: a run takes up what the pull requests hold.

action.yml runs it; docs/action.md says how. It reads the runner's environment
(GITHUB_EVENT_NAME, GITHUB_EVENT_PATH, GITHUB_REPOSITORY, ...), its inputs as
INPUT_NAME, and the BELAY_* variables of belay serve but those of the App.`,
		Args: NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return f.run(c.Context(), c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	f.tell.Flags(c)
	f.see.Flags(c)
	f.ask.Flags(c)
	c.Flags().StringVar(&f.upstreamAPI, "upstream-api", "https://api.github.com", "`URL` of the API at which release notes are looked up")
	c.Flags().BoolVar(&f.debug, "debug", os.Getenv("RUNNER_DEBUG") == "1", "log every decision")
	return c
}

func (f *actionFlags) run(ctx context.Context, out, errs io.Writer) error {
	a, masks := githubactions.New(githubactions.WithWriter(action.Commands(out))), action.Masks(out)
	event, err := action.Read(os.Getenv)
	if err != nil {
		a.Errorf("%s", err.Error())
		return Usage(err)
	}
	in, err := action.ReadInputs(a)
	if err != nil {
		a.Errorf("%s", err.Error())
		return Usage(err)
	}
	if err := hide(masks, in); err != nil {
		return Usage(err)
	}
	level := slog.LevelInfo
	if f.debug {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(errs, &slog.HandlerOptions{Level: level}))
	// Libraries log, too: through the one writer in which no text is a command.
	slog.SetDefault(log)
	klog.SetSlogLogger(log)
	dir, err := os.MkdirTemp(os.Getenv("RUNNER_TEMP"), "belay-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() //nolint:gosec // it was made a moment ago
	run, end, err := f.prepare(ctx, a, event, in, dir, log)
	if err != nil {
		a.Errorf("%s", err.Error())
		return err
	}
	defer end()
	forget()
	result, err := run.Do(ctx)
	run.Tell(result, err)
	if err == nil && len(result.Problems) > 0 {
		err = errors.New(result.Problems[0])
	}
	return err
}

// prepare puts a run together.
func (f *actionFlags) prepare(ctx context.Context, a *githubactions.Action, event action.Event, in action.Inputs, dir string, log *slog.Logger) (*action.Run, func(), error) {
	web := cmp.Or(os.Getenv("GITHUB_SERVER_URL"), "https://github.com")
	app, err := github.New(github.Options{Token: func() string { return in.Token }, Only: event.Repository, URL: web, API: os.Getenv("GITHUB_API_URL"), Log: log})
	if err != nil {
		return nil, nil, Usage(err)
	}
	if err := f.kubeconfig(in.Kubeconfig, dir); err != nil {
		return nil, nil, err
	}
	f.see.noPrograms = true
	see, err := f.see.Open(log)
	if err != nil {
		return nil, nil, err
	}
	st, err := store.Open(ctx, store.Options{Dir: filepath.Join(dir, "state")})
	if err != nil {
		see.Close()
		return nil, nil, err
	}
	end := func() {
		see.Close()
		_ = st.Close()
	}
	tell, err := f.notifier(ctx, st, web, log)
	if err != nil {
		end()
		return nil, nil, err
	}
	adviser, err := f.adviser(in, st, log)
	if err != nil {
		end()
		return nil, nil, err
	}
	return action.New(action.Options{Event: event, Inputs: in, Actions: a, Getenv: os.Getenv, Name: os.Getenv("GITHUB_RUN_ID") + "/" + os.Getenv("GITHUB_RUN_ATTEMPT") + "/" + filepath.Base(dir),
		Dir: dir, Store: st, GitHub: app, Upstream: f.upstream(in.Token, web, dir, log), Backups: see.Backups, Observers: see.Observers, CI: see.CI, Adviser: adviser, Notify: tell, Log: log}), end, nil
}

// adviser is asked about release notes, where there is a key for it.
func (f *actionFlags) adviser(in action.Inputs, memory advise.Memory, log *slog.Logger) (planner.Adviser, error) {
	if in.AdviserURL != "" {
		f.ask.url = in.AdviserURL
	}
	a, err := f.ask.Open(memory, nil, adviserKeys(in), log)
	if in.AdviserURL != "" && errors.Is(err, advise.ErrURL) {
		return nil, Usage(fmt.Errorf("input adviser-url %w", advise.ErrURL))
	}
	if err != nil || !a.On() {
		return nil, err
	}
	log.Info("the adviser is on: release notes and the names of settings are sent to it", "docs", "docs/adviser.md")
	return a, nil
}

// upstream makes a client for release notes. The workflow's token goes to the
// GitHub that gave it, and to no other.
func (f *actionFlags) upstream(token, web, dir string, log *slog.Logger) func(policy.Policy) (planner.Upstream, error) {
	if web != "https://github.com" || f.upstreamAPI != "https://api.github.com" {
		token = ""
	}
	return func(p policy.Policy) (planner.Upstream, error) {
		return UpstreamOf(p, upstream.Options{CacheDir: filepath.Join(dir, "upstream"), GitHubAPI: f.upstreamAPI, GitHubToken: token, Wait: time.Minute, Notify: func(line string) { log.Info(line) }})
	}
}

// tellWithin is how long telling people may hold up a run.
const tellWithin = 10 * time.Second

// notifier tells people, where a place for it is configured.
func (f *actionFlags) notifier(ctx context.Context, st *store.Store, web string, log *slog.Logger) (func(context.Context, string) error, error) {
	opts, err := f.tell.Options()
	if err != nil {
		return nil, Usage(err)
	}
	opts.State, opts.GitHub, opts.Log = st, web, log
	n, err := notify.New(ctx, opts)
	if err != nil || n == nil {
		return nil, err
	}
	return func(ctx context.Context, id string) error {
		ctx, cancel := context.WithTimeout(ctx, tellWithin)
		defer cancel()
		if err := n.Tell(ctx, id); err != nil {
			log.Warn("people were not told", "upgrade", id, "why", err)
		}
		return nil
	}, nil
}
