package lifecycle

import "time"

// needsUndoReview says when a person has to agree before a revert is merged:
// where the configuration says so, where data may have been migrated and is not
// put back with it, where the service may have been unhealthy before, and where
// the branch holds what belay did not write. To ask for a fix is to agree to it,
// unless a person has to fill in a value.
func needsUndoReview(o Observed) bool {
	agreed := o.Approved || o.Undo.Review == ReviewApproved
	if o.Undo.Foreign || o.Fixing && o.Placeholder || !o.Fixing && (!o.AutoRevert || o.Blind) {
		return !agreed
	}
	return o.Migrated && !o.Fixing && !o.Restoring && !agreed
}

// whatOfData is what a person can say where data may have been migrated.
func whatOfData(o Observed) string {
	if o.Restorable {
		return "/upgrade restore puts image and data back together, /upgrade approve the image alone"
	}
	return "/upgrade approve puts the image alone back, and belay has no data to put back"
}

func restoreTimeout(o Observed) time.Duration { return o.RestoreTimeout }

// quickly is when to look again at what runs in the cluster or at GitHub and ends
// soon: the longer it has taken, the later, since most dumps are over in seconds.
func quickly(o Observed) time.Time {
	return o.Now.Add(min(max(o.Now.Sub(o.Since)/2, time.Second), 10*time.Second))
}

// rolledBack are the states that are over and whose merge can be undone.
var rolledBack = []State{Verified, Unverified, NotDeployed, Failed}

// undoing is what follows a failure. A revert knows no window of the schedule:
// what is broken is mended at once. See SPEC section 11.
var undoing = []Rule{
	{From: rolledBack, If: "asked to roll back", When: func(o Observed) bool { return o.Rollback }, Do: Undo, To: Reverting, Why: "asked to roll back"},

	// What happened to the revert's pull request.
	{From: []State{Reverting}, If: "the revert was merged", When: func(o Observed) bool { return o.Undo.State == PullMerged }, Do: Enter, To: Undoing, Why: "the revert was merged"},
	{From: []State{Reverting}, If: "the default branch has the old version again", When: func(o Observed) bool { return o.Undone && !o.Fixing && o.Undo.State == PullOpen }, Do: DiscardUndo, To: Rewatching, Why: "somebody else has undone it"},
	{From: []State{Reverting}, If: "the default branch has the old version again, and no revert is open", When: func(o Observed) bool { return o.Undone && !o.Fixing }, Do: Enter, To: Rewatching, Why: "somebody else has undone it"},
	{From: []State{Reverting}, If: "a person closed the revert", When: func(o Observed) bool { return o.Undo.State == PullClosed }, Do: Enter, To: Failed, Why: "the revert was closed by a person: belay leaves it to them"},
	{From: []State{Reverting}, If: "held", When: func(o Observed) bool { return o.Held }, Do: Wait, Why: "held", On: []Event{OnComment}},
	{From: []State{Reverting}, If: "others changed the same lines, and a person takes over", When: func(o Observed) bool { return o.Conflict && o.Resume }, Do: Enter, To: Failed, Why: "taken over by a person"},
	{From: []State{Reverting}, If: "others changed the same lines", When: func(o Observed) bool { return o.Conflict }, Do: Wait, Why: "the lines to undo were changed since: a person has to decide, and says /upgrade resume when it is done", Group: NeedsYou, On: []Event{OnBase, OnComment, OnPull}},
	{From: []State{Reverting}, If: "there is no revert yet", When: func(o Observed) bool { return o.Undo.State == PullNone }, Do: Undo, Why: "the revert is missing"},
	{From: []State{Reverting}, If: "a person's commits are on the branch, and it no longer fits the base", When: func(o Observed) bool { return o.Undo.Foreign && (o.Undo.Stale || o.Undo.Mergeable == MergeConflict) },
		Do: Wait, Why: "somebody else's commits are on the revert's branch and it no longer fits the base: belay leaves it alone", Group: NeedsYou, On: []Event{OnPull, OnBase, OnComment}},
	{From: []State{Reverting}, If: "the base moved under the revert", When: func(o Observed) bool { return o.Undo.Stale || o.Undo.Mergeable == MergeConflict }, Do: Undo, Why: "the base moved"},

	// The gates before the revert.
	{From: []State{Reverting}, If: "a draft", When: func(o Observed) bool { return o.Undo.Draft }, Do: Wait, Why: "the revert is a draft", Group: NeedsYou, On: []Event{OnPull}},
	{From: []State{Reverting}, If: "changes requested", When: func(o Observed) bool { return o.Undo.Review == ReviewChanges }, Do: Wait, Why: "a reviewer asked for changes of the revert", Group: NeedsYou, On: []Event{OnReview}},
	{From: []State{Reverting}, If: "a check failed", When: func(o Observed) bool { return o.Undo.Checks == Bad }, Do: Wait, Why: "a check of the revert failed: a person has to look", Group: NeedsYou, On: []Event{OnCheck, OnPull}},
	{From: []State{Reverting}, If: "checks not all green", When: func(o Observed) bool { return o.Undo.Checks != Good }, Do: Wait, Why: "waits for the checks of the revert", Until: inSoon, On: []Event{OnCheck}},
	{From: []State{Reverting}, If: "data may have been migrated, and nobody has decided", When: func(o Observed) bool { return needsUndoReview(o) && o.Migrated && !o.Fixing }, Do: Wait,
		Why: "data may have been migrated", Say: whatOfData, Group: NeedsYou, On: []Event{OnReview, OnComment}},
	{From: []State{Reverting}, If: "it may have been unhealthy before the merge, and nobody has decided", When: func(o Observed) bool { return needsUndoReview(o) && o.Blind && !o.Fixing }, Do: Wait,
		Why: "belay's state was lost during the watch, and with it what was unhealthy before: the revert waits for an approving review, or /upgrade approve", Group: NeedsYou, On: []Event{OnReview, OnComment}},
	{From: []State{Reverting}, If: "a person has to agree and has not", When: needsUndoReview, Do: Wait, Why: "the revert waits for an approving review, or /upgrade approve", Group: NeedsYou, On: []Event{OnReview, OnComment}},
	{From: []State{Reverting}, If: "GitHub does not know yet whether it merges", When: func(o Observed) bool { return o.Undo.Mergeable != MergeClean }, Do: Wait, Why: "GitHub works out whether the revert merges", Until: quickly, On: []Event{OnTimer}},
	{From: []State{Reverting}, If: "another upgrade of the repository is being applied", When: func(o Observed) bool { return !o.Turn }, Do: Wait, Why: "waits until the merge before it has been applied", Until: inSoon, On: []Event{OnTurn}},
	{From: []State{Reverting}, If: "the data is to be put back first", When: func(o Observed) bool { return o.Restoring && !o.Fixing && o.Restore != Good }, Do: Restore, To: Restoring, Why: "the workload is stopped and the data put back"},
	{From: []State{Reverting}, Do: MergeUndo, To: Undoing, Why: "all gates of the revert are open"},

	{From: []State{Restoring}, If: "the restore failed", When: func(o Observed) bool { return o.Restore == Bad }, Do: Enter, To: Critical, Why: "the restore failed: the workload stays stopped, so that nothing writes to half of the data"},
	{From: []State{Restoring}, If: "the data is back", When: func(o Observed) bool { return o.Restore == Good }, Do: Enter, To: Reverting, Why: "the data is back"},
	{From: []State{Restoring}, If: "the restore takes longer than its time-out", When: overdue(restoreTimeout), Do: Enter, To: Critical, Why: "the restore did not end in time: the workload stays stopped"},
	{From: []State{Restoring}, Do: Wait, Why: "the data is put back", Until: func(o Observed) time.Time { return earlier(quickly(o), after(restoreTimeout)(o)) }, On: []Event{OnCluster, OnTimer}},

	// After the revert.
	{From: []State{Undoing}, If: "no check says when it is applied", When: func(o Observed) bool { return o.Apply == None }, Do: Enter, To: Rewatching, Why: "the revert was merged; no check is named in apply.checks"},
	{From: []State{Undoing}, If: "CI applied it", When: func(o Observed) bool { return o.Apply == Good }, Do: Enter, To: Rewatching, Why: "the revert was applied"},
	{From: []State{Undoing}, If: "CI failed", When: func(o Observed) bool { return o.Apply == Bad }, Do: Enter, To: Critical, Why: "CI could not apply the revert"},
	{From: []State{Undoing}, If: "CI could not be asked to the end of apply.timeout", When: func(o Observed) bool { return o.Apply == Unseen && overdue(applyTimeout)(o) }, Do: Enter, To: Rewatching, Why: "the revert was merged; CI could not be asked whether it applied it"},
	{From: []State{Undoing}, If: "CI takes longer than apply.timeout", When: overdue(applyTimeout), Do: Enter, To: Critical, Why: "CI did not apply the revert in time"},
	{From: []State{Undoing}, Do: Wait, Why: "waits for CI to apply the revert", Until: func(o Observed) time.Time { return earlier(applyAgain(o), after(applyTimeout)(o)) }, On: []Event{OnCheck, OnTimer}},

	{From: []State{Rewatching}, If: "the fix does not help", When: func(o Observed) bool { return o.Fixing && (o.Health == Bad || o.Dead) }, Do: Undo, To: Reverting, Why: "the service is not healthy in spite of the fix"},
	{From: []State{Rewatching}, If: "unhealthy", When: func(o Observed) bool { return o.Health == Bad }, Do: Enter, To: Critical, Why: "the service is not healthy after the revert either"},
	{From: []State{Rewatching}, If: "the old version never ran again", When: func(o Observed) bool { return o.Dead }, Do: Enter, To: Critical, Why: "the revert was applied, and yet the old version does not run"},
	{From: []State{Rewatching}, If: "healthy, mended", When: func(o Observed) bool { return o.Fixing && o.Health == Good }, Do: Enter, To: Verified, Why: "healthy through the whole window, with the fix"},
	{From: []State{Rewatching}, If: "healthy through the window", When: func(o Observed) bool { return o.Health == Good }, Do: Enter, To: Reverted, Why: "the old version is healthy again"},
	{From: []State{Rewatching}, If: "nobody sees it", When: func(o Observed) bool { return o.Health == None || o.Health == Unseen || overdue(watchLongest)(o) }, Do: Enter, To: Reverted, Why: "undone; nothing that watches its health is configured or in reach: please look at it"},
	{From: []State{Rewatching}, Do: Wait, Why: "the health of the old version is watched", Until: watchUntil, On: []Event{OnCluster, OnTimer, OnComment}},

	{From: []State{Critical}, If: "asked to go on", When: func(o Observed) bool { return o.Resume }, Do: Enter, To: Failed, Why: "taken over by a person"},
	{From: []State{Critical}, Do: Wait, Why: "a person has to look: /upgrade resume when the service is well again", On: []Event{OnComment}},
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
