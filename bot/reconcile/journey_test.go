package reconcile_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/belaybot/belay/bot/report"
	"github.com/belaybot/belay/bot/sandbox"
	"github.com/belaybot/belay/rules/lifecycle"
)

const breaking = "### Breaking changes\n\n- `OLD_SETTING` was removed: set `NEW_SETTING` instead"

func TestTwoVersionsPlannedAtOnceComeToTheNewer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.stop()
	var both sync.WaitGroup
	both.Add(2)
	first := make(chan struct{}, 2) // the first two plans meet; those after them do not wait
	first <- struct{}{}
	first <- struct{}{}
	w.up.meet = func() {
		select {
		case <-first:
			both.Done()
			both.Wait()
		default:
		}
	}
	w.start()
	w.repo.RequireChecks("slow") // nothing is merged before both are planned
	w.dispatch("acme/web", "1.0.1")
	w.dispatch("acme/web", "1.0.2")
	w.waits("web", lifecycle.Open, "\"tag\":\"1.0.2\"")
	if n := w.pulls("web"); n != 1 {
		t.Errorf("%d pull requests", n)
	}
	w.eventually("the pull request is of the newer one", func() bool { return w.pull("web").Title == "upgrade: web 1.0.0 → 1.0.2" })
}

func TestSafeUpgradeIsMergedByItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.gh.ResetCalls()
	w.dispatch("acme/web", "1.0.1")
	w.waits("web", lifecycle.Unverified, "")
	if got := w.image("web"); got != "acme/web:1.0.1" {
		t.Errorf("main runs %s", got)
	}
	p := w.pull("web")
	if p.State != "merged" || p.MergedBy != "belay[bot]" || p.Title != "upgrade: web 1.0.0 → 1.0.1" {
		t.Errorf("pull request %q is %s by %s", p.Title, p.State, p.MergedBy)
	}
	if subject := w.repo.Log("main")[0]; subject != "upgrade: web 1.0.0 → 1.0.1 (#1)" {
		t.Errorf("main's newest commit is %q", subject)
	}
	if !slices.Contains(p.Labels, "risk: safe") {
		t.Errorf("labels %q", p.Labels)
	}
	n, pushes, list := w.calls()
	t.Logf("from dispatch to the end: %d calls to the API, %d of git's:%s", n, pushes, list)
	if n > 25 {
		t.Errorf("%d calls to the API, more than 25", n)
	}
}

func TestBackupComesBeforeTheMerge(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.backups.set("dbaas/backup", lifecycle.Bad)
	w.dispatch("acme/data", "2.0.1")
	w.waits("data", lifecycle.Aborted, "")
	p := w.pull("data")
	if p.State != "open" || w.image("data") != "acme/data:2.0.0" {
		t.Fatalf("merged without a backup: %s, %s", p.State, w.image("data"))
	}
	w.eventually("the comment and the check say so", func() bool {
		p = w.pull("data")
		return len(p.Comments) == 1 && strings.Contains(p.Comments[0].Body, "the last lines of the log") &&
			slices.ContainsFunc(p.CheckRuns, func(c sandbox.CheckRun) bool { return c.Name == "belay/backup" && c.Conclusion == "failure" })
	})
	w.backups.set("dbaas/backup", lifecycle.Good)
	w.repo.Comment(p.Number, "ana", "/upgrade retry")
	w.waits("data", lifecycle.Unverified, "")
	if w.image("data") != "acme/data:2.0.1" {
		t.Errorf("main runs %s", w.image("data"))
	}
}

func TestBackupOnDemand(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.repo.AutoChecks(map[string]string{"deploy": "success"})
	w.repo.RequireChecks("ci")
	w.dispatch("acme/data", "2.0.1")
	w.waits("data", lifecycle.Open, "waits for the checks")
	w.repo.Comment(w.pull("data").Number, "ana", "/upgrade backup")
	w.waits("data", lifecycle.Open, `"state":"good"`)
	w.repo.SetStatus(w.pull("data").Head, "ci", "success")
	w.waits("data", lifecycle.Unverified, "")
	w.backups.mu.Lock()
	defer w.backups.mu.Unlock()
	if n := len(w.backups.made); n != 2 {
		t.Errorf("%d backups: one was asked for, and one has to begin once the checks are green", n)
	}
}

func TestTheBackupIsNamedBeforeItIsBegun(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.repo.AutoChecks(nil)
	w.repo.RequireChecks("ci")
	for service, want := range map[string]bool{"data": true, "web": false} {
		w.dispatch("acme/"+service, map[string]string{"data": "2.0.1", "web": "1.0.1"}[service])
		u := w.waits(service, lifecycle.Open, "waits for the checks")
		if strings.Contains(string(u.Data), `"dbaas/backup"`) != want {
			t.Errorf("%s: messages about it cannot tell what backup it gets: %s", service, u.Data)
		}
	}
}

func TestCautionWaitsForAPerson(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.up.say("2.0.0", breaking)
	w.repo.SetPermission("bo", "read")
	w.dispatch("acme/web", "2.0.0")
	w.waits("web", lifecycle.Open, "approving review")
	p := w.pull("web")
	w.repo.Review(p.Number, "bo", "approved") // may not write
	w.repo.Comment(p.Number, "bo", "/upgrade approve")
	w.eventually("a polite refusal", func() bool {
		p = w.pull("web")
		return len(p.Comments) == 2 && slices.Contains(p.Comments[0].Reactions, "confused") && strings.Contains(p.Comments[1].Body, "write permission")
	})
	if p.State != "open" {
		t.Fatal("merged for somebody without write permission")
	}
	w.repo.Review(p.Number, "ana", "changes_requested")
	w.waits("web", lifecycle.Open, "asked for changes")
	w.repo.Review(p.Number, "ana", "approved")
	w.waits("web", lifecycle.Unverified, "")
}

func TestCommands(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.up.say("2.0.0", breaking)
	w.dispatch("acme/web", "2.0.0")
	w.waits("web", lifecycle.Open, "approving review")
	n := w.pull("web").Number
	said := func(text string) func() bool {
		return func() bool {
			for _, c := range w.pull("web").Comments {
				if report.IsStatus(c.Body) && strings.Contains(c.Body, text) {
					return true
				}
			}
			return false
		}
	}
	w.repo.Comment(n, "ana", "> /upgrade approve\n\nwhat does this do?")
	w.repo.Comment(n, "ana", "/upgrade aprove")
	w.eventually("the nearest verb is suggested", said("did you mean `/upgrade approve`"))
	w.repo.Comment(n, "ana", "/upgrade hold until the weekend")
	w.waits("web", lifecycle.Open, "until the weekend")
	w.repo.Comment(n, "ana", "/upgrade approve")
	w.eventually("the approval is answered", said("approved "))
	w.repo.Comment(n, "belay[bot]", "/upgrade resume") // the bot's own words are none
	w.repo.Comment(n, "ana", "/upgrade status\n/upgrade help\n/belay step all")
	w.eventually("the list of commands", said("agree to the merge"))
	if p := w.pull("web"); p.State != "open" {
		t.Fatal("merged while held")
	}
	w.repo.Comment(n, "ana", "/upgrade resume")
	w.waits("web", lifecycle.Unverified, "")
	statuses := 0
	for _, c := range w.pull("web").Comments {
		if report.IsStatus(c.Body) {
			statuses++
		}
	}
	if statuses != 1 {
		t.Errorf("%d status comments", statuses)
	}
}

func TestNewerTagUpdatesInPlace(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.up.say("2.0.0", breaking)
	w.up.say("2.0.1", breaking)
	w.dispatch("acme/web", "2.0.0")
	w.waits("web", lifecycle.Open, "approving review")
	w.dispatch("acme/web", "2.0.1")
	w.eventually("the pull request moves on", func() bool { return w.pull("web").Title == "upgrade: web 1.0.0 → 2.0.1" })
	w.eventually("and says so", func() bool {
		p := w.pull("web")
		return len(p.Comments) == 1 && strings.Contains(p.Comments[0].Body, "Updated from 2.0.0 to 2.0.1")
	})
	if n := w.pulls("web"); n != 1 {
		t.Errorf("%d pull requests", n)
	}
	if s, err := w.repo.File(w.pull("web").Branch, "stacks/web/main.tf"); err != nil || !strings.Contains(s, "acme/web:2.0.1") {
		t.Errorf("the branch holds %q, %v", s, err)
	}
}

func TestAPersonsCommitsAreNotOverwritten(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.up.say("2.0.0", breaking)
	w.up.say("2.0.1", breaking)
	w.dispatch("acme/web", "2.0.0")
	w.waits("web", lifecycle.Open, "approving review")
	p := w.pull("web")
	sha, err := w.repo.Push("ana", p.Branch, "set the new setting", map[string]string{"stacks/web/env.tf": "# NEW_SETTING\n"})
	if err != nil {
		t.Fatal(err)
	}
	w.dispatch("acme/web", "2.0.1")
	w.eventually("the newer version is noted", func() bool { return strings.Contains(string(w.upgrade("web").Data), `"newer"`) })
	w.repo.Review(p.Number, "ana", "approved")
	w.eventually("the newer version has a pull request of its own", func() bool { return w.pull("web").Title == "upgrade: web 2.0.0 → 2.0.1" })
	if first := w.pullsOf("web", "")[0]; first.Number != p.Number || first.Head != sha || first.State != "merged" {
		t.Errorf("the branch was changed under a person's commits: %s is at %s, and theirs was %s", first.State, first.Head, sha)
	}
	if _, err := w.repo.File("main", "stacks/web/env.tf"); err != nil {
		t.Errorf("the person's file is not merged: %v", err)
	}
}

func TestClosedByAPersonStaysClosed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.up.say("2.0.0", breaking)
	w.dispatch("acme/web", "2.0.0")
	w.waits("web", lifecycle.Open, "approving review")
	w.repo.Close(w.pull("web").Number, "ana")
	w.waits("web", lifecycle.Closed, "")
	w.redispatch("acme/web", "2.0.0")
	if n := w.pulls("web"); n != 1 {
		t.Errorf("%d pull requests", n)
	}
	w.dispatch("acme/web", "1.0.1")
	w.waits("web", lifecycle.Unverified, "")
}

func TestBranchDeletedIsClosed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.up.say("2.0.0", breaking)
	w.dispatch("acme/web", "2.0.0")
	w.waits("web", lifecycle.Open, "approving review")
	if err := w.repo.DeleteBranch(w.pull("web").Branch, "ana"); err != nil {
		t.Fatal(err)
	}
	w.waits("web", lifecycle.Closed, "")
}

func TestBaseMovedUnderTheEdit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.up.say("2.0.0", breaking)
	w.dispatch("acme/web", "2.0.0")
	u := w.waits("web", lifecycle.Open, "approving review")
	if _, err := w.repo.Push("ana", "main", "elsewhere", map[string]string{"README.md": "# changed\n"}); err != nil {
		t.Fatal(err)
	}
	w.eventually("the base was looked at", func() bool { return w.upgrade("web").Version > u.Version })
	head := w.pull("web").Head
	if _, err := w.repo.Push("ana", "main", "by hand", map[string]string{"stacks/web/main.tf": stack("acme/web:1.5.0")}); err != nil {
		t.Fatal(err)
	}
	w.eventually("it is built anew", func() bool { return w.pull("web").Title == "upgrade: web 1.5.0 → 2.0.0" })
	if w.pull("web").Head == head {
		t.Error("the branch is the old one")
	}
	if _, err := w.repo.Push("ana", "main", "all the way", map[string]string{"stacks/web/main.tf": stack("acme/web:2.0.0")}); err != nil {
		t.Fatal(err)
	}
	w.waits("web", lifecycle.Obsolete, "")
	if p := w.pull("web"); p.State != "closed" {
		t.Errorf("the pull request is %s", p.State)
	}
}

func TestMarkerIsPutBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.up.say("2.0.0", breaking)
	w.dispatch("acme/web", "2.0.0")
	w.waits("web", lifecycle.Open, "approving review")
	p := w.pull("web")
	forged := report.Marker{Format: 1, Service: "data", To: "9.9.9"}
	w.repo.SetBody(p.Number, "nothing to see\n\n"+forged.String())
	w.eventually("the body is belay's again", func() bool {
		m, err := report.ParseMarker(w.pull("web").Body)
		return err == nil && m.Service == "web"
	})
}

func TestMergedByHandWithoutTheBackup(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.up.say("3.0.0", breaking)
	w.dispatch("acme/data", "3.0.0")
	w.waits("data", lifecycle.Open, "approving review")
	if err := w.repo.MergeAs(w.pull("data").Number, "ana"); err != nil {
		t.Fatal(err)
	}
	w.waits("data", lifecycle.Unverified, "")
	w.eventually("it says that nothing was backed up", func() bool {
		p := w.pull("data")
		return len(p.Comments) == 1 && strings.Contains(p.Comments[0].Body, "without the backup")
	})
}

// TestANewerVersionOfWhatAPersonHasMerged is dispatched before belay has heard of the merge.
func TestANewerVersionOfWhatAPersonHasMerged(t *testing.T) {
	for _, tc := range []struct {
		name string
		act  func(w *world, number int) error
		way  []string // what came out besides 2.0.0 and 2.1.0
		step string   // what is open when the newer version comes out
		want string
	}{
		{"merged", func(w *world, number int) error { return w.repo.MergeAs(number, "ana") }, nil, "2.0.0", "2.0.0 → 2.1.0"},
		{"closed", func(w *world, number int) error { w.repo.Close(number, "ana"); return nil }, nil, "2.0.0", "1.0.0 → 2.1.0"},
		{"closed as a step of a ladder", func(w *world, number int) error { w.repo.Close(number, "ana"); return nil }, []string{"1.1.0"}, "1.1.0", "1.0.0 → 2.0.0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			w.up.say("2.0.0", breaking)
			w.up.say("2.1.0", breaking)
			if tc.way != nil {
				w.up.releases(append(append([]string{"1.0.0"}, tc.way...), "2.0.0", "2.1.0")...)
			}
			w.dispatch("acme/web", "2.0.0")
			number := w.pullTo(tc.step).Number
			w.quiet("web")
			w.gh.SetWebhook("")
			if err := tc.act(w, number); err != nil {
				t.Fatal(err)
			}
			w.redispatch("acme/web", "2.1.0")
			_, to, _ := strings.Cut(tc.want, " → ")
			p := w.pullTo(to)
			if want := "upgrade: web " + tc.want; p.Title != want || w.pulls("web") != 2 {
				t.Errorf("%s in %d pull requests, want %s", p.Title, w.pulls("web"), want)
			}
			for _, u := range w.steps() {
				if strings.Contains(string(u.Data), `"newer":`) {
					t.Errorf("it is to go on for ever: %s", u.Data)
				}
			}
		})
	}
}

func TestOneMergeAtATime(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.repo.AutoChecks(map[string]string{"ci": "success"})
	w.dispatch("acme/web", "1.0.1")
	w.waits("web", lifecycle.Applying, "")
	w.dispatch("acme/blog", "3.0.1")
	w.waits("blog", lifecycle.Open, "has been applied")
	w.repo.SetStatus(w.pull("web").MergeSHA, "deploy", "success")
	w.waits("web", lifecycle.Unverified, "")
	w.waits("blog", lifecycle.Applying, "")
	w.repo.SetStatus(w.pull("blog").MergeSHA, "deploy", "failure")
	w.waits("blog", lifecycle.Undoing, "")
	w.repo.SetStatus(w.revert("blog").MergeSHA, "deploy", "success")
	w.waits("blog", lifecycle.Reverted, "")
	blocks, err := w.life.store.Blocks(context.Background(), "acme/home-ops", "blog")
	if err != nil || len(blocks) != 1 || blocks[0].Target != "3.0.1" {
		t.Errorf("blocks %+v, %v", blocks, err)
	}
}

func TestChecksGateTheMerge(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.repo.AutoChecks(map[string]string{"deploy": "success"})
	w.repo.RequireChecks("terraform plan")
	w.dispatch("acme/web", "1.0.1")
	w.waits("web", lifecycle.Open, "waits for the checks")
	w.repo.SetStatus(w.pull("web").Head, "terraform plan", "failure")
	w.waits("web", lifecycle.Open, "a check failed")
	w.repo.SetStatus(w.pull("web").Head, "terraform plan", "success")
	w.waits("web", lifecycle.Unverified, "")
}

func TestRateLimitDefersAndDropsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{".github/belay.yml": strings.Replace(config, "upgrades: 50", "upgrades: 2", 1)})
	for _, d := range [][2]string{{"acme/web", "1.0.1"}, {"acme/blog", "3.0.1"}, {"acme/wiki", "4.0.1"}, {"acme/data", "2.0.1"}} {
		w.dispatch(d[0], d[1])
		w.eventually("the dispatch is planned", func() bool { return w.upgrade(d[0][5:]).ID != "" })
	}
	w.waits("web", lifecycle.Unverified, "")
	w.waits("blog", lifecycle.Unverified, "")
	w.waits("wiki", lifecycle.Queued, "rate limit")
	u := w.waits("data", lifecycle.Queued, "rate limit")
	if u.Wake.IsZero() {
		t.Error("nothing wakes it")
	}
	if n := len(w.repo.Pulls()); n != 2 {
		t.Errorf("%d pull requests", n)
	}
}

func TestAppSuspended(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.up.say("2.0.0", breaking)
	w.dispatch("acme/web", "2.0.0")
	w.waits("web", lifecycle.Open, "approving review")
	w.gh.Suspend("acme", true)
	w.waits("web", lifecycle.Open, "suspended")
	w.gh.Suspend("acme", false)
	w.waits("web", lifecycle.Open, "approving review")
}

func TestRepositoryRenamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.up.say("2.0.0", breaking)
	w.dispatch("acme/web", "2.0.0")
	w.waits("web", lifecycle.Open, "approving review")
	w.repo.Rename("home")
	w.eventually("the name is followed", func() bool { return w.upgrade("web").Repository == "acme/home" })
	w.repo.Review(w.pull("web").Number, "ana", "approved")
	w.waits("web", lifecycle.Unverified, "")
}

func TestBaseForcePushed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.up.say("2.0.0", breaking)
	w.dispatch("acme/web", "2.0.0")
	w.waits("web", lifecycle.Open, "approving review")
	if _, err := w.repo.ForcePush("ana", "main", map[string]string{".github/belay.yml": config, "stacks/web/main.tf": "# moved\n" + stack("acme/web:1.0.0")}); err != nil {
		t.Fatal(err)
	}
	w.repo.Review(w.pull("web").Number, "ana", "approved")
	w.eventually("the branch stands on the new base", func() bool {
		s, err := w.repo.File(w.pull("web").Branch, "stacks/web/main.tf")
		return err == nil && strings.HasPrefix(s, "# moved\n") && strings.Contains(s, "acme/web:2.0.0")
	})
}
