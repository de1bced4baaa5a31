package github_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/belaybot/belay/bot/github"
	"github.com/belaybot/belay/bot/sandbox"
)

// TestOpenPullTwice: a branch has one open pull request, however often it is opened.
func TestOpenPullTwice(t *testing.T) {
	w := newWorld(t, sandbox.Options{})
	first, head := w.open("belay/web/1.0.1")
	again, err := w.home().OpenPull(t.Context(), github.Draft{Branch: "belay/web/1.0.1", Base: "main", Title: "another title", Body: "another body"})
	if err != nil || again != first {
		t.Fatalf("#%d then #%d, %v", first, again, err)
	}
	p, err := w.home().FindPull(t.Context(), "belay/web/1.0.1")
	if err != nil || p.Title != "another title" || p.Body != "another body" || p.Head != head || p.State != "OPEN" || p.Author != "belay" || p.BaseName != "main" {
		t.Errorf("found %+v, %v", p, err)
	}
	if n := len(w.repo.Pulls()); n != 1 {
		t.Errorf("%d pull requests", n)
	}
}

// TestFindPull looks for the newest pull request of a branch, in whatever state.
func TestFindPull(t *testing.T) {
	w := newWorld(t, sandbox.Options{})
	find := func() github.Pull {
		t.Helper()
		p, err := w.home().FindPull(t.Context(), "belay/web/1.0.1")
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	if p := find(); p.Number != 0 {
		t.Errorf("before there is one: %+v", p)
	}
	w.open("belay/web/1.0.10") // the branch's name begins with the other's
	if p := find(); p.Number != 0 {
		t.Errorf("another branch's: %+v", p)
	}
	first, _ := w.open("belay/web/1.0.1")
	for range 2 {
		if err := w.home().ClosePull(t.Context(), first); err != nil {
			t.Fatal(err)
		}
	}
	if p := find(); p.Number != first || p.State != "CLOSED" {
		t.Errorf("closed: %+v", p)
	}
	second, head := w.open("belay/web/1.0.1")
	if p := find(); p.Number != second || p.State != "OPEN" {
		t.Errorf("opened again: %+v", p)
	}
	sha, err := w.home().MergePull(t.Context(), second, github.Merge{Head: head, Title: "upgrade", Message: "why"})
	if err != nil {
		t.Fatal(err)
	}
	if p := find(); p.Number != second || p.State != "MERGED" || p.MergeSHA != sha {
		t.Errorf("merged: %+v", p)
	}
	for i := range 35 { // more than one page
		w.open(fmt.Sprintf("belay/s%d/1", i))
	}
	open, err := w.home().OpenPulls(t.Context(), "belay/s")
	if err != nil || len(open) != 35 || !slices.IsSortedFunc(open, func(a, b github.Pull) int { return a.Number - b.Number }) {
		t.Errorf("%d open, %v", len(open), err)
	}
}

// TestOpenPullsUnder looks for the open pull requests of one service, whatever
// else the repository has.
func TestOpenPullsUnder(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{})
	under := func() []github.Pull {
		t.Helper()
		got, err := w.home().OpenPullsUnder(t.Context(), "belay/web/")
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := under(); len(got) != 0 {
		t.Errorf("before there is one: %+v", got)
	}
	w.open("belay/web-two/1.0.1")
	closed, _ := w.open("belay/web/1.0.0")
	if err := w.home().ClosePull(t.Context(), closed); err != nil {
		t.Fatal(err)
	}
	if _, err := w.repo.Push("bo", "belay/web/1.0.1", "a change", map[string]string{"x.tf": "x\n"}); err != nil {
		t.Fatal(err)
	}
	w.repo.OpenFork("bo", "belay/web/1.0.1", "a change of somebody's")
	first, _ := w.open("belay/web/1.0.1")
	want := []github.Pull{{Number: first, State: "OPEN", Title: "upgrade", Body: "what changes", Branch: "belay/web/1.0.1", Author: "belay"}}
	if diff := cmp.Diff(want, under()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for i := range 100 { // branches that nobody removed: more than a page
		if _, err := w.repo.Push("belay[bot]", fmt.Sprintf("belay/web/1.1.%d", i), "upgrade", map[string]string{"main.tf": fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	second, _ := w.open("belay/web/9.0.0")
	if got := under(); len(got) != 2 || got[0].Number != first || got[1].Number != second {
		t.Errorf("behind a page of branches: %+v", got)
	}
}

// TestOldName: everything works under the name that a repository had.
func TestOldName(t *testing.T) {
	w := newWorld(t, sandbox.Options{})
	r := w.home()
	n, head := w.open("belay/web/1.0.1")
	w.repo.Rename("home")
	if p, err := r.FindPull(t.Context(), "belay/web/1.0.1"); err != nil || p.Number != n {
		t.Errorf("FindPull: %+v, %v", p, err)
	}
	if p, err := r.Pull(t.Context(), n); err != nil || p.Head != head {
		t.Errorf("Pull: %+v, %v", p, err)
	}
	if again, err := r.OpenPull(t.Context(), github.Draft{Branch: "belay/web/1.0.1", Base: "main", Title: "t", Body: "b"}); err != nil || again != n {
		t.Errorf("OpenPull: #%d, %v", again, err)
	}
	if err := r.SetLabels(t.Context(), n, nil, []string{"belay"}); err != nil {
		t.Errorf("SetLabels: %v", err)
	}
	if _, err := r.Comment(t.Context(), n, "hello"); err != nil {
		t.Errorf("Comment: %v", err)
	}
	if _, err := r.MergePull(t.Context(), n, github.Merge{Head: head, Title: "t"}); err != nil {
		t.Errorf("MergePull: %v", err)
	}
	if p := w.repo.Pulls()[0]; p.State != "merged" || len(p.Comments) != 1 || !slices.Equal(p.Labels, []string{"belay"}) {
		t.Errorf("%+v", p)
	}
}

// TestMergePull asks for merges and reads GitHub's refusals.
func TestMergePull(t *testing.T) {
	for _, tc := range []struct {
		name   string
		before func(w *world, head string)
		want   error
		says   string
	}{
		{"all is well", func(*world, string) {}, nil, ""},
		{"somebody pushed meanwhile", func(w *world, _ string) {
			if _, err := w.repo.Push("ana", "topic", "more", map[string]string{"x": "y"}); err != nil {
				w.t.Fatal(err)
			}
		}, github.ErrStale, "acme/home-ops#1"},
		{"a check is missing", func(w *world, _ string) { w.repo.RequireChecks("plan") }, github.ErrNotMergeable, `"plan" is expected`},
		{"a check is bad", func(w *world, head string) {
			w.repo.RequireChecks("plan")
			w.repo.SetStatus(head, "plan", "failure")
		}, github.ErrNotMergeable, `"plan" is failing`},
		{"a review is missing", func(w *world, _ string) { w.repo.RequireReviews(1) }, github.ErrNotMergeable, "approving review"},
		{"a draft", func(w *world, _ string) { w.repo.SetDraft(1, true) }, github.ErrNotMergeable, "draft"},
		{"closed by a person", func(w *world, _ string) { w.repo.Close(1, "ana") }, github.ErrNotMergeable, "not mergeable"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, sandbox.Options{})
			n, head := w.open("topic")
			tc.before(w, head)
			sha, err := w.home().MergePull(t.Context(), n, github.Merge{Head: head, Title: "upgrade: web", Message: "why"})
			if !errors.Is(err, tc.want) || tc.want != nil && !strings.Contains(err.Error(), tc.says) {
				t.Errorf("got %v, want %v about %q", err, tc.want, tc.says)
			}
			if tc.want == nil {
				if log := w.repo.Log("main"); log[0] != "upgrade: web" || len(log) != 2 || sha == "" {
					t.Errorf("main is %v at %q", log, sha)
				}
			}
		})
	}
}

// TestRequiredChecks reads what branch protection and rulesets ask for.
func TestRequiredChecks(t *testing.T) {
	w := newWorld(t, sandbox.Options{})
	for _, tc := range []struct {
		name              string
		protection, rules []string
		want              []string
	}{
		{"nothing", nil, nil, nil},
		{"branch protection", []string{"plan", "lint"}, nil, []string{"lint", "plan"}},
		{"a ruleset", nil, []string{"plan"}, []string{"plan"}},
		{"both, with one in common", []string{"plan", "lint"}, []string{"plan", "test"}, []string{"lint", "plan", "test"}},
	} {
		w.repo.RequireChecks(tc.protection...)
		w.repo.RequireChecksByRule(tc.rules...)
		got, err := w.home().RequiredChecks(t.Context(), "main")
		if diff := cmp.Diff(tc.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v %s", tc.name, err, diff)
		}
	}
	if _, err := w.home().RequiredChecks(t.Context(), "gone"); !errors.Is(err, github.ErrNotFound) {
		t.Errorf("a branch that is not there: %v", err)
	}
}

// TestSetLabels gives a pull request labels, time after time.
func TestSetLabels(t *testing.T) {
	w := newWorld(t, sandbox.Options{})
	n, _ := w.open("topic")
	have := []string(nil)
	for _, tc := range []struct {
		name   string
		people []string // labels that people added before
		want   []string // that belay asks for
		get    []string
		calls  bool
	}{
		{"the first ones are made", nil, []string{"belay", "risk: safe", "step 1/3"}, []string{"belay", "risk: safe", "step 1/3"}, true},
		{"the same again asks nothing of GitHub", nil, []string{"step 1/3", "belay", "risk: safe"}, []string{"belay", "risk: safe", "step 1/3"}, false},
		{"belay's own are exchanged, people's stay", []string{"urgent"}, []string{"belay", "risk: caution", "step 2/3"}, []string{"belay", "risk: caution", "step 2/3", "urgent"}, true},
		{"none are wanted, people's stay", nil, nil, []string{"urgent"}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			have = append(have, tc.people...)
			r := w.home()
			w.wire.take()
			if err := r.SetLabels(t.Context(), n, have, tc.want); err != nil {
				t.Fatal(err)
			}
			if sent := w.wire.take(); (len(sent) > 0) != tc.calls {
				t.Errorf("sent %v", sent)
			}
			p, err := r.Pull(t.Context(), n)
			if err != nil {
				t.Fatal(err)
			}
			slices.Sort(p.Labels)
			if diff := cmp.Diff(tc.get, p.Labels); diff != "" {
				t.Error(diff)
			}
			have = p.Labels
		})
	}
}

// TestCommentsAndChecks: what was said is changed in place, and said again
// where somebody took it away.
func TestCommentsAndChecks(t *testing.T) {
	w := newWorld(t, sandbox.Options{})
	n, head := w.open("topic")
	r := w.home()
	id, err := r.Comment(t.Context(), n, "one")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := errors.Join(r.EditComment(t.Context(), id, "two"), r.React(t.Context(), id, "eyes")); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.EditComment(t.Context(), 7, "gone"); !errors.Is(err, github.ErrNotFound) {
		t.Errorf("a comment that was deleted: %v", err)
	}
	if err := r.React(t.Context(), 7, "eyes"); err != nil {
		t.Errorf("a reaction to a comment that was deleted: %v", err)
	}
	if _, err := r.Comment(t.Context(), 99, "x"); !errors.Is(err, github.ErrNotFound) {
		t.Errorf("a comment on nothing: %v", err)
	}
	check := github.CheckRun{Name: "belay/risk", Head: head, Key: "u1", Title: "looks", Summary: strings.Repeat("é", 40_000), At: w.now.get(),
		Notes: []github.Note{{Path: "main.tf", Line: 3, Title: "2.0.0: PORT", Text: "PORT is gone"}}}
	run, err := r.SetCheckRun(t.Context(), 0, check)
	if err != nil {
		t.Fatal(err)
	}
	check.Conclusion, check.Title = "success", "SAFE"
	for range 2 {
		if again, err := r.SetCheckRun(t.Context(), run, check); err != nil || again != run {
			t.Errorf("changed: run %d, then %d, %v", run, again, err)
		}
	}
	check.Name = "belay/verify"
	if other, err := r.SetCheckRun(t.Context(), 12345, check); err != nil || other == run {
		t.Errorf("a run that GitHub does not know: %d, %v", other, err)
	}
	p := w.repo.Pulls()[0]
	if len(p.Comments) != 1 || p.Comments[0].Body != "two" || !slices.Equal(p.Comments[0].Reactions, []string{"eyes"}) {
		t.Errorf("comments %+v", p.Comments)
	}
	if len(p.CheckRuns) != 2 || p.CheckRuns[0].Title != "SAFE" || p.CheckRuns[0].Conclusion != "success" || len(p.CheckRuns[0].Summary) > 65_535 {
		t.Errorf("checks %+v", p.CheckRuns)
	}
	if want := []string{"main.tf:3 2.0.0: PORT: PORT is gone"}; !slices.Equal(p.CheckRuns[0].Notes, want) { // once, however often it is written
		t.Errorf("annotations %q, want %q", p.CheckRuns[0].Notes, want)
	}
}

// TestMayWrite: only GitHub says who may write.
func TestMayWrite(t *testing.T) {
	w := newWorld(t, sandbox.Options{})
	w.repo.SetPermission("bo", "write")
	w.repo.SetPermission("eve", "none")
	for login, want := range map[string]bool{"ana": true, "bo": true, "eve": false, "somebody": false, "renovate[bot]": false} {
		if got, err := w.home().MayWrite(t.Context(), login); err != nil || got != want {
			t.Errorf("%s: %v, %v", login, got, err)
		}
	}
}

// TestPull reads a pull request with all that people and CI said.
func TestPull(t *testing.T) {
	w := newWorld(t, sandbox.Options{LazyMerge: true})
	n, head := w.open("topic")
	if p, err := w.home().Pull(t.Context(), n); err != nil || p.Mergeable != "UNKNOWN" {
		t.Errorf("at first GitHub does not know whether it merges: %+v, %v", p, err)
	}
	w.repo.SetStatus(head, "plan", "success")
	w.repo.SetStatus(head, "deploy", "pending")
	w.repo.SetCheckRun(head, "lint", "failure")
	w.repo.SetCheckRun(head, "docs", "skipped")
	w.repo.Review(n, "ana", "approved")
	id := w.repo.Comment(n, "bo", "/upgrade hold")
	w.repo.EditComment(n, id, "/upgrade hold, please")
	own, err := w.home().Comment(t.Context(), n, "status")
	if err != nil {
		t.Fatal(err)
	}
	p, err := w.home().Pull(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	if p.Mergeable != "MERGEABLE" || !p.HasBranch || p.Author != "belay" || p.BaseName != "main" || p.Base == "" {
		t.Errorf("%+v", p)
	}
	slices.SortFunc(p.Checks, func(a, b github.Check) int { return strings.Compare(a.Name, b.Name) })
	want := []github.Check{{Name: "deploy", State: github.CheckPending, Conclusion: "PENDING"}, {Name: "docs", State: github.CheckGood, App: "ci", Status: "COMPLETED", Conclusion: "SKIPPED"},
		{Name: "lint", State: github.CheckBad, App: "ci", Status: "COMPLETED", Conclusion: "FAILURE"}, {Name: "plan", State: github.CheckGood, Conclusion: "SUCCESS"}}
	if diff := cmp.Diff(want, p.Checks); diff != "" {
		t.Error(diff)
	}
	if len(p.Reviews) != 1 || p.Reviews[0].Login != "ana" || p.Reviews[0].State != "APPROVED" || p.Reviews[0].Commit != head {
		t.Errorf("reviews %+v", p.Reviews)
	}
	if len(p.Comments) != 2 || p.Comments[0].ID != id || !p.Comments[0].Edited || p.Comments[0].Bot || p.Comments[1].ID != own || !p.Comments[1].Bot || p.Comments[1].Login != "belay" {
		t.Errorf("comments %+v", p.Comments)
	}
	if _, err := w.home().Pull(t.Context(), 99); !errors.Is(err, github.ErrNotFound) || errors.Is(err, github.ErrNoAccess) {
		t.Errorf("one that is not there: %v", err)
	}
	w.repo.SetInstalled(false)
	if _, err := w.home().Pull(t.Context(), n); !errors.Is(err, github.ErrNoAccess) {
		t.Errorf("a repository that the App may not see: %v", err)
	}
}
