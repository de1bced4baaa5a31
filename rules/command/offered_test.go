package command_test

import (
	"slices"
	"testing"

	"github.com/belaybot/belay/rules/command"
	"github.com/belaybot/belay/rules/lifecycle"
)

func TestOffered(t *testing.T) {
	const review = "waits for an approving review, or /upgrade approve"
	for _, row := range []struct {
		name string
		s    command.Standing
		want []command.Verb
	}{
		{"what waits for the rate limit may be held", command.Standing{State: lifecycle.Queued, Waits: "waits for the rate limit"}, []command.Verb{command.Hold}},
		{"what needs a review may be approved first", command.Standing{State: lifecycle.Open, Waits: review}, []command.Verb{command.Approve, command.Rebase, command.Hold, command.Ignore}},
		{"what waits for its checks is not approved by a box", command.Standing{State: lifecycle.Open, Waits: "waits for the checks"}, []command.Verb{command.Rebase, command.Hold, command.Ignore}},
		{"what is held goes on", command.Standing{State: lifecycle.Open, Waits: "held", Held: true}, []command.Verb{command.Rebase, command.Resume, command.Ignore}},
		{"a failed backup is tried again", command.Standing{State: lifecycle.Aborted}, []command.Verb{command.Retry, command.Ignore}},
		{"what is watched can be rolled back", command.Standing{State: lifecycle.Watching}, []command.Verb{command.Rollback}},
		{"a revert of data is decided", command.Standing{State: lifecycle.Reverting, Waits: "data may have been migrated: /upgrade restore puts image and data back together, /upgrade approve the image alone", Restores: true},
			[]command.Verb{command.Approve, command.Restore, command.Hold}},
		{"a revert that clashes is taken over", command.Standing{State: lifecycle.Reverting, Clashes: true}, []command.Verb{command.Resume}},
		{"what is critical is taken over", command.Standing{State: lifecycle.Critical}, []command.Verb{command.Resume}},
		{"what went well can be undone", command.Standing{State: lifecycle.Verified, Merged: true}, []command.Verb{command.Rollback}},
		{"what failed can be tried again", command.Standing{State: lifecycle.Reverted, Merged: true}, []command.Verb{command.Retry}},
		{"what is obsolete is over", command.Standing{State: lifecycle.Obsolete}, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := command.Offered(row.s); !slices.Equal(got, row.want) {
				t.Errorf("got %v, want %v", got, row.want)
			}
		})
	}
}

// TestOfferedApprovals holds the words by which Offered knows them to the rules.
func TestOfferedApprovals(t *testing.T) {
	n := 0
	for _, r := range lifecycle.Table() {
		for _, state := range r.From {
			if slices.Contains(command.Offered(command.Standing{State: state, Waits: r.Why}), command.Approve) {
				n++
				if lifecycle.GroupOf(state, r.Why) != lifecycle.NeedsYou {
					t.Errorf("%s, %q: an approval is offered where nobody is needed", state, r.Why)
				}
			}
		}
	}
	if n < 3 {
		t.Errorf("an approval is offered in %d cases: the words of the rules changed", n)
	}
}
