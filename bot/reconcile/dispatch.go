package reconcile

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/belaybot/belay/bot/github"
	"github.com/belaybot/belay/bot/planner"
	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/rules/ladder"
	"github.com/belaybot/belay/rules/lifecycle"
	"github.com/belaybot/belay/rules/plan"
)

// Dispatch plans a stored dispatch on the repositories it is meant for, and
// makes or joins one upgrade per service. What cannot be planned now does not
// hold up the rest: it is recorded as an outcome that waits, its error comes
// back, and it is tried again as long as rules/plan has patience.
func (r *Reconciler) Dispatch(ctx context.Context, id string) error {
	d, err := r.opts.Store.Dispatch(ctx, id)
	if err != nil {
		return fmt.Errorf("dispatch %s: %w", id, err)
	}
	if d.Done {
		return nil
	}
	names := []string{d.Repository}
	if d.Repository == "" {
		if names, err = r.opts.GitHub.Installed(ctx); err != nil {
			if outcomes := r.unread(ctx, d, "", err); outcomes != nil {
				err = errors.Join(err, r.setOutcomes(ctx, d, "", outcomes))
			}
			return err
		}
	}
	var failures []error
	for _, name := range names {
		outcomes, err := r.dispatchTo(ctx, name, d)
		if errors.Is(err, github.ErrNoAccess) {
			outcomes, err = []store.Outcome{{Repository: name, Reason: err.Error(), At: r.opts.Now()}}, nil
		}
		if err != nil {
			r.opts.Meter.Dispatched("failed")
			failures = append(failures, fmt.Errorf("dispatch %s for %s: %w", id, name, err))
		}
		if err != nil && outcomes == nil {
			continue
		}
		if err := r.setOutcomes(ctx, d, name, outcomes); err != nil {
			return err
		}
	}
	if err := errors.Join(failures...); err != nil {
		return err
	}
	for _, o := range d.Outcomes { // of what it is not meant for any more
		if o.Stuck == store.Waits && !slices.Contains(names, o.Repository) {
			if err := r.opts.Store.SetOutcomes(ctx, id, o.Repository, nil); err != nil {
				return err
			}
		}
	}
	return r.opts.Store.FinishDispatch(ctx, id)
}

// dispatchTo plans a dispatch on one repository. Beside an error, the outcomes
// are what came of it all the same, and what waits; none: what was recorded
// before still holds.
func (r *Reconciler) dispatchTo(ctx context.Context, name string, stored store.Dispatch) ([]store.Outcome, error) {
	_, v, err := r.viewNow(ctx, name)
	if err != nil {
		return r.unread(ctx, stored, name, err), err
	}
	t := target{Image: stored.Image, Chart: stored.Chart, ChartRepository: stored.ChartFrom, Tag: stored.Tag, Digest: stored.Digest, HubLink: stored.HubLink, Dispatch: stored.ID, Run: stored.Run}
	d, err := t.dispatch()
	if err != nil { // its name will not be read another time either
		return []store.Outcome{{Repository: name, Reason: told(err), At: r.opts.Now(), Stuck: store.GivenUp}}, nil
	}
	d.Status, d.Provider = stored.Status, stored.Provider
	result, err := v.planner.Plan(ctx, v.inventory, d)
	stuck, err := stuckOf(ctx, err)
	if err != nil {
		return nil, err
	}
	now := r.opts.Now()
	out, begun := begunBefore(stored, name)
	if result.Refused != "" {
		out = append(out, store.Outcome{Repository: name, Reason: result.Refused, At: now})
	}
	for _, s := range result.Skipped {
		if !begun[s.Service] {
			out = append(out, store.Outcome{Repository: name, Service: s.Service, Reason: s.Reason, Path: s.Path, Line: s.Line, At: now})
		}
	}
	for _, u := range result.Upgrades {
		if begun[u.Service] {
			continue
		}
		o, err := r.join(ctx, name, u, t)
		if err == nil {
			err = r.carry(ctx, o.Upgrade, t.Run)
		}
		if err != nil {
			return r.unread(ctx, stored, name, err), err
		}
		out = append(out, o)
	}
	var left planner.Unplanned
	for _, s := range stuck {
		o, waits := stuckOutcome(s, waitsSince(stored, name, s.Service, now), now)
		o.Repository = name
		if out = append(out, o); waits {
			left.Stuck = append(left.Stuck, s)
		}
	}
	if len(left.Stuck) > 0 {
		return out, &left
	}
	return out, nil
}

// carry has an upgrade that another dispatch made, and that waits, counted by
// the run that asks for it now.
func (r *Reconciler) carry(ctx context.Context, upgrade, run string) error {
	if run == "" || upgrade == "" {
		return nil
	}
	changed, err := r.opts.Store.SetRun(ctx, run, upgrade)
	if err != nil {
		return err
	}
	for _, id := range changed {
		if err := r.opts.Wake(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// standing says what a new upgrade meets: the id of the one that is open and
// that it would join, or why it is not begun; neither when nothing is in its way.
func (r *Reconciler) standing(ctx context.Context, name string, u plan.Upgrade) (open, reason string, err error) {
	blocks, err := r.opts.Store.Blocks(ctx, name, u.Service)
	if err != nil {
		return "", "", err
	}
	for _, b := range blocks {
		if b.Image == lane(u) && (b.Target == u.To || b.Target == string(u.Risk.Bump)) {
			return "", fmt.Sprintf("%s is left out: %s", u.To, b.Why), nil
		}
	}
	list, err := r.opts.Store.OpenUpgradesOf(ctx, name, u.Service)
	if err != nil {
		return "", "", err
	}
	if i := slices.IndexFunc(list, func(old store.Upgrade) bool { return joins(old, u) }); i >= 0 {
		return list[i].ID, "", nil
	}
	if reason, err = r.stands(ctx, name, u); err != nil || reason != "" {
		return "", reason, err
	}
	reason, err = r.elsewhere(ctx, name, u.Service)
	return "", reason, err
}

// join makes an upgrade, or brings the newer version to the one that is open.
func (r *Reconciler) join(ctx context.Context, name string, u plan.Upgrade, t target) (store.Outcome, error) {
	o := store.Outcome{Repository: name, Service: u.Service, At: r.opts.Now()}
	var err error
	if o.Upgrade, o.Reason, err = r.standing(ctx, name, u); err != nil || o.Reason != "" {
		return o, err
	}
	if o.Upgrade == "" {
		var created bool
		o.Upgrade, created, err = r.create(ctx, name, u.Service, lane(u), u.From, u.To, t, record{Judged: Judged{Security: u.Risk.Security, Risk: u.Risk.Level}})
		if err != nil || created { // else another dispatch was faster
			return o, err
		}
	}
	o.Reason, err = r.bringNewer(ctx, o.Upgrade, u, t)
	if errors.Is(err, errOver) { // and another step may have taken its place
		return r.join(ctx, name, u, t)
	}
	return o, err
}

// errOver means that nothing can join an upgrade any more: it was merged meanwhile, or is over.
var errOver = errors.New("the upgrade is over")

// passOn begins what an upgrade was to go to next, where it was merged or ended
// before it could: a person was faster. It is looked at as a dispatch for the
// service would be. Until that is done, the record has it.
func (r *Reconciler) passOn(ctx context.Context, j *job) error {
	t := *j.rec.Newer
	d, err := t.dispatch()
	if err != nil {
		return err
	}
	_, v, err := r.viewNow(ctx, j.u.Repository)
	if err != nil {
		return err
	}
	result, err := v.planner.Plan(ctx, v.inventory, d)
	result, err = result.Settle(err)
	if err = planner.About(err, j.u.Service); err != nil {
		return err
	}
	what := firstOf(result.Why(j.u.Service), "nothing in the service's files would move")
	data := map[string]string{}
	for _, u := range result.Upgrades {
		if !j.moves(u) {
			continue
		}
		if joins(j.u, u) && j.rec.Ladder != nil {
			j.rec.Target, j.rec.Ladder, what = t, j.rec.Ladder.Retop(u.To), "the ladder ends at "+u.To
			continue
		}
		o, err := r.join(ctx, j.u.Repository, u, t)
		if err != nil {
			return err
		}
		if what = firstOf(o.Reason, "another upgrade goes there"); o.Upgrade != "" {
			data["next"] = o.Upgrade
		}
	}
	j.rec.Newer = nil
	j.event("belay", "newer version", fmt.Sprintf("%s came out before this was merged: %s", t.Tag, what), data)
	return r.save(ctx, j)
}

// meets says what a dispatch is to an upgrade that is open, and whether it
// moves where the upgrade goes.
func (j *job) meets(to, tag string) (reason string, moves bool) {
	noted := ""
	if j.rec.Newer != nil {
		noted = j.rec.Newer.Tag
	}
	return ladder.Meet(j.end(), noted, to, tag)
}

// bringNewer has an open upgrade go to a newer version.
func (r *Reconciler) bringNewer(ctx context.Context, id string, u plan.Upgrade, t target) (string, error) {
	for {
		j, err := r.load(ctx, id)
		if err != nil {
			return "", err
		}
		if !joins(j.u, u) { // since it was found
			return "", errOver
		}
		reason, moves := j.meets(u.To, t.Tag)
		if !moves { // an earlier life may have brought it, and died before it could wake anybody
			return reason, r.opts.Wake(ctx, id)
		}
		if lifecycle.State(j.u.State).Merged() { // the steps after this one go on to it
			j.rec.Target, j.rec.Ladder = t, j.rec.Ladder.Retop(u.To)
		} else {
			j.rec.Newer = &t
		}
		j.event("belay", "newer version", u.To, nil)
		err = r.save(ctx, j)
		var conflict *store.ConflictError
		if errors.As(err, &conflict) {
			continue
		}
		if err != nil {
			return "", err
		}
		return reason, r.opts.Wake(ctx, id)
	}
}

// create makes a new upgrade, or finds the one of the service that is not merged
// yet; created says which.
func (r *Reconciler) create(ctx context.Context, repository, service, lane, from, to string, t target, rec record) (id string, created bool, err error) {
	now := r.opts.Now()
	rec.Target, rec.Entered = t, now
	data, err := json.Marshal(rec)
	if err != nil {
		return "", false, err
	}
	u := store.Upgrade{ID: newID(), Repository: repository, Service: service, Lane: lane, State: string(lifecycle.Queued), Run: t.Run, From: from, To: to, Created: now, Data: data}
	if l := rec.Ladder; l != nil { // a step is tried again
		u.Ladder, u.Place = l.ID, l.Place
	}
	u, created, err = r.opts.Store.CreateUpgradeAnd(ctx, u, r.wakeTx)
	if err != nil {
		return "", false, err
	}
	return u.ID, created, r.wakeAfter(ctx, u.ID)
}

// wakeTx has an upgrade looked at, if the transaction is committed: whoever dies
// then leaves no upgrade that nobody looks at.
func (r *Reconciler) wakeTx(ctx context.Context, tx *sql.Tx, id string) error {
	if r.opts.WakeTx == nil {
		return nil
	}
	return r.opts.WakeTx(ctx, tx, id)
}

// wakeAfter has one looked at that was written, where there is no wakeTx.
func (r *Reconciler) wakeAfter(ctx context.Context, id string) error {
	if r.opts.WakeTx != nil {
		return nil
	}
	return r.opts.Wake(ctx, id)
}

// newID names an upgrade: short enough to be said, long enough to be unique.
func newID() string { return "u" + rand.Text()[:12] }
