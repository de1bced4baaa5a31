package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/rules/ladder"
	"github.com/belaybot/belay/rules/lifecycle"
)

// alone is a reconciler with a state and nothing else.
func alone(t *testing.T) *Reconciler {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return New(Options{Store: s, Wake: func(context.Context, string) error { return nil }})
}

// TestAFreezeThatCannotBeReadIsAnError and no word that it is worth trying again
// at once: what fails waits longer and longer.
func TestAFreezeThatCannotBeReadIsAnError(t *testing.T) {
	t.Parallel()
	r := alone(t)
	if err := r.opts.Store.Close(); err != nil {
		t.Fatal(err)
	}
	err := r.merge(t.Context(), &job{u: store.Upgrade{ID: "u1", Repository: "acme/home-ops"}})
	if err == nil || errors.As(err, new(*later)) {
		t.Errorf("merged without knowing whether the repository is frozen: %v", err)
	}
}

// TestAStepThatSomebodyElseHasBegunLosesNothing of what a newer version of belay noted.
func TestAStepThatSomebodyElseHasBegunLosesNothing(t *testing.T) {
	t.Parallel()
	r := alone(t)
	of := store.Upgrade{Repository: "acme/home-ops", Service: "web", Lane: "acme/web"}
	first, other, next := of, of, of
	first.ID, first.State, first.Data = "u1", string(lifecycle.Watching), []byte(`{"future":{"kept":true},"target":{"tag":"2.0.0"}}`)
	other.ID, other.State = "u9", string(lifecycle.Open)
	next.ID, next.State = "u2", string(lifecycle.Queued)
	for _, u := range []store.Upgrade{first, other} {
		if _, _, err := r.opts.Store.CreateUpgrade(t.Context(), u); err != nil {
			t.Fatal(err)
		}
	}
	j, err := r.load(t.Context(), "u1")
	if err != nil {
		t.Fatal(err)
	}
	j.u.State, j.u.Final = string(lifecycle.Verified), true
	j.rec.Ladder, j.next = &ladder.Ladder{ID: "u1", Rungs: []string{"1.0.0", "2.0.0"}, Place: 1}, &next
	if err := r.save(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	u, err := r.opts.Store.Upgrade(t.Context(), "u1")
	var rec record
	if err != nil || json.Unmarshal(u.Data, &rec) != nil || rec.Ladder.Next != "u9" || !strings.Contains(string(u.Data), `"future":{"kept":true}`) {
		t.Errorf("%v, the record is %s", err, u.Data)
	}
}
