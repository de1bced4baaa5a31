package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/belaybot/belay/bot/advise"
	"github.com/belaybot/belay/bot/credentials"
	"github.com/belaybot/belay/bot/github"
	"github.com/belaybot/belay/bot/metrics"
	"github.com/belaybot/belay/bot/planner"
	"github.com/belaybot/belay/bot/traces"
	"github.com/belaybot/belay/bot/upstream"
	"github.com/belaybot/belay/cmd/internal/program"
	"github.com/belaybot/belay/rules/policy"
)

// appFlags say which App on which GitHub, and where the state is.
type appFlags struct {
	state, url, api, upstreamAPI, cache string
	credentials, postgres               string
	appID                               int64
	debug                               bool
}

func (f *appFlags) flags(c *cobra.Command) {
	c.Flags().StringVar(&f.state, "state", "belay-state", "`directory` of the state: SQLite and the mirrors")
	databaseFlag(c, &f.postgres)
	c.Flags().StringVar(&f.credentials, "credentials", os.Getenv("BELAY_CREDENTIALS"), "`directory` from which secrets are read that no variable gives, and to which /setup writes them; credentials in --state when empty [$BELAY_CREDENTIALS]")
	c.Flags().Int64Var(&f.appID, "app-id", 0, "`number` of the GitHub App [$BELAY_APP_ID]")
	c.Flags().StringVar(&f.url, "github-url", "https://github.com", "`URL` of GitHub; of GitHub Enterprise, https://HOST")
	c.Flags().StringVar(&f.api, "github-api", "", "`URL` of its API, where it is not the usual one")
	c.Flags().StringVar(&f.upstreamAPI, "upstream-api", "https://api.github.com", "`URL` of the API at which release notes are looked up")
	c.Flags().StringVar(&f.cache, "cache", "", "`directory` for upstream's answers; the state's own when empty")
	c.Flags().BoolVar(&f.debug, "debug", false, "log every decision")
	_ = c.MarkFlagDirname("state")
	_ = c.MarkFlagDirname("credentials")
}

func databaseFlag(c *cobra.Command, address *string) {
	c.Flags().StringVar(address, "database", "", "`URL` of PostgreSQL, postgres://USER:PASSWORD@HOST/NAME, in place of SQLite in --state; other users of the machine see a flag, so better as $BELAY_DATABASE, or in a file that its twin with _FILE names")
}

// databaseOf is where PostgreSQL is: what the flag says, or the environment. ""
// is SQLite.
func databaseOf(flag string) (string, error) {
	if flag != "" {
		return flag, nil
	}
	address, err := program.Secret("DATABASE")
	if err != nil {
		return "", program.Usage(err)
	}
	return address, nil
}

// errNoApp means that no App is given at all.
var errNoApp = errors.New("--app-id is missing: the App's number, as GitHub's settings of the App show it (or BELAY_APP_ID)")

// id is the number of the App.
func (f *appFlags) id() (int64, error) {
	if f.appID < 0 {
		return 0, fmt.Errorf("--app-id %d is not the App's number: GitHub's settings of the App show it", f.appID)
	}
	if f.appID > 0 {
		return f.appID, nil
	}
	text, err := program.Secret("APP_ID")
	if err != nil {
		return 0, err
	}
	if text == "" {
		return 0, errNoApp
	}
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id <= 0 {
		name := "BELAY_APP_ID"
		if os.Getenv(name) == "" {
			name += "_FILE"
		}
		return 0, fmt.Errorf("%s: %q is not the App's number: GitHub's settings of the App show it", name, text)
	}
	return id, nil
}

func (f *appFlags) logger(out io.Writer) *slog.Logger {
	level := slog.LevelInfo
	if f.debug {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: level}))
}

// parts reads the flags and the environment.
func (f *appFlags) parts(out *os.File) (parts, error) {
	p := parts{state: f.state, log: f.logger(out)}
	err := adopt(f.where())
	if err != nil {
		return p, err
	}
	id, err := f.id()
	if err != nil {
		return p, program.Usage(err)
	}
	key, err := program.Secret("APP_KEY")
	if err != nil {
		return p, program.Usage(err)
	}
	if key == "" {
		return p, program.Usage(errors.New("the App's private key is missing: set BELAY_APP_KEY_FILE to the PEM file that GitHub made"))
	}
	p.github = github.Options{AppID: id, URL: f.url, API: f.api, Log: p.log, Key: func() ([]byte, error) {
		s, err := program.Secret("APP_KEY")
		return []byte(s), err
	}}
	p.diunToken, p.webhookSecret = program.Rotating("DIUN_TOKEN"), program.Rotating("WEBHOOK_SECRET")
	p.credentials = credentials.New(nil, p.log)
	keepGitHubToken(p.credentials, f.upstreamAPI)
	p.counts = metrics.New(program.ModuleVersion())
	p.upstream = f.upstream(p.log, p.credentials, p.counts)
	return p, nil
}

// upstream makes clients for release notes, one for each configuration. They
// ask as the App where that is the same GitHub: anonymous requests are few.
func (f *appFlags) upstream(log *slog.Logger, eye *credentials.Registry, counts *metrics.Metrics) func(*github.App) func(policy.Policy) (planner.Upstream, error) {
	cache := f.cache
	if cache == "" {
		cache = filepath.Join(f.state, "upstream")
	}
	return func(app *github.App) func(policy.Policy) (planner.Upstream, error) {
		base := traces.Transport(counts.Upstream(http.RoundTripper(&asApp{app: app, host: hostOf(f.upstreamAPI), same: f.url == "https://github.com" && f.upstreamAPI == "https://api.github.com"})))
		base = eye.Watch("github_token", base)
		return func(p policy.Policy) (planner.Upstream, error) {
			return program.UpstreamOf(p, upstream.Options{CacheDir: cache, GitHubAPI: f.upstreamAPI, GitHubToken: os.Getenv("GITHUB_TOKEN"), Wait: time.Minute, HTTP: base, Notify: func(line string) { log.Info(line) }})
		}
	}
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}

// asApp adds an installation's token to anonymous requests to one host.
type asApp struct {
	app  *github.App
	host string
	same bool

	mu   sync.Mutex
	name string // of a repository the App is installed on
}

// RoundTrip implements http.RoundTripper.
func (a *asApp) RoundTrip(req *http.Request) (*http.Response, error) {
	if a.same && req.URL.Host == a.host && req.Header.Get("Authorization") == "" {
		if token := a.token(req.Context()); token != "" {
			req = req.Clone(req.Context())
			req.Header.Set("Authorization", "Bearer "+token)
		}
	}
	return http.DefaultTransport.RoundTrip(req)
}

// token is "" when there is none: the request is then made anonymously.
func (a *asApp) token(ctx context.Context) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.name == "" {
		names, err := a.app.Installed(ctx)
		if err != nil || len(names) == 0 {
			return ""
		}
		a.name = names[0]
	}
	repo, err := a.app.Repository(ctx, a.name)
	if err != nil {
		a.name = ""
		return ""
	}
	token, err := repo.Token(ctx)
	if err != nil {
		return ""
	}
	return token
}

func newServe() *cobra.Command {
	var f appFlags
	var tell program.TellFlags
	var see program.SeeFlags
	var ask program.AdviserFlags
	var set setupFlags
	var look pageFlags
	var listen string
	var workers int
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run as a GitHub App",
		Long: `Serve takes DIUN's dispatches at /diun and GitHub's webhooks at /github/webhook,
opens a pull request for every upgrade, and merges what may be merged. Its page
shows people how it goes, once they have signed in with GitHub.

Where no App is given, it first creates one with you: open the address in its
log. The credentials are kept in --credentials, and belay goes on by itself.

Secrets come from the environment, each as BELAY_NAME or as BELAY_NAME_FILE,
which is read again when it is needed:

  BELAY_APP_ID, BELAY_APP_KEY     the App
  BELAY_WEBHOOK_SECRET            of its webhooks
  BELAY_DIUN_TOKEN                what DIUN sends as Authorization: Bearer TOKEN
  BELAY_GITHUB_CLIENT_SECRET      of the App, for people who sign in to the page
  BELAY_DATABASE                  postgres://…, in place of SQLite in --state;
                                  --database says the same, for all to see
  BELAY_SLACK_TOKEN               a Slack bot's, for --slack-channel
  BELAY_SLACK_WEBHOOK             address of a Slack incoming webhook, in place of a bot
  BELAY_NOTIFY_WEBHOOK            address that gets every event as JSON
  BELAY_NOTIFY_SECRET             signs them
  BELAY_KUMA_KEY                  API key of Uptime Kuma, for --kuma-url
  BELAY_PROMETHEUS_TOKEN          for --prometheus-url
  BELAY_WOODPECKER_TOKEN          for --woodpecker-url
  BELAY_ADVISER_KEY               turns the adviser on, a language model that may
                                  raise the risk; also BELAY_ADVISER_TOKEN, and
                                  ANTHROPIC_API_KEY or ANTHROPIC_AUTH_TOKEN
  BELAY_ADVISER_SPARE_KEY         used when the first is refused; or _SPARE_TOKEN`,
		Example: `  BELAY_APP_KEY_FILE=app.pem BELAY_WEBHOOK_SECRET_FILE=secret BELAY_DIUN_TOKEN_FILE=token \
    belay serve --app-id 1042 --state /var/lib/belay`,
		Args: program.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if workers < 1 {
				return program.Usage(fmt.Errorf("--workers %d: one at least has to work", workers))
			}
			if err := set.first(c.Context(), &f, see.Kubeconfig, listen); err != nil {
				return err
			}
			p, err := f.parts(os.Stderr)
			if err != nil {
				return err
			}
			if p.database, err = databaseOf(f.postgres); err != nil {
				return err
			}
			if p.webhookSecret() == "" {
				return program.Usage(errors.New("the webhook secret is missing: set BELAY_WEBHOOK_SECRET or BELAY_WEBHOOK_SECRET_FILE"))
			}
			if p.diunToken() == "" {
				p.log.Warn("no BELAY_DIUN_TOKEN is set: dispatches are taken from repository_dispatch only")
			}
			if p.observe, err = see.Open(p.log); err != nil {
				return err
			}
			keepSecrets(see, p.credentials)
			p.adviser = func(m advise.Memory) (*advise.Adviser, error) {
				return ask.Open(m, p.credentials, program.AdviserCredentials(), p.log)
			}
			if p.notify, err = tell.Options(); err != nil {
				return program.Usage(err)
			}
			if p.page, err = look.options(listen, set.url, p.log); err != nil {
				return program.Usage(err)
			}
			stop, err := traces.Start(c.Context(), program.ModuleVersion(), p.log)
			if err != nil {
				return program.Usage(err)
			}
			defer flushTraces(stop)
			p.listen, p.workers = listen, workers
			run, err := p.start(c.Context())
			if err != nil {
				return err
			}
			p.log.Info("belay listens", "address", run.url())
			<-c.Context().Done()
			p.log.Info("belay ends: what is under way is finished first")
			return run.stop()
		},
	}
	f.flags(c)
	tell.Flags(c)
	see.Flags(c)
	ask.Flags(c)
	set.flags(c)
	look.flags(c)
	c.Flags().StringVar(&listen, "listen", ":8080", "`address` to listen on")
	c.Flags().IntVar(&workers, "workers", 4, "how many upgrades are worked on at once")
	return c
}

// flushTraces sends the last spans, for a few seconds at most.
func flushTraces(stop func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = stop(ctx) // what was not sent is in the log
}

func newRecover() *cobra.Command {
	var f appFlags
	c := &cobra.Command{
		Use:   "recover",
		Short: "Rebuild the state from the pull requests",
		Long: `Recover reads the markers in belay's pull requests and makes their record anew,
after the state was lost: of what is open, of what was merged and had not been
watched to its end, and of versions that failed or were closed. What is recorded
already is left alone. Run it while belay serve does not run; serve then goes on
with what was found.`,
		Args: program.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			p, err := f.parts(os.Stderr)
			if err != nil {
				return err
			}
			if p.database, err = databaseOf(f.postgres); err != nil {
				return err
			}
			p.idle = true // a watch without observers, or an upgrade without a cluster, would end at once
			run, err := p.start(c.Context())
			if err != nil {
				return err
			}
			names, err := run.app.Installed(c.Context())
			var problems []error
			problems = append(problems, err)
			for _, name := range names {
				got, err := run.rec.Recover(c.Context(), name)
				problems = append(problems, err)
				fmt.Fprintf(c.OutOrStdout(), "%s: %d taken up, %d left out as before\n", name, got.Upgrades, got.LeftOut)
				for _, m := range got.Merged {
					fmt.Fprintf(c.OutOrStdout(), "%s#%d: %s %s → %s was merged and not watched to its end: it is watched anew. How healthy the service was before is lost, so if the watch fails, the revert waits for you\n", name, m.Pull, m.Service, m.From, m.To)
				}
			}
			return errors.Join(append(problems, run.stop())...)
		},
	}
	f.flags(c)
	return c
}
