package reconcile_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/belaybot/belay/rules/lifecycle"
)

// calls sums up what was asked of GitHub since ResetCalls: of the API and by git.
func (w *world) calls() (api, git int, list string) {
	all := w.gh.Calls()
	for _, what := range slices.Sorted(maps.Keys(all)) {
		if strings.HasPrefix(what, "git-") {
			git += all[what]
		} else {
			api += all[what]
		}
		list += fmt.Sprintf("\n  %3d %s", all[what], what)
	}
	return api, git, list
}

// TestNothingChangedCostsOneRequest looks at upgrades that wait, each for
// something else, and counts what that asks of GitHub.
func TestNothingChangedCostsOneRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{".github/belay.yml": strings.Replace(config, "upgrades: 50", "upgrades: 4", 1), "stacks/late/main.tf": stack("acme/late:1.0.0")})
	w.repo.AutoChecks(map[string]string{"ci": "success"})
	w.up.say("9.0.0", breaking)
	w.backups.set("dbaas/backup", lifecycle.Bad)
	w.dispatch("acme/web", "1.0.1")
	w.waits("web", lifecycle.Applying, "waits for CI")
	w.dispatch("acme/blog", "9.0.0")
	w.waits("blog", lifecycle.Open, "approving review")
	w.dispatch("acme/wiki", "4.0.1")
	w.waits("wiki", lifecycle.Open, "has been applied")
	w.dispatch("acme/data", "9.0.0")
	w.waits("data", lifecycle.Open, "approving review")
	w.repo.Comment(w.pull("data").Number, "ana", "/upgrade hold")
	w.waits("data", lifecycle.Open, "held")
	w.dispatch("acme/late", "1.0.1")
	w.waits("late", lifecycle.Queued, "rate limit")
	if err := w.gh.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct{ service, waits string }{
		{"blog", "for a review"},
		{"wiki", "for its turn"},
		{"data", "held"},
		{"web", "for CI"},
		{"late", "for the rate limit"},
	} {
		u := w.quiet(row.service)
		w.gh.ResetCalls()
		if _, err := w.life.rec.Reconcile(t.Context(), u.ID); err != nil {
			t.Fatal(err)
		}
		api, git, list := w.calls()
		if api+git > 1 {
			t.Errorf("%s, which waits %s: a look asked %d times:%s", row.service, row.waits, api+git, list)
		}
		t.Logf("waits %s: %d requests%s", row.waits, api+git, list)
	}
}
