package reconcile_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/belaybot/belay/bot/report"
	"github.com/belaybot/belay/bot/sandbox"
	"github.com/belaybot/belay/rules/lifecycle"
)

// answered reports whether the status comment of web's pull request holds a text.
func answered(w *world, text string) bool {
	return slices.ContainsFunc(w.pull("web").Comments, func(c sandbox.Comment) bool { return report.IsStatus(c.Body) && strings.Contains(c.Body, text) })
}

// shared is a world in which ana has pushed to the branch of web's open pull request.
func shared(t *testing.T) (*world, sandbox.Pull) {
	t.Helper()
	w := newWorld(t, nil)
	w.up.say("2.0.0", breaking)
	w.dispatch("acme/web", "2.0.0")
	w.waits("web", lifecycle.Open, "approving review")
	p := w.pull("web")
	if _, err := w.repo.Push("ana", p.Branch, "set the new setting", map[string]string{"stacks/web/env.tf": "# NEW_SETTING\n"}); err != nil {
		t.Fatal(err)
	}
	return w, p
}

// TestWhatWouldOverwriteAPersonsCommitsIsRefused: what is refused leaves nothing
// behind that keeps the pull request from being merged.
func TestWhatWouldOverwriteAPersonsCommitsIsRefused(t *testing.T) {
	t.Parallel()
	for _, say := range []string{"/upgrade rebase", "/upgrade plan", "/upgrade to 2.0.1", "/upgrade step minor"} {
		t.Run(say, func(t *testing.T) {
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
			w.repo.Comment(p.Number, "ana", say)
			w.eventually("it is refused", func() bool { return answered(w, "Not done: commits by ana are on the branch") })
			if u := w.waits("web", lifecycle.Open, "approving review"); strings.Contains(string(u.Data), `"redo":true`) || strings.Contains(string(u.Data), `"newer"`) {
				t.Errorf("something is kept of what was refused: %s", u.Data)
			}
			w.repo.Comment(p.Number, "ana", "/upgrade approve")
			w.waits("web", lifecycle.Unverified, "")
			if p := w.pullsOf("web", "")[0]; p.State != "merged" || p.Head != sha {
				t.Errorf("it is %s at %s, and ana's commit is %s", p.State, p.Head, sha)
			}
		})
	}
}

// TestAMarkerOnAPersonsBranch: that it would be written again does not stand in
// the way of the merge.
func TestAMarkerOnAPersonsBranch(t *testing.T) {
	t.Parallel()
	w, p := shared(t)
	w.repo.SetBody(p.Number, "a marker was here")
	w.eventually("belay says that it edits nothing any more", func() bool { return answered(w, "does not edit it any more") })
	w.repo.Comment(p.Number, "ana", "/upgrade approve")
	w.eventually("it is merged", func() bool { return w.pull("web").State == "merged" })
}

// TestTheChecksStandOnAPersonsHead: a rule of the branch may ask for them.
func TestTheChecksStandOnAPersonsHead(t *testing.T) {
	t.Parallel()
	w, p := shared(t)
	check := func(name string) (out sandbox.CheckRun) {
		for _, c := range w.pull("web").CheckRuns { // those of the head
			if c.Name == name {
				out = c
			}
		}
		return out
	}
	w.eventually("the checks stand on ana's commit", func() bool { return check("belay/risk").Name != "" && check("belay/verify").Name != "" })
	if c := check("belay/risk"); c.Conclusion != "neutral" || c.Title != "Commits by ana are not judged" || !strings.Contains(c.Summary, "which belay has not judged") {
		t.Errorf("belay/risk claims more than was judged: %+v", c)
	}
	w.eventually("the comment says it", func() bool { return answered(w, "Commits by ana are on the branch since ") })
	if _, err := w.repo.Push("ana", p.Branch, "and one more", map[string]string{"stacks/web/env.tf": "# ANOTHER\n"}); err != nil {
		t.Fatal(err)
	}
	w.eventually("they move to the next commit", func() bool { return check("belay/risk").Name != "" && check("belay/verify").Name != "" })
	n := 0
	for _, c := range w.pull("web").Comments {
		n += strings.Count(c.Body, "Commits by ana are on the branch")
	}
	if n != 1 {
		t.Errorf("it is said %d times", n)
	}
}
