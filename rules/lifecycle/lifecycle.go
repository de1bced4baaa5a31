// Package lifecycle decides what happens next in the life of an upgrade.
//
// In goes Observed, everything that was seen of one upgrade at one moment; out
// comes Action, the one thing to do now. There is no memory in between: after a
// crash, a lost webhook or a new version of belay the same question is asked
// again. The rules stand in Table, first match wins; docs/lifecycle.md is
// generated from it. See SPEC sections 8 to 11.
package lifecycle

import (
	"time"

	"github.com/belaybot/belay/rules/risk"
)

// State is where an upgrade stands.
type State string

// The states of an upgrade.
const (
	Queued      State = "queued"         // no pull request yet: the rate limit, a window or a hold
	Open        State = "open"           // the pull request waits for checks, a review, its window or its turn
	BackingUp   State = "backing up"     // the backup before the merge runs
	Aborted     State = "aborted"        // the backup failed: not merged, a person decides
	Applying    State = "applying"       // merged; CI brings it to the cluster
	Watching    State = "watching"       // applied; its health is watched
	Reverting   State = "reverting"      // it failed: the revert pull request is open or about to be
	Restoring   State = "restoring"      // the data is put back before the revert is merged
	Undoing     State = "undoing"        // the revert was merged; CI brings it to the cluster
	Rewatching  State = "watching again" // the revert was applied; the health of the old version is watched
	Critical    State = "critical"       // the revert failed as well: a person is called, the service is left alone
	Verified    State = "verified"       // healthy through the whole window
	Unverified  State = "unverified"     // applied, and nobody could see how it fares
	NotDeployed State = "not deployed"   // merged and applied, and yet something else runs
	Reverted    State = "reverted"       // undone, and the old version runs again
	Failed      State = "failed"         // failed, and left to a person
	Closed      State = "closed"         // a person closed the pull request: this version is ignored
	Obsolete    State = "obsolete"       // nothing left to do: the version is there already, or cannot be had any more
)

// States are all states, in the order of a life.
func States() []State {
	return []State{Queued, Open, BackingUp, Aborted, Applying, Watching, Reverting, Restoring, Undoing, Rewatching, Critical,
		Verified, Unverified, NotDeployed, Reverted, Failed, Closed, Obsolete}
}

// Final reports whether belay does nothing more by itself. What was merged can
// still be rolled back when a person asks for it.
func (s State) Final() bool {
	switch s {
	case Verified, Unverified, NotDeployed, Reverted, Failed, Closed, Obsolete:
		return true
	case Queued, Open, BackingUp, Aborted, Applying, Watching, Reverting, Restoring, Undoing, Rewatching, Critical:
	}
	return false
}

// Merged reports whether an upgrade in this state has been merged and is not
// over: until then, no other upgrade of the service is merged.
func (s State) Merged() bool {
	switch s {
	case Applying, Watching, Reverting, Restoring, Undoing, Rewatching, Critical:
		return true
	case Queued, Open, BackingUp, Aborted, Verified, Unverified, NotDeployed, Reverted, Failed, Closed, Obsolete:
	}
	return false
}

// Verb is what to do.
type Verb string

// What an action does. Each is carried out so that doing it twice is doing it once.
const (
	Wait    Verb = "wait"              // nothing until an event or Action.Until
	Publish Verb = "open pull request" // plan anew on today's base; push the branch, open or update the pull request
	Discard Verb = "close pull request"
	Backup  Verb = "start backup"
	Merge   Verb = "merge" // squash, with the head that was observed
	Enter   Verb = "enter" // only the state changes

	Undo        Verb = "open revert"  // on today's base; push its branch, open or update its pull request
	DiscardUndo Verb = "close revert" // nothing is left to undo
	Restore     Verb = "start restore"
	MergeUndo   Verb = "merge revert" // squash, with the head that was observed
)

// Event is what makes belay look again.
type Event string

// What wakes an upgrade that waits.
const (
	OnTimer   Event = "timer"   // Action.Until has come
	OnCheck   Event = "check"   // a check run or commit status
	OnReview  Event = "review"  // a review
	OnComment Event = "comment" // a command
	OnPull    Event = "pull"    // the pull request changed: closed, merged, ready, pushed to
	OnBase    Event = "base"    // the default branch moved, or the configuration on it
	OnTurn    Event = "turn"    // another upgrade's apply ended
	OnCluster Event = "cluster" // pods, Jobs or snapshots changed
	OnAccess  Event = "access"  // the App may act in the repository again
	OnThaw    Event = "thaw"    // the repository is no longer frozen
)

// Action is the one thing to do now.
type Action struct {
	Do    Verb
	To    State     // the state after it was done
	Why   string    // for people: the status line, the audit trail
	Until time.Time // of Wait: look again then at the latest; zero: only an event helps
	On    []Event   // of Wait: what ends it sooner
}

// PullState is whether a pull request is open.
type PullState string

// The states of a pull request.
const (
	PullNone   PullState = "none" // not opened yet
	PullOpen   PullState = "open"
	PullMerged PullState = "merged"
	PullClosed PullState = "closed"
)

// Progress is how something that runs elsewhere stands: checks, a backup, an
// apply, the health of a service.
type Progress string

// How far something is.
const (
	None    Progress = "none" // not there, or not started
	Running Progress = "running"
	Good    Progress = "good"
	Bad     Progress = "bad"
	Unseen  Progress = "unseen" // it cannot be looked at: an observer is missing or out of reach
)

// Mergeable is GitHub's word on whether the branch merges cleanly.
type Mergeable string

// Whether a branch merges.
const (
	MergeUnknown  Mergeable = "unknown" // GitHub is still computing it
	MergeClean    Mergeable = "clean"
	MergeConflict Mergeable = "conflict"
)

// Review is the sum of the reviews by people with write permission.
type Review string

// What reviewers say.
const (
	ReviewNone     Review = "none"
	ReviewApproved Review = "approved" // of the head as it is now, by somebody who is not the bot
	ReviewChanges  Review = "changes requested"
)

// Window is a time in which something may happen.
type Window struct {
	Open bool
	Next time.Time // when it opens, where it is shut, in the zone of the schedule; zero: never
}

// Pull is what was seen of the pull request.
type Pull struct {
	State     PullState
	Foreign   bool // somebody else's commits are on the branch
	Stale     bool // the edits no longer fit today's base
	Draft     bool
	Mergeable Mergeable
	Checks    Progress // the required ones; with none required, all reported ones but belay's own
	Review    Review
	ByPerson  bool // merged by somebody else than belay
}

// Observed is everything that Next looks at, as it was at Now.
type Observed struct {
	Now   time.Time
	State State
	Since time.Time // when State was entered

	Risk      risk.Level
	Automerge bool // rules and configuration let belay merge without a person; never true of CAUTION

	NoAccess bool   // the App is suspended, or no longer installed on the repository
	There    bool   // the default branch has the version already, or nothing to move any more
	Newer    bool   // a newer version has been dispatched and is not in the pull request yet
	Held     bool   // /upgrade hold
	Frozen   bool   // belay freeze: nothing is opened or merged in the repository
	FrozenBy string // who and why, for people
	Approved bool   // /upgrade approve, for the head as it is now
	Agreed   bool   // it is a step of a ladder to the whole of which somebody agreed: /upgrade step all
	Broken   bool   // it is a step of a ladder, and the one before it was undone
	Retry    bool   // /upgrade retry, since the state was entered
	Redo     bool   // /upgrade plan or rebase: publish anew

	Room     bool      // the rate limit lets one more start
	RoomAt   time.Time // when it does, in the zone of the schedule; zero: once those before it have started
	Opening  Window    // schedule.open
	Merging  Window    // schedule.merge
	Turn     bool      // no other merge into the repository is on its way to the cluster
	Pull     Pull
	NeedsRun bool // a backup is configured for the service

	Locked bool // another upgrade of the service is critical: only a person ends that
	Busy   bool // another upgrade of the service was merged and is not over

	Backup     Progress  // Good: started after the pull request became mergeable, and not older than max_age
	Apply      Progress  // of the merge, or of the revert's; None: no check is named in apply.checks
	Health     Progress  // Good: through the whole window; Running: not decided yet; None: nothing watches; Unseen: belay could not see, in spite of the longer window
	Dead       bool      // by the end of the window, what was merged never ran
	WatchUntil time.Time // of Health Running: when to look again at the latest

	// After a failure.
	Rollback    bool     // /upgrade rollback
	Resume      bool     // /upgrade resume of what is critical
	AutoRevert  bool     // revert.automerge
	Migrated    bool     // the failed version may have migrated data
	Blind       bool     // it failed its watch, and what was unhealthy before the merge was lost with belay's state
	Restorable  bool     // a restore is configured, and there is a backup from before the merge
	Restoring   bool     // the data is to be put back: /upgrade restore, or revert.on_migration: restore
	Restore     Progress // how far that is
	Undo        Pull     // the revert's pull request
	Undone      bool     // the default branch has the old version again
	Conflict    bool     // others changed the same lines: what to undo is a person's decision
	Fixing      bool     // the pull request mends instead of undoing: /upgrade fix
	Placeholder bool     // and holds a value that a person has to fill in

	BackupTimeout, RestoreTimeout, ApplyTimeout, WatchLongest time.Duration
}

// longest is how long belay waits for an event at most before it looks by
// itself: webhooks get lost.
const longest = time.Hour

// soon is how long belay waits for what GitHub or CI is about to say.
const soon = 5 * time.Minute

// Next says what to do now. Every state that is not over has a rule without
// condition at its end, so there always is one.
func Next(o Observed) Action {
	for _, r := range of[o.State] {
		if r.When == nil || r.When(o) {
			return r.action(o)
		}
	}
	return Action{Do: Wait, To: o.State, Why: "is over"}
}

func (r Rule) action(o Observed) Action {
	a := Action{Do: r.Do, To: r.To, Why: r.Why, On: r.On}
	if r.Say != nil {
		if more := r.Say(o); more != "" {
			a.Why += ": " + more
		}
	}
	if a.To == "" {
		a.To = o.State
	}
	if r.Do == Wait {
		a.Until = o.Now.Add(longest)
		if r.Until != nil {
			if t := r.Until(o); !t.IsZero() && t.Before(a.Until) {
				a.Until = t
			}
		}
	}
	return a
}
