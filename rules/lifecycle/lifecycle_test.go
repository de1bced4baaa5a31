package lifecycle_test

import (
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/belaybot/belay/rules/lifecycle"
)

var update = flag.Bool("update", false, "rewrite docs/lifecycle.md")

func TestDocIsCurrent(t *testing.T) {
	const name = "../../docs/lifecycle.md"
	if *update {
		if err := os.WriteFile(name, []byte(lifecycle.Doc()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(data), lifecycle.Doc()); diff != "" {
		t.Errorf("run make golden (-file +rules):\n%s", diff)
	}
}

var now = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// ready is an upgrade whose gates are all open.
func ready() lifecycle.Observed {
	return lifecycle.Observed{
		Now: now, State: lifecycle.Open, Since: now.Add(-time.Minute), Automerge: true, Room: true, Turn: true,
		Opening: lifecycle.Window{Open: true}, Merging: lifecycle.Window{Open: true},
		Pull:          lifecycle.Pull{State: lifecycle.PullOpen, Mergeable: lifecycle.MergeClean, Checks: lifecycle.Good, Review: lifecycle.ReviewNone},
		Backup:        lifecycle.None,
		Apply:         lifecycle.Running,
		Health:        lifecycle.Running,
		AutoRevert:    true,
		Restore:       lifecycle.None,
		Undo:          lifecycle.Pull{State: lifecycle.PullOpen, Mergeable: lifecycle.MergeClean, Checks: lifecycle.Good, Review: lifecycle.ReviewNone},
		BackupTimeout: 5 * time.Minute, RestoreTimeout: 5 * time.Minute, ApplyTimeout: 15 * time.Minute, WatchLongest: 10 * time.Minute,
	}
}

func TestNext(t *testing.T) {
	type o = lifecycle.Observed
	for _, tc := range []struct {
		name string
		with func(*o)
		do   lifecycle.Verb
		to   lifecycle.State
		why  string
	}{
		{"a new upgrade opens its pull request", func(o *o) { o.State = lifecycle.Queued; o.Pull.State = lifecycle.PullNone }, lifecycle.Publish, lifecycle.Open, "new version"},
		{"the rate limit defers", func(o *o) { o.State = lifecycle.Queued; o.Room = false }, lifecycle.Wait, lifecycle.Queued, "rate limit"},
		{"the rate limit says until when", func(o *o) {
			o.State, o.Room, o.RoomAt = lifecycle.Queued, false, now.Add(6*time.Hour)
		}, lifecycle.Wait, lifecycle.Queued, "waits for the rate limit: until Mon 2 Mar 18:00 UTC"},
		{"the merge window says when it opens, in its zone", func(o *o) {
			o.Merging = lifecycle.Window{Next: time.Date(2026, 3, 3, 9, 0, 0, 0, time.FixedZone("EET", 7200))}
		}, lifecycle.Wait, lifecycle.Open, "belay merges: it opens Tue 3 Mar 09:00 EET"},
		{"the opening window defers", func(o *o) { o.State = lifecycle.Queued; o.Opening.Open = false }, lifecycle.Wait, lifecycle.Queued, "window"},
		{"what is there already needs no pull request", func(o *o) { o.State = lifecycle.Queued; o.There = true }, lifecycle.Enter, lifecycle.Obsolete, "already"},
		{"SAFE and green merges", func(*o) {}, lifecycle.Merge, lifecycle.Applying, "gates"},
		{"a backup comes first", func(o *o) { o.NeedsRun = true }, lifecycle.Backup, lifecycle.BackingUp, "backup"},
		{"a fresh backup serves", func(o *o) { o.NeedsRun = true; o.Backup = lifecycle.Good }, lifecycle.Merge, lifecycle.Applying, ""},
		{"a running backup is waited for", func(o *o) { o.NeedsRun = true; o.State = lifecycle.BackingUp; o.Backup = lifecycle.Running }, lifecycle.Wait, lifecycle.BackingUp, "runs"},
		{"a failed backup aborts", func(o *o) { o.NeedsRun = true; o.State = lifecycle.BackingUp; o.Backup = lifecycle.Bad }, lifecycle.Enter, lifecycle.Aborted, "failed"},
		{"a late backup aborts", func(o *o) {
			o.NeedsRun = true
			o.State = lifecycle.BackingUp
			o.Backup = lifecycle.Running
			o.Since = now.Add(-6 * time.Minute)
		}, lifecycle.Enter, lifecycle.Aborted, "in time"},
		{"an aborted one waits for a person", func(o *o) { o.State = lifecycle.Aborted; o.NeedsRun = true; o.Backup = lifecycle.Bad }, lifecycle.Wait, lifecycle.Aborted, "retry"},
		{"retry", func(o *o) { o.State = lifecycle.Aborted; o.Retry = true }, lifecycle.Enter, lifecycle.Open, "again"},
		{"a gate that shuts during the backup goes back to open", func(o *o) {
			o.State = lifecycle.BackingUp
			o.NeedsRun = true
			o.Backup = lifecycle.Good
			o.Pull.Checks = lifecycle.Bad
		}, lifecycle.Wait, lifecycle.Open, "check failed"},
		{"CAUTION waits for a review", func(o *o) { o.Automerge = false }, lifecycle.Wait, lifecycle.Open, "approving review"},
		{"an approving review", func(o *o) { o.Automerge = false; o.Pull.Review = lifecycle.ReviewApproved }, lifecycle.Merge, lifecycle.Applying, ""},
		{"/upgrade approve", func(o *o) { o.Automerge = false; o.Approved = true }, lifecycle.Merge, lifecycle.Applying, ""},
		{"requested changes outweigh /upgrade approve", func(o *o) { o.Approved = true; o.Pull.Review = lifecycle.ReviewChanges }, lifecycle.Wait, lifecycle.Open, "changes"},
		{"who agreed to the whole ladder agreed to its steps", func(o *o) { o.Automerge = false; o.Agreed = true }, lifecycle.Merge, lifecycle.Applying, ""},
		{"but not to a person's commits", func(o *o) { o.Agreed = true; o.Pull.Foreign = true }, lifecycle.Wait, lifecycle.Open, "review"},
		{"a step goes with the one before it", func(o *o) { o.Broken = true }, lifecycle.Discard, lifecycle.Obsolete, "undone"},
		{"before it has a pull request, too", func(o *o) { o.Broken = true; o.State = lifecycle.Queued; o.Pull.State = lifecycle.PullNone }, lifecycle.Enter, lifecycle.Obsolete, "undone"},
		{"a draft waits", func(o *o) { o.Pull.Draft = true }, lifecycle.Wait, lifecycle.Open, "draft"},
		{"a freeze opens nothing", func(o *o) { o.State = lifecycle.Queued; o.Pull.State = lifecycle.PullNone; o.Frozen = true }, lifecycle.Wait, lifecycle.Queued, "frozen"},
		{"a freeze merges nothing, and says who froze", func(o *o) { o.Frozen, o.FrozenBy = true, "ana, incident" }, lifecycle.Wait, lifecycle.Open, "in this repository: ana, incident"},
		{"a freeze does not open again what was never opened", func(o *o) { o.Frozen = true; o.Pull.State = lifecycle.PullNone }, lifecycle.Wait, lifecycle.Open, "frozen"},
		{"a freeze lets the backup end", func(o *o) {
			o.Frozen, o.NeedsRun, o.State, o.Backup = true, true, lifecycle.BackingUp, lifecycle.Running
		}, lifecycle.Wait, lifecycle.BackingUp, "runs"},
		{"a freeze does not merge after the backup", func(o *o) {
			o.Frozen, o.NeedsRun, o.State, o.Backup = true, true, lifecycle.BackingUp, lifecycle.Good
		}, lifecycle.Wait, lifecycle.Open, "frozen"},
		{"a freeze does not stop a person's merge from being followed", func(o *o) { o.Frozen = true; o.Pull.State = lifecycle.PullMerged; o.Pull.ByPerson = true }, lifecycle.Enter, lifecycle.Applying, "person"},
		{"a freeze does not stop a watch", func(o *o) { o.Frozen, o.State, o.Health = true, lifecycle.Watching, lifecycle.Good }, lifecycle.Enter, lifecycle.Verified, "healthy"},
		{"a freeze does not stop a revert from being opened", func(o *o) { o.Frozen, o.State, o.Health = true, lifecycle.Watching, lifecycle.Bad }, lifecycle.Undo, lifecycle.Reverting, "not healthy"},
		{"a freeze does not stop a revert from being merged", func(o *o) { o.Frozen, o.State = true, lifecycle.Reverting }, lifecycle.MergeUndo, lifecycle.Undoing, "gates"},
		{"a hold waits", func(o *o) { o.Held = true }, lifecycle.Wait, lifecycle.Open, "held"},
		{"a person's commits need a review", func(o *o) { o.Pull.Foreign = true }, lifecycle.Wait, lifecycle.Open, "review"},
		{"a person's commits are never overwritten", func(o *o) { o.Pull.Foreign = true; o.Pull.Stale = true; o.Newer = true }, lifecycle.Wait, lifecycle.Open, "alone"},
		{"a newer version updates in place", func(o *o) { o.Newer = true }, lifecycle.Publish, lifecycle.Open, "newer"},
		{"the base moved under the edits", func(o *o) { o.Pull.Stale = true }, lifecycle.Publish, lifecycle.Open, "base"},
		{"another merge is on its way", func(o *o) { o.Turn = false }, lifecycle.Wait, lifecycle.Open, "merge before"},
		{"a person merged it", func(o *o) { o.Pull.State = lifecycle.PullMerged; o.Pull.ByPerson = true }, lifecycle.Enter, lifecycle.Applying, "person"},
		{"belay had merged and was killed", func(o *o) { o.Pull.State = lifecycle.PullMerged }, lifecycle.Enter, lifecycle.Applying, "merged"},
		{"a person closed it", func(o *o) { o.Pull.State = lifecycle.PullClosed }, lifecycle.Enter, lifecycle.Closed, "ignored"},
		{"the base has it already", func(o *o) { o.There = true }, lifecycle.Discard, lifecycle.Obsolete, "already"},
		{"what is found not to be needed gets no pull request", func(o *o) { o.There = true; o.Pull.State = lifecycle.PullNone }, lifecycle.Enter, lifecycle.Obsolete, "already"},
		{"the App is suspended", func(o *o) { o.NoAccess = true }, lifecycle.Wait, lifecycle.Open, "suspended"},
		{"applied", func(o *o) { o.State = lifecycle.Applying; o.Apply = lifecycle.Good }, lifecycle.Enter, lifecycle.Watching, "applied"},
		{"not applied", func(o *o) { o.State = lifecycle.Applying; o.Apply = lifecycle.Bad }, lifecycle.Undo, lifecycle.Reverting, "could not"},
		{"applied too late", func(o *o) { o.State = lifecycle.Applying; o.Since = now.Add(-time.Hour) }, lifecycle.Undo, lifecycle.Reverting, "in time"},
		{"CI that cannot be asked is no failure", func(o *o) {
			o.State = lifecycle.Applying
			o.Apply = lifecycle.Unseen
			o.Since = now.Add(-time.Hour)
		}, lifecycle.Enter, lifecycle.Watching, "could not be asked"},
		{"an observer's outage is no failure", func(o *o) { o.State = lifecycle.Watching; o.Health = lifecycle.Unseen }, lifecycle.Enter, lifecycle.Unverified, "out of reach"},
		{"a watch without an end ends", func(o *o) { o.State = lifecycle.Watching; o.Since = now.Add(-time.Hour) }, lifecycle.Enter, lifecycle.Unverified, "out of reach"},
		{"nothing watches", func(o *o) { o.State = lifecycle.Watching; o.Health = lifecycle.None }, lifecycle.Enter, lifecycle.Unverified, "configured"},
		{"what never ran is not reverted", func(o *o) { o.State = lifecycle.Watching; o.Dead = true }, lifecycle.Enter, lifecycle.NotDeployed, "does not run"},
		{"healthy", func(o *o) { o.State = lifecycle.Watching; o.Health = lifecycle.Good }, lifecycle.Enter, lifecycle.Verified, "healthy"},
		{"unhealthy", func(o *o) { o.State = lifecycle.Watching; o.Health = lifecycle.Bad }, lifecycle.Undo, lifecycle.Reverting, "not healthy"},
		{"rolled back while it is watched", func(o *o) { o.State = lifecycle.Watching; o.Rollback = true }, lifecycle.Undo, lifecycle.Reverting, "asked"},
		{"rolled back days later", func(o *o) { o.State = lifecycle.Verified; o.Rollback = true }, lifecycle.Undo, lifecycle.Reverting, "asked"},
		{"the service's earlier upgrade is not over", func(o *o) { o.Busy = true }, lifecycle.Wait, lifecycle.Open, "earlier upgrade"},
		{"a critical service opens nothing", func(o *o) { o.State = lifecycle.Queued; o.Locked = true }, lifecycle.Wait, lifecycle.Queued, "resume"},

		{"a green revert is merged by itself", func(o *o) { o.State = lifecycle.Reverting }, lifecycle.MergeUndo, lifecycle.Undoing, "gates"},
		{"outside schedule.merge too", func(o *o) { o.State = lifecycle.Reverting; o.Merging.Open = false }, lifecycle.MergeUndo, lifecycle.Undoing, "gates"},
		{"revert.automerge: false asks", func(o *o) { o.State = lifecycle.Reverting; o.AutoRevert = false }, lifecycle.Wait, lifecycle.Reverting, "approving review"},
		{"a revert asks where nobody knows how it was before", func(o *o) { o.State = lifecycle.Reverting; o.Blind = true }, lifecycle.Wait, lifecycle.Reverting, "was lost"},
		{"a person knows", func(o *o) { o.State = lifecycle.Reverting; o.Blind, o.Approved = true, true }, lifecycle.MergeUndo, lifecycle.Undoing, "gates"},
		{"a revert after a data migration asks, and offers the data", func(o *o) { o.State = lifecycle.Reverting; o.Migrated = true; o.Restorable = true }, lifecycle.Wait, lifecycle.Reverting, "/upgrade restore"},
		{"it offers no data that belay does not have", func(o *o) { o.State = lifecycle.Reverting; o.Migrated = true }, lifecycle.Wait, lifecycle.Reverting, "no data to put back"},
		{"a person lets the image alone go back", func(o *o) { o.State = lifecycle.Reverting; o.Migrated = true; o.Approved = true }, lifecycle.MergeUndo, lifecycle.Undoing, ""},
		{"the data goes back first", func(o *o) { o.State = lifecycle.Reverting; o.Migrated = true; o.Restoring = true }, lifecycle.Restore, lifecycle.Restoring, "put back"},
		{"then the image", func(o *o) {
			o.State = lifecycle.Reverting
			o.Migrated = true
			o.Restoring = true
			o.Restore = lifecycle.Good
		}, lifecycle.MergeUndo, lifecycle.Undoing, ""},
		{"a failed restore calls a person", func(o *o) { o.State = lifecycle.Restoring; o.Restore = lifecycle.Bad }, lifecycle.Enter, lifecycle.Critical, "stays stopped"},
		{"a late restore calls a person", func(o *o) { o.State = lifecycle.Restoring; o.Since = now.Add(-time.Hour) }, lifecycle.Enter, lifecycle.Critical, "in time"},
		{"others changed the same lines", func(o *o) {
			o.State = lifecycle.Reverting
			o.Conflict = true
			o.Undo.State = lifecycle.PullNone
		}, lifecycle.Wait, lifecycle.Reverting, "person"},
		{"somebody has undone it already", func(o *o) { o.State = lifecycle.Reverting; o.Undone = true }, lifecycle.DiscardUndo, lifecycle.Rewatching, "somebody"},
		{"a person closes the revert", func(o *o) { o.State = lifecycle.Reverting; o.Undo.State = lifecycle.PullClosed }, lifecycle.Enter, lifecycle.Failed, "closed"},
		{"a person merges the revert", func(o *o) { o.State = lifecycle.Reverting; o.Undo.State = lifecycle.PullMerged }, lifecycle.Enter, lifecycle.Undoing, "merged"},
		{"the revert is applied", func(o *o) { o.State = lifecycle.Undoing; o.Apply = lifecycle.Good }, lifecycle.Enter, lifecycle.Rewatching, "applied"},
		{"the revert cannot be applied", func(o *o) { o.State = lifecycle.Undoing; o.Apply = lifecycle.Bad }, lifecycle.Enter, lifecycle.Critical, "could not"},
		{"the old version is healthy", func(o *o) { o.State = lifecycle.Rewatching; o.Health = lifecycle.Good }, lifecycle.Enter, lifecycle.Reverted, "healthy"},
		{"the old version is not healthy either", func(o *o) { o.State = lifecycle.Rewatching; o.Health = lifecycle.Bad }, lifecycle.Enter, lifecycle.Critical, "either"},
		{"the fix helps", func(o *o) { o.State = lifecycle.Rewatching; o.Health = lifecycle.Good; o.Fixing = true }, lifecycle.Enter, lifecycle.Verified, "fix"},
		{"the fix does not help", func(o *o) { o.State = lifecycle.Rewatching; o.Health = lifecycle.Bad; o.Fixing = true }, lifecycle.Undo, lifecycle.Reverting, "fix"},
		{"critical waits for a person", func(o *o) { o.State = lifecycle.Critical }, lifecycle.Wait, lifecycle.Critical, "person"},
		{"and ends by one", func(o *o) { o.State = lifecycle.Critical; o.Resume = true }, lifecycle.Enter, lifecycle.Failed, "person"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := ready()
			tc.with(&o)
			a := lifecycle.Next(o)
			if a.Do != tc.do || a.To != tc.to || !strings.Contains(a.Why, tc.why) {
				t.Errorf("%s to %s because %q; want %s to %s because %q", a.Do, a.To, a.Why, tc.do, tc.to, tc.why)
			}
		})
	}
}

// every calls f with every combination of what Next looks at in a state: some
// hundreds of thousands of observations. What is looked at before the merge and
// after it are varied by the same bits, since no state looks at both.
func every(s lifecycle.State, f func(lifecycle.Observed)) {
	bools := []bool{false, true}
	for bits := range 1 << 12 {
		on := func(i int) bool { return bits>>i&1 == 1 }
		o := ready()
		o.State = s
		o.Automerge, o.There, o.Newer, o.Held, o.Approved, o.Retry = on(0), on(1), on(2), on(3), on(4), on(5)
		o.Turn, o.NeedsRun, o.Pull.Foreign, o.Pull.Stale, o.Pull.Draft, o.Merging.Open = on(6), on(7), on(8), on(9), on(10), on(11)
		o.Frozen = on(3) && on(10)
		o.Agreed, o.Broken = on(5) && on(2), on(7) && on(10)
		o.Busy, o.Placeholder = on(0) && on(1), on(0) && on(1)
		o.AutoRevert, o.Undone, o.Conflict, o.Migrated, o.Restoring, o.Fixing = on(0), on(1), on(2), on(5), on(7), on(11)
		o.Dead, o.Rollback, o.Resume, o.Blind = on(10), on(9) && on(8), on(1), on(3) && on(9)
		o.Merging.Next = now.Add(3 * time.Hour)
		for _, o.Pull.State = range []lifecycle.PullState{lifecycle.PullNone, lifecycle.PullOpen, lifecycle.PullMerged, lifecycle.PullClosed} {
			for _, progress := range []lifecycle.Progress{lifecycle.None, lifecycle.Running, lifecycle.Good, lifecycle.Bad, lifecycle.Unseen} {
				o.Backup, o.Apply, o.Health, o.Restore = progress, progress, progress, progress
				for _, o.Pull.Checks = range []lifecycle.Progress{lifecycle.Running, lifecycle.Good, lifecycle.Bad} {
					for _, o.Pull.Review = range []lifecycle.Review{lifecycle.ReviewNone, lifecycle.ReviewApproved, lifecycle.ReviewChanges} {
						o.Undo = o.Pull
						f(o)
					}
				}
			}
		}
	}
	for _, b := range bools { // what is left, around an upgrade that is ready
		o := ready()
		o.State, o.NoAccess = s, b
		for _, o.Room = range bools {
			for _, o.Redo = range bools {
				o.Opening.Open = o.Room != o.Redo
				for _, o.Pull.Mergeable = range []lifecycle.Mergeable{lifecycle.MergeUnknown, lifecycle.MergeClean, lifecycle.MergeConflict} {
					for _, o.Since = range []time.Time{now, now.Add(-time.Hour)} {
						for _, o.Pull.State = range []lifecycle.PullState{lifecycle.PullNone, lifecycle.PullOpen} {
							o.Undo = o.Pull
							f(o)
						}
					}
				}
			}
		}
	}
}

// TestEveryObservation holds every answer against what must never happen.
func TestEveryObservation(t *testing.T) {
	for _, s := range lifecycle.States() {
		t.Run(string(s), func(t *testing.T) {
			t.Parallel()
			n := 0
			every(s, func(o lifecycle.Observed) {
				n++
				a := lifecycle.Next(o)
				if what := forbidden(o, a); what != "" {
					t.Fatalf("%s\nobserved %+v\naction %+v", what, o, a)
				}
			})
			t.Logf("%d observations", n)
		})
	}
}

// forbidden says what is wrong with an action, "" when nothing is.
func forbidden(o lifecycle.Observed, a lifecycle.Action) string {
	if o.State.Final() {
		back := o.Rollback && a.Do == lifecycle.Undo && a.To == lifecycle.Reverting
		if !back && (a.Do != lifecycle.Wait || a.To != o.State) {
			return "something follows a final state"
		}
		return ""
	}
	switch a.Do {
	case lifecycle.Merge:
		switch {
		case o.State != lifecycle.Open && o.State != lifecycle.BackingUp:
			return "merges from another state"
		case o.Pull.State != lifecycle.PullOpen || o.Pull.Draft || o.Pull.Mergeable != lifecycle.MergeClean:
			return "merges what is not open, ready and clean"
		case o.Pull.Checks != lifecycle.Good:
			return "merges without green checks"
		case o.NeedsRun && o.Backup != lifecycle.Good:
			return "merges without a fresh backup"
		case o.Broken:
			return "goes up from a step that was undone"
		case !o.Automerge && !o.Agreed && !o.Approved && o.Pull.Review != lifecycle.ReviewApproved:
			return "merges without a review"
		case o.Pull.Foreign && !o.Approved && o.Pull.Review != lifecycle.ReviewApproved:
			return "merges a person's commits without a review"
		case o.Pull.Review == lifecycle.ReviewChanges:
			return "merges against a review"
		case o.Held || o.Frozen || o.NoAccess || !o.Turn || o.Busy || o.Locked || !o.Merging.Open || o.Pull.Stale || o.Newer && !o.Pull.Foreign:
			return "merges while held, out of turn, out of the window or out of date"
		}
	case lifecycle.Undo:
		switch {
		case o.NoAccess || o.State == lifecycle.Reverting && (o.Held || o.Conflict):
			return "writes a revert where it must not"
		case o.State == lifecycle.Reverting && o.Undo.State == lifecycle.PullOpen && o.Undo.Foreign:
			return "overwrites a person's commits on the revert"
		case o.State == lifecycle.Watching && o.Health != lifecycle.Bad && !o.Rollback:
			return "reverts what is not known to be unhealthy"
		case o.State == lifecycle.Applying && o.Apply != lifecycle.Bad && !o.Rollback && o.Now.Sub(o.Since) < o.ApplyTimeout:
			return "reverts what CI may still apply"
		}
	case lifecycle.DiscardUndo:
		if !o.Undone || o.Fixing {
			return "closes a revert that is needed"
		}
	case lifecycle.Restore:
		if !o.Restoring || o.Restore == lifecycle.Good || o.Held || !o.Turn || o.Undo.Checks != lifecycle.Good {
			return "puts data back that nobody asked for, or before the revert is ready"
		}
	case lifecycle.MergeUndo:
		agreed := o.Approved || o.Undo.Review == lifecycle.ReviewApproved
		switch {
		case o.State != lifecycle.Reverting || o.NoAccess || o.Held || !o.Turn || o.Conflict:
			return "merges a revert while held, out of turn or against a conflict"
		case o.Undo.State != lifecycle.PullOpen || o.Undo.Draft || o.Undo.Stale || o.Undo.Mergeable != lifecycle.MergeClean || o.Undo.Checks != lifecycle.Good:
			return "merges a revert that is not open, ready, clean and green"
		case o.Undo.Review == lifecycle.ReviewChanges:
			return "merges a revert against a review"
		case o.Undo.Foreign && !agreed, (!o.AutoRevert || o.Blind) && !o.Fixing && !agreed:
			return "merges a revert without a review"
		case o.Fixing && o.Placeholder && !agreed:
			return "merges a placeholder"
		case o.Migrated && !o.Fixing && !agreed && o.Restore != lifecycle.Good:
			return "puts the old image on migrated data without asking"
		}
	case lifecycle.Backup:
		if !o.NeedsRun || o.Held || o.Frozen || o.State == lifecycle.BackingUp && o.Backup == lifecycle.Running {
			return "takes a backup that nobody needs"
		}
	case lifecycle.Publish:
		switch {
		case o.Pull.Foreign && o.Pull.State == lifecycle.PullOpen && o.State != lifecycle.Queued:
			return "overwrites a person's commits"
		case o.State == lifecycle.Queued && (!o.Room || o.Held || o.Frozen || !o.Opening.Open):
			return "opens against the limit, a hold or the window"
		case o.NoAccess || o.Locked && o.State == lifecycle.Queued || o.State.Merged():
			return "writes where it must not"
		}
	case lifecycle.Wait:
		if len(a.On) == 0 && a.Until.IsZero() {
			return "waits for ever"
		}
		if a.Until.After(o.Now.Add(time.Hour)) {
			return "does not look again within the hour"
		}
	case lifecycle.Discard, lifecycle.Enter:
		if a.To == o.State {
			return "does nothing and says that it did"
		}
	}
	if a.To == lifecycle.Verified && o.Health != lifecycle.Good {
		return "verified without being healthy"
	}
	wrong := o.Restore == lifecycle.Bad || o.Apply == lifecycle.Bad || o.Health == lifecycle.Bad || o.Dead || o.Now.Sub(o.Since) >= 5*time.Minute
	if a.To == lifecycle.Critical && o.State != lifecycle.Critical && !wrong {
		return "calls a person for nothing"
	}
	return ""
}

// TestLooksAgainSoon checks that what ends soon is looked at soon, and what takes
// long less often.
func TestLooksAgainSoon(t *testing.T) {
	for _, tc := range []struct {
		name       string
		state      lifecycle.State
		took, next time.Duration
	}{
		{"a backup that was just started", lifecycle.BackingUp, 0, time.Second},
		{"a backup of some seconds", lifecycle.BackingUp, 8 * time.Second, 4 * time.Second},
		{"a backup that takes minutes", lifecycle.BackingUp, 3 * time.Minute, 10 * time.Second},
		{"a backup close to its time-out", lifecycle.BackingUp, 5*time.Minute - 3*time.Second, 3 * time.Second},
		{"a workload that is being stopped for its restore", lifecycle.Restoring, 0, time.Second},
		{"a clock that was put back", lifecycle.Restoring, -time.Minute, time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := ready()
			o.State, o.Since, o.NeedsRun, o.Backup, o.Restore = tc.state, now.Add(-tc.took), true, lifecycle.Running, lifecycle.Running
			if a := lifecycle.Next(o); a.Do != lifecycle.Wait || a.Until.Sub(now) != tc.next {
				t.Errorf("%s until %s from now, want %s", a.Do, a.Until.Sub(now), tc.next)
			}
		})
	}
}

// TestWaitsMoveOn checks that a wait with a deadline ends at it: the same
// observation at the deadline does not wait for the same moment again.
func TestWaitsMoveOn(t *testing.T) {
	for _, s := range []lifecycle.State{lifecycle.BackingUp, lifecycle.Applying, lifecycle.Watching, lifecycle.Undoing, lifecycle.Rewatching} {
		o := ready()
		o.State, o.NeedsRun, o.Backup = s, true, lifecycle.Running
		o.Since = now
		a := lifecycle.Next(o)
		if a.Do != lifecycle.Wait {
			t.Fatalf("%s: %+v", s, a)
		}
		for range 100 {
			if o.Now = lifecycle.Next(o).Until; lifecycle.Next(o).Do != lifecycle.Wait {
				break
			}
		}
		if b := lifecycle.Next(o); b.Do == lifecycle.Wait {
			t.Errorf("%s waits on at its deadline: %+v", s, b)
		}
	}
}

func FuzzNext(f *testing.F) {
	f.Add("open", "open", "good", "approved", true, int64(60))
	f.Fuzz(func(t *testing.T, state, pull, progress, review string, b bool, age int64) {
		o := ready()
		o.State, o.Pull.State, o.Pull.Checks, o.Pull.Review = lifecycle.State(state), lifecycle.PullState(pull), lifecycle.Progress(progress), lifecycle.Review(review)
		o.Held, o.Since = b, now.Add(-time.Duration(age))
		if a := lifecycle.Next(o); a.Do == lifecycle.Merge && o.Pull.State != lifecycle.PullOpen {
			t.Errorf("%+v", a)
		}
	})
}
