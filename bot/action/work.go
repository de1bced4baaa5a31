package action

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/belaybot/belay/bot/github"
	"github.com/belaybot/belay/bot/reconcile"
	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/rules/lifecycle"
)

// How often, and how long, a run looks at what no event would tell it of.
const (
	pollMerged = 15 * time.Second // after the merge
	pollOpen   = 5 * time.Second
	revertStay = 10 * time.Minute // a revert's checks take no longer
	maxFailed  = 4
)

// work looks at upgrades until nothing is left that is worth staying for.
func (r *Run) work(ctx context.Context) {
	end := r.end()
	ctx, cancel := context.WithTimeout(ctx, end.Add(r.opts.Grace).Sub(r.opts.Now()))
	defer cancel()
	for ctx.Err() == nil {
		id, at, ok := r.queue.next()
		now := r.opts.Now()
		switch {
		case !ok:
			return
		case !now.Before(end) || at.After(end):
			r.out.TimeUp = r.out.TimeUp || !now.Before(end)
			r.leave(ctx)
			return
		case at.After(now):
			r.queue.wait(ctx, at.Sub(now))
			continue
		}
		r.queue.take(id)
		r.look(ctx, id)
	}
}

// leave says what the next run has to carry on, and since when it can.
func (r *Run) leave(ctx context.Context) {
	for _, id := range r.queue.ids() {
		if until, ok := r.asked[id]; ok {
			if until.After(r.out.Limited) {
				r.out.Limited = until
			}
			continue
		}
		// A run stays with what is under way to its end.
		u, err := r.opts.Store.Upgrade(ctx, id)
		s := lifecycle.State(u.State)
		r.out.TimeUp = r.out.TimeUp || err != nil || s == lifecycle.BackingUp || s.Merged() && s != lifecycle.Critical
	}
	if !r.out.Limited.IsZero() {
		r.out.Warnings = append(r.out.Warnings, fmt.Sprintf("GitHub's rate limit is used up until %s: the first run after that carries on what this one could not; a schedule starts one, or start one by hand",
			r.out.Limited.UTC().Format("2006-01-02 15:04:05 MST")))
	}
}

// look has one look at an upgrade, and says when the next one is due, if it is
// worth staying for.
func (r *Run) look(ctx context.Context, id string) {
	until, err := r.rec.Reconcile(ctx, id)
	now := r.opts.Now()
	var again interface{ RetryAt() time.Time }
	var limited *github.Limited
	delete(r.asked, id)
	switch {
	case errors.Is(err, reconcile.ErrOtherRun):
		r.opts.Log.Info("left to another run", "upgrade", id, "why", err)
		return
	case errors.As(err, &again):
		if errors.As(err, &limited) {
			r.asked[id] = limited.Until
			r.opts.Log.Warn("held up by GitHub", "upgrade", id, "until", limited.Until, "why", err)
		}
		r.queue.set(id, again.RetryAt())
		return
	case err != nil && ctx.Err() != nil:
		r.out.TimeUp = r.out.TimeUp || errors.Is(ctx.Err(), context.DeadlineExceeded)
		return
	case err != nil:
		if r.failed[id]++; r.failed[id] < maxFailed {
			r.queue.set(id, now.Add(time.Second<<r.failed[id]))
			return
		}
		r.out.Problems = append(r.out.Problems, err.Error())
		return
	}
	r.failed[id] = 0
	u, err := r.opts.Store.Upgrade(ctx, id)
	if err != nil {
		r.out.Problems = append(r.out.Problems, err.Error())
		return
	}
	if stay := r.stay(u, now); stay > 0 {
		next := now.Add(stay)
		if !until.IsZero() && until.Before(next) {
			next = until
		}
		r.queue.set(id, next)
	}
}

// stay is how soon to look again at an upgrade, 0 where the run need not stay for
// it: what is merged is watched to its end; what is not waits for the next event.
func (r *Run) stay(u store.Upgrade, now time.Time) time.Duration {
	if r.state[u.ID] != u.State {
		r.state[u.ID], r.since[u.ID] = u.State, now
	}
	switch lifecycle.State(u.State) {
	case lifecycle.BackingUp, lifecycle.Applying, lifecycle.Watching, lifecycle.Restoring, lifecycle.Undoing, lifecycle.Rewatching:
		return pollMerged
	case lifecycle.Reverting:
		if now.Sub(r.since[u.ID]) < revertStay {
			return pollMerged
		}
	case lifecycle.Open, lifecycle.Queued:
		if now.Sub(r.begun) < r.opts.Inputs.Wait {
			return pollOpen
		}
	case lifecycle.Aborted, lifecycle.Critical, lifecycle.Verified, lifecycle.Unverified, lifecycle.NotDeployed, lifecycle.Reverted, lifecycle.Failed, lifecycle.Closed, lifecycle.Obsolete:
	}
	return 0
}
