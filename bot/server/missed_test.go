package server_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/belaybot/belay/bot/github"
	"github.com/belaybot/belay/bot/reconcile"
	"github.com/belaybot/belay/bot/sandbox"
	"github.com/belaybot/belay/bot/server"
)

// hooked is a GitHub with a repository, and with the App whose webhooks belay takes.
func hooked(t *testing.T) (*sandbox.GitHub, *sandbox.Repository, *github.App) {
	t.Helper()
	gh, err := sandbox.NewGitHub(sandbox.Options{Dir: t.TempDir(), Secret: hookSecret, Validate: true, Report: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = gh.Close() })
	repo, err := gh.AddRepository("acme", "home-ops", map[string]string{"a": "b"})
	if err != nil {
		t.Fatal(err)
	}
	app, err := github.New(github.Options{AppID: gh.AppID(), Key: func() ([]byte, error) { return gh.PrivateKey(), nil }, URL: gh.URL()})
	if err != nil {
		t.Fatal(err)
	}
	return gh, repo, app
}

// TestWhatGitHubSays has the stand-in's webhooks arrive: renamed, transferred,
// suspended, uninstalled and installed again.
func TestWhatGitHubSays(t *testing.T) {
	gh, repo, _ := hooked(t)
	if _, err := gh.AddRepository("bo", "things", map[string]string{"a": "b"}); err != nil {
		t.Fatal(err)
	}
	g := newGate(t)
	g.upgrades()
	web := httptest.NewServer(g.srv.Handler())
	defer web.Close()
	gh.SetWebhook(web.URL + "/github/webhook")
	all := []string{"things", "web", "wiki"}
	for _, step := range []struct {
		name             string
		do               func()
		woken, forgotten []string
		repository       string // of web, afterwards
	}{
		{"a ping", gh.Ping, nil, nil, "acme/home-ops"},
		{"suspended", func() { gh.Suspend("acme", true) }, all, []string{"acme/home-ops"}, "acme/home-ops"},
		{"no longer suspended", func() { gh.Suspend("acme", false) }, all, []string{"acme/home-ops"}, "acme/home-ops"},
		{"taken out of the installation", func() { repo.SetInstalled(false) }, all, []string{"acme/home-ops"}, "acme/home-ops"},
		{"put back", func() { repo.SetInstalled(true) }, all, []string{"acme/home-ops"}, "acme/home-ops"},
		{"uninstalled", func() { gh.Uninstall("acme") }, all, []string{"acme/home-ops"}, "acme/home-ops"},
		{"installed again", func() { gh.Install("acme") }, all, []string{"acme/home-ops"}, "acme/home-ops"},
		{"renamed", func() { repo.Rename("home") }, []string{"web", "wiki"}, []string{"acme/home-ops"}, "acme/home"},
		{"given to another owner", func() { repo.Transfer("bo") }, []string{"web", "wiki"}, []string{"acme/home"}, "bo/home"},
	} {
		step.do()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		if err := gh.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		cancel()
		woken, forgotten := g.took()
		if diff := cmp.Diff(step.woken, woken) + cmp.Diff(step.forgotten, forgotten); diff != "" {
			t.Errorf("%s: woken and forgotten (-want +got):\n%s", step.name, diff)
		}
		if u, err := g.store.Upgrade(t.Context(), "web"); err != nil || u.Repository != step.repository {
			t.Errorf("%s: web is in %s, %v", step.name, u.Repository, err)
		}
	}
	for _, d := range gh.DeliveryLog() {
		if d.Status != http.StatusAccepted {
			t.Errorf("%s: HTTP %d", d.Event, d.Status)
		}
	}
}

// TestMissedWebhooks are fetched from the delivery log, each once.
func TestMissedWebhooks(t *testing.T) {
	gh, repo, app := hooked(t)
	g := newGate(t)
	g.upgrades()
	web := httptest.NewServer(g.srv.Handler())
	defer web.Close()
	flush := func() {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := gh.Flush(ctx); err != nil {
			t.Fatal(err)
		}
	}
	gh.SetWebhook(web.URL + "/github/webhook")
	repo.SetStatus(headA, "plan", "success")
	flush()
	if woken, _ := g.took(); !slices.Equal(woken, []string{"web"}) {
		t.Fatalf("taken at once: %v", woken)
	}
	gh.SetWebhook("") // belay is away
	repo.SetStatus(headB, "plan", "success")
	repo.Dispatch("diun", map[string]any{"image": "acme/web", "tag": "1.0.1"})
	flush()
	for i, want := range []int{2, 0} {
		n, err := g.srv.Replay(t.Context(), app)
		if err != nil || n != want {
			t.Errorf("start %d: %d taken, %v; want %d", i, n, err, want)
		}
	}
	if woken, _ := g.took(); !slices.Equal(woken, []string{"wiki"}) {
		t.Errorf("woken %v", woken)
	}
	if len(g.dispatched) != 1 {
		t.Errorf("%d dispatches", len(g.dispatched))
	}
}

// TestMissedWebhooksAreTriedAgain has the state fail in the middle of reading
// the delivery log, and answer again an hour later.
func TestMissedWebhooksAreTriedAgain(t *testing.T) {
	for _, table := range []string{"remembered", "facts", "upgrades"} {
		t.Run(table, func(t *testing.T) {
			_, repo, app := hooked(t)
			late := time.Duration(0)
			g := newGate(t, func(o *server.Options) { o.Now = func() time.Time { return time.Now().Add(late) } })
			g.upgrades()
			repo.SetStatus(headB, "plan", "success") // belay is away
			late = time.Hour
			mend := g.lose(table)
			if n, err := g.srv.Replay(t.Context(), app); err == nil || n != 0 {
				t.Errorf("without a state: %d taken, %v", n, err)
			}
			mend()
			late = 2 * time.Hour
			if n, err := g.srv.Replay(t.Context(), app); err != nil || n != 1 {
				t.Errorf("with a state again: %d taken, %v", n, err)
			}
			if woken, _ := g.took(); !slices.Equal(woken, []string{"wiki"}) {
				t.Errorf("woken %v", woken)
			}
		})
	}
}

// moody is a board that fails while something is wrong.
type moody struct {
	board
	wrong error
}

func (m *moody) BoardTouched(ctx context.Context, i reconcile.BoardIssue) error {
	if m.wrong != nil {
		return m.wrong
	}
	return m.board.BoardTouched(ctx, i)
}

// TestOneMissedWebhookDoesNotHoldUpTheOthers has one that cannot be taken come
// before one that can.
func TestOneMissedWebhookDoesNotHoldUpTheOthers(t *testing.T) {
	_, repo, app := hooked(t)
	b := &moody{wrong: errors.New("there is no such repository any more")}
	g := newGate(t, func(o *server.Options) { o.Board = b })
	g.upgrades()
	issue := repo.OpenIssue("ana", "notes", "my own notes")
	repo.CloseIssue(issue, "ana") // belay is away
	repo.SetStatus(headB, "plan", "success")
	for _, step := range []struct {
		name  string
		taken int
		fails bool
		woken []string
		told  []string
	}{
		{"one cannot be taken", 1, true, []string{"wiki"}, nil},
		{"nor later", 0, true, nil, nil},
		{"now it can", 1, false, nil, []string{"touched acme/home-ops#1 of ana"}},
		{"once", 0, false, nil, nil},
	} {
		if !step.fails {
			b.wrong = nil
		}
		b.told = nil
		n, err := g.srv.Replay(t.Context(), app)
		woken, _ := g.took()
		if n != step.taken || (err != nil) != step.fails || !slices.Equal(woken, step.woken) || !slices.Equal(b.told, step.told) {
			t.Errorf("%s: %d taken, %v, woken %v, told %q", step.name, n, err, woken, b.told)
		}
	}
}
