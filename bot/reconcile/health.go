package reconcile

import (
	"context"
	"errors"

	"github.com/belaybot/belay/bot/github"
	"github.com/belaybot/belay/rules/lifecycle"
)

// observeApply says how far CI is with the merge, or with the revert's.
func (r *Reconciler) observeApply(ctx context.Context, j *job, o *lifecycle.Observed) error {
	sha := j.rec.Undo.Merge.SHA
	if o.State == lifecycle.Applying {
		o.Pull.State = lifecycle.PullMerged
		if j.rec.Merge.SHA == "" && j.pull != nil {
			j.rec.Merge.SHA = j.pull.MergeSHA
		}
		sha = j.rec.Merge.SHA
	}
	if len(j.policy.Apply.Checks) == 0 {
		o.Apply = lifecycle.None
		return nil
	}
	checks, err := j.repo.Checks(ctx, sha)
	if errors.Is(err, github.ErrNotFound) {
		return nil // not there yet, or no longer: the time-out decides
	}
	if err != nil {
		return err
	}
	var reported []lifecycle.Reported
	for _, c := range checks {
		reported = append(reported, lifecycle.Reported{Name: c.Name, State: progress(c.State)})
	}
	o.Apply = lifecycle.Applied(j.policy.Apply.Checks, reported)
	return nil
}

// observeHealth has the observers look, and says what their samples come to.
func (r *Reconciler) observeHealth(ctx context.Context, j *job, v *view, o *lifecycle.Observed) error {
	o.Health = lifecycle.None
	return nil
}
