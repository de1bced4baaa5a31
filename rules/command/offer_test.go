package command_test

import (
	"slices"
	"testing"

	"github.com/belaybot/belay/rules/command"
	"github.com/belaybot/belay/rules/lifecycle"
)

func TestOffers(t *testing.T) {
	type verbs = []command.Verb
	for _, tc := range []struct {
		name string
		in   command.Situation
		want verbs
	}{
		{"queued can be held", command.Situation{State: lifecycle.Queued}, verbs{command.Hold}},
		{"an open one waits for agreement", command.Situation{State: lifecycle.Open, Pull: true, Backup: true}, verbs{command.Approve, command.Hold, command.Backup, command.Rebase, command.To, command.Ignore}},
		{"a held one can go on, and is not held again", command.Situation{State: lifecycle.Open, Pull: true, Held: true, Approved: true}, verbs{command.Resume, command.Rebase, command.To, command.Ignore}},
		{"after a failed backup, to try again comes first", command.Situation{State: lifecycle.Aborted, Pull: true, Backup: true, Approved: true}, verbs{command.Retry, command.Hold, command.Backup, command.Rebase, command.To, command.Ignore}},
		{"a branch with a person's commits is not built again", command.Situation{State: lifecycle.Open, Pull: true, Others: true}, verbs{command.Approve, command.Hold, command.Ignore}},
		{"what is watched can be undone", command.Situation{State: lifecycle.Watching, Pull: true, Merged: true}, verbs{command.Rollback}},
		{"what was verified can be undone, with its data", command.Situation{State: lifecycle.Verified, Pull: true, Merged: true, Restore: true}, verbs{command.Rollback, command.Restore}},
		{"a revert with a known fix", command.Situation{State: lifecycle.Reverting, Pull: true, Merged: true, Fix: true}, verbs{command.Fix, command.Approve, command.Rebase, command.Hold}},
		{"others changed the lines", command.Situation{State: lifecycle.Reverting, Clashes: true}, verbs{command.Resume, command.Hold}},
		{"a step of several can be agreed to with all that follow", command.Situation{State: lifecycle.Open, Pull: true, Ahead: true}, verbs{command.Approve, command.Step, command.Hold, command.Rebase, command.To, command.Ignore}},
		{"a ladder that stands goes on when somebody says so", command.Situation{State: lifecycle.Unverified, Merged: true, Ahead: true}, verbs{command.Step, command.Rollback}},
		{"critical goes on only by a person", command.Situation{State: lifecycle.Critical}, verbs{command.Resume}},
		{"closed can be tried again", command.Situation{State: lifecycle.Closed}, verbs{command.Retry}},
		{"where nobody looked, a person lets the ladder go on", command.Situation{State: lifecycle.Unverified, Merged: true, Ahead: true}, verbs{command.Step, command.Rollback}},
		{"what was verified is followed by itself", command.Situation{State: lifecycle.Verified, Merged: true, Ahead: true}, verbs{command.Rollback}},
		{"somebody moved the pin on a ladder", command.Situation{State: lifecycle.Obsolete, Ahead: true}, verbs{command.Step}},
		{"obsolete has nothing", command.Situation{State: lifecycle.Obsolete, Merged: true}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := command.Offers(tc.in); !slices.Equal(got, tc.want) {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}
