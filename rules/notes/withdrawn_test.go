package notes_test

import (
	"testing"

	"github.com/belaybot/belay/rules/notes"
)

func TestWithdrawn(t *testing.T) {
	for _, tc := range []struct {
		title, body string
		want        bool
	}{
		{"[1.2.0] - 2024-01-02 [YANKED]", "- a fix", true},
		{"v3.1 (withdrawn)", "", true},
		{"2.0.0 (unreleased)", "- a fix", true},
		{"v1.2.0", "**YANKED**: it loses data", true},
		{"v1.2.0", "\n\nThis release was withdrawn, use 1.2.1.", true},
		{"v1.2.0", "> [!CAUTION]\n> Do not use this version.", true},
		{"v1.2.0", "⚠️ Please don't upgrade to this release", true},
		{"v1.2.0", "- Yanked dependencies are refused", false},
		{"v1.2.0", "- withdrawn items are hidden", false},
		{"v1.2.0", "### Fixed\n\n- the version that was pulled is shown", false},
		{"v1.2.0", "- do not use the cache when it is stale", false},
		{"v1.2.0", "", false},
	} {
		if got := notes.Withdrawn(notes.Release{Tag: "v1.2.0", Name: tc.title, Body: tc.body}); got != tc.want {
			t.Errorf("%q %q: %v, want %v", tc.title, tc.body, got, tc.want)
		}
	}
}
