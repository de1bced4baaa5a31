package reconcile

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/belaybot/belay/bot/github"
	"github.com/belaybot/belay/bot/report"
	"github.com/belaybot/belay/bot/store"
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
		return r.dropBranch(ctx, j)
	case lifecycle.Backup:
		return r.startBackup(ctx, j)
	case lifecycle.Merge:
		return r.merge(ctx, j)
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
	case lifecycle.Closed, lifecycle.Failed:
		if err := r.opts.Store.AddBlock(ctx, store.Block{Repository: j.u.Repository, Service: j.u.Service, Image: j.u.Lane, Target: j.u.To, Why: a.Why, At: r.opts.Now()}); err != nil {
			return err
		}
	case lifecycle.Open: // after /upgrade retry
		j.rec.Backup = backup{}
	default:
	}
	if from == lifecycle.Applying {
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
	j.rec.Merge.SHA, j.rec.Merge.By, j.rec.Merge.At = j.pull.MergeSHA, j.pull.MergedBy, r.opts.Now()
	if j.pull.MergedBy != slug {
		b, ok := j.policy.BackupFor(j.u.Service)
		j.rec.Merge.Unbacked = ok && b.Kind != policy.BackupNone && j.rec.Backup.State != string(lifecycle.Good)
	}
	// The turn is taken so that nothing else is merged until this one is applied;
	// a person does not ask for it.
	if _, err := r.takeTurn(ctx, j); err != nil {
		return err
	}
	return r.dropBranch(ctx, j)
}

// merge squashes the pull request, with the head that was judged.
func (r *Reconciler) merge(ctx context.Context, j *job) error {
	got, err := r.takeTurn(ctx, j)
	if err != nil {
		return err
	}
	if !got {
		return &later{at: r.opts.Now().Add(5 * time.Second), why: "another upgrade merges first"}
	}
	_, message, _ := strings.Cut(j.rec.Message, "\n\n")
	title := fmt.Sprintf("%s (#%d)", j.rec.Title, j.u.Pull)
	sha, err := j.repo.MergePull(ctx, j.u.Pull, github.Merge{Head: j.pull.Head, Title: title, Message: message})
	if err != nil {
		if release := r.handOver(ctx, j); release != nil {
			return release
		}
		if errors.Is(err, github.ErrStale) || errors.Is(err, github.ErrNotMergeable) {
			return &later{at: r.opts.Now().Add(10 * time.Second), why: err.Error()}
		}
		return err
	}
	slug, err := r.opts.GitHub.Slug(ctx)
	if err != nil {
		return err
	}
	j.rec.Merge = merge{SHA: sha, By: slug, At: r.opts.Now()}
	return r.dropBranch(ctx, j)
}

// dropBranch deletes the branch where it still is what belay pushed. A branch
// that stays is no reason to stop.
func (r *Reconciler) dropBranch(ctx context.Context, j *job) error {
	m, err := r.mirrorOf(j)
	if err != nil {
		return err
	}
	if j.rec.Head == "" {
		return nil
	}
	if err := m.DeleteBranch(ctx, j.rec.Branch, j.rec.Head); err != nil {
		r.opts.Log.Warn("the branch was not deleted", "repo", j.u.Repository, "branch", j.rec.Branch, "why", err)
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
	open, err := r.opts.Store.OpenUpgrades(ctx, j.u.Repository)
	if err != nil {
		return err
	}
	for _, u := range open {
		if u.ID != j.u.ID && u.State == string(lifecycle.Open) {
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
	b, _ := j.policy.BackupFor(j.u.Service)
	now := r.opts.Now()
	j.rec.Backup = backup{Key: hash(j.u.ID, j.pull.Head, fmt.Sprint(len(j.rec.Updates)), now.UTC().Format("2006-01-02T15")), Config: b, Started: now, State: string(lifecycle.Running)}
	return r.lookAtBackup(ctx, j)
}

func (r *Reconciler) lookAtBackup(ctx context.Context, j *job) error {
	if r.opts.Backups == nil {
		j.rec.Backup.State, j.rec.Backup.Detail = string(lifecycle.Bad), "belay has no access to a cluster in which it could take the backup"
		return nil
	}
	state, detail, err := r.opts.Backups.Ensure(ctx, j.rec.Backup.Key, j.rec.Backup.Config)
	if err != nil {
		return err
	}
	j.rec.Backup.State, j.rec.Backup.Detail = string(state), detail
	return nil
}

const timeForm = time.RFC3339Nano

func windowKey(repository string) string { return "window " + strings.ToLower(repository) }

// window says when the rate limit's window opened and how many were started in
// it; zero when none is open.
func (r *Reconciler) window(ctx context.Context, repository string, length time.Duration) (time.Time, int, error) {
	value, err := r.opts.Store.Get(ctx, windowKey(repository))
	if errors.Is(err, store.ErrNotFound) {
		return time.Time{}, 0, nil
	}
	if err != nil {
		return time.Time{}, 0, err
	}
	opened, err := time.Parse(timeForm, value)
	if err != nil || !r.opts.Now().Before(opened.Add(length)) {
		return time.Time{}, 0, nil
	}
	n, _, err := r.opts.Store.StartedSince(ctx, repository, opened)
	return opened, n, err
}

// tell brings the checks and the status comment up to date.
func (r *Reconciler) tell(ctx context.Context, j *job) error {
	if j.u.Pull == 0 || j.repo == nil {
		return nil
	}
	s := j.status()
	if j.rec.Head != "" {
		if b, ok := j.policy.BackupFor(j.u.Service); ok && b.Kind != policy.BackupNone && j.rec.Backup.Key != "" {
			c := github.CheckRun{Name: "belay/backup", Head: j.rec.Head, Title: "Backup by " + backupName(b), Summary: report.BackupCheck(backupName(b), j.rec.Backup.State, j.rec.Backup.Detail)}
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
		if err := r.check(ctx, j, github.CheckRun{Name: "belay/verify", Head: j.rec.Head, Conclusion: conclusion(lifecycle.State(j.u.State)),
			Title: s.Headline(), Summary: report.VerifyCheck(s)}); err != nil {
			return err
		}
	}
	return r.comment(ctx, j, report.Status(s))
}

// conclusion is what the check belay/verify ends with, "" while it goes on.
func conclusion(s lifecycle.State) string {
	switch s {
	case lifecycle.Verified:
		return "success"
	case lifecycle.Unverified, lifecycle.Obsolete:
		return "neutral"
	case lifecycle.Failed:
		return "failure"
	case lifecycle.Closed:
		return "cancelled"
	case lifecycle.Queued, lifecycle.Open, lifecycle.BackingUp, lifecycle.Aborted, lifecycle.Applying, lifecycle.Watching:
	}
	return ""
}

// comment keeps the one comment in which belay speaks. There is none as long
// as there is nothing to say that the pull request does not show.
func (r *Reconciler) comment(ctx context.Context, j *job, text string) error {
	sum := hash(text)
	if text == "" || j.rec.Said == sum {
		return nil
	}
	if j.rec.Comment == 0 && j.pull != nil { // an earlier life may have written it
		slug, err := r.opts.GitHub.Slug(ctx)
		if err != nil {
			return err
		}
		for _, c := range j.pull.Comments {
			if c.Login == slug && report.IsStatus(c.Body) {
				j.rec.Comment = c.ID
			}
		}
	}
	if j.rec.Comment != 0 {
		err := j.repo.EditComment(ctx, j.rec.Comment, text)
		if !errors.Is(err, github.ErrNotFound) {
			j.rec.Said = sum
			return err
		}
	}
	id, err := j.repo.Comment(ctx, j.u.Pull, text)
	if err != nil {
		return err
	}
	j.rec.Comment, j.rec.Said = id, sum
	return nil
}

func (j *job) status() report.StatusView {
	s := report.StatusView{Service: j.u.Service, From: j.u.From, To: j.u.To, State: lifecycle.State(j.u.State), Waits: j.rec.Waits, Risk: string(j.rec.Risk),
		MergeSHA: j.rec.Merge.SHA, MergedBy: j.rec.Merge.By, Unbacked: j.rec.Merge.Unbacked, Updates: j.rec.Updates, Health: j.rec.Health,
		BackupDetail: j.rec.Backup.Detail, Gone: j.rec.Gone}
	if j.rec.Held != nil {
		s.HeldBy, s.HeldFor = j.rec.Held.Login, j.rec.Held.Reason
	}
	for _, a := range j.rec.Answers {
		s.Answers = append(s.Answers, report.Answer(a))
	}
	return s
}
