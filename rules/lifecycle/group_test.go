package lifecycle

import (
	"fmt"
	"slices"
	"testing"
)

// TestGroupOfEveryWait says for each wait of the table in whose hands it is. A
// new rule that waits needs a line here.
func TestGroupOfEveryWait(t *testing.T) {
	want := map[string]Group{
		"queued: the App is suspended or not installed on the repository":                                         NeedsYou,
		"queued: an earlier upgrade of the service failed and so did its revert: waits for /upgrade resume there": Waiting,
		"queued: held": Waiting,
		"queued: frozen: nothing is opened or merged in this repository": Waiting,
		"open: frozen: nothing is opened or merged in this repository":   Waiting,
		"queued: waits for the rate limit":                               Waiting,
		"queued: waits for the window in which pull requests are opened": Waiting,

		"open: somebody else's commits are on the branch and it no longer fits the base: belay leaves it alone": NeedsYou,
		"open: held":                                                                  Waiting,
		"open: the pull request is a draft":                                           Waiting,
		"open: a reviewer asked for changes":                                          NeedsYou,
		"open: a check failed":                                                        NeedsYou,
		"open: waits for the checks":                                                  InFlight,
		"open: waits for an approving review, or /upgrade approve":                    NeedsYou,
		"open: GitHub works out whether it merges":                                    InFlight,
		"open: waits for the window in which belay merges":                            Waiting,
		"open: waits until the service's earlier upgrade is over":                     Waiting,
		"open: waits until the merge before it has been applied":                      Waiting,
		"backing up: the backup runs":                                                 InFlight,
		"aborted: the backup failed, so it is not merged: /upgrade retry tries again": NeedsYou,

		"applying: waits for CI to apply it": InFlight,
		"watching: its health is watched":    InFlight,

		"reverting: held": NeedsYou,
		"reverting: the lines to undo were changed since: a person has to decide, and says /upgrade resume when it is done":   NeedsYou,
		"reverting: somebody else's commits are on the revert's branch and it no longer fits the base: belay leaves it alone": NeedsYou,
		"reverting: the revert is a draft":                                               NeedsYou,
		"reverting: a reviewer asked for changes of the revert":                          NeedsYou,
		"reverting: a check of the revert failed: a person has to look":                  NeedsYou,
		"reverting: waits for the checks of the revert":                                  InFlight,
		"reverting: data may have been migrated":                                         NeedsYou,
		"reverting: the revert waits for an approving review, or /upgrade approve":       NeedsYou,
		"reverting: GitHub works out whether the revert merges":                          InFlight,
		"reverting: waits until the merge before it has been applied":                    InFlight,
		"restoring: the data is put back":                                                InFlight,
		"undoing: waits for CI to apply the revert":                                      InFlight,
		"watching again: the health of the old version is watched":                       InFlight,
		"critical: a person has to look: /upgrade resume when the service is well again": NeedsYou,
	}
	seen := map[string]bool{}
	for _, r := range Table() {
		if r.Do != Wait {
			continue
		}
		for _, from := range r.From {
			s := r.To
			if s == "" {
				s = from
			}
			name := fmt.Sprintf("%s: %s", s, r.Why)
			seen[name] = true
			group, ok := want[name]
			if !ok && r.Group == NeedsYou {
				group, ok = NeedsYou, true
			}
			if !ok {
				t.Errorf("%q: say in whose hands it is", name)
				continue
			}
			if got := GroupOf(s, r.Why); got != group {
				t.Errorf("%q is %s, want %s", name, got, group)
			}
		}
	}
	for name := range want {
		if !seen[name] {
			t.Errorf("%q is no wait of the table any more", name)
		}
	}
	for _, r := range Table() {
		if r.Group != "" && (r.Do != Wait || r.Group != groups()[r.Why]) {
			t.Errorf("%q is in two groups, or no wait", r.Why)
		}
	}
}

func TestGroupOfStates(t *testing.T) {
	for _, s := range States() {
		if got := GroupOf(s, ""); s.Final() != (got == Done) {
			t.Errorf("%s is in %s", s, got)
		}
		if !slices.Contains(Groups(), GroupOf(s, "a reason of tomorrow")) {
			t.Errorf("%s has no group", s)
		}
	}
}
