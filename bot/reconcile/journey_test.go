package reconcile_test

import (
	"testing"

	"github.com/belaybot/belay/rules/lifecycle"
)

func TestSafeUpgradeIsMergedByItself(t *testing.T) {
	w := newWorld(t, nil)
	w.dispatch("acme/web", "1.0.1")
	w.waits("web", lifecycle.Unverified, "")
	if got := w.image("web"); got != "acme/web:1.0.1" {
		t.Errorf("main runs %s", got)
	}
	p := w.pull("web")
	if p.State != "merged" || p.MergedBy != "belay[bot]" {
		t.Errorf("pull request %s by %s", p.State, p.MergedBy)
	}
	for _, c := range p.CheckRuns {
		t.Logf("%s %s: %s", c.Name, c.Conclusion, c.Title)
	}
	n := 0
	for what, count := range w.gh.Calls() {
		t.Logf("%3d %s", count, what)
		n += count
	}
	t.Logf("%3d in all", n)
}
