package reconcile

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/belaybot/belay/bot/github"
	"github.com/belaybot/belay/bot/report"
	"github.com/belaybot/belay/bot/terraform"
	"github.com/belaybot/belay/rules/lifecycle"
	"github.com/belaybot/belay/rules/pin"
	"github.com/belaybot/belay/rules/policy"
)

// observeUndo looks at the revert: its pull request, and whether what it undoes
// still stands on the default branch.
func (r *Reconciler) observeUndo(ctx context.Context, j *job, v *view, o *lifecycle.Observed) error {
	u := &j.rec.Undo
	o.AutoRevert, o.Fixing, o.Placeholder = j.policy.Revert.Automerge, u.Fix, u.Fix && j.rec.Offer != nil && j.rec.Offer.NeedsValue
	o.Migrated = j.rec.Migration && o.State != lifecycle.Rewatching
	o.Rollback = u.Rollback != nil && j.rec.Merge.SHA != ""
	o.Restorable = j.mayRestore()
	o.Resume, o.Blind = u.Resume, j.rec.Failure.Blind
	o.Undo = lifecycle.Pull{State: lifecycle.PullNone}
	if err := r.observeRestore(ctx, j, v, o); err != nil {
		return err
	}
	if o.State != lifecycle.Reverting {
		return nil
	}
	if !u.Fix && u.Base != v.sha {
		_, undone, clashes := pin.Undo(v.inventory.Pins, j.rec.Moves)
		u.Undone, u.Clashes, u.Base = undone, nil, v.sha
		for _, c := range clashes {
			u.Clashes = append(u.Clashes, c.String())
		}
	}
	o.Undone, o.Conflict = u.Undone, len(u.Clashes) > 0
	if j.undo == nil {
		return nil
	}
	var err error
	if o.Undo, err = r.lookAt(ctx, j, j.undo, published{head: u.Head, pushed: u.Pushed, marker: u.Marker, redo: u.Redo}); err != nil {
		return err
	}
	if o.Undo.State == lifecycle.PullMerged {
		u.Merge.SHA, u.Merge.By = j.undo.MergeSHA, j.undo.MergedBy
	}
	if o.Turn, err = r.myTurn(ctx, j); err != nil {
		return err
	}
	o.Approved = u.Approved != nil && u.Approved.Head == j.undo.Head
	return nil
}

// fail records why an upgrade is undone, once, and that its version is not
// tried again.
func (r *Reconciler) fail(ctx context.Context, j *job, from lifecycle.State, why string) error {
	if from == lifecycle.Reverting {
		return nil
	}
	j.rec.Failure.At = r.opts.Now()
	j.rec.Failure.Blind = j.rec.Resumed && (from == lifecycle.Watching || from == lifecycle.Rewatching) && j.rec.Undo.Rollback == nil
	if j.rec.Failure.Why == "" {
		j.rec.Failure.Why = why
	}
	if by := j.rec.Undo.Rollback; by != nil {
		j.rec.Failure.Why = "rolled back by " + by.Login
		if by.Reason != "" {
			j.rec.Failure.Why += ": " + by.Reason
		}
	}
	if err := r.block(ctx, j, why); err != nil {
		return err
	}
	if from == lifecycle.Watching || from == lifecycle.Rewatching {
		r.unfollow(j)
	}
	if from == lifecycle.Rewatching { // the fix did not help: now it is undone
		j.rec.Undo = undo{Rollback: j.rec.Undo.Rollback, Restore: j.rec.Undo.Restore}
		j.undo, j.u.Undo = nil, 0
	}
	if from == lifecycle.Applying {
		return r.handOver(ctx, j)
	}
	return nil
}

// publishUndo brings the revert's pull request onto today's default branch: the
// pins back to their old values, everything else as it is now.
func (r *Reconciler) publishUndo(ctx context.Context, j *job) error {
	branch, err := r.branchOf(ctx, j)
	if err != nil {
		return err
	}
	v, err := r.today(ctx, j, branch)
	if err != nil {
		return err
	}
	u := &j.rec.Undo
	if u.Fix {
		return r.publishFix(ctx, j, v, branch)
	}
	j.offerFix(v)
	splices, undone, clashes := pin.Undo(v.inventory.Pins, j.rec.Moves)
	u.Undone, u.Clashes, u.Base, u.Redo = undone, nil, v.sha, false
	for _, c := range clashes {
		u.Clashes = append(u.Clashes, c.String())
	}
	if undone || len(clashes) > 0 {
		return nil // the next look decides what that means
	}
	if len(splices) == 0 {
		u.Clashes = []string{"what the upgrade changed was not recorded: undo it by hand"}
		return nil
	}
	changes, edits, err := v.inventory.Apply(splices)
	if err != nil {
		return err
	}
	return r.offer(ctx, j, v.sha, branch, report.RenderUndo(j.undoView(edits, r.opts.Owner)), changes)
}

// offer pushes the branch of an undo and opens its pull request, or brings it up to date.
func (r *Reconciler) offer(ctx context.Context, j *job, base, branch string, pr report.PullRequest, changes []terraform.Change) error {
	u := &j.rec.Undo
	if u.Branch == "" {
		var err error
		if u.Branch, err = r.branchFor(ctx, j, pr.Branch); err != nil {
			return err
		}
	}
	if m, err := report.ParseMarker(pr.Body); err == nil {
		m.Branch = u.Branch
		pr.Body, u.Marker = report.Remark(pr.Body, m), m.String()
	}
	head, err := r.push(ctx, j, base, commit{changes: changes, message: pr.Message, branch: u.Branch, expect: u.Head})
	if err != nil {
		return err
	}
	draft := github.Draft{Branch: u.Branch, Base: branch, Title: pr.Title, Body: pr.Body, Labels: pr.Labels}
	if u.Pull, err = r.openPull(ctx, j, u.Pull, j.undo, head, draft); err != nil {
		return err
	}
	j.u.Undo = u.Pull
	if head != u.Head {
		u.Pushed = r.opts.Now()
	}
	u.Head, u.Title, u.Message = head, pr.Title, pr.Message
	// A rule of the branch may ask for belay/risk.
	return r.checkOn(ctx, j, u.Pull, github.CheckRun{Name: "belay/risk", Head: head, Conclusion: "success", Title: "Undoes " + j.u.To, Summary: pr.Title + "."}, "undo/risk")
}

// undoView is what the text of the revert's pull request is made of.
func (j *job) undoView(edits []pin.Edit, owner string) report.UndoView {
	b, _, backed := j.backup()
	view := report.UndoView{Service: j.u.Service, Good: j.u.From, Failed: j.u.To, Pull: j.u.Pull, MergeSHA: j.rec.Merge.SHA, Why: j.rec.Failure.Why, Log: j.rec.Failure.Log,
		Migration: j.rec.Migration, Edits: edits, Automerge: j.policy.Revert.Automerge, Blind: j.rec.Failure.Blind, RestoreItself: j.restores(),
		Marker: report.Marker{Format: 1, Owner: owner, Service: j.u.Service, Also: j.rec.Also, From: j.u.From, To: j.u.To, Undoes: j.u.Pull, Moves: j.rec.Moves, Fix: j.rec.Undo.Fix, Data: j.rec.Migration, Blind: j.rec.Failure.Blind, Images: imagesOf(j.u.Lane), Chart: chartOf(j.u.Lane), Ladder: report.MarkerLadder(j.rec.Ladder)}}
	if backed && b.Kind != policy.BackupNone && j.rec.Backup.State == string(lifecycle.Good) {
		view.Backup, view.BackupAt = firstOf(j.rec.Backup.Name, backupName(b)), j.rec.Backup.Started
	}
	view.Offer = j.rec.Offer
	view.MayRestore = j.mayRestore()
	view.Unbacked = backed && b.Restore != nil && !view.MayRestore
	return view
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// imagesOf and chartOf take a lane apart again.
func imagesOf(lane string) []string {
	var out []string
	for _, name := range strings.Split(lane, ",") {
		if name != "" && !strings.HasPrefix(name, "chart ") {
			out = append(out, name)
		}
	}
	return out
}

func chartOf(lane string) string {
	for _, name := range strings.Split(lane, ",") {
		if chart, ok := strings.CutPrefix(name, "chart "); ok {
			return chart
		}
	}
	return ""
}

// mergeUndo squashes the revert, with the head that was judged.
func (r *Reconciler) mergeUndo(ctx context.Context, j *job) error {
	u := &j.rec.Undo
	sha, err := r.squash(ctx, j, u.Pull, j.undo.Head, u.Title, u.Message)
	if err != nil {
		return err
	}
	slug, err := r.opts.GitHub.Slug(ctx)
	if err != nil {
		return err
	}
	u.Merge = merge{SHA: sha, By: slug, At: r.opts.Now()}
	return r.dropBranch(ctx, j, u.Branch, u.Head)
}

// readUndo reads the revert's pull request.
func (r *Reconciler) readUndo(ctx context.Context, j *job) error {
	if j.rec.Undo.Pull == 0 || j.undo != nil || !lifecycle.State(j.u.State).Merged() && !j.u.Final {
		return nil
	}
	p, err := j.repo.Pull(ctx, j.rec.Undo.Pull)
	if errors.Is(err, github.ErrNotFound) {
		return fmt.Errorf("the revert #%d is gone: %w", j.rec.Undo.Pull, err)
	}
	if err != nil {
		return err
	}
	j.undo = &p
	return nil
}
