package reconcile_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/belaybot/belay/rules/lifecycle"
)

// TestNamesThatNothingAnswersTo: a typo stops nothing and is said wherever people
// look, since a backup that is configured for nobody is taken for nobody.
func TestNamesThatNothingAnswersTo(t *testing.T) {
	t.Parallel()
	typo := strings.NewReplacer("databases:", "databases:\n  weeb: { backup: { none: x } }", "dispatch: {", "dispatch: { event: upgrade,").Replace(config)
	w := boardWorld(t, map[string]string{".github/belay.yml": typo})
	payload := map[string]any{"image": "acme/web", "tag": "2.0.0"}
	w.repo.Dispatch("diun", payload) // no dispatch here
	w.repo.Dispatch("upgrade", payload)
	w.waits("web", lifecycle.Open, "approving review")
	const said = `databases names "weeb", and the repository has no such service: did you mean "web"?`
	if p := w.pull("web"); !strings.Contains(strings.ReplaceAll(p.Body, "`", ""), "databases names") {
		t.Errorf("the pull request does not say it:\n%s", p.Body)
	}
	s, err := w.life.rec.Standing(t.Context(), "acme/home-ops")
	if err != nil || !slices.Equal(s.Warnings, []string{said}) || s.Trouble != "" {
		t.Errorf("standing: %+v, %v", s, err)
	}
	w.shows("databases names")
	if list, err := w.life.store.Dispatches(t.Context(), 10); err != nil || len(list) != 1 {
		t.Errorf("dispatches: %+v, %v", list, err)
	}
	if _, err := w.repo.Push("ana", "main", "mend it", map[string]string{".github/belay.yml": config}); err != nil {
		t.Fatal(err)
	}
	w.eventually("it is mended", func() bool {
		s, err := w.life.rec.Standing(t.Context(), "acme/home-ops")
		event, bad := w.life.rec.Event(t.Context(), "acme/home-ops")
		return err == nil && bad == nil && len(s.Warnings) == 0 && event == "diun"
	})
}
