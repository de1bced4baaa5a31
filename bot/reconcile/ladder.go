package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/belaybot/belay/bot/planner"
	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/rules/ladder"
	"github.com/belaybot/belay/rules/lifecycle"
	"github.com/belaybot/belay/rules/plan"
	"github.com/belaybot/belay/rules/version"
)

// end is the version that an upgrade goes to in the end.
func (j *job) end() string { return firstOf(j.rec.Ladder.Top(), j.u.To) }

// planStep plans the hop that comes next of what the upgrade goes to.
func (r *Reconciler) planStep(ctx context.Context, j *job, v *view, result planner.Result) (*planned, error) {
	blocked, err := r.blocked(ctx, j)
	if err != nil {
		return nil, err
	}
	s, ok, err := v.planner.Step(ctx, v.inventory, result, planner.Climb{Service: j.u.Service, Old: j.rec.Ladder, Blocked: blocked})
	if err != nil || !ok {
		return nil, err
	}
	if s.Reached {
		j.rec.Gone = fmt.Sprintf("the default branch is at %s already", s.Upgrade.From)
		return nil, nil
	}
	if l := s.Upgrade.Ladder; l != nil && l.ID == "" {
		l.ID = j.u.ID
	}
	return &planned{upgrade: s.Upgrade, changes: s.Changes, edits: editsHash(s.Upgrade)}, nil
}

// stoppedAt begins the reason of a block of a ladder's end: not that version
// failed, but one on the way to it.
const stoppedAt = "its ladder stopped at "

// block has the upgrade's version left alone from now on, and the end of its
// ladder: what stopped on the way is not begun again by the same dispatch.
func (r *Reconciler) block(ctx context.Context, j *job, why string) error {
	b := store.Block{Repository: j.u.Repository, Service: j.u.Service, Image: j.u.Lane, Target: j.u.To, Why: why, At: r.opts.Now()}
	if err := r.opts.Store.AddBlock(ctx, b); err != nil || j.end() == j.u.To {
		return err
	}
	b.Target, b.Why = j.end(), stoppedAt+j.u.To+": "+why
	return r.opts.Store.AddBlock(ctx, b)
}

// unblock takes that back.
func (r *Reconciler) unblock(ctx context.Context, j *job) error {
	for _, target := range []string{j.u.To, j.end()} {
		if err := r.opts.Store.RemoveBlock(ctx, j.u.Repository, j.u.Service, target); err != nil {
			return err
		}
	}
	return nil
}

// blocked are the versions that are no rungs, since they failed or nobody wants them.
func (r *Reconciler) blocked(ctx context.Context, j *job) ([]ladder.Left, error) {
	blocks, err := r.opts.Store.Blocks(ctx, j.u.Repository, j.u.Service)
	var out []ladder.Left
	for _, b := range blocks {
		if _, wrong := version.Parse(b.Target); wrong == nil && b.Image == j.u.Lane && !strings.HasPrefix(b.Why, stoppedAt) {
			out = append(out, ladder.Left{Version: b.Target, Why: b.Why})
		}
	}
	return out, err
}

// chooseAnew has the rung of an open step chosen anew for another end, where the
// rule makes it depend on what came out: with every release a rung, the step that
// is open stays what it is and the ladder gets longer.
func (j *job) chooseAnew() {
	if l := j.rec.Ladder; l != nil && !l.Anew && (l.Rule != version.StepsEvery || !version.Newer(j.rec.Newer.Tag, l.To())) {
		again := *l
		again.Anew = true
		j.rec.Ladder = &again
	}
}

// updated says in the pull request that it goes elsewhere.
func (j *job) updated(u plan.Upgrade) {
	end := u.To
	if u.Ladder != nil {
		end = u.Ladder.Top()
	}
	why := ", which came out meanwhile"
	if !version.Newer(end, j.end()) {
		why = ""
	}
	if u.To != j.u.To {
		j.rec.Approved = nil
	}
	switch {
	case u.To == j.u.To:
		j.rec.Updates = append(j.rec.Updates, fmt.Sprintf("The ladder goes up to %s instead of %s%s.", end, j.end(), why))
	case u.Ladder != nil:
		j.rec.Updates = append(j.rec.Updates, fmt.Sprintf("Updated from %s to %s, %s to %s%s.", j.u.To, u.To, u.Ladder.Of(), end, why))
	default:
		j.rec.Updates = append(j.rec.Updates, fmt.Sprintf("Updated from %s to %s%s.", j.u.To, u.To, why))
	}
}

// place notes which step of which ladder the upgrade is.
func (j *job) place() {
	j.u.Ladder, j.u.Place = "", 0
	if l := j.rec.Ladder; l != nil {
		j.u.Ladder, j.u.Place = l.ID, l.Place
	}
}

// observeLadder says whether somebody agreed to the step by agreeing to all, and
// whether what it stands on still holds.
func (r *Reconciler) observeLadder(ctx context.Context, j *job, o *lifecycle.Observed) error {
	l := j.rec.Ladder
	if l == nil || o.State.Merged() || o.State.Final() {
		return nil
	}
	o.Agreed = l.Covered()
	if l.Previous == "" {
		return nil
	}
	u, err := r.opts.Store.Upgrade(ctx, l.Previous)
	var blocked []ladder.Left
	if errors.Is(err, store.ErrNotFound) { // after a recovery, or in another run of the Action, nobody remembers it
		blocked, err = r.blocked(ctx, j)
	}
	if err != nil {
		return err
	}
	if o.Broken = !l.Holds(lifecycle.State(u.State), blocked); o.Broken {
		j.rec.Gone = "the step before it was undone"
	}
	return nil
}

// followUp decides what follows an upgrade that is over. asked says that a
// person wants it to go on.
func (r *Reconciler) followUp(j *job, asked bool) error {
	l := j.rec.Ladder
	f := l.After(lifecycle.State(j.u.State), asked)
	if l == nil || l.Next != "" && f.Go {
		return nil
	}
	after := *l
	after.Stopped = f.Stop
	j.rec.Ladder = &after
	if !f.Go {
		return nil
	}
	next := after.Step(j.u.ID)
	next.Anew = next.Anew || lifecycle.State(j.u.State) == lifecycle.Obsolete // somebody else has moved the pin
	now := r.opts.Now()
	rec := record{Target: j.rec.Target, Ladder: next, Entered: now, Judged: Judged{Risk: j.rec.Risk}}
	if j.rec.Held != nil { // it is the service that is held, not the step
		held := *j.rec.Held
		held.Before, rec.Held = true, &held
		j.tellOnce(fmt.Sprintf("Held by %s still: the next step, to %s, is opened and not merged until /upgrade resume.", held.Login, next.To()))
	}
	data, err := json.Marshal(rec)
	if err != nil {
		return err
	}
	// Its id follows from this one's: however often it is begun, there is one.
	after.Next = "u" + strings.ToUpper(hash(j.u.ID, "step")[:12])
	j.next = &store.Upgrade{ID: after.Next, Repository: j.u.Repository, Service: j.u.Service, Lane: j.u.Lane, State: string(lifecycle.Queued),
		From: j.u.To, To: next.To(), Created: now, Data: data, Ladder: next.ID, Place: next.Place}
	j.event("belay", "next step", fmt.Sprintf("%s, to %s", next.Of(), next.To()), map[string]string{"next": after.Next})
	return nil
}

// put writes the record, and with it the step that follows, so that neither
// is there without the other.
func (r *Reconciler) put(ctx context.Context, j *job) (store.Upgrade, error) {
	if j.next == nil {
		return r.opts.Store.SaveUpgrade(ctx, j.u, j.events...)
	}
	u, next, _, err := r.opts.Store.SaveAndCreate(ctx, j.u, *j.next, r.wakeTx, j.events...)
	if err != nil {
		return u, err
	}
	want := j.next.ID
	j.next = nil
	if next.ID != want { // somebody tried another one again meanwhile: it has the service
		again := *j.rec.Ladder
		again.Next, again.Stopped = next.ID, "another upgrade of the service was begun meanwhile"
		j.rec.Ladder = &again
		if u.Data, err = j.encode(); err != nil {
			return u, err
		}
		if u, err = r.opts.Store.SaveUpgrade(ctx, u); err != nil {
			return u, err
		}
	}
	return u, r.wakeAfter(ctx, next.ID)
}

// joins reports whether a dispatch that asks for u becomes part of an upgrade.
func joins(old store.Upgrade, u plan.Upgrade) bool {
	return old.Service == u.Service && old.Lane == lane(u) && ladder.Joins(lifecycle.State(old.State), old.Ladder != "")
}

// stands says why a dispatch begins nothing where a ladder to its version has
// stopped and waits for a person's word, "" where none has.
func (r *Reconciler) stands(ctx context.Context, repository string, u plan.Upgrade) (string, error) {
	list, err := r.opts.Store.Upgrades(ctx, store.Filter{Repository: repository, Service: u.Service})
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(list, func(old store.Upgrade) bool { return old.Lane == lane(u) })
	if i < 0 || list[i].Ladder == "" {
		return "", nil
	}
	var rec record
	if err := json.Unmarshal(list[i].Data, &rec); err != nil {
		return "", nil //nolint:nilerr // what cannot be read stops nobody
	}
	return rec.Ladder.Stands(u.From, u.To), nil
}
