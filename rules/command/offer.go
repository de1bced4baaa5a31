package command

import (
	"slices"

	"github.com/belaybot/belay/rules/lifecycle"
)

// Situation is what Offers looks at.
type Situation struct {
	State    lifecycle.State
	Pull     bool // there is a pull request
	Others   bool // somebody else's commits are on its branch, which belay does not edit then
	Held     bool
	Approved bool // the head as it is now
	Backup   bool // a backup is configured
	Restore  bool // a restore is configured, and there is a backup to put back
	Clashes  bool // others changed what is to be undone
	Fix      bool // what would mend the failure is known
	Merged   bool // it was merged once
	Ahead    bool // it is a step of a ladder, and there are steps after it that were not begun
	All      bool // somebody has agreed to all of them
}

// Offers lists the commands that make sense now, what is likely wanted first.
// What it leaves out may still be said in a comment; the answer then says why
// it does nothing.
func Offers(s Situation) []Verb {
	var out []Verb
	add := func(when bool, v ...Verb) {
		if when {
			out = append(out, v...)
		}
	}
	switch s.State {
	case lifecycle.Queued:
		add(s.Held, Resume)
		add(!s.Held, Hold)
	case lifecycle.Open, lifecycle.BackingUp, lifecycle.Aborted:
		add(s.State == lifecycle.Aborted, Retry)
		add(s.Held, Resume)
		add(s.Pull && !s.Approved, Approve)
		add(s.Pull && s.Ahead && !s.All, Step)
		add(!s.Held, Hold)
		add(s.Pull && s.Backup && s.State != lifecycle.BackingUp, Backup)
		add(s.Pull && !s.Others, Rebase, To)
		add(s.Pull, Ignore)
	case lifecycle.Applying, lifecycle.Watching:
		add(s.Ahead && !s.All, Step)
		add(true, Rollback)
		add(s.Restore, Restore)
	case lifecycle.Reverting:
		add(s.Held || s.Clashes, Resume)
		add(s.Fix, Fix)
		add(s.Restore, Restore)
		add(!s.Clashes, Approve, Rebase)
		add(!s.Held, Hold)
	case lifecycle.Critical:
		add(true, Resume)
	case lifecycle.Verified, lifecycle.Unverified, lifecycle.NotDeployed:
		add(s.Ahead && s.State != lifecycle.Verified, Step)
		add(s.Merged, Rollback)
		add(s.Merged && s.Restore, Restore)
	case lifecycle.Failed:
		add(true, Retry)
		add(s.Merged, Rollback)
		add(s.Merged && s.Restore, Restore)
	case lifecycle.Reverted, lifecycle.Closed:
		add(true, Retry)
	case lifecycle.Obsolete:
		add(s.Ahead, Step)
	case lifecycle.Restoring, lifecycle.Undoing, lifecycle.Rewatching:
	}
	return out
}

// Decisive reports whether a command is hard to take back, so that a person is
// asked before it is done.
func (v Verb) Decisive() bool {
	return slices.Contains([]Verb{Approve, Ignore, Rollback, Restore, Fix}, v)
}
