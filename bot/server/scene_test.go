package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/belaybot/belay/bot/github"
	"github.com/belaybot/belay/bot/reconcile"
	"github.com/belaybot/belay/bot/sandbox"
	"github.com/belaybot/belay/bot/server"
	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/rules/lifecycle"
)

// scene is the page with people, upgrades and a stand-in for GitHub that says
// who may see them. ana may write, bo may read, mallory sees nothing.
type scene struct {
	*gate
	gh   *sandbox.GitHub
	repo *sandbox.Repository
	web  *httptest.Server

	mu      sync.Mutex
	asked   []reconcile.Asked
	trouble string
	looks   int // at the troubles, and at how a repository stands
}

// Ask implements server.Life.
func (s *scene) Ask(_ context.Context, _ string, a reconcile.Asked) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a.At = time.Time{}
	s.asked = append(s.asked, a)
	return nil
}

// Standing implements server.Life.
func (s *scene) Standing(context.Context, string) (reconcile.Standing, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looks++
	return reconcile.Standing{Trouble: s.trouble, Limit: 5, Window: 6 * time.Hour, Opened: time.Now().Add(-2 * time.Hour), Started: 3}, nil
}

// Troubles implements server.Life.
func (s *scene) Troubles(_ context.Context, repositories []string) (map[string]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looks++
	out := map[string]string{}
	for _, name := range repositories {
		out[name] = s.trouble
	}
	return out, nil
}

// clock is a clock that a test moves.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Now()} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func newScene(t testing.TB, change ...func(*server.Options)) *scene {
	t.Helper()
	gh, err := sandbox.NewGitHub(sandbox.Options{Dir: t.TempDir(), Validate: true, Report: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = gh.Close() })
	s := &scene{gh: gh}
	if s.repo, err = gh.AddRepository("acme", "home-ops", map[string]string{"README.md": "#"}); err != nil {
		t.Fatal(err)
	}
	s.repo.SetPermission("bo", "read")
	s.repo.SetPermission("mallory", "none")
	app, err := github.New(github.Options{AppID: gh.AppID(), Key: func() ([]byte, error) { return gh.PrivateKey(), nil }, URL: gh.URL()})
	if err != nil {
		t.Fatal(err)
	}
	s.web = httptest.NewUnstartedServer(nil)
	address := "http://" + s.web.Listener.Addr().String()
	page := server.Dashboard{Auth: server.AuthGitHub, Public: address, ClientID: gh.ClientID(), ClientSecret: gh.ClientSecret, GitHub: gh.URL(), People: app, Life: s, Poll: 50 * time.Millisecond}
	s.gate = newGate(t, append([]func(*server.Options){func(o *server.Options) { o.Dashboard = page }}, change...)...)
	s.web.Config.Handler = s.srv.Handler()
	s.web.Start()
	t.Cleanup(func() {
		s.srv.Hush()
		s.web.Close()
	})
	gh.SetCallback(address + "/signin/callback")
	return s
}

// as is a browser without scripts in which somebody has signed in.
func (s *scene) as(login string) *http.Client {
	s.t.Helper()
	jar, _ := cookiejar.New(nil)
	c := &http.Client{Jar: jar}
	if login == "" {
		return c
	}
	s.gh.SignIn(login)
	defer s.gh.SignIn("")
	resp, err := c.Get(s.web.URL + "/signin")
	if err != nil {
		s.t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.Request.URL.Path != "/" {
		s.t.Fatalf("%s signs in, and arrives at %s with %s", login, resp.Request.URL, resp.Status)
	}
	return c
}

// get fetches a page.
func (s *scene) get(c *http.Client, path string) (int, string) {
	s.t.Helper()
	resp, err := c.Get(s.web.URL + path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, string(data)
}

// post sends a form as a browser does from a page of belay's own.
func (s *scene) post(c *http.Client, path string, form url.Values) (int, string) {
	s.t.Helper()
	req, err := http.NewRequest(http.MethodPost, s.web.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	resp, err := c.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(data)
}

type object = map[string]any

// put stores an upgrade with its record and trail.
func (s *scene) put(u store.Upgrade, rec object, events ...store.Event) {
	s.t.Helper()
	data, err := json.Marshal(rec)
	if err != nil {
		s.t.Fatal(err)
	}
	u.Data, u.Final = data, lifecycle.State(u.State).Final()
	if u.Repository == "" {
		u.Repository = "acme/home-ops"
	}
	if u.Lane == "" {
		u.Lane = "acme/" + u.Service
	}
	ctx := context.Background()
	made, created, err := s.store.CreateUpgrade(ctx, u)
	if err != nil || !created {
		s.t.Fatalf("%s: %v, created %t", u.Service, err, created)
	}
	if len(events) > 0 {
		if _, err := s.store.SaveUpgrade(ctx, made, events...); err != nil {
			s.t.Fatal(err)
		}
	}
}

// trace is the record of a watch: a mark for each look, 15 s apart.
func trace(since time.Time, things ...object) object {
	at := []int{}
	for i := range len(things[0]["marks"].(string)) {
		at = append(at, i*15)
	}
	return object{"state": "watching", "since": since, "trace": object{"from": since, "at": at, "things": things}}
}

// fill puts some upgrades into the state, one for each way in which they look.
func (s *scene) fill() {
	now := time.Now().UTC().Truncate(time.Second)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	event := func(d time.Duration, who, what, why string) store.Event {
		return store.Event{At: ago(d), Who: who, What: what, Why: why}
	}
	const h, m = time.Hour, time.Minute
	log := "pg_dump: dumping contents of table public.links\npg_dump: dump complete, 254 MB"
	s.put(store.Upgrade{ID: "uverified", Service: "linkwarden", From: "v2.9.1", To: "v2.14.0", State: "verified", Pull: 1, Created: ago(9 * h)},
		object{"risk": "safe", "entered": ago(8 * h), "reasons": []string{"23 releases, none of them breaking"}, "head": "aaaa",
			"backup": object{"state": "good", "name": "postgresql-backup-x7", "detail": log, "started": ago(8*h + 10*m), "config": object{"Kind": "cronjob", "Target": "dbaas/postgresql-backup"}},
			"merge":  object{"sha": "0123456789abcdef0123456789abcdef01234567", "by": "belay", "at": ago(8*h + 6*m)},
			"traces": []any{trace(ago(8*h+2*m), object{"kind": "rollout", "name": "deployment links/linkwarden", "marks": "pggggggg"}, object{"kind": "http", "name": "https://links.example.org", "marks": "-bgggggg", "note": "502 Bad Gateway"})}},
		event(9*h, "belay", "open pull request", "a new version is there"), event(8*h+10*m, "belay", "start backup", "ready to merge: the backup comes first"),
		event(8*h+6*m, "belay", "merge", "all gates are open"), event(8*h+2*m, "belay", "watching", "applied"), event(8*h, "belay", "verified", "healthy through the whole window"))
	s.put(store.Upgrade{ID: "uopen", Service: "url", From: "4.3.4", To: "5.0.2", State: "open", Pull: 2, Created: ago(14 * h), Ladder: "ustep1", Place: 2},
		object{"risk": "caution", "entered": ago(14 * h), "waits": "waits for an approving review, or /upgrade approve", "head": strings.Repeat("b", 40), "ladder": object{"id": "ustep1", "from": "4.3.4", "rungs": []string{"4.4.0", "5.0.2", "5.1.0"}, "place": 2, "previous": "ustep1", "left": []any{object{"version": "5.0.0", "why": "the registry has no image"}}},
			"gates":   []string{"waits for an approving review, or /upgrade approve", "waits for the window in which belay merges"},
			"reasons": []string{"major bump: 4.3.4 → 5.0.2"}, "security": []string{"CVE-2026-1234"}, "migration": true, "blockers": []string{"CAUTION is never merged without a person"},
			"evidence": []any{object{"version": "5.0.0", "text": "The REDIRECT_APPEND_EXTRA_PATH environment variable was removed.", "strong": true, "url": "https://github.com/shlinkio/shlink/releases/tag/v5.0.0",
				"uses": []any{object{"Identifier": "REDIRECT_APPEND_EXTRA_PATH", "At": []any{object{"Path": "stacks/url/main.tf", "Line": 46}}}}}},
			"backup": object{"config": object{"Kind": "cronjob", "Target": "dbaas/mysql-backup"}}},
		event(14*h, "belay", "open pull request", "a new version is there"))
	s.put(store.Upgrade{ID: "uaborted", Service: "phpipam", From: "v1.7.0", To: "v1.7.4", State: "aborted", Pull: 3, Created: ago(5 * h)},
		object{"risk": "safe", "entered": ago(4 * h), "waits": "the backup failed, so it is not merged: /upgrade retry tries again", "head": "cccc",
			"backup": object{"state": "bad", "detail": "mysqldump: Error: 'Disk full' while dumping phpipam\nwrote 0 of 48 tables", "config": object{"Kind": "cronjob", "Target": "dbaas/mysql-backup"}}},
		event(5*h, "belay", "open pull request", "a new version is there"), event(4*h+m, "belay", "start backup", ""), event(4*h, "belay", "aborted", "the backup failed"))
	s.put(store.Upgrade{ID: "ureverted", Service: "paperless-ngx", From: "2.16.4", To: "2.20.14", State: "reverted", Pull: 4, Undo: 5, Created: ago(7 * h)},
		object{"risk": "safe", "entered": ago(6 * h), "merge": object{"sha": strings.Repeat("d", 40), "by": "belay"}, "undo": object{"pull": 5},
			"failure": object{"why": "container paperless-ngx was killed for want of memory (OOMKilled)", "log": "[INFO] Building the search index anew: 4212 of 11874 documents\nKilled"},
			"offer":   object{"path": "modules/app/main.tf", "line": 61, "before": `  memory = "1Gi"`, "after": `  memory = "2Gi"`, "why": "It ran out of memory: the limit is doubled."},
			"traces":  []any{trace(ago(6*h+20*m), object{"kind": "rollout", "name": "deployment paperless-ngx/paperless-ngx", "marks": "ppggf", "note": "OOMKilled"})}},
		event(7*h, "belay", "open pull request", ""), event(6*h+25*m, "belay", "merge", ""), event(6*h+20*m, "belay", "watching", "applied"), event(6*h+18*m, "belay", "open revert", "the service is not healthy"),
		event(6*h+10*m, "belay", "merge revert", ""), event(6*h+5*m, "belay", "watching again", ""), event(6*h, "belay", "reverted", "the old version is healthy again"))
	s.put(store.Upgrade{ID: "uwatching", Service: "immich", From: "v2.7.4", To: "v2.7.5", State: "watching", Pull: 6, Created: ago(20 * m)},
		object{"risk": "safe", "entered": ago(m), "waits": "its health is watched", "merge": object{"sha": strings.Repeat("e", 40), "by": "belay"}, "health": "4 of 8 looks were healthy",
			"traces": []any{trace(ago(m), object{"kind": "rollout", "name": "deployment immich/server", "marks": "ppgg"}, object{"kind": "uptime kuma", "name": "immich", "marks": "??gg"})}},
		event(20*m, "belay", "open pull request", ""), event(4*m, "belay", "merge", "all gates are open"), event(m, "belay", "watching", "applied"))
	s.put(store.Upgrade{ID: "uqueued", Service: "dawarich", From: "0.37.1", To: "1.6.1", State: "queued", Created: ago(3 * h)}, object{"entered": ago(3 * h), "waits": "waits for the rate limit"})
	if _, _, err := s.store.AddDispatch(s.t.Context(), store.Dispatch{ID: "d1", Image: "docker.io/linkwarden/linkwarden", Tag: "latest", Received: ago(2 * h)}, nil); err != nil {
		s.t.Fatal(err)
	}
	if err := s.store.SetOutcomes(s.t.Context(), "d1", "acme/home-ops", []store.Outcome{{Repository: "acme/home-ops", Service: "linkwarden", Reason: "latest names no version", Path: "stacks/linkwarden/main.tf", Line: 3, At: ago(2 * h)}}); err != nil {
		s.t.Fatal(err)
	}
}

// fillMany adds n upgrades.
func (s *scene) fillMany(n int) {
	states := lifecycle.States()
	for i := range n {
		state := states[i%len(states)]
		s.put(store.Upgrade{ID: fmt.Sprintf("m%04d", i), Service: fmt.Sprintf("service-%04d", i), Lane: fmt.Sprintf("acme/service-%04d", i), From: "1.2.3", To: "1.3.0", State: string(state), Pull: i + 10,
			Created: time.Now().Add(-time.Duration(i) * time.Minute)}, object{"risk": []string{"safe", "caution", "unknown"}[i%3], "entered": time.Now().Add(-time.Duration(i) * time.Minute),
			"reasons": []string{"minor bump"}, "marker": strings.Repeat("m", 1200), "message": strings.Repeat("t", 900), "backup": object{"detail": strings.Repeat("table\n", 100)}})
	}
}
