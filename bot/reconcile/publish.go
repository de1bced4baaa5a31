package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/belaybot/belay/bot/git"
	"github.com/belaybot/belay/bot/github"
	"github.com/belaybot/belay/bot/planner"
	"github.com/belaybot/belay/bot/report"
	"github.com/belaybot/belay/bot/terraform"
	"github.com/belaybot/belay/rules/plan"
	"github.com/belaybot/belay/rules/policy"
)

// planned is what a plan comes to for one upgrade.
type planned struct {
	upgrade plan.Upgrade
	changes []terraform.Change
	edits   string // hash
}

// files are the hashes of the edited files as they are on the base.
func (p *planned) files(v *view) map[string]string {
	out := map[string]string{}
	for _, c := range p.changes {
		if content, err := v.inventory.Content(c.Path); err == nil {
			out[c.Path] = hash(string(content))
		}
	}
	return out
}

// lane tells the upgrades of one service apart: what moves together is one.
func lane(u plan.Upgrade) string {
	names := slices.Clone(u.Images)
	slices.Sort(names)
	if u.Chart != "" {
		names = append(names, "chart "+u.Chart)
	}
	return strings.Join(names, ",")
}

// plan makes the plan of an upgrade on the default branch as it is. nil means
// that there is nothing to move; the record's Gone says why.
func (r *Reconciler) plan(ctx context.Context, j *job, v *view, t target) (*planned, error) {
	d, err := t.dispatch()
	if err != nil {
		return nil, err
	}
	result, err := v.planner.Plan(ctx, v.inventory, d)
	if err = planner.About(err, j.u.Service); err != nil {
		return nil, err
	}
	j.rec.Gone = ""
	for _, u := range result.Upgrades {
		if j.moves(u) {
			return r.planStep(ctx, j, v, result)
		}
	}
	j.rec.Gone = firstOf(result.Why(j.u.Service), "nothing in the service's files is to be moved any more")
	return nil, nil
}

// moves reports whether a planned upgrade moves what this one moves.
func (j *job) moves(u plan.Upgrade) bool { return u.Service == j.u.Service && lane(u) == j.u.Lane }

func editsHash(u plan.Upgrade) string {
	var parts []string
	for _, e := range u.Edits {
		parts = append(parts, e.Path, e.Before, e.After)
	}
	return hash(parts...)
}

// publish plans on today's base, pushes the branch and opens the pull request
// or brings it up to date. Each part finds what an earlier life made.
func (r *Reconciler) publish(ctx context.Context, j *job) error {
	branch, err := r.branchOf(ctx, j)
	if err != nil {
		return err
	}
	v, err := r.today(ctx, j, branch)
	if err != nil {
		return err
	}
	goal, way := j.rec.Target, j.rec.Ladder
	if j.rec.Newer != nil {
		goal = *j.rec.Newer
		j.chooseAnew()
	}
	p, err := r.plan(ctx, j, v, goal)
	if err != nil {
		return err
	}
	if p == nil {
		if j.rec.Newer != nil { // what is open stays
			j.rec.answer(answer{Command: "to " + goal.Tag, Text: j.rec.Gone})
			j.rec.Newer, j.rec.Gone, j.rec.Ladder = nil, "", way
		}
		j.rec.Redo = false
		return nil
	}
	pr := report.Render(p.upgrade)
	if j.rec.Branch == "" {
		if j.rec.Branch, err = r.branchFor(ctx, j, pr.Branch); err != nil {
			return err
		}
	}
	marker := r.markerOf(p.upgrade, j.rec.Branch)
	pr.Body = report.Remark(pr.Body, marker)
	if err := r.started(ctx, j); err != nil {
		return err
	}
	head, err := r.push(ctx, j, v.sha, commit{changes: p.changes, message: pr.Message, branch: j.rec.Branch, expect: j.rec.Head})
	if err != nil {
		return err
	}
	draft := github.Draft{Branch: j.rec.Branch, Base: branch, Title: pr.Title, Body: pr.Body, Labels: pr.Labels}
	if j.u.Pull, err = r.openPull(ctx, j, j.u.Pull, j.pull, head, draft); err != nil {
		return err
	}
	if j.rec.Newer != nil && j.rec.Target.Tag != goal.Tag && j.pull != nil {
		j.updated(p.upgrade)
	}
	if head != j.rec.Head {
		j.rec.Pushed = r.opts.Now()
	}
	j.rec.take(p, v, head, pr, goal)
	j.rec.Marker = marker.String()
	j.u.From, j.u.To = p.upgrade.From, p.upgrade.To
	j.place()
	return r.checkRisk(ctx, j, p.upgrade)
}

// take records what was published.
func (rec *record) take(p *planned, v *view, head string, pr report.PullRequest, goal target) {
	u := p.upgrade
	rec.Target, rec.Newer, rec.Redo, rec.Gone = goal, nil, false, ""
	rec.Head, rec.Base, rec.Files, rec.Edits, rec.Moved, rec.Others = head, v.sha, p.files(v), p.edits, false, others{}
	rec.Title, rec.Message = pr.Title, pr.Message
	rec.Risk, rec.Reasons, rec.Security, rec.Migration = u.Risk.Level, u.Risk.Reasons, u.Risk.Security, u.Risk.Migration
	rec.Evidence = quotes(u.Risk.Evidence)
	rec.Automerge, rec.Blockers, rec.Steps, rec.Moves = u.Automerge, u.Blockers, u.Steps, u.Moves
	rec.Also = u.Also
	rec.AppFrom, rec.AppTo, rec.Named, rec.Ladder = u.AppFrom, u.AppTo, namedIn(u), u.Ladder
	if rec.Backup.Key == "" { // messages name the backup before it is begun
		rec.Backup.Config = policy.Backup{}
		if list := v.policy.BackupsOf(append([]string{u.Service}, u.Also...)); len(list) > 0 && list[0].Backup.Kind != policy.BackupNone {
			rec.Backup.Config = list[0].Backup
		}
	}
}

// commit is what push brings to a branch.
type commit struct {
	changes []terraform.Change
	message string
	branch  string
	expect  string // where the branch is believed to be, "" for nowhere
}

// push writes the commit on the base and brings the branch to it. Its content,
// author and time follow from the base and the plan, so that the same plan is
// the same commit. A branch that belay wrote is replaced; one with somebody
// else's commits is left alone.
func (r *Reconciler) push(ctx context.Context, j *job, base string, c commit) (string, error) {
	m, err := r.mirrorOf(j)
	if err != nil {
		return "", err
	}
	name, email, err := r.opts.GitHub.Signature(ctx)
	if err != nil {
		return "", err
	}
	when, err := m.When(base)
	if err != nil {
		return "", err
	}
	files := map[string][]byte{}
	for _, f := range c.changes {
		files[f.Path] = f.Content
	}
	by := git.Signature{Name: name, Email: email, When: when}
	sha, err := m.Commit(ctx, git.CommitOptions{Parent: base, Files: files, Message: c.message, Author: by, Committer: by})
	if err != nil {
		return "", err
	}
	err = m.Push(ctx, sha, c.branch, c.expect)
	var stale *git.StaleError
	if !errors.As(err, &stale) {
		return sha, err
	}
	if stale.Got != "" { // the branch is elsewhere: is what stands there ours?
		if err := m.Fetch(ctx); err != nil {
			return "", err
		}
		commits, err := m.Commits(ctx, base, stale.Got)
		if err != nil {
			return "", err
		}
		for _, old := range commits {
			if old.Author.Email != by.Email {
				return "", fmt.Errorf("branch %s holds commits by %s: belay does not overwrite them; delete the branch or merge it", c.branch, old.Author.Name)
			}
		}
	}
	return sha, m.Push(ctx, sha, c.branch, stale.Got)
}

// openPull opens a pull request, or edits the one that is there, and returns
// its number. pull is what was seen of it, nil when nothing was.
func (r *Reconciler) openPull(ctx context.Context, j *job, number int, pull *github.Pull, head string, d github.Draft) (int, error) {
	if number == 0 {
		found, err := j.repo.FindPull(ctx, d.Branch)
		if err != nil {
			return 0, err
		}
		if found.Number != 0 && (found.State == "OPEN" || found.Head == head) {
			number = found.Number
		}
	}
	if number == 0 {
		number, err := j.repo.OpenPull(ctx, d)
		if err != nil {
			return 0, err
		}
		return number, j.repo.SetLabels(ctx, number, nil, d.Labels)
	}
	var labels []string
	if pull != nil {
		labels = pull.Labels
	}
	if pull == nil || pull.Title != d.Title || pull.Body != d.Body {
		if err := j.repo.EditPull(ctx, number, d); err != nil {
			return number, err
		}
	}
	return number, j.repo.SetLabels(ctx, number, labels, d.Labels)
}

// checkRisk writes the check belay/risk onto the head.
func (r *Reconciler) checkRisk(ctx context.Context, j *job, u plan.Upgrade) error {
	conclusion := "success"
	if !u.Automerge {
		conclusion = "neutral"
	}
	c := github.CheckRun{Name: "belay/risk", Head: j.rec.Head, Conclusion: conclusion, Title: strings.ToUpper(string(u.Risk.Level)), Summary: report.RiskCheck(u)}
	for _, n := range report.RiskNotes(u) {
		c.Notes = append(c.Notes, github.Note{Path: n.At.Path, Line: n.At.Line, Title: n.Title, Text: n.Text})
	}
	return r.check(ctx, j, c)
}

// check writes a check run of the upgrade's head where it differs from what was
// written last.
func (r *Reconciler) check(ctx context.Context, j *job, c github.CheckRun) error {
	return r.checkOn(ctx, j, j.u.Pull, c, c.Name)
}

// checkOn writes a check run of any pull request. key tells it from the others
// of the upgrade.
func (r *Reconciler) checkOn(ctx context.Context, j *job, pull int, c github.CheckRun, key string) error {
	c.Key, c.URL, c.At = j.u.ID, j.repo.PullURL(pull), r.opts.Now()
	known := j.rec.Checks[key]
	sum := hash(c.Head, c.Conclusion, c.Title, c.Summary)
	if known.Hash == sum {
		return nil
	}
	id := known.ID
	if known.Head != c.Head {
		id = 0
	}
	id, err := j.repo.SetCheckRun(ctx, id, c)
	if err != nil {
		return err
	}
	if j.rec.Checks == nil {
		j.rec.Checks = map[string]memo{}
	}
	j.rec.Checks[key] = memo{ID: id, Head: c.Head, Hash: sum}
	return nil
}

// backupName names a backup as it is configured: "cronjob dbaas/backup".
func backupName(b policy.Backup) string { return string(b.Kind) + " " + b.Target }
