package reconcile_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/belaybot/belay/rules/lifecycle"
)

// TestIgnore: what is said to be left out is left out, and nothing else is done.
func TestIgnore(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		say    string
		answer string
		left   []string // out from now on; nil: refused
	}{
		{"/upgrade ignore", "closed, and 2.0.0 is left out from now on", []string{"2.0.0"}},
		{"/upgrade ignore v2.0.0", "closed, and 2.0.0 is left out from now on", []string{"2.0.0"}},
		{"/upgrade ignore Minor", "closed; 2.0.0 and every other minor upgrade of web are left out from now on", []string{"2.0.0", "minor"}},
		{"/upgrade ignore mayor", "Not done: give major, minor, the version of this pull request, or nothing", nil},
		{"/upgrade ignore 2.0.1", "Not done: this pull request goes to 2.0.0, not to 2.0.1", nil},
	} {
		t.Run(tc.say, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			w.up.say("2.0.0", breaking)
			w.dispatch("acme/web", "2.0.0")
			w.waits("web", lifecycle.Open, "approving review")
			w.repo.Comment(w.pull("web").Number, "ana", tc.say)
			w.eventually("it is answered", func() bool { return answered(w, strings.TrimSpace(tc.answer)) })
			if tc.left == nil {
				w.waits("web", lifecycle.Open, "approving review")
			} else {
				w.waits("web", lifecycle.Closed, "")
			}
			blocks, err := w.life.store.Blocks(t.Context(), "acme/home-ops", "web")
			if err != nil {
				t.Fatal(err)
			}
			var left []string
			for _, b := range blocks {
				left = append(left, b.Target)
			}
			if slices.Sort(left); !slices.Equal(left, tc.left) {
				t.Errorf("left out: %q, want %q", left, tc.left)
			}
		})
	}
}
