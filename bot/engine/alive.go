package engine

import (
	"context"
	"strings"
	"time"
)

// lease is how long a replica that says nothing counts as alive.
const lease = 30 * time.Second

func replicaKey(name string) string { return "replica " + name }

// alive says every now and then that this replica lives, and takes over what a
// dead one was at. Without it, work would lie for as long as one look may take.
// It returns when ctx ends.
func (e *Engine) alive(ctx context.Context) {
	tick := time.NewTicker(e.hold / 4)
	defer tick.Stop()
	for {
		if err := e.beat(ctx); err != nil && ctx.Err() == nil {
			e.opts.Log.Warn("the other replicas were not told that this one lives", "why", err)
		}
		select {
		case <-ctx.Done():
			if err := e.opts.Store.Release(context.WithoutCancel(ctx), replicaKey(e.name), e.name); err != nil {
				e.opts.Log.Warn("the other replicas were not told that this one ends", "why", err)
			}
			return
		case <-tick.C:
		}
	}
}

func (e *Engine) beat(ctx context.Context) error {
	if _, err := e.opts.Store.Claim(ctx, replicaKey(e.name), e.name, time.Now().Add(e.hold)); err != nil {
		return err
	}
	taken, err := e.takeOver(ctx)
	if len(taken) > 0 {
		e.opts.Log.Warn("another replica died: what it was at is taken over", "jobs", strings.Join(taken, ", "))
	}
	return err
}

// takeOver frees the jobs of replicas that are no longer alive. A job that was
// only just fetched is left: its replica may not have said anything yet.
func (e *Engine) takeOver(ctx context.Context) ([]string, error) {
	now := time.Now()
	rows, err := e.opts.Store.DB().QueryContext(ctx, `UPDATE river_job SET state = 'available', scheduled_at = $1
		WHERE state = 'running' AND attempted_at < $2 AND NOT EXISTS (
			SELECT 1 FROM claims WHERE name = 'replica ' || attempted_by[array_upper(attempted_by, 1)] AND until >= $3)
		RETURNING kind`, now, now.Add(-e.hold), now.UnixMicro())
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var kind string
		if err := rows.Scan(&kind); err != nil {
			return out, err
		}
		out = append(out, kind)
	}
	return out, rows.Err()
}
