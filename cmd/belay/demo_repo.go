package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/belaybot/belay/bot/github"
	"github.com/belaybot/belay/bot/notify"
	"github.com/belaybot/belay/bot/planner"
	"github.com/belaybot/belay/bot/sandbox"
	"github.com/belaybot/belay/bot/sandbox/simcluster"
	"github.com/belaybot/belay/bot/upstream"
	"github.com/belaybot/belay/cmd/internal/program"
	"github.com/belaybot/belay/rules/policy"
)

// ownRepository is demo --repo: belay as serve runs it, on a copy of somebody's
// own repository that lives on the stand-in for GitHub. No CI reports there, so
// an upgrade goes as far as its pull request, which is shown.
func (f *demoFlags) ownRepository(c *cobra.Command, dir string, out *timeline, log io.Writer) (err error) {
	source := filepath.Join(dir, "repository")
	n, err := copyTree(c.Context(), f.repo, source)
	if err != nil {
		return err
	}
	s, err := newStage(out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.host(c.Context(), f, dir, source, slog.New(slog.NewTextHandler(log, nil))); err != nil {
		return err
	}
	out.note(fmt.Sprintf("%d files of %s were copied to a stand-in for GitHub on this machine. Nothing is written to yours.", n, f.repo))
	s.invite()
	s.tellUntilDone(c.Context())
	return nil
}

// copyTree copies what git knows of a repository as HEAD has it, or every file
// of a directory without git. It returns how many files that were.
func copyTree(ctx context.Context, from, to string) (int, error) {
	r := repository{dir: from}
	tree, _, err := r.open()
	if err != nil {
		return 0, err
	}
	files, err := tree.Files(ctx)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, file := range files {
		if file.Link != "" {
			continue // nothing behind it is read
		}
		data, err := tree.ReadFile(file.Path)
		if err != nil {
			return n, err
		}
		path := filepath.Join(to, filepath.FromSlash(file.Path))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return n, err
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			return n, err
		}
		n++
	}
	if n == 0 {
		return 0, program.Usage(fmt.Errorf("--repo %s: no files are in there", from))
	}
	return n, nil
}

// host starts belay on the copy.
func (s *stage) host(ctx context.Context, f *demoFlags, dir, source string, log *slog.Logger) error {
	var err error
	report := func(err error) { log.Error("the stand-in for GitHub", "why", err) }
	if s.gh, err = sandbox.NewGitHub(sandbox.Options{Dir: filepath.Join(dir, "github"), Report: report}); err != nil {
		return err
	}
	if s.repo, err = s.gh.AddRepositoryDir("acme", "home-ops", source); err != nil {
		return err
	}
	s.repo.RequireChecks(planCheck) // nobody reports it: nothing is merged
	hook, err := s.listen()
	if err != nil {
		return err
	}
	p := parts{state: filepath.Join(dir, "state"), listen: f.listen, workers: 4, log: log,
		github: github.Options{AppID: s.gh.AppID(), URL: s.gh.URL(), Log: log, Key: func() ([]byte, error) { return s.gh.PrivateKey(), nil }},
		upstream: func(*github.App) func(policy.Policy) (planner.Upstream, error) {
			return func(p policy.Policy) (planner.Upstream, error) {
				return program.UpstreamOf(p, upstream.Options{CacheDir: defaultCache(), Offline: f.offline, GitHubToken: os.Getenv("GITHUB_TOKEN"), Wait: time.Minute, HTTP: http.DefaultTransport})
			}
		},
		diunToken: func() string { return demoToken }, webhookSecret: s.gh.Secret,
		notify: notify.Options{Webhook: func() string { return hook }}}
	if s.run, err = p.start(ctx); err != nil {
		return err
	}
	s.gh.SetWebhook(s.run.url() + "/github/webhook")
	return nil
}

// invite says what can be done now.
func (s *stage) invite() {
	fmt.Fprintf(s.out.out, `
belay serve runs at %s until Ctrl-C. In another terminal:

  export BELAY_SERVER=%s BELAY_DIUN_TOKEN=%s
  belay dispatch --image IMAGE --tag TAG
  belay status

`, s.run.url(), s.run.url(), demoToken)
}

// tellUntilDone prints what belay tells people, and each pull request when it
// is opened, until the context ends.
func (s *stage) tellUntilDone(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-s.events:
			s.show(e)
			if e.Event == "started" {
				s.quote(e.Upgrade.Service, "upgrade: ", 60)
			}
		}
	}
}

// newStage is a stage with nothing on it but a cluster that nobody asks.
func newStage(out *timeline) (*stage, error) {
	if err := needGit(); err != nil {
		return nil, err
	}
	return &stage{out: out, cluster: simulated{simcluster.New(simcluster.Options{Backup: backupTime})}, events: make(chan notify.Event, 256),
		told: map[string][]notify.Event{}, ended: make(chan struct{})}, nil
}
