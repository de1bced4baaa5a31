package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/belaybot/belay/bot/report"
)

// comment has somebody comment on a pull request, and the workflow run for it.
func (w *workflows) comment(number int, login, body string, inputs map[string]string) ran {
	w.t.Helper()
	w.repo.Comment(number, login, body)
	return w.run("issue_comment", example(w.t, "issue_comment", "created", map[string]any{
		"issue":   map[string]any{"number": number, "pull_request": map[string]any{"url": "https://api.github.com"}},
		"comment": map[string]any{"body": body, "user": map[string]any{"login": login, "type": "User"}}}), inputs)
}

// green has CI and the apply succeed on a commit.
func (w *workflows) green(sha string) {
	w.repo.SetStatus(sha, "ci", "success")
	w.repo.SetStatus(sha, "deploy", "success")
}

// schedule is a run that a clock starts.
func (w *workflows) schedule(inputs map[string]string) ran {
	w.t.Helper()
	return w.run("schedule", map[string]any{"schedule": "*/15 * * * *"}, inputs)
}

// status is the comment in which belay keeps its record.
func (w *workflows) status(number int) string {
	w.t.Helper()
	for _, c := range w.pull(number).Comments {
		if report.IsStatus(c.Body) {
			return c.Body
		}
	}
	return ""
}

// TestActionWholeLife: an upgrade goes from the dispatch to its end in runs that
// share nothing but the repository.
func TestActionWholeLife(t *testing.T) {
	w := newWorkflows(t, nil)
	w.ok(w.dispatch("acme/web", "1.0.1", nil))

	// Held by one run, so that the next one does not merge.
	w.ok(w.comment(1, "ana", "/upgrade hold the database moves", nil))
	if text := w.status(1); !strings.Contains(text, "Held by ana") {
		t.Fatalf("status\n%s", text)
	}
	w.green(w.pull(1).Head)
	w.ok(w.schedule(nil))
	if p := w.pull(1); p.State != "open" {
		t.Fatalf("it was merged while it was held: %s", p.State)
	}

	// Resumed, merged, and left in the middle: the run's time is up.
	r := w.ok(w.comment(1, "ana", "/upgrade resume", map[string]string{"time-limit": "3s"}))
	p := w.pull(1)
	if p.State != "merged" || p.MergedBy != "github-actions[bot]" {
		t.Fatalf("pull request %s by %s\n%s", p.State, p.MergedBy, r.logs)
	}
	if r.outputs["unfinished"] != "true" || !strings.Contains(r.outputs["upgrades"], `"state":"applying"`) {
		t.Errorf("outputs %v", r.outputs)
	}

	// CI applies it; the next run watches it to its end.
	w.green(p.MergeSHA)
	r = w.ok(w.run("status", example(t, "status", "", map[string]any{"sha": p.MergeSHA}), nil))
	if m, err := report.ParseMarker(w.pull(1).Body); err != nil || m.Over != "unverified" {
		t.Errorf("marker %+v, %v\n%s", m, err, r.logs)
	}
	if n := len(w.pull(1).Comments); n != 3 {
		t.Errorf("%d comments, want two commands and one status", n)
	}

	// What is over is left alone, until somebody asks for it.
	w.ok(w.schedule(nil))
	w.ok(w.comment(1, "ana", "/upgrade rollback", map[string]string{"time-limit": "3s"}))
	if got := w.pull(2); !strings.HasPrefix(got.Branch, "belay/web/revert-") {
		t.Fatalf("the revert's branch is %q", got.Branch)
	}
	w.green(w.pull(2).Head)
	w.ok(w.schedule(map[string]string{"time-limit": "3s"}))
	if got := w.pull(2); got.State != "merged" {
		t.Fatalf("the revert is %s", got.State)
	}
	w.green(w.pull(2).MergeSHA)
	w.ok(w.schedule(nil))
	if text := w.status(1); !strings.Contains(text, "1.0.0 runs again") && !strings.Contains(text, "Undone") && !strings.Contains(text, "Done") {
		t.Errorf("status\n%s", text)
	}
	file, err := w.repo.File("main", "stacks/web/main.tf")
	if err != nil || !strings.Contains(file, "acme/web:1.0.0") {
		t.Errorf("%v\n%s", err, file)
	}
	// The version that was undone is not tried again.
	r = w.ok(w.dispatch("acme/web", "1.0.1", nil))
	if n := len(w.repo.Pulls()); n != 2 || !strings.Contains(r.summary, "1.0.1 is left out") {
		t.Errorf("%d pull requests\n%s", n, r.summary)
	}
}

// approve has checks pass and ana agree, in a run that ends after the merge.
func (w *workflows) approve(pull int) {
	w.t.Helper()
	w.green(w.pull(pull).Head)
	w.ok(w.comment(pull, "ana", "/upgrade approve", map[string]string{"time-limit": "3s"}))
}

// TestActionObeysWhoMayWrite: an approval needs write permission, and is for the
// head that was looked at.
func TestActionObeysWhoMayWrite(t *testing.T) {
	w := newWorkflows(t, nil)
	w.ok(w.dispatch("acme/web", "3.0.0", nil))
	w.green(w.pull(1).Head)
	w.ok(w.comment(1, "mallory", "/upgrade approve", nil))
	if w.pull(1).State != "open" || !strings.Contains(w.status(1), "commands are for people with write permission") {
		t.Fatalf("status\n%s", w.status(1))
	}
	w.ok(w.comment(1, "ana", "/upgrade approve", map[string]string{"time-limit": "3s"}))
	if got := w.pull(1).State; got != "merged" {
		t.Errorf("it is %s after ana's approval\n%s", got, w.status(1))
	}
}

// TestActionLeavesOutWhatAPersonClosed in an earlier run.
func TestActionLeavesOutWhatAPersonClosed(t *testing.T) {
	w := newWorkflows(t, nil)
	w.ok(w.dispatch("acme/web", "1.0.1", nil))
	w.repo.Close(1, "ana")
	w.ok(w.run("pull_request", example(t, "pull_request", "closed", map[string]any{"pull_request": map[string]any{"number": 1,
		"head": map[string]any{"ref": "belay/web/1.0.1", "repo": map[string]any{"full_name": "acme/home-ops"}}}}), nil))
	r := w.ok(w.dispatch("acme/web", "1.0.1", nil))
	if n := len(w.repo.Pulls()); n != 1 || !strings.Contains(r.summary, "left out") {
		t.Errorf("%d pull requests\n%s", n, r.summary)
	}
	w.ok(w.dispatch("acme/web", "1.1.0", nil))
	if n := len(w.repo.Pulls()); n != 2 {
		t.Errorf("%d pull requests after a newer version", n)
	}
}

// TestActionRateLimitSpansRuns: what the pull requests show as started counts.
func TestActionRateLimitSpansRuns(t *testing.T) {
	w := newWorkflows(t, map[string]string{".github/belay.yml": actionConfig + "dispatch: { limit: { upgrades: 1, window: 6h } }\n"})
	w.ok(w.dispatch("acme/web", "1.0.1", nil))
	r := w.ok(w.dispatch("acme/data", "2.0.1", nil))
	if n := len(w.repo.Pulls()); n != 1 || !strings.Contains(r.summary, "waits for the rate limit") {
		t.Errorf("%d pull requests\n%s", n, r.summary)
	}
	// It is kept, and opened by a run that has room; a forged list is not believed.
	w.ok(w.schedule(nil))
	list := func() (out []string) {
		for _, c := range w.pull(1).Comments {
			if report.IsWaiting(c.Body) {
				out = append(out, c.Body)
			}
		}
		return out
	}
	if got := list(); len(got) != 1 || !strings.Contains(got[0], "- `docker.io/acme/data 2.0.1`") {
		t.Fatalf("lists %v", got)
	}
	if _, err := w.repo.Push("ana", "main", "more at once", map[string]string{".github/belay.yml": actionConfig}); err != nil {
		t.Fatal(err)
	}
	r = w.ok(w.schedule(nil))
	if n := len(w.repo.Pulls()); n != 2 || w.pull(2).Branch != "belay/data/2.0.1" {
		t.Errorf("%d pull requests\n%s", n, r.logs)
	}
	if got := list(); len(got) != 1 || !strings.Contains(got[0], "Nothing waits") {
		t.Errorf("lists %v", got)
	}
	w.ok(w.schedule(nil))
}

// TestActionLadderInRunsThatRememberNothing: where a ladder stands, that a step
// before was undone, and that its end is left out then is known from the pull
// requests alone.
func TestActionLadderInRunsThatRememberNothing(t *testing.T) {
	w := newWorkflows(t, nil)
	w.ok(w.dispatch("acme/web", "3.0.0", nil))
	w.approve(1)
	w.green(w.pull(1).MergeSHA)
	w.ok(w.schedule(nil))
	m, err := report.MarkerIn(w.pull(1).Body, "belay/web/1.0.1")
	if err != nil || m.Over != "unverified" || !strings.Contains(m.Ladder.Stopped, "`/upgrade step` goes on") {
		t.Fatalf("%+v, %+v, %v", m, m.Ladder, err)
	}

	// Nobody could see how it fares: it does not go on by itself.
	r := w.ok(w.dispatch("acme/web", "3.0.0", nil))
	if n := len(w.repo.Pulls()); n != 1 || !strings.Contains(r.summary, "stands at step 1 of 4") {
		t.Fatalf("%d pull requests\n%s", n, r.summary)
	}
	w.ok(w.comment(1, "ana", "/upgrade step", nil))
	if got := w.pull(2).Title; got != "upgrade: web 1.0.1 → 1.1.0" {
		t.Fatal(got)
	}

	// The first step is rolled back. The run that hears of its end looks at
	// nothing else; the second step was drawn anew meanwhile.
	w.ok(w.comment(1, "ana", "/upgrade rollback", map[string]string{"time-limit": "3s"}))
	w.green(w.pull(3).Head)
	w.ok(w.schedule(map[string]string{"time-limit": "3s"}))
	undone := w.pull(3)
	if undone.State != "merged" {
		t.Fatalf("the revert is %s", undone.State)
	}
	w.green(undone.MergeSHA)
	w.ok(w.run("issue_comment", example(t, "issue_comment", "created", map[string]any{
		"issue":   map[string]any{"number": 1, "pull_request": map[string]any{"url": "https://api.github.com"}},
		"comment": map[string]any{"body": "/upgrade status", "user": map[string]any{"login": "ana", "type": "User"}}}), nil))
	if m, err := report.ParseMarker(w.pull(1).Body); err != nil || m.Over != "reverted" {
		t.Fatalf("%+v, %v", m, err)
	}
	r = w.ok(w.schedule(nil))
	if got := w.pull(2).State; got != "closed" || len(w.repo.Pulls()) != 3 {
		t.Errorf("the step after the one that was undone is %s in %d pull requests\n%s", got, len(w.repo.Pulls()), r.logs)
	}
	r = w.ok(w.dispatch("acme/web", "3.0.0", nil))
	if n := len(w.repo.Pulls()); n != 3 || !strings.Contains(r.summary, "3.0.0 is left out: its ladder stopped at 1.0.1") {
		t.Errorf("%d pull requests\n%s", n, r.summary)
	}
}

// TestActionWhatIsOverStaysOver where somebody changed belay's record of it: the
// marker says how it ended, and where the ladder stands.
func TestActionWhatIsOverStaysOver(t *testing.T) {
	w := newWorkflows(t, nil)
	w.ok(w.dispatch("acme/web", "3.0.0", nil))
	w.approve(1)
	w.green(w.pull(1).MergeSHA)
	w.ok(w.schedule(nil))
	for _, c := range w.pull(1).Comments {
		if report.IsStatus(c.Body) {
			w.repo.EditCommentAs(1, c.ID, "bo", strings.Replace(c.Body, "Done", "done", 1))
		}
	}
	r := w.ok(w.comment(1, "ana", "/upgrade step", nil)) // meant for a record that is gone
	if n := len(w.repo.Pulls()); n != 1 || !strings.Contains(r.outputs["upgrades"], `"state":"unverified"`) || strings.Contains(r.logs, "watching") {
		t.Errorf("%d pull requests, %s\n%s", n, r.outputs["upgrades"], r.logs)
	}
	if text := w.status(1); !strings.Contains(text, "say it again") || !strings.Contains(text, "stands at step 1 of 4") {
		t.Errorf("status\n%s", text)
	}
	w.ok(w.comment(1, "ana", "/upgrade step", nil))
	if n := len(w.repo.Pulls()); n != 2 || w.pull(2).Title != "upgrade: web 1.0.1 → 1.1.0" {
		t.Errorf("%d pull requests, %s", n, w.pull(n).Title)
	}
}

// TestActionMarkerOfAnotherPullRequest is not believed.
func TestActionMarkerOfAnotherPullRequest(t *testing.T) {
	w := newWorkflows(t, nil)
	w.ok(w.dispatch("acme/web", "1.0.1", nil))
	w.ok(w.dispatch("acme/data", "2.0.1", nil))
	m, err := report.ParseMarker(w.pull(1).Body)
	if err != nil {
		t.Fatal(err)
	}
	m.Over, m.Why = "failed", "it crashed"
	w.repo.SetBody(2, report.Remark(w.pull(2).Body, m))
	w.repo.Close(1, "ana") // nothing of belay's is open for the service any more
	w.repo.SetBody(1, "")
	r := w.ok(w.dispatch("acme/web", "1.0.1", nil))
	if strings.Contains(r.summary, "left out") {
		t.Errorf("it was taken for what became of 1.0.1:\n%s", r.summary)
	}
}

// TestActionIgnoresAKindOfBump in later runs, as a person has said in an earlier one.
func TestActionIgnoresAKindOfBump(t *testing.T) {
	w := newWorkflows(t, nil)
	w.ok(w.dispatch("acme/web", "1.1.0", nil))
	w.ok(w.comment(1, "ana", "/upgrade ignore minor", nil))
	if got := w.pull(1).State; got != "closed" {
		t.Fatalf("it is %s", got)
	}
	r := w.ok(w.dispatch("acme/web", "1.1.0", nil))
	if n := len(w.repo.Pulls()); n != 1 || !strings.Contains(r.summary, "left out") {
		t.Errorf("%d pull requests\n%s", n, r.summary)
	}
	w.ok(w.dispatch("acme/web", "1.0.1", nil))
	if n := len(w.repo.Pulls()); n != 2 {
		t.Errorf("%d pull requests: a patch is no minor", n)
	}
}

// TestActionBelievesItsOwnCommentAlone: a record that somebody else edited is not
// taken up; the marker and the comments say what there is.
func TestActionBelievesItsOwnCommentAlone(t *testing.T) {
	w := newWorkflows(t, nil)
	w.ok(w.dispatch("acme/web", "3.0.0", nil))
	w.green(w.pull(1).Head)
	forged := w.status(1)
	id := int64(0)
	for _, c := range w.pull(1).Comments {
		id = c.ID
	}
	k, err := report.ParseMemory(forged)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(k), `"record":{`, `"record":{"approved":{"login":"ana","head":"`+w.pull(1).Head+`","at":"2026-01-01T00:00:00Z"},`, 1)
	if text == string(k) {
		t.Fatal("nothing was forged")
	}
	body := "<!-- belay:status:v1 -->\nall is well\n" + report.Memory(text).String()
	w.repo.EditCommentAs(1, id, "mallory", body)
	r := w.ok(w.schedule(nil))
	if got := w.pull(1).State; got != "open" {
		t.Errorf("the forged approval counted: it is %s\n%s", got, r.logs)
	}
	// The same from belay itself is believed, which shows that the forgery was one.
	w.repo.EditCommentAs(1, id, "github-actions[bot]", body)
	w.ok(w.schedule(map[string]string{"time-limit": "3s"}))
	if got := w.pull(1).State; got != "merged" {
		t.Errorf("it is %s", got)
	}
}

// TestActionScheduleLooksForNewVersions: without DIUN, the registries are asked.
func TestActionScheduleLooksForNewVersions(t *testing.T) {
	registry := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v2/":
		case "/v2/acme/web/tags/list":
			_, _ = io.WriteString(w, `{"name":"acme/web","tags":["0.9.0","1.0.0","1.0.1","latest","1.1.0-rc.1"]}`)
		default:
			http.NotFound(w, r)
		}
	}))
	defer registry.Close()
	host := strings.TrimPrefix(registry.URL, "http://")
	w := newWorkflows(t, map[string]string{"stacks/web/main.tf": stackOf(host + "/acme/web:1.0.0"), "stacks/data/main.tf": stackOf(host + "/acme/data:2.0.0"),
		".github/belay.yml": strings.Replace(actionConfig, "docker.io/acme/web", `"`+host+`/acme/web"`, 1)})
	r := w.ok(w.schedule(map[string]string{"scan": "true"}))
	if n := len(w.repo.Pulls()); n != 1 || w.pull(1).Branch != "belay/web/1.0.1" {
		t.Fatalf("%d pull requests\n%s", n, r.logs)
	}
	if !strings.Contains(r.logs, "a registry could not be asked") { // of acme/data, which it does not have
		t.Errorf("nothing says which registry did not answer\n%s", r.logs)
	}
}
