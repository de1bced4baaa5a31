package reconcile_test

import (
	"context"
	"errors"
	"testing"

	"github.com/belaybot/belay/bot/github"
	"github.com/belaybot/belay/bot/planner"
	"github.com/belaybot/belay/bot/reconcile"
	"github.com/belaybot/belay/bot/report"
	"github.com/belaybot/belay/bot/sandbox"
	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/rules/policy"
)

// actionRun is a run of the Action by its name, with a state of its own.
func actionRun(t *testing.T, gh *sandbox.GitHub, token, name string) (*reconcile.Reconciler, *store.Store) {
	t.Helper()
	dir := t.TempDir()
	st, err := store.Open(t.Context(), store.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	app, err := github.New(github.Options{Token: func() string { return token }, Only: "acme/home-ops", URL: gh.URL()})
	if err != nil {
		t.Fatal(err)
	}
	up := &outside{notes: map[string]string{"2.0.0": breaking}}
	return reconcile.New(reconcile.Options{Store: st, GitHub: app, Mirrors: dir, Owner: reconcile.ActionOwner, Carry: name, Shallow: true,
		Upstream: func(policy.Policy) (planner.Upstream, error) { return up, nil },
		Wake:     func(context.Context, string) error { return nil }}), st
}

// TestARunThatIsBehindWritesNothing: another run of the Action has gone on, so
// neither the comment nor the marker is its to write any more.
func TestARunThatIsBehindWritesNothing(t *testing.T) {
	t.Parallel()
	gh, err := sandbox.NewGitHub(sandbox.Options{Dir: t.TempDir(), Validate: true, Report: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = gh.Close() })
	repo, err := gh.AddRepository("acme", "home-ops", map[string]string{".github/belay.yml": "dashboard: { issue: false }\n", "stacks/web/main.tf": stack("acme/web:1.0.0")})
	if err != nil {
		t.Fatal(err)
	}
	token := repo.WorkflowToken()
	first, st := actionRun(t, gh, token, "run 1")
	id, _, err := st.AddDispatch(t.Context(), store.Dispatch{Image: "docker.io/acme/web", Tag: "2.0.0", Status: "new", Repository: "acme/home-ops"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Dispatch(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	list, err := st.Upgrades(t.Context(), store.Filter{})
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	if _, err := first.Reconcile(t.Context(), list[0].ID); err != nil {
		t.Fatal(err)
	}

	second, _ := actionRun(t, gh, token, "run 2")
	repo.Comment(1, "ana", "/upgrade hold")
	same, err := second.TakeUpPull(t.Context(), "acme/home-ops", 1)
	if err != nil || same != list[0].ID {
		t.Fatalf("%q, %v", same, err)
	}
	if _, err := second.Reconcile(t.Context(), same); err != nil {
		t.Fatal(err)
	}

	repo.Close(1, "ana")
	was := repo.Pulls()[0]
	if _, err := first.Reconcile(t.Context(), same); !errors.Is(err, reconcile.ErrOtherRun) {
		t.Errorf("error %v", err)
	}
	if now := repo.Pulls()[0]; now.Body != was.Body || len(now.Comments) != len(was.Comments) {
		t.Errorf("the run that is behind has written:\n%s", now.Body)
	}
	if _, err := second.Reconcile(t.Context(), same); err != nil {
		t.Fatal(err)
	}
	if m, err := report.ParseMarker(repo.Pulls()[0].Body); err != nil || m.Over != "closed" {
		t.Errorf("%+v, %v", m, err)
	}
}
