package reconcile

import (
	"context"
	"fmt"
	"slices"

	"github.com/belaybot/belay/bot/report"
	"github.com/belaybot/belay/rules/command"
	"github.com/belaybot/belay/rules/lifecycle"
)

// commandMerged carries out a command on an upgrade that was merged and is not
// over: it is applied, watched or undone.
func (r *Reconciler) commandMerged(ctx context.Context, j *job, by *said, cmd command.Command) (string, bool, error) {
	u, state := &j.rec.Undo, lifecycle.State(j.u.State)
	switch cmd.Verb {
	case command.Help:
		return report.Help(), true, nil
	case command.Status:
		return j.status().Headline(), true, nil
	case command.Approve:
		if state != lifecycle.Reverting || j.undo == nil {
			return "there is nothing to approve: it is merged already", false, nil
		}
		by.Head = j.undo.Head
		u.Approved = by
		return fmt.Sprintf("approved %s of #%d", short(by.Head), u.Pull), true, nil
	case command.Hold:
		j.rec.Held = by
		return "held until `/upgrade resume`: a revert is not merged meanwhile, and the watch goes on", true, nil
	case command.Resume:
		switch {
		case j.rec.Held != nil:
			j.rec.Held = nil
			return "goes on", true, nil
		case state == lifecycle.Critical || len(u.Clashes) > 0:
			u.Resume = true
			return "taken over; belay upgrades the service again when there is a newer version", true, nil
		}
		return "nothing was held", true, nil
	case command.Rollback:
		if state != lifecycle.Applying && state != lifecycle.Watching {
			return "it is being undone already", true, nil
		}
		u.Rollback = by
		return "the revert is opened", true, nil
	case command.Restore:
		text, ok := j.askRestore(by)
		return text, ok, nil
	case command.Plan, command.Rebase:
		if state != lifecycle.Reverting {
			return "it is merged already", false, nil
		}
		if why, err := r.keptOff(ctx, j.undo, u.Head); err != nil || why != "" {
			return why, false, err
		}
		u.Redo = true
		return "the revert is built again on today's default branch", true, nil
	case command.Fix:
		if state != lifecycle.Reverting {
			return "there is nothing to mend: the upgrade is " + j.u.State, false, nil
		}
		text, ok := j.mend(by)
		return text, ok, nil
	case command.Step, command.To:
		if state != lifecycle.Applying && state != lifecycle.Watching {
			return "this step failed: when it is undone, `/upgrade retry` tries it again", false, nil
		}
		if cmd.Verb == command.To {
			return r.commandTo(ctx, j, cmd.Args)
		}
		text, ok := j.commandStep(by, cmd.Args)
		return text, ok, nil
	case command.Retry, command.Ignore, command.Backup:
	}
	return fmt.Sprintf("it is merged already and %s: `/upgrade rollback` undoes it", j.u.State), false, nil
}

// mayRestore reports whether askRestore would be heeded while the upgrade is undone.
func (j *job) mayRestore() bool {
	b, ok := j.policy.BackupFor(j.u.Service)
	return ok && b.Restore != nil && j.rec.Backup.State == string(lifecycle.Good)
}

// askRestore has the data put back with the image.
func (j *job) askRestore(by *said) (string, bool) {
	b, _, ok := j.backup()
	switch {
	case !ok || b.Restore == nil:
		return "no restore is configured for " + j.u.Service + ": name one under `restore` of its backup, or put the data back by hand and then `/upgrade approve` the revert", false
	case j.rec.Backup.State != string(lifecycle.Good):
		return "no backup was taken before the merge that could be put back", false
	case lifecycle.State(j.u.State) == lifecycle.Undoing || lifecycle.State(j.u.State) == lifecycle.Rewatching:
		return "the revert is merged already: putting data back now would overwrite what the old version has written since", false
	}
	j.rec.Undo.Restore, j.rec.Undo.Refused = by, ""
	if slices.Contains([]lifecycle.State{lifecycle.Reverting, lifecycle.Restoring}, lifecycle.State(j.u.State)) {
		return "once the revert's checks are green the workload is stopped, the data put back, and the revert merged", true
	}
	j.rec.Undo.Rollback = by
	return "the revert is opened; once its checks are green the workload is stopped, the data put back, and the revert merged", true
}

// commandAfter answers commands on an upgrade that is over.
func (r *Reconciler) commandAfter(ctx context.Context, j *job, by *said, cmd command.Command) (string, bool, error) {
	state := lifecycle.State(j.u.State)
	merged := slices.Contains([]lifecycle.State{lifecycle.Verified, lifecycle.Unverified, lifecycle.NotDeployed, lifecycle.Failed}, state) && j.rec.Merge.SHA != ""
	switch cmd.Verb {
	case command.Help:
		return report.Help(), true, nil
	case command.Status:
		return j.status().Headline(), true, nil
	case command.Rollback:
		if !merged {
			return "there is nothing to undo: the upgrade is " + j.u.State, false, nil
		}
		j.rec.Undo = undo{Rollback: by}
		return "the revert is opened", true, nil
	case command.Restore:
		if !merged {
			return "there is nothing to undo: the upgrade is " + j.u.State, false, nil
		}
		j.rec.Undo = undo{}
		text, ok := j.askRestore(by)
		return text, ok, nil
	case command.Retry:
		if state != lifecycle.Failed && state != lifecycle.Closed && state != lifecycle.Reverted {
			return "there is nothing to try again: the upgrade is " + j.u.State, false, nil
		}
		d, err := j.rec.Target.dispatch()
		if err != nil {
			return "", false, err
		}
		if err := r.unblock(ctx, j); err != nil {
			return "", false, err
		}
		_, _, err = r.create(ctx, j.u.Repository, j.u.Service, j.u.Lane, j.u.From, j.u.To, targetOf(d, j.rec.Target.Dispatch), record{Judged: Judged{Security: j.rec.Security}, Ladder: j.rec.Ladder.Again()})
		return "tried again in a new pull request", true, err
	case command.Step, command.To:
		return r.commandLadderAfter(ctx, j, by, cmd)
	case command.Hold, command.Resume:
		if l := j.rec.Ladder; l != nil && l.Next != "" {
			return r.handOn(ctx, j, by, cmd)
		}
		return "this upgrade is over: it is " + j.u.State, false, nil
	default:
		return "this upgrade is over: it is " + j.u.State, false, nil
	}
}
