package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/belaybot/belay/bot/report"
	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/rules/command"
	"github.com/belaybot/belay/rules/ladder"
	"github.com/belaybot/belay/rules/lifecycle"
	"github.com/belaybot/belay/rules/notes"
	"github.com/belaybot/belay/rules/plan"
)

// alone is a reconciler with a state and nothing else.
func alone(t *testing.T) *Reconciler {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return New(Options{Store: s, Log: slog.New(slog.DiscardHandler), Wake: func(context.Context, string) error { return nil }})
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

// TestNothingJoinsWhatWasMergedMeanwhile: between the question which upgrade a
// dispatch joins, and the joining.
func TestNothingJoinsWhatWasMergedMeanwhile(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		state  lifecycle.State
		ladder *ladder.Ladder
		over   bool
		end    string // of its ladder
	}{
		{name: "open", state: lifecycle.Open},
		{name: "merged", state: lifecycle.Applying, over: true},
		{name: "a step that is merged", state: lifecycle.Applying, ladder: &ladder.Ladder{ID: "u1", From: "1.0.0", Rungs: []string{"2.0.0"}, Place: 1}, end: "2.1.0"},
		{name: "a step that failed", state: lifecycle.Reverting, ladder: &ladder.Ladder{ID: "u1", From: "1.0.0", Rungs: []string{"2.0.0"}, Place: 1}, over: true, end: "2.0.0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := alone(t)
			u := store.Upgrade{ID: "u1", Repository: "acme/home-ops", Service: "web", Lane: "acme/web", State: string(tc.state), To: "2.0.0"}
			if tc.ladder != nil {
				u.Ladder, u.Place = "u1", 1
			}
			var err error
			if u.Data, err = json.Marshal(record{Target: target{Image: "acme/web", Tag: "2.0.0"}, Ladder: tc.ladder}); err != nil {
				t.Fatal(err)
			}
			if _, _, err := r.opts.Store.CreateUpgrade(t.Context(), u); err != nil {
				t.Fatal(err)
			}
			_, err = r.bringNewer(t.Context(), "u1", plan.Upgrade{Service: "web", Images: []string{"acme/web"}, To: "2.1.0"}, target{Image: "acme/web", Tag: "2.1.0"})
			if errors.Is(err, errOver) != tc.over || err != nil && !tc.over {
				t.Fatal(err)
			}
			j, err := r.load(t.Context(), "u1")
			if err != nil || j.rec.Ladder.Top() != tc.end || (j.rec.Newer != nil) != (tc.state == lifecycle.Open) {
				t.Errorf("%v, it goes to %s, and then to %+v", err, j.rec.Ladder.Top(), j.rec.Newer)
			}
		})
	}
}

// TestOneCommandTooManyIsRefused and not lost without a word.
func TestOneCommandTooManyIsRefused(t *testing.T) {
	t.Parallel()
	r := alone(t)
	data, err := json.Marshal(record{Target: target{Image: "acme/web", Tag: "2.0.0"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.opts.Store.CreateUpgrade(t.Context(), store.Upgrade{ID: "u1", Repository: "acme/home-ops", Service: "web", State: string(lifecycle.Open), To: "2.0.0", Place: 2, Data: data}); err != nil {
		t.Fatal(err)
	}
	a := Asked{Login: "ana", Command: "/upgrade status", From: "page"}
	for i := range maxAsked {
		if err := r.Ask(t.Context(), "u1", a); err != nil {
			t.Fatal(i, err)
		}
	}
	if err := r.Ask(t.Context(), "u1", a); !errors.Is(err, ErrTooMany) {
		t.Errorf("error %v", err)
	}
	// What is said on the step before, or by a box, is answered there.
	before := &job{u: store.Upgrade{ID: "u0", Final: true}, rec: record{Ladder: &ladder.Ladder{Next: "u1"}}}
	text, ok, err := r.handOn(t.Context(), before, &said{Login: "ana"}, command.Command{Verb: command.Hold})
	if err != nil || ok || !strings.Contains(text, "step 2, to 2.0.0: 50 commands wait") {
		t.Errorf("%q, %v, %v", text, ok, err)
	}
	if err := r.ticked(t.Context(), BoardEdit{BoardIssue: BoardIssue{Repository: "acme/home-ops"}, Login: "ana"}, report.Box{Verb: command.Approve, Upgrade: "u1"}); err != nil {
		t.Error(err)
	}
	var said boxAnswer
	if err := r.fact(t.Context(), boxAnswerName("acme/home-ops"), &said); err != nil || !strings.Contains(said.Answer.Text, "50 commands wait") {
		t.Errorf("%+v, %v", said, err)
	}
}

func TestReleasedWhateverTheProjectPutsBeforeTheVersion(t *testing.T) {
	u := plan.Upgrade{Releases: []notes.Release{{Tag: "v2.0.0"}, {Tag: "nightly"}}}
	for tag, want := range map[string]bool{"2.0.0": true, "v2.0.0": true, "2.0.0-alpine": true, "nightly": true, "2.0.1": false, "stable": false} {
		if got := released(u, tag); got != want {
			t.Errorf("%s: %v", tag, got)
		}
	}
}
