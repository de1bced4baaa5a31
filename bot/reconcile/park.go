package reconcile

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/belaybot/belay/bot/github"
	"github.com/belaybot/belay/bot/report"
	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/rules/lifecycle"
)

// An upgrade that waits for room has no pull request that could carry it. The
// Action keeps such upgrades in a comment on the newest pull request of its own:
// where the rate limit is used up, there is one.

// parked is where the list stands, and what was on it.
type parked struct {
	pull    int // newest of belay's own; 0: there is none
	comment int64
	had     []target
}

// unpark reads what earlier runs left.
func (r *Reconciler) unpark(ctx context.Context, repo *github.Repository, past []ours) (parked, error) {
	var out parked
	for _, o := range past {
		out.pull = max(out.pull, o.pull.Number)
	}
	if out.pull == 0 {
		return out, nil
	}
	var err error
	out.comment, out.had, err = r.readParked(ctx, repo, out.pull)
	return out, err
}

// readParked finds belay's own list on a pull request. One that somebody else has
// changed is not believed.
func (r *Reconciler) readParked(ctx context.Context, repo *github.Repository, number int) (int64, []target, error) {
	slug, err := r.opts.GitHub.Slug(ctx)
	if err != nil {
		return 0, nil, err
	}
	p, err := repo.Pull(ctx, number)
	if err != nil {
		return 0, nil, err
	}
	for _, c := range p.Comments {
		if c.Login != slug || !report.IsWaiting(c.Body) {
			continue
		}
		var list []target
		m, err := report.ParseMemory(c.Body)
		if err != nil || c.Editor != "" && c.Editor != slug || json.Unmarshal(m, &list) != nil {
			return c.ID, nil, nil //nolint:nilerr // what cannot be read is written anew
		}
		return c.ID, list, nil
	}
	return 0, nil, nil
}

// Park leaves what waits for room to the next run, and reports in words what it
// had to leave out: without any pull request of belay's there is no place for it.
func (r *Reconciler) Park(ctx context.Context, repository string, found Found) ([]string, error) {
	open, err := r.opts.Store.Upgrades(ctx, store.Filter{Repository: repository, Limit: 1000})
	if err != nil {
		return nil, err
	}
	was, place := found.parked, found.parked.pull
	var list []target
	slices.Reverse(open) // the ones that changed first
	slices.SortStableFunc(open, func(a, b store.Upgrade) int { return a.Created.Compare(b.Created) })
	for _, u := range open {
		if u.Pull != 0 && u.State != string(lifecycle.Queued) {
			place = max(place, u.Pull)
			continue
		}
		var rec record
		if u.Final || u.State != string(lifecycle.Queued) || json.Unmarshal(u.Data, &rec) != nil {
			continue
		}
		if t := rec.Target; !slices.Contains(list, t) {
			list = append(list, t)
		}
	}
	if len(list) == 0 && len(was.had) == 0 {
		return nil, nil
	}
	if place == 0 {
		return named(list), nil
	}
	repo, err := r.opts.GitHub.Repository(ctx, repository)
	if err != nil {
		return nil, err
	}
	comment, now, err := r.readParked(ctx, repo, place)
	if err != nil {
		return nil, err
	}
	for _, t := range now { // another run has added it meanwhile
		if !slices.ContainsFunc(was.had, t.same) && !slices.ContainsFunc(list, t.same) {
			list = append(list, t)
		}
	}
	if err := r.writeParked(ctx, repo, place, comment, list); err != nil {
		return nil, err
	}
	if was.comment != 0 && was.comment != comment {
		return nil, r.writeParked(ctx, repo, was.pull, was.comment, nil)
	}
	return nil, nil
}

func (r *Reconciler) writeParked(ctx context.Context, repo *github.Repository, pull int, comment int64, list []target) error {
	data, err := json.Marshal(list)
	if err != nil {
		return err
	}
	text := report.Waiting(named(list), data)
	if comment != 0 {
		return repo.EditComment(ctx, comment, text)
	}
	if len(list) == 0 {
		return nil
	}
	_, err = repo.Comment(ctx, pull, text)
	return err
}

// same reports whether two targets are the same dispatch.
func (t target) same(o target) bool {
	return t.Image == o.Image && t.Chart == o.Chart && t.Tag == o.Tag && t.Digest == o.Digest
}

func named(list []target) []string {
	var out []string
	for _, t := range list {
		out = append(out, firstOf(t.Image, "chart "+t.Chart)+" "+t.Tag)
	}
	return out
}
