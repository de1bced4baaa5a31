package github_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/belaybot/belay/bot/github"
	"github.com/belaybot/belay/bot/sandbox"
)

// with is belay with a token of a workflow run in place of an App's key.
func (w *world) with(token string) *github.App {
	w.t.Helper()
	app, err := github.New(github.Options{Token: func() string { return token }, Only: "acme/home-ops", URL: w.gh.URL(), Now: w.now.get})
	if err != nil {
		w.t.Fatal(err)
	}
	return app
}

// TestWhoseTokenItIs: who acts is whom the token belongs to, and a person's own
// commits are told from belay's.
func TestWhoseTokenItIs(t *testing.T) {
	w := newWorld(t, sandbox.Options{})
	for _, tc := range []struct {
		name, token, slug, by, email string
		person                       bool
	}{
		{"a workflow's own token", w.repo.WorkflowToken(), "github-actions", "github-actions[bot]", "github-actions[bot]@users.noreply.github.com", false},
		{"an App's token", w.repo.AppToken(), "belay", "belay[bot]", "belay[bot]@users.noreply.github.com", false},
		{"a person's token", w.repo.PersonalToken("ana"), "ana", "belay for ana", "belay+ana@users.noreply.github.com", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			app := w.with(tc.token)
			slug, err := app.Slug(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			by, email, err := app.Signature(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if slug != tc.slug || by != tc.by || email != tc.email || app.Person() != tc.person {
				t.Errorf("got %q, %q <%s>, person %t", slug, by, email, app.Person())
			}
		})
	}
}

// TestTokenIsForOneRepository: whatever else is asked for is refused before GitHub is asked.
func TestTokenIsForOneRepository(t *testing.T) {
	w := newWorld(t, sandbox.Options{})
	app := w.with(w.repo.WorkflowToken())
	if _, err := app.Repository(t.Context(), "acme/other"); !errors.Is(err, github.ErrNoAccess) {
		t.Errorf("error %v, want ErrNoAccess", err)
	}
	names, err := app.Installed(t.Context())
	if err != nil || len(names) != 1 || names[0] != "acme/home-ops" {
		t.Errorf("installed on %v, %v", names, err)
	}
}

// TestChecksByToken: an App's token writes check runs, a person's commit
// statuses, one that only reads neither.
func TestChecksByToken(t *testing.T) {
	for _, tc := range []struct {
		name   string
		token  func(*sandbox.Repository) string
		checks []string
		fails  bool
	}{
		{"a workflow's own token", (*sandbox.Repository).WorkflowToken, []string{"belay/risk github-actions"}, false},
		{"a person's token", func(r *sandbox.Repository) string { return r.PersonalToken("ana") }, []string{"belay/risk "}, false},
		{"a token that only reads", (*sandbox.Repository).ForkToken, nil, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, sandbox.Options{})
			sha, err := w.repo.Push("ana", "topic", "a change", map[string]string{"main.tf": "two\n"})
			if err != nil {
				t.Fatal(err)
			}
			r, err := w.with(tc.token(w.repo)).Repository(t.Context(), "acme/home-ops")
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // the second one knows
				_, err = r.SetCheckRun(t.Context(), 0, github.CheckRun{Name: "belay/risk", Head: sha, Conclusion: "success", Title: strings.Repeat("long ", 100), Summary: "s", At: w.now.get()})
			}
			if (err != nil) != tc.fails || tc.fails && !errors.Is(err, github.ErrNoAccess) {
				t.Fatalf("error %v", err)
			}
			checks, err := w.home().Checks(t.Context(), sha)
			if err != nil {
				t.Fatal(err)
			}
			seen := map[string]bool{}
			for _, c := range checks {
				seen[c.Name+" "+c.App] = true
			}
			if len(seen) != len(tc.checks) {
				t.Fatalf("checks %v, want %v", checks, tc.checks)
			}
			for _, want := range tc.checks {
				if !seen[want] {
					t.Errorf("checks %v, want %q", checks, want)
				}
			}
		})
	}
}
