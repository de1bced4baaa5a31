package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/belaybot/belay/bot/github"
	"github.com/belaybot/belay/bot/report"
	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/rules/command"
	"github.com/belaybot/belay/rules/ladder"
	"github.com/belaybot/belay/rules/lifecycle"
	"github.com/belaybot/belay/rules/notes"
	"github.com/belaybot/belay/rules/pin"
	"github.com/belaybot/belay/rules/plan"
	"github.com/belaybot/belay/rules/policy"
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

// TestUnfinished tells which of a repository's pull requests belay goes on with
// once its state is lost.
func TestUnfinished(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	moves := []pin.Move{{Path: "main.tf", Old: "1.0.0", New: "1.0.1"}}
	pull := func(number int, state, over string, undoes int) ours {
		service := "web"
		if number > 9 {
			service = "data"
		}
		return ours{github.Pull{Number: number, State: state, Updated: now.Add(-time.Hour)}, report.Marker{Service: service, Images: []string{"acme/" + service}, Over: over, Undoes: undoes, Moves: moves}}
	}
	old := func(o ours) ours {
		o.pull.Updated = now.Add(-15 * 24 * time.Hour)
		return o
	}
	former := func(o ours) ours {
		o.marker.Moves = nil
		return o
	}
	for _, tc := range []struct {
		name string
		past []ours
		want []int
	}{
		{"nothing", nil, nil},
		{"an open one", []ours{pull(1, "OPEN", "", 0)}, []int{1}},
		{"one that a person closed", []ours{pull(1, "CLOSED", "closed", 0)}, nil},
		{"one that a person closed while belay was down", []ours{pull(1, "CLOSED", "", 0)}, []int{1}},
		{"the one that is open has the place", []ours{pull(2, "CLOSED", "", 0), pull(1, "OPEN", "", 0)}, []int{1, 2}},
		{"merged, and its watch is over", []ours{pull(1, "MERGED", "verified", 0)}, nil},
		{"merged, and not over", []ours{pull(1, "MERGED", "", 0)}, []int{1}},
		{"and something newer was merged since", []ours{pull(1, "MERGED", "", 0), pull(2, "MERGED", "verified", 0)}, nil},
		{"of another service", []ours{pull(1, "MERGED", "", 0), pull(12, "MERGED", "verified", 0)}, []int{1}},
		{"so long ago that the watch is over whatever the marker says", []ours{old(pull(1, "MERGED", "", 0))}, nil},
		{"open for longer than that", []ours{old(pull(1, "OPEN", "", 0))}, []int{1}},
		{"merged by a belay that did not write how it ended", []ours{former(pull(1, "MERGED", "", 0))}, nil},
		{"and its revert", []ours{former(pull(1, "MERGED", "", 0)), pull(2, "MERGED", "", 1)}, nil},
		{"closed then", []ours{former(pull(1, "CLOSED", "", 0))}, nil},
		{"the revert of one stands for both", []ours{pull(1, "MERGED", "", 0), pull(2, "OPEN", "", 1)}, []int{2}},
		{"in whatever order they come", []ours{pull(2, "OPEN", "", 1), pull(1, "MERGED", "", 0)}, []int{2}},
		{"the revert is merged, and the old version not healthy yet", []ours{pull(1, "MERGED", "", 0), pull(2, "MERGED", "", 1)}, []int{2}},
		{"that is over, too", []ours{pull(1, "MERGED", "reverted", 0), pull(2, "MERGED", "", 1)}, nil},
		{"rolled back days after it was verified", []ours{pull(1, "MERGED", "verified", 0), pull(2, "OPEN", "", 1)}, []int{2}},
		{"a person has taken over, and the revert is still open", []ours{pull(1, "MERGED", "failed", 0), pull(2, "OPEN", "", 1)}, nil},
		{"a fix in place of the revert", []ours{pull(1, "MERGED", "", 0), pull(2, "CLOSED", "", 1), pull(3, "MERGED", "", 1)}, []int{3}},
		{"a revert after a fix that did not help", []ours{pull(1, "MERGED", "", 0), pull(2, "MERGED", "", 1), pull(3, "OPEN", "", 1)}, []int{3}},
		{"a person closed the revert while belay was down", []ours{pull(1, "MERGED", "", 0), pull(2, "CLOSED", "", 1)}, []int{2}},
		{"a merged revert of what is out of sight", []ours{pull(9, "MERGED", "", 1)}, nil},
		{"an open revert of what is out of sight", []ours{pull(9, "OPEN", "", 1)}, []int{9}},
		{"several", []ours{pull(1, "MERGED", "", 0), pull(11, "MERGED", "", 0), pull(2, "OPEN", "", 0), pull(3, "OPEN", "", 1), pull(14, "MERGED", "", 11), pull(5, "OPEN", "", 0)}, []int{5, 3, 2, 14}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got []int
			for _, o := range unfinished(tc.past, now) {
				got = append(got, o.pull.Number)
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

// TestHistoryOfSeveralRepositories takes up what two repositories say of pull
// requests with the same number.
func TestHistoryOfSeveralRepositories(t *testing.T) {
	t.Parallel()
	r := alone(t)
	r.opts.Now = time.Now
	for range 2 { // the second time, nothing is added
		for _, repository := range []string{"acme/home-ops", "acme/lab"} {
			o := ours{github.Pull{Number: 7, State: "MERGED", Created: time.Now(), Updated: time.Now()}, report.Marker{Service: "web", Images: []string{"acme/web"}, From: "1.0.0", To: "1.0.1", Over: "reverted", Why: "it crashed"}}
			if err := r.takeHistory(t.Context(), repository, policy.Default(), []ours{o}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, repository := range []string{"acme/home-ops", "acme/lab"} {
		list, err := r.opts.Store.Upgrades(t.Context(), store.Filter{Repository: repository})
		blocks, err2 := r.opts.Store.Blocks(t.Context(), repository, "web")
		if err != nil || err2 != nil || len(list) != 1 || list[0].State != "reverted" || !Counted(list[0]) || len(blocks) != 1 || blocks[0].Why != "it crashed" {
			t.Errorf("%s: %+v, %+v, %v, %v", repository, list, blocks, err, err2)
		}
	}
}
