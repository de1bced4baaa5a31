package reconcile_test

import (
	"context"
	"strings"
	"testing"

	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/rules/lifecycle"
)

// failing is a world in which CI cannot apply the next merge.
func failing(t *testing.T, files map[string]string) *world {
	w := newWorld(t, files)
	w.repo.AutoChecks(map[string]string{"ci": "success"})
	return w
}

// applied has CI end for a commit.
func (w *world) applied(sha, state string) {
	w.t.Helper()
	if sha == "" {
		w.t.Fatal("nothing was merged")
	}
	w.repo.SetStatus(sha, "deploy", state)
}

func TestFailedApplyIsUndone(t *testing.T) {
	t.Parallel()
	w := failing(t, nil)
	w.dispatch("acme/web", "1.0.1")
	w.waits("web", lifecycle.Applying, "")
	// Somebody changes the same file meanwhile: the undo keeps that.
	text, err := w.repo.File("main", "stacks/web/main.tf")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.repo.Push("ana", "main", "say what it is", map[string]string{"stacks/web/main.tf": "# the web\n" + text}); err != nil {
		t.Fatal(err)
	}
	w.applied(w.pull("web").MergeSHA, "failure")
	w.waits("web", lifecycle.Undoing, "")
	p := w.revert("web")
	if p.Title != "revert: web 1.0.1 → 1.0.0" || !strings.HasPrefix(p.Body, "**Undoes web `1.0.1`** and puts `1.0.0` back.") || !strings.Contains(p.Body, "CI could not apply it") {
		t.Errorf("%s\n%s", p.Title, p.Body)
	}
	if got, want := mustFile(t, w, "main", "stacks/web/main.tf"), "# the web\n"+stack("acme/web:1.0.0"); strings.TrimSpace(got) != strings.TrimSpace(want) {
		t.Errorf("main has\n%s\nwant\n%s", got, want)
	}
	w.applied(p.MergeSHA, "success")
	w.waits("web", lifecycle.Reverted, "")
	w.eventually("the pull request says so", func() bool {
		c := w.pull("web").Comments
		return len(c) == 1 && strings.Contains(c[0].Body, "Undone: 1.0.0 runs again")
	})
	// The version is not tried again, a newer one is.
	w.redispatch("acme/web", "1.0.1")
	if n := w.pulls("web"); n != 1 {
		t.Errorf("%d pull requests of a version that failed", n)
	}
	w.repo.AutoChecks(map[string]string{"ci": "success", "deploy": "success"})
	w.dispatch("acme/web", "1.0.2")
	w.waits("web", lifecycle.Unverified, "")
	if got := w.image("web"); got != "acme/web:1.0.2" {
		t.Errorf("main runs %s", got)
	}
}

func mustFile(t *testing.T, w *world, ref, path string) string {
	t.Helper()
	s, err := w.repo.File(ref, path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestMigratedDataIsNotRevertedBlindly(t *testing.T) {
	t.Parallel()
	w := failing(t, nil)
	w.up.say("2.0.1", "### Changed\n\n- A database migration converts the list of links at start.")
	w.dispatch("acme/data", "2.0.1")
	w.waits("data", lifecycle.Open, "approving review")
	w.repo.Comment(w.pull("data").Number, "ana", "/upgrade approve")
	w.waits("data", lifecycle.Applying, "")
	w.applied(w.pull("data").MergeSHA, "failure")
	w.waits("data", lifecycle.Reverting, "data may have been migrated")
	p := w.revert("data")
	first, _, _ := strings.Cut(p.Body, "\n")
	if !strings.Contains(first, "may have migrated data") || !strings.Contains(first, "dbaas/backup") {
		t.Errorf("the first line is %q", first)
	}
	w.repo.Comment(p.Number, "ana", "/upgrade restore")
	w.eventually("the answer on the revert", func() bool {
		c := w.revert("data").Comments
		return len(c) == 2 && strings.Contains(c[1].Body, "no restore is configured")
	})
	w.repo.Comment(p.Number, "ana", "/upgrade approve")
	w.waits("data", lifecycle.Undoing, "")
	w.applied(w.revert("data").MergeSHA, "success")
	w.waits("data", lifecycle.Reverted, "")
}

func TestUndoThatClashesCallsAPerson(t *testing.T) {
	t.Parallel()
	w := failing(t, nil)
	w.dispatch("acme/web", "1.0.1")
	w.waits("web", lifecycle.Applying, "")
	if _, err := w.repo.Push("ana", "main", "mend", map[string]string{"stacks/web/main.tf": stack("acme/web:1.0.7")}); err != nil {
		t.Fatal(err)
	}
	w.applied(w.pull("web").MergeSHA, "failure")
	w.waits("web", lifecycle.Reverting, "changed since")
	w.eventually("both sides are shown", func() bool {
		c := w.pull("web").Comments
		return len(c) == 1 && strings.Contains(c[0].Body, "acme/web is at \"1.0.7\" now") && strings.Contains(c[0].Body, "would put \"1.0.0\" back")
	})
	if p := w.revert("web"); p.Number != 0 {
		t.Errorf("#%d was opened against a person's change", p.Number)
	}
	w.repo.Comment(w.pull("web").Number, "ana", "/upgrade resume")
	w.waits("web", lifecycle.Failed, "")
}

func TestSomebodyUndidIt(t *testing.T) {
	t.Parallel()
	w := failing(t, nil)
	w.dispatch("acme/web", "1.0.1")
	w.waits("web", lifecycle.Applying, "")
	if _, err := w.repo.Push("ana", "main", "back", map[string]string{"stacks/web/main.tf": stack("acme/web:1.0.0")}); err != nil {
		t.Fatal(err)
	}
	w.applied(w.pull("web").MergeSHA, "failure")
	w.waits("web", lifecycle.Reverted, "")
	if p := w.revert("web"); p.Number != 0 {
		t.Errorf("#%d undoes what was undone", p.Number)
	}
}

func TestFailedRevertIsCriticalAndLocksTheService(t *testing.T) {
	t.Parallel()
	w := failing(t, nil)
	w.dispatch("acme/web", "1.0.1")
	w.waits("web", lifecycle.Applying, "")
	w.applied(w.pull("web").MergeSHA, "failure")
	w.waits("web", lifecycle.Undoing, "")
	w.applied(w.revert("web").MergeSHA, "failure")
	critical := w.waits("web", lifecycle.Critical, "")
	w.eventually("a person is called", func() bool {
		c := w.pull("web").Comments
		return len(c) == 1 && strings.Contains(c[0].Body, "CRITICAL")
	})
	w.dispatch("acme/web", "1.0.2")
	w.eventually("the next upgrade of web waits for /upgrade resume", func() bool {
		queued, err := w.life.store.Upgrades(context.Background(), store.Filter{Service: "web", State: string(lifecycle.Queued)})
		return err == nil && len(queued) == 1 && strings.Contains(string(queued[0].Data), "resume")
	})
	w.dispatch("acme/blog", "3.0.1") // other services go on
	w.waits("blog", lifecycle.Applying, "")
	w.applied(w.pull("blog").MergeSHA, "success")
	w.waits("blog", lifecycle.Unverified, "")
	w.repo.Comment(critical.Pull, "ana", "/upgrade resume")
	w.waits("web", lifecycle.Applying, "")
	w.applied(w.pull("web").MergeSHA, "success")
	w.waits("web", lifecycle.Unverified, "")
}

func TestRollbackDaysLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.dispatch("acme/web", "1.0.1")
	w.waits("web", lifecycle.Unverified, "")
	w.dispatch("acme/blog", "3.0.1")
	w.waits("blog", lifecycle.Unverified, "")
	w.repo.Comment(w.pull("web").Number, "ana", "/upgrade rollback slower than before")
	w.waits("web", lifecycle.Reverted, "rolled back by ana: slower than before")
	if web, blog := w.image("web"), w.image("blog"); web != "acme/web:1.0.0" || blog != "acme/blog:3.0.1" {
		t.Errorf("main runs %s and %s", web, blog)
	}
}

func TestClosedRevertIsLeftToThePerson(t *testing.T) {
	t.Parallel()
	w := failing(t, nil)
	w.repo.AutoChecks(map[string]string{})
	w.repo.RequireChecks("ci")
	w.dispatch("acme/web", "1.0.1")
	w.waits("web", lifecycle.Open, "waits for the checks")
	w.repo.SetStatus(w.pull("web").Head, "ci", "success")
	w.waits("web", lifecycle.Applying, "")
	w.applied(w.pull("web").MergeSHA, "failure")
	w.waits("web", lifecycle.Reverting, "waits for the checks of the revert")
	w.repo.Close(w.revert("web").Number, "ana")
	w.waits("web", lifecycle.Failed, "")
	blocks, err := w.life.store.Blocks(context.Background(), "acme/home-ops", "web")
	if err != nil || len(blocks) != 1 {
		t.Errorf("%d blocks, %v", len(blocks), err)
	}
}
