package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/belaybot/belay/bot/github"
	"github.com/belaybot/belay/bot/probe"
	"github.com/belaybot/belay/rules/lifecycle"
	"github.com/belaybot/belay/rules/pin"
	"github.com/belaybot/belay/rules/plan"
	"github.com/belaybot/belay/rules/watch"
)

// Observer looks at a service after an upgrade was applied. It gives no errors:
// what it cannot see is a sample that says so.
type Observer interface {
	Look(ctx context.Context, s watch.Subject) []watch.Sample
}

// Follower is an observer that says by itself when it is worth looking again.
type Follower interface {
	Observer
	Follow(s watch.Subject, wake func())
	Unfollow(repository, service string)
}

// CI says how the apply of a merge stands, where GitHub does not. *probe.Woodpecker is one.
type CI interface {
	Look(ctx context.Context, m probe.Merged) probe.Application
}

// observeApply says how far CI is with the merge, or with the revert's.
func (r *Reconciler) observeApply(ctx context.Context, j *job, v *view, o *lifecycle.Observed) error {
	sha := j.rec.Undo.Merge.SHA
	if o.State == lifecycle.Applying {
		o.Pull.State = lifecycle.PullMerged
		if j.rec.Merge.SHA == "" && j.pull != nil {
			j.rec.Merge.SHA = j.pull.MergeSHA
		}
		sha = j.rec.Merge.SHA
	}
	named := j.policy.Apply.Checks
	if wood := j.policy.Apply.Woodpecker; wood != nil {
		return r.askCI(ctx, j, v, o, sha, wood.Repository)
	}
	if len(named) == 0 {
		o.Apply = lifecycle.None
		return nil
	}
	reported, err := r.reports(ctx, j, sha)
	if errors.Is(err, github.ErrNotFound) {
		return nil // not there yet, or no longer: the time-out decides
	}
	if err != nil {
		return err
	}
	o.Apply = lifecycle.Applied(named, reported)
	if o.Apply != lifecycle.Running || sha == v.sha {
		return nil
	}
	later, err := r.laterReports(ctx, j, sha, v.sha)
	o.Apply = lifecycle.Applied(named, reported, later...)
	return err
}

// seeWhy looks at what runs after CI could not apply a merge. Terraform waits for
// a roll-out by itself, so CI's failure is often that of a pod whose log says why.
func (r *Reconciler) seeWhy(ctx context.Context, j *job, v *view) {
	samples := r.look(ctx, j.subjects(v, lifecycle.Watching))
	r.unfollow(j)
	for _, x := range watch.Since(samples, j.rec.Before) {
		if x.Kind == watch.Rollout && x.State == watch.Fatal {
			j.rec.Failure = failure{Why: fmt.Sprintf("%s: %s; CI could not apply it", x.Name, x.Detail), Cause: x.Cause, Log: x.Log}
			return
		}
	}
}

// askCI asks Woodpecker in place of GitHub.
func (r *Reconciler) askCI(ctx context.Context, j *job, v *view, o *lifecycle.Observed, sha, repository string) error {
	if r.opts.CI == nil {
		o.Apply, j.rec.Health = lifecycle.Unseen, "apply.woodpecker is configured, and belay was not told where Woodpecker is (BELAY_WOODPECKER_URL)"
		return nil
	}
	m, err := r.mirrorOf(j)
	if err != nil {
		return err
	}
	commits, err := m.Commits(ctx, sha, v.sha)
	if err != nil {
		return err
	}
	branch, err := r.branchOf(ctx, j)
	if err != nil {
		return err
	}
	ask := probe.Merged{Repository: firstOf(repository, j.u.Repository), Branch: branch, Commit: sha, Names: j.policy.Apply.Checks, Since: j.rec.Entered.Add(-time.Minute)}
	if j.rec.Resumed { // it was merged before this record was made
		ask.Since = time.Time{}
	}
	for _, c := range commits {
		ask.Later = append(ask.Later, c.SHA)
	}
	found := r.opts.CI.Look(ctx, ask)
	o.Apply, j.rec.Health = found.State, found.Detail
	return nil
}

// maxLater is how many later commits are asked for what CI said of them.
const maxLater = 5

// laterReports are those of the newest commits of the default branch that came
// after one: CI may have cut its run for theirs.
func (r *Reconciler) laterReports(ctx context.Context, j *job, sha, head string) ([][]lifecycle.Reported, error) {
	m, err := r.mirrorOf(j)
	if err != nil {
		return nil, err
	}
	commits, err := m.Commits(ctx, sha, head)
	if err != nil {
		return nil, err
	}
	var out [][]lifecycle.Reported
	for _, c := range commits[:min(len(commits), maxLater)] {
		reported, err := r.reports(ctx, j, c.SHA)
		if err != nil && !errors.Is(err, github.ErrNotFound) {
			return nil, err
		}
		out = append(out, reported)
	}
	return out, nil
}

// reports is what CI said of a commit.
func (r *Reconciler) reports(ctx context.Context, j *job, sha string) ([]lifecycle.Reported, error) {
	var checks []github.Check
	var err error
	if j.pull != nil && j.pull.MergeSHA == sha { // the pull request's answer has them
		checks = j.pull.MergeChecks
	} else {
		checks, err = j.repo.Checks(ctx, sha)
	}
	var out []lifecycle.Reported
	for _, c := range checks {
		if c.Status == "" {
			out = append(out, lifecycle.CommitStatus(c.Name, c.Conclusion))
		} else {
			out = append(out, lifecycle.CheckRun(c.Name, c.Status, c.Conclusion))
		}
	}
	return out, err
}

// observeHealth has the observers look, and says what their samples come to.
func (r *Reconciler) observeHealth(ctx context.Context, j *job, v *view, o *lifecycle.Observed) {
	if len(r.opts.Observers) == 0 {
		o.Health = lifecycle.None
		return
	}
	subjects := j.subjects(v, o.State)
	id := j.u.ID
	wake := func() {
		// The observer may not be held up, and a wake that is lost costs an interval.
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			if err := r.opts.Wake(ctx, id); err != nil {
				r.opts.Log.Warn("not woken by the cluster", "upgrade", id, "why", err)
			}
		}()
	}
	for _, f := range r.followers() {
		for _, s := range subjects {
			f.Follow(s, wake)
		}
	}
	samples := watch.Since(r.look(ctx, subjects), j.rec.Before)
	j.rec.trace(o.State, r.opts.Now(), samples)
	j.rec.Watched = watch.Fold(j.rec.Watched, samples)
	limits := watch.Limits{Since: j.rec.Entered, Window: plan.Window(j.policy, j.rec.Risk), Retries: j.policy.Verify.HTTP.Retries, Interval: j.policy.Verify.Interval,
		Extend: j.policy.Verify.Extend, Rollout: j.policy.Verify.Rollout, Settle: j.policy.Verify.Settle, Beat: j.policy.Verify.Kuma.Beat}
	verdict := watch.Judge(j.rec.Watched, limits, r.opts.Now())
	j.rec.Health, j.rec.Parts = verdict.Why, verdict.Parts
	o.WatchUntil = verdict.Until
	switch verdict.Health {
	case watch.HealthRunning:
		o.Health = lifecycle.Running
	case watch.HealthGood:
		o.Health = lifecycle.Good
	case watch.HealthBad:
		o.Health = lifecycle.Bad
		if o.State == lifecycle.Watching {
			j.rec.Failure = failure{Why: verdict.Why, Cause: verdict.Cause, Log: verdict.Log}
		} else {
			j.rec.Failure.Again, j.rec.Failure.Last = verdict.Why, verdict.Log
		}
	case watch.HealthNotDeployed:
		o.Dead = true
	case watch.HealthInconclusive:
		o.Health = lifecycle.Unseen
	case watch.HealthUnwatched:
		o.Health = lifecycle.None
	}
}

// lookBefore notes what is unhealthy before the merge: that is not the upgrade's doing.
func (r *Reconciler) lookBefore(ctx context.Context, j *job) {
	if len(r.opts.Observers) > 0 && j.view != nil {
		j.rec.Before = watch.Before(r.look(ctx, j.subjects(j.view, lifecycle.Watching)))
		r.unfollow(j)
	}
}

// look asks all observers at once: one that hangs holds up no other.
func (r *Reconciler) look(ctx context.Context, subjects []watch.Subject) []watch.Sample {
	found := make([][]watch.Sample, len(r.opts.Observers)*len(subjects))
	var wait sync.WaitGroup
	for i, o := range r.opts.Observers {
		for k, s := range subjects {
			wait.Go(func() { found[i*len(subjects)+k] = o.Look(ctx, s) })
		}
	}
	wait.Wait()
	all := slices.Concat(found...)
	r.countLooks(all)
	return all
}

func (r *Reconciler) followers() []Follower {
	var out []Follower
	for _, o := range r.opts.Observers {
		if f, ok := o.(Follower); ok {
			out = append(out, f)
		}
	}
	return out
}

// unfollow ends the watch of what moves.
func (r *Reconciler) unfollow(j *job) {
	for _, f := range r.followers() {
		for _, s := range j.services() {
			f.Unfollow(j.u.Repository, s)
		}
	}
}

// subjects are what has to be healthy: each service that moves, at the version
// that was merged, or, after a revert, at the one before.
func (j *job) subjects(v *view, state lifecycle.State) []watch.Subject {
	var out []watch.Subject
	for _, s := range j.services() {
		out = append(out, j.subject(v, state, s))
	}
	return out
}

// imagesIn are the images that move in a service.
func (j *job) imagesIn(v *view, service string) []string {
	all := imagesOf(j.u.Lane)
	if len(j.rec.Also) == 0 {
		return all
	}
	its := slices.DeleteFunc(slices.Clone(all), func(name string) bool {
		return !slices.ContainsFunc(v.inventory.Pins, func(p pin.Pin) bool {
			return p.Kind == pin.KindImage && p.Service == service && p.Image.Familiar() == name
		})
	})
	if len(its) == 0 {
		return all
	}
	return its
}

func (j *job) subject(v *view, state lifecycle.State, service string) watch.Subject {
	where := v.inventory.Where(service)
	version, app := j.u.To, j.rec.AppTo
	if state == lifecycle.Rewatching && !j.rec.Undo.Fix {
		version, app = j.u.From, j.rec.AppFrom
	}
	s := watch.Subject{Repository: j.u.Repository, Service: service, Images: j.imagesIn(v, service), Version: version, Workloads: where.Workloads, Namespaces: where.Namespaces,
		URLs: where.URLs, Since: j.rec.Entered}
	if chartOf(j.u.Lane) != "" {
		if s.Version = app; app == "" {
			s.Images = nil // which tag the chart ships is not known
		}
	}
	j.policy.Verify.Adds(&s)
	return s
}
