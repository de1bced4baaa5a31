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
	"github.com/belaybot/belay/rules/policy"
)

// Recovered is what became of a repository's pull requests.
type Recovered struct {
	Upgrades int      // that were taken up
	Merged   []Merged // those of them that are watched anew; newest first
	LeftOut  int      // versions, and kinds of bump, that are left out
}

// Merged is an upgrade that was merged, and whose watch was not over when the
// state was lost.
type Merged struct {
	Pull              int
	Service, From, To string
}

// Recover rebuilds the record of a repository from the markers in its pull
// requests: the upgrades that are not over, merged or not, and what is left out.
// What is recorded already is left alone. Looked at are all open pull requests,
// and of the others the hundred that changed last.
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
	var past []ours
	for _, p := range append(pulls, closed...) {
		m, err := report.MarkerIn(p.Body, p.Branch)
		if err != nil || p.Author != slug {
			continue
		}
		if !r.holds(p, m, slug) {
			r.opts.Log.Info("left to whoever holds it", "repo", repository, "pull", p.Number, "owner", ownerName(m.Owner))
			continue
		}
		past = append(past, ours{p, m})
	}
	for _, o := range unfinished(past, r.opts.Now()) {
		created, err := r.resume(ctx, repo, o)
		if err != nil {
			return out, err
		}
		if created {
			out.Upgrades++
			if o.pull.State == "MERGED" && o.marker.Undoes == 0 {
				out.Merged = append(out.Merged, Merged{Pull: o.pull.Number, Service: o.marker.Service, From: o.marker.From, To: o.marker.To})
			}
		}
	}
	limits := policy.Default()
	if _, v, err := r.viewNow(ctx, repository); err == nil {
		limits = v.policy
	} else {
		r.opts.Log.Warn("what was started lately is counted by the rate limit that holds without a configuration", "repo", repository, "why", err)
	}
	if err := r.takeHistory(ctx, repository, limits, past); err != nil {
		return out, err
	}
	blocks, err := r.opts.Store.Blocks(ctx, repository, "")
	out.LeftOut = len(blocks)
	return out, err
}

// unfinished are the pull requests to go on with, newest first: those that are
// open, and the merged ones that do not say how they ended. An upgrade that is
// being undone, or mended, is gone on with by the newest pull request that does so.
func unfinished(past []ours, now time.Time) []ours {
	past = slices.Clone(past)
	slices.SortFunc(past, func(a, b ours) int { return b.pull.Number - a.pull.Number })
	goesOn := func(o ours) bool {
		return o.pull.State == "OPEN" || o.pull.State == "MERGED" && o.marker.Over == "" && now.Sub(o.pull.Updated) <= takeUpFor
	}
	begun := map[int]bool{} // merged upgrades that have not ended
	for _, o := range past {
		if o.marker.Undoes == 0 && goesOn(o) {
			begun[o.pull.Number] = true
		}
	}
	var out []ours
	gone := map[int]bool{} // upgrades that a newer pull request goes on with
	for _, o := range past {
		upgrade := o.pull.Number
		if o.marker.Undoes != 0 {
			upgrade = o.marker.Undoes
		}
		if gone[upgrade] || !goesOn(o) || o.pull.State == "MERGED" && !begun[upgrade] {
			continue
		}
		gone[upgrade] = true
		out = append(out, o)
	}
	return out
}

// resume makes the record of a pull request's upgrade, and has it looked at. It
// reports whether there was none.
func (r *Reconciler) resume(ctx context.Context, repo *github.Repository, o ours) (bool, error) {
	if _, err := r.opts.Store.UpgradeByPull(ctx, repo.Name, o.pull.Number); err == nil {
		return false, nil
	} else if !errors.Is(err, store.ErrNotFound) {
		return false, err
	}
	u, err := r.recovered(ctx, repo, repo.Name, o.pull, o.marker)
	if err != nil {
		r.opts.Log.Warn("a pull request was not taken up", "repo", repo.Name, "pull", o.pull.Number, "why", err)
		return false, nil
	}
	u, created, err := r.opts.Store.CreateUpgradeAnd(ctx, u, r.wakeTx)
	if err != nil {
		return created, err
	}
	if o.marker.Undoes != 0 && !o.marker.Fix { // what failed is not tried again
		err = r.opts.Store.AddBlock(ctx, store.Block{Repository: repo.Name, Service: u.Service, Image: u.Lane, Target: u.To, Why: fmt.Sprintf("it failed: #%d undoes it", o.pull.Number), At: r.opts.Now()})
	} else if u.State == string(lifecycle.Applying) { // nothing else is merged meanwhile
		_, err = r.opts.Store.Claim(ctx, turnKey(repo.Name), u.ID, r.opts.Now().Add(applyAtMost+10*time.Minute))
	}
	if err != nil {
		return created, err
	}
	return created, r.wakeAfter(ctx, u.ID)
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
	switch {
	case m.Undoes == 0 && p.State == "MERGED":
		u.State = string(lifecycle.Applying)
		rec = record{Target: t, Ladder: m.Ladder, Entered: now, Branch: p.Branch, Head: p.Head, Moves: m.Moves, Judged: Judged{Migration: m.Data}, Merge: merge{SHA: p.MergeSHA, By: p.MergedBy, At: now}, Resumed: true}
	case m.Undoes != 0:
		failed, err := repo.Pull(ctx, m.Undoes)
		if err != nil {
			return store.Upgrade{}, err
		}
		u.State, u.Pull, u.Undo = string(lifecycle.Reverting), m.Undoes, p.Number
		rec = record{Target: t, Ladder: m.Ladder, Entered: now, Branch: failed.Branch, Head: failed.Head, Moves: m.Moves, Judged: Judged{Migration: m.Data}, Merge: merge{SHA: failed.MergeSHA, By: failed.MergedBy, At: now},
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
