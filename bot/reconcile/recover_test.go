package reconcile_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/belaybot/belay/bot/reconcile"
	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/rules/lifecycle"
	"github.com/belaybot/belay/rules/watch"
)

// lost has belay lose its state, calls meanwhile, and has it recovered.
func (w *world) lost(meanwhile func()) reconcile.Recovered {
	w.t.Helper()
	w.stop()
	w.dir = w.t.TempDir()
	if meanwhile != nil {
		meanwhile()
	}
	w.start()
	got, err := w.life.rec.Recover(w.t.Context(), "acme/home-ops")
	if err != nil {
		w.t.Fatal(err)
	}
	again, err := w.life.rec.Recover(w.t.Context(), "acme/home-ops")
	if err != nil || again.Upgrades > 0 || len(again.Merged) > 0 || again.LeftOut != got.LeftOut {
		w.t.Errorf("the second time: %+v, %v", again, err)
	}
	return got
}

func TestRecoverFromTheMarkers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.up.say("2.0.0", breaking)
	w.dispatch("acme/web", "2.0.0")
	w.waits("web", lifecycle.Open, "approving review")
	w.stop()
	w.dir = t.TempDir() // the state is lost
	w.start()
	got, err := w.life.rec.Recover(context.Background(), "acme/home-ops")
	if err != nil || got.Upgrades != 1 || len(got.Merged) > 0 {
		t.Fatalf("%+v, %v", got, err)
	}
	w.waits("web", lifecycle.Open, "approving review")
	w.repo.Comment(w.pull("web").Number, "ana", "/upgrade approve")
	w.waits("web", lifecycle.Unverified, "")
	if n := w.pulls("web"); n != 1 {
		t.Errorf("%d pull requests", n)
	}
}

// undecided is a world in which web's revert waits for a person.
func undecided(t *testing.T) *world {
	t.Helper()
	w := failing(t, map[string]string{".github/belay.yml": config + "revert: { automerge: false }\n"})
	w.dispatch("acme/web", "1.0.1")
	w.waits("web", lifecycle.Applying, "")
	w.applied(w.pull("web").MergeSHA, "failure")
	w.waits("web", lifecycle.Reverting, "approving review")
	w.quiet("web")
	return w
}

func TestRecoverARevert(t *testing.T) {
	t.Parallel()
	w := undecided(t)
	w.stop()
	w.dir = t.TempDir() // the state is lost
	w.start()
	got, err := w.life.rec.Recover(context.Background(), "acme/home-ops")
	if got.Upgrades != 1 || len(got.Merged) > 0 || err != nil { // what is undone is looked after
		t.Fatalf("%+v, %v", got, err)
	}
	w.waits("web", lifecycle.Reverting, "approving review")
	w.repo.Comment(w.revert("web").Number, "ana", "/upgrade approve")
	w.waits("web", lifecycle.Undoing, "")
	w.applied(w.revert("web").MergeSHA, "success")
	w.waits("web", lifecycle.Reverted, "")
	if n, got := len(w.pullsOf("web", "revert-")), w.image("web"); n != 1 || got != "acme/web:1.0.0" {
		t.Errorf("%d reverts, main runs %s", n, got)
	}
}

// TestAWatchIsRecovered loses the state while an upgrade is watched: it is
// watched anew, and what is found then is undone once a person agrees.
func TestAWatchIsRecovered(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{".github/belay.yml": strings.NewReplacer("safe: 10ms", "safe: 1h", "unknown: 10ms", "unknown: 1h").Replace(config)})
	seen := w.observed()
	w.dispatch("acme/web", "1.0.1")
	w.waits("web", lifecycle.Watching, "healthy so far")
	got := w.lost(nil)
	if want := []reconcile.Merged{{Pull: 1, Service: "web", From: "1.0.0", To: "1.0.1"}}; got.Upgrades != 1 || !slices.Equal(got.Merged, want) {
		t.Fatalf("%+v", got)
	}
	w.waits("web", lifecycle.Watching, "healthy so far")
	seen.becomes("acme/web:1.0.1", watch.Sample{State: watch.Fatal, Cause: watch.CauseOOM, Detail: "OOMKilled"})
	w.waits("web", lifecycle.Reverting, "was lost")
	p := w.revert("web")
	for _, want := range []string{"belay's state was lost while this upgrade was watched", "deployment web/web: OOMKilled"} {
		if !strings.Contains(p.Body, want) {
			t.Errorf("%q is not in\n%s", want, p.Body)
		}
	}
	w.repo.Comment(p.Number, "ana", "/upgrade approve")
	w.waits("web", lifecycle.Rewatching, "")
	if got := w.image("web"); got != "acme/web:1.0.0" {
		t.Errorf("main runs %s", got)
	}
}

// TestARecoveredUpgradeThatIsHealthyEnds after its window, and says so where it said
// before that it was watched.
func TestARecoveredUpgradeThatIsHealthyEnds(t *testing.T) {
	t.Parallel()
	w := failing(t, nil)
	w.observed()
	w.dispatch("acme/web", "1.0.1")
	w.waits("web", lifecycle.Applying, "")
	w.lost(nil)
	w.waits("web", lifecycle.Applying, "waits for CI")
	w.applied(w.pull("web").MergeSHA, "success")
	w.waits("web", lifecycle.Verified, "")
	w.eventually("the pull request says so", func() bool {
		c := w.pull("web").Comments
		return len(c) == 1 && strings.Contains(c[0].Body, "Done: healthy through the whole window")
	})
	var last string
	for _, c := range w.pull("web").CheckRuns {
		if c.Name == "belay/verify" {
			last = c.Conclusion
		}
	}
	if last != "success" {
		t.Errorf("the check's conclusion is %q", last)
	}
}

// TestWhatIsOverStaysOver: of upgrades that ended before the state was lost,
// none is watched again, and what failed or was closed is not tried again.
func TestWhatIsOverStaysOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.up.say("9.0.0", breaking)
	w.observed().becomes("acme/web:1.0.1", watch.Sample{State: watch.Fatal, Cause: watch.CauseCrash, Detail: "CrashLoopBackOff"})
	w.dispatch("acme/web", "1.0.1")
	w.waits("web", lifecycle.Reverted, "")
	w.dispatch("acme/blog", "3.0.1")
	w.waits("blog", lifecycle.Verified, "")
	w.dispatch("acme/data", "9.0.0")
	w.waits("data", lifecycle.Open, "approving review")
	w.repo.Close(w.pull("data").Number, "ana")
	w.waits("data", lifecycle.Closed, "")
	pulls := len(w.repo.Pulls())
	w.quiet("data")
	got := w.lost(nil)
	if got.Upgrades != 0 || len(got.Merged) > 0 || got.LeftOut != 2 {
		t.Errorf("%+v", got)
	}
	for _, row := range []struct{ image, tag, why string }{
		{"acme/web", "1.0.1", "CrashLoopBackOff"},
		{"acme/data", "9.0.0", "closed"},
	} {
		id, _, err := w.life.store.AddDispatch(context.Background(), store.Dispatch{Image: "docker.io/" + row.image, Tag: row.tag, Digest: "sha256:" + strings.Repeat("a", 64), Status: "new", Source: "cli"}, w.life.engine.DispatchTx)
		if err != nil {
			t.Fatal(err)
		}
		var d store.Dispatch
		w.eventually("the dispatch is planned", func() bool {
			d, err = w.life.store.Dispatch(context.Background(), id)
			return err == nil && d.Done
		})
		if len(d.Outcomes) != 1 || !strings.Contains(d.Outcomes[0].Reason, "is left out: ") || !strings.Contains(d.Outcomes[0].Reason, row.why) {
			t.Errorf("%s %s: %+v", row.image, row.tag, d.Outcomes)
		}
	}
	if n := len(w.repo.Pulls()); n != pulls {
		t.Errorf("%d pull requests, %d before", n, pulls)
	}
	ended, err := w.life.store.EndedUpgrades(t.Context(), "acme/home-ops", time.Time{}, 10)
	if err != nil {
		t.Fatal(err)
	}
	var stands []string
	for _, u := range ended {
		if !json.Valid(u.Data) {
			t.Errorf("%s: the record is %q", u.Service, u.Data)
		}
		stands = append(stands, u.Service+" "+u.State)
	}
	slices.Sort(stands)
	if want := []string{"blog verified", "data closed", "web reverted"}; !slices.Equal(stands, want) {
		t.Errorf("what is known to be over: %q, want %q", stands, want)
	}
	w.dispatch("acme/web", "1.0.2") // a newer one is taken
	w.waits("web", lifecycle.Verified, "")
}

// TestAMergedRevertIsRecovered loses the state while CI applies the revert.
func TestAMergedRevertIsRecovered(t *testing.T) {
	t.Parallel()
	w := failing(t, nil)
	w.observed()
	w.dispatch("acme/web", "1.0.1")
	w.waits("web", lifecycle.Applying, "")
	w.applied(w.pull("web").MergeSHA, "failure")
	w.waits("web", lifecycle.Undoing, "")
	got := w.lost(nil)
	if got.Upgrades != 1 || len(got.Merged) > 0 || got.LeftOut != 1 {
		t.Fatalf("%+v", got)
	}
	w.waits("web", lifecycle.Undoing, "waits for CI")
	w.applied(w.revert("web").MergeSHA, "success")
	w.waits("web", lifecycle.Reverted, "")
	if n := len(w.pullsOf("web", "revert-")); n != 1 {
		t.Errorf("%d reverts", n)
	}
	if got := w.lost(nil); got.Upgrades != 0 || got.LeftOut != 1 {
		t.Errorf("once it is over: %+v", got)
	}
}

// blind is a world in which web failed a watch that was taken up after a loss:
// nobody knows how it was before, and its revert waits for a person.
func blind(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, map[string]string{"stacks/web/main.tf": memory(named("web", "acme/web:1.0.0"), "1Gi"), ".github/belay.yml": strings.NewReplacer("safe: 10ms", "safe: 1h", "unknown: 10ms", "unknown: 1h").Replace(config)})
	seen := w.observed()
	w.dispatch("acme/web", "1.0.1")
	w.waits("web", lifecycle.Watching, "healthy so far")
	w.lost(nil)
	w.waits("web", lifecycle.Watching, "healthy so far")
	seen.becomes("acme/web:1.0.1", watch.Sample{State: watch.Fatal, Cause: watch.CauseOOM, Detail: "OOMKilled"})
	w.waits("web", lifecycle.Reverting, "was lost")
	return w
}

// agreedByNobody holds web's failed version on main.
func (w *world) agreedByNobody() {
	w.t.Helper()
	w.waits("web", lifecycle.Reverting, "was lost")
	w.quiet("web")
	if got := w.image("web"); got != "acme/web:1.0.1" {
		w.t.Errorf("main runs %s, and nobody agreed", got)
	}
}

// TestLostTwiceStaysBlind: that nobody knows how a service was before stands in the
// revert, and outlives a fix that does not help.
func TestLostTwiceStaysBlind(t *testing.T) {
	t.Parallel()
	w := blind(t)
	w.quiet("web")
	w.lost(nil)
	w.agreedByNobody()
}

// TestAFixThatDoesNotHelpIsStillBlind after the state was lost.
func TestAFixThatDoesNotHelpIsStillBlind(t *testing.T) {
	t.Parallel()
	w := blind(t)
	w.repo.Comment(w.revert("web").Number, "ana", "/upgrade fix")
	w.eventually("the fix did not help, and there is a second revert", func() bool {
		list := w.pullsOf("web", "revert-")
		return len(list) == 2 && list[1].State == "open"
	})
	w.agreedByNobody()
}

// TestWhatPeopleClosedMeanwhile: who closes a pull request while belay's state is
// gone has decided as always.
func TestWhatPeopleClosedMeanwhile(t *testing.T) {
	t.Parallel()
	w := undecided(t)
	w.up.say("9.0.0", breaking)
	w.dispatch("acme/data", "9.0.0")
	w.waits("data", lifecycle.Open, "approving review")
	w.quiet("data")
	got := w.lost(func() {
		w.repo.Close(w.revert("web").Number, "ana")
		w.repo.Close(w.pull("data").Number, "ana")
		if _, err := w.repo.Push("ana", "main", "something else", map[string]string{"README.md": "# mine\n", ".github/belay.yml": config}); err != nil {
			t.Fatal(err)
		}
	})
	if got.Upgrades != 2 || len(got.Merged) > 0 {
		t.Errorf("%+v", got)
	}
	w.waits("web", lifecycle.Failed, "")
	w.waits("data", lifecycle.Closed, "")
	pulls := len(w.repo.Pulls())
	w.redispatch("acme/data", "9.0.0")
	w.redispatch("acme/web", "1.0.1")
	w.quiet("web")
	if n := len(w.repo.Pulls()); n != pulls {
		t.Errorf("%d pull requests, %d before", n, pulls)
	}
}

// TestCommandsAfterALoss: what was over when the state was lost can be tried again
// and undone, and is otherwise left as it was.
func TestCommandsAfterALoss(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	seen := w.observed()
	seen.becomes("acme/web:1.0.1", watch.Sample{State: watch.Fatal, Cause: watch.CauseCrash, Detail: "CrashLoopBackOff"})
	w.dispatch("acme/web", "1.0.1")
	w.waits("web", lifecycle.Reverted, "")
	w.dispatch("acme/blog", "3.0.1")
	w.waits("blog", lifecycle.Verified, "")
	w.repo.Comment(w.pull("web").Number, "ana", "/upgrade status")
	w.answered(w.pull("web").Number, "Undone: 1.0.0 runs again")
	w.quiet("web")
	said := w.pull("web").Comments
	w.lost(nil)
	n := w.pull("web").Number
	w.repo.Comment(n, "ana", "thank you")
	if err := w.gh.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.quiet("web")
	if now := w.pull("web").Comments; len(now) != len(said)+1 || now[0].Body != said[0].Body {
		t.Errorf("it speaks of what is over:\n%+v\nbefore\n%+v", now, said)
	}
	w.repo.Comment(w.pull("blog").Number, "ana", "/upgrade rollback")
	w.waits("blog", lifecycle.Reverted, "")
	if got := w.image("blog"); got != "acme/blog:3.0.0" {
		t.Errorf("main runs %s", got)
	}
	seen.becomes("acme/web:1.0.1", watch.Sample{State: watch.Good})
	w.repo.Comment(n, "ana", "/upgrade retry")
	w.waits("web", lifecycle.Verified, "")
	if got := w.image("web"); got != "acme/web:1.0.1" || w.pulls("web") != 2 {
		t.Errorf("main runs %s after %d pull requests", got, w.pulls("web"))
	}
}

// TestLadderThatFailedIsLeftOutAfterALoss to its end.
func TestLadderThatFailedIsLeftOutAfterALoss(t *testing.T) {
	t.Parallel()
	w := climbing(t, map[string]string{".github/belay.yml": config + "revert: { automerge: false }\n"}, "1.1.0", "1.2.0", "2.0.0")
	w.seen.becomes("acme/web:1.1.0", watch.Sample{State: watch.Fatal, Cause: watch.CauseCrash, Detail: "CrashLoopBackOff"})
	w.dispatch("acme/web", "2.0.0")
	w.repo.Review(w.pullTo("1.1.0").Number, "ana", "approved")
	w.waits("web", lifecycle.Reverting, "approving review")
	w.quiet("web")
	if got := w.lost(nil); got.LeftOut != 2 {
		t.Errorf("%+v", got)
	}
	w.waits("web", lifecycle.Reverting, "approving review")
	w.repo.Comment(w.revert("web").Number, "ana", "/upgrade approve")
	w.waits("web", lifecycle.Reverted, "")
	n := len(w.repo.Pulls())
	w.redispatch("acme/web", "2.0.0")
	w.quiet("web")
	if now := len(w.repo.Pulls()); now != n {
		t.Errorf("%d pull requests, %d before", now, n)
	}
}

// TestAPersonsCommitsOnARevertOutliveALoss of the record of what belay pushed.
func TestAPersonsCommitsOnARevertOutliveALoss(t *testing.T) {
	t.Parallel()
	w := undecided(t)
	branch := w.revert("web").Branch
	if _, err := w.repo.Push("ana", branch, "and one more thing", map[string]string{"stacks/web/more.tf": "# mine\n"}); err != nil {
		t.Fatal(err)
	}
	head := w.revert("web").Head
	w.lost(nil)
	w.waits("web", lifecycle.Reverting, "approving review")
	w.quiet("web")
	if got := w.revert("web").Head; got != head {
		t.Errorf("the branch stands at %s, ana left it at %s", got, head)
	}
	w.repo.Comment(w.revert("web").Number, "ana", "/upgrade approve")
	w.waits("web", lifecycle.Undoing, "")
	if got := mustFile(t, w, "main", "stacks/web/more.tf"); strings.TrimSpace(got) != "# mine" {
		t.Errorf("ana's file has %q", got)
	}
}
