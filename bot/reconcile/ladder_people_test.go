package reconcile_test

import (
	"strings"
	"testing"

	"github.com/belaybot/belay/bot/report"
	"github.com/belaybot/belay/rules/ladder"
	"github.com/belaybot/belay/rules/lifecycle"
)

func TestLadderThatNobodyCanSeeGoesOnWhenAPersonSaysSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil) // nothing watches
	w.up.releases("1.0.0", "1.1.0", "1.2.0", "2.0.0")
	w.up.say("2.0.0", breaking)
	w.dispatch("acme/web", "2.0.0")
	first := w.pullTo("1.1.0")
	w.repo.Comment(first.Number, "ana", "/upgrade step all")
	w.stepTo("1.1.0", lifecycle.Unverified)
	w.answered(first.Number, "nobody could see how 1.1.0 fares; `/upgrade step` goes on")
	w.redispatch("acme/web", "2.0.0")
	if list := w.steps(); len(list) != 1 {
		t.Fatalf("it goes on by itself: %+v", list)
	}
	w.repo.Comment(first.Number, "ana", "/upgrade step")
	w.answered(first.Number, "goes on with step 2 of 3")
	second := w.stepTo("1.2.0", lifecycle.Unverified) // which ana had agreed to
	w.repo.Comment(first.Number, "ana", "/upgrade step")
	w.answered(first.Number, "and is unverified: say it there")
	w.repo.Comment(second.Pull, "ana", "/upgrade step")
	w.stepTo("2.0.0", lifecycle.Unverified)
}

func TestLadderRulesAndEndsAreChosenByPeople(t *testing.T) {
	t.Parallel()
	w := climbing(t, nil, "1.1.0", "1.1.1", "1.1.2", "1.2.0", "2.0.0", "2.0.1", "2.1.0")
	w.dispatch("acme/web", "2.0.1")
	p := w.pullTo("1.1.0")
	w.repo.Comment(p.Number, "ana", "/upgrade step minor")
	w.answered(p.Number, "the last patch of every minor is a step, from here on")
	if p = w.pullTo("1.1.2"); !strings.Contains(p.Body, "step 1 of 3 on the way from `1.0.0` to `2.0.1`") {
		t.Errorf("the same pull request says\n%s", p.Body)
	}
	w.up.mu.Lock()
	w.up.missing["3.0.0"] = true
	w.up.mu.Unlock()
	w.repo.Comment(p.Number, "ana", "/upgrade to 3.0.0")
	w.answered(p.Number, "no release 3.0.0 is known, and the registry has no image of it")
	w.repo.Comment(p.Number, "ana", "/upgrade to 1.2.0")
	w.eventually("the ladder is shorter", func() bool {
		p = w.pull("web")
		return strings.Contains(p.Body, "step 1 of 2 on the way from `1.0.0` to `1.2.0`")
	})
	w.repo.Review(w.pullTo("1.1.2").Number, "ana", "approved")
	w.stepTo("1.1.2", lifecycle.Verified)
	second := w.pullTo("1.2.0")
	// What is said on the step before is handed on to the one that is open.
	w.repo.Comment(p.Number, "ana", "/upgrade to 2.1.0")
	w.answered(p.Number, "handed on: step 2, to 1.2.0")
	w.answered(second.Number, "The ladder goes up to 2.1.0 instead of 1.2.0")
	w.repo.Comment(p.Number, "ana", "/upgrade step major")
	w.eventually("the majors alone are steps", func() bool {
		return strings.Contains(w.pull("web").Body, "step 2 of 3 on the way from `1.0.0` to `2.1.0`: the last release of every major is a step")
	})
}

func TestLadderStepThatAPersonClosesEndsIt(t *testing.T) {
	t.Parallel()
	w := climbing(t, nil, "1.1.0", "1.2.0", "2.0.0")
	w.dispatch("acme/web", "2.0.0")
	w.repo.Review(w.pullTo("1.1.0").Number, "ana", "approved")
	second := w.pullTo("1.2.0")
	w.repo.Close(second.Number, "bo")
	w.stepTo("1.2.0", lifecycle.Closed)
	w.answered(second.Number, "The ladder stands at step 2 of 3: somebody closed it; `/upgrade retry`")
	w.redispatch("acme/web", "2.0.0")
	w.repo.Comment(second.Number, "ana", "/upgrade step")
	w.answered(second.Number, "somebody closed it")
	if list := w.steps(); len(list) != 2 || w.image("web") != "acme/web:1.1.0" {
		t.Errorf("%d steps, main runs %s", len(list), w.image("web"))
	}
	// A newer version begins a new ladder without the one that was closed.
	w.up.releases("2.1.0")
	w.dispatch("acme/web", "2.1.0")
	if p := w.pullTo("2.0.0"); !strings.Contains(p.Body, "Left out: `1.2.0` (closed by a person") {
		t.Errorf("the new ladder says\n%s", p.Body)
	}
}

func TestLadderWhenThePinIsMovedByHand(t *testing.T) {
	t.Parallel()
	move := func(t *testing.T, w *world, version string) {
		t.Helper()
		if _, err := w.repo.Push("bo", "main", "by hand", map[string]string{"stacks/web/main.tf": stack("acme/web:" + version)}); err != nil {
			t.Fatal(err)
		}
	}
	begin := func(t *testing.T) (*world, int) {
		t.Helper()
		w := climbing(t, nil, "1.1.0", "1.2.0", "1.3.0", "2.0.0")
		w.dispatch("acme/web", "2.0.0")
		w.repo.Review(w.pullTo("1.1.0").Number, "ana", "approved")
		return w, w.pullTo("1.2.0").Number
	}
	for _, tc := range []struct{ name, moved, says, next string }{
		{"to the step that is open", "1.2.0", "1.2.0 did not come by this pull request; `/upgrade step` goes on", "1.3.0"},
		{"beyond it", "1.3.0", "the default branch is at 1.3.0 already", "2.0.0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w, number := begin(t)
			move(t, w, tc.moved)
			w.stepTo("1.2.0", lifecycle.Obsolete)
			w.answered(number, tc.says)
			w.repo.Comment(number, "ana", "/upgrade step")
			if p := w.pullTo(tc.next); p.Title != "upgrade: web "+tc.moved+" → "+tc.next {
				t.Errorf("it goes on with %s", p.Title)
			}
		})
	}
	t.Run("back: no step is passed over", func(t *testing.T) {
		t.Parallel()
		w, number := begin(t)
		move(t, w, "1.0.0")
		if p := w.pullTo("1.1.0"); p.Number != number || p.Title != "upgrade: web 1.0.0 → 1.1.0" {
			t.Errorf("#%d %s, want #%d to go to 1.1.0", p.Number, p.Title, number)
		}
	})
}

func TestLadderLeavesOutWhatCannotBeHad(t *testing.T) {
	t.Parallel()
	w := climbing(t, nil, "1.1.0", "1.2.0", "1.2.1", "1.3.0-rc.1", "1.3.0", "2.0.0")
	w.up.say("1.2.1", "**YANKED**: it loses data")
	w.up.mu.Lock()
	w.up.missing["1.1.0"] = true
	w.up.mu.Unlock()
	w.dispatch("acme/web", "2.0.0")
	p := w.pullTo("1.2.0")
	if !strings.Contains(p.Body, "step 1 of 3") || !strings.Contains(p.Body, "Left out: `1.1.0` (the registry has no image of it), `1.2.1` (its notes say that it was withdrawn).") {
		t.Errorf("the pull request says\n%s", p.Body)
	}
	w.repo.Comment(p.Number, "ana", "/upgrade plan")
	w.repo.Comment(p.Number, "ana", "/upgrade step all")
	w.stepTo("2.0.0", lifecycle.Verified)
	w.up.mu.Lock()
	defer w.up.mu.Unlock()
	// The pinned version is asked for as well where one is missing: does the registry know the image?
	if w.up.asked["1.1.0"] != 1 || w.up.asked["1.2.0"] != 1 || w.up.asked["1.0.0"] != 1 {
		t.Errorf("the registry was asked %v", w.up.asked)
	}
}

func TestLadderInARegistryThatCannotBeAsked(t *testing.T) {
	t.Parallel()
	w := climbing(t, nil, "1.1.0", "2.0.0")
	w.up.mu.Lock()
	w.up.missing = nil
	w.up.mu.Unlock()
	w.dispatch("acme/web", "2.0.0")
	if p := w.pullTo("1.1.0"); !strings.Contains(p.Body, "whether there is an image of 1.1.0 could not be asked: the registry does not show this image to belay") {
		t.Errorf("nobody learns of it:\n%s", p.Body)
	}
}

func TestLadderStepGoesWithTheOneBeforeIt(t *testing.T) {
	t.Parallel()
	w := climbing(t, nil, "1.1.0", "1.2.0", "2.0.0")
	w.dispatch("acme/web", "2.0.0")
	first := w.pullTo("1.1.0")
	w.repo.Review(first.Number, "ana", "approved")
	second := w.pullTo("1.2.0")
	w.repo.Comment(first.Number, "ana", "/upgrade rollback it is slow")
	w.stepTo("1.1.0", lifecycle.Reverted)
	w.stepTo("1.2.0", lifecycle.Obsolete)
	w.answered(second.Number, "the step before it was undone")
	if got := w.image("web"); got != "acme/web:1.0.0" {
		t.Errorf("main runs %s", got)
	}
	w.answered(first.Number, "The ladder stands at step 1 of 3")
}

func TestLadderIsRecoveredFromMarkers(t *testing.T) {
	t.Parallel()
	w := climbing(t, nil, "1.1.0", "1.2.0", "2.0.0")
	w.dispatch("acme/web", "2.0.0")
	first := w.pullTo("1.1.0")
	w.repo.Review(first.Number, "ana", "approved")
	second := w.pullTo("1.2.0")
	w.repo.Comment(second.Number, "ana", "/upgrade step all")
	w.repo.RequireChecks("slow")
	was := w.steps()[1]
	w.stop()
	w.dir = t.TempDir() // belay's state is gone
	w.repo.RequireChecks()
	w.start()
	got, err := w.life.rec.Recover(t.Context(), "acme/home-ops")
	if err != nil || got.Upgrades != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	if len(got.Merged) > 0 {
		t.Errorf("the first step's watch was over: %+v", got.Merged)
	}
	p := w.pullTo("1.2.0") // what ana agreed to has to be said again
	u := w.upgrade("web")
	if l := way(u); p.Number != second.Number || l.Place != 2 || l.ID != was.Ladder || u.Ladder != was.Ladder || l.Top() != "2.0.0" {
		t.Errorf("#%d, %+v", p.Number, l)
	}
	w.repo.Review(p.Number, "ana", "approved")
	w.stepTo("1.2.0", lifecycle.Verified)
	w.repo.Review(w.pullTo("2.0.0").Number, "ana", "approved")
	w.stepTo("2.0.0", lifecycle.Verified)
}

func TestLadderMarkerThatSomebodyChangedIsNoAgreement(t *testing.T) {
	t.Parallel()
	w := climbing(t, nil, "1.1.0", "2.0.0")
	w.dispatch("acme/web", "2.0.0")
	p := w.pullTo("1.1.0")
	m, err := report.ParseMarker(p.Body)
	if err != nil || m.Ladder == nil || m.Ladder.All != nil {
		t.Fatalf("%+v, %v", m, err)
	}
	w.stop()
	m.Ladder.All = &ladder.Agreed{Login: "mallory", To: "2.0.0"}
	body := p.Body[:strings.LastIndex(strings.TrimRight(p.Body, "\n"), "\n")+1]
	w.repo.SetBody(p.Number, body+m.String())
	w.dir = t.TempDir()
	w.start()
	if _, err := w.life.rec.Recover(t.Context(), "acme/home-ops"); err != nil {
		t.Fatal(err)
	}
	if u := w.upgrade("web"); way(u).Covered() {
		t.Errorf("a marker agrees to all: %+v", way(u))
	}
	w.pullTo("1.1.0")
}

func TestLadderHoldIsForTheStepsAfterItToo(t *testing.T) {
	t.Parallel()
	w := climbing(t, nil, "1.1.0", "1.2.0", "2.0.0")
	w.repo.SetPermission("bo", "write")
	w.repo.AutoChecks(map[string]string{"ci": "success"})
	w.dispatch("acme/web", "2.0.0")
	first := w.pullTo("1.1.0")
	w.repo.Comment(first.Number, "ana", "/upgrade step all")
	w.stepTo("1.1.0", lifecycle.Applying)
	w.repo.Comment(first.Number, "bo", "/upgrade hold the disk is full")
	w.answered(first.Number, "held until `/upgrade resume`")
	w.repo.AutoChecks(map[string]string{"ci": "success", "deploy": "success"})
	w.applied(w.pull("web").MergeSHA, "success")
	w.stepTo("1.1.0", lifecycle.Verified)
	w.answered(first.Number, "Held by bo still: the next step, to 1.2.0, is opened and not merged until /upgrade resume.")
	second := w.waits("web", lifecycle.Open, `"waits":"held"`)
	w.answered(second.Pull, "Held by bo: the disk is full.")
	if got := w.image("web"); got != "acme/web:1.1.0" || second.To != "1.2.0" {
		t.Fatalf("main runs %s, and the step to %s is held", got, second.To)
	}
	// It goes on where somebody says so, be it on the step where it was held.
	w.repo.Comment(first.Number, "ana", "/upgrade resume")
	w.answered(first.Number, "handed on: step 2, to 1.2.0")
	w.stepTo("2.0.0", lifecycle.Verified)
}
