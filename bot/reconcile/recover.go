package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/belaybot/belay/bot/github"
	"github.com/belaybot/belay/bot/report"
	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/rules/lifecycle"
	"github.com/belaybot/belay/rules/plan"
)

// Recovered is what became of a repository's pull requests.
type Recovered struct {
	Upgrades int      // that were taken up
	Merged   []Merged // lately, with nothing known of their end; newest first
}

// Merged is an upgrade whose pull request was merged, and of which the state knew
// whether its watch was over.
type Merged struct {
	Pull              int
	Service, From, To string
}

// mergedLately is how far back a person is pointed to what was merged: longer
// than CI and the watch take.
const mergedLately = 24 * time.Hour

// Recover rebuilds the record of open upgrades, and of reverts that are not
// merged, from the markers in a repository's pull requests.
func (r *Reconciler) Recover(ctx context.Context, repository string) (Recovered, error) {
	var out Recovered
	repo, err := r.opts.GitHub.Repository(ctx, repository)
	if err != nil {
		return out, err
	}
	slug, err := r.opts.GitHub.Slug(ctx)
	if err != nil {
		return out, err
	}
	pulls, err := repo.OpenPulls(ctx, "belay/")
	if err != nil {
		return out, err
	}
	closed, err := repo.ClosedPulls(ctx, "belay/")
	if err != nil {
		return out, err
	}
	if out.Merged, err = r.mergedLately(ctx, repository, slug, append(closed, pulls...)); err != nil {
		return out, err
	}
	for _, p := range pulls {
		m, err := report.MarkerIn(p.Body, p.Branch)
		if err != nil || p.Author != slug {
			continue
		}
		if m.Owner != r.opts.Owner && !r.opts.TakeOver {
			r.opts.Log.Info("left to whoever holds it", "repo", repository, "pull", p.Number, "owner", ownerName(m.Owner))
			continue
		}
		if _, err := r.opts.Store.UpgradeByPull(ctx, repository, p.Number); err == nil {
			continue
		} else if !errors.Is(err, store.ErrNotFound) {
			return out, err
		}
		u, err := r.recovered(ctx, repo, repository, p, m)
		if err != nil {
			r.opts.Log.Warn("a pull request was not taken up", "repo", repository, "pull", p.Number, "why", err)
			continue
		}
		u, created, err := r.opts.Store.CreateUpgradeAnd(ctx, u, r.wakeTx)
		if err != nil {
			return out, err
		}
		if created {
			out.Upgrades++
		}
		if err := r.wakeAfter(ctx, u.ID); err != nil {
			return out, err
		}
	}
	return out, nil
}

// mergedLately are the upgrades among pull requests, closed ones first, that were
// merged lately, that nothing undoes, and that the state does not know.
func (r *Reconciler) mergedLately(ctx context.Context, repository, slug string, pulls []github.Pull) ([]Merged, error) {
	var out []Merged
	undone := map[int]bool{}
	for _, p := range pulls {
		m, err := report.MarkerIn(p.Body, p.Branch)
		switch {
		case err != nil || p.Author != slug || m.Owner != r.opts.Owner:
			continue
		case m.Undoes != 0:
			undone[m.Undoes] = true
			continue
		case p.State != "MERGED" || r.opts.Now().Sub(p.Updated) > mergedLately:
			continue
		}
		if _, err := r.opts.Store.UpgradeByPull(ctx, repository, p.Number); err == nil {
			continue
		} else if !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		out = append(out, Merged{Pull: p.Number, Service: m.Service, From: m.From, To: m.To})
	}
	return slices.DeleteFunc(out, func(m Merged) bool { return undone[m.Pull] }), nil
}

// recovered is the record that a pull request's marker speaks of.
func (r *Reconciler) recovered(ctx context.Context, repo *github.Repository, repository string, p github.Pull, m report.Marker) (store.Upgrade, error) {
	t := target{Tag: m.To, Chart: m.Chart}
	if m.Ladder = report.MarkerLadder(m.Ladder); m.Ladder.To() == m.To { // the marker says where the whole way ends
		t.Tag = m.Ladder.Top()
	} else {
		m.Ladder = nil
	}
	if m.Chart == "" && len(m.Images) > 0 {
		t.Image = m.Images[0]
	}
	if _, err := t.dispatch(); err != nil {
		return store.Upgrade{}, fmt.Errorf("its marker names no image: %w", err)
	}
	now := r.opts.Now()
	u := store.Upgrade{ID: newID(), Repository: repository, Service: m.Service, Lane: lane(plan.Upgrade{Images: m.Images, Chart: m.Chart}),
		State: string(lifecycle.Open), From: m.From, To: m.To, Pull: p.Number, Started: now, Created: now}
	// Long enough ago that checks which never came are not waited for.
	rec := record{Target: t, Ladder: m.Ladder, Entered: now, Branch: p.Branch, Redo: true, Pushed: now.Add(-time.Hour)}
	if m.Undoes != 0 {
		failed, err := repo.Pull(ctx, m.Undoes)
		if err != nil {
			return store.Upgrade{}, err
		}
		u.State, u.Pull, u.Undo = string(lifecycle.Reverting), m.Undoes, p.Number
		rec = record{Target: t, Ladder: m.Ladder, Entered: now, Branch: failed.Branch, Moves: m.Moves, Judged: Judged{Migration: m.Data}, Merge: merge{SHA: failed.MergeSHA, By: failed.MergedBy, At: now},
			Failure: failure{Why: "the upgrade failed; why was lost with belay's state", At: now},
			Undo:    undo{Pull: p.Number, Fix: m.Fix, Branch: p.Branch, Head: p.Head, Pushed: now.Add(-time.Hour), Redo: !m.Fix}}
	}
	rec.Recovering = true
	if m.Ladder != nil {
		u.Ladder, u.Place = m.Ladder.ID, m.Ladder.Place
	}
	data, err := json.Marshal(rec)
	u.Data = data
	return u, err
}
