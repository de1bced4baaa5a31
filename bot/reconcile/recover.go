package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
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
		have, err := r.recorded(ctx, repository, p.Number)
		if err != nil {
			return out, err
		}
		if !have {
			past = append(past, ours{p, m})
		}
	}
	limits := policy.Default()
	if _, v, err := r.viewNow(ctx, repository); err == nil {
		limits = v.policy
	} else {
		r.opts.Log.Warn("the limits that hold without a configuration are taken", "repo", repository, "why", err)
	}
	for _, o := range unfinished(past, r.opts.Now()) {
		created, err := r.resume(ctx, repo, o, limits.Apply.Timeout+10*time.Minute)
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
	if err := r.takeHistory(ctx, repository, limits, past); err != nil {
		return out, err
	}
	blocks, err := r.opts.Store.Blocks(ctx, repository, "")
	out.LeftOut = len(blocks)
	return out, err
}

// unfinished are the pull requests to go on with, the open ones first, and of
// each kind the newest: those that are open, and the others that do not say how
// they ended. An upgrade that is being undone, or mended, is gone on with by the
// newest pull request that does so.
func unfinished(past []ours, now time.Time) []ours {
	past = slices.Clone(past)
	slices.SortFunc(past, func(a, b ours) int { return b.pull.Number - a.pull.Number })
	over := map[int]string{}   // how upgrades ended
	begun := map[int]bool{}    // merged upgrades that have not ended
	newer := map[string]bool{} // what a newer upgrade has moved since
	for _, o := range past {
		if o.marker.Undoes != 0 {
			continue
		}
		over[o.pull.Number] = o.marker.Over
		if key := o.key(""); o.pull.State == "MERGED" {
			begun[o.pull.Number] = !newer[key] && o.endless(now)
			newer[key] = true
		}
	}
	var out []ours
	gone := map[int]bool{} // upgrades that a newer pull request goes on with
	for _, o := range past {
		upgrade, goesOn := o.pull.Number, o.pull.State == "OPEN" || begun[o.pull.Number] || o.pull.State == "CLOSED" && o.endless(now)
		if o.marker.Undoes != 0 {
			upgrade = o.marker.Undoes
			goesOn = begun[upgrade] || o.pull.State == "OPEN" && !slices.Contains(abandoned, lifecycle.State(over[upgrade]))
		}
		if gone[upgrade] || !goesOn {
			continue
		}
		gone[upgrade] = true
		out = append(out, o)
	}
	slices.SortStableFunc(out, func(a, b ours) int { return strings.Compare(b.pull.State, a.pull.State) }) // OPEN, MERGED, CLOSED
	return out
}

// abandoned are the ends after which a revert that is still open is a person's.
var abandoned = []lifecycle.State{lifecycle.Failed, lifecycle.Reverted, lifecycle.Closed, lifecycle.Obsolete}

// endless reports whether a pull request that is not open does not say how its
// upgrade ended, and that was lately. Markers without moves were written when they
// did not say that yet.
func (o ours) endless(now time.Time) bool {
	return o.marker.Over == "" && len(o.marker.Moves) > 0 && now.Sub(o.pull.Updated) <= takeUpFor
}

// recorded reports whether the state has the upgrade of a pull request, or of the
// pull request that undoes it.
func (r *Reconciler) recorded(ctx context.Context, repository string, number int) (bool, error) {
	_, err := r.opts.Store.UpgradeByPull(ctx, repository, number)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// resume makes the record of a pull request's upgrade, and has it looked at. It
// reports whether there was none. hold is how long what is applied keeps other
// merges waiting.
func (r *Reconciler) resume(ctx context.Context, repo *github.Repository, o ours, hold time.Duration) (bool, error) {
	u, rec, err := r.recovered(ctx, repo, repo.Name, o.pull, o.marker)
	if err != nil {
		r.opts.Log.Warn("a pull request was not taken up", "repo", repo.Name, "pull", o.pull.Number, "why", err)
		return false, nil
	}
	if o.marker.Undoes != 0 && !o.marker.Fix { // what failed is not tried again
		if err := r.block(ctx, &job{u: u, rec: rec}, fmt.Sprintf("it failed: #%d undoes it", o.pull.Number)); err != nil {
			return false, err
		}
	}
	if u.Data, err = json.Marshal(rec); err != nil {
		return false, err
	}
	u, created, err := r.opts.Store.CreateUpgradeAnd(ctx, u, r.wakeTx)
	if err != nil {
		return created, err
	}
	if o.pull.State == "MERGED" { // CI may be at it
		if _, err := r.opts.Store.Claim(ctx, turnKey(repo.Name), u.ID, r.opts.Now().Add(hold)); err != nil {
			return created, err
		}
	}
	return created, r.wakeAfter(ctx, u.ID)
}

// recovered is the record that a pull request's marker speaks of.
func (r *Reconciler) recovered(ctx context.Context, repo *github.Repository, repository string, p github.Pull, m report.Marker) (store.Upgrade, record, error) {
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
		return store.Upgrade{}, record{}, fmt.Errorf("its marker names no image: %w", err)
	}
	now := r.opts.Now()
	u := store.Upgrade{ID: newID(), Repository: repository, Service: m.Service, Lane: lane(plan.Upgrade{Images: m.Images, Chart: m.Chart}),
		State: string(lifecycle.Open), From: m.From, To: m.To, Pull: p.Number, Started: p.Created, Created: p.Created}
	if p.Created.IsZero() { // it was not read from a list
		u.Started, u.Created = now, now
	}
	rec := record{Target: t, Ladder: m.Ladder, Entered: now, Also: m.Also, Branch: p.Branch, Moves: m.Moves, Judged: Judged{Migration: m.Data}, Recovering: true}
	switch {
	case m.Undoes != 0:
		failed, err := repo.Pull(ctx, m.Undoes)
		if err != nil {
			return u, rec, err
		}
		u.State, u.Pull, u.Undo = string(lifecycle.Reverting), m.Undoes, p.Number
		rec.Branch, rec.Head, rec.Resumed = failed.Branch, failed.Head, true
		rec.Merge = merge{SHA: failed.MergeSHA, By: failed.MergedBy, At: now}
		rec.Failure = failure{Why: "the upgrade failed; why was lost with belay's state", At: now, Blind: m.Blind}
		rec.Undo = undo{Pull: p.Number, Fix: m.Fix, Branch: p.Branch, Pushed: now.Add(-time.Hour), Redo: !m.Fix}
		if m.Fix { // which cannot be made again; of a revert, whose its commits are is looked at first
			rec.Undo.Head = p.Head
		}
	case p.State == "MERGED":
		u.State = string(lifecycle.Applying)
		rec.Head, rec.Resumed = p.Head, true
		rec.Merge = merge{SHA: p.MergeSHA, By: p.MergedBy, At: now}
	default:
		// Long enough ago that checks which never came are not waited for.
		rec.Redo, rec.Pushed = true, now.Add(-time.Hour)
	}
	if m.Ladder != nil {
		u.Ladder, u.Place = m.Ladder.ID, m.Ladder.Place
	}
	return u, rec, nil
}

// ended makes a recovered record one of an upgrade that is over.
func (o ours) ended(u *store.Upgrade, rec *record) {
	u.State, u.Final = o.marker.Over, true
	rec.Redo, rec.Failure.Why = false, o.marker.Why
	if l := report.MarkerLadder(o.marker.Ladder); l != nil { // one that stopped there waits for a person's word
		rec.Ladder, u.Ladder, u.Place = l, l.ID, l.Place
	}
}
