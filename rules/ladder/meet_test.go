package ladder_test

import (
	"strings"
	"testing"

	"github.com/belaybot/belay/rules/ladder"
	"github.com/belaybot/belay/rules/lifecycle"
)

func TestJoins(t *testing.T) {
	for _, tc := range []struct {
		states      string
		alone, step bool
	}{
		{"queued, open, backing up, aborted", true, true},
		{"applying, watching", false, true},
		{"reverting, restoring, undoing, watching again, critical", false, false},
		{"verified, unverified, not deployed, reverted, failed, closed, obsolete", false, false},
	} {
		for s := range strings.SplitSeq(tc.states, ", ") {
			if got := ladder.Joins(lifecycle.State(s), false); got != tc.alone {
				t.Errorf("%s in one hop: %v", s, got)
			}
			if got := ladder.Joins(lifecycle.State(s), true); got != tc.step {
				t.Errorf("%s as a step: %v", s, got)
			}
		}
	}
}

func TestMeet(t *testing.T) {
	for _, tc := range []struct {
		name, end, noted, to, tag string
		reason                    string
		moves                     bool
	}{
		{"the same version", "2.0.0", "", "2.0.0", "2.0.0", "joins", false},
		{"the same version while it is to go on", "2.0.0", "2.1.0", "2.0.0", "2.0.0", "joins", false},
		{"a newer one", "2.0.0", "", "2.1.0", "2.1.0", "updates", true},
		{"a newer one than the next", "2.0.0", "2.1.0", "2.2.0", "2.2.0", "updates", true},
		{"an older one", "2.0.0", "", "1.9.0", "1.9.0", "to 2.0.0 is open", false},
		{"an older one than the next", "2.0.0", "2.2.0", "2.1.0", "2.1.0", "to 2.0.0 is open", false},
		{"the next one again", "2.0.0", "2.1.0", "2.1.0", "2.1.0", "to 2.0.0 is open", false},
		{"an image whose chart has another version", "1.0.0", "", "1.1.0", "7.3.0", "updates", true},
		{"what cannot be compared", "2.0.0", "", "2024-alpine", "2024-alpine", "updates", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			reason, moves := ladder.Meet(tc.end, tc.noted, tc.to, tc.tag)
			if !strings.Contains(reason, tc.reason) || moves != tc.moves {
				t.Errorf("%q, %v", reason, moves)
			}
		})
	}
}

func TestStands(t *testing.T) {
	stopped := at("1.0 < 1.1 [1.2] 1.3")
	stopped.Stopped = "nobody could see"
	for _, tc := range []struct {
		name     string
		l        *ladder.Ladder
		from, to string
		want     string
	}{
		{"the rest of the way", stopped, "1.2", "1.3", "nobody could see"},
		{"somebody moved the pin", stopped, "1.1", "1.3", ""},
		{"a newer version", stopped, "1.2", "1.4", ""},
		{"one that goes on", at("1.0 < 1.1 [1.2] 1.3"), "1.2", "1.3", ""},
		{"no ladder", nil, "1.2", "1.3", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := tc.l.Stands(tc.from, tc.to); got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}
