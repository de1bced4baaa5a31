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

// The states of an upgrade. The last five are final.
const (
	Queued     State = "queued"     // no pull request yet: the rate limit, a window or a hold
	Open       State = "open"       // the pull request waits for checks, a review, its window or its turn
	BackingUp  State = "backing up" // the backup before the merge runs
	Aborted    State = "aborted"    // the backup failed: not merged, a person decides
	Applying   State = "applying"   // merged; CI brings it to the cluster
	Watching   State = "watching"   // applied; its health is watched
	Verified   State = "verified"   // healthy through the whole window
	Unverified State = "unverified" // applied, and nobody could see how it fares
	Failed     State = "failed"     // not applied, or not healthy
	Closed     State = "closed"     // a person closed the pull request: this version is ignored
	Obsolete   State = "obsolete"   // nothing left to do: the version is there already, or cannot be had any more
)

// States are all states, in the order of a life.
func States() []State {
	return []State{Queued, Open, BackingUp, Aborted, Applying, Watching, Verified, Unverified, Failed, Closed, Obsolete}
}

// Final reports whether nothing follows a state.
func (s State) Final() bool {
	switch s {
	case Verified, Unverified, Failed, Closed, Obsolete:
		return true
	case Queued, Open, BackingUp, Aborted, Applying, Watching:
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
	OnAccess  Event = "access"  // the App may act in the repository again
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
	Next time.Time // when it opens, where it is shut; zero: never
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

	NoAccess bool // the App is suspended, or no longer installed on the repository
	There    bool // the default branch has the version already, or nothing to move any more
	Newer    bool // a newer version has been dispatched and is not in the pull request yet
	Held     bool // /upgrade hold
	Approved bool // /upgrade approve, for the head as it is now
	Retry    bool // /upgrade retry, since the state was entered
	Redo     bool // /upgrade plan or rebase: publish anew

	Room     bool      // the rate limit lets one more start
	RoomAt   time.Time // when it does
	Opening  Window    // schedule.open
	Merging  Window    // schedule.merge
	Turn     bool      // no other merge into the repository is on its way to the cluster
	Pull     Pull
	NeedsRun bool // a backup is configured for the service

	Backup Progress // Good: started after the pull request became mergeable, and not older than max_age
	Apply  Progress // None: no check is named in apply.checks
	Health Progress

	BackupTimeout, ApplyTimeout, WatchWindow time.Duration
}

// longest is how long belay waits for an event at most before it looks by
// itself: webhooks get lost.
const longest = time.Hour

// soon is how long belay waits for what GitHub or CI is about to say.
const soon = 5 * time.Minute

// Next says what to do now. Every state has a rule without condition at its
// end, so there always is one.
func Next(o Observed) Action {
	for _, r := range Table() {
		if r.in(o.State) && (r.When == nil || r.When(o)) {
			return r.action(o)
		}
	}
	return Action{Do: Wait, To: o.State, Why: "is over"}
}

func (r Rule) action(o Observed) Action {
	a := Action{Do: r.Do, To: r.To, Why: r.Why, On: r.On}
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
