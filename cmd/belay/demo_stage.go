package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/belaybot/belay/bot/github"
	"github.com/belaybot/belay/bot/notify"
	"github.com/belaybot/belay/bot/planner"
	"github.com/belaybot/belay/bot/sandbox"
	"github.com/belaybot/belay/bot/server"
	"github.com/belaybot/belay/bot/upstream"
	"github.com/belaybot/belay/rules/notes"
	"github.com/belaybot/belay/rules/policy"
)

// stage is where the demo plays: belay as serve runs it, a stand-in for GitHub
// on loopback, a cluster, and the CI between them.
type stage struct {
	out     *timeline
	gh      *sandbox.GitHub
	repo    *sandbox.Repository
	cluster scenery
	run     *process
	ear     *http.Server // takes what belay tells people
	events  chan notify.Event
	told    map[string][]notify.Event // what was shown and not yet waited for, by service
	asked   atomic.Int64              // requests for release notes
	ended   chan struct{}             // closed at the end: CI stops
	ci      sync.WaitGroup
}

const (
	demoToken  = "demo"
	planCheck  = "ci/woodpecker/pr/plan"
	applyCheck = "ci/woodpecker/push/default"
	applyTime  = time.Second // from a merge until CI has applied it
	backupTime = 1200 * time.Millisecond
)

// demoConfig shortens the windows of the sample's belay.yml, takes all
// upgrades but one in one step, and names where notes are, since no registry is asked.
func demoConfig(text string) string {
	return strings.Replace(text, "\nverify:\n", "\nverify:\n  safe: 3s\n  caution: 4s\n  interval: 1s\n  settle: 3s\n", 1) + `steps: { default: direct, services: { url: major } }
sources:
  linkwarden/linkwarden: linkwarden/linkwarden
  shlinkio/shlink: shlinkio/shlink
  ghcr.io/paperless-ngx/paperless-ngx: paperless-ngx/paperless-ngx
  phpipam/phpipam-www: phpipam/phpipam
`
}

// needGit says what to do where git is missing.
func needGit() error {
	if _, err := exec.LookPath("git"); err != nil {
		return fmt.Errorf("the stand-in for GitHub needs git, 2.38 or newer: %w: install it, or say --plan", err)
	}
	return nil
}

// setStage starts everything. dir has the sample repository and its notes.
func setStage(ctx context.Context, dir, listen string, real bool, out *timeline, log io.Writer) (*stage, error) {
	s, err := newStage(out)
	if err != nil {
		return nil, err
	}
	if real {
		c, err := newRealCluster(ctx)
		if err != nil {
			return nil, err
		}
		s.cluster = c
	}
	if err := s.set(ctx, dir, listen, slog.New(slog.NewTextHandler(log, nil))); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *stage) set(ctx context.Context, dir, listen string, log *slog.Logger) error {
	var err error
	report := func(err error) { log.Error("the stand-in for GitHub", "why", err) }
	if s.gh, err = sandbox.NewGitHub(sandbox.Options{Dir: filepath.Join(dir, "github"), Report: report}); err != nil {
		return err
	}
	if err := s.publishNotes(dir); err != nil {
		return err
	}
	config := filepath.Join(dir, "home-ops", configPath)
	text, err := os.ReadFile(config)
	if err != nil {
		return err
	}
	if err := os.WriteFile(config, []byte(demoConfig(string(text))), 0o600); err != nil { //nolint:gosec // in the demo's own directory
		return err
	}
	if s.repo, err = s.gh.AddRepositoryDir("acme", "home-ops", filepath.Join(dir, "home-ops")); err != nil {
		return err
	}
	s.repo.RequireChecks(planCheck)
	s.repo.AutoChecks(map[string]string{planCheck: "success"})
	observe, err := s.cluster.prepare(ctx, s.repo, log)
	if err != nil {
		return err
	}
	hook, err := s.listen()
	if err != nil {
		return err
	}
	p := parts{state: filepath.Join(dir, "state"), listen: listen, workers: 4, log: log,
		github:    github.Options{AppID: s.gh.AppID(), URL: s.gh.URL(), Log: log, Key: func() ([]byte, error) { return s.gh.PrivateKey(), nil }},
		upstream:  s.upstream(filepath.Join(dir, "upstream")),
		observe:   observe,
		diunToken: func() string { return demoToken }, webhookSecret: s.gh.Secret,
		notify: notify.Options{Webhook: func() string { return hook }}}
	p.page = server.Dashboard{Auth: server.AuthGitHub, ClientID: s.gh.ClientID(), ClientSecret: s.gh.ClientSecret}
	if s.run, err = p.start(ctx); err != nil {
		return err
	}
	s.gh.SetWebhook(s.run.url() + "/github/webhook")
	s.gh.SetCallback(s.run.url() + "/signin/callback")
	s.ci.Go(func() { s.apply(log) })
	return nil
}

// publishNotes gives the stand-in the projects whose images are in use: one with
// GitHub releases, the others with a changelog.
func (s *stage) publishNotes(dir string) error {
	text := func(name string) (string, error) {
		data, err := os.ReadFile(filepath.Join(dir, "notes", name))
		return string(data), err
	}
	for name, full := range map[string]string{"shlink.md": "shlinkio/shlink", "paperless-ngx.md": "paperless-ngx/paperless-ngx", "phpipam.md": "phpipam/phpipam"} {
		changelog, err := text(name)
		if err != nil {
			return err
		}
		owner, repo, _ := strings.Cut(full, "/")
		if _, err := s.gh.AddUpstream(owner, repo, map[string]string{"CHANGELOG.md": changelog}); err != nil {
			return err
		}
	}
	changelog, err := text("linkwarden.md")
	if err != nil {
		return err
	}
	project, err := s.gh.AddUpstream("linkwarden", "linkwarden", map[string]string{"README.md": "# Linkwarden\n"})
	if err != nil {
		return err
	}
	list := notes.Split(changelog)
	for i := range list { // newest first
		r := list[len(list)-1-i]
		if err := project.Release(r.Tag, r.Body); err != nil {
			return err
		}
	}
	return nil
}

// upstream asks the stand-in and nobody else.
func (s *stage) upstream(cache string) func(*github.App) func(policy.Policy) (planner.Upstream, error) {
	return func(*github.App) func(policy.Policy) (planner.Upstream, error) {
		return func(p policy.Policy) (planner.Upstream, error) {
			return upstream.New(upstream.Options{CacheDir: cache, GitHubAPI: s.gh.URL() + "/api/v3", HTTP: loopback{&s.asked}, Sources: p.Sources, Charts: p.Charts})
		}
	}
}

// loopback lets requests reach this machine only; the outside has nothing.
type loopback struct{ asked *atomic.Int64 }

// RoundTrip implements http.RoundTripper.
func (l loopback) RoundTrip(req *http.Request) (*http.Response, error) {
	if ip := net.ParseIP(req.URL.Hostname()); ip != nil && ip.IsLoopback() {
		l.asked.Add(1)
		return http.DefaultTransport.RoundTrip(req)
	}
	return &http.Response{StatusCode: http.StatusNotFound, Status: "404 Not Found", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, Body: http.NoBody, Request: req}, nil
}

// listen takes what belay tells people by its JSON webhook.
func (s *stage) listen() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	s.ear = &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var e notify.Event
		if err := json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(&e); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		select {
		case s.events <- e:
		case <-s.ended:
		}
	})}
	go func() { _ = s.ear.Serve(l) }()
	return "http://" + l.Addr().String(), nil
}

// apply is the CI of the sample: a moment after a merge, the cluster runs what
// main has, and the commit says so.
func (s *stage) apply(log *slog.Logger) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { <-s.ended; cancel() }()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	begun := map[string]bool{}
	for {
		for _, p := range s.repo.Pulls() {
			if p.MergeSHA == "" || begun[p.MergeSHA] {
				continue
			}
			begun[p.MergeSHA] = true
			s.repo.SetStatus(p.MergeSHA, applyCheck, "pending")
			if !s.pass(applyTime) {
				return
			}
			state := "success"
			if err := s.cluster.apply(ctx, p); err != nil {
				log.Error("CI cannot apply the merge", "sha", p.MergeSHA, "why", err)
				state = "failure"
			}
			s.repo.SetStatus(p.MergeSHA, applyCheck, state)
		}
		select {
		case <-s.ended:
			return
		case <-tick.C:
		}
	}
}

// applied reads what a merge brings from its title: "upgrade: web 1.0 → 1.1",
// and "revert: web 1.1 → 1.0" as well.
func applied(title string) (service, version string, ok bool) {
	f := strings.Fields(title)
	if len(f) != 5 || f[3] != "→" {
		return "", "", false
	}
	return f[1], f[4], true
}

// pass waits, unless the demo ends.
func (s *stage) pass(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-s.ended:
		return false
	case <-timer.C:
		return true
	}
}

// close ends everything, whatever was started.
func (s *stage) close() error {
	close(s.ended)
	s.ci.Wait()
	var errs []error
	if s.gh != nil {
		s.gh.SetWebhook("")
	}
	if s.run != nil {
		errs = append(errs, s.run.stop())
	}
	if s.ear != nil {
		errs = append(errs, s.ear.Close())
	}
	s.cluster.Close()
	if s.gh != nil {
		errs = append(errs, s.gh.Close())
	}
	return errors.Join(errs...)
}

// dispatch sends what DIUN sends when it finds a tag.
func (s *stage) dispatch(ctx context.Context, image, tag string) error {
	body, err := json.Marshal(map[string]any{"diun_version": "4.28.0", "hostname": "home", "status": "new", "provider": "kubernetes", "image": image + ":" + tag,
		"hub_link": "", "mime_type": "application/vnd.oci.image.index.v1+json", "digest": "", "created": time.Now().UTC().Format(time.RFC3339), "platform": "linux/amd64", "metadata": map[string]string{}})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.run.url()+"/diun", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+demoToken)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		return fmt.Errorf("POST /diun answers %s", resp.Status)
	}
	s.out.say(faint, "", fmt.Sprintf("DIUN tells belay that %s:%s is there", image, tag))
	return nil
}

// status asks belay as belay status does.
func (s *stage) status(ctx context.Context) (server.Status, error) {
	var out server.Status
	r := remote{server: s.run.url(), token: demoToken}
	code, data, err := r.do(ctx, http.MethodGet, "/api/status?limit=50", nil)
	if err != nil {
		return out, err
	}
	if code != http.StatusOK {
		return out, refused(code, data)
	}
	return out, json.Unmarshal(data, &out)
}
