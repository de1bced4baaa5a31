package lifecycle

import (
	"slices"
	"time"
)

// Rule is one line of the table: in one of the states From, when the condition
// holds, do this.
type Rule struct {
	From  []State
	If    string // the condition in words; "" for otherwise
	When  func(Observed) bool
	Do    Verb
	To    State // "" stays
	Why   string
	Say   func(Observed) string    // what only the moment knows, added to Why; nil: nothing
	Until func(Observed) time.Time // of Wait; nil: an hour
	On    []Event                  // of Wait
	Group Group                    // of Wait: in whose hands it is; "": that of the state
}

func (r Rule) in(s State) bool { return slices.Contains(r.From, s) }

// needsReview says when a person has to agree before the merge: what rules do
// not let belay merge by itself, and a branch that holds what belay did not write.
// Who agreed to a whole ladder has agreed to each of its steps, as belay writes it.
func needsReview(o Observed) bool {
	return (!o.Automerge && !o.Agreed || o.Pull.Foreign) && !o.Approved && o.Pull.Review != ReviewApproved
}

// needsBackup says whether a backup has to be taken before the merge.
func needsBackup(o Observed) bool { return o.NeedsRun && o.Backup != Good }

func after(d func(Observed) time.Duration) func(Observed) time.Time {
	return func(o Observed) time.Time { return o.Since.Add(d(o)) }
}

func overdue(d func(Observed) time.Duration) func(Observed) bool {
	at := after(d)
	return func(o Observed) bool { return !o.Now.Before(at(o)) }
}

func backupTimeout(o Observed) time.Duration { return o.BackupTimeout }
func applyTimeout(o Observed) time.Duration  { return o.ApplyTimeout }
func watchLongest(o Observed) time.Duration  { return o.WatchLongest }

// watchUntil is when the watch is looked at again: when the judgement wants it,
// and when it has gone on for as long as it may.
func watchUntil(o Observed) time.Time {
	end := after(watchLongest)(o)
	if !o.WatchUntil.IsZero() && o.WatchUntil.Before(end) {
		return o.WatchUntil
	}
	return end
}

// applyAgain is when CI is asked again: GitHub says by itself when a check
// changes, Woodpecker has to be asked.
func applyAgain(o Observed) time.Time { return o.Now.Add(30 * time.Second) }

// frozen is why nothing moves in a repository that somebody froze. Reverts and
// watches go on: what is broken is still to be mended.
const frozen = "frozen: nothing is opened or merged in this repository"

// moment is how people are told a time: in the zone of the schedule.
const moment = "Mon 2 Jan 15:04 MST"

func opens(w Window) string {
	if w.Next.IsZero() {
		return ""
	}
	return "it opens " + w.Next.Format(moment)
}

func roomAt(o Observed) string {
	if o.RoomAt.IsZero() {
		return ""
	}
	return "until " + o.RoomAt.Format(moment)
}

func frozenBy(o Observed) string { return o.FrozenBy }

func inSoon(o Observed) time.Time { return o.Now.Add(soon) }

// The states before the merge in which there is a pull request.
var unmerged = []State{Open, BackingUp, Aborted}

// The states before the merge in which the gates are looked at.
var gated = []State{Open, BackingUp}

// Table is the whole life, the first rule that matches wins:
//
//	any        no access            wait
//	queued     hold, limit, window  wait, else open the pull request
//	unmerged   merged by a person   applying
//	unmerged   closed by a person   closed
//	unmerged   newer version        update the pull request
//	open       a gate is shut       wait
//	open       backup needed        backing up
//	backing up failed or too late   aborted
//	open       all gates open       merge
//	applying   CI says good         watch
//	watching   healthy              verified
//	           not healthy          open the revert: reverting (table_revert.go)
//
// A gate that shuts while the backup runs sends the upgrade back to open; the
// backup still counts while it is fresh.
func Table() []Rule { return table }

// of are the rules of each state, in the order of the table.
var of = func() map[State][]Rule {
	out := map[State][]Rule{}
	for _, r := range table {
		for _, s := range r.From {
			out[s] = append(out[s], r)
		}
	}
	return out
}()

var table = slices.Concat([]Rule{
	{From: []State{Queued, Open, BackingUp, Aborted, Applying, Watching, Reverting, Restoring, Undoing, Rewatching}, If: "the App may not act in the repository", When: func(o Observed) bool { return o.NoAccess },
		Do: Wait, Why: "the App is suspended or not installed on the repository", Group: NeedsYou, On: []Event{OnAccess, OnTimer}},

	// Before there is a pull request.
	{From: []State{Queued}, If: "the branch's pull request was merged", When: func(o Observed) bool { return o.Pull.State == PullMerged }, Do: Enter, To: Applying, Why: "the pull request was merged"},
	{From: []State{Queued}, If: "the default branch has the version already", When: func(o Observed) bool { return o.There }, Do: Enter, To: Obsolete, Why: "the default branch has it already"},
	{From: []State{Queued}, If: "it is a step, and the one before it was undone", When: func(o Observed) bool { return o.Broken }, Do: Enter, To: Obsolete, Why: "the step before it was undone"},
	{From: []State{Queued}, If: "an upgrade of the service is critical", When: func(o Observed) bool { return o.Locked }, Do: Wait, Why: "an earlier upgrade of the service failed and so did its revert: waits for /upgrade resume there", On: []Event{OnTurn, OnTimer}},
	{From: []State{Queued}, If: "the repository is frozen", When: func(o Observed) bool { return o.Frozen }, Do: Wait, Why: frozen, Say: frozenBy, On: []Event{OnThaw}},
	{From: []State{Queued}, If: "held", When: func(o Observed) bool { return o.Held }, Do: Wait, Why: "held", On: []Event{OnComment}},
	{From: []State{Queued}, If: "the rate limit is used up", When: func(o Observed) bool { return !o.Room }, Do: Wait, Why: "waits for the rate limit", Say: roomAt, Until: func(o Observed) time.Time { return o.RoomAt }, On: []Event{OnTimer}},
	{From: []State{Queued}, If: "outside schedule.open", When: func(o Observed) bool { return !o.Opening.Open }, Do: Wait, Why: "waits for the window in which pull requests are opened", Say: func(o Observed) string { return opens(o.Opening) }, Until: func(o Observed) time.Time { return o.Opening.Next }, On: []Event{OnTimer}},
	{From: []State{Queued}, Do: Publish, To: Open, Why: "a new version is there"},

	// What people did with the pull request.
	{From: unmerged, If: "merged by a person", When: func(o Observed) bool { return o.Pull.State == PullMerged && o.Pull.ByPerson }, Do: Enter, To: Applying, Why: "merged by a person"},
	{From: unmerged, If: "merged", When: func(o Observed) bool { return o.Pull.State == PullMerged }, Do: Enter, To: Applying, Why: "merged"},
	{From: unmerged, If: "closed, and the default branch has the version", When: func(o Observed) bool { return o.Pull.State == PullClosed && o.There }, Do: Enter, To: Obsolete, Why: "the default branch has it already"},
	{From: unmerged, If: "closed by a person", When: func(o Observed) bool { return o.Pull.State == PullClosed }, Do: Enter, To: Closed, Why: "closed by a person: this version is ignored until there is a newer one"},
	{From: unmerged, If: "the pull request was never opened, and the repository is frozen", When: func(o Observed) bool { return o.Pull.State == PullNone && o.Frozen }, Do: Wait, To: Open, Why: frozen, Say: frozenBy, On: []Event{OnThaw}},
	{From: unmerged, If: "it is a step, and the one before it was undone", When: func(o Observed) bool { return o.Broken && o.Pull.State == PullOpen }, Do: Discard, To: Obsolete, Why: "the step before it was undone"},
	{From: unmerged, If: "it is a step without a pull request, and the one before it was undone", When: func(o Observed) bool { return o.Broken }, Do: Enter, To: Obsolete, Why: "the step before it was undone"},
	{From: unmerged, If: "nothing is left to be done, and no pull request was opened", When: func(o Observed) bool { return o.There && o.Pull.State == PullNone }, Do: Enter, To: Obsolete, Why: "the default branch has it already"},
	{From: unmerged, If: "the pull request was never opened", When: func(o Observed) bool { return o.Pull.State == PullNone }, Do: Publish, To: Open, Why: "the pull request is missing"},
	{From: unmerged, If: "the default branch has the version already", When: func(o Observed) bool { return o.There && !o.Newer }, Do: Discard, To: Obsolete, Why: "the default branch has it already"},

	// What belongs into the pull request changed.
	{From: unmerged, If: "a person's commits are on the branch, and it no longer fits the base", When: func(o Observed) bool { return o.Pull.Foreign && (o.Pull.Stale || o.Pull.Mergeable == MergeConflict) },
		Do: Wait, Why: "somebody else's commits are on the branch and it no longer fits the base: belay leaves it alone", Group: NeedsYou, On: []Event{OnPull, OnBase, OnComment}},
	{From: unmerged, If: "a newer version was dispatched", When: func(o Observed) bool { return o.Newer && !o.Pull.Foreign && !o.Held }, Do: Publish, To: Open, Why: "a newer version is there"},
	{From: unmerged, If: "asked to plan again", When: func(o Observed) bool { return o.Redo && !o.Pull.Foreign }, Do: Publish, To: Open, Why: "asked to plan again"},
	{From: unmerged, If: "the base moved under the edits", When: func(o Observed) bool { return o.Pull.Stale || o.Pull.Mergeable == MergeConflict }, Do: Publish, To: Open, Why: "the base moved"},

	// After a failed backup.
	{From: []State{Aborted}, If: "asked to try again", When: func(o Observed) bool { return o.Retry }, Do: Enter, To: Open, Why: "asked to try again"},
	{From: []State{Aborted}, Do: Wait, Why: "the backup failed, so it is not merged: /upgrade retry tries again", On: []Event{OnComment, OnPull}},

	// The backup's own end comes before the gates: it is told even when one has shut.
	{From: []State{BackingUp}, If: "the backup failed", When: func(o Observed) bool { return o.Backup == Bad }, Do: Enter, To: Aborted, Why: "the backup failed"},
	{From: []State{BackingUp}, If: "the backup takes longer than its time-out", When: func(o Observed) bool { return o.Backup != Good && overdue(backupTimeout)(o) }, Do: Enter, To: Aborted, Why: "the backup did not end in time"},
	{From: []State{BackingUp}, If: "the backup runs", When: func(o Observed) bool { return o.Backup != Good }, Do: Wait, Why: "the backup runs", Until: func(o Observed) time.Time { return earlier(quickly(o), after(backupTimeout)(o)) }, On: []Event{OnTimer, OnPull, OnComment}},

	// The gates before the merge.
	{From: gated, If: "the repository is frozen", When: func(o Observed) bool { return o.Frozen }, Do: Wait, To: Open, Why: frozen, Say: frozenBy, On: []Event{OnThaw}},
	{From: gated, If: "held", When: func(o Observed) bool { return o.Held }, Do: Wait, To: Open, Why: "held", On: []Event{OnComment}},
	{From: gated, If: "a draft", When: func(o Observed) bool { return o.Pull.Draft }, Do: Wait, To: Open, Why: "the pull request is a draft", On: []Event{OnPull}},
	{From: gated, If: "changes requested", When: func(o Observed) bool { return o.Pull.Review == ReviewChanges }, Do: Wait, To: Open, Why: "a reviewer asked for changes", Group: NeedsYou, On: []Event{OnReview}},
	{From: gated, If: "a check failed", When: func(o Observed) bool { return o.Pull.Checks == Bad }, Do: Wait, To: Open, Why: "a check failed", Group: NeedsYou, On: []Event{OnCheck, OnPull}},
	{From: gated, If: "checks not all green", When: func(o Observed) bool { return o.Pull.Checks != Good }, Do: Wait, To: Open, Why: "waits for the checks", Group: InFlight, Until: inSoon, On: []Event{OnCheck}},
	{From: gated, If: "a person has to agree and has not", When: needsReview, Do: Wait, To: Open, Why: "waits for an approving review, or /upgrade approve", Group: NeedsYou, On: []Event{OnReview, OnComment}},
	{From: gated, If: "GitHub does not know yet whether it merges", When: func(o Observed) bool { return o.Pull.Mergeable != MergeClean }, Do: Wait, To: Open, Why: "GitHub works out whether it merges", Group: InFlight, Until: func(o Observed) time.Time { return o.Now.Add(10 * time.Second) }, On: []Event{OnTimer}},
	{From: gated, If: "outside schedule.merge", When: func(o Observed) bool { return !o.Merging.Open }, Do: Wait, To: Open, Why: "waits for the window in which belay merges", Say: func(o Observed) string { return opens(o.Merging) }, Until: func(o Observed) time.Time { return o.Merging.Next }, On: []Event{OnTimer}},
	{From: gated, If: "another upgrade of the service is not over", When: func(o Observed) bool { return o.Busy || o.Locked }, Do: Wait, To: Open, Why: "waits until the service's earlier upgrade is over", Until: inSoon, On: []Event{OnTurn}},
	{From: gated, If: "another upgrade of the repository is being applied", When: func(o Observed) bool { return !o.Turn }, Do: Wait, To: Open, Why: "waits until the merge before it has been applied", Until: inSoon, On: []Event{OnTurn}},
	{From: gated, If: "a backup is configured and none is fresh", When: needsBackup, Do: Backup, To: BackingUp, Why: "ready to merge: the backup comes first"},
	{From: gated, Do: Merge, To: Applying, Why: "all gates are open"},

	// After the merge.
	{From: []State{Applying, Watching}, If: "asked to roll back", When: func(o Observed) bool { return o.Rollback }, Do: Undo, To: Reverting, Why: "asked to roll back"},
	{From: []State{Applying}, If: "no check says when it is applied", When: func(o Observed) bool { return o.Apply == None }, Do: Enter, To: Watching, Why: "merged; no check is named in apply.checks"},
	{From: []State{Applying}, If: "CI applied it", When: func(o Observed) bool { return o.Apply == Good }, Do: Enter, To: Watching, Why: "applied"},
	{From: []State{Applying}, If: "CI failed", When: func(o Observed) bool { return o.Apply == Bad }, Do: Undo, To: Reverting, Why: "CI could not apply it"},
	{From: []State{Applying}, If: "CI could not be asked to the end of apply.timeout", When: func(o Observed) bool { return o.Apply == Unseen && overdue(applyTimeout)(o) }, Do: Enter, To: Watching, Why: "merged; CI could not be asked whether it applied it"},
	{From: []State{Applying}, If: "CI takes longer than apply.timeout", When: overdue(applyTimeout), Do: Undo, To: Reverting, Why: "CI did not apply it in time"},
	{From: []State{Applying}, Do: Wait, Why: "waits for CI to apply it", Until: func(o Observed) time.Time { return earlier(applyAgain(o), after(applyTimeout)(o)) }, On: []Event{OnCheck, OnTimer}},

	{From: []State{Watching}, If: "unhealthy", When: func(o Observed) bool { return o.Health == Bad }, Do: Undo, To: Reverting, Why: "the service is not healthy"},
	{From: []State{Watching}, If: "healthy through the window", When: func(o Observed) bool { return o.Health == Good }, Do: Enter, To: Verified, Why: "healthy through the whole window"},
	{From: []State{Watching}, If: "what was merged never ran", When: func(o Observed) bool { return o.Dead }, Do: Enter, To: NotDeployed, Why: "merged and applied, and yet it does not run"},
	{From: []State{Watching}, If: "nothing watches it", When: func(o Observed) bool { return o.Health == None }, Do: Enter, To: Unverified, Why: "applied; nothing that watches its health is configured"},
	{From: []State{Watching}, If: "belay could not see", When: func(o Observed) bool { return o.Health == Unseen || overdue(watchLongest)(o) }, Do: Enter, To: Unverified, Why: "applied; what watches its health was out of reach: please look at it"},
	{From: []State{Watching}, Do: Wait, Why: "its health is watched", Until: watchUntil, On: []Event{OnCluster, OnTimer, OnComment}},
}, undoing)
