package reconcile

import (
	"context"
	"slices"
	"strings"

	"github.com/belaybot/belay/bot/report"
	"github.com/belaybot/belay/bot/terraform"
	"github.com/belaybot/belay/rules/pin"
	"github.com/belaybot/belay/rules/plan"
	"github.com/belaybot/belay/rules/watch"
)

// trouble is what is known of the failure that may be mended.
func (j *job) trouble() terraform.Trouble {
	f := j.rec.Failure
	t := terraform.Trouble{Cause: f.Cause, Workload: workloadOf(f.Why)}
	if missing := watch.Missing(f.Log, j.rec.Named); len(missing) > 0 {
		t.Variable = missing[0]
	}
	return t
}

// workloadOf reads which workload a failure speaks of: "deployment web/app:
// OOMKilled" names Deployment app in namespace web.
func workloadOf(why string) watch.Workload {
	name, _, _ := strings.Cut(why, ": ")
	kind, name, ok := strings.Cut(name, " ")
	namespace, name, qualified := strings.Cut(name, "/")
	if !ok || !qualified {
		return watch.Workload{}
	}
	for _, k := range []string{"Deployment", "StatefulSet", "DaemonSet", "CronJob", "Job"} {
		if strings.EqualFold(k, kind) {
			return watch.Workload{Kind: k, Namespace: namespace, Name: name}
		}
	}
	return watch.Workload{}
}

// offerFix notes what would make the new version run, where that is recognised.
func (j *job) offerFix(v *view) {
	j.rec.Offer = nil
	if fix, ok := v.inventory.Fix(j.u.Service, j.trouble()); ok {
		j.rec.Offer = &report.Offer{Path: fix.Path, Line: fix.Line, Before: fix.Before, After: fix.After, Why: fix.Why, NeedsValue: fix.NeedsValue}
	}
}

// mend has the pull request that undoes replaced by one that mends.
func (j *job) mend(by *said) (string, bool) {
	switch {
	case j.rec.Offer == nil:
		return "nothing was recognised that belay could mend", false
	case j.rec.Undo.Fix:
		return "it is being mended already", true
	}
	j.rec.Undo = undo{Fix: true, FixBy: by, Replaces: j.rec.Undo.Pull, Seen: j.rec.Undo.Seen}
	j.undo, j.u.Undo = nil, 0
	if j.rec.Offer.NeedsValue {
		return "a pull request with the change is opened in place of the revert; fill in the value there, then approve it", true
	}
	return "a pull request with the change is opened in place of the revert", true
}

// publishFix brings the pull request that mends onto today's default branch.
func (r *Reconciler) publishFix(ctx context.Context, j *job, v *view, branch string) error {
	u := &j.rec.Undo
	fix, ok := v.inventory.Fix(j.u.Service, j.trouble())
	u.Base, u.Redo, u.Clashes = v.sha, false, nil
	if !ok {
		u.Clashes = []string{"what was to be mended is not there any more"}
		return nil
	}
	view := j.undoView([]pin.Edit{{Path: fix.Path, Line: fix.Line, Before: firstLine(fix.Before), After: changedLine(fix)}}, r.opts.Owner)
	view.Fix, view.NeedsValue, view.Offer = fix.Why, fix.NeedsValue, nil
	if err := r.offer(ctx, j, v.sha, branch, report.RenderUndo(view), fix.Changes); err != nil {
		return err
	}
	if u.Replaces == 0 {
		return nil
	}
	return j.repo.ClosePull(ctx, u.Replaces)
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// changedLine is the first line of a fix that was not there before.
func changedLine(f terraform.Fix) string {
	before := strings.Split(f.Before, "\n")
	for _, line := range strings.Split(f.After, "\n") {
		if !slices.Contains(before, line) {
			return line
		}
	}
	return firstLine(f.After)
}

// namedIn are the identifiers that the release notes of an upgrade name.
func namedIn(u plan.Upgrade) []string {
	var out []string
	for _, e := range u.Risk.Evidence {
		for _, id := range e.Identifiers {
			if !slices.Contains(out, id) && len(out) < 200 {
				out = append(out, id)
			}
		}
	}
	return out
}
