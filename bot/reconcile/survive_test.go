package reconcile_test

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/belaybot/belay/bot/report"
	"github.com/belaybot/belay/bot/sandbox"
	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/rules/lifecycle"
)

// status is the text of belay's comment on a service's pull request.
func (w *world) status(service string) string {
	for _, c := range w.pull(service).Comments {
		if report.IsStatus(c.Body) {
			return c.Body
		}
	}
	return ""
}

// comment finds a comment by its id.
func (w *world) comment(service string, id int64) sandbox.Comment {
	for _, c := range w.pull(service).Comments {
		if c.ID == id {
			return c
		}
	}
	return sandbox.Comment{}
}

func TestWordsThatAreNoCommands(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.up.say("2.0.0", breaking)
	w.repo.SetPermission("bo", "read")
	w.repo.SetPermission("robot[bot]", "admin")
	w.dispatch("acme/web", "2.0.0")
	w.waits("web", lifecycle.Open, "approving review")
	n := w.pull("web").Number
	refused := []int64{w.repo.Comment(n, "bo", "/upgrade approve"), w.repo.Comment(n, "bo", "/upgrade approve\n/upgrade hold")}
	silent := []int64{
		w.repo.Comment(n, "ana", "> /upgrade approve\n\nshould we?"),
		w.repo.Comment(n, "ana", "please do not `/upgrade approve` this"),
		w.repo.Comment(n, "ana", "```\n/upgrade approve\n```"),
		w.repo.Comment(n, "robot[bot]", "/upgrade approve"),
		w.repo.Comment(n, "belay[bot]", "/upgrade approve"),
	}
	edited := w.repo.Comment(n, "ana", "looks fine")
	w.repo.EditComment(n, edited, "/upgrade approve")
	last := w.repo.Comment(n, "ana", "/upgrade status")
	w.eventually("the one command is answered", func() bool { return slices.Contains(w.comment("web", last).Reactions, "rocket") })
	w.quiet("web")
	for _, id := range refused {
		if got := w.comment("web", id).Reactions; !slices.Equal(got, []string{"eyes", "confused"}) {
			t.Errorf("bo's command has the reactions %v", got)
		}
	}
	for _, id := range append(silent, edited) {
		if c := w.comment("web", id); len(c.Reactions) != 0 {
			t.Errorf("%q by %s has the reactions %v", c.Body, c.Login, c.Reactions)
		}
	}
	if text := w.status("web"); strings.Count(text, "write permission") != 1 {
		t.Errorf("the refusal is not said once:\n%s", text)
	}
	if p := w.pull("web"); p.State != "open" {
		t.Errorf("the pull request is %s", p.State)
	}
}

func TestBrokenConfigurationStopsAllUntilItIsMended(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.up.say("2.0.0", breaking)
	w.dispatch("acme/web", "2.0.0")
	w.waits("web", lifecycle.Open, "approving review")
	if _, err := w.repo.Push("ana", "main", "a typo", map[string]string{".github/belay.yml": "aply: { checks: [deploy] }\n"}); err != nil {
		t.Fatal(err)
	}
	w.repo.Review(w.pull("web").Number, "ana", "approved")
	w.dispatch("acme/blog", "3.0.1")
	w.eventually("looks fail", func() bool {
		var n int
		err := w.life.store.DB().QueryRow("SELECT COUNT(*) FROM river_job WHERE state IN ('available', 'scheduled', 'retryable', 'running') AND json_extract(args, '$.failed') > 2").Scan(&n)
		return err == nil && n >= 2
	})
	if p := w.pull("web"); p.State != "open" || w.pulls("blog") != 0 {
		t.Fatalf("web's pull request is %s, blog has %d", p.State, w.pulls("blog"))
	}
	if _, err := w.repo.Push("ana", "main", "mended", map[string]string{".github/belay.yml": config}); err != nil {
		t.Fatal(err)
	}
	w.waits("web", lifecycle.Unverified, "")
	w.waits("blog", lifecycle.Unverified, "")
}

func TestOneImageInSeveralServices(t *testing.T) {
	t.Parallel()
	files := map[string]string{}
	services := []string{"cache-a", "cache-b", "cache-c", "cache-d", "cache-e"}
	for _, s := range services {
		files["stacks/"+s+"/main.tf"] = stack("acme/cache:1.0.0")
	}
	w := newWorld(t, files)
	w.up.say("2.0.0", breaking)
	w.dispatch("acme/cache", "2.0.0")
	for _, s := range services {
		w.waits(s, lifecycle.Open, "approving review")
	}
	for _, s := range services {
		w.onlyTouches(w.pull(s).Branch, "stacks/"+s+"/main.tf")
		w.repo.Review(w.pull(s).Number, "ana", "approved")
	}
	for _, s := range services {
		w.waits(s, lifecycle.Unverified, "")
		w.doneOnce(s, "acme/cache:2.0.0")
	}
}

// onlyTouches checks which files a branch changes against where it left main.
func (w *world) onlyTouches(branch string, want ...string) {
	w.t.Helper()
	got := strings.Fields(w.git("diff", "--name-only", "main..."+branch))
	if !slices.Equal(got, want) {
		w.t.Errorf("%s changes %v, want %v", branch, got, want)
	}
}

// git asks the repository on the stand-in.
func (w *world) git(args ...string) string {
	w.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = w.repo.Dir()
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.t.Fatalf("git %v: %v: %s", args, err, out)
	}
	return string(out)
}

// TestTwoUpgradesOfOneFile has two images of one service, in one file, move at
// the same time and to the same version: neither sees the other's edit.
func TestTwoUpgradesOfOneFile(t *testing.T) {
	t.Parallel()
	both := func(app, side string) string {
		return strings.Replace(stack("acme/app:"+app), "        }\n      }\n", "        }\n        container {\n          image = \"acme/side:"+side+"\"\n        }\n      }\n", 1)
	}
	w := newWorld(t, map[string]string{"stacks/pair/main.tf": both("1.0.0", "1.0.0")})
	w.up.say("2.0.0", breaking)
	w.dispatch("acme/app", "2.0.0")
	w.dispatch("acme/side", "2.0.0")
	w.eventually("both wait for a person", func() bool {
		list, err := w.life.store.Upgrades(context.Background(), store.Filter{Service: "pair"})
		n := 0
		for _, u := range list {
			if u.State == string(lifecycle.Open) && strings.Contains(string(u.Data), "approving review") {
				n++
			}
		}
		return err == nil && n == 2
	})
	pulls := w.repo.Pulls()
	if len(pulls) != 2 {
		t.Fatalf("%d pull requests", len(pulls))
	}
	seen := map[string]bool{}
	for _, p := range pulls {
		s, err := w.repo.File(p.Branch, "stacks/pair/main.tf")
		if err != nil {
			t.Fatal(err)
		}
		seen[strings.TrimSpace(s)] = true
	}
	for _, want := range []string{both("2.0.0", "1.0.0"), both("1.0.0", "2.0.0")} {
		if !seen[strings.TrimSpace(want)] {
			t.Errorf("no branch holds\n%s\nbut %v", want, seen)
		}
	}
	for _, p := range pulls {
		w.repo.Review(p.Number, "ana", "approved")
	}
	w.eventually("main has both", func() bool {
		s, err := w.repo.File("main", "stacks/pair/main.tf")
		return err == nil && strings.TrimSpace(s) == strings.TrimSpace(both("2.0.0", "2.0.0"))
	})
}

// TestRateLimitKeepsTheOrder has a window that opens anew: what waited starts in
// the order in which it came.
func TestRateLimitKeepsTheOrder(t *testing.T) {
	t.Parallel()
	files := map[string]string{".github/belay.yml": strings.Replace(config, "upgrades: 50, window: 6h", "upgrades: 2, window: 2s", 1)}
	order := []string{"q4", "q2", "q5", "q1", "q3"}
	for _, s := range order {
		files["stacks/"+s+"/main.tf"] = stack("acme/" + s + ":1.0.0")
	}
	w := newWorld(t, files)
	for _, s := range order {
		w.dispatch("acme/"+s, "1.0.1")
		w.eventually("the dispatch is planned", func() bool { return w.upgrade(s).ID != "" })
	}
	var started []int64
	for _, s := range order {
		started = append(started, w.waits(s, lifecycle.Unverified, "").Started.UnixMicro())
	}
	for i := 2; i < len(order); i++ {
		if started[i] <= started[i-2] {
			t.Errorf("%s started before %s, which came two before it: %v", order[i], order[i-2], started)
		}
	}
}

func TestHostileNotesDoNotReachMain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.up.say("2.0.0", "### Breaking changes [skip ci]\n\n- `OLD` was removed [ci skip] by @acme/ops, fixes #1 and acme/home-ops#1 ***NO_CI***\n\nskip-checks: true\n\n<!-- belay:marker:v1 e30= --> [skip actions]\n\n/upgrade approve\n")
	w.dispatch("acme/web", "2.0.0")
	w.waits("web", lifecycle.Open, "approving review")
	p := w.pull("web")
	if m, err := report.ParseMarker(p.Body); err != nil || m.Service != "web" {
		t.Errorf("the marker is %+v, %v", m, err)
	}
	w.repo.Review(p.Number, "ana", "approved")
	w.waits("web", lifecycle.Unverified, "")
	commit := strings.ToLower(w.git("log", "-1", "--format=%B", "main"))
	for _, bad := range []string{"[skip ci]", "[ci skip]", "[skip actions]", "***no_ci***", "skip-checks: true", "@acme", "fixes #1", "home-ops#1", "<!--"} {
		if strings.Contains(commit, bad) {
			t.Errorf("%q reached main:\n%s", bad, commit)
		}
	}
	for _, bad := range []string{" @acme/ops", "fixes #1 "} {
		if strings.Contains(p.Body, bad) {
			t.Errorf("%q stands in the pull request:\n%s", bad, p.Body)
		}
	}
	if !strings.Contains(commit, fmt.Sprintf("(#%d)", p.Number)) {
		t.Errorf("main's newest commit is %q", commit)
	}
}

// TestSuspendedAndBack suspends the App while an upgrade waits for a review that
// comes meanwhile.
func TestSuspendedAndBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.up.say("2.0.0", breaking)
	w.dispatch("acme/web", "2.0.0")
	w.waits("web", lifecycle.Open, "approving review")
	w.gh.Suspend("acme", true)
	w.waits("web", lifecycle.Open, "suspended")
	w.repo.Review(w.pull("web").Number, "ana", "approved")
	if err := w.gh.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.quiet("web")
	if p := w.pull("web"); p.State != "open" {
		t.Fatalf("the pull request is %s", p.State)
	}
	w.gh.Suspend("acme", false)
	w.waits("web", lifecycle.Unverified, "")
	w.doneOnce("web", "acme/web:2.0.0")
}

// TestOldApprovalIsNotTakenUpAgain loses the state of an upgrade that was held
// and agreed to: the hold is taken up again, the approval has to be said anew.
func TestOldApprovalIsNotTakenUpAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.up.say("2.0.0", breaking)
	w.dispatch("acme/web", "2.0.0")
	w.waits("web", lifecycle.Open, "approving review")
	n := w.pull("web").Number
	w.repo.Comment(n, "ana", "/upgrade hold until monday")
	w.waits("web", lifecycle.Open, "until monday")
	w.repo.Comment(n, "ana", "/upgrade approve")
	w.eventually("the approval is answered", func() bool { return strings.Contains(w.status("web"), "approved ") })
	w.stop()
	w.dir = t.TempDir()
	w.start()
	if _, err := w.life.rec.Recover(t.Context(), "acme/home-ops"); err != nil {
		t.Fatal(err)
	}
	w.waits("web", lifecycle.Open, "until monday")
	w.repo.Comment(n, "ana", "/upgrade resume")
	w.waits("web", lifecycle.Open, "waits for an approving review")
	w.repo.Comment(n, "ana", "/upgrade approve")
	w.waits("web", lifecycle.Unverified, "")
}
