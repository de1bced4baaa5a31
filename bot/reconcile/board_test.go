package reconcile_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/belaybot/belay/bot/report"
	"github.com/belaybot/belay/bot/sandbox"
	"github.com/belaybot/belay/rules/lifecycle"
)

// boardWorld is a world with a dashboard issue.
func boardWorld(t *testing.T, files map[string]string) *world {
	t.Helper()
	w := newWorld(t, files)
	w.stop()
	w.board = 50 * time.Millisecond
	w.start()
	w.up.say("2.0.0", breaking)
	return w
}

// dashboard is the dashboard issue that is there now.
func (w *world) dashboard() sandbox.Issue {
	for _, i := range w.repo.Issues() {
		if i.Author == "belay[bot]" && report.IsBoard(i.Body) {
			return i
		}
	}
	return sandbox.Issue{}
}

// shows waits until the dashboard shows a text.
func (w *world) shows(text string) sandbox.Issue {
	w.t.Helper()
	var i sandbox.Issue
	w.eventually("the dashboard shows "+text+"\n"+w.dashboard().Body, func() bool {
		i = w.dashboard()
		return strings.Contains(i.Body, text)
	})
	return i
}

// still waits until no dashboard is about to be edited.
func (w *world) still() {
	w.t.Helper()
	w.eventually("the dashboards are up to date", func() bool {
		var n int
		err := w.life.store.DB().QueryRow("SELECT COUNT(*) FROM river_job WHERE state NOT IN ('completed', 'discarded', 'cancelled') AND kind = 'board'").Scan(&n)
		return err == nil && n == 0
	})
}

func TestBoardShowsUpgradesAndItsBoxesAct(t *testing.T) {
	t.Parallel()
	w := boardWorld(t, nil)
	decoy := w.repo.OpenIssue("ana", report.BoardTitle, "my own notes", "belay")
	w.repo.SetPermission("bo", "read")
	w.dispatch("acme/web", "2.0.0")
	u := w.waits("web", lifecycle.Open, "approving review")
	i := w.shows("waits for an approving review")
	if i.Title != report.BoardTitle || i.Number == decoy || !slices.Contains(i.Labels, "belay") {
		t.Errorf("the issue is %+v", i)
	}

	if !w.repo.Tick(i.Number, "bo", "approve: let it be merged") {
		t.Fatalf("there is no box:\n%s", i.Body)
	}
	w.shows("bo said `approve`: not done: commands are for people with write permission")
	if strings.Contains(w.dashboard().Body, "[x]") {
		t.Error("the box stays ticked")
	}
	w.still()
	w.repo.Tick(i.Number, "renewal[bot]", "belay:do ignore "+u.ID) // a bot's edit is no command
	w.repo.Tick(i.Number, "ana", "belay:do hold "+u.ID)
	w.waits("web", lifecycle.Open, `"waits":"held"`)
	w.eventually("the dashboard says who", func() bool {
		for line := range strings.Lines(w.dashboard().Body) {
			if strings.Contains(line, "**web**") && strings.Contains(line, "Held by ana") {
				return true
			}
		}
		return false
	})
	w.still()
	w.repo.Tick(i.Number, "ana", "belay:do resume "+u.ID)
	w.waits("web", lifecycle.Open, "approving review")
	w.shows("waits for an approving review")
	w.still()
	w.repo.Tick(i.Number, "ana", "approve: let it be merged")
	w.waits("web", lifecycle.Unverified, "")
	w.shows("## Ended lately (1)")
	w.still()
	w.repo.Tick(i.Number, "ana", "roll back")
	w.eventually("the revert is open", func() bool { return w.revert("web").Number != 0 })
	if n := len(w.repo.Issues()); n != 2 {
		t.Errorf("%d issues", n)
	}
}

// TestBoardBelongsToBelay has people do to the issue what people do.
func TestBoardBelongsToBelay(t *testing.T) {
	t.Parallel()
	w := boardWorld(t, nil)
	w.dispatch("acme/web", "2.0.0")
	w.waits("web", lifecycle.Open, "approving review")
	first := w.shows("waits for an approving review")
	w.still()

	w.repo.EditIssue(first.Number, "ana", "something else")
	w.eventually("it is written anew", func() bool { return w.dashboard().Number == first.Number })

	w.still()
	w.repo.CloseIssue(first.Number, "ana")
	w.eventually("it is noticed", func() bool { return strings.Contains(w.boardFact(), `"closed":true`) })
	closed := w.dashboard().Body
	w.dispatch("acme/blog", "2.9.0") // not newer
	w.dispatch("acme/wiki", "4.0.1")
	w.waits("wiki", lifecycle.Unverified, "")
	w.still()
	if w.dashboard().Body != closed || w.dashboard().State != "closed" {
		t.Error("a closed dashboard was edited")
	}
	w.repo.ReopenIssue(first.Number, "ana")
	w.shows("**wiki**")

	w.still()
	w.repo.DeleteIssue(first.Number, "ana")
	w.eventually("another is opened", func() bool { return w.dashboard().Number > first.Number })
	second := w.dashboard().Number

	w.still()
	if _, err := w.life.store.DB().Exec("DELETE FROM facts WHERE name LIKE 'dashboard %'"); err != nil { // the state was lost
		t.Fatal(err)
	}
	w.dispatch("acme/blog", "3.0.1")
	w.shows("**blog**")
	w.still()
	if n := len(w.repo.Issues()); n != 1 || w.dashboard().Number != second {
		t.Errorf("%d issues, the dashboard is #%d: it was #%d", n, w.dashboard().Number, second)
	}
}

func (w *world) boardFact() string {
	text, _ := w.life.store.Get(context.Background(), "dashboard acme/home-ops")
	return text
}

func TestBoardStopsAndGoesOnWithEverything(t *testing.T) {
	t.Parallel()
	w := boardWorld(t, nil)
	w.repo.SetPermission("bo", "read")
	w.dispatch("acme/blog", "2.0.0") // not newer; so that there is nothing
	w.dispatch("acme/web", "2.0.0")
	w.waits("web", lifecycle.Open, "approving review")
	i := w.shows("**web**")
	w.repo.CommentIssue(i.Number, "bo", "/upgrade hold")
	w.shows("| bo | `hold` | Not done: commands are for people with write permission")
	w.repo.CommentIssue(i.Number, "ana", "thank you, belay")
	w.repo.CommentIssue(i.Number, "ana", "/upgrade hold a feast")
	w.shows("is held by ana since")
	w.repo.Comment(w.pull("web").Number, "ana", "/upgrade approve")
	w.dispatch("acme/wiki", "4.0.1")
	w.waits("wiki", lifecycle.Queued, "frozen")
	if w.pull("web").State != "open" {
		t.Error("merged in spite of the freeze")
	}
	w.shows("**wiki**")
	w.still()
	w.repo.Tick(i.Number, "ana", "go on with everything")
	w.waits("web", lifecycle.Unverified, "")
	w.waits("wiki", lifecycle.Unverified, "")
	i = w.shows("| ana | `resume` | goes on |")
	var reactions []string
	for _, c := range i.Comments {
		reactions = append(reactions, fmt.Sprint(c.Reactions))
	}
	if got := strings.Join(reactions, " "); got != "[eyes confused] [] [eyes rocket]" {
		t.Errorf("reactions %s", got)
	}
	w.still()
	w.repo.CommentIssue(i.Number, "ana", "/upgrade approve")
	w.shows("everything else goes by the boxes")
}

func TestBoardIsSwitchedOffAndOn(t *testing.T) {
	t.Parallel()
	w := boardWorld(t, nil)
	w.dispatch("acme/web", "2.0.0")
	w.waits("web", lifecycle.Open, "approving review")
	i := w.shows("**web**")
	w.still()
	set := func(text string) {
		t.Helper()
		if _, err := w.repo.Push("ana", "main", "belay.yml", map[string]string{".github/belay.yml": text}); err != nil {
			t.Fatal(err)
		}
	}
	set(config + "dashboard: { issue: false }\n")
	w.eventually("it is closed", func() bool {
		return w.dashboard().State == "closed" && strings.Contains(w.dashboard().Body, "switched off")
	})
	set(config + "dashbord: {}\n")
	w.eventually("it says what is wrong", func() bool {
		return w.dashboard().State == "open" && strings.Contains(w.dashboard().Body, `unknown key "dashbord"`)
	})
	set(config)
	w.eventually("it is as before", func() bool { return w.dashboard().State == "open" && !strings.Contains(w.dashboard().Body, "dashbord") })
	if w.dashboard().Number != i.Number {
		t.Error("it is another issue")
	}
}

func TestARepositoryWithoutIssuesHasNoBoard(t *testing.T) {
	t.Parallel()
	w := boardWorld(t, nil)
	w.repo.DisableIssues(true)
	w.dispatch("acme/web", "1.0.1")
	w.waits("web", lifecycle.Unverified, "")
	w.still()
	w.gh.ResetCalls()
	w.dispatch("acme/wiki", "4.0.1")
	w.waits("wiki", lifecycle.Unverified, "")
	w.still()
	if n := w.gh.Calls()["POST /repos/{owner}/{repo}/issues"]; n != 0 {
		t.Errorf("asked for %d times more", n)
	}
}

// TestBoardIsEditedOncePerBurst counts what an upgrade from dispatch to end
// costs with a dashboard, as it is configured in a running belay.
func TestBoardIsEditedOncePerBurst(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.stop()
	w.board = 10 * time.Second
	w.start()
	w.gh.ResetCalls()
	w.dispatch("acme/web", "1.0.1")
	w.waits("web", lifecycle.Unverified, "")
	w.shows("**web**")
	w.still()
	n, _, list := w.calls()
	t.Logf("from dispatch to the end, with a dashboard: %d calls to the API:%s", n, list)
	if n > 25 {
		t.Errorf("%d calls to the API, more than 25", n)
	}
	if edits := w.gh.Calls()["PATCH /repos/{owner}/{repo}/issues/{issue_number}"]; edits > 1 {
		t.Errorf("%d edits", edits)
	}
	w.gh.ResetCalls()
	u := w.upgrade("web")
	if err := w.life.engine.Board(t.Context(), u.Repository, true); err != nil {
		t.Fatal(err)
	}
	w.still()
	if n, _, list := w.calls(); n > 1 {
		t.Errorf("a dashboard that has not changed cost %d requests:%s", n, list)
	}
}
