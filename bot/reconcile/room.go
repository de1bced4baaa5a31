package reconcile

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/rules/lifecycle"
)

// The names of budgets, under which the store keeps when their windows opened.

func windowKey(repository string) string { return "window " + strings.ToLower(repository) }

func serviceKey(repository, service string) string {
	return windowKey(repository) + " service " + service
}

func runKey(run string) string { return "window run " + run }

const timeForm = time.RFC3339Nano

func limitKey(run string) string { return "limit run " + run }

// LimitRun gives a bulk run a limit of its own: how many of its upgrades may be
// started in a window of dispatch.limit.window. The newest word counts.
func (r *Reconciler) LimitRun(ctx context.Context, run string, upgrades int) error {
	if run == "" || upgrades < 1 {
		return fmt.Errorf("run %q: its limit has to be above 0", run)
	}
	return r.opts.Store.Put(ctx, limitKey(run), strconv.Itoa(upgrades))
}

// draws are the budgets that an upgrade takes from.
func (j *job) draws(u store.Upgrade) []string {
	from := []string{windowKey(u.Repository)}
	if u.Run != "" {
		from[0] = runKey(u.Run)
	}
	if j.policy.Dispatch.Limit.Of(u.Service) > 0 {
		from = append(from, serviceKey(u.Repository, u.Service))
	}
	return from
}

// budgets reads the budgets of some upgrades as they stand.
func (r *Reconciler) budgets(ctx context.Context, j *job, queue []store.Upgrade) (map[string]lifecycle.Budget, error) {
	limit, now := j.policy.Dispatch.Limit, r.opts.Now()
	out := map[string]lifecycle.Budget{}
	for _, u := range queue {
		for _, key := range j.draws(u) {
			if _, ok := out[key]; ok {
				continue
			}
			b := lifecycle.Budget{Window: limit.Window}
			opened, err := r.opened(ctx, key)
			if err != nil {
				return nil, err
			}
			if !opened.IsZero() && now.Before(opened.Add(b.Window)) {
				b.Opened = opened
			}
			count := func(started int, _ time.Time, err error) error {
				b.Started = started
				return err
			}
			switch key {
			case windowKey(u.Repository):
				b.Limit = limit.Upgrades
				err = count(r.opts.Store.StartedSince(ctx, u.Repository, opened))
			case runKey(u.Run):
				if b.Limit, err = r.limitOf(ctx, u.Run, limit.Upgrades); err == nil {
					err = count(r.opts.Store.StartedIn(ctx, u.Run, opened))
				}
			default:
				b.Limit = limit.Of(u.Service)
				err = count(r.opts.Store.StartedOf(ctx, u.Repository, u.Service, opened))
			}
			if err != nil {
				return nil, err
			}
			if b.Opened.IsZero() {
				b.Started = 0
			}
			out[key] = b
		}
	}
	return out, nil
}

func (r *Reconciler) opened(ctx context.Context, key string) (time.Time, error) {
	value, err := r.opts.Store.Get(ctx, key)
	if errors.Is(err, store.ErrNotFound) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	opened, err := time.Parse(timeForm, value)
	if err != nil {
		return time.Time{}, fmt.Errorf("the rate limit's window %q: %w", key, err)
	}
	return opened, nil
}

func (r *Reconciler) limitOf(ctx context.Context, run string, usual int) (int, error) {
	value, err := r.opts.Store.Get(ctx, limitKey(run))
	if errors.Is(err, store.ErrNotFound) {
		return usual, nil
	}
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(value)
	if err != nil {
		return 0, fmt.Errorf("the limit of run %q: %w", run, err)
	}
	return n, nil
}

// free reports whether an upgrade passes the rate limit: a security fix where
// it may, and the later steps of a ladder, whose first was counted.
func (j *job) free() bool {
	return j.u.Place > 1 || j.policy.Risk.SecurityFirst && len(j.rec.Security) > 0
}

// observeRoom asks whether the rate limit lets the upgrade start.
func (r *Reconciler) observeRoom(ctx context.Context, j *job, o *lifecycle.Observed) error {
	if !j.u.Started.IsZero() || j.free() {
		o.Room = true
		return nil
	}
	open, err := r.opts.Store.OpenUpgrades(ctx, j.u.Repository)
	if err != nil {
		return err
	}
	locked := map[string]bool{} // they do not start whatever room there is
	for _, u := range open {
		locked[u.Service] = locked[u.Service] || u.State == string(lifecycle.Critical)
	}
	var queue []store.Upgrade
	for _, q := range open {
		if q.ID != j.u.ID && q.State == string(lifecycle.Queued) && q.Started.IsZero() && !locked[q.Service] && (q.Created.Before(j.u.Created) || q.Created.Equal(j.u.Created) && q.ID < j.u.ID) {
			queue = append(queue, q)
		}
	}
	o.Room, o.RoomAt, err = r.admit(ctx, j, append(queue, j.u))
	if err != nil || o.RoomAt.IsZero() {
		return err
	}
	zone, err := zoneOf(j.policy)
	o.RoomAt = o.RoomAt.In(zone)
	return err
}

func (r *Reconciler) admit(ctx context.Context, j *job, queue []store.Upgrade) (bool, time.Time, error) {
	budgets, err := r.budgets(ctx, j, queue)
	if err != nil {
		return false, time.Time{}, err
	}
	var candidates []lifecycle.Candidate
	for _, u := range queue {
		candidates = append(candidates, lifecycle.Candidate{From: j.draws(u), Free: u.Place > 1})
	}
	room, at := lifecycle.Admit(r.opts.Now(), budgets, candidates)
	return room, at, nil
}

// starting is how long one replica may take to start an upgrade before another
// one counts.
const starting = 30 * time.Second

// started counts the upgrade against the rate limit, once. Another upgrade may
// have used up the limit since it was observed. Of a ladder, the first step counts.
func (r *Reconciler) started(ctx context.Context, j *job) error {
	if !j.u.Started.IsZero() || j.u.Place > 1 {
		return nil
	}
	j.home.starting.Lock()
	defer j.home.starting.Unlock()
	now := r.opts.Now()
	alone := "start " + j.draws(j.u)[0]
	got, err := r.opts.Store.Claim(ctx, alone, j.u.ID, now.Add(starting)) // among replicas
	if err != nil {
		return err
	}
	if !got {
		return &later{at: now.Add(time.Second), why: "another upgrade is being counted"}
	}
	defer func() { _ = r.opts.Store.Release(context.WithoutCancel(ctx), alone, j.u.ID) }()
	budgets, err := r.budgets(ctx, j, []store.Upgrade{j.u})
	if err != nil {
		return err
	}
	room, at := lifecycle.Admit(now, budgets, []lifecycle.Candidate{{From: j.draws(j.u), Free: j.free()}})
	if !room {
		return &later{at: at, why: "the rate limit was used up meanwhile"}
	}
	for key, b := range budgets {
		if b.Opened.IsZero() {
			if err := r.opts.Store.Put(ctx, key, now.UTC().Format(timeForm)); err != nil {
				return err
			}
		}
	}
	j.u.Started = now
	return r.save(ctx, j)
}
