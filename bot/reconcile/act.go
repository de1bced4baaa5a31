package reconcile

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/belaybot/belay/bot/cluster"
	"github.com/belaybot/belay/bot/github"
	"github.com/belaybot/belay/bot/report"
	"github.com/belaybot/belay/bot/traces"
	"github.com/belaybot/belay/rules/lifecycle"
	"github.com/belaybot/belay/rules/policy"
)

// later asks to be tried again at a moment.
type later struct {
	at  time.Time
	why string
}

func (l *later) Error() string      { return l.why }
func (l *later) RetryAt() time.Time { return l.at }

// act carries out one action.
func (r *Reconciler) act(ctx context.Context, j *job, a lifecycle.Action) error {
	if a.Do == lifecycle.Wait {
		return nil
	}
	ctx, end := traces.Span(ctx, string(a.Do), "belay.upgrade", j.u.ID, "belay.repository", j.u.Repository, "belay.service", j.u.Service, "belay.state", j.u.State, "belay.to", string(a.To))
	err := r.carryOut(ctx, j, a)
	end(err)
	return err
}

func (r *Reconciler) carryOut(ctx context.Context, j *job, a lifecycle.Action) error {
	from := lifecycle.State(j.u.State)
	switch a.Do {
	case lifecycle.Wait:
		return nil
	case lifecycle.Publish:
		return r.publish(ctx, j)
	case lifecycle.Discard:
		if err := j.repo.ClosePull(ctx, j.u.Pull); err != nil {
			return err
		}
		return r.dropBranch(ctx, j, j.rec.Branch, j.rec.Head)
	case lifecycle.Backup:
		return r.startBackup(ctx, j)
	case lifecycle.Merge:
		return r.merge(ctx, j)
	case lifecycle.Undo:
		if from == lifecycle.Applying {
			r.seeWhy(ctx, j, j.view)
		}
		if err := r.fail(ctx, j, from, a.Why); err != nil {
			return err
		}
		return r.publishUndo(ctx, j)
	case lifecycle.DiscardUndo:
		if err := j.repo.ClosePull(ctx, j.rec.Undo.Pull); err != nil {
			return err
		}
		return r.dropBranch(ctx, j, j.rec.Undo.Branch, j.rec.Undo.Head)
	case lifecycle.Restore:
		return r.startRestore(ctx, j)
	case lifecycle.MergeUndo:
		return r.mergeUndo(ctx, j)
	case lifecycle.Enter:
		return r.entering(ctx, j, from, a)
	}
	return fmt.Errorf("no effect is known for %q", a.Do)
}

// entering does what a change of state brings along.
func (r *Reconciler) entering(ctx context.Context, j *job, from lifecycle.State, a lifecycle.Action) error {
	switch a.To {
	case lifecycle.Applying:
		return r.merged(ctx, j)
	case lifecycle.Closed:
		if err := r.block(ctx, j, a.Why); err != nil {
			return err
		}
	case lifecycle.Open: // after /upgrade retry
		j.rec.Backup = backup{Try: j.rec.Backup.Try}
	case lifecycle.Rewatching:
		if err := r.startAgain(ctx, j, j.view); err != nil {
			return err
		}
	default:
	}
	if from == lifecycle.Watching || from == lifecycle.Rewatching {
		r.unfollow(j)
	}
	if from == lifecycle.Applying || from == lifecycle.Undoing || from.Merged() && (a.To.Final() || a.To == lifecycle.Critical) {
		return r.handOver(ctx, j)
	}
	return nil
}

// merged records a merge, whoever made it.
func (r *Reconciler) merged(ctx context.Context, j *job) error {
	slug, err := r.opts.GitHub.Slug(ctx)
	if err != nil {
		return err
	}
	if j.rec.Merge.SHA == "" { // merged by a person: CI has hardly begun
		r.lookBefore(ctx, j)
	}
	j.rec.Merge.SHA, j.rec.Merge.By, j.rec.Merge.At = j.pull.MergeSHA, j.pull.MergedBy, r.opts.Now()
	if j.pull.MergedBy != slug {
		b, _, ok := j.backup()
		j.rec.Merge.Unbacked = ok && b.Kind != policy.BackupNone && j.rec.Backup.State != string(lifecycle.Good)
	}
	// The turn is taken so that nothing else is merged until this one is applied;
	// a person does not ask for it.
	if _, err := r.takeTurn(ctx, j); err != nil {
		return err
	}
	return r.dropBranch(ctx, j, j.rec.Branch, j.rec.Head)
}

// merge squashes the pull request, with the head that was judged.
func (r *Reconciler) merge(ctx context.Context, j *job) error {
	r.lookBefore(ctx, j)
	f, err := r.freezeOf(ctx, j.u.Repository)
	if err != nil {
		return err
	}
	if f != nil { // frozen since it was observed
		return &later{at: r.opts.Now(), why: "the repository is frozen"}
	}
	sha, err := r.squash(ctx, j, j.u.Pull, j.pull.Head, firstOf(j.rec.Title, j.pull.Title), j.rec.Message)
	if err != nil {
		return err
	}
	slug, err := r.opts.GitHub.Slug(ctx)
	if err != nil {
		return err
	}
	j.rec.Merge = merge{SHA: sha, By: slug, At: r.opts.Now()}
	return r.dropBranch(ctx, j, j.rec.Branch, j.rec.Head)
}

// squash takes the turn and merges a pull request into one commit.
func (r *Reconciler) squash(ctx context.Context, j *job, number int, head, title, message string) (string, error) {
	got, err := r.takeTurn(ctx, j)
	if err != nil {
		return "", err
	}
	if !got {
		return "", &later{at: r.opts.Now().Add(5 * time.Second), why: "another upgrade merges first"}
	}
	_, message, _ = strings.Cut(message, "\n\n")
	sha, err := j.repo.MergePull(ctx, number, github.Merge{Head: head, Title: fmt.Sprintf("%s (#%d)", title, number), Message: message})
	if err == nil {
		return sha, nil
	}
	if release := r.handOver(ctx, j); release != nil {
		return "", release
	}
	if errors.Is(err, github.ErrStale) || errors.Is(err, github.ErrNotMergeable) {
		return "", &later{at: r.opts.Now().Add(10 * time.Second), why: err.Error()}
	}
	return "", err
}

// dropBranch deletes a branch where it still is what belay pushed. A branch
// that stays is no reason to stop.
func (r *Reconciler) dropBranch(ctx context.Context, j *job, branch, head string) error {
	m, err := r.mirrorOf(j)
	if err != nil {
		return err
	}
	if head == "" {
		return nil
	}
	if err := m.DeleteBranch(ctx, branch, head); err != nil {
		r.opts.Log.Warn("the branch was not deleted", "repo", j.u.Repository, "branch", branch, "why", err)
	}
	return nil
}

func turnKey(repository string) string { return "turn " + strings.ToLower(repository) }

// myTurn reports whether the upgrade may merge: nobody else's merge is on its
// way to the cluster.
func (r *Reconciler) myTurn(ctx context.Context, j *job) (bool, error) {
	holder, err := r.opts.Store.Holder(ctx, turnKey(j.u.Repository))
	return holder == "" || holder == j.u.ID, err
}

func (r *Reconciler) takeTurn(ctx context.Context, j *job) (bool, error) {
	return r.opts.Store.Claim(ctx, turnKey(j.u.Repository), j.u.ID, r.opts.Now().Add(j.policy.Apply.Timeout+10*time.Minute))
}

// handOver lets the next one merge.
func (r *Reconciler) handOver(ctx context.Context, j *job) error {
	if err := r.opts.Store.Release(ctx, turnKey(j.u.Repository), j.u.ID); err != nil {
		return err
	}
	return r.wakeOthers(ctx, j)
}

// wakeOthers has the repository's waiting upgrades look again.
func (r *Reconciler) wakeOthers(ctx context.Context, j *job) error {
	open, err := r.opts.Store.OpenUpgrades(ctx, j.u.Repository)
	if err != nil {
		return err
	}
	for _, u := range open {
		if s := lifecycle.State(u.State); u.ID != j.u.ID && (s == lifecycle.Open || s == lifecycle.Queued || s == lifecycle.Reverting) {
			if err := r.opts.Wake(ctx, u.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// startBackup starts the configured backup. Its key names the head, so that a
// repeat finds it and a new head gets its own.
func (r *Reconciler) startBackup(ctx context.Context, j *job) error {
	b, _, _ := j.backup()
	now := r.opts.Now()
	if old := j.rec.Backup; old.State == string(lifecycle.Running) && lifecycle.Serves(now, old.Started, j.rec.Ready, b.MaxAge) {
		return nil // somebody asked for it already
	}
	try := j.rec.Backup.Try + 1
	j.rec.Backup = backup{Key: hash(j.u.ID, j.pull.Head, fmt.Sprint(try)), Try: try, Config: b, Asked: now, Started: now, State: string(lifecycle.Running)}
	return r.lookAtBackup(ctx, j)
}

// services are all that the upgrade moves, the one that it is named after first.
func (j *job) services() []string { return append([]string{j.u.Service}, j.rec.Also...) }

// backup is the backup before the merge, and the service whose it is; ok is false
// where none is configured for any service that moves.
func (j *job) backup() (b policy.Backup, service string, ok bool) {
	list := j.policy.BackupsOf(j.services())
	if len(list) == 0 {
		return policy.Backup{}, j.u.Service, false
	}
	return list[0].Backup, list[0].Service, true
}

func (r *Reconciler) lookAtBackup(ctx context.Context, j *job) error {
	b := &j.rec.Backup
	if why := policy.Differ(j.policy.BackupsOf(j.services())); why != "" {
		b.State, b.Detail = string(lifecycle.Bad), why
		return nil
	}
	if r.opts.Backups == nil {
		b.State, b.Detail = string(lifecycle.Bad), "belay has no access to a cluster in which it could take the backup"
		return nil
	}
	manifest, err := r.manifest(j, j.view, b.Config.Kind, b.Config.Target)
	if err != nil {
		b.State, b.Detail = string(lifecycle.Bad), err.Error()
		return nil //nolint:nilerr // that is the backup's outcome
	}
	ready := j.rec.Ready
	if ready.IsZero() {
		ready = b.Asked
	}
	_, service, _ := j.backup()
	result, err := r.opts.Backups.Backup(ctx, cluster.BackupRequest{Key: b.Key, Backup: b.Config, Ready: ready, Manifest: manifest, Service: service})
	if err != nil {
		return err
	}
	b.State, b.Name, b.Detail, b.Shared = string(result.State), result.Name, result.Detail, result.Shared
	if !result.Started.IsZero() {
		b.Started = result.Started
	}
	return nil
}

// tell brings the checks and the status comment up to date.
func (r *Reconciler) tell(ctx context.Context, j *job) error {
	if j.u.Pull == 0 || j.repo == nil || j.u.Final && !j.rec.Lost.IsZero() && len(j.rec.Answers) == 0 {
		return nil // what was said of its end before the record was lost says more
	}
	s := j.status()
	if head := j.rec.head(); head != "" {
		if err := r.checkOthers(ctx, j); err != nil {
			return err
		}
		if b, _, ok := j.backup(); ok && b.Kind != policy.BackupNone && j.rec.Backup.Key != "" {
			c := github.CheckRun{Name: "belay/backup", Head: head, Title: "Backup by " + backupName(b), Summary: report.BackupCheck(backupName(b), j.rec.Backup.State, j.rec.Backup.Detail)}
			switch lifecycle.Progress(j.rec.Backup.State) {
			case lifecycle.Good:
				c.Conclusion = "success"
			case lifecycle.Bad:
				c.Conclusion = "failure"
			default:
			}
			if err := r.check(ctx, j, c); err != nil {
				return err
			}
		}
		if err := r.check(ctx, j, github.CheckRun{Name: "belay/verify", Head: head, Conclusion: conclusion(lifecycle.State(j.u.State)),
			Title: s.Headline(), Summary: report.VerifyCheck(s)}); err != nil {
			return err
		}
	}
	text := report.Status(s)
	if r.opts.Carry != "" {
		if err := r.keep(ctx, j, s); err != nil {
			return err
		}
	} else {
		body, err := r.marked(ctx, j)
		if err == nil {
			err = r.mark(ctx, j, body)
		}
		if err == nil {
			err = r.comment(ctx, j, j.u.Pull, j.pull, &j.rec.Comment, &j.rec.Said, text)
		}
		if err != nil {
			return err
		}
	}
	if u := &j.rec.Undo; u.Pull != 0 && u.Seen != 0 { // somebody spoke there
		return r.comment(ctx, j, u.Pull, j.undo, &u.Comment, &u.Said, text)
	}
	return nil
}

// conclusion is what the check belay/verify ends with, "" while it goes on.
func conclusion(s lifecycle.State) string {
	switch s {
	case lifecycle.Verified:
		return "success"
	case lifecycle.Unverified, lifecycle.NotDeployed, lifecycle.Obsolete:
		return "neutral"
	case lifecycle.Reverting, lifecycle.Restoring, lifecycle.Undoing, lifecycle.Rewatching, lifecycle.Critical, lifecycle.Reverted, lifecycle.Failed:
		return "failure"
	case lifecycle.Closed:
		return "cancelled"
	case lifecycle.Queued, lifecycle.Open, lifecycle.BackingUp, lifecycle.Aborted, lifecycle.Applying, lifecycle.Watching:
	}
	return ""
}

// comment keeps the one comment in which belay speaks on a pull request. There
// is none as long as there is nothing to say that the pull request does not
// show. known and said are the comment and a hash of its text.
func (r *Reconciler) comment(ctx context.Context, j *job, number int, pull *github.Pull, known *int64, said *string, text string) error {
	sum := hash(text)
	if text == "" || *said == sum {
		return nil
	}
	if *known == 0 && pull != nil { // an earlier life may have written it
		slug, err := r.opts.GitHub.Slug(ctx)
		if err != nil {
			return err
		}
		for _, c := range pull.Comments {
			if c.Login == slug && report.IsStatus(c.Body) {
				*known = c.ID
				break // of two that were written at the same time, the first
			}
		}
	}
	if *known != 0 {
		err := j.repo.EditComment(ctx, *known, text)
		if !errors.Is(err, github.ErrNotFound) {
			*said = sum
			return err
		}
	}
	id, err := j.repo.Comment(ctx, number, text)
	if err != nil {
		return err
	}
	*known, *said = id, sum
	return nil
}

func (j *job) status() report.StatusView {
	s := report.StatusView{Service: j.u.Service, From: j.u.From, To: j.u.To, State: lifecycle.State(j.u.State), Waits: j.rec.Waits, Risk: string(j.rec.Risk),
		MergeSHA: j.rec.Merge.SHA, MergedBy: j.rec.Merge.By, Unbacked: j.rec.Merge.Unbacked, Updates: j.rec.Updates, Health: j.rec.Health,
		BackupDetail: j.rec.Backup.Detail, Gone: j.rec.Gone, Failure: j.rec.Failure.Why, Log: j.rec.Failure.Log, Undo: j.rec.Undo.Pull, Clashes: j.rec.Undo.Clashes, Offer: j.rec.Offer, Ladder: j.rec.Ladder}
	if j.rec.Failure.Again != "" {
		s.Failure += "; then: " + j.rec.Failure.Again
		s.Log = firstOf(j.rec.Failure.Last, s.Log)
	}
	if j.rec.Held != nil {
		s.HeldBy, s.HeldFor = j.rec.Held.Login, j.rec.Held.Reason
	}
	for _, a := range j.rec.Answers {
		s.Answers = append(s.Answers, report.Answer(a))
	}
	return s
}
